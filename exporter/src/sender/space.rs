//! Room in the queue, in the units of `sizer`. A batch reserves before it is encoded and gives back when the last of
//! its requests is settled, so what is being sent counts as queued, as in the Collector.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

/// A bounded amount. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Space(Arc<Inner>);

struct Inner {
    capacity: u64,
    used: Mutex<Used>,
    freed: Notify,
}

#[derive(Default)]
struct Used {
    units: u64,
    closed: bool,
}

/// Why nothing was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSpace {
    /// Not now.
    Full,
    /// Never: it is more than the whole capacity.
    TooLarge,
    /// No more batches are taken.
    Closed,
}

/// Units held; dropping gives them back.
pub(crate) struct Reservation {
    space: Space,
    units: u64,
}

impl Space {
    pub(crate) fn new(capacity: u64) -> Space {
        Space(Arc::new(Inner { capacity, used: Mutex::default(), freed: Notify::new() }))
    }

    /// The bound.
    pub(crate) fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// Units reserved now.
    pub(crate) fn used(&self) -> u64 {
        self.0.used.lock().expect("no panic while locked").units
    }

    /// Reserves at once or says why not.
    pub(crate) fn try_reserve(&self, units: u64) -> Result<Reservation, NoSpace> {
        let mut used = self.0.used.lock().expect("no panic while locked");
        if used.closed {
            return Err(NoSpace::Closed);
        }
        if units > self.0.capacity {
            return Err(NoSpace::TooLarge);
        }
        if used.units + units > self.0.capacity {
            return Err(NoSpace::Full);
        }
        used.units += units;
        Ok(Reservation { space: self.clone(), units })
    }

    /// Reserves as soon as there is room.
    pub(crate) async fn reserve(&self, units: u64) -> Result<Reservation, NoSpace> {
        loop {
            let freed = self.0.freed.notified();
            match self.try_reserve(units) {
                Err(NoSpace::Full) => freed.await,
                other => return other,
            }
        }
    }

    /// From now on nothing is reserved; who waits is told.
    pub(crate) fn close(&self) {
        self.0.used.lock().expect("no panic while locked").closed = true;
        self.0.freed.notify_waiters();
        self.0.freed.notify_one();
    }
}

impl Reservation {
    /// Replaces the expected size by the real one, which may exceed the capacity by the error of one expectation.
    pub(crate) fn correct(&mut self, units: u64) {
        let mut used = self.space.0.used.lock().expect("no panic while locked");
        used.units = used.units - self.units + units;
        let less = units < self.units;
        self.units = units;
        drop(used);
        if less {
            self.space.0.freed.notify_one();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.space.0.used.lock().expect("no panic while locked").units -= self.units;
        self.space.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_dropped_is_free_again_and_a_waiter_gets_it() {
        let space = Space::new(10);
        let a = space.try_reserve(7).unwrap();
        assert_eq!(space.try_reserve(4).err(), Some(NoSpace::Full));
        assert_eq!(space.try_reserve(11).err(), Some(NoSpace::TooLarge));
        let waiter = tokio::spawn({
            let space = space.clone();
            async move { space.reserve(4).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(a);
        assert!(waiter.await.unwrap());
        assert_eq!(space.used(), 0);
    }

    #[tokio::test]
    async fn closing_ends_the_wait() {
        let space = Space::new(1);
        let held = space.try_reserve(1).unwrap();
        let waiter = tokio::spawn({
            let space = space.clone();
            async move { space.reserve(1).await.err() }
        });
        tokio::task::yield_now().await;
        space.close();
        assert_eq!(waiter.await.unwrap(), Some(NoSpace::Closed));
        drop(held);
        assert_eq!(space.try_reserve(1).err(), Some(NoSpace::Closed));
    }

    #[test]
    fn a_corrected_size_counts() {
        let space = Space::new(10);
        let mut a = space.try_reserve(2).unwrap();
        a.correct(12);
        assert_eq!(space.used(), 12);
        assert_eq!(space.try_reserve(1).err(), Some(NoSpace::Full));
        drop(a);
        assert_eq!(space.used(), 0);
    }
}
