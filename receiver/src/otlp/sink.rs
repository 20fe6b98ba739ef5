//! What both protocols do with a body: decode it, hand it on, count it, and name what went wrong.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap};
use proto::auth::{Denied, ServerAuth};
use proto::otlp::{Capacities, DecodeError, DecodeLimits, PieceDecoder, RpcStatus, decode_json_within, decode_like};
use proto::{Batch, BuildContext, Counter, Next, Peer, Refusal, RefusalKind};
use tonic::Code;

use super::early::Early;
use super::inflate::{Encoding, InflateError};
use super::room::{Held, Room};
use super::server::PeerAddress;

/// Bodies above this are inflated and decoded on a blocking thread, so that they do not hold up other requests.
const INLINE_BYTES: usize = 1 << 20;
/// A compressed body above this is larger than that once it is inflated, most likely.
const INLINE_COMPRESSED_BYTES: usize = INLINE_BYTES / 8;

/// Bodies up to here are decoded without a look at earlier ones.
const SMALL_BYTES: usize = 4096;

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

/// The code of a destination that refused is kept; of others, retryable refusals are `UNAVAILABLE`, permanent ones
/// `INTERNAL`.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let (code, retry_after) = match refusal.kind {
            RefusalKind::Retry(after) => (Code::Unavailable, after),
            RefusalKind::Permanent => (Code::Internal, None),
        };
        let code = refusal.code.map(Code::from).filter(|&code| code != Code::Ok).unwrap_or(code);
        Failure { code, message: refusal.reason.into_owned(), retry_after }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Failure {
        Failure::new(Code::InvalidArgument, error.to_string())
    }
}

/// A body.
pub(super) enum Parcel {
    /// As it came.
    Whole {
        bytes: Bytes,
        /// How the bytes are compressed.
        encoding: Option<Encoding>,
        /// The room that was taken for reading it.
        held: Held,
    },
    /// Decoded while it came.
    Decoded(Box<Early>),
}

/// Why a body could not be read.
enum Unreadable {
    Inflate(InflateError),
    Decode(DecodeError),
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Unreadable {
        Unreadable::Decode(error)
    }
}

/// Who sent a request, as its authenticator knows.
#[derive(Clone)]
struct Username(Arc<str>);

/// What a protocol hands its bodies to.
pub(super) struct Sink {
    next: Next,
    room: Arc<Room>,
    auth: Option<Arc<dyn ServerAuth>>,
    include_metadata: bool,
    /// Whether bodies are of use once they are decoded.
    forwards: bool,
    limits: DecodeLimits,
    last: Last,
    peer: fn(SocketAddr) -> Peer,
    accepted: Counter,
    refused: Counter,
}

impl Sink {
    /// `transport` is the label of the counters, `grpc` or `http`; `body_bytes` the largest inflated body.
    pub(super) fn new(
        next: Next,
        room: Arc<Room>,
        context: &BuildContext,
        transport: &str,
        body_bytes: usize,
        include_metadata: bool,
        auth: Option<Arc<dyn ServerAuth>>,
    ) -> Sink {
        let uses = next.uses();
        let labels = [("receiver", context.id.as_str()), ("transport", transport)];
        Sink {
            forwards: uses.request,
            next,
            room,
            auth,
            include_metadata,
            last: Last::default(),
            peer: if transport == "grpc" { Peer::Socket } else { |address| Peer::Host(address.ip()) },
            limits: DecodeLimits { body_bytes, keeps_buckets: uses.buckets, ..DecodeLimits::default() },
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

    /// Asks the authenticator, if there is one. Notes the user in what goes with the request.
    pub(super) async fn authenticate(&self, headers: &HeaderMap, request: &mut Extensions) -> Result<(), Failure> {
        let Some(auth) = &self.auth else { return Ok(()) };
        let user = auth.authenticate(headers).answer().await.map_err(|denied| match denied {
            Denied::Unauthenticated(reason) => Failure::new(Code::Unauthenticated, reason),
            Denied::Busy(reason) => Failure::new(Code::Unavailable, reason),
        })?;
        if let Some(user) = user {
            request.insert(Username(user));
        }
        Ok(())
    }

    /// Room for large bodies.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Inflates, decodes and hands on. A request without points is taken without asking anybody. `not_inflated` says
    /// in the words of the protocol what is wrong with a compressed body.
    pub(super) async fn take(
        &self,
        parcel: Parcel,
        form: Form,
        head: &Parts,
        not_inflated: impl Fn(InflateError) -> Failure,
    ) -> Result<(), Failure> {
        let unreadable = |error| match error {
            Unreadable::Inflate(error) => not_inflated(error),
            Unreadable::Decode(error) => error.into(),
        };
        // The room is held until the pipeline has answered.
        let (mut batch, _held) = match parcel {
            Parcel::Decoded(early) => (self.finish(early)?, Held::default()),
            Parcel::Whole { bytes, encoding, held } => match self.small(&bytes, encoding).map_err(unreadable)? {
                Some(body) => (read(body, form, &self.limits, &self.last)?, held),
                None => self.unpack(bytes, encoding, held, form).await?.map_err(unreadable)?,
            },
        };
        if !self.forwards {
            batch.meta.raw = None;
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.meta.received_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        if self.include_metadata {
            batch.meta.client = Some(Arc::new(metadata(&head.headers)));
        }
        batch.meta.peer = head.extensions.get().map(|PeerAddress(address)| (self.peer)(*address));
        batch.meta.username = head.extensions.get().map(|Username(user)| user.clone());
        let mut count = Count { sink: self, points: batch.points() as u64, accepted: false };
        let answer = self.next.send(batch).await;
        count.accepted = answer.is_ok();
        answer.map_err(Failure::from)
    }
}

impl Sink {
    /// Begins to decode a protobuf body of this length that is not compressed while it comes in. `None` when it is to be
    /// read as a whole: it is sent on as it is, is large enough for a thread of its own, or enough others are begun.
    pub(super) fn early(&self, body_bytes: usize) -> Option<Box<Early>> {
        if self.forwards || body_bytes > INLINE_BYTES {
            return None;
        }
        let turn = self.room.early()?;
        let decoder = PieceDecoder::new(body_bytes, &self.limits, &self.last.for_body(body_bytes)).ok()?;
        Some(Box::new(Early::new(decoder, body_bytes, turn)))
    }

    fn finish(&self, early: Box<Early>) -> Result<Batch, DecodeError> {
        let length = early.announced_bytes();
        let batch = early.finish()?;
        self.last.note(&batch, length);
        Ok(batch)
    }

    /// The inflated body if it is small.
    fn small(&self, bytes: &Bytes, encoding: Option<Encoding>) -> Result<Option<Bytes>, Unreadable> {
        let length = bytes.len();
        let Some(encoding) = encoding else {
            return Ok((length <= INLINE_BYTES).then(|| bytes.clone()));
        };
        if length > INLINE_COMPRESSED_BYTES {
            return Ok(None);
        }
        let limit = self.limits.body_bytes;
        match encoding.inflate(bytes, limit.min(INLINE_BYTES)) {
            Ok(body) => Ok(Some(body.into())),
            // It is begun again elsewhere.
            Err(InflateError::TooLarge) if limit > INLINE_BYTES => Ok(None),
            Err(error) => Err(Unreadable::Inflate(error)),
        }
    }

    /// Inflates and decodes a body that is not small, on a blocking thread, when there is room for it.
    async fn unpack(
        &self,
        bytes: Bytes,
        encoding: Option<Encoding>,
        mut held: Held,
        form: Form,
    ) -> Result<Result<(Batch, Held), Unreadable>, Failure> {
        let (limits, last) = (self.limits.clone(), self.last.clone());
        // It may become as large as a body can be.
        if encoding.is_some() && held.is_nothing() {
            held = self.room.hold(limits.body_bytes).await;
        }
        let unpacking = self.room.work(move || {
            let body = match encoding {
                Some(encoding) => encoding.inflate(&bytes, limits.body_bytes).map_err(Unreadable::Inflate)?.into(),
                None => bytes,
            };
            held.shrink_to(body.len());
            Ok((read(body, form, &limits, &last)?, held))
        });
        unpacking.await.ok_or_else(|| Failure::new(Code::Internal, "decoding was interrupted"))
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

/// The capacities of the last request that was large enough to matter.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Capacities>>);

impl Last {
    /// Those for a body of this length.
    fn for_body(&self, bytes: usize) -> Capacities {
        if bytes > SMALL_BYTES { *self.lock() } else { Capacities::default() }
    }

    /// A body of this length was decoded.
    fn note(&self, batch: &Batch, bytes: usize) {
        if bytes > SMALL_BYTES {
            *self.lock() = Capacities::of(batch, bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Capacities> {
        self.0.lock().expect("no panic while locked")
    }
}

fn read(body: Bytes, form: Form, limits: &DecodeLimits, last: &Last) -> Result<Batch, DecodeError> {
    let length = body.len();
    match form {
        Form::Protobuf => {
            let batch = decode_like(body, limits, &last.for_body(length))?;
            last.note(&batch, length);
            Ok(batch)
        }
        Form::Json => decode_json_within(&body, limits),
    }
}

/// Headers with all their values; names are lower-case in `http` already.
fn metadata(headers: &HeaderMap) -> Vec<(String, Vec<String>)> {
    let values = |name| headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    headers.keys().map(|name| (name.as_str().to_owned(), values(name).collect())).collect()
}
