//! The text of the `debug` exporter, for one request with every kind of point.

use std::time::Duration;

use proto::otlp;

use super::*;

const REQUEST: &str = r#"{"resourceMetrics":[{"schemaUrl":"https://r","resource":{"attributes":[
 {"key":"service.name","value":{"stringValue":"shop"}},{"key":"n","value":{"intValue":"7"}},
 {"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}]},
 "scopeMetrics":[{"scope":{"name":"lib","version":"1.2","attributes":[{"key":"ok","value":{"boolValue":true}}]},"metrics":[
 {"name":"g","description":"d","unit":"By","gauge":{"dataPoints":[{"timeUnixNano":"1700000000500000000","asDouble":0.5,
   "attributes":[{"key":"a","value":{"stringValue":"1"}},{"key":"b","value":{"stringValue":"2"}}]}]}},
 {"name":"c","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1700000000000000000",
   "startTimeUnixNano":"1600000000000000000","asInt":"42","exemplars":[{"timeUnixNano":"1","asInt":"3",
   "traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",
   "filteredAttributes":[{"key":"f","value":{"stringValue":"x"}}]}]}]}},
 {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1","count":"3","sum":6,"min":1,"max":4,
   "explicitBounds":[1.5],"bucketCounts":["1","2"]}]}},
 {"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1","count":"4","sum":6,
   "scale":0,"zeroCount":"1","positive":{"offset":0,"bucketCounts":["2"]},"negative":{"offset":1,"bucketCounts":["1"]}}]}},
 {"name":"s","summary":{"dataPoints":[{"timeUnixNano":"1","count":"2","sum":1e30,"quantileValues":[{"quantile":0.99,"value":3}]}]}}
 ]}]}]}"#;

fn batch() -> Arc<Batch> {
    Arc::new(otlp::decode_json(REQUEST.as_bytes()).unwrap())
}

#[test]
fn normal_is_a_line_per_point() {
    let expected = r#"ResourceMetrics #0 [https://r] service.name=shop n=7 list=["a"]
ScopeMetrics #0 lib@1.2 ok=true
g{a=1,b=2} 0.5
c{} 42
h{} count=3 sum=6 min=1 max=4 le1.5=1 2
e{} count=4 sum=6
s{} count=2 sum=1e+30 q0.99=3
"#;
    assert_eq!(text::normal(&batch()), expected);
}

#[test]
fn detailed_is_everything() {
    let expected = r#"ResourceMetrics #0
Resource SchemaURL: https://r
Resource attributes:
     -> service.name: Str(shop)
     -> n: Int(7)
     -> list: Slice(["a"])
ScopeMetrics #0
ScopeMetrics SchemaURL: 
InstrumentationScope lib 1.2
InstrumentationScope attributes:
     -> ok: Bool(true)
Metric #0
Descriptor:
     -> Name: g
     -> Description: d
     -> Unit: By
     -> DataType: Gauge
NumberDataPoints #0
Data point attributes:
     -> a: Str(1)
     -> b: Str(2)
StartTimestamp: 1970-01-01 00:00:00 +0000 UTC
Timestamp: 2023-11-14 22:13:20.5 +0000 UTC
Value: 0.500000
Metric #1
Descriptor:
     -> Name: c
     -> Description: 
     -> Unit: 
     -> DataType: Sum
     -> IsMonotonic: true
     -> AggregationTemporality: Cumulative
NumberDataPoints #0
StartTimestamp: 2020-09-13 12:26:40 +0000 UTC
Timestamp: 2023-11-14 22:13:20 +0000 UTC
Value: 42
Exemplars:
Exemplar #0
     -> Trace ID: 0102030405060708090a0b0c0d0e0f10
     -> Span ID: 0102030405060708
     -> Timestamp: 1970-01-01 00:00:00.000000001 +0000 UTC
     -> Value: 3
     -> FilteredAttributes:
     -> f: Str(x)
Metric #2
Descriptor:
     -> Name: h
     -> Description: 
     -> Unit: 
     -> DataType: Histogram
     -> AggregationTemporality: Delta
HistogramDataPoints #0
StartTimestamp: 1970-01-01 00:00:00 +0000 UTC
Timestamp: 1970-01-01 00:00:00.000000001 +0000 UTC
Count: 3
Sum: 6.000000
Min: 1.000000
Max: 4.000000
ExplicitBounds #0: 1.500000
Buckets #0, Count: 1
Buckets #1, Count: 2
Metric #3
Descriptor:
     -> Name: e
     -> Description: 
     -> Unit: 
     -> DataType: ExponentialHistogram
     -> AggregationTemporality: Delta
ExponentialHistogramDataPoints #0
StartTimestamp: 1970-01-01 00:00:00 +0000 UTC
Timestamp: 1970-01-01 00:00:00.000000001 +0000 UTC
Count: 4
Sum: 6.000000
Bucket [-4.000000, -2.000000), Count: 1
Bucket [0, 0], Count: 1
Bucket (1.000000, 2.000000], Count: 2
Metric #4
Descriptor:
     -> Name: s
     -> Description: 
     -> Unit: 
     -> DataType: Summary
SummaryDataPoints #0
StartTimestamp: 1970-01-01 00:00:00 +0000 UTC
Timestamp: 1970-01-01 00:00:00.000000001 +0000 UTC
Count: 2
Sum: 1000000000000000019884624838656.000000
QuantileValue #0: Quantile 0.990000, Value 3.000000
"#;
    assert_eq!(text::detailed(&batch()), expected);
}

fn build_text(text: &str) -> (Option<Box<dyn ExporterNode>>, String) {
    let (node, _) = ::config::parse_yaml("test.yaml", text);
    let (exporter, found) = build(&node.unwrap(), &BuildContext::for_test("debug"));
    (exporter, found.iter().map(|d| format!("{d}\n")).collect())
}

#[tokio::test]
async fn output_paths_may_be_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let text = format!("use_internal_logger: false\noutput_paths: [{}]\nverbosity: normal", path.display());
    let exporter = build_text(&text).0.unwrap();
    exporter.start().await.unwrap();
    exporter.export(batch()).await.unwrap();
    exporter.shutdown(Duration::from_secs(5)).await;
    let written = std::fs::read_to_string(path).unwrap();
    let head = "Metrics\t{\"resource metrics\": 1, \"metrics\": 5, \"data points\": 5}\nResourceMetrics #0";
    assert!(written.starts_with(head), "{written}");
}

#[test]
fn every_problem_is_named() {
    assert_eq!(build_text("{}").1, "");
    assert_eq!(build_text("{sending_queue: {queue_size: 3}, verbosity: Detailed}").1, "");
    let (exporter, problems) = build_text(
        "{verbosity: detail, sampling_initial: -1, output_paths: [stdout], sending_queue: {queue_size: 0}, loglevel: debug}",
    );
    assert!(exporter.is_none());
    for expected in [
        "verbosity level \"detail\" is not supported (did you mean \"detailed\"?)",
        "sampling_initial must not be negative",
        "output_paths is not supported when use_internal_logger is true",
        "queue_size must be positive",
        "loglevel",
    ] {
        assert!(problems.contains(expected), "{expected:?} is missing in\n{problems}");
    }
}
