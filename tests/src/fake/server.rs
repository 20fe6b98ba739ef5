//! Serves an axum router on a loopback address, and can do to a client what routers cannot: close the connection
//! without an answer, disappear and come back. It knows nothing of what is served.

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

/// A response extension: the connection is closed instead of answering.
#[derive(Clone, Copy, Debug)]
pub struct Hangup;

/// A listener with its connections; both end when this is dropped.
pub struct Server {
    addr: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// Serves `router` in clear text (HTTP/1.1 and HTTP/2) at `addr`; port 0 chooses a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(addr: SocketAddr, router: Router) -> io::Result<Self> {
        Self::listen(addr, router, None).await
    }

    /// As [`Server::start`], over TLS.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_tls(addr: SocketAddr, router: Router, tls: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        Self::listen(addr, router, Some(TlsAcceptor::from(tls))).await
    }

    async fn listen(addr: SocketAddr, router: Router, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let server = Self { addr: listener.local_addr()?, router, tls, accepting: Mutex::new(None) };
        server.accept_from(listener);
        Ok(server)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes the listener and every connection: new connections are refused until [`Server::resume`].
    pub fn pause(&self) {
        if let Some(task) = self.accepting.lock().expect("no holder panics").take() {
            task.abort();
        }
    }

    /// Listens again on the same address after [`Server::pause`]. Does nothing while it listens.
    ///
    /// # Errors
    /// When the address was taken in the meantime.
    pub async fn resume(&self) -> io::Result<()> {
        if self.accepting.lock().expect("no holder panics").is_some() {
            return Ok(());
        }
        // The aborted accept loop closes its socket when the runtime gets to it.
        let mut attempts = 0;
        let listener = loop {
            match TcpListener::bind(self.addr).await {
                Ok(listener) => break listener,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts < 100 => {
                    attempts += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => return Err(error),
            }
        };
        self.accept_from(listener);
        Ok(())
    }

    fn accept_from(&self, listener: TcpListener) {
        let task = tokio::spawn(accept(listener, self.router.clone(), self.tls.clone()));
        *self.accepting.lock().expect("no holder panics") = Some(task);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.pause();
    }
}

/// Aborting this task drops the set, and with it every connection.
async fn accept(listener: TcpListener, router: Router, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), tls.clone()));
            }
            // Out of descriptors or alike: the client sees it, and the loop must not spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router, tls: Option<TlsAcceptor>) {
    // A small answer must not wait for the next one; failing costs only speed.
    let _ = stream.set_nodelay(true).is_ok();
    match tls {
        None => exchange(stream, router).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                exchange(stream, router).await;
            }
        }
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        async move {
            let response: Response<axum::body::Body> = match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            match response.extensions().get::<Hangup>() {
                Some(Hangup) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                None => Ok(response),
            }
        }
    });
    // An error here is what the client did or what a test asked for; the client's side of it is what counts.
    let served = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    drop(served);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::any_port;
    use axum::Extension;
    use axum::routing::get;

    #[tokio::test]
    async fn a_server_answers_disappears_and_comes_back() {
        let server = Server::start(any_port(), Router::new().route("/", get(|| async { "here" }))).await.unwrap();
        let url = format!("http://{}/", server.addr());
        let page = async || reqwest::Client::new().get(&url).send().await?.text().await;
        assert_eq!(page().await.unwrap(), "here");
        server.pause();
        assert!(page().await.is_err());
        server.resume().await.unwrap();
        assert_eq!(page().await.unwrap(), "here");
    }

    #[tokio::test]
    async fn a_hangup_closes_the_connection_without_an_answer() {
        let router = Router::new().route("/", get(|| async { (Extension(Hangup), "never seen") }));
        let server = Server::start(any_port(), router).await.unwrap();
        let error = reqwest::get(format!("http://{}/", server.addr())).await.unwrap_err();
        assert!(error.is_request(), "{error:?}");
    }
}
