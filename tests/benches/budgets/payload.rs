//! OTLP requests as SDKs of a few services send them: 4 resources, 30 metrics each, 20 series of each metric.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// Types of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gauges, sums (twice as many), histograms, summaries and exponential histograms.
    Mixed,
    /// Doubles.
    Gauge,
    /// Cumulative integers.
    Sum,
    /// Of 12 buckets, delta.
    Histogram,
}

const SERVICES: usize = 4;
const METRICS: usize = 30;
const SERIES: usize = 20;
const MINUTE_NANO: u64 = 60_000_000_000;

/// A request whose points have this time, and their number.
pub(crate) fn request(kind: Kind, time_nano: u64) -> (Vec<u8>, usize) {
    let mut maker = Maker { time: time_nano, start: time_nano - MINUTE_NANO, random: 1 };
    let request =
        ExportMetricsServiceRequest { resource_metrics: (0..SERVICES).map(|s| maker.resource(s, kind)).collect() };
    (request.encode_to_vec(), SERVICES * METRICS * SERIES)
}

struct Maker {
    time: u64,
    start: u64,
    random: u64,
}

impl Maker {
    fn resource(&mut self, service: usize, kind: Kind) -> ResourceMetrics {
        let attributes = vec![
            text("service.name", format!("svc-{service}")),
            text("service.namespace", "shop".to_owned()),
            text("aws.ecs.cluster.name", "prod".to_owned()),
            text("aws.ecs.task.id", format!("task{service:04}")),
            text("aws.ecs.task.family", format!("fam-{}", service % 8)),
            text("host.name", format!("ip-10-0-0-{service}")),
        ];
        let scope = InstrumentationScope { name: "my.lib".into(), version: "1.2".into(), ..Default::default() };
        let metrics = (0..METRICS).map(|metric| self.metric(metric, kind)).collect();
        ResourceMetrics {
            resource: Some(Resource { attributes, ..Default::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..Default::default() }],
            ..Default::default()
        }
    }

    fn metric(&mut self, metric: usize, kind: Kind) -> Metric {
        let (name, data) = match (kind, metric % 6) {
            (Kind::Gauge, _) | (Kind::Mixed, 0) => ("gauge", self.gauge()),
            (Kind::Sum, _) | (Kind::Mixed, 1 | 2) => ("sum", self.sum()),
            (Kind::Histogram, _) | (Kind::Mixed, 3) => ("histogram", self.histogram()),
            (Kind::Mixed, 4) => ("summary", self.summary()),
            (Kind::Mixed, _) => ("exp", self.exponential()),
        };
        Metric {
            name: format!("app_metric_{metric}_{name}"),
            unit: ["ms", "By", "1", "s"][metric % 4].into(),
            data: Some(data),
            ..Default::default()
        }
    }

    fn gauge(&mut self) -> Data {
        let point = |series| number_data_point::Value::AsDouble(self.fraction() * 1000.0 + series as f64);
        let values: Vec<_> = (0..SERIES).map(point).collect();
        Data::Gauge(Gauge { data_points: self.numbers(values) })
    }

    fn sum(&mut self) -> Data {
        let values = (0..SERIES).map(|_| number_data_point::Value::AsInt(self.below(1 << 20) as i64)).collect();
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        Data::Sum(Sum { data_points: self.numbers(values), aggregation_temporality, is_monotonic: true })
    }

    fn numbers(&self, values: Vec<number_data_point::Value>) -> Vec<NumberDataPoint> {
        let point = |(series, value)| NumberDataPoint {
            attributes: attributes(series),
            time_unix_nano: self.time,
            start_time_unix_nano: self.start,
            value: Some(value),
            ..Default::default()
        };
        values.into_iter().enumerate().map(point).collect()
    }

    fn histogram(&mut self) -> Data {
        let data_points = (0..SERIES).map(|series| {
            let bucket_counts: Vec<u64> = (0..12).map(|_| self.below(50)).collect();
            HistogramDataPoint {
                attributes: attributes(series),
                time_unix_nano: self.time,
                start_time_unix_nano: self.start,
                count: bucket_counts.iter().sum(),
                sum: Some(self.fraction() * 100.0),
                min: Some(0.001),
                max: Some(9.9),
                explicit_bounds: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
                bucket_counts,
                ..Default::default()
            }
        });
        let data_points = data_points.collect();
        Data::Histogram(Histogram { data_points, aggregation_temporality: AggregationTemporality::Delta.into() })
    }

    fn summary(&mut self) -> Data {
        let data_points = (0..SERIES).map(|series| SummaryDataPoint {
            attributes: attributes(series),
            time_unix_nano: self.time,
            start_time_unix_nano: self.start,
            count: self.below(1000),
            sum: self.fraction() * 1000.0,
            quantile_values: [0.5, 0.9, 0.99]
                .map(|quantile| ValueAtQuantile { quantile, value: self.fraction() })
                .to_vec(),
            ..Default::default()
        });
        Data::Summary(Summary { data_points: data_points.collect() })
    }

    fn exponential(&mut self) -> Data {
        let data_points = (0..SERIES).map(|series| {
            let bucket_counts: Vec<u64> = (0..40).map(|_| self.below(9)).collect();
            ExponentialHistogramDataPoint {
                attributes: attributes(series),
                time_unix_nano: self.time,
                start_time_unix_nano: self.start,
                count: bucket_counts.iter().sum::<u64>() + 2,
                sum: Some(self.fraction() * 100.0),
                scale: 3,
                zero_count: 2,
                positive: Some(Buckets { offset: -10, bucket_counts }),
                min: Some(0.0),
                max: Some(20.0),
                ..Default::default()
            }
        });
        let data_points = data_points.collect();
        let aggregation_temporality = AggregationTemporality::Delta.into();
        Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }

    fn fraction(&mut self) -> f64 {
        self.below(1 << 30) as f64 / (1u64 << 30) as f64
    }
}

fn attributes(series: usize) -> Vec<KeyValue> {
    vec![
        text("route", format!("/api/v1/things/{series}")),
        text("method", ["GET", "POST", "PUT"][series % 3].to_owned()),
        text("code", (200 + series % 5).to_string()),
        text("az", format!("us-west-2{}", ["a", "b", "c"][series % 3])),
    ]
}

fn text(key: &str, value: String) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value)) };
    KeyValue { key: key.into(), value: Some(value), ..Default::default() }
}
