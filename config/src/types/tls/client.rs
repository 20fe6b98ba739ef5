//! Client settings as the TLS library takes them.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

use super::ClientTls;
use super::identity::Identity;
use super::material::Pem;
use super::verify::{AnyCertificate, FixedName};

impl ClientTls {
    /// Reads authorities, certificate and key. `alpn` lists the protocols on offer, preferred ones first.
    ///
    /// With `server_name_override` the server's certificate is verified for that name, whatever host is dialled; the
    /// SNI is the name that the caller connects with.
    ///
    /// # Errors
    /// What could not be read or used, naming the file.
    pub fn client_config(&self, alpn: &[&str]) -> Result<ClientConfig, String> {
        let provider = self.common.provider();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.common.library_versions())
            .map_err(|e| format!("the TLS versions and cipher suites do not go together: {e}"))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(&provider)?);
        let mut config = match self.common.certified_key(&provider)? {
            None => builder.with_no_client_auth(),
            Some(pair) => builder.with_client_cert_resolver(Arc::new(Identity::new(&self.common, provider, pair))),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Addresses are never sent; the dialled name would be the wrong one.
        config.enable_sni = self.server_name_override.parse::<IpAddr>().is_err();
        Ok(config)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
        if self.insecure_skip_verify {
            return Ok(Arc::new(AnyCertificate::new(provider)));
        }
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(self.authorities()?), provider.clone())
            .build()
            .map_err(|e| format!("there are no CA certificates to verify servers with: {e}; set ca_file"))?;
        if self.server_name_override.is_empty() {
            return Ok(inner);
        }
        let name = ServerName::try_from(self.server_name_override.value.clone())
            .map_err(|_| format!("server name {:?} is not a host name", self.server_name_override.value))?;
        Ok(Arc::new(FixedName { inner, name }))
    }

    /// The given authorities, the system's, or both.
    fn authorities(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let given = Pem::read("ca", &self.common.ca_file, &self.common.ca_pem)?;
        if let Some(given) = &given {
            given.trust(&mut roots)?;
        }
        if given.is_none() || *self.common.include_system_ca_certs_pool {
            // One that cannot be parsed costs itself only.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Ok(roots)
    }
}
