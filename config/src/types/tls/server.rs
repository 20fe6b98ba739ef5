//! Server settings as the TLS library takes them.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};

use super::ServerTls;
use super::material::Pem;
use crate::types::Secret;

impl ServerTls {
    /// Reads certificates, key and client authorities. `alpn` lists the protocols on offer, preferred ones first.
    ///
    /// # Errors
    /// What could not be read or used, naming the file.
    pub fn server_config(&self, alpn: &[&str]) -> Result<ServerConfig, String> {
        let provider = self.common.provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.common.library_versions())
            .map_err(|e| format!("the TLS versions and cipher suites do not go together: {e}"))?;
        let builder = match Pem::read("client_ca", &self.client_ca_file, &Secret::default())? {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                authorities.trust(&mut roots)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
                let verifier = verifier.build().map_err(|e| format!("cannot use {}: {e}", authorities.name))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let pair = self.common.certified_key(&provider)?.ok_or("the server has no certificate")?;
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(config)
    }
}
