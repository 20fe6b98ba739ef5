//! Exporters that act in a role: credentials come from the scripted STS, and what is sent is signed with them.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use serde_json::json;
use tests::agent::PATIENCE;
use tests::fake::otlp::{Encoding, Sink, push_http};
use tests::fake::world::Role;
use tests::{Agent, FakeAws, World, free_port, wait_until};

const ROLE: &str = "arn:aws:iam::123456789012:role/metrics";

async fn aws() -> FakeAws {
    let mut world = World::default();
    world.roles.insert(ROLE.to_owned(), Role { external_id: Some("shop".to_owned()) });
    FakeAws::start(world).await
}

fn request() -> ExportMetricsServiceRequest {
    serde_json::from_value(json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": format!("{}000000000", now()), "asDouble": 2.5}]}}]}]}]}))
    .unwrap()
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

async fn push(port: u16) {
    let answer = push_http(&format!("http://127.0.0.1:{port}"), &request(), Encoding::Protobuf).await.unwrap();
    assert_eq!(answer.status, 200);
}

/// Pushed metrics, signed for `aps`; `role` is the section `assume_role`.
fn signing(port: u16, sink: &Sink, role: &str) -> String {
    format!(
        "extensions:
  sigv4auth: {{region: us-west-2, service: aps, assume_role: {role}}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{port}}}}}}}
exporters:
  otlphttp: {{endpoint: \"{}\", auth: {{authenticator: sigv4auth}}}}
service:
  extensions: [sigv4auth]
  pipelines:
    metrics: {{receivers: [otlp], exporters: [otlphttp]}}
",
        sink.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_otlphttp_are_signed_with_the_keys_of_the_role() {
    for (role, operation) in [
        (format!("{{arn: \"{ROLE}\", external_id: shop, session_name: agent}}"), "AssumeRole"),
        (format!("{{arn: \"{ROLE}\", web_identity_token_file: token}}"), "AssumeRoleWithWebIdentity"),
    ] {
        let (aws, sink, port) = (aws().await, Sink::start().await, free_port());
        if operation == "AssumeRoleWithWebIdentity" {
            // This operation has no external id.
            aws.change(|world| world.roles.insert(ROLE.to_owned(), Role::default()));
        }
        sink.demand_signatures(&aws, "aps");
        let agent = Agent::with_config(&signing(port, &sink, &role)).aws(&aws).file("token", "identity").start().await;
        for _ in 0..3 {
            push(port).await;
        }
        wait_until("three signed requests", PATIENCE, || (sink.received().len() == 3).then_some(())).await;
        assert_eq!(sink.refused(), 0, "{}", agent.log());
        for received in sink.received() {
            let authorization = received.headers["authorization"].to_str().unwrap();
            assert!(authorization.contains("Credential=ASIAFAKESTS"), "{authorization}");
            assert!(authorization.contains("/us-west-2/aps/aws4_request"), "{authorization}");
            assert!(received.headers.contains_key("x-amz-security-token"));
        }
        let calls = aws.calls_of(operation);
        assert_eq!(calls.len(), 1, "credentials are kept");
        assert_eq!(calls[0].body["RoleArn"], ROLE);
        if operation == "AssumeRole" {
            assert_eq!(
                (&calls[0].body["ExternalId"], &calls[0].body["RoleSessionName"]),
                (&json!("shop"), &json!("agent"))
            );
            assert_eq!(calls[0].signature.as_ref().unwrap().service, "sts");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_given_stops_the_start_of_sigv4auth() {
    let (aws, sink) = (aws().await, Sink::start().await);
    let config = signing(free_port(), &sink, &format!("{{arn: \"{ROLE}\", external_id: other}}"));
    let output = Agent::with_config(&config).aws(&aws).run().await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(log.contains("sigv4auth") && log.contains("could not retrieve credential provider"), "{log}");
    assert!(log.contains("not authorized to perform: sts:AssumeRole"), "{log}");
}

fn to_logs(port: u16, external_id: &str) -> String {
    format!(
        "receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{port}}}}}}}
exporters:
  awsemf:
    region: us-west-2
    namespace: Roles
    log_group_name: /roles
    log_stream_name: s
    role_arn: {ROLE}
    external_id: {external_id}
    retry_on_failure: {{initial_interval: 50ms, max_interval: 200ms}}
service:
  pipelines:
    metrics: {{receivers: [otlp], exporters: [awsemf]}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn awsemf_writes_with_the_keys_of_its_role() {
    let (aws, port) = (aws().await, free_port());
    let mut agent = Agent::with_config(&to_logs(port, "shop")).aws_task(&aws).start().await;
    push(port).await;
    wait_until("an event", PATIENCE, || (!aws.events().is_empty()).then_some(())).await;
    assert!(agent.stop().await.success());
    assert_eq!(aws.documents()[0]["g"], json!(2.5));
    let role = aws.calls_of("AssumeRole");
    assert_eq!((role.len(), &role[0].body["ExternalId"]), (1, &json!("shop")));
    for call in aws.calls_of("PutLogEvents") {
        let key = call.signature.unwrap().access_key;
        assert!(key.starts_with("ASIAFAKESTS"), "{key}");
        assert!(call.headers.contains_key("x-amz-security-token"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn awsemf_waits_for_a_role_that_is_given_later() {
    let (aws, port) = (aws().await, free_port());
    let mut agent = Agent::with_config(&to_logs(port, "other")).aws_task(&aws).start().await;
    push(port).await;
    agent.wait_log("not authorized to perform: sts:AssumeRole").await;
    assert_eq!(aws.count("PutLogEvents"), 0);
    aws.change(|world| world.roles.insert(ROLE.to_owned(), Role::default()));
    wait_until("an event", PATIENCE, || (!aws.events().is_empty()).then_some(())).await;
    assert!(agent.stop().await.success());
    assert_eq!(aws.accepted_events(), 1);
}
