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

/// What is to be done with the field that comes next.
enum Look<'a> {
    /// It is read from behind its key: all of it is there, or it is known to be wrong.
    Read(Field, Reader<'a>),
    /// It goes on in the next piece and is entered: the message behind these bytes, which ends so far from its key.
    Enter { tag: u32, before: usize, end: usize },
    /// So many bytes have to be there first.
    Wait(usize),
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
            let base = self.decoder.base;
            let read = match self.look_at(reader).map_err(|error| error.behind(base))? {
                Look::Read(field, content) => self.read_field(field, content).map_err(|error| error.behind(base))?,
                Look::Enter { tag, before, end } => self.enter(tag, before, end),
                Look::Wait(needed) => {
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

    /// An error is one of the key, when nothing that can come mends it.
    fn look_at<'a>(&self, message: Reader<'a>) -> Result<Look<'a>, DecodeError> {
        let (left, there) = (self.left[self.level], message.rest().len());
        // A field without a known length is looked at again when twice as much is there, or all of its message.
        let wait = (there < left).then(|| Look::Wait((2 * there).max(16).min(left)));
        let mut content = message;
        let field = match content.next() {
            Ok(Some(field)) => field,
            Err(error) => return wait.ok_or(error),
            // Not with a byte there.
            Ok(None) => return Ok(Look::Wait(left)),
        };
        let mut after = content;
        if field.wire != Wire::Bytes {
            let whole = after.skip(field).is_ok();
            return Ok(wait.filter(|_| !whole).unwrap_or(Look::Read(field, content)));
        }
        let Ok(length) = after.varint() else { return Ok(wait.unwrap_or(Look::Read(field, content))) };
        let before = after.pos();
        let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(before);
        if end <= there || end > left {
            return Ok(Look::Read(field, content));
        }
        let enters = self.is_entered(field) && message.has_depth();
        Ok(if enters { Look::Enter { tag: field.tag, before, end } } else { Look::Wait(end) })
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

    /// Reads a field and gives its length with its key.
    fn read_field(&mut self, field: Field, mut content: Reader) -> Result<usize, DecodeError> {
        let decoder = &mut self.decoder;
        match (self.level, &mut self.resource, &mut self.scope, &mut self.metric) {
            (4, _, _, Some(metric)) => decoder.data_field(&mut content, field, metric)?,
            (3, _, _, Some(metric)) => decoder.metric_field(&mut content, field, metric)?,
            (2, _, Some(scope), _) => decoder.scope_field(&mut content, field, scope)?,
            (1, Some(resource), _, _) => decoder.resource_field(&mut content, field, resource)?,
            _ => decoder.request_field(&mut content, field)?,
        }
        self.left[self.level] -= content.pos();
        Ok(content.pos())
    }

    /// Enters a field; gives the length of what stands before its content.
    fn enter(&mut self, tag: u32, before: usize, end: usize) -> usize {
        match (self.level, data_kind(tag), &mut self.metric) {
            (0, ..) => self.resource = Some(OpenResource::default()),
            (1, ..) => self.scope = Some(self.decoder.open_scope()),
            (2, ..) => self.metric = Some(self.decoder.open_metric()),
            (_, Some(kind), Some(metric)) => self.decoder.open_data(kind, metric),
            _ => {}
        }
        self.left[self.level] -= end;
        self.level += 1;
        self.left[self.level] = end - before;
        before
    }
}
