//! What is pushed in is what is pushed out: random requests of every kind through the real binary, forwarded as they
//! came, and decoded, edited and encoded again.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use serde_json::{Value, json};
use tests::agent::PATIENCE;
use tests::fake::otlp::{Encoding, Sink, push_grpc, push_http};
use tests::{Agent, free_port, wait_until};

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn some(&mut self, most: u64, make: impl FnMut(&mut Dice, u64) -> Value) -> Value {
        let count = self.below(most + 1);
        self.list(count, make)
    }

    fn list(&mut self, count: u64, mut make: impl FnMut(&mut Dice, u64) -> Value) -> Value {
        (0..count).map(|i| make(self, i)).collect()
    }

    fn double(&mut self) -> f64 {
        let choices = [0.0, -0.5, 1e300, -1e-300, 5e-324, 1.0 / 3.0, 123_456_789.125];
        choices[self.below(choices.len() as u64) as usize] * (1 + self.below(9)) as f64
    }

    fn integer(&mut self) -> i64 {
        let choices = [0, 1, -1, i64::MIN, i64::MAX, 1 << 53, 42];
        choices[self.below(choices.len() as u64) as usize]
    }

    fn text(&mut self) -> &'static str {
        ["", "a", "a longer text with spaces", "\"quoted\" \\ and\ttabs", "日本語 ünï", "\u{0}\u{7f}"]
            [self.below(6) as usize]
    }

    fn any(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => json!({"stringValue": self.text()}),
            1 => json!({"boolValue": self.below(2) == 1}),
            2 => json!({"intValue": self.integer().to_string()}),
            3 => json!({"doubleValue": self.double()}),
            4 => json!({"arrayValue": {"values": self.some(3, |dice, _| dice.any(depth - 1))}}),
            _ => json!({"kvlistValue": {"values": self.attributes(3, depth - 1)}}),
        }
    }

    fn attributes(&mut self, most: u64, depth: u32) -> Value {
        self.some(most, |dice, i| json!({"key": format!("k{i}"), "value": dice.any(depth)}))
    }

    /// What points of all kinds have.
    fn point(&mut self, more: Value) -> Value {
        let mut point = json!({
            "attributes": self.attributes(4, 2),
            "timeUnixNano": (1_700_000_000_000_000_000 + self.below(1 << 40)).to_string(),
            "flags": self.below(2),
        });
        if self.below(2) == 1 {
            point["startTimeUnixNano"] = json!((1_600_000_000_000_000_000 + self.below(1 << 40)).to_string());
        }
        point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        point
    }

    fn exemplars(&mut self) -> Value {
        self.some(2, |dice, _| {
            json!({"filteredAttributes": dice.attributes(2, 1), "timeUnixNano": "1700000000000000001",
                "asInt": dice.integer().to_string(), "spanId": "0102030405060708",
                "traceId": "0102030405060708090a0b0c0d0e0f10"})
        })
    }

    fn number(&mut self) -> Value {
        let value = match self.below(2) {
            0 => json!({"asInt": self.integer().to_string(), "exemplars": self.exemplars()}),
            _ => json!({"asDouble": self.double(), "exemplars": self.exemplars()}),
        };
        self.point(value)
    }

    fn histogram(&mut self) -> Value {
        let bounds = self.below(4);
        let mut more = json!({
            "count": self.below(1 << 60).to_string(),
            "explicitBounds": self.list(bounds, |_, i| json!(i as f64 + 0.5)),
            "bucketCounts": self.list(bounds + 1, |dice, _| json!(dice.below(99).to_string())),
            "exemplars": self.exemplars(),
        });
        if self.below(2) == 1 {
            let (sum, min, max) = (self.double(), self.double(), self.double());
            more.as_object_mut().unwrap().extend([
                ("sum".to_owned(), json!(sum)),
                ("min".to_owned(), json!(min)),
                ("max".to_owned(), json!(max)),
            ]);
        }
        self.point(more)
    }

    fn exponential(&mut self) -> Value {
        let mut buckets = || {
            json!({"offset": self.below(40) as i64 - 20,
            "bucketCounts": self.some(5, |dice, _| json!(dice.below(99).to_string()))})
        };
        let (positive, negative) = (buckets(), buckets());
        let more = json!({"count": "9", "sum": self.double(), "scale": self.below(30) as i64 - 10,
            "zeroCount": self.below(9).to_string(), "zeroThreshold": 0.25, "positive": positive, "negative": negative});
        self.point(more)
    }

    fn summary(&mut self) -> Value {
        let more = json!({"count": self.below(99).to_string(), "sum": self.double(),
            "quantileValues": self.some(3, |dice, i| json!({"quantile": i as f64 / 2.0, "value": dice.double()}))});
        self.point(more)
    }

    fn metric(&mut self, number: u64) -> Value {
        let points = 1 + self.below(3);
        let temporality = 1 + self.below(2);
        let mut metric = json!({"name": format!("metric.{number}"), "unit": self.text(), "description": self.text()});
        let (kind, data) = match self.below(5) {
            0 => ("gauge", json!({"dataPoints": self.list(points, |dice, _| dice.number())})),
            1 => (
                "sum",
                json!({"dataPoints": self.list(points, |dice, _| dice.number()),
                    "aggregationTemporality": temporality, "isMonotonic": self.below(2) == 1}),
            ),
            2 => (
                "histogram",
                json!({"dataPoints": self.list(points, |dice, _| dice.histogram()), "aggregationTemporality": temporality}),
            ),
            3 => (
                "exponentialHistogram",
                json!({"dataPoints": self.list(points, |dice, _| dice.exponential()), "aggregationTemporality": temporality}),
            ),
            _ => ("summary", json!({"dataPoints": self.list(points, |dice, _| dice.summary())})),
        };
        metric[kind] = data;
        metric
    }

    fn request(&mut self) -> ExportMetricsServiceRequest {
        let resources = 1 + self.below(3);
        let request = json!({"resourceMetrics": self.list(resources, |dice, number| {
            let scopes = 1 + dice.below(2);
            json!({
                // The number keeps resources apart: equal ones may be joined.
                "resource": {"attributes": dice.list(1, |_, _| json!({"key": "number", "value": {"intValue": number.to_string()}}))},
                "schemaUrl": dice.text(),
                "scopeMetrics": dice.list(scopes, |dice, scope| {
                    let metrics = 1 + dice.below(4);
                    json!({
                        "scope": {"name": format!("scope.{scope}"), "version": dice.text(), "attributes": dice.attributes(2, 1)},
                        "schemaUrl": dice.text(),
                        "metrics": dice.list(metrics, |dice, metric| dice.metric(metric)),
                    })
                }),
            })
        })});
        let request: ExportMetricsServiceRequest = serde_json::from_value(request).unwrap();
        let scopes = request.resource_metrics.iter().flat_map(|metrics| &metrics.scope_metrics);
        // A kind that cannot be read is left out without a word.
        assert!(scopes.flat_map(|scope| &scope.metrics).all(|metric| metric.data.is_some()));
        request
    }
}

/// Adds what the processor of the story adds.
fn edited(mut request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
    for resource in request.resource_metrics.iter_mut().filter_map(|metrics| metrics.resource.as_mut()) {
        let value = Some(AnyValue { value: Some(any_value::Value::StringValue("x".to_owned())) });
        resource.attributes.push(KeyValue { key: "added".to_owned(), value, ..KeyValue::default() });
    }
    sorted(request)
}

/// Attributes are a set: their order says nothing.
fn sorted(mut request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
    for metrics in &mut request.resource_metrics {
        if let Some(resource) = &mut metrics.resource {
            resource.attributes.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_come_out_as_they_went_in() {
    let (plain_http, plain_grpc, again, json) =
        (Sink::start().await, Sink::start().await, Sink::start().await, Sink::start().await);
    let (http, grpc, edit, again_json) = (free_port(), free_port(), free_port(), free_port());
    let config = format!(
        "receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{http}}}, grpc: {{endpoint: 127.0.0.1:{grpc}}}}}}}
  otlp/edited: {{protocols: {{http: {{endpoint: 127.0.0.1:{edit}}}}}}}
  # What is sent as JSON comes in once more: the sink's library does not read all of OTLP's JSON.
  otlp/json: {{protocols: {{http: {{endpoint: 127.0.0.1:{again_json}}}}}}}
processors:
  resource: {{attributes: [{{key: added, value: x, action: upsert}}]}}
exporters:
  otlphttp: {{endpoint: \"{}\"}}
  otlp: {{endpoint: \"{}\", compression: zstd}}
  otlphttp/again: {{endpoint: \"{}\", compression: none}}
  otlphttp/json: {{endpoint: \"http://127.0.0.1:{again_json}\", encoding: json}}
  otlphttp/json_again: {{endpoint: \"{}\"}}
service:
  pipelines:
    metrics: {{receivers: [otlp], exporters: [otlphttp, otlp]}}
    metrics/edited: {{receivers: [otlp/edited], processors: [resource], exporters: [otlphttp/again, otlphttp/json]}}
    metrics/json: {{receivers: [otlp/json], exporters: [otlphttp/json_again]}}
",
        plain_http.url(),
        plain_grpc.url(),
        again.url(),
        json.url()
    );
    let mut agent = Agent::with_config(&config).start().await;
    let arrived = async |sink: &Sink, requests: usize, what: &str| {
        wait_until(what, PATIENCE, || sink.received().get(requests - 1).map(|received| received.request.clone())).await
    };
    let mut requests = 0;
    for seed in 1..=25u64 {
        let request = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).request();
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            requests += 1;
            let answer = push_http(&format!("http://127.0.0.1:{http}"), &request, encoding).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            for (sink, name) in [(&plain_http, "over HTTP"), (&plain_grpc, "over gRPC")] {
                assert_eq!(arrived(sink, requests, name).await, request, "seed {seed}, {encoding:?} {name}");
            }
            push_http(&format!("http://127.0.0.1:{edit}"), &request, encoding).await.unwrap();
            let out = sorted(arrived(&again, requests, "encoded again").await);
            assert_eq!(out, edited(request.clone()), "seed {seed}, {encoding:?} encoded again");
            let out = sorted(arrived(&json, requests, "as JSON").await);
            assert_eq!(out, edited(request.clone()), "seed {seed}, {encoding:?} as JSON");
        }
        requests += 1;
        push_grpc(&format!("http://127.0.0.1:{grpc}"), request.clone(), None).await.unwrap();
        assert_eq!(arrived(&plain_http, requests, "from gRPC").await, request, "seed {seed}");
        // The other pipeline gets one, too, so that all sinks count the same.
        push_http(&format!("http://127.0.0.1:{edit}"), &request, Encoding::Protobuf).await.unwrap();
        assert_eq!(sorted(arrived(&again, requests, "encoded again").await), edited(request), "seed {seed}");
    }
    assert!(agent.stop().await.success());
    for sink in [&plain_http, &plain_grpc, &again, &json] {
        assert_eq!(sink.received().len(), requests);
    }
}
