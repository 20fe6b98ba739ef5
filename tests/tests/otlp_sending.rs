//! The `otlp` and `otlphttp` exporters against an OTLP peer, built from their configuration.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use exporter::{ExporterFactory, ExporterNode, otlp};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use proto::telemetry::Instrument;
use proto::{Batch, BuildContext};
use tests::fake::otlp::{Form, GRPC_METHOD, Reply, Sink};
use tests::wait_until;
use tonic::codec::CompressionEncoding;

const REQUEST: &str = r#"{"resourceMetrics":[{"schemaUrl":"https://r","resource":{"attributes":[
 {"key":"service.name","value":{"stringValue":"shop"}},{"key":"n","value":{"intValue":"7"}}]},
 "scopeMetrics":[{"scope":{"name":"lib","version":"1.2"},"metrics":[
 {"name":"c","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"17",
   "startTimeUnixNano":"16","asInt":"42","flags":1,"exemplars":[{"timeUnixNano":"1","asInt":"3"}]}]}},
 {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1","count":"3","sum":6,
   "explicitBounds":[1.5],"bucketCounts":["1","2"]}]}}]}]}]}"#;

fn batch() -> Arc<Batch> {
    Arc::new(proto::otlp::decode_json(REQUEST.as_bytes()).unwrap())
}

struct Run {
    sink: Sink,
    node: Box<dyn ExporterNode>,
    context: BuildContext,
}

/// Starts an exporter of the peer at `ADDRESS` and `URL` in `text`.
async fn run(factory: &ExporterFactory, text: &str) -> Run {
    let sink = Sink::start().await;
    let url = sink.url();
    let text = text.replace("URL", &url).replace("ADDRESS", url.trim_start_matches("http://"));
    let context = BuildContext::for_test("otlp");
    let (node, _) = config::parse_yaml("test.yaml", &text);
    let (node, found) = (factory.build)(&node.unwrap(), &context);
    let node = node.unwrap_or_else(|| panic!("{found:?}"));
    node.start().await.unwrap();
    Run { sink, node, context }
}

const FAST: &str = "retry_on_failure: {initial_interval: 5ms, max_interval: 20ms}";

impl Run {
    fn count(&self, name: &str) -> u64 {
        let families = self.context.telemetry.families();
        let members = families.iter().filter(|f| f.name == name).flat_map(|f| &f.members);
        let counts = members.map(|(_, i)| if let Instrument::Counter(c) = i { c.get() } else { 0 });
        counts.sum()
    }

    async fn delivered(&self, requests: usize) {
        let all = || (self.sink.received().len() >= requests).then_some(());
        wait_until("requests at the peer", Duration::from_secs(20), all).await;
    }
}

#[tokio::test]
async fn a_request_arrives_whole_over_both_transports_in_every_encoding() {
    let mut expected = Vec::new();
    proto::otlp::encode(&batch(), &mut expected);
    let expected = ExportMetricsServiceRequest::decode(&expected[..]).unwrap();
    let grpc =
        ["none", "gzip", "zstd"].map(|c| format!("{{endpoint: ADDRESS, tls: {{insecure: true}}, compression: {c}}}"));
    let http =
        ["none", "gzip", "zstd", "gzip, encoding: json"].map(|c| format!("{{endpoint: \"URL\", compression: {c}}}"));
    let cases = grpc.iter().map(|t| (&otlp::FACTORY, t)).chain(http.iter().map(|t| (&otlp::HTTP_FACTORY, t)));
    for (factory, text) in cases {
        let run = run(factory, text).await;
        run.node.export(batch()).await.unwrap();
        run.delivered(1).await;
        let received = run.sink.received().pop().unwrap();
        assert_eq!(received.request, expected, "{text}");
        let path = if factory.kind == "otlp" { GRPC_METHOD } else { "/v1/metrics" };
        assert_eq!(received.path, path);
        run.node.shutdown(Duration::from_secs(5)).await;
        assert_eq!(run.count("otelcol_exporter_sent_metric_points"), 2);
    }
}

#[tokio::test]
async fn headers_and_user_agent_go_with_every_request() {
    let text = "{endpoint: ADDRESS, tls: {insecure: true}, headers: {x-team: a}, user_agent: mine}";
    let run = run(&otlp::FACTORY, text).await;
    run.node.export(batch()).await.unwrap();
    run.delivered(1).await;
    let headers = run.sink.received().pop().unwrap().headers;
    assert_eq!((headers["x-team"].to_str().unwrap(), headers["user-agent"].to_str().unwrap()), ("a", "mine"));
    // The agent's own name has the architecture as Go spells it.
    let run = self::run(&otlp::HTTP_FACTORY, "{endpoint: \"URL\"}").await;
    run.node.export(batch()).await.unwrap();
    run.delivered(1).await;
    let headers = run.sink.received().pop().unwrap().headers;
    let own = headers["user-agent"].to_str().unwrap();
    let named = ["amd64", "arm64"].map(|name| format!("otelcol-ecs/0.0.0-test (linux/{name})"));
    assert!(named.iter().any(|name| name == own), "{own}");
}

#[tokio::test]
async fn refusals_are_retried_or_not_as_the_collector_does() {
    let refuse = |status, code| Reply::Refuse { status, code, retry_after: None };
    for (factory, endpoint) in
        [(&otlp::FACTORY, "endpoint: ADDRESS\ntls: {insecure: true}"), (&otlp::HTTP_FACTORY, "endpoint: URL")]
    {
        let run = run(factory, &format!("{endpoint}\n{FAST}")).await;
        for _ in 0..3 {
            run.sink.next_reply(refuse(503, tonic::Code::Unavailable));
        }
        run.node.export(batch()).await.unwrap();
        run.delivered(1).await;
        assert_eq!(run.sink.refused(), 3);
        run.sink.next_reply(refuse(400, tonic::Code::InvalidArgument));
        run.node.export(batch()).await.unwrap();
        let dropped = || (run.count("otelcol_exporter_send_failed_metric_points") == 2).then_some(());
        wait_until("the refused request to be dropped", Duration::from_secs(20), dropped).await;
        run.sink.next_reply(Reply::Partial { rejected: 1, message: "one is bad".to_owned() });
        run.node.export(batch()).await.unwrap();
        run.delivered(2).await;
        run.node.shutdown(Duration::from_secs(5)).await;
        assert_eq!(run.count("otelcol_exporter_sent_metric_points"), 3);
        assert_eq!(run.count("otelcol_ecs_dropped_metric_points"), 3);
    }
}

#[tokio::test]
async fn rejected_points_are_counted_however_the_answer_is_written() {
    let (grpc, json) = ("{endpoint: ADDRESS, tls: {insecure: true}}", "{endpoint: \"URL\", encoding: json}");
    for (factory, text, form) in [
        (&otlp::FACTORY, grpc, Form::AsAsked),
        (&otlp::FACTORY, grpc, Form::Compressed(CompressionEncoding::Gzip)),
        (&otlp::FACTORY, grpc, Form::Compressed(CompressionEncoding::Zstd)),
        (&otlp::HTTP_FACTORY, json, Form::AsAsked),
        (&otlp::HTTP_FACTORY, json, Form::TextNumbers),
        (&otlp::HTTP_FACTORY, json, Form::Protobuf),
    ] {
        let run = run(factory, text).await;
        run.sink.answer_in(form);
        run.sink.next_reply(Reply::Partial { rejected: 1, message: "one is bad".to_owned() });
        run.node.export(batch()).await.unwrap();
        run.delivered(1).await;
        run.node.shutdown(Duration::from_secs(5)).await;
        let counts = ["otelcol_exporter_sent_metric_points", "otelcol_ecs_dropped_metric_points"];
        assert_eq!(counts.map(|name| run.count(name)), [1, 1], "{form:?}");
    }
}

#[tokio::test]
async fn the_servers_wish_to_wait_is_honoured() {
    for (factory, endpoint) in
        [(&otlp::FACTORY, "endpoint: ADDRESS\ntls: {insecure: true}"), (&otlp::HTTP_FACTORY, "endpoint: URL")]
    {
        let run = run(factory, &format!("{endpoint}\n{FAST}")).await;
        // Over gRPC this code is retried only with such a wish.
        let refuse = |retry_after| Reply::Refuse { status: 429, code: tonic::Code::ResourceExhausted, retry_after };
        run.sink.next_reply(refuse(Some(1)));
        let started = Instant::now();
        run.node.export(batch()).await.unwrap();
        run.delivered(1).await;
        assert!(started.elapsed() >= Duration::from_secs(1), "{}: {:?}", factory.kind, started.elapsed());
        if factory.kind == "otlp" {
            run.sink.next_reply(refuse(None));
            run.node.export(batch()).await.unwrap();
            let dropped = || (run.count("otelcol_ecs_dropped_metric_points") == 2).then_some(());
            wait_until("the refused request to be dropped", Duration::from_secs(20), dropped).await;
        }
    }
}

#[tokio::test]
async fn an_absent_peer_is_waited_for_and_a_slow_one_is_given_up() {
    for (factory, endpoint) in
        [(&otlp::FACTORY, "endpoint: ADDRESS\ntls: {insecure: true}"), (&otlp::HTTP_FACTORY, "endpoint: URL")]
    {
        let run = run(factory, &format!("{endpoint}\n{FAST}\ntimeout: 300ms")).await;
        run.sink.pause();
        run.node.export(batch()).await.unwrap();
        run.sink.resume().await;
        run.delivered(1).await;
        run.sink.next_reply(Reply::Slow(Duration::from_secs(60)));
        run.node.export(batch()).await.unwrap();
        run.delivered(2).await;
        run.node.shutdown(Duration::from_secs(5)).await;
        assert_eq!(run.count("otelcol_exporter_sent_metric_points"), 4);
    }
}
