//! Buffers of bodies, used again while requests come in without a pause: memory that is allocated and given back for
//! every request has to be found, zeroed and mapped each time. Nothing is kept once no body is in memory.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

/// Buffers kept at most.
const KEPT: usize = 4;
/// Larger buffers are not kept.
const LARGEST_KEPT_BYTES: usize = 1 << 20;

/// The buffers of a receiver.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    free: Vec<Vec<u8>>,
    used: usize,
}

/// A buffer that goes back when it is dropped, also as [`Bytes`].
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffers {
    /// An empty buffer with room for so many bytes.
    pub(super) fn take(&self, bytes: usize) -> Buffer {
        let mut state = self.lock();
        state.used += 1;
        let mut buffer = state.free.pop().unwrap_or_default();
        drop(state);
        if buffer.capacity() < bytes {
            // Not grown: that would copy what is not there.
            buffer = Vec::with_capacity(bytes);
        }
        Buffer { bytes: buffer, home: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the buffers are locked")
    }
}

impl Buffer {
    /// Appends to it.
    pub(super) fn extend(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// Its bytes, without a copy.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut state = self.home.lock();
        state.used -= 1;
        let unneeded = if state.used == 0 {
            std::mem::take(&mut state.free)
        } else if state.free.len() < KEPT && bytes.capacity() <= LARGEST_KEPT_BYTES {
            state.free.push(std::mem::take(&mut bytes));
            Vec::new()
        } else {
            Vec::new()
        };
        drop(state);
        drop((unneeded, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_while_another_one_is_in_use() {
        let buffers = Buffers::default();
        let other = buffers.take(1);
        let mut buffer = buffers.take(100_000);
        buffer.extend(b"abc");
        let bytes = buffer.freeze();
        let at = bytes.as_ptr();
        assert_eq!(bytes, "abc");
        drop(bytes.slice(1..));
        drop(bytes);
        let again = buffers.take(50_000);
        assert_eq!((again.as_ref().len(), again.bytes.as_ptr()), (0, at));
        drop((again, other));
        assert_eq!(buffers.lock().free.len(), 0, "nothing is kept when none is in use");
    }

    #[test]
    fn few_and_small_buffers_are_kept() {
        let buffers = Buffers::default();
        let _used = buffers.take(1);
        drop(buffers.take(LARGEST_KEPT_BYTES + 1));
        assert_eq!(buffers.lock().free.len(), 0);
        let many: Vec<_> = (0..KEPT + 3).map(|_| buffers.take(10)).collect();
        drop(many);
        let state = buffers.lock();
        assert_eq!((state.free.len(), state.used), (KEPT, 1));
    }
}
