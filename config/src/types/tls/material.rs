//! What the TLS library needs of the settings that clients and servers share: versions, suites, groups, certificates
//! and keys. Reads the files.

use std::io::Read;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Common, Version};
use crate::types::Secret;

/// Largest file of certificates or keys; a bundle of all public authorities has a quarter of a megabyte.
const MAX_PEM_BYTES: u64 = 8 << 20;

/// PEM text and what to call it in messages: `cert_file /path`, `cert_pem`.
pub(super) struct Pem {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
}

impl Pem {
    /// Takes the text or reads the file, whichever is set. `key` is `cert` for `cert_file` and `cert_pem`.
    pub(super) fn read(key: &str, file: &str, text: &Secret) -> Result<Option<Pem>, String> {
        if !file.is_empty() {
            let failed = |e: std::io::Error| format!("cannot read {file}: {e}");
            let mut text = Vec::new();
            let opened = std::fs::File::open(file).map_err(failed)?;
            opened.take(MAX_PEM_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
            if text.len() as u64 > MAX_PEM_BYTES {
                return Err(format!("{file} is larger than {} MiB", MAX_PEM_BYTES >> 20));
            }
            return Ok(Some(Pem { name: format!("{key}_file {file}"), text }));
        }
        Ok((!text.is_empty()).then(|| Pem { name: format!("{key}_pem"), text: text.expose().into() }))
    }

    /// The certificates in it; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let name = &self.name;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        match found {
            Ok(found) if found.is_empty() => Err(format!("no certificate in {name}")),
            found => found.map_err(|e| format!("no certificate in {name}: {e}")),
        }
    }

    /// Adds its certificates as authorities.
    pub(super) fn trust(&self, roots: &mut RootCertStore) -> Result<(), String> {
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|e| format!("cannot use {}: {e}", self.name))?;
        }
        Ok(())
    }
}

impl Common {
    /// The library's suites and groups, or those of them that the settings name.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        if !self.cipher_suites.is_empty() {
            // As in Go, the names choose among the suites of TLS 1.2; those of 1.3 stay.
            provider.cipher_suites.retain(|suite| {
                let name = format!("{:?}", suite.suite());
                name.starts_with("TLS13_") || self.cipher_suites.iter().any(|named| named.value == name)
            });
        }
        if !self.curve_preferences.is_empty() {
            let known = provider.kx_groups.clone();
            let find = |name: &str| known.iter().copied().find(|g| go_curve_name(&format!("{:?}", g.name())) == name);
            provider.kx_groups = self.curve_preferences.iter().filter_map(|name| find(name)).collect();
        }
        Arc::new(provider)
    }

    /// The versions between the oldest and the newest.
    pub(super) fn library_versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let (min, max) = self.versions();
        let all = [(Version::V1_2, &rustls::version::TLS12), (Version::V1_3, &rustls::version::TLS13)];
        all.into_iter().filter(|(version, _)| (min..=max).contains(version)).map(|(_, version)| version).collect()
    }

    /// The own certificate chain with its key, when there is one.
    pub(super) fn certified_key(&self, provider: &CryptoProvider) -> Result<Option<Arc<CertifiedKey>>, String> {
        let Some(cert) = Pem::read("cert", &self.cert_file, &self.cert_pem)? else { return Ok(None) };
        let Some(key) = Pem::read("key", &self.key_file, &self.key_pem)? else { return Ok(None) };
        let chain = cert.certificates()?;
        let (cert, key_name) = (cert.name, key.name);
        let key = PrivateKeyDer::from_pem_slice(&key.text).map_err(|e| format!("no private key in {key_name}: {e}"))?;
        let pair = CertifiedKey::from_der(chain, key, provider);
        let pair = pair.map_err(|e| format!("cannot use the certificate in {cert} with the key in {key_name}: {e}"))?;
        Ok(Some(Arc::new(pair)))
    }
}

/// Go's name of a key exchange group.
pub(super) fn go_curve_name(group: &str) -> &str {
    match group {
        "secp256r1" => "P256",
        "secp384r1" => "P384",
        other => other,
    }
}
