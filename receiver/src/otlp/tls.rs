//! TLS of our listeners: certificates, client authorities, versions and suites; read again when they change.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use config::types::tls::{Common, ServerTls, Version};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::listen::Socket;

/// TLS of one listener.
pub(super) struct Tls {
    settings: ServerTls,
    alpn: Vec<Vec<u8>>,
    current: ArcSwap<ServerConfig>,
    reload: Mutex<Reload>,
}

struct Reload {
    read_at: Instant,
    client_ca_changed: Option<SystemTime>,
}

impl Tls {
    /// Reads everything. `alpn` lists the protocols on offer, preferred ones first.
    ///
    /// # Errors
    /// What could not be read or used, naming the file.
    pub(super) fn new(settings: &ServerTls, alpn: &[&str]) -> Result<Tls, String> {
        let alpn: Vec<_> = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let current = server_config(settings, &alpn)?;
        let reload = Reload { read_at: Instant::now(), client_ca_changed: changed(&settings.client_ca_file) };
        Ok(Tls {
            settings: settings.clone(),
            alpn,
            current: ArcSwap::from_pointee(current),
            reload: Mutex::new(reload),
        })
    }

    /// Shakes hands, with certificates that are read again when it is time.
    pub(super) async fn accept(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        self.refresh().await;
        TlsAcceptor::from(self.current.load_full()).accept(socket).await
    }

    async fn refresh(&self) {
        let interval = self.settings.common.reload_interval;
        let watches_ca = self.settings.client_ca_file_reload && !self.settings.client_ca_file.is_empty();
        if interval.is_zero() && !watches_ca {
            return;
        }
        // Whoever comes while another reads goes on with what is there.
        let Ok(mut reload) = self.reload.try_lock() else { return };
        let client_ca_changed = if watches_ca { changed(&self.settings.client_ca_file) } else { None };
        let due = !interval.is_zero() && reload.read_at.elapsed() >= interval.to_std();
        if !due && (!watches_ca || client_ca_changed == reload.client_ca_changed) {
            return;
        }
        *reload = Reload { read_at: Instant::now(), client_ca_changed };
        match server_config(&self.settings, &self.alpn) {
            Ok(config) => self.current.store(Arc::new(config)),
            Err(error) => tracing::warn!("{error}; the certificates read before stay in use"),
        }
    }
}

fn changed(path: &str) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

fn server_config(settings: &ServerTls, alpn: &[Vec<u8>]) -> Result<ServerConfig, String> {
    let common = &settings.common;
    let provider = Arc::new(provider(common)?);
    let (min, max) = common.versions();
    let versions: Vec<_> = [(Version::V1_2, &rustls::version::TLS12), (Version::V1_3, &rustls::version::TLS13)]
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, version)| version)
        .collect();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|e| format!("the TLS versions and cipher suites do not go together: {e}"))?;
    let builder = if settings.client_ca_file.is_empty() {
        builder.with_no_client_auth()
    } else {
        let path = &settings.client_ca_file.value;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, &read(path)?)? {
            roots.add(certificate).map_err(|e| format!("cannot use client_ca_file {path}: {e}"))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder
            .with_client_cert_verifier(verifier.build().map_err(|e| format!("cannot use client_ca_file {path}: {e}"))?)
    };
    let (cert_name, cert) = source("cert_file", &common.cert_file, "cert_pem", common.cert_pem.expose())?;
    let (key_name, key) = source("key_file", &common.key_file, "key_pem", common.key_pem.expose())?;
    let chain = certificates(&cert_name, &cert)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| format!("no private key in {key_name}: {e}"))?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|e| format!("cannot use the certificate in {cert_name} with the key in {key_name}: {e}"))?;
    config.alpn_protocols = alpn.to_vec();
    Ok(config)
}

/// The library's suites and groups, or those of them that the settings name.
fn provider(common: &Common) -> Result<CryptoProvider, String> {
    let mut provider = aws_lc_rs::default_provider();
    if !common.cipher_suites.is_empty() {
        let named: Vec<_> = common.cipher_suites.iter().map(|s| s.value.clone()).collect();
        // As in Go, the names choose among the suites of TLS 1.2; those of 1.3 stay.
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            name.starts_with("TLS13_") || named.contains(&name)
        });
    }
    if !common.curve_preferences.is_empty() {
        let known = provider.kx_groups.clone();
        let find = |name: &str| known.iter().copied().find(|g| go_curve_name(&format!("{:?}", g.name())) == name);
        provider.kx_groups = common.curve_preferences.iter().filter_map(|name| find(name)).collect();
    }
    Ok(provider)
}

/// Go's name of a key exchange group.
fn go_curve_name(group: &str) -> &str {
    match group {
        "secp256r1" => "P256",
        "secp384r1" => "P384",
        "secp521r1" => "P521",
        other => other,
    }
}

fn source(file_key: &str, file: &str, pem_key: &str, pem: &str) -> Result<(String, Vec<u8>), String> {
    if file.is_empty() { Ok((pem_key.to_owned(), pem.into())) } else { Ok((format!("{file_key} {file}"), read(file)?)) }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("cannot read {path}: {e}"))
}

fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("no certificate in {name}")),
        found => found.map_err(|e| format!("no certificate in {name}: {e}")),
    }
}
