//! Scrape targets: HTTP servers on loopback that serve metrics well, badly or not at all.

use super::pki::Pki;
use super::server::{Hangup, Server};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response};
use base64::Engine;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures_util::stream;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Content type of the Prometheus text format.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Content type of OpenMetrics.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Requests that a target remembers.
const KEPT_REQUESTS: usize = 10_000;

/// Makes the page of a scrape; gets the number of the scrape, counted from 1.
pub type Page = Arc<dyn Fn(u64) -> String + Send + Sync>;

/// What a target does when it is scraped.
#[derive(Clone)]
pub enum Behaviour {
    /// The same text every time, in the text format.
    Fixed(String),
    /// A page made for each scrape, in the text format.
    Moving(Page),
    /// Any bytes with any content type (none when empty) and status.
    Raw {
        /// HTTP status.
        status: u16,
        /// Value of the header; empty sends none.
        content_type: String,
        /// The body.
        body: Bytes,
    },
    /// The page, compressed.
    Gzip(String),
    /// Says gzip, sends something else.
    BrokenGzip,
    /// A page that inflates to this many bytes of valid samples.
    GzipBomb {
        /// Size after decompression.
        bytes: u64,
    },
    /// A page of this many bytes of valid samples, not compressed.
    Huge {
        /// Size of the page, to within one line.
        bytes: u64,
    },
    /// The page, this late.
    Slow {
        /// Time before the first byte.
        delay: Duration,
        /// What is sent then.
        page: String,
    },
    /// One valid line after another, without end.
    Endless {
        /// Time between lines.
        pause: Duration,
    },
    /// Headers, then nothing.
    Stalls,
    /// Takes the request and never answers.
    Silent,
    /// Closes the connection instead of answering.
    Hangup,
    /// Announces the whole page and closes after its first half.
    ClosesEarly(String),
    /// Redirects to itself for ever.
    RedirectLoop,
    /// Redirects once.
    Redirect {
        /// Where to.
        to: String,
    },
    /// The page, to who gives this user and password.
    BasicAuth {
        /// User name.
        user: String,
        /// Password.
        password: String,
        /// What is sent then.
        page: String,
    },
    /// The page, to who gives this header exactly.
    Header {
        /// Lower-case name.
        name: String,
        /// Value.
        value: String,
        /// What is sent then.
        page: String,
    },
}

impl Behaviour {
    /// A page computed for each scrape.
    pub fn moving(page: impl Fn(u64) -> String + Send + Sync + 'static) -> Self {
        Self::Moving(Arc::new(page))
    }

    /// A page in OpenMetrics.
    pub fn open_metrics(page: &str) -> Self {
        Self::Raw { status: 200, content_type: OPEN_METRICS.into(), body: Bytes::copy_from_slice(page.as_bytes()) }
    }

    /// An answer with an error status and a short text.
    pub fn status(status: u16) -> Self {
        Self::Raw { status, content_type: "text/plain".into(), body: Bytes::from_static(b"no metrics here") }
    }
}

/// A request that a target got.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// When.
    pub at: Instant,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
}

/// A running target; it ends when this is dropped.
pub struct Target {
    server: Server,
    state: Arc<Mutex<State>>,
    scheme: &'static str,
}

struct State {
    behaviour: Behaviour,
    scrapes: u64,
    kept: Vec<Scrape>,
}

impl Target {
    /// Listens at `addr` (port 0: any) and answers every path.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start(addr: impl Into<SocketAddr>, behaviour: Behaviour) -> Self {
        let (router, state) = routes(behaviour);
        let server = Server::start(addr.into(), router).await.unwrap_or_else(|error| panic!("no target: {error}"));
        Self { server, state, scheme: "http" }
    }

    /// As [`Target::start`], over TLS; with `client_certificate` only to clients that have one of the authority's.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start_tls(
        addr: impl Into<SocketAddr>,
        behaviour: Behaviour,
        pki: &Pki,
        client_certificate: bool,
    ) -> Self {
        let (router, state) = routes(behaviour);
        let server = Server::start_tls(addr.into(), router, pki.server_config(client_certificate)).await;
        Self { server: server.unwrap_or_else(|error| panic!("no target: {error}")), state, scheme: "https" }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `http://127.0.0.1:PORT/metrics`.
    pub fn url(&self) -> String {
        format!("{}://{}/metrics", self.scheme, self.addr())
    }

    /// Changes what it does from the next request on.
    pub fn set(&self, behaviour: Behaviour) {
        lock(&self.state).behaviour = behaviour;
    }

    /// How often it was asked.
    pub fn scrapes(&self) -> u64 {
        lock(&self.state).scrapes
    }

    /// The first 10,000 requests.
    pub fn requests(&self) -> Vec<Scrape> {
        lock(&self.state).kept.clone()
    }

    /// Goes off the network until [`Target::resume`].
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Comes back.
    ///
    /// # Panics
    /// When its port was taken in the meantime.
    pub async fn resume(&self) {
        self.server.resume().await.unwrap_or_else(|error| panic!("cannot serve the target again: {error}"));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no holder panics")
}

fn routes(behaviour: Behaviour) -> (Router, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(State { behaviour, scrapes: 0, kept: Vec::new() }));
    let shared = state.clone();
    let router = Router::new().fallback(move |request: Request<Body>| {
        let (number, behaviour) = {
            let mut state = lock(&shared);
            state.scrapes += 1;
            if state.kept.len() < KEPT_REQUESTS {
                let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
                state.kept.push(Scrape { at: Instant::now(), path, headers: request.headers().clone() });
            }
            (state.scrapes, state.behaviour.clone())
        };
        let (parts, _) = request.into_parts();
        async move { answer(behaviour, number, &parts).await }
    });
    (router, state)
}

async fn answer(behaviour: Behaviour, number: u64, request: &Parts) -> Response<Body> {
    match behaviour {
        Behaviour::Fixed(page) => text(page),
        Behaviour::Moving(page) => text(page(number)),
        Behaviour::Raw { status, content_type, body } => {
            let mut response = Response::builder().status(status);
            if !content_type.is_empty() {
                response = response.header(CONTENT_TYPE, content_type);
            }
            response.body(Body::from(body)).expect("a test's own status and content type are valid")
        }
        Behaviour::Gzip(page) => gzipped(Body::from(gzip(page.as_bytes()))),
        Behaviour::BrokenGzip => gzipped(Body::from("this is not gzip")),
        Behaviour::GzipBomb { bytes } => gzipped(Body::from_stream(stream::iter(bomb(bytes)))),
        Behaviour::Huge { bytes } => {
            let chunks = stream::unfold(Lines::new(bytes), |mut lines| async move {
                let chunk = lines.chunk()?;
                Some((Ok::<_, io::Error>(chunk), lines))
            });
            with_type(Body::from_stream(chunks))
        }
        Behaviour::Slow { delay, page } => {
            tokio::time::sleep(delay).await;
            text(page)
        }
        Behaviour::Endless { pause } => {
            let lines = stream::unfold(0u64, move |n| async move {
                tokio::time::sleep(pause).await;
                Some((Ok::<_, io::Error>(Bytes::from(format!("endless{{n=\"{n}\"}} 1\n"))), n + 1))
            });
            with_type(Body::from_stream(lines))
        }
        Behaviour::Stalls => with_type(Body::from_stream(stream::pending::<io::Result<Bytes>>())),
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Hangup => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Hangup);
            response
        }
        Behaviour::ClosesEarly(page) => {
            let half = Bytes::copy_from_slice(&page.as_bytes()[..page.len() / 2]);
            let parts = [Ok(half), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
            let mut response = with_type(Body::from_stream(stream::iter(parts)));
            response.headers_mut().insert(CONTENT_LENGTH, page.len().into());
            response
        }
        Behaviour::RedirectLoop => redirect(request.uri.path()),
        Behaviour::Redirect { to } => redirect(&to),
        Behaviour::BasicAuth { user, password, page } => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            guarded(request, AUTHORIZATION.as_str(), &format!("Basic {encoded}"), page)
        }
        Behaviour::Header { name, value, page } => guarded(request, &name, &value, page),
    }
}

fn text(page: String) -> Response<Body> {
    with_type(Body::from(page))
}

fn with_type(body: Body) -> Response<Body> {
    Response::builder().header(CONTENT_TYPE, TEXT).body(body).expect("constant headers")
}

fn gzipped(body: Body) -> Response<Body> {
    let mut response = with_type(body);
    response.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().expect("a constant header"));
    response
}

fn redirect(to: &str) -> Response<Body> {
    Response::builder().status(302).header(LOCATION, to).body(Body::empty()).expect("a test's own location")
}

fn guarded(request: &Parts, header: &str, value: &str, page: String) -> Response<Body> {
    if request.headers.get(header).is_some_and(|given| given.as_bytes() == value.as_bytes()) {
        return text(page);
    }
    let response = Response::builder().status(401).header(WWW_AUTHENTICATE, "Basic realm=\"metrics\"");
    response.body(Body::from("who are you")).expect("constant headers")
}

fn gzip(page: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(page).expect("memory takes every write");
    encoder.finish().expect("memory takes every write")
}

/// One gzip member that inflates to this many bytes, as a stream that is never held in one piece: a compressed block
/// that stands alone, again and again.
fn bomb(bytes: u64) -> impl Iterator<Item = io::Result<Bytes>> {
    let plain = b"bomb_total 1\n".repeat(5000);
    let mut block = Vec::with_capacity(plain.len());
    let mut deflate = Compress::new(Compression::best(), false);
    deflate.compress_vec(&plain, &mut block, FlushCompress::Full).expect("the output has room");
    let times = bytes.div_ceil(plain.len() as u64);
    let (mut checksum, mut one) = (Crc::new(), Crc::new());
    one.update(&plain);
    (0..times).for_each(|_| checksum.combine(&one));
    let header = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    // An empty last block, then the checksum and the length modulo 2^32.
    let mut trailer = vec![3, 0];
    trailer.extend(checksum.sum().to_le_bytes());
    trailer.extend(((times * plain.len() as u64) as u32).to_le_bytes());
    let blocks = std::iter::repeat_n(Bytes::from(block), times as usize);
    std::iter::once(header).chain(blocks).chain([Bytes::from(trailer)]).map(Ok)
}

/// Valid sample lines up to a number of bytes.
struct Lines {
    left: u64,
    number: u64,
}

impl Lines {
    fn new(bytes: u64) -> Self {
        Self { left: bytes, number: 0 }
    }

    fn chunk(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut chunk = Vec::with_capacity(64 << 10);
        while chunk.len() < 63 << 10 && self.left > 0 {
            let before = chunk.len();
            self.number += 1;
            writeln!(chunk, "huge_total{{n=\"{:010}\"}} 1", self.number).expect("memory takes every write");
            self.left = self.left.saturating_sub((chunk.len() - before) as u64);
        }
        Some(Bytes::from(chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{any_port, free_ip};

    async fn get(target: &Target) -> Result<(u16, Vec<u8>), reqwest::Error> {
        get_within(target, Duration::from_secs(20)).await
    }

    async fn get_within(target: &Target, timeout: Duration) -> Result<(u16, Vec<u8>), reqwest::Error> {
        let client = reqwest::Client::builder().timeout(timeout).build().unwrap();
        let answer = client.get(target.url()).send().await?;
        Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
    }

    #[tokio::test]
    async fn a_target_serves_what_it_is_told_and_counts() {
        let target = Target::start((free_ip(), 3000), Behaviour::moving(|n| format!("n {n}\n"))).await;
        assert_eq!(get(&target).await.unwrap(), (200, b"n 1\n".to_vec()));
        assert_eq!(get(&target).await.unwrap(), (200, b"n 2\n".to_vec()));
        target.set(Behaviour::status(503));
        assert_eq!(get(&target).await.unwrap().0, 503);
        assert_eq!(target.scrapes(), 3);
        assert_eq!(target.requests()[2].path, "/metrics");
    }

    #[tokio::test]
    async fn every_kind_of_bad_target_is_bad() {
        let target = Target::start(any_port(), Behaviour::Silent).await;
        let endless = Behaviour::Endless { pause: Duration::from_millis(1) };
        let slow = Behaviour::Slow { delay: Duration::from_secs(9), page: "a 1\n".into() };
        for behaviour in [Behaviour::Silent, Behaviour::Stalls, endless, slow] {
            target.set(behaviour);
            assert!(get_within(&target, Duration::from_millis(200)).await.unwrap_err().is_timeout());
        }
        target.set(Behaviour::Hangup);
        assert!(get(&target).await.unwrap_err().is_request());
        target.set(Behaviour::ClosesEarly("a 1\nb 2\n".into()));
        assert!(get(&target).await.is_err());
        target.set(Behaviour::RedirectLoop);
        assert!(get(&target).await.unwrap_err().is_redirect());
    }

    #[tokio::test]
    async fn pages_have_the_size_and_the_encoding_that_was_asked_for() {
        let target = Target::start(any_port(), Behaviour::Huge { bytes: 1 << 20 }).await;
        let (_, page) = get(&target).await.unwrap();
        assert!((1 << 20..(1 << 20) + 64).contains(&page.len()), "{}", page.len());
        target.set(Behaviour::GzipBomb { bytes: 8 << 20 });
        let (_, packed) = get(&target).await.unwrap();
        let inflated = io::copy(&mut flate2::read::GzDecoder::new(&packed[..]), &mut io::sink()).unwrap();
        assert!((8 << 20..(8 << 20) + 65_000).contains(&inflated), "{inflated}");
        assert!(packed.len() < 1 << 20, "{}", packed.len());
    }

    #[tokio::test]
    async fn only_the_right_password_gets_the_page() {
        let page = Behaviour::BasicAuth { user: "u".into(), password: "p".into(), page: "a 1\n".into() };
        let target = Target::start(any_port(), page).await;
        assert_eq!(get(&target).await.unwrap().0, 401);
        let answer = reqwest::Client::new().get(target.url()).basic_auth("u", Some("p")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "a 1\n");
    }

    #[tokio::test]
    async fn tls_is_trusted_through_the_authority_and_can_demand_a_certificate() {
        let pki = Pki::new(&["127.0.0.1"]);
        let target = Target::start_tls(any_port(), Behaviour::Fixed("a 1\n".into()), &pki, false).await;
        assert!(get(&target).await.is_err(), "an unknown authority");
        let ca = || reqwest::Certificate::from_pem(pki.ca_pem.as_bytes()).unwrap();
        let trusting = reqwest::Client::builder().tls_certs_only([ca()]).build().unwrap();
        assert_eq!(trusting.get(target.url()).send().await.unwrap().text().await.unwrap(), "a 1\n");
        let strict = Target::start_tls(any_port(), Behaviour::Fixed("b 2\n".into()), &pki, true).await;
        assert!(trusting.get(strict.url()).send().await.is_err(), "no certificate");
        let identity = format!("{}{}", pki.client_cert_pem, pki.client_key_pem);
        let identity = reqwest::Identity::from_pem(identity.as_bytes()).unwrap();
        let known = reqwest::Client::builder().tls_certs_only([ca()]).identity(identity).build().unwrap();
        assert_eq!(known.get(strict.url()).send().await.unwrap().text().await.unwrap(), "b 2\n");
    }
}
