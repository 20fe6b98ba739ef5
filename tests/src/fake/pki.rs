//! Throw-away certificates: an authority, a server and a client under it. Made anew in every process.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ResolvesServerCertUsingSni, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// An authority that tests trust, and two pairs of certificate and key that it signed. All texts are PEM.
pub struct Pki {
    /// The authority's certificate: a client's `ca_file`.
    pub ca_pem: String,
    /// The server's certificate, for `localhost` and every name or address given to [`Pki::new`].
    pub server_cert_pem: String,
    /// The server's private key.
    pub server_key_pem: String,
    /// A client's certificate, common name `client`.
    pub client_cert_pem: String,
    /// A client's private key.
    pub client_key_pem: String,
    ca_der: CertificateDer<'static>,
    server_der: CertificateDer<'static>,
    server_key_der: Vec<u8>,
}

impl Pki {
    /// Makes all certificates; `names` are host names or IP addresses that the server's is valid for.
    ///
    /// # Panics
    /// When a name is not a host name or IP address.
    pub fn new(names: &[&str]) -> Self {
        let mut ca = CertificateParams::new(Vec::new()).expect("no names are valid names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Strict clients (Python since 3.13) demand this and the key identifiers.
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name.push(DnType::CommonName, "test authority");
        let ca_key = KeyPair::generate().expect("a key pair");
        let ca_cert = ca.self_signed(&ca_key).expect("a self-signed authority");
        let issuer = Issuer::new(ca, ca_key);

        let sign = |names: Vec<String>, common_name: &str, usage: ExtendedKeyUsagePurpose| {
            let mut params = CertificateParams::new(names).expect("host names or addresses");
            params.distinguished_name.push(DnType::CommonName, common_name);
            params.extended_key_usages.push(usage);
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().expect("a key pair");
            (params.signed_by(&key, &issuer).expect("a signed certificate"), key)
        };
        let names = names.iter().copied().chain(["localhost"]).map(str::to_owned).collect();
        let (server, server_key) = sign(names, "server", ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = sign(Vec::new(), "client", ExtendedKeyUsagePurpose::ClientAuth);
        Self {
            ca_pem: ca_cert.pem(),
            server_cert_pem: server.pem(),
            server_key_pem: server_key.serialize_pem(),
            client_cert_pem: client.pem(),
            client_key_pem: client_key.serialize_pem(),
            ca_der: ca_cert.der().clone(),
            server_der: server.der().clone(),
            server_key_der: server_key.serialize_der(),
        }
    }

    /// TLS for a server; with `client_certificate` it demands one that this authority signed.
    ///
    /// # Panics
    /// Never with certificates made by [`Pki::new`].
    pub fn server_config(&self, client_certificate: bool) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder();
        let builder = if client_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(self.ca_der.clone()).expect("the own authority is valid");
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("one root is enough");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.server_key_der.clone()));
        let mut config = builder.with_single_cert(vec![self.server_der.clone()], key).expect("the own pair matches");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// TLS for a server that shows its certificate only to who asks for `name` (SNI), as behind a shared address.
    ///
    /// # Panics
    /// When the certificate is not for that name.
    pub fn server_config_for_name(&self, name: &str) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.server_config(false));
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.server_key_der.clone()));
        let pair = CertifiedKey::from_der(vec![self.server_der.clone()], key, config.crypto_provider());
        let mut by_name = ResolvesServerCertUsingSni::new();
        by_name.add(name, pair.expect("the own pair matches")).expect("the certificate is for the name");
        config.cert_resolver = Arc::new(by_name);
        Arc::new(config)
    }
}
