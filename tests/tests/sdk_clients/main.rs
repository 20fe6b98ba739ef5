//! The OpenTelemetry SDKs for Python, JavaScript and Go push to the real binary, and every value of every EMF event is
//! compared. `tests/clients/run.sh` installs the SDKs and runs this; a plain `cargo test` does not.
#![allow(clippy::unwrap_used)]

mod client;
mod expected;
mod observed;

use client::{Language, Push, Temporality};
use expected::expected;
use observed::{Run, now_ms, series};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use tests::fake::{FakeAws, Pki, World};
use tests::{Agent, free_ip};

/// Log group of the exporter with ADOT's defaults: the first value of a cumulative series is dropped.
const PLAIN: &str = "/sdk/plain";
/// Log group of the exporter with `retain_initial_value_of_delta_metric`.
const RETAINED: &str = "/sdk/retained";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sdk_for_python_pushes_becomes_these_values() {
    every_protocol_and_temporality(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sdk_for_javascript_pushes_becomes_these_values() {
    every_protocol_and_temporality(Language::JavaScript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sdk_for_go_pushes_becomes_these_values() {
    every_protocol_and_temporality(Language::Go).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_for_python_pushes_through_tls_with_a_token_and_a_password() {
    tls_and_authentication(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_for_javascript_pushes_through_tls_with_a_token_and_a_password() {
    tls_and_authentication(Language::JavaScript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_for_go_pushes_through_tls_with_a_token_and_a_password() {
    tls_and_authentication(Language::Go).await;
}

async fn every_protocol_and_temporality(language: Language) {
    let story = Story::start("", "").await;
    let mut runs = Vec::new();
    for protocol in language.protocols() {
        for temporality in [Temporality::Cumulative, Temporality::Delta, Temporality::EverythingDelta] {
            let push = Push {
                gzip: temporality == Temporality::Delta,
                ..Push::new(language, protocol, temporality, &story.endpoint("http", protocol))
            };
            runs.push(pushed(&push).await);
        }
    }
    story.end_and_compare(&runs).await;
}

/// gRPC asks for a token, HTTP for a password; both are refused first.
async fn tls_and_authentication(language: Language) {
    let story = Story::start(
        "auth: {authenticator: bearertokenauth}, tls: {cert_file: server.pem, key_file: server.key}",
        "auth: {authenticator: basicauth}, tls: {cert_file: server.pem, key_file: server.key}",
    )
    .await;
    let mut runs = Vec::new();
    // What follows the scheme is written as OTEL_EXPORTER_OTLP_HEADERS wants it; `alice:secret` in base64.
    for (protocol, wrong, right) in [
        ("grpc", "Bearer%20t0ken", "Bearer%20t0k3n"),
        ("http/protobuf", "Basic%20YWxpY2U6c2VjcmV1", "Basic%20YWxpY2U6c2VjcmV0"),
    ] {
        let endpoint = story.endpoint("https", protocol);
        let push = Push::new(language, protocol, Temporality::Cumulative, &endpoint);
        let known = Push { ca: Some(story.ca.clone()), ..push };
        // Had one of these got in, its values would be there twice in the end.
        for push in [known.clone(), Push { authorization: Some(wrong), ..known.clone() }] {
            let output = push.run().await;
            assert!(!output.status.success(), "{push:?} was not refused: {output:?}");
        }
        runs.push(pushed(&Push { authorization: Some(right), ..known }).await);
    }
    story.end_and_compare(&runs).await;
}

async fn pushed(push: &Push) -> Run {
    let begun_ms = now_ms();
    let output = push.run().await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{push:?} failed:\n{out}{err}");
    // Over TLS one of them warns about its own use of Node.js.
    let silent = err.is_empty() || push.ca.is_some();
    assert!(out == "3 exports, 0 failed\n" && silent, "{push:?} said:\n{out}{err}");
    Run { service: push.service(), temporality: push.temporality, begun_ms, ended_ms: now_ms() }
}

/// A running agent that takes OTLP and writes what it gets to two log groups of a scripted AWS.
struct Story {
    aws: FakeAws,
    agent: Agent,
    ip: Ipv4Addr,
    /// The authority that clients have to trust.
    ca: PathBuf,
}

impl Story {
    /// `grpc` and `http` are further settings of the protocols, in flow form.
    async fn start(grpc: &str, http: &str) -> Self {
        let aws = FakeAws::start(World::default()).await;
        let ip = free_ip();
        let config = CONFIG.replace("IP", &ip.to_string()).replace("GRPC", grpc).replace("HTTP", http);
        let pki = Pki::new(&[&ip.to_string()]);
        let agent = Agent::with_config(&config)
            .file("ca.pem", &pki.ca_pem)
            .file("server.pem", &pki.server_cert_pem)
            .file("server.key", &pki.server_key_pem)
            .aws(&aws)
            .start()
            .await;
        let ca = agent.dir().join("ca.pem");
        Self { aws, agent, ip, ca }
    }

    fn endpoint(&self, scheme: &str, protocol: &str) -> String {
        format!("{scheme}://{}:{}", self.ip, if protocol == "grpc" { 4317 } else { 4318 })
    }

    /// Ends the agent, which delivers what it took, and compares what each run left behind.
    async fn end_and_compare(mut self, runs: &[Run]) {
        assert!(self.agent.stop().await.success());
        let events = self.aws.events();
        let ours = |group: &str, run: &Run| {
            events.iter().filter(|e| e.group == group && e.stream == run.service).cloned().collect::<Vec<_>>()
        };
        let mut compared = 0;
        for run in runs {
            for (group, first_is_kept) in [(PLAIN, false), (RETAINED, true)] {
                let events = ours(group, run);
                compared += events.len();
                let found = series(&events, run);
                expected::compare(&expected(run.temporality, first_is_kept), &found, &format!("{group} {run:?}"));
            }
        }
        assert_eq!(compared, events.len(), "there are events that no run explains");
    }
}

const CONFIG: &str = "
extensions:
  bearertokenauth: {token: t0k3n}
  basicauth: {htpasswd: {inline: 'alice:secret'}}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: 'IP:4317', GRPC}
      http: {endpoint: 'IP:4318', HTTP}
exporters:
  awsemf:
    region: us-west-2
    log_group_name: /sdk/plain
    log_stream_name: '{ServiceName}'
    dimension_rollup_option: NoDimensionRollup
  awsemf/retained:
    region: us-west-2
    log_group_name: /sdk/retained
    log_stream_name: '{ServiceName}'
    dimension_rollup_option: NoDimensionRollup
    retain_initial_value_of_delta_metric: true
service:
  extensions: [bearertokenauth, basicauth]
  pipelines:
    metrics: {receivers: [otlp], exporters: [awsemf, awsemf/retained]}
";
