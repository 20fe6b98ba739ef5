//! What clients that push are told by the whole agent: a full queue and memory pressure are errors to retry, a refusal
//! of the destination behind a pipeline without queue is passed on with its delay, and only metrics are taken.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use tests::agent::PATIENCE;
use tests::fake::otlp::{Encoding, HttpAnswer, Reply, Sink, push_body, push_grpc, push_http};
use tests::fake::{FakeAws, Fault, World};
use tests::push::{Entrance, gauge, now_ns, point, request};
use tests::story::EAGER_RETRY;
use tests::{Agent, wait_until};
use tonic::Code;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// A config from `otlp` through these processors to one exporter, each given as `name: {...}`.
fn config(entrance: &Entrance, processor: Option<&str>, exporter: &str) -> String {
    let name = |section: &str| section.split(": ").next().unwrap_or_default().to_owned();
    format!(
        "receivers:\n  otlp: {otlp}\n{processors}exporters:\n  {exporter}\nservice:\n  pipelines:\n    \
         metrics: {{receivers: [otlp], processors: [{used}], exporters: [{to}]}}\n",
        otlp = entrance.receiver(),
        processors = processor.map(|section| format!("processors:\n  {section}\n")).unwrap_or_default(),
        used = processor.map(name).unwrap_or_default(),
        to = name(exporter),
    )
}

fn numbered(n: i64) -> ExportMetricsServiceRequest {
    request(&[("service.name", "shop")], vec![gauge("number", vec![point(n, now_ns(), &[("n", &n.to_string())])])])
}

fn json(answer: &HttpAnswer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Pushes over gRPC and HTTP and expects `UNAVAILABLE` and 503 with this text.
async fn assert_unavailable(entrance: &Entrance, text: &str) {
    assert_refused(entrance, text, (Code::Unavailable, 503), None).await;
}

/// Pushes over gRPC and HTTP and expects a code and a status with this text and, if given, a delay in seconds.
async fn assert_refused(entrance: &Entrance, text: &str, expected: (Code, u16), delay_s: Option<u32>) {
    let status = push_grpc(&entrance.grpc_url(), numbered(-1), None).await.unwrap_err();
    assert_eq!(status.code(), expected.0, "{status}");
    assert!(status.message().contains(text), "{status}");
    // google.rpc.RetryInfo, packed into the details.
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert_eq!(details.contains("google.rpc.RetryInfo"), delay_s.is_some());
    let answer = push_http(&entrance.http_url(), &numbered(-1), Encoding::Json).await.unwrap();
    assert_eq!(answer.status, expected.1);
    let told = json(&answer);
    assert_eq!(told["code"], expected.0 as i32);
    assert!(told["message"].as_str().unwrap().contains(text), "{told}");
    let retry_after = answer.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(retry_after, delay_s.map(|seconds| seconds.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_unavailable_and_costs_only_what_was_refused() {
    let (aws, entrance) = (FakeAws::start(World::default()).await, Entrance::new());
    let exporter = format!(
        "awsemf: {{log_group_name: /push, log_stream_name: s, {EAGER_RETRY}, sending_queue: {{queue_size: 3}}}}"
    );
    let mut agent = Agent::with_config(&config(&entrance, None, &exporter)).aws(&aws).own_metrics().start().await;
    let throttled = aws.fault(Fault::throttle("PutLogEvents").always());
    for n in 0..3 {
        push_grpc(&entrance.grpc_url(), numbered(n), None).await.unwrap();
    }
    for _ in 0..4 {
        assert_unavailable(&entrance, "sending queue is full").await;
    }
    let page = agent.metrics().await.unwrap();
    assert_eq!(page.sum("otelcol_receiver_accepted_metric_points", &[]), Some(3.0));
    assert_eq!(page.sum("otelcol_receiver_refused_metric_points", &[("transport", "grpc")]), Some(4.0));
    assert_eq!(page.sum("otelcol_receiver_refused_metric_points", &[("transport", "http")]), Some(4.0));
    aws.clear_fault(throttled);
    tests::wait_for("room in the queue", PATIENCE, async || {
        push_grpc(&entrance.grpc_url(), numbered(3), None).await.ok()
    })
    .await;
    assert!(agent.stop().await.success());
    let mut numbers: Vec<_> = aws.documents().iter().filter_map(|document| document["number"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_pressure_is_unavailable() {
    let (sink, entrance) = (Sink::start().await, Entrance::new());
    // Less than any process has.
    let limiter = "memory_limiter: {check_interval: 100ms, limit_mib: 2}";
    let exporter = format!("otlphttp: {{endpoint: '{}'}}", sink.url());
    let mut agent = Agent::with_config(&config(&entrance, Some(limiter), &exporter)).start().await;
    assert_unavailable(&entrance, "data refused due to high memory usage").await;
    assert!(agent.stop().await.success());
    assert!(sink.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_answers_reaches_the_client_of_a_pipeline_without_queue_and_retry() {
    let (sink, entrance) = (Sink::start().await, Entrance::new());
    let exporter = format!(
        "otlphttp: {{endpoint: '{}', sending_queue: {{enabled: false}}, retry_on_failure: {{enabled: false}}}}",
        sink.url()
    );
    let mut agent = Agent::with_config(&config(&entrance, None, &exporter)).start().await;
    sink.always_reply(Reply::Refuse { status: 429, code: Code::ResourceExhausted, retry_after: Some(17) });
    assert_refused(&entrance, "429", (Code::ResourceExhausted, 429), Some(17)).await;
    // What the client keeps is not called dropped, and the log says what would help.
    agent
        .wait_log(
            "Exporting failed. Rejecting data. Try enabling retry_on_failure config option to retry on retryable errors. \
             Try enabling sending_queue to survive temporary failures.",
        )
        .await;
    assert!(!agent.log().contains("Dropping data"));
    for (status, code, expected) in [
        (400, Code::InvalidArgument, 400),
        (401, Code::Unauthenticated, 401),
        (403, Code::PermissionDenied, 403),
        (404, Code::Unimplemented, 404),
        (500, Code::Unknown, 500),
        (502, Code::Unavailable, 503),
    ] {
        sink.always_reply(Reply::Refuse { status, code, retry_after: None });
        assert_refused(&entrance, &status.to_string(), (code, expected), None).await;
    }
    sink.always_reply(Reply::Take);
    push_grpc(&entrance.grpc_url(), numbered(1), None).await.unwrap();
    assert_eq!(sink.received().len(), 1);
    sink.next_reply(Reply::Partial { rejected: 1, message: "one is bad".to_owned() });
    push_grpc(&entrance.grpc_url(), numbered(2), None).await.unwrap();
    agent.wait_log("Partial success response").await;
    for field in [r#""error_message":"one is bad""#, r#""dropped_data_points":1"#] {
        assert!(agent.log().contains(field), "{}", agent.log());
    }
    assert!(agent.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_and_logs_are_not_taken_and_the_start_says_so() {
    let (sink, entrance) = (Sink::start().await, Entrance::new());
    // ADOT's configurations share the receiver with a pipeline of traces, which is left out with a warning.
    let exporter = format!("otlphttp: {{endpoint: '{}'}}", sink.url());
    let config = config(&entrance, None, &exporter).replace("service:\n", "  awsxray: {}\nservice:\n")
        + "    traces: {receivers: [otlp], exporters: [awsxray]}\n";
    let mut agent = Agent::with_config(&config).start().await;
    assert!(agent.log().contains("traces and logs are answered with unimplemented"), "{}", agent.log());
    for (path, service) in [
        ("traces", "opentelemetry.proto.collector.trace.v1.TraceService"),
        ("logs", "opentelemetry.proto.collector.logs.v1.LogsService"),
    ] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let sending = client.post(format!("{}/v1/{path}", entrance.http_url())).header(PROTOBUF.0, PROTOBUF.1);
        let answer = sending.body(Vec::new()).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.text().await.unwrap(), "404 page not found\n");
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
        let sending = client.post(format!("{}/{service}/Export", entrance.grpc_url()));
        let answer = sending.header("content-type", "application/grpc").body(vec![0; 5]).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["grpc-status"]), (200, &"12".parse().unwrap()));
        let text = answer.headers()["grpc-message"].to_str().unwrap().replace("%20", " ");
        assert_eq!(text, format!("unknown service {service}"));
    }
    let answer = push_body(&entrance.http_url(), &[PROTOBUF], numbered(1).encode_to_vec()).await.unwrap();
    assert_eq!(answer.status, 200);
    wait_until("the metrics", PATIENCE, || (sink.received().len() == 1).then_some(())).await;
    assert!(agent.stop().await.success());
}
