//! TLS, client certificates, reload, authentication and what a browser may do.

use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use proto::BuildContext;
use proto::auth::{AuthOffer, AuthOffers, Check, Denied, ServerAuth};
use proto::otlp::RpcStatus;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::{Running, request, start, start_with};

const PROTOBUF: &str = "application/x-protobuf";

/// An authority and what it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key as PEM.
    fn sign(&self, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write_server(&self, to: &Path) {
        let (cert, key) = self.sign(ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(to.join("cert.pem"), cert).unwrap();
        std::fs::write(to.join("key.pem"), key).unwrap();
    }
}

fn client(authority: &Authority, identity: Option<(String, String)>) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
    if let Some((cert, key)) = identity {
        builder = builder.identity(reqwest::Identity::from_pem(format!("{cert}{key}").as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

async fn push(client: &reqwest::Client, to: &Running) -> Result<reqwest::Response, reqwest::Error> {
    let url = format!("https://localhost:{}/v1/metrics", to.http);
    client.post(url).header("content-type", PROTOBUF).body(request(1)).send().await
}

#[tokio::test]
async fn tls_serves_http2_to_those_who_trust_the_certificate() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(dir.path());
    let tls = format!("{{cert_file: {0}/cert.pem, key_file: {0}/key.pem}}", dir.path().display());
    let to = start(&format!(
        "protocols: {{http: {{endpoint: \"localhost:HTTP\", tls: {tls}}}, grpc: {{endpoint: \"localhost:GRPC\", tls: {tls}}}}}"
    ))
    .await;
    let trusting = client(&authority, None);
    let answer = push(&trusting, &to).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    assert!(push(&client(&Authority::new(), None), &to).await.is_err());
    let frame = [&[0, 0, 0, 0, 0][..], &[]].concat();
    let url = format!("https://localhost:{}/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", to.grpc);
    let answer = trusting.post(url).header("content-type", "application/grpc").body(frame).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.bytes().await.unwrap()[..]), (200, &[0, 0, 0, 0, 2, 10, 0][..]));
    // Cleartext on a TLS port is nobody's request.
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(format!("http://localhost:{}/v1/metrics", to.http)).send().await.is_err());
    assert_eq!(to.points(), 1);
    to.finish().await;
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_may_come() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write_server(dir.path());
    std::fs::write(dir.path().join("ca.pem"), &authority.pem).unwrap();
    let tls = "{cert_file: D/cert.pem, key_file: D/key.pem, client_ca_file: D/ca.pem, min_version: \"1.3\"}"
        .replace('D', &dir.path().display().to_string());
    let to = start(&format!("protocols: {{http: {{endpoint: \"localhost:HTTP\", tls: {tls}}}}}")).await;
    let known = client(&authority, Some(authority.sign(ExtendedKeyUsagePurpose::ClientAuth)));
    assert_eq!(push(&known, &to).await.unwrap().status(), 200);
    let stranger = client(&authority, Some(Authority::new().sign(ExtendedKeyUsagePurpose::ClientAuth)));
    assert!(push(&stranger, &to).await.is_err());
    assert!(push(&client(&authority, None), &to).await.is_err());
    assert_eq!(to.points(), 1);
}

#[tokio::test]
async fn certificates_are_read_again_after_the_interval_and_bad_ones_are_not_taken() {
    let (old, new, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    old.write_server(dir.path());
    let tls = "{cert_file: D/cert.pem, key_file: D/key.pem, reload_interval: 1ns}"
        .replace('D', &dir.path().display().to_string());
    let to = start(&format!("protocols: {{http: {{endpoint: \"localhost:HTTP\", tls: {tls}}}}}")).await;
    assert_eq!(push(&client(&old, None), &to).await.unwrap().status(), 200);
    std::fs::write(dir.path().join("cert.pem"), "nonsense").unwrap();
    assert_eq!(push(&client(&old, None), &to).await.unwrap().status(), 200);
    new.write_server(dir.path());
    assert_eq!(push(&client(&new, None), &to).await.unwrap().status(), 200);
    assert!(push(&client(&old, None), &to).await.is_err());
    assert_eq!(to.points(), 3);
}

#[tokio::test]
async fn client_authorities_are_read_again_when_their_file_changes() {
    let (old, new, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    old.write_server(dir.path());
    std::fs::write(dir.path().join("ca.pem"), &old.pem).unwrap();
    let tls = "{cert_file: D/cert.pem, key_file: D/key.pem, client_ca_file: D/ca.pem, client_ca_file_reload: true}"
        .replace('D', &dir.path().display().to_string());
    let to = start(&format!("protocols: {{http: {{endpoint: \"localhost:HTTP\", tls: {tls}}}}}")).await;
    let of_new = || client(&old, Some(new.sign(ExtendedKeyUsagePurpose::ClientAuth)));
    assert!(push(&of_new(), &to).await.is_err());
    let file = std::fs::File::create(dir.path().join("ca.pem")).unwrap();
    std::io::Write::write_all(&mut &file, new.pem.as_bytes()).unwrap();
    // A second later than before, whatever the file system's clock resolves.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(2);
    file.set_modified(later).unwrap();
    assert_eq!(push(&of_new(), &to).await.unwrap().status(), 200);
}

#[tokio::test]
async fn unreadable_certificates_stop_the_start_and_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty.pem"), "").unwrap();
    let path = dir.path().display();
    for (tls, expected) in [
        (
            format!("{{cert_file: {path}/none, key_file: {path}/none}}"),
            format!("cannot read {path}/none: No such file"),
        ),
        (
            format!("{{cert_file: {path}/empty.pem, key_file: {path}/empty.pem}}"),
            format!("no certificate in cert_file {path}/empty.pem"),
        ),
    ] {
        let text = format!("protocols: {{http: {{endpoint: \"localhost:0\", tls: {tls}}}}}");
        let (node, _) = config::parse_yaml("test.yaml", &text);
        let (receiver, found) = (super::FACTORY.build)(&node.unwrap(), &BuildContext::for_test("otlp"));
        assert_eq!(found, []);
        let never = proto::Next::new(|_| -> proto::BoxFuture<'static, Result<(), proto::Refusal>> { unreachable!() });
        let error = receiver.unwrap().start(never, proto::Stop::new()).await.err().unwrap();
        assert!(error.starts_with(&expected), "{error}");
    }
}

/// Lets in who shows the right header.
struct Doorman;

impl ServerAuth for Doorman {
    fn authenticate(&self, headers: &HeaderMap) -> Check<'_> {
        match headers.get("x-key").map(|v| v.as_bytes()) {
            Some(b"open sesame") => Check::Later(Box::pin(async { Ok(None) })),
            Some(b"knock knock") => Check::Done(Err(Denied::Busy("too many visitors".to_owned()))),
            _ => Check::Done(Err(Denied::Unauthenticated("missing or wrong key".to_owned()))),
        }
    }
}

fn with_doorman() -> BuildContext {
    let offer = AuthOffer { server: Some(Arc::new(Doorman)), client: None };
    let auth: AuthOffers = [("doorman/1".to_owned(), offer), ("client".to_owned(), AuthOffer::default())].into();
    BuildContext { auth: Arc::new(auth), ..BuildContext::for_test("otlp") }
}

#[tokio::test]
async fn only_who_is_authenticated_may_push_over_http() {
    let config =
        "protocols: {http: {endpoint: \"localhost:HTTP\", auth: {authenticator: doorman/1, request_params: [x-key]}}}";
    let to = start_with(config, with_doorman()).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://localhost:{}/v1/metrics", to.http);
    let post = |url: &str| client.post(url).header("content-type", PROTOBUF).body(request(1));
    let answer = post(&url).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let status = RpcStatus::decode(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!((status.code, status.message.as_str()), (16, "missing or wrong key"));
    assert_eq!(post(&url).header("x-key", "open sesame").send().await.unwrap().status(), 200);
    assert_eq!(post(&format!("{url}?a=b&x-key=open+ses%61me")).send().await.unwrap().status(), 200);
    assert_eq!(post(&format!("{url}?x-key=shut")).send().await.unwrap().status(), 401);
    let answer = post(&url).header("x-key", "knock knock").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(RpcStatus::decode(&answer.bytes().await.unwrap()).unwrap().code, 14);
    assert_eq!(to.points(), 2);
}

#[tokio::test]
async fn only_who_is_authenticated_may_push_over_grpc() {
    let config = "protocols: {grpc: {endpoint: \"localhost:GRPC\", auth: {authenticator: doorman/1}}}";
    let to = start_with(config, with_doorman()).await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = format!("http://localhost:{}/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", to.grpc);
    let post = || client.post(&url).header("content-type", "application/grpc").body(vec![0u8; 5]);
    let answer = post().send().await.unwrap();
    assert_eq!(answer.headers().get("grpc-status").unwrap(), "16");
    assert_eq!(answer.headers().get("grpc-message").unwrap(), "missing%20or%20wrong%20key");
    let answer = post().header("x-key", "knock knock").send().await.unwrap();
    assert_eq!(answer.headers().get("grpc-status").unwrap(), "14");
    assert!(post().header("x-key", "open sesame").send().await.unwrap().headers().get("grpc-status").is_none());
}

#[test]
fn an_extension_that_only_signs_cannot_guard_a_receiver() {
    let (node, _) = config::parse_yaml("test.yaml", "protocols: {grpc: {auth: {authenticator: client}}}");
    let (_, found) = (super::FACTORY.build)(&node.unwrap(), &with_doorman());
    assert!(found[0].to_string().contains("extension \"client\" cannot authenticate incoming requests"));
}

#[tokio::test]
async fn pages_of_allowed_origins_may_ask_and_push() {
    let cors = "{allowed_origins: [\"https://*.example.com\"], allowed_headers: [X-Tenant], exposed_headers: [x-a], max_age: 60}";
    let to = start(&format!("protocols: {{http: {{endpoint: \"localhost:HTTP\", cors: {cors}}}}}")).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://localhost:{}/v1/metrics", to.http);
    let ask = |origin: &str, headers: &str| {
        client
            .request(reqwest::Method::OPTIONS, &url)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", headers)
            .send()
    };
    let header = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let answer = ask("https://shop.example.com", "content-type, x-tenant").await.unwrap();
    assert_eq!(answer.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://shop.example.com"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type, x-tenant"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "60"),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    ] {
        assert_eq!(header(&answer, name), value, "{name}");
    }
    for (origin, headers) in [("https://example.org", "content-type"), ("https://shop.example.com", "x-other")] {
        let answer = ask(origin, headers).await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (204, String::new()));
    }
    let push = |origin: &'static str| {
        client.post(&url).header("origin", origin).header("content-type", PROTOBUF).body(request(1)).send()
    };
    let answer = push("https://shop.example.com").await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://shop.example.com");
    assert_eq!(header(&answer, "access-control-expose-headers"), "x-a");
    let answer = push("https://example.org").await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (200, String::new()));
}
