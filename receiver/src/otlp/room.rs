//! How much of large bodies a receiver has in memory at once, and how many of them it works on at once. Requests that
//! find no room wait, and their clients with them.
//!
//! Small bodies are not counted: what they take is bounded by the connections and by the threads that decode them.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::buffers::Buffers;

/// Bytes of bodies at once, unless the largest single one has more.
const BODIES_BYTES: usize = 64 << 20;
/// A body that is read takes no room up to here.
pub(super) const FREE_BYTES: usize = 1 << 20;
/// Bodies that are decoded while they come in, at once.
const EARLY: usize = 4;
/// For reading a body that has room: others may wait for it.
pub(super) const READ_TIME: Duration = Duration::from_secs(60);

/// The room of a receiver, for both protocols.
pub(super) struct Room {
    bytes: Arc<Semaphore>,
    all: usize,
    workers: Arc<Semaphore>,
    early: Arc<Semaphore>,
    buffers: Buffers,
}

impl Room {
    /// Room for a body of `largest` bytes at least.
    pub(super) fn new(largest: usize) -> Room {
        let all = largest.max(BODIES_BYTES);
        let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
        Room {
            bytes: Arc::new(Semaphore::new(all)),
            all,
            workers: Arc::new(Semaphore::new(workers)),
            early: Arc::new(Semaphore::new(EARLY)),
            buffers: Buffers::default(),
        }
    }

    /// Buffers for bodies.
    pub(super) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// Waits until there is room for so many bytes. Who holds some must not ask again: two that wait for each other
    /// would wait for ever.
    pub(super) async fn hold(&self, bytes: usize) -> Held {
        let bytes = u32::try_from(bytes.min(self.all)).unwrap_or(u32::MAX);
        // It is never closed.
        Held(self.bytes.clone().acquire_many_owned(bytes).await.ok())
    }

    /// Leave to decode a body while it comes in, unless enough others are.
    pub(super) fn early(&self) -> Option<OwnedSemaphorePermit> {
        self.early.clone().try_acquire_owned().ok()
    }

    /// Does a job on a blocking thread, once fewer jobs run than there are processors. `None` when it was interrupted.
    pub(super) async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let turn = self.workers.clone().acquire_owned().await.ok();
        // The turn is the job's: it goes on when nobody waits for it any more.
        let working = tokio::task::spawn_blocking(move || {
            let done = job();
            drop(turn);
            done
        });
        working.await.ok()
    }
}

/// Room that a request has; given back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Whether no room was taken.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Gives back what is over this many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            drop(permit.split(permit.num_permits().saturating_sub(bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_bodies_wait_for_each_other_and_the_largest_one_finds_room() {
        let room = Room::new(100 << 20);
        let mut first = room.hold(usize::MAX).await;
        assert!(!first.is_nothing());
        let mut second = std::pin::pin!(room.hold(1));
        assert!(futures_util::poll!(&mut second).is_pending());
        first.shrink_to(99 << 20);
        drop(second.await);
        drop(first);
        let all = room.hold(100 << 20).await;
        assert_eq!(room.bytes.available_permits(), 0);
        drop(all);
        assert_eq!(room.bytes.available_permits(), 100 << 20);
    }

    #[tokio::test]
    async fn no_more_jobs_run_than_there_are_processors() {
        let room = Room::new(0);
        let turns = room.workers.available_permits();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let jobs: Vec<_> = (0..turns + 1)
            .map(|_| {
                let gate = gate.clone();
                room.work(move || gate.lock().unwrap().recv().is_ok())
            })
            .collect();
        let mut jobs = std::pin::pin!(futures_util::future::join_all(jobs));
        assert!(futures_util::poll!(&mut jobs).is_pending());
        assert_eq!(room.workers.available_permits(), 0);
        (0..turns + 1).for_each(|_| open.send(()).unwrap());
        assert!(jobs.await.into_iter().all(|done| done == Some(true)));
        assert_eq!(room.workers.available_permits(), turns);
    }
}
