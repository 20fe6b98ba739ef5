//! Bodies: reading one into memory within a limit, and the small ones that are sent back.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Reserved at most before a body's bytes have come, whatever its head announces.
const RESERVED_BYTES: usize = 1 << 20;

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is longer than the limit. The rest was not read.
    TooLarge,
    /// The connection ended or the framing is broken.
    Broken(hyper::Error),
}

/// Reads a whole body of at most `limit` bytes. One that comes in one piece is not copied.
pub(super) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, ReadError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(ReadError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(ReadError::Broken)?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(ReadError::TooLarge);
        }
        if all.is_empty() {
            if first.is_empty() {
                first = data;
                continue;
            }
            all.reserve(announced.clamp(first.len() + data.len(), RESERVED_BYTES.max(first.len() + data.len())));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
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
