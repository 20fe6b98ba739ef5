//! Bodies that are decoded while they come in, where nobody sends them on as they are: they are never in memory as a
//! whole, and what the last read brought is still in the processor's caches.

use proto::Batch;
use proto::otlp::{DecodeError, PieceDecoder};
use tokio::sync::OwnedSemaphorePermit;

/// A protobuf body that is decoded while it comes in.
pub(super) struct Early {
    decoder: Result<PieceDecoder, DecodeError>,
    read_bytes: usize,
    /// What a body came to may be several times as long as the body: only so many are begun at once.
    _turn: OwnedSemaphorePermit,
}

impl Early {
    pub(super) fn new(decoder: PieceDecoder, turn: OwnedSemaphorePermit) -> Early {
        Early { decoder: Ok(decoder), read_bytes: 0, _turn: turn }
    }

    /// The next piece. After an error the rest is only counted.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.read_bytes += piece.len();
        if let Ok(decoder) = &mut self.decoder
            && let Err(error) = decoder.read(piece)
        {
            self.decoder = Err(error);
        }
    }

    /// Length of what has come.
    pub(super) fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// The batch.
    pub(super) fn finish(self) -> Result<Batch, DecodeError> {
        self.decoder?.finish()
    }
}
