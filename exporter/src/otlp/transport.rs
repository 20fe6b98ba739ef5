//! One attempt to send a request, over HTTP or gRPC; both on the same HTTP client. What an answer means is in `answer`,
//! where connections go in `peers`.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use config::tls::ClientTls;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use proto::auth::ClientAuth;
use reqwest::{Client, Url};

use super::answer;
use super::compress::{Compression, GRPC_ACCEPTED};
use super::peers::Peers;
use crate::Outcome;

/// An answer has little to say.
pub(super) const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Where requests go and what goes with them.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) url: Url,
    pub(crate) grpc: bool,
    pub(crate) tls: ClientTls,
    pub(crate) headers: HeaderMap,
    pub(crate) auth: Option<Arc<dyn ClientAuth>>,
    pub(crate) user_agent: String,
    pub(crate) proxy: String,
    /// `proxy`, or one of the environment.
    pub(crate) behind_proxy: bool,
    pub(crate) http1_only: bool,
    /// Said instead of the host of `url`, over gRPC.
    pub(crate) authority: Option<String>,
    /// All addresses of the host take turns.
    pub(crate) spread: bool,
    /// Wait for a connection until somebody ends the attempt.
    pub(crate) wait_for_ready: bool,
    pub(crate) max_idle: Option<usize>,
    /// Requests under way at once.
    pub(crate) max_requests: Option<usize>,
    pub(crate) idle_timeout: Option<Duration>,
    /// Silence before a ping, time for its answer, also without requests.
    pub(crate) keepalive: Option<(Duration, Duration, bool)>,
    pub(crate) connect_timeout: Duration,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: http::StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

/// Why there is no answer.
enum Failure {
    /// Nothing was sent.
    NoConnection(String),
    /// The server may have the request.
    Broken(String),
}

/// Waits between tries to connect with `wait_for_ready`, as grpc-go's.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(120);

impl Transport {
    /// One attempt, with the clients that are next.
    pub(super) async fn send(&self, peers: &Peers, body: &Bytes, compression: Compression, json: bool) -> Outcome {
        let retry = |error: String| Outcome::Retry { after: None, code: None, error };
        let _permit = match &peers.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        let mut request = reqwest::Request::new(http::Method::POST, peers.target.said.clone());
        let body = if self.grpc { framed(body, !compression.name.is_empty()) } else { body.clone() };
        let headers = request.headers_mut();
        self.set_headers(headers, compression, json);
        if let Some(host) = peers.target.host_header.as_deref().and_then(|host| HeaderValue::from_str(host).ok()) {
            headers.entry(http::header::HOST).or_insert(host);
        }
        if let Some(auth) = &self.auth {
            let uri = match self.url.as_str().parse() {
                Ok(uri) => uri,
                Err(e) => return retry(format!("the endpoint cannot be signed: {e}")),
            };
            if let Err(error) = auth.sign(&http::Method::POST, &uri, headers, &body).await {
                return retry(format!("no credentials for the request: {error}"));
            }
        }
        *request.body_mut() = Some(body.into());
        let mut wait = FIRST_WAIT;
        loop {
            match self.exchange_with_any(peers, &request).await {
                Ok(answer) if self.grpc => return answer::grpc(&answer),
                Ok(answer) => return answer::http(&answer, json),
                Err(Failure::NoConnection(_)) if self.wait_for_ready => {}
                Err(Failure::NoConnection(error) | Failure::Broken(error)) => {
                    return retry(format!("cannot send to {}: {error}", self.url));
                }
            }
            tokio::time::sleep(wait).await;
            wait = wait.mul_f64(1.6).min(LONGEST_WAIT);
        }
    }

    /// Sends over the first client that has a connection.
    async fn exchange_with_any(&self, peers: &Peers, request: &reqwest::Request) -> Result<Answer, Failure> {
        let mut failure = Failure::NoConnection("there is no client".to_owned());
        for peer in peers.next().await.map_err(Failure::NoConnection)? {
            let Some(copy) = request.try_clone() else { break };
            match exchange(&peer.client, copy).await {
                Err(Failure::NoConnection(error)) => {
                    peers.failed(&peer);
                    failure = Failure::NoConnection(error);
                }
                other => return other,
            }
        }
        Err(failure)
    }

    fn set_headers(&self, headers: &mut HeaderMap, compression: Compression, json: bool) {
        let kind = match (self.grpc, json) {
            (true, _) => "application/grpc",
            (_, true) => "application/json",
            _ => "application/x-protobuf",
        };
        headers.insert("content-type", HeaderValue::from_static(kind));
        if self.grpc {
            headers.insert("te", HeaderValue::from_static("trailers"));
            headers.insert("grpc-accept-encoding", HeaderValue::from_static(GRPC_ACCEPTED));
        }
        if !compression.name.is_empty() {
            let name = if self.grpc { "grpc-encoding" } else { "content-encoding" };
            headers.insert(name, HeaderValue::from_static(compression.name));
        }
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

async fn exchange(client: &Client, request: reqwest::Request) -> Result<Answer, Failure> {
    let response = client.execute(request).await.map_err(|e| match e.is_connect() {
        true => Failure::NoConnection(chain(&e.without_url())),
        false => Failure::Broken(chain(&e.without_url())),
    })?;
    let (head, mut body) = http::Response::<reqwest::Body>::from(response).into_parts();
    let (mut data, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.map_err(|e| Failure::Broken(chain(&e.without_url())))?.into_data() {
            Ok(chunk) if data.len() + chunk.len() > MAX_ANSWER_BYTES => {
                return Err(Failure::Broken("the answer is larger than 4 MiB".to_owned()));
            }
            Ok(chunk) => data.extend_from_slice(&chunk),
            Err(other) => trailers = other.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Answer { status: head.status, headers: head.headers, body: data.freeze(), trailers })
}

/// A gRPC message: whether it is compressed, its length, itself.
fn framed(body: &Bytes, compressed: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + 5);
    out.extend_from_slice(&[u8::from(compressed)]);
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(body);
    out.freeze()
}

/// An error with its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
