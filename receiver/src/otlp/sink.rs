//! What both protocols do with a body: decode it, hand it on, count it, and name what went wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use proto::auth::ServerAuth;
use proto::otlp::{DecodeError, DecodeLimits, RpcStatus, decode, decode_json_within};
use proto::{Batch, BuildContext, Counter, Next, Peer, Refusal, RefusalKind};
use tonic::Code;

use super::server::PeerAddress;

/// Bodies above this are decoded on a blocking thread, so that they do not hold up other requests.
const INLINE_BYTES: usize = 4 << 20;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    Json,
}

/// A request that was not taken.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), retry_after: None }
    }

    /// As peers are told.
    pub(super) fn status(&self) -> RpcStatus {
        RpcStatus { code: self.code as i32, message: self.message.clone(), retry_after: self.retry_after }
    }
}

/// Retryable refusals are `UNAVAILABLE`, permanent ones `INTERNAL`.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let (code, retry_after) = match refusal.kind {
            RefusalKind::Retry(after) => (Code::Unavailable, after),
            RefusalKind::Permanent => (Code::Internal, None),
        };
        Failure { code, message: refusal.reason.into_owned(), retry_after }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Failure {
        Failure::new(Code::InvalidArgument, error.to_string())
    }
}

/// What a protocol hands its bodies to.
pub(super) struct Sink {
    next: Next,
    auth: Option<Arc<dyn ServerAuth>>,
    include_metadata: bool,
    limits: DecodeLimits,
    peer: fn(SocketAddr) -> Peer,
    accepted: Counter,
    refused: Counter,
}

impl Sink {
    /// `transport` is the label of the counters, `grpc` or `http`; `body_bytes` the largest inflated body.
    pub(super) fn new(
        next: Next,
        context: &BuildContext,
        transport: &str,
        body_bytes: usize,
        include_metadata: bool,
        auth: Option<Arc<dyn ServerAuth>>,
    ) -> Sink {
        let labels = [("receiver", context.id.as_str()), ("transport", transport)];
        let defaults = DecodeLimits::default();
        Sink {
            next,
            auth,
            include_metadata,
            // A point with a time and a value has 20 bytes at least.
            peer: if transport == "grpc" { Peer::Socket } else { |address| Peer::Host(address.ip()) },
            limits: DecodeLimits { body_bytes, items: defaults.items.max(body_bytes / 20), ..defaults },
            accepted: context.telemetry.counter(
                "otelcol_receiver_accepted_metric_points",
                "Number of metric points successfully pushed into the pipeline. [Alpha]",
                &labels,
            ),
            refused: context.telemetry.counter(
                "otelcol_receiver_refused_metric_points",
                "Number of metric points that could not be pushed into the pipeline. [Alpha]",
                &labels,
            ),
        }
    }

    /// Asks the authenticator, if there is one.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(auth) = &self.auth else { return Ok(()) };
        auth.authenticate(headers).map_err(|reason| Failure::new(Code::Unauthenticated, reason))
    }

    /// Decodes and hands on. A request without points is taken without asking anybody.
    pub(super) async fn take(&self, body: Bytes, form: Form, head: &Parts) -> Result<(), Failure> {
        let mut batch = if body.len() > INLINE_BYTES {
            let limits = self.limits.clone();
            let decoding = tokio::task::spawn_blocking(move || read(body, form, &limits));
            decoding.await.map_err(|_| Failure::new(Code::Internal, "decoding was interrupted"))??
        } else {
            read(body, form, &self.limits)?
        };
        if batch.is_empty() {
            return Ok(());
        }
        batch.meta.received_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        if self.include_metadata {
            batch.meta.client = Some(Arc::new(metadata(&head.headers)));
        }
        batch.meta.peer = head.extensions.get().map(|PeerAddress(address)| (self.peer)(*address));
        let mut count = Count { sink: self, points: batch.points() as u64, accepted: false };
        let answer = self.next.send(batch).await;
        count.accepted = answer.is_ok();
        answer.map_err(Failure::from)
    }
}

/// Counts the points of a request once: as accepted when its client is told so, otherwise as refused, also when the
/// client has gone or its deadline is over.
struct Count<'a> {
    sink: &'a Sink,
    points: u64,
    accepted: bool,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if self.accepted { &self.sink.accepted } else { &self.sink.refused }.add(self.points);
    }
}

fn read(body: Bytes, form: Form, limits: &DecodeLimits) -> Result<Batch, DecodeError> {
    match form {
        Form::Protobuf => decode(body, limits),
        Form::Json => decode_json_within(&body, limits),
    }
}

/// Headers with all their values; names are lower-case in `http` already.
fn metadata(headers: &HeaderMap) -> Vec<(String, Vec<String>)> {
    let values = |name| headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    headers.keys().map(|name| (name.as_str().to_owned(), values(name).collect())).collect()
}
