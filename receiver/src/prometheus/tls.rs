//! TLS settings of Prometheus clients applied to an HTTP client. Reads the files, makes no connections.

use std::sync::Arc;
use std::time::SystemTime;

use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::client::read_file;
use super::config::{Text, TlsSettings, TlsVersion};

impl TlsSettings {
    /// Whether something is read from files.
    pub(crate) fn has_files(&self) -> bool {
        self.texts().any(|text| matches!(text, Text::File(_)))
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        self.ca.iter().chain(self.identity.iter().flat_map(|(cert, key)| [cert, key]))
    }
}

/// When each of the files was last changed.
pub(crate) fn file_times(settings: &TlsSettings) -> Vec<Option<SystemTime>> {
    let files = settings.texts().filter_map(|text| match text {
        Text::File(path) => Some(path),
        Text::Inline(_) => None,
    });
    files.map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok()).collect()
}

/// Adds the settings to a client.
///
/// # Errors
/// Which certificate or key cannot be used.
pub(crate) fn apply(builder: ClientBuilder, settings: &TlsSettings, http2: bool) -> Result<ClientBuilder, String> {
    if !settings.server_name.is_empty() && !settings.insecure_skip_verify {
        let mut config = with_server_name(settings)?;
        config.alpn_protocols =
            if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        return Ok(builder.tls_backend_preconfigured(config));
    }
    let mut builder = builder;
    if let Some(ca) = &settings.ca {
        let certificates = Certificate::from_pem_bundle(pem(ca)?.as_bytes())
            .map_err(|error| format!("the CA certificates cannot be used: {error}"))?;
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((cert, key)) = &settings.identity {
        let both = format!("{}\n{}", pem(key)?, pem(cert)?);
        let identity = Identity::from_pem(both.as_bytes())
            .map_err(|error| format!("the client certificate or key cannot be used: {error}"))?;
        builder = builder.identity(identity);
    }
    if settings.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

/// A TLS configuration that verifies the certificate for `server_name` instead of the host of the URL.
fn with_server_name(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(ca) => {
            let text = pem(ca)?;
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                let certificate =
                    certificate.map_err(|error| format!("the CA certificates cannot be used: {error}"))?;
                roots.add(certificate).map_err(|error| format!("the CA certificates cannot be used: {error}"))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| format!("there are no CA certificates to verify server_name with: {error}"))?;
    let name = ServerName::try_from(settings.server_name.clone())
        .map_err(|_| format!("server_name {:?} is not a host name", settings.server_name))?;
    let versions: Vec<&rustls::SupportedProtocolVersion> =
        [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)]
            .into_iter()
            .filter(|(version, _)| settings.min_version.is_none_or(|min| min <= *version))
            .filter(|(version, _)| settings.max_version.is_none_or(|max| *version <= max))
            .map(|(_, version)| version)
            .collect();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| format!("min_version and max_version leave no TLS version: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(FixedName { inner, name }));
    match &settings.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => {
            let bad = |error: String| format!("the client certificate or key cannot be used: {error}");
            let cert = pem(cert)?;
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert.as_bytes()).collect();
            let key = PrivateKeyDer::from_pem_slice(pem(key)?.as_bytes()).map_err(|error| bad(error.to_string()))?;
            let chain = chain.map_err(|error| bad(error.to_string()))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| bad(error.to_string()))
        }
    }
}

fn pem(text: &Text) -> Result<String, String> {
    match text {
        Text::Inline(secret) => Ok(secret.expose().to_owned()),
        Text::File(path) => read_file(path),
    }
}

/// Verifies certificates for one name, whatever host was dialled (Go: `tls.Config.ServerName`).
#[derive(Debug)]
struct FixedName {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for FixedName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
