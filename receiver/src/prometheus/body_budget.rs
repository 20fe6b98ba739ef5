//! How many bytes of large bodies are in memory at once, over all targets of a receiver: many targets that send a lot and
//! then stall cost no more than this. Small bodies take nothing from it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all large bodies may take together, unless one body may be larger than that.
const DEFAULT_BYTES: u64 = 256 << 20;
/// What every body has without asking.
pub(super) const FREE_BYTES: usize = 1 << 20;
/// What is given out at once.
const UNIT_BYTES: usize = 64 << 10;

/// Memory for large bodies. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BodyBudget {
    units: Arc<Semaphore>,
    total: usize,
}

/// What one body has of it; given back when dropped.
pub(crate) struct BodyRoom {
    budget: BodyBudget,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl BodyBudget {
    /// For bodies of which the largest may have `largest_bytes`.
    pub(crate) fn new(largest_bytes: u64) -> BodyBudget {
        BodyBudget::of(DEFAULT_BYTES.max(largest_bytes))
    }

    pub(super) fn of(bytes: u64) -> BodyBudget {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(UNIT_BYTES);
        let total = units.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        BodyBudget { units: Arc::new(Semaphore::new(total)), total }
    }

    /// Bytes that all large bodies may take together.
    pub(crate) fn bytes(&self) -> usize {
        self.total * UNIT_BYTES
    }

    /// Room for one body, which has [`FREE_BYTES`] at first.
    pub(crate) fn room(&self) -> BodyRoom {
        BodyRoom { budget: self.clone(), permit: None, bytes: FREE_BYTES }
    }

    #[cfg(test)]
    pub(super) fn free_bytes(&self) -> usize {
        self.units.available_permits() * UNIT_BYTES
    }
}

impl BodyRoom {
    /// Bytes that the body may have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the room at least `needed` bytes large, and twice as large as it was, as the buffer grows; waits until
    /// other bodies have given back so much.
    pub(crate) async fn grow(&mut self, needed: usize) {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = needed.max(2 * self.bytes).div_ceil(UNIT_BYTES).min(self.budget.total);
        // Never more than there is: a body whose limit allows it fits in alone.
        let further = u32::try_from(wanted.saturating_sub(held)).unwrap_or(u32::MAX);
        let Ok(permit) = self.budget.units.clone().acquire_many_owned(further).await else { return };
        match &mut self.permit {
            Some(all) => all.merge(permit),
            None => self.permit = Some(permit),
        }
        self.bytes = needed.max(wanted * UNIT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_room_grows_as_a_buffer_does_and_waits_when_others_have_the_rest() {
        let budget = BodyBudget::of(8 * MIB as u64);
        let mut first = budget.room();
        assert_eq!((first.bytes(), budget.free_bytes()), (MIB, 8 * MIB), "small bodies take nothing");
        for (needed, bytes) in [(MIB + 1, 2 * MIB), (2 * MIB + 1, 4 * MIB), (6 * MIB, 8 * MIB)] {
            assert_eq!(first.grow(needed).now_or_never(), Some(()), "{needed}");
            assert_eq!((first.bytes(), budget.free_bytes()), (bytes, 8 * MIB - bytes), "{needed}");
        }
        assert_eq!(first.grow(8 * MIB + 1).now_or_never(), Some(()), "a body alone never waits for itself");
        let mut second = budget.room();
        assert_eq!(second.grow(MIB + 1).now_or_never(), None);
        drop(first);
        assert_eq!(second.grow(MIB + 1).now_or_never(), Some(()));
        drop(second);
        assert_eq!(budget.free_bytes(), 8 * MIB);
    }

    #[test]
    fn there_is_room_for_the_largest_body() {
        assert_eq!(BodyBudget::new(64 << 20).bytes(), 256 * MIB);
        assert_eq!(BodyBudget::new(1 << 30).bytes(), 1024 * MIB);
        assert!(BodyBudget::new(u64::MAX).bytes() > 1024 * MIB);
    }
}
