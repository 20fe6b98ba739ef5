//! A request that is decoded while its body comes in, piece by piece: nothing waits for the last byte, and the body
//! never lies in memory as a whole.
//!
//! A field is read as soon as all its bytes are there. The messages that lead to the points are entered when they go on
//! in the next piece; any other field that does, most often a point, is kept until it is complete. What comes out is what
//! [`decode`](super::decode) makes of the whole.

use super::capacities::Capacities;
use super::decode::{Decoder, OpenMetric, OpenResource, OpenScope, data_kind};
use super::error::{DecodeError, DecodeLimits};
use super::wire::{Field, Reader, Wire};
use crate::batch::Batch;

/// Room for a field that is not complete; longer ones make more.
const KEPT_BYTES: usize = 1024;

/// Decodes one request from pieces of its body.
pub struct PieceDecoder {
    decoder: Decoder,
    /// Levels that were entered: none, `ResourceMetrics`, `ScopeMetrics`, `Metric`, its data.
    level: usize,
    /// Bytes that were not read of the request, and of the message on each level.
    left: [usize; 5],
    resource: Option<OpenResource>,
    scope: Option<OpenScope>,
    metric: Option<OpenMetric>,
    /// A field that is not complete, and how long it has to be before another look is worth it.
    kept: Vec<u8>,
    needed_bytes: usize,
}

/// What can be said of the field that comes next.
enum Next {
    /// It can be read, or is known to be wrong.
    Ready,
    /// A message that is to be entered; its length with what stands before its content.
    Enter(usize),
    /// So many bytes have to be there first.
    Needs(usize),
}

impl PieceDecoder {
    /// For a body of this length. `earlier` is a request like this one.
    ///
    /// # Errors
    /// The body is longer than the limits say.
    pub fn new(body_bytes: usize, limits: &DecodeLimits, earlier: &Capacities) -> Result<PieceDecoder, DecodeError> {
        limits.check_length(body_bytes)?;
        Ok(PieceDecoder {
            decoder: Decoder::new(limits, body_bytes, earlier),
            level: 0,
            left: [body_bytes, 0, 0, 0, 0],
            resource: None,
            scope: None,
            metric: None,
            kept: Vec::with_capacity(KEPT_BYTES),
            needed_bytes: 0,
        })
    }

    /// Reads the next bytes of the body.
    ///
    /// # Errors
    /// Those of [`decode`](super::decode), as soon as they show. The rest of the body is of no use then.
    pub fn read(&mut self, mut piece: &[u8]) -> Result<(), DecodeError> {
        let had = self.decoder.base + self.kept.len();
        if piece.len() > self.decoder.body_bytes - had {
            return Err(DecodeError::Malformed { problem: "more bytes than announced", offset: had });
        }
        while !self.kept.is_empty() {
            let more = self.needed_bytes.saturating_sub(self.kept.len()).min(piece.len());
            let (now, later) = piece.split_at(more);
            self.kept.extend_from_slice(now);
            piece = later;
            if self.kept.len() < self.needed_bytes {
                return Ok(());
            }
            let mut kept = std::mem::take(&mut self.kept);
            let read = self.read_fields(&kept)?;
            kept.drain(..read);
            self.kept = kept;
        }
        let read = self.read_fields(piece)?;
        self.kept.extend_from_slice(&piece[read..]);
        Ok(())
    }

    /// The batch, without the body.
    ///
    /// # Errors
    /// The body was not as long as was announced.
    pub fn finish(self) -> Result<Batch, DecodeError> {
        if self.left[self.level] > 0 {
            return Err(DecodeError::Malformed { problem: "cut off request", offset: self.decoder.base });
        }
        Ok(self.decoder.finish())
    }

    /// Reads what is complete and gives its length.
    fn read_fields(&mut self, bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut rest = bytes;
        loop {
            self.leave_what_is_read()?;
            let left = self.left[self.level];
            if rest.is_empty() || left == 0 {
                return Ok(bytes.len() - rest.len());
            }
            let depth = self.decoder.limits.nesting.saturating_sub(self.level as u32);
            let reader = Reader::new(&rest[..left.min(rest.len())], depth);
            let read = match self.look_at(reader) {
                Next::Ready => self.read_field(reader).map_err(|error| error.behind(self.decoder.base))?,
                Next::Enter(length) => self.enter(reader, length),
                Next::Needs(needed) => {
                    self.needed_bytes = needed;
                    return Ok(bytes.len() - rest.len());
                }
            };
            rest = &rest[read..];
            self.decoder.base += read;
        }
    }

    /// Ends the messages of which nothing is left.
    fn leave_what_is_read(&mut self) -> Result<(), DecodeError> {
        while self.level > 0 && self.left[self.level] == 0 {
            let decoder = &mut self.decoder;
            match self.level {
                1 => self.resource.take().map_or(Ok(()), |open| decoder.close_resource(open, 0))?,
                2 => self.scope.take().map_or(Ok(()), |open| decoder.close_scope(open, 0))?,
                3 => self.metric.take().map_or(Ok(()), |open| decoder.close_metric(open, 0))?,
                _ => {}
            }
            self.level -= 1;
        }
        Ok(())
    }

    fn look_at(&self, message: Reader) -> Next {
        let (left, there) = (self.left[self.level], message.rest().len());
        let mut reader = message;
        let Ok(Some(field)) = reader.next() else { return incomplete(there, left) };
        if field.wire != Wire::Bytes {
            return reader.skip(field).map_or_else(|_| incomplete(there, left), |()| Next::Ready);
        }
        let Ok(length) = reader.varint() else { return incomplete(there, left) };
        let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(reader.pos());
        if end <= there || end > left {
            return Next::Ready;
        }
        if self.is_entered(field) && message.has_depth() { Next::Enter(end) } else { Next::Needs(end) }
    }

    /// Whether a field of the innermost message is entered when it is not complete.
    fn is_entered(&self, field: Field) -> bool {
        match self.level {
            0 => field.tag == 1,
            1 | 2 => field.tag == 2,
            3 => data_kind(field.tag).is_some(),
            _ => false,
        }
    }

    fn read_field(&mut self, mut reader: Reader) -> Result<usize, DecodeError> {
        let Some(field) = reader.next()? else { return Ok(0) };
        let decoder = &mut self.decoder;
        match (self.level, &mut self.resource, &mut self.scope, &mut self.metric) {
            (4, _, _, Some(metric)) => decoder.data_field(&mut reader, field, metric)?,
            (3, _, _, Some(metric)) => decoder.metric_field(&mut reader, field, metric)?,
            (2, _, Some(scope), _) => decoder.scope_field(&mut reader, field, scope)?,
            (1, Some(resource), _, _) => decoder.resource_field(&mut reader, field, resource)?,
            _ => decoder.request_field(&mut reader, field)?,
        }
        self.left[self.level] -= reader.pos();
        Ok(reader.pos())
    }

    /// Enters the field that comes next, of this length; gives the length of what stands before its content.
    fn enter(&mut self, mut reader: Reader, length: usize) -> usize {
        // Key and length were read once already.
        let kind = reader.next().ok().flatten().and_then(|field| data_kind(field.tag));
        let _ = reader.varint();
        match (self.level, &self.resource, &self.scope, &mut self.metric) {
            (0, ..) => self.resource = Some(self.decoder.open_resource()),
            (1, Some(resource), ..) => self.scope = Some(self.decoder.open_scope(resource)),
            (2, _, Some(scope), _) => self.metric = Some(self.decoder.open_metric(scope)),
            (_, _, _, Some(metric)) => self.decoder.open_data(kind.unwrap_or_default(), metric),
            _ => {}
        }
        self.left[self.level] -= length;
        self.level += 1;
        self.left[self.level] = length - reader.pos();
        reader.pos()
    }
}

/// A field without a known length is looked at again when twice as much is there, or all of its message. When that is
/// there, it is wrong.
fn incomplete(there: usize, left: usize) -> Next {
    if there >= left { Next::Ready } else { Next::Needs((2 * there).max(16).min(left)) }
}
