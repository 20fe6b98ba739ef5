//! Connections of a listener: accepting, TLS, HTTP/1 and HTTP/2 by hyper, ages and idle times, graceful stop.
//!
//! Knows nothing of OTLP; requests go to a [`Handler`].

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use proto::{BoxFuture, Stop};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::body::Reply;
use super::listen::{Listener, Socket};
use super::pings::{PingPolicy, PingWatch, Pings};
use super::read_ahead::{Ahead, ReadAhead};
use super::tls::Tls;

/// Answers requests.
pub(super) trait Handler: Send + Sync + 'static {
    /// Answers one request, or closes its connection without an answer.
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Result<Response<Reply>, Close>>;
}

/// The other end of the connection, among the extensions of a request.
#[derive(Clone, Copy)]
pub(super) struct PeerAddress(pub(super) SocketAddr);

/// The connection is to be closed: a deadline of the request has passed.
#[derive(Debug)]
pub(super) struct Close;

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request took too long")
    }
}

impl std::error::Error for Close {}

impl From<Infallible> for Close {
    fn from(never: Infallible) -> Close {
        match never {}
    }
}

/// How connections are treated. `None` is "no limit" or "the library's default" throughout.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// HTTP/2 only (gRPC), or HTTP/1 with HTTP/2 where TLS negotiates it.
    pub(super) http2_only: bool,
    pub(super) max_concurrent_streams: Option<u32>,
    pub(super) read_buffer: Option<usize>,
    pub(super) write_buffer: Option<usize>,
    pub(super) max_idle: Option<Duration>,
    pub(super) max_age: Option<Duration>,
    pub(super) max_age_grace: Option<Duration>,
    pub(super) ping_after: Option<Duration>,
    pub(super) ping_timeout: Option<Duration>,
    pub(super) header_timeout: Option<Duration>,
    pub(super) close_after_request: bool,
    pub(super) pings: Option<PingPolicy>,
}

/// How long requests in progress may take after the stop.
const DRAIN: Duration = Duration::from_secs(30);
/// For telling a client that its connection is closed.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// Larger frames than the protocol's default save work on large messages.
const FRAME_BYTES: u32 = 256 << 10;
const WINDOW_BYTES: u32 = 1 << 20;
/// As much as Go's server takes over HTTP. The library takes six frames at most, of any size.
const HEADER_LIST_BYTES: u32 = 1 << 20;
/// Read at a time over HTTP/1. The head of a request may be as long, or twice so when it comes in few pieces. The
/// library's 400 KB are no faster, and with large bodies they sometimes take 15 MB more.
const READ_BYTES: usize = 128 << 10;
/// Read at a time over HTTP/2 while a large message comes in.
const AHEAD_BYTES: usize = 128 << 10;

/// Accepts until the stop, then waits for requests in progress.
pub(super) async fn serve<H: Handler>(
    listener: Listener,
    tls: Option<Arc<Tls>>,
    limits: Arc<Limits>,
    handler: Arc<H>,
    stop: Stop,
) {
    let connections = TaskTracker::new();
    loop {
        let socket = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match socket {
            Ok(socket) => {
                let connection = Connection {
                    peer: socket.peer().map(PeerAddress),
                    tls: tls.clone(),
                    limits: limits.clone(),
                    handler: handler.clone(),
                    stop: stop.clone(),
                };
                connections.spawn(connection.run(socket));
            }
            // Out of descriptors, most likely: it passes when other connections close.
            Err(error) => {
                tracing::warn!("cannot accept a connection on {}: {error}", listener.address());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Serves one connection that needs no TLS, until it ends.
pub(super) async fn serve_stream<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    limits: Arc<Limits>,
    handler: Arc<H>,
    stop: Stop,
) {
    let http2 = limits.http2_only;
    Connection { peer: None, tls: None, limits, handler, stop }.buffered(stream, http2).await;
}

struct Connection<H> {
    peer: Option<PeerAddress>,
    tls: Option<Arc<Tls>>,
    limits: Arc<Limits>,
    handler: Arc<H>,
    stop: Stop,
}

impl<H: Handler> Connection<H> {
    async fn run(self, socket: Socket) {
        let Some(tls) = self.tls.clone() else {
            let http2 = self.limits.http2_only;
            return self.buffered(socket, http2).await;
        };
        let handshake = tokio::select! {
            () = self.stop.cancelled() => return,
            done = tokio::time::timeout(HANDSHAKE, tls.accept(socket)) => done,
        };
        match handshake {
            Ok(Ok(stream)) => {
                let http2 = self.limits.http2_only || stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.buffered(stream, http2).await;
            }
            Ok(Err(error)) => tracing::debug!("TLS handshake failed: {error}"),
            Err(_) => tracing::debug!("TLS handshake took longer than {}s", HANDSHAKE.as_secs()),
        }
    }

    async fn buffered<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S, http2: bool) {
        let ahead = match self.limits.read_buffer {
            Some(bytes) => Ahead::Always(bytes),
            None if http2 => Ahead::OfLarge(AHEAD_BYTES),
            None => Ahead::No,
        };
        let stream = ReadAhead::new(stream, ahead);
        match self.limits.write_buffer {
            None => self.serve(stream, http2).await,
            Some(write) => self.serve(BufWriter::with_capacity(write, stream), http2).await,
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S, http2: bool) {
        let (active, changes) = watch::channel(0usize);
        let pings = self.limits.pings.clone().map(|policy| Arc::new(Pings::new(policy)));
        let stream = PingWatch::new(stream, pings.clone());
        let handler = self.handler.clone();
        let counted = pings.clone();
        let peer = self.peer;
        let service = service_fn(move |mut request: Request<Incoming>| {
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            let running = Running::new(active.clone(), counted.clone());
            let answer = handler.clone().handle(request);
            async move {
                let answer = answer.await;
                drop(running);
                answer
            }
        });
        let builder = self.builder(http2);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let started = Instant::now();
        let age = self.limits.max_age.map(|age| started + jittered(age));
        let mut unused = pin!(idle(changes.clone(), self.limits.max_idle));
        // Once closing, a peer that does not confirm the end is not waited for.
        let mut finished = pin!(idle(changes, Some(LAST_WORDS)));
        let (mut closing, mut stopped, mut deadline) = (false, false, None);
        loop {
            tokio::select! {
                done = connection.as_mut() => {
                    if let Err(error) = done {
                        tracing::debug!("connection ended: {error}");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !stopped => {
                    stopped = true;
                    deadline = Some(Instant::now() + DRAIN);
                }
                () = until(age), if !closing && age.is_some() => {
                    deadline = self.limits.max_age_grace.map(|grace| Instant::now() + grace);
                }
                () = unused.as_mut(), if !closing => {}
                () = too_many(pings.as_deref()), if !closing => {
                    tracing::debug!("connection closed: the client pings more often than the keepalive policy permits");
                    deadline = Some(Instant::now() + LAST_WORDS);
                }
                () = finished.as_mut(), if closing => return,
                () = until(deadline), if deadline.is_some() => return,
            }
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
    }

    fn builder(&self, http2: bool) -> auto::Builder<TokioExecutor> {
        let limits = &self.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        if http2 {
            builder = builder.http2_only();
            builder
                .http2()
                .timer(TokioTimer::new())
                .max_frame_size(FRAME_BYTES)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(2 * WINDOW_BYTES)
                .max_header_list_size(HEADER_LIST_BYTES)
                .max_concurrent_streams(limits.max_concurrent_streams)
                .keep_alive_interval(limits.ping_after)
                .keep_alive_timeout(limits.ping_timeout.unwrap_or(Duration::from_secs(20)));
        } else {
            builder = builder.http1_only();
            builder
                .http1()
                .max_buf_size(READ_BYTES)
                .timer(TokioTimer::new())
                // A client may end its side after the request and still wait for the answer.
                .half_close(true)
                .header_read_timeout(limits.header_timeout)
                .keep_alive(!limits.close_after_request);
        }
        builder
    }
}

/// Counts a request while it runs.
struct Running {
    active: watch::Sender<usize>,
    pings: Option<Arc<Pings>>,
}

impl Running {
    fn new(active: watch::Sender<usize>, pings: Option<Arc<Pings>>) -> Running {
        active.send_modify(|n| *n += 1);
        if let Some(pings) = &pings {
            pings.request_started();
        }
        Running { active, pings }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.active.send_modify(|n| *n -= 1);
        if let Some(pings) = &self.pings {
            pings.request_ended();
        }
    }
}

async fn too_many(pings: Option<&Pings>) {
    match pings {
        Some(pings) => pings.too_many().await,
        None => std::future::pending().await,
    }
}

/// Resolves when no request ran for the given time.
async fn idle(mut active: watch::Receiver<usize>, limit: Option<Duration>) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        let running = *active.borrow_and_update() > 0;
        let change = active.changed();
        let gone = if running {
            change.await.is_err()
        } else {
            match tokio::time::timeout(limit, change).await {
                Err(_) => return,
                Ok(changed) => changed.is_err(),
            }
        };
        if gone {
            return std::future::pending().await;
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Give or take 10%, so that clients that connected together do not come back together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
