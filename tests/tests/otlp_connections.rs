//! How the `otlp` and `otlphttp` exporters connect: TLS and the names in it, waiting for a server, limits.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use exporter::{ExporterFactory, ExporterNode, otlp};
use proto::{Batch, BuildContext};
use tests::fake::otlp::{Reply, Sink};
use tests::fake::pki::Pki;
use tests::wait_until;

fn batch() -> Arc<Batch> {
    let request = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1","asInt":"1"}]}}]}]}]}"#;
    Arc::new(proto::otlp::decode_json(request.as_bytes()).unwrap())
}

async fn built(factory: &ExporterFactory, text: &str) -> Box<dyn ExporterNode> {
    let (node, _) = config::parse_yaml("test.yaml", text);
    let (node, found) = (factory.build)(&node.unwrap(), &BuildContext::for_test("otlp"));
    let node = node.unwrap_or_else(|| panic!("{found:?}"));
    node.start().await.unwrap();
    node
}

const ONE_ATTEMPT: &str = "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";

/// Exports one batch with one attempt.
async fn export(factory: &ExporterFactory, text: &str) -> Result<(), String> {
    let node = built(factory, &format!("{{{ONE_ATTEMPT}, {text}}}")).await;
    let result = node.export(batch()).await.map_err(|refusal| refusal.reason.to_string());
    node.shutdown(Duration::from_secs(5)).await;
    result
}

/// The endpoint of either exporter.
fn endpoint(factory: &ExporterFactory, host: &str, sink: &Sink) -> String {
    match factory.kind {
        "otlp" => format!("endpoint: \"{host}:{}\"", sink.port()),
        _ => format!("endpoint: \"https://{host}:{}\"", sink.port()),
    }
}

const BOTH: [&ExporterFactory; 2] = [&otlp::FACTORY, &otlp::HTTP_FACTORY];

#[tokio::test]
async fn a_server_is_trusted_through_its_authority_and_may_want_a_certificate() {
    let (pki, other) = (Pki::new(&["127.0.0.1"]), Pki::new(&["127.0.0.1"]));
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    for (name, text) in [
        ("ca.pem", &pki.ca_pem),
        ("other.pem", &other.ca_pem),
        ("cert.pem", &pki.client_cert_pem),
        ("key.pem", &pki.client_key_pem),
        ("strange_cert.pem", &other.client_cert_pem),
        ("strange_key.pem", &other.client_key_pem),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    let (open, mutual) =
        (Sink::start_tls(pki.server_config(false)).await, Sink::start_tls(pki.server_config(true)).await);
    let (ca, cert, key) = (path("ca.pem"), path("cert.pem"), path("key.pem"));
    let (strange_cert, strange_key) = (path("strange_cert.pem"), path("strange_key.pem"));
    let inline = |pem: &str| serde_json::to_string(pem).unwrap();
    for factory in BOTH {
        for (sink, tls, arrives) in [
            (&open, format!("{{ca_file: {ca}}}"), true),
            (&open, format!("{{ca_pem: {}}}", inline(&pki.ca_pem)), true),
            (&open, format!("{{ca_file: {ca}, include_system_ca_certs_pool: true}}"), true),
            (&open, format!("{{ca_file: {ca}, max_version: \"1.2\", curve_preferences: [P384]}}"), true),
            (&open, format!("{{ca_file: {}}}", path("other.pem")), false),
            (&open, format!("{{ca_file: {}, insecure_skip_verify: true}}", path("other.pem")), true),
            // The key is of the other kind.
            (
                &open,
                format!(
                    "{{ca_file: {ca}, max_version: \"1.2\", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}}"
                ),
                false,
            ),
            (&mutual, format!("{{ca_file: {ca}, cert_file: {cert}, key_file: {key}, reload_interval: 1s}}"), true),
            (
                &mutual,
                format!(
                    "{{ca_file: {ca}, cert_pem: {}, key_pem: {}}}",
                    inline(&pki.client_cert_pem),
                    inline(&pki.client_key_pem)
                ),
                true,
            ),
            (&mutual, format!("{{ca_file: {ca}}}"), false),
            (&mutual, format!("{{ca_file: {ca}, cert_file: {strange_cert}, key_file: {strange_key}}}"), false),
        ] {
            let before = sink.received().len();
            let text = format!("{}, tls: {tls}", endpoint(factory, "127.0.0.1", sink));
            let result = export(factory, &text).await;
            assert_eq!(result.is_ok(), arrives, "{} {tls}: {result:?}", factory.kind);
            assert_eq!(sink.received().len() - before, usize::from(arrives));
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_by_another_name_is_asked_for_by_it() {
    let pki = Pki::new(&["collector.test"]);
    let sink = Sink::start_tls(pki.server_config_for_name("collector.test")).await;
    let ca = serde_json::to_string(&pki.ca_pem).unwrap();
    for factory in BOTH {
        let endpoint = endpoint(factory, "127.0.0.1", &sink);
        for (tls, arrives) in [
            (format!("{{ca_pem: {ca}, server_name_override: collector.test}}"), true),
            (format!("{{ca_pem: {ca}, server_name_override: other.test}}"), false),
            (format!("{{ca_pem: {ca}}}"), false),
        ] {
            let result = export(factory, &format!("{endpoint}, tls: {tls}")).await;
            assert_eq!(result.is_ok(), arrives, "{} {tls}: {result:?}", factory.kind);
        }
        // grpc-go takes the name over as authority, Go's HTTP client keeps the host.
        let expected = match factory.kind {
            "otlp" => "collector.test".to_owned(),
            _ => format!("127.0.0.1:{}", sink.port()),
        };
        assert_eq!(sink.received().pop().unwrap().authority, expected);
    }
    let text = format!("endpoint: \"127.0.0.1:{}\", authority: collector.test, tls: {{ca_pem: {ca}}}", sink.port());
    export(&otlp::FACTORY, &text).await.unwrap();
    assert_eq!(sink.received().len(), 3);
}

#[tokio::test]
async fn authority_is_what_requests_say() {
    let sink = Sink::start().await;
    for host in ["127.0.0.1", "localhost"] {
        let text = format!("endpoint: \"{host}:{}\", authority: shop.example, tls: {{insecure: true}}", sink.port());
        export(&otlp::FACTORY, &text).await.unwrap();
        assert_eq!(sink.received().pop().unwrap().authority, "shop.example");
    }
    for balancer in ["round_robin", "pick_first"] {
        let text =
            format!("endpoint: \"localhost:{}\", balancer_name: {balancer}, tls: {{insecure: true}}", sink.port());
        export(&otlp::FACTORY, &text).await.unwrap();
        assert_eq!(sink.received().pop().unwrap().authority, format!("localhost:{}", sink.port()));
    }
}

#[tokio::test]
async fn with_wait_for_ready_one_attempt_waits_for_the_server() {
    let sink = Sink::start().await;
    sink.pause();
    let text = |wait: bool| {
        format!(
            "endpoint: \"127.0.0.1:{}\", timeout: 20s, wait_for_ready: {wait}, tls: {{insecure: true}}",
            sink.port()
        )
    };
    assert!(export(&otlp::FACTORY, &text(false)).await.is_err());
    let text = text(true);
    let waiting = export(&otlp::FACTORY, &text);
    let (result, ()) = tokio::join!(waiting, async {
        // Long enough for a first try; a later start of the server only makes the test slower.
        tokio::time::sleep(Duration::from_millis(200)).await;
        sink.resume().await;
    });
    result.unwrap();
    assert_eq!(sink.received().len(), 1);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_connections_are_allowed() {
    let sink = Sink::start().await;
    sink.always_reply(Reply::Slow(Duration::from_millis(200)));
    let node = built(&otlp::HTTP_FACTORY, &format!("{{endpoint: \"{}\", max_conns_per_host: 1}}", sink.url())).await;
    let started = Instant::now();
    for _ in 0..3 {
        node.export(batch()).await.unwrap();
    }
    let all = || (sink.received().len() == 3).then_some(());
    wait_until("three requests at the peer", Duration::from_secs(20), all).await;
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
    node.shutdown(Duration::from_secs(5)).await;
}
