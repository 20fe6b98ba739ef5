//! What a message may cost in memory: bombs are refused early, dense requests of real senders pass.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Summary, SummaryDataPoint, metric::Data, number_data_point,
};
use prost::Message;

use super::protobuf::{field, metric_request, point_request};
use crate::otlp::{DecodeError, DecodeLimits, decode, decode_json_within};

const MANY: usize = 1 << 20;
/// More than any of the bombs has cost when it is refused.
const EARLY: usize = 4 << 20;

#[test]
fn messages_of_empty_elements_are_refused_before_they_cost_much() {
    let one = |tag: u32| field(tag, b"").repeat(MANY);
    let scopes = field(1, &field(2, b"").repeat(MANY));
    let exemplars = point_request(5, &one(5));
    let points = [5, 7, 9, 10, 11].map(|kind| metric_request(&field(kind, &one(1))));
    // Each list of attributes is a new one.
    let point = |n: usize| field(1, &field(7, &field(1, format!("{n:x}").as_bytes())));
    let attributes: Vec<u8> = (0..MANY).flat_map(point).collect();
    let attributes = metric_request(&field(5, &attributes));
    let bombs = [one(1), scopes, field(1, &field(2, &one(2))), exemplars, attributes];
    for (index, bomb) in bombs.into_iter().chain(points).enumerate() {
        match decode(Bytes::from(bomb), &DecodeLimits::default()).map(drop) {
            Err(DecodeError::TooDense { memory, .. }) => assert!(memory < EARLY, "{index}: {memory}"),
            other => panic!("{index}: {other:?}"),
        }
    }
}

#[test]
fn bucket_counts_of_one_byte_take_what_they_need_and_no_more() {
    let counts = field(8, &field(2, &vec![1; 4 << 20]));
    let limits = DecodeLimits::default();
    let batch = decode(Bytes::from(point_request(10, &counts)), &limits).unwrap();
    assert_eq!(batch.counts.len(), 4 << 20);
    assert!(batch.counts.capacity() < batch.counts.len() + 16, "{}", batch.counts.capacity());
    // Nothing is left for what else the request has.
    let points = [field(1, &counts), field(1, b"").repeat(MANY / 8)].concat();
    let refused = decode(Bytes::from(metric_request(&field(10, &points))), &limits);
    assert!(matches!(refused, Err(DecodeError::TooDense { .. })));
}

#[test]
fn json_of_empty_elements_is_refused_before_it_costs_much() {
    let list = |element: &str| vec![element; MANY].join(",");
    let metric = |data: &str| format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{data}}}]}}]}}]}}"#);
    let point = |kind: &str, point: &str| metric(&format!(r#""{kind}":{{"dataPoints":[{point}]}}"#));
    let limits = DecodeLimits::default();
    for bomb in [
        format!(r#"{{"resourceMetrics":[{}]}}"#, list("{}")),
        metric(&format!(r#""metadata":[{}]"#, list("{}"))),
        point("gauge", &list("{}")),
        point("exponentialHistogram", &list("{}")),
        point("exponentialHistogram", &list("null")),
        point("gauge", &format!(r#"{{"exemplars":[{}]}}"#, list("{}"))),
    ] {
        let error = decode_json_within(bomb.as_bytes(), &limits).err().unwrap().to_string();
        let memory = error.strip_prefix("invalid OTLP/JSON request: too many elements for the size of the request: ");
        let memory = memory.and_then(|text| text.strip_prefix("they take more than ")).unwrap_or(&error);
        let memory: usize = memory.split(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{error}"));
        assert!(memory < EARLY, "{memory}");
    }
    let counts = format!(r#"{{"positive":{{"bucketCounts":[{}]}}}}"#, list("0"));
    let batch = decode_json_within(point("exponentialHistogram", &counts).as_bytes(), &limits).unwrap();
    assert_eq!(batch.counts.len(), MANY);
}

fn of(data: Data) -> ExportMetricsServiceRequest {
    let metric = Metric { name: "requests".into(), data: Some(data), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() }],
    }
}

#[test]
fn requests_of_the_smallest_real_points_pass() {
    const POINTS: u64 = 20_000;
    const NOW: u64 = 1_700_000_000_000_000_000;
    let attribute = |n: u64| {
        let value = AnyValue { value: Some(any_value::Value::StringValue(format!("{n:x}"))) };
        vec![KeyValue { key: "k".into(), value: Some(value), ..KeyValue::default() }]
    };
    let number = |n: u64| NumberDataPoint {
        time_unix_nano: NOW,
        value: Some(number_data_point::Value::AsInt(n as i64)),
        ..NumberDataPoint::default()
    };
    let labelled = |n: u64| NumberDataPoint { attributes: attribute(n), ..number(n) };
    let histogram = |_| HistogramDataPoint { time_unix_nano: NOW, count: 1, sum: Some(1.0), ..Default::default() };
    let quiet = |_| ExponentialHistogramDataPoint {
        start_time_unix_nano: NOW,
        time_unix_nano: NOW,
        scale: 20,
        ..Default::default()
    };
    let busy = |n: u64| ExponentialHistogramDataPoint {
        attributes: attribute(n),
        count: 160,
        sum: Some(1.0),
        positive: Some(Buckets { offset: 1, bucket_counts: vec![1; 160] }),
        ..quiet(n)
    };
    let summary = |_| SummaryDataPoint { time_unix_nano: NOW, count: 1, ..Default::default() };
    // Without anything to spare but for the tables of one metric.
    let limits = DecodeLimits { spare_bytes: 4096, ..DecodeLimits::default() };
    let requests = [
        of(Data::Gauge(Gauge { data_points: (0..POINTS).map(number).collect() })),
        of(Data::Gauge(Gauge { data_points: (0..POINTS).map(labelled).collect() })),
        of(Data::Histogram(Histogram { data_points: (0..POINTS).map(histogram).collect(), ..Default::default() })),
        of(Data::ExponentialHistogram(ExponentialHistogram {
            data_points: (0..POINTS).map(quiet).collect(),
            ..Default::default()
        })),
        of(Data::ExponentialHistogram(ExponentialHistogram {
            data_points: (0..POINTS).map(busy).collect(),
            ..Default::default()
        })),
        of(Data::Summary(Summary { data_points: (0..POINTS).map(summary).collect() })),
    ];
    for (index, request) in requests.into_iter().enumerate() {
        let batch = decode(request.encode_to_vec().into(), &limits).unwrap_or_else(|e| panic!("{index}: {e}"));
        assert_eq!(batch.points() as u64, POINTS);
        let mut json = Vec::new();
        crate::otlp::to_json(&batch, &mut json);
        let batch = decode_json_within(&json, &limits).unwrap_or_else(|e| panic!("{index}: {e}"));
        assert_eq!(batch.points() as u64, POINTS);
    }
}
