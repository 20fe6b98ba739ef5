//! Bodies that are decoded while they come in, where nobody sends them on as they are: they are never in memory as a
//! whole, and what the last read brought is still in the processor's caches.

use std::cmp::Ordering;

use bytes::Bytes;
use proto::Batch;
use proto::otlp::{DecodeError, PieceDecoder};
use tokio::sync::OwnedSemaphorePermit;

use super::body::{Frames, ReadError};

/// A protobuf body that is decoded while it comes in.
pub(super) struct Early {
    decoder: Result<PieceDecoder, DecodeError>,
    announced_bytes: usize,
    read_bytes: usize,
    /// What a body came to may be several times as long as the body: only so many are begun at once.
    _turn: OwnedSemaphorePermit,
}

impl Early {
    /// For a body of this length.
    pub(super) fn new(decoder: PieceDecoder, announced_bytes: usize, turn: OwnedSemaphorePermit) -> Early {
        Early { decoder: Ok(decoder), announced_bytes, read_bytes: 0, _turn: turn }
    }

    /// Reads its pieces from the first one on, until it ends or is longer than was announced.
    pub(super) async fn read(&mut self, first: Bytes, mut frames: Frames) -> Result<(), ReadError> {
        let mut next = Some(first);
        while let Some(piece) = next.take() {
            self.push(&piece);
            // Its memory is free for the next one.
            drop(piece);
            if self.read_bytes <= self.announced_bytes {
                next = frames.next().await?;
            }
        }
        Ok(())
    }

    /// How long it was, against what was announced.
    pub(super) fn length(&self) -> Ordering {
        self.read_bytes.cmp(&self.announced_bytes)
    }

    /// What was announced.
    pub(super) fn announced_bytes(&self) -> usize {
        self.announced_bytes
    }

    /// The batch.
    pub(super) fn finish(self) -> Result<Batch, DecodeError> {
        self.decoder?.finish()
    }

    /// After an error the rest is only counted: the answer waits for the end of the body, as without pieces.
    fn push(&mut self, piece: &[u8]) {
        self.read_bytes += piece.len();
        if let Ok(decoder) = &mut self.decoder
            && let Err(error) = decoder.read(piece)
        {
            self.decoder = Err(error);
        }
    }
}
