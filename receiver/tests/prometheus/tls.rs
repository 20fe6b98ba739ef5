//! Scraping over TLS: who is trusted, under which name, with which certificate of our own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::support::{start, up};

struct Pki {
    ca: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Pki {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        Pki { ca, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A target with a certificate for `name`; with `mutual` it wants one of this authority from us.
    async fn serve(&self, name: &str, mutual: bool) -> u16 {
        let (cert, key) = self.sign(name, ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match mutual {
            true => builder.unwrap().with_client_cert_verifier(clients.build().unwrap()),
            false => builder.unwrap().with_no_client_auth(),
        };
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut buffer = [0; 4096];
                    if stream.read(&mut buffer).await.is_ok_and(|size| size > 0) {
                        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\na 1\n";
                        stream.write_all(answer.as_bytes()).await.ok();
                        stream.shutdown().await.ok();
                    }
                });
            }
        });
        port
    }
}

async fn scrape(target: &str, tls: &str) -> f64 {
    let mut receiver = start(&format!(
        "scrape_configs:\n- job_name: j\n  scheme: https\n  scrape_interval: 1s\n  tls_config: {tls}\n  static_configs: [{{targets: ['{target}']}}]\n"
    ))
    .await;
    let up = up(&receiver.batch().await);
    receiver.stop().await;
    up
}

#[tokio::test]
async fn certificates_are_verified_for_the_host_or_the_server_name() {
    let (pki, other) = (Pki::new(), Pki::new());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("ca.pem"), &pki.ca).unwrap();
    std::fs::write(path("other.pem"), &other.ca).unwrap();
    let (ca, wrong) = (path("ca.pem"), path("other.pem"));
    let host = format!("localhost:{}", pki.serve("localhost", false).await);
    let named = format!("127.0.0.1:{}", pki.serve("metrics.test", false).await);
    for (target, tls, expected) in [
        (&host, format!("{{ca_file: '{ca}'}}"), 1.0),
        (&host, format!("{{ca_file: '{wrong}'}}"), 0.0),
        (&host, "{}".to_owned(), 0.0),
        (&host, "{insecure_skip_verify: true}".to_owned(), 1.0),
        (&named, format!("{{ca_file: '{ca}'}}"), 0.0),
        (&named, format!("{{ca_file: '{ca}', server_name: metrics.test}}"), 1.0),
        (&named, format!("{{ca_file: '{ca}', server_name: other.test}}"), 0.0),
        (&named, format!("{{ca_file: '{wrong}', server_name: metrics.test}}"), 0.0),
    ] {
        assert_eq!(scrape(target, &tls).await, expected, "{target} {tls}");
    }
}

#[tokio::test]
async fn a_target_that_wants_a_certificate_gets_it() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = pki.sign("agent", ExtendedKeyUsagePurpose::ClientAuth);
    for (name, text) in [("ca.pem", &pki.ca), ("cert.pem", &cert), ("key.pem", &key)] {
        std::fs::write(path(name), text).unwrap();
    }
    let target = format!("localhost:{}", pki.serve("localhost", true).await);
    let identity = format!("cert_file: '{}', key_file: '{}'", path("cert.pem"), path("key.pem"));
    let ca = path("ca.pem");
    assert_eq!(scrape(&target, &format!("{{ca_file: '{ca}', {identity}}}")).await, 1.0);
    assert_eq!(scrape(&target, &format!("{{ca_file: '{ca}', server_name: localhost, {identity}}}")).await, 1.0);
    assert_eq!(scrape(&target, &format!("{{ca_file: '{ca}'}}")).await, 0.0);
}
