//! Slows the pipelines down to the speed of the destination: while requests get through, a batch waits until little is
//! queued, so that a fast sender does not fill the memory. Refuses nothing; when sending fails, the queue is there to
//! take what comes, and nobody waits.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Encoded bytes queued up to which nobody waits: two full requests on their way.
const QUEUED_BYTES: u64 = 2 << 20;
/// When no request was settled for this long, sending counts as failing.
const PATIENCE: Duration = Duration::from_secs(2);

/// How fast batches are taken.
pub(crate) struct Pace {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    queued_bytes: u64,
    /// The last attempt failed.
    failing: bool,
    closed: bool,
    last_settled: Option<Instant>,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        let state = State { queued_bytes: 0, failing: false, closed: false, last_settled: None };
        Pace { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits while there is enough to send and sending works.
    pub(crate) async fn wait(&self) {
        let began = Instant::now();
        loop {
            let changed = self.changed.notified();
            let until = {
                let state = self.lock();
                if state.queued_bytes < QUEUED_BYTES || state.failing || state.closed {
                    return;
                }
                state.last_settled.map_or(began, |settled| settled.max(began)) + PATIENCE
            };
            if tokio::time::timeout_at(until, changed).await.is_err() {
                self.lock().failing = true;
            }
        }
    }

    /// A request is queued.
    pub(crate) fn queued(&self, bytes: usize) {
        self.lock().queued_bytes += bytes as u64;
    }

    /// A request has come to its end.
    pub(crate) fn settled(&self, bytes: usize) {
        let mut state = self.lock();
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes as u64);
        state.last_settled = Some(Instant::now());
        drop(state);
        self.changed.notify_waiters();
    }

    /// An attempt ended: with an answer that settles the request, or to be repeated.
    pub(crate) fn attempted(&self, failing: bool) {
        let mut state = self.lock();
        let news = failing && !state.failing;
        state.failing = failing;
        drop(state);
        if news {
            self.changed.notify_waiters();
        }
    }

    /// From now on nobody waits.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the pace is locked")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn full() -> Pace {
        let pace = Pace::new();
        pace.queued(QUEUED_BYTES as usize / 2);
        pace.queued(QUEUED_BYTES as usize / 2);
        pace
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_until_a_request_got_through() {
        let pace = Pace::new();
        assert!(pace.wait().now_or_never().is_some(), "nothing is queued");
        let pace = full();
        let mut waiting = Box::pin(pace.wait());
        assert!(waiting.as_mut().now_or_never().is_none());
        pace.settled(1);
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_when_sending_fails_or_ends() {
        for end in [|pace: &Pace| pace.attempted(true), Pace::close] {
            let pace = full();
            let mut waiting = Box::pin(pace.wait());
            assert!(waiting.as_mut().now_or_never().is_none());
            end(&pace);
            assert!(waiting.now_or_never().is_some());
        }
        let pace = full();
        pace.attempted(true);
        assert!(pace.wait().now_or_never().is_some());
        pace.attempted(false);
        assert!(pace.wait().now_or_never().is_none(), "it works again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_does_not_answer_holds_nobody_up_for_long() {
        let pace = full();
        let began = Instant::now();
        pace.wait().await;
        assert_eq!(began.elapsed(), PATIENCE);
        pace.wait().await;
        assert_eq!(began.elapsed(), PATIENCE, "only the first one waits");
    }
}
