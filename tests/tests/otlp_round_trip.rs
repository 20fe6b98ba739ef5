//! Through the binary and out again: random OTLP requests pushed over gRPC and HTTP, in protobuf and JSON, leave
//! through the `otlp` and `otlphttp` exporters with the same content; without processors, with the same bytes.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../../proto/src/otlp/tests/dice.rs"]
mod dice;

use dice::Dice;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;
use tests::agent::PATIENCE;
use tests::fake::otlp::{Encoding, GRPC_METHOD, Received, Sink, push_body, push_grpc, push_http};
use tests::push::{Entrance, gauge, point, request};
use tests::{Agent, wait_until};
use tonic::codec::CompressionEncoding;

/// Random requests of one test.
const REQUESTS: usize = 90;

/// Exporters that lead to one sink each.
const GRPC: &str = "otlp/grpc: {endpoint: 'SINK', tls: {insecure: true}}";
const PROTOBUF: &str = "otlphttp/protobuf: {endpoint: 'SINK', compression: zstd}";
const JSON: &str = "otlphttp/json: {endpoint: 'SINK', encoding: json, compression: none}";

struct Loop {
    entrance: Entrance,
    sinks: Vec<Sink>,
    agent: Agent,
}

impl Loop {
    /// An agent from `otlp` through these processors to the exporters, each with a sink of its own.
    async fn start(processors: &str, exporters: &[&str]) -> Self {
        let (entrance, mut sinks, mut sections) = (Entrance::new(), Vec::new(), String::new());
        for exporter in exporters {
            let sink = Sink::start().await;
            sections.push_str(&format!("  {}\n", exporter.replace("SINK", &sink.url())));
            sinks.push(sink);
        }
        let names: Vec<&str> = exporters.iter().filter_map(|exporter| exporter.split(": ").next()).collect();
        let config = format!(
            "receivers:\n  otlp: {receiver}\nprocessors:\n  batch: {{timeout: 10ms}}\nexporters:\n{sections}service:\n  \
             pipelines:\n    metrics: {{receivers: [otlp], processors: [{processors}], exporters: [{names}]}}\n",
            receiver = entrance.receiver(),
            names = names.join(", "),
        );
        let agent = Agent::with_config(&config).start().await;
        Self { entrance, sinks, agent }
    }

    /// Waits until every sink has all these requests, whole or joined with others, and nothing else. Differences that
    /// `level` takes away do not count.
    async fn delivers(mut self, requests: &[ExportMetricsServiceRequest], what: &str, level: Level) {
        let expected = parts(requests, level);
        for sink in &self.sinks {
            let arrived = || parts(sink.received().iter().map(|received| &received.request), level);
            wait_until(what, PATIENCE, || (arrived().len() >= expected.len()).then_some(())).await;
        }
        assert!(self.agent.stop().await.success());
        for sink in &self.sinks {
            let arrived = parts(sink.received().iter().map(|received| &received.request), level);
            assert_eq!(arrived.len(), expected.len(), "{what}");
            for (arrived, expected) in arrived.iter().zip(&expected) {
                let read = |bytes: &[u8]| ExportMetricsServiceRequest::decode(bytes).unwrap();
                assert!(arrived == expected, "{what}:\n{:#?}\nis not\n{:#?}", read(arrived), read(expected));
            }
        }
    }
}

type Level = fn(&mut ResourceMetrics);

/// The resources of requests, each as the bytes of a request of its own, in a fixed order. Bytes, so that NaN compares.
fn parts<'a>(requests: impl IntoIterator<Item = &'a ExportMetricsServiceRequest>, level: Level) -> Vec<Vec<u8>> {
    let resources = requests.into_iter().flat_map(|request| request.resource_metrics.clone());
    let part = |mut resource| {
        level(&mut resource);
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
    };
    let mut parts: Vec<_> = resources.map(part).collect();
    parts.sort();
    parts
}

/// OTLP/JSON as the Collector writes it always has a resource, a scope and both sides of an exponential histogram: an
/// absent one is an empty one.
fn all_present(resource: &mut ResourceMetrics) {
    resource.resource.get_or_insert_default();
    for scope in &mut resource.scope_metrics {
        scope.scope.get_or_insert_default();
        for metric in &mut scope.metrics {
            if let Some(Data::ExponentialHistogram(data)) = &mut metric.data {
                for point in &mut data.data_points {
                    point.positive.get_or_insert_default();
                    point.negative.get_or_insert_default();
                }
            }
        }
    }
}

fn has_points(request: &ExportMetricsServiceRequest) -> bool {
    let mut metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    metrics.any(|metric| match &metric.data {
        None => false,
        Some(Data::Gauge(data)) => !data.data_points.is_empty(),
        Some(Data::Sum(data)) => !data.data_points.is_empty(),
        Some(Data::Histogram(data)) => !data.data_points.is_empty(),
        Some(Data::ExponentialHistogram(data)) => !data.data_points.is_empty(),
        Some(Data::Summary(data)) => !data.data_points.is_empty(),
    })
}

/// Requests of all kinds, the same in every run. One without points would be taken and go nowhere.
fn random_requests(make: impl Fn(&[u8]) -> ExportMetricsServiceRequest) -> Vec<ExportMetricsServiceRequest> {
    let mut runner = TestRunner::deterministic();
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 200..2000);
    let all = std::iter::repeat_with(|| make(&bytes.new_tree(&mut runner).unwrap().current()));
    all.filter(has_points).take(REQUESTS).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_leave_as_they_came_in() {
    let requests = random_requests(|bytes| Dice::new(bytes).request());
    for processors in ["", "batch"] {
        let running = Loop::start(processors, &[GRPC, PROTOBUF]).await;
        let (grpc, http) = (running.entrance.grpc_url(), running.entrance.http_url());
        for (n, request) in requests.iter().enumerate() {
            match n % 3 {
                0 => drop(push_grpc(&grpc, request.clone(), None).await.unwrap()),
                1 => drop(push_grpc(&grpc, request.clone(), Some(CompressionEncoding::Gzip)).await.unwrap()),
                _ => assert_eq!(push_http(&http, request, Encoding::Protobuf).await.unwrap().status, 200),
            }
        }
        running.delivers(&requests, &format!("requests through [{processors}]"), |_| ()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_in_and_json_out_keep_everything_that_json_can_hold() {
    let requests = random_requests(|bytes| Dice::finite(bytes).request());
    for processors in ["", "batch"] {
        let running = Loop::start(processors, &[GRPC, PROTOBUF, JSON]).await;
        let (grpc, http) = (running.entrance.grpc_url(), running.entrance.http_url());
        for (n, request) in requests.iter().enumerate() {
            match n % 3 {
                0 => drop(push_grpc(&grpc, request.clone(), None).await.unwrap()),
                _ => assert_eq!(push_http(&http, request, Encoding::Json).await.unwrap().status, 200),
            }
        }
        running.delivers(&requests, &format!("JSON through [{processors}]"), all_present).await;
    }
}

/// A request with a field that OTLP does not know (yet): it survives only in forwarded bytes.
fn with_an_unknown_field() -> (ExportMetricsServiceRequest, Vec<u8>) {
    let request = request(&[("service.name", "shop")], vec![gauge("depth", vec![point(7, 1, &[])])]);
    let mut bytes = request.encode_to_vec();
    prost::encoding::string::encode(99, &"from the future".to_owned(), &mut bytes);
    (request, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_forwarded_unless_a_processor_stands_in_between() {
    let (request, bytes) = with_an_unknown_field();
    let protobuf = [("content-type", "application/x-protobuf")];
    for (processors, forwarded) in [("", true), ("batch", false)] {
        let running = Loop::start(processors, &[GRPC, PROTOBUF]).await;
        let answer = push_body(&running.entrance.http_url(), &protobuf, bytes.clone()).await.unwrap();
        assert_eq!(answer.status, 200);
        for (sink, path) in running.sinks.iter().zip([GRPC_METHOD, "/v1/metrics"]) {
            let Received { request: arrived, body, path: to, .. } =
                wait_until("the request at the sink", PATIENCE, || sink.received().pop()).await;
            assert_eq!((&arrived, to.as_str()), (&request, path));
            assert_eq!(body == bytes, forwarded, "[{processors}]");
            assert_eq!(body.windows(15).any(|window| window == b"from the future"), forwarded, "[{processors}]");
        }
    }
}
