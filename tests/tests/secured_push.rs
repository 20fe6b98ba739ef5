//! Metrics on their way between agents and servers that want to know who is there: TLS, client certificates, tokens,
//! passwords. Everything through the real binary.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use serde_json::json;
use tests::agent::{AgentBuilder, PATIENCE};
use tests::fake::otlp::{Encoding, GRPC_METHOD, Sink, push_http};
use tests::fake::pki::Pki;
use tests::{Agent, free_port, wait_until};

/// bcrypt of `U*U` at the lowest cost, a published test vector.
const USERS: &str = "edge:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
const PASSWORD: &str = "U*U";
const TOKEN: &str = "a-token-that-nobody-may-see";

fn request(value: f64) -> ExportMetricsServiceRequest {
    serde_json::from_value(json!({"resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeMetrics": [{"scope": {"name": "lib"}, "metrics": [
        {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": "1700000000000000000", "asDouble": value}]}}]}]}]}))
    .unwrap()
}

/// The request as it leaves an agent with [`NOTES_USER`].
fn request_of(value: f64, user: &str) -> ExportMetricsServiceRequest {
    let mut request = request(value);
    let user = json!({"key": "user", "value": {"stringValue": user}});
    let attributes = &mut request.resource_metrics[0].resource.as_mut().unwrap().attributes;
    attributes.push(serde_json::from_value(user).unwrap());
    request
}

const NOTES_USER: &str =
    "resource: {attributes: [{key: user, from_context: auth.username, default_value: nobody, action: insert}]}";

/// An agent with all files that the stories name.
fn with_files(config: &str, pki: &Pki) -> AgentBuilder {
    Agent::with_config(config)
        .file("ca.pem", &pki.ca_pem)
        .file("server.pem", &pki.server_cert_pem)
        .file("server.key", &pki.server_key_pem)
        .file("client.pem", &pki.client_cert_pem)
        .file("client.key", &pki.client_key_pem)
        .file("users", USERS)
        .file("token", TOKEN)
        .env("EDGE_PASSWORD", PASSWORD)
}

/// Takes OTLP over gRPC with a client certificate and a password, over HTTP with a token, and hands it on.
fn gateway(grpc: u16, http: u16, to: &Sink) -> String {
    format!(
        "extensions:
  basicauth: {{htpasswd: {{file: users}}}}
  bearertokenauth: {{tokens: [\"an older one\", {TOKEN}]}}
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:{grpc}
        tls: {{cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem}}
        auth: {{authenticator: basicauth}}
      http:
        endpoint: 127.0.0.1:{http}
        tls: {{cert_file: server.pem, key_file: server.key, min_version: \"1.3\"}}
        auth: {{authenticator: bearertokenauth}}
processors:
  {NOTES_USER}
exporters:
  otlphttp: {{endpoint: \"{}\"}}
service:
  extensions: [basicauth, bearertokenauth]
  pipelines:
    metrics: {{receivers: [otlp], processors: [resource], exporters: [otlphttp]}}
",
        to.url()
    )
}

/// Takes OTLP in the clear and hands everything on over both protocols.
fn edge(push: u16, grpc: u16, http: u16, more: &str) -> String {
    format!(
        "extensions:
  basicauth/client: {{client_auth: {{username: edge, password: \"${{env:EDGE_PASSWORD}}\"}}}}
  bearertokenauth: {{filename: token}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{push}}}}}}}
exporters:
  otlp:
    endpoint: 127.0.0.1:{grpc}
    tls: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key}}
    auth: {{authenticator: basicauth/client}}
    {more}
  otlphttp:
    endpoint: https://127.0.0.1:{http}
    tls: {{ca_file: ca.pem}}
    auth: {{authenticator: bearertokenauth}}
    {more}
service:
  extensions: [basicauth/client, bearertokenauth]
  pipelines:
    metrics: {{receivers: [otlp], exporters: [otlp, otlphttp]}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_shows_a_gateway_its_certificate_password_and_token() {
    let (pki, sink) = (Pki::new(&["127.0.0.1"]), Sink::start().await);
    let (push, grpc, http) = (free_port(), free_port(), free_port());
    let mut gateway = with_files(&gateway(grpc, http, &sink), &pki).start().await;
    let mut edge = with_files(&edge(push, grpc, http, ""), &pki).start().await;
    let answer = push_http(&format!("http://127.0.0.1:{push}"), &request(1.5), Encoding::Protobuf).await.unwrap();
    assert_eq!(answer.status, 200);
    wait_until("the request twice at the end", PATIENCE, || (sink.received().len() >= 2).then_some(())).await;
    let mut received: Vec<_> = sink.received().into_iter().map(|received| received.request).collect();
    received.sort_by_key(|received| received != &request_of(1.5, "edge"));
    assert_eq!(received, [request_of(1.5, "edge"), request_of(1.5, "nobody")], "a token names no user");
    for agent in [&mut edge, &mut gateway] {
        assert!(agent.stop().await.success());
        let log = agent.log();
        assert!(!log.contains(TOKEN) && !log.contains(PASSWORD), "{log}");
    }
    assert_eq!(sink.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_turns_away_who_cannot_show_them() {
    let (pki, sink) = (Pki::new(&["127.0.0.1"]), Sink::start().await);
    let (push, grpc, http) = (free_port(), free_port(), free_port());
    let gateway = with_files(&gateway(grpc, http, &sink), &pki).start().await;
    let edge = with_files(&edge(push, grpc, http, ""), &pki)
        .file("token", "another")
        .env("EDGE_PASSWORD", "guessed")
        .start()
        .await;
    push_http(&format!("http://127.0.0.1:{push}"), &request(1.0), Encoding::Json).await.unwrap();
    edge.wait_log("rpc error: code 16: invalid credentials").await;
    edge.wait_log("the server answered HTTP status 401 Unauthorized: provided authorization does not match").await;
    edge.wait_log_times("Exporting failed. Dropping data.", 2).await;
    // Without a certificate there is not even a handshake; without a token there is an answer.
    let ca = reqwest::Certificate::from_pem(pki.ca_pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    assert!(client.post(format!("https://127.0.0.1:{grpc}{GRPC_METHOD}")).send().await.is_err());
    let answer = client
        .post(format!("https://127.0.0.1:{http}/v1/metrics"))
        .header("content-type", "application/json")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    assert!(sink.received().is_empty());
    assert!(!gateway.log().contains(PASSWORD) && !gateway.log().contains("guessed"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_guess_passwords_hold_up_nobody_else() {
    let (sink, push, health) = (Sink::start().await, free_port(), free_port());
    let config = format!(
        "extensions:
  health_check: {{endpoint: 127.0.0.1:{health}}}
  basicauth: {{htpasswd: {{inline: \"slow:{}\\nfast:open\"}}}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{push}, auth: {{authenticator: basicauth}}}}}}}}
processors:
  {NOTES_USER}
exporters:
  otlphttp: {{endpoint: \"{}\"}}
service:
  extensions: [health_check, basicauth]
  pipelines:
    metrics: {{receivers: [otlp], processors: [resource], exporters: [otlphttp]}}
",
        // A hash that takes a while.
        USERS.trim_start_matches("edge:").trim().replace("$05$", "$08$").replace('$', "$$"),
        sink.url()
    );
    let mut agent = Agent::with_config(&config).start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let post = |user: &'static str, password: &'static str| {
        let body = serde_json::to_string(&request(2.5)).unwrap();
        let sending = client.post(format!("http://127.0.0.1:{push}/v1/metrics")).basic_auth(user, Some(password));
        let sending = sending.header("content-type", "application/json").body(body).send();
        let answered = answered.clone();
        async move {
            let status = sending.await.unwrap().status().as_u16();
            answered.fetch_add(1, Relaxed);
            status
        }
    };
    let guesses: Vec<_> = (0..40).map(|_| tokio::spawn(post("slow", "guess"))).collect();
    wait_until("a first guess", PATIENCE, || (answered.load(Relaxed) > 0).then_some(())).await;
    let before = answered.load(Relaxed);
    for _ in 0..3 {
        let page = client.get(format!("http://127.0.0.1:{health}/")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert_eq!(post("fast", "open").await, 200);
    }
    // Three answers are those to the other user; the guesses still wait for their turns.
    let meanwhile = answered.load(Relaxed) - before - 3;
    assert!(meanwhile < 10, "{meanwhile} guesses were answered before");
    for guess in guesses {
        let status = guess.await.unwrap();
        assert!(status == 401 || status == 503, "{status}");
    }
    assert!(agent.stop().await.success());
    let received: Vec<_> = sink.received().into_iter().map(|received| received.request).collect();
    assert_eq!(received, vec![request_of(2.5, "fast"); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_certificates_of_their_own_authority_get_what_was_pushed() {
    let pki = Pki::new(&["127.0.0.1", "collector.test"]);
    let mutual = Sink::start_tls(pki.server_config(true)).await;
    let named = Sink::start_tls(pki.server_config_for_name("collector.test")).await;
    let push = free_port();
    let config = format!(
        "receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{push}}}}}}}
exporters:
  otlp: {{endpoint: \"127.0.0.1:{}\", tls: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key}}, compression: zstd}}
  otlphttp:
    endpoint: https://127.0.0.1:{}
    encoding: json
    tls: {{ca_file: ca.pem, server_name_override: collector.test, curve_preferences: [X25519], min_version: \"1.3\"}}
service:
  pipelines:
    metrics: {{receivers: [otlp], exporters: [otlp, otlphttp]}}
",
        mutual.port(),
        named.port()
    );
    let mut agent = with_files(&config, &pki).start().await;
    for value in [1.0, 2.0] {
        push_http(&format!("http://127.0.0.1:{push}"), &request(value), Encoding::Protobuf).await.unwrap();
    }
    assert!(agent.stop().await.success());
    for sink in [&mutual, &named] {
        let mut received: Vec<_> = sink.received().into_iter().map(|received| received.request).collect();
        received.sort_by_key(|received| received != &request(1.0));
        assert_eq!(received, [request(1.0), request(2.0)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_server_gets_nothing_and_the_log_says_why() {
    let (pki, other) = (Pki::new(&["127.0.0.1"]), Pki::new(&["127.0.0.1"]));
    let (grpc, http) =
        (Sink::start_tls(other.server_config(false)).await, Sink::start_tls(other.server_config(false)).await);
    let push = free_port();
    let config = edge(
        push,
        grpc.port(),
        http.port(),
        "retry_on_failure: {initial_interval: 50ms, max_interval: 200ms, max_elapsed_time: 1s}",
    );
    let mut agent = with_files(&config, &pki).start().await;
    push_http(&format!("http://127.0.0.1:{push}"), &request(1.0), Encoding::Protobuf).await.unwrap();
    agent.wait_log_times("Exporting failed. Dropping data.", 2).await;
    agent.wait_log("invalid peer certificate").await;
    assert!(agent.stop().await.success());
    assert!(grpc.received().is_empty() && http.received().is_empty());
}
