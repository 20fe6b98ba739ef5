//! TLS of our listeners: shakes hands, and reads certificates and client authorities again when they change. What the
//! settings mean is in the crate `config`.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use config::types::tls::ServerTls;
use rustls::ServerConfig;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::listen::Socket;

/// TLS of one listener.
pub(super) struct Tls {
    settings: ServerTls,
    alpn: Vec<&'static str>,
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
    pub(super) fn new(settings: &ServerTls, alpn: &[&'static str]) -> Result<Tls, String> {
        let current = settings.server_config(alpn)?;
        let reload = Reload { read_at: Instant::now(), client_ca_changed: changed(&settings.client_ca_file) };
        Ok(Tls {
            settings: settings.clone(),
            alpn: alpn.to_vec(),
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
        let interval = *self.settings.common.reload_interval;
        let watches_ca = *self.settings.client_ca_file_reload && !self.settings.client_ca_file.is_empty();
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
        match self.settings.server_config(&self.alpn) {
            Ok(config) => self.current.store(Arc::new(config)),
            Err(error) => tracing::warn!("{error}; the certificates read before stay in use"),
        }
    }
}

fn changed(path: &str) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}
