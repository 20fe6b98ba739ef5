//! Bodies: reading one into memory within a limit, and the small ones that are sent back.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::buffers::{Buffer, Buffers};
use super::inflate::Encoding;
use super::room::{FREE_BYTES, Held, READ_TIME, Room};
use super::sink::{Form, Parcel, Sink};

/// Reserved at most before a body's bytes have come, whatever its head announces.
const RESERVED_BYTES: usize = 1 << 20;

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is longer than the limit. The rest was not read.
    TooLarge,
    /// The connection ended or the framing is broken.
    Broken(hyper::Error),
    /// A large body did not come within [`READ_TIME`].
    Slow,
}

/// Pieces of a body; while it holds room, they have to come in time.
pub(super) struct Frames {
    body: Incoming,
    held: Held,
    deadline: Option<Instant>,
}

impl Frames {
    pub(super) fn new(body: Incoming) -> Frames {
        Frames { body, held: Held::default(), deadline: None }
    }

    /// The next piece of data.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            let frame = match self.deadline {
                None => self.body.frame().await,
                Some(deadline) => timeout_at(deadline, self.body.frame()).await.map_err(|_| ReadError::Slow)?,
            };
            match frame.transpose().map_err(ReadError::Broken)?.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_)) => {}
            }
        }
    }

    /// Takes room when more than the free bytes have come: so many as the body may need.
    pub(super) async fn make_room(&mut self, read: usize, needed: usize, room: &Room) {
        if read > FREE_BYTES && self.held.is_nothing() {
            self.held = room.hold(needed).await;
            self.deadline = Some(Instant::now() + READ_TIME);
        }
    }

    /// The room for the body that was read.
    pub(super) fn into_held(self) -> Held {
        self.held
    }
}

/// Reads a whole body of at most `limit` bytes, and decodes it where [`Sink::early`] begins that. A body that comes in
/// one piece is not copied. For a large one there is room when it returns, as much as `limit` if it is compressed.
pub(super) async fn read(
    body: Incoming,
    limit: usize,
    encoding: Option<Encoding>,
    form: Form,
    sink: &Sink,
) -> Result<Parcel, ReadError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(ReadError::TooLarge);
    }
    let exact = body.size_hint().exact().is_some();
    let needed = if encoding.is_some() || !exact { limit } else { announced };
    let may_be_early = exact && encoding.is_none() && form == Form::Protobuf;
    let mut frames = Frames::new(body);
    let mut pieces = Pieces::new(sink.room().buffers());
    while let Some(data) = frames.next().await? {
        if may_be_early
            && pieces.bytes().is_empty()
            && data.len() < announced
            && let Some(mut early) = sink.early(announced)
        {
            early.read(data, frames).await?;
            return Ok(Parcel::Decoded(early));
        }
        let read = pieces.bytes().len() + data.len();
        if read > limit {
            return Err(ReadError::TooLarge);
        }
        frames.make_room(read, needed, sink.room()).await;
        pieces.push(data, announced);
    }
    let bytes = pieces.into_bytes();
    let encoding = encoding.filter(|_| !bytes.is_empty());
    Ok(Parcel::Whole { bytes, encoding, held: frames.into_held() })
}

/// A body while it comes in; one that comes in one piece is not copied.
pub(super) struct Pieces<'a> {
    buffers: &'a Buffers,
    first: Bytes,
    all: Option<Buffer>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(buffers: &'a Buffers) -> Pieces<'a> {
        Pieces { buffers, first: Bytes::new(), all: None }
    }

    /// Adds the next piece of a body of `announced` bytes, 0 if that is not known.
    pub(super) fn push(&mut self, data: Bytes, announced: usize) {
        if let Some(all) = &mut self.all {
            return all.extend(&data);
        }
        // The first of several is copied at once: so its memory is free for the next.
        if self.first.is_empty() && data.len() >= announced {
            self.first = data;
            return;
        }
        let read = self.first.len() + data.len();
        let mut all = self.buffers.take(announced.clamp(read, RESERVED_BYTES.max(read)));
        all.extend(&std::mem::take(&mut self.first));
        all.extend(&data);
        self.all = Some(all);
    }

    /// What has come so far.
    pub(super) fn bytes(&self) -> &[u8] {
        self.all.as_ref().map_or(&self.first, Buffer::as_ref)
    }

    /// The body.
    pub(super) fn into_bytes(self) -> Bytes {
        self.all.map_or(self.first, Buffer::freeze)
    }
}

/// A body of one piece, with trailers for gRPC.
#[derive(Debug, Default)]
pub(super) struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    /// A body without trailers.
    pub(super) fn new(data: impl Into<Bytes>) -> Reply {
        let data = data.into();
        Reply { data: (!data.is_empty()).then_some(data), trailers: None }
    }

    /// A body with trailers.
    pub(super) fn with_trailers(data: Bytes, trailers: HeaderMap) -> Reply {
        Reply { data: Some(data), trailers: Some(trailers) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
