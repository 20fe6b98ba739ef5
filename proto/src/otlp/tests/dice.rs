//! Random OTLP requests from random bytes. Knows nothing of the codecs; whole-agent tests include this file as well.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Source of decisions for random messages: bytes that proptest can shrink; zeros when they are used up.
pub(crate) struct Dice<'a> {
    bytes: std::slice::Iter<'a, u8>,
    finite: bool,
}

impl<'a> Dice<'a> {
    /// Makes messages with every kind of number.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter(), finite: false }
    }

    /// Makes messages without NaN and infinities, which plain JSON cannot hold.
    pub(crate) fn finite(bytes: &'a [u8]) -> Self {
        Self { finite: true, ..Self::new(bytes) }
    }
}

impl Dice<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or_default()
    }

    fn below(&mut self, n: u8) -> u8 {
        self.byte() % n
    }

    fn word(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::from(self.byte()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn double(&mut self) -> f64 {
        let value = match self.below(6) {
            0 => 0.0,
            1 => f64::from(self.byte()) / 4.0,
            2 => f64::NAN,
            3 => -f64::INFINITY,
            4 => -0.0,
            _ => f64::from_bits(self.word()),
        };
        if self.finite && !value.is_finite() { 1.5 } else { value }
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 9] =
            ["", "a", "http.route", "/api/v1/things", "ü\u{2028}", "<\"\\>", "\n\u{1}", "job", "200"];
        // The one that is not in the list has a length of two bytes on the wire.
        WORDS.get(usize::from(self.below(10))).map_or_else(|| "x".repeat(130), |&word| word.to_owned())
    }

    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| make(self))
    }

    fn list<T>(&mut self, up_to: u8, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(up_to + 1)).map(|_| make(self)).collect()
    }

    pub(crate) fn value(&mut self, depth: u8) -> AnyValue {
        let value = match self.below(if depth == 0 { 7 } else { 9 }) {
            0 => None,
            1 | 2 => Some(Value::StringValue(self.text())),
            3 => Some(Value::BoolValue(self.byte() > 127)),
            4 => Some(Value::IntValue(self.word() as i64)),
            5 => Some(Value::DoubleValue(self.double())),
            6 => Some(Value::BytesValue(self.list(5, Dice::byte))),
            7 => Some(Value::ArrayValue(ArrayValue { values: self.list(3, |d| d.value(depth - 1)) })),
            _ => Some(Value::KvlistValue(KeyValueList { values: self.list(3, |d| d.pair(depth - 1)) })),
        };
        AnyValue { value }
    }

    pub(crate) fn pair(&mut self, depth: u8) -> KeyValue {
        KeyValue { key: self.text(), value: Some(self.value(depth)), key_strindex: 0 }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.list(3, |d| d.pair(2))
    }

    pub(crate) fn request(&mut self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest { resource_metrics: self.list(3, Dice::resource_metrics) }
    }

    pub(crate) fn resource_metrics(&mut self) -> ResourceMetrics {
        ResourceMetrics {
            resource: self.some(Dice::resource),
            scope_metrics: self.list(2, Dice::scope_metrics),
            schema_url: self.text(),
        }
    }

    fn resource(&mut self) -> Resource {
        Resource {
            attributes: self.attributes(),
            dropped_attributes_count: self.word() as u32,
            entity_refs: self.list(1, |d| EntityRef {
                schema_url: d.text(),
                r#type: d.text(),
                id_keys: d.list(2, Dice::text),
                description_keys: d.list(2, Dice::text),
            }),
        }
    }

    pub(crate) fn scope_metrics(&mut self) -> ScopeMetrics {
        ScopeMetrics {
            scope: self.some(|d| InstrumentationScope {
                name: d.text(),
                version: d.text(),
                attributes: d.attributes(),
                dropped_attributes_count: d.word() as u32,
            }),
            metrics: self.list(4, Dice::metric),
            schema_url: self.text(),
        }
    }

    pub(crate) fn metric(&mut self) -> Metric {
        let aggregation_temporality = i32::from(self.below(3));
        let data = match self.below(6) {
            0 => None,
            1 => Some(metric::Data::Gauge(Gauge { data_points: self.list(3, Dice::number) })),
            2 => Some(metric::Data::Sum(Sum {
                data_points: self.list(3, Dice::number),
                aggregation_temporality,
                is_monotonic: self.byte() > 127,
            })),
            3 => Some(metric::Data::Histogram(Histogram {
                data_points: self.list(3, Dice::histogram),
                aggregation_temporality,
            })),
            4 => Some(metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.list(3, Dice::exponential),
                aggregation_temporality,
            })),
            _ => Some(metric::Data::Summary(Summary { data_points: self.list(3, Dice::summary) })),
        };
        Metric {
            name: self.text(),
            description: self.text(),
            unit: self.text(),
            metadata: self.list(1, |d| d.pair(1)),
            data,
        }
    }

    pub(crate) fn number(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.word(),
            time_unix_nano: self.word(),
            exemplars: self.list(2, Dice::exemplar),
            flags: self.word() as u32,
            value: self.some(|d| match d.below(2) {
                0 => number_data_point::Value::AsDouble(d.double()),
                _ => number_data_point::Value::AsInt(d.word() as i64),
            }),
        }
    }

    pub(crate) fn histogram(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.word(),
            time_unix_nano: self.word(),
            count: self.word(),
            sum: self.some(Dice::double),
            bucket_counts: self.list(4, Dice::word),
            explicit_bounds: self.list(3, Dice::double),
            exemplars: self.list(2, Dice::exemplar),
            flags: self.word() as u32,
            min: self.some(Dice::double),
            max: self.some(Dice::double),
        }
    }

    pub(crate) fn exponential(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.word(),
            time_unix_nano: self.word(),
            count: self.word(),
            sum: self.some(Dice::double),
            scale: self.word() as i32,
            zero_count: self.word(),
            positive: self.some(Dice::buckets),
            negative: self.some(Dice::buckets),
            flags: self.word() as u32,
            exemplars: self.list(2, Dice::exemplar),
            min: self.some(Dice::double),
            max: self.some(Dice::double),
            zero_threshold: self.double(),
        }
    }

    fn buckets(&mut self) -> Buckets {
        Buckets { offset: self.word() as i32, bucket_counts: self.list(4, Dice::word) }
    }

    pub(crate) fn summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.word(),
            time_unix_nano: self.word(),
            count: self.word(),
            sum: self.double(),
            quantile_values: self.list(3, |d| ValueAtQuantile { quantile: d.double(), value: d.double() }),
            flags: self.word() as u32,
        }
    }

    pub(crate) fn exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.word(),
            span_id: self.some(|d| (0..8).map(|_| d.byte()).collect()).unwrap_or_default(),
            trace_id: self.some(|d| (0..16).map(|_| d.byte()).collect()).unwrap_or_default(),
            value: self.some(|d| match d.below(2) {
                0 => exemplar::Value::AsDouble(d.double()),
                _ => exemplar::Value::AsInt(d.word() as i64),
            }),
        }
    }
}
