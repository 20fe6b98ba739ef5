//! Exporters behind an HTTP proxy of the environment: TLS goes through a tunnel to the name of the server, the own host
//! is reached without it.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tests::agent::PATIENCE;
use tests::fake::otlp::{Encoding, Sink, push_http};
use tests::fake::pki::Pki;
use tests::net::any_port;
use tests::{Agent, free_port, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that knows every name as this host. Records the first line of every request.
struct Proxy {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Proxy {
        let listener = TcpListener::bind(any_port()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, record.clone()));
            }
        });
        Proxy { url, seen }
    }

    fn seen(&self) -> Vec<String> {
        let mut seen = self.seen.lock().unwrap().clone();
        seen.sort();
        seen.dedup();
        seen
    }
}

async fn tunnel(mut client: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let first = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    seen.lock().unwrap().push(first.clone());
    let port = first.split_whitespace().nth(1).and_then(|place| place.rsplit_once(':')?.1.parse::<u16>().ok());
    let Some(port) = port.filter(|_| first.starts_with("CONNECT ")) else { return };
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        copy_bidirectional(&mut client, &mut server).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_elsewhere_are_reached_through_the_proxy_and_the_own_host_without_it() {
    let pki = Pki::new(&["collector.test"]);
    let (grpc, http) =
        (Sink::start_tls(pki.server_config(false)).await, Sink::start_tls(pki.server_config(false)).await);
    let (own, proxy, push) = (Sink::start().await, Proxy::start().await, free_port());
    let config = format!(
        "receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{push}}}}}}}
exporters:
  otlp: {{endpoint: \"collector.test:{}\", tls: {{ca_file: ca.pem}}}}
  # A certificate for another name than that of the host.
  otlphttp: {{endpoint: \"https://elsewhere.test:{}\", tls: {{ca_file: ca.pem, server_name_override: collector.test}}}}
  otlphttp/own: {{endpoint: \"{}\"}}
  otlp/own: {{endpoint: \"localhost:{}\", tls: {{insecure: true}}}}
service:
  pipelines:
    metrics: {{receivers: [otlp], exporters: [otlp, otlphttp, otlphttp/own, otlp/own]}}
",
        grpc.port(),
        http.port(),
        own.url(),
        own.port()
    );
    let agent = Agent::with_config(&config)
        .file("ca.pem", &pki.ca_pem)
        .env("HTTPS_PROXY", &proxy.url)
        .env("HTTP_PROXY", &proxy.url)
        .start()
        .await;
    let request: ExportMetricsServiceRequest = serde_json::from_value(json!({"resourceMetrics": [{"scopeMetrics": [
        {"metrics": [{"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": "1", "asInt": "1"}]}}]}]}]}))
    .unwrap();
    push_http(&format!("http://127.0.0.1:{push}"), &request, Encoding::Protobuf).await.unwrap();
    for (sink, requests) in [(&grpc, 1), (&http, 1), (&own, 2)] {
        let arrived = || (sink.received().len() == requests).then_some(());
        wait_until("the requests at a server", PATIENCE, arrived).await;
    }
    let mut expected = [
        format!("CONNECT collector.test:{} HTTP/1.1", grpc.port()),
        format!("CONNECT elsewhere.test:{} HTTP/1.1", http.port()),
    ];
    expected.sort();
    assert_eq!(proxy.seen(), expected, "{}", agent.log());
}
