//! The certificate that a client shows, read again when it is older than `reload_interval`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;

use super::Common;

/// Shows a certificate to every server that asks.
#[derive(Debug)]
pub(super) struct Identity {
    settings: Common,
    provider: Arc<CryptoProvider>,
    /// When it was read, and what.
    current: Mutex<(Instant, Arc<CertifiedKey>)>,
}

impl Identity {
    /// Starts with what was read just now.
    pub(super) fn new(settings: &Common, provider: Arc<CryptoProvider>, pair: Arc<CertifiedKey>) -> Identity {
        Identity { settings: settings.clone(), provider, current: Mutex::new((Instant::now(), pair)) }
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let interval = self.settings.reload_interval.to_std();
        if !interval.is_zero() && current.0.elapsed() >= interval {
            current.0 = Instant::now();
            match self.settings.certified_key(&self.provider) {
                Ok(Some(pair)) => current.1 = pair,
                Ok(None) => {}
                Err(error) => tracing::warn!("{error}; the certificate read before stays in use"),
            }
        }
        Some(current.1.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
