//! Reading an answer's body within limits: decompressed when it says gzip, into buffers that are used again. Knows no
//! formats.

use std::io::{ErrorKind, Write};
use std::sync::{Arc, Mutex};

use flate2::write::MultiGzDecoder;

/// A body that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It has at least as many bytes as allowed.
    #[error(
        "body size limit exceeded: the page has {limit} bytes or more, set body_size_limit to a larger value if that is right"
    )]
    TooLarge {
        /// Decompressed bytes.
        limit: u64,
    },
    /// It says gzip and is not.
    #[error("the body cannot be decompressed: {0}")]
    Gzip(String),
}

/// Most bytes that an announced length makes room for; a longer page grows its buffer as it comes.
const MAX_ANNOUNCED_BYTES: u64 = 4 << 20;

/// Compressed bytes that are unpacked at once, so that a body grows by a few MiB at most before one looks again.
const PACKED_PIECE_BYTES: usize = 4 << 10;

/// Collects the chunks of one body.
pub(crate) struct BodyReader {
    sink: Sink,
}

enum Sink {
    Plain(Limited),
    Gzip(Box<MultiGzDecoder<Limited>>),
}

struct Limited {
    bytes: Vec<u8>,
    limit: u64,
    is_full: bool,
}

impl BodyReader {
    /// Starts a body. Bodies of `limit` decompressed bytes or more are refused.
    pub(crate) fn new(buffer: Vec<u8>, is_gzip: bool, limit: u64) -> BodyReader {
        let limited = Limited { bytes: buffer, limit, is_full: false };
        BodyReader {
            sink: if is_gzip { Sink::Gzip(Box::new(MultiGzDecoder::new(limited))) } else { Sink::Plain(limited) },
        }
    }

    /// Makes room for a body of this length on the wire, so that it need not be moved while it grows.
    pub(crate) fn announce(&mut self, wire_bytes: u64) {
        if let Sink::Plain(limited) = &mut self.sink {
            let expected = wire_bytes.min(limited.limit).min(MAX_ANNOUNCED_BYTES);
            limited.bytes.reserve_exact(usize::try_from(expected).unwrap_or(0));
        }
    }

    /// Adds a chunk as it came over the wire.
    ///
    /// # Errors
    /// The body is too large or no gzip.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let result = match &mut self.sink {
            Sink::Plain(limited) => limited.write_all(chunk),
            Sink::Gzip(decoder) => decoder.write_all(chunk),
        };
        result.map_err(|error| self.error(&error))
    }

    /// Bytes of the body so far, decompressed.
    pub(crate) fn len(&self) -> usize {
        match &self.sink {
            Sink::Plain(limited) => limited.bytes.len(),
            Sink::Gzip(decoder) => decoder.get_ref().bytes.len(),
        }
    }

    /// A chunk in the pieces that are to be added one by one.
    pub(crate) fn pieces<'c>(&self, chunk: &'c [u8]) -> std::slice::Chunks<'c, u8> {
        let size = if matches!(self.sink, Sink::Plain(_)) { chunk.len() } else { PACKED_PIECE_BYTES };
        chunk.chunks(size.max(1))
    }

    /// The whole body.
    ///
    /// # Errors
    /// The compressed data end too early.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, BodyError> {
        if let Sink::Gzip(decoder) = &mut self.sink
            && let Err(error) = decoder.try_finish()
        {
            return Err(self.error(&error));
        }
        Ok(self.into_buffer())
    }

    /// The buffer, for the next body.
    pub(crate) fn into_buffer(mut self) -> Vec<u8> {
        std::mem::take(&mut self.limited().bytes)
    }

    fn limited(&mut self) -> &mut Limited {
        match &mut self.sink {
            Sink::Plain(limited) => limited,
            Sink::Gzip(decoder) => decoder.get_mut(),
        }
    }

    fn error(&mut self, error: &std::io::Error) -> BodyError {
        let limited = self.limited();
        if limited.is_full { BodyError::TooLarge { limit: limited.limit } } else { BodyError::Gzip(error.to_string()) }
    }
}

impl Write for Limited {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if (self.bytes.len() + data.len()) as u64 >= self.limit {
            self.is_full = true;
            return Err(std::io::Error::new(ErrorKind::FileTooLarge, "body size limit exceeded"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Buffers of bodies that were read, for bodies to come. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct BufferPool(Arc<Mutex<Vec<Vec<u8>>>>);

/// Buffers kept.
const MAX_BUFFERS: usize = 4;
/// Larger ones are given back to the system.
const MAX_KEPT_BYTES: usize = 4 << 20;

impl BufferPool {
    /// An empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().expect("no panic while the pool is locked").pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut pool = self.0.lock().expect("no panic while the pool is locked");
        if pool.len() < MAX_BUFFERS && buffer.capacity() <= MAX_KEPT_BYTES {
            pool.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(chunks: &[&[u8]], is_gzip: bool, limit: u64) -> Result<Vec<u8>, BodyError> {
        let mut reader = BodyReader::new(Vec::new(), is_gzip, limit);
        for chunk in chunks {
            reader.push(chunk)?;
        }
        reader.finish()
    }

    #[test]
    fn the_limit_is_one_more_than_what_is_allowed() {
        assert_eq!(read(&[&[b'x'; 600], &[b'x'; 423]], false, 1024).unwrap().len(), 1023);
        assert_eq!(read(&[&[b'x'; 600], &[b'x'; 424]], false, 1024), Err(BodyError::TooLarge { limit: 1024 }));
    }

    #[test]
    fn the_limit_counts_decompressed_bytes() {
        let packed = gzip(&vec![b'x'; 1 << 20]);
        assert!(packed.len() < 100_000);
        assert_eq!(read(&[&packed], true, 1 << 20), Err(BodyError::TooLarge { limit: 1 << 20 }));
        assert_eq!(read(&[&packed], true, (1 << 20) + 1).unwrap().len(), 1 << 20);
    }

    #[test]
    fn gzip_may_come_in_any_pieces_and_several_members() {
        let mut packed = gzip(b"one ");
        packed.extend(gzip(b"two"));
        let pieces: Vec<&[u8]> = packed.chunks(3).collect();
        assert_eq!(read(&pieces, true, 100).unwrap(), b"one two");
    }

    #[test]
    fn broken_gzip_is_refused() {
        let packed = gzip(b"some text that is long enough");
        assert!(matches!(read(&[b"plain text"], true, 100), Err(BodyError::Gzip(_))));
        assert!(matches!(read(&[&packed[..packed.len() - 9]], true, 100), Err(BodyError::Gzip(_))));
    }

    #[test]
    fn an_announced_length_makes_room_within_the_limits() {
        for (announced, limit, expected) in
            [(600_000, u64::MAX, 600_000), (600_000, 1000, 1000), (u64::MAX, u64::MAX, MAX_ANNOUNCED_BYTES)]
        {
            let mut reader = BodyReader::new(Vec::new(), false, limit);
            reader.announce(announced);
            assert_eq!(reader.finish().unwrap().capacity() as u64, expected);
        }
    }

    #[test]
    fn buffers_are_used_again_unless_they_are_large() {
        let pool = BufferPool::default();
        pool.give(Vec::with_capacity(1000));
        assert!(pool.take().capacity() >= 1000);
        pool.give(Vec::with_capacity(MAX_KEPT_BYTES + 1));
        assert_eq!(pool.take().capacity(), 0);
    }
}
