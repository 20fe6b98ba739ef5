//! Slows the pipelines down to the speed of the destination: while requests get through, a batch waits until little is
//! queued, so that a fast sender does not fill the memory. Refuses nothing and waits for a limited time; when sending
//! is slow or fails, the queue is there to take what comes.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{MutexGuard as Turn, Notify};
use tokio::time::Instant;

/// Size of a full request. As much may be queued for each lane with requests, and once more, before a batch waits.
const FULL_REQUEST: u64 = 1 << 20;
/// Longest wait of a batch: far below the time after which clients give up.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How fast batches are taken.
pub(crate) struct Pace {
    consumers: usize,
    state: Mutex<State>,
    changed: Notify,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    queued_bytes: u64,
    /// The last attempt failed, or nothing was settled while a batch waited.
    failing: bool,
    closed: bool,
    last_settled: Option<Instant>,
}

impl Pace {
    /// For so many requests at the same time.
    pub(crate) fn new(consumers: usize) -> Pace {
        Pace { consumers, state: Mutex::default(), changed: Notify::new(), turn: tokio::sync::Mutex::default() }
    }

    /// Waits while there is enough to send and sending works. `lanes` tells how many lanes have requests. Batches
    /// wait in turn: the next one looks when the turn is dropped, which is once the requests are queued. Without a
    /// turn, the patience of the batch was over.
    pub(crate) async fn wait(&self, lanes: impl Fn() -> usize) -> Option<Turn<'_, ()>> {
        let began = Instant::now();
        let turn = tokio::time::timeout_at(began + PATIENCE, self.take_turn(lanes)).await.ok();
        if turn.is_none() {
            let mut state = self.lock();
            state.failing |= state.last_settled.is_none_or(|settled| settled < began);
        }
        turn
    }

    async fn take_turn(&self, lanes: impl Fn() -> usize) -> Turn<'_, ()> {
        let turn = self.turn.lock().await;
        loop {
            let changed = self.changed.notified();
            let enough = FULL_REQUEST * (lanes().clamp(1, self.consumers.max(1)) as u64 + 1);
            {
                let state = self.lock();
                if state.queued_bytes < enough || state.failing || state.closed {
                    return turn;
                }
            }
            changed.await;
        }
    }

    /// A request is queued.
    pub(crate) fn queued(&self, bytes: usize) {
        self.lock().queued_bytes += bytes as u64;
    }

    /// A request has come to its end, also for its lane.
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

    fn one() -> usize {
        1
    }

    fn full() -> Pace {
        let pace = Pace::new(10);
        pace.queued(FULL_REQUEST as usize);
        pace.queued(FULL_REQUEST as usize);
        pace
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_until_a_request_got_through() {
        let pace = Pace::new(10);
        assert!(pace.wait(one).now_or_never().is_some(), "nothing is queued");
        let pace = full();
        let mut waiting = Box::pin(pace.wait(one));
        assert!(waiting.as_mut().now_or_never().is_none());
        pace.settled(1);
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn batches_pass_one_at_a_time() {
        let pace = Pace::new(10);
        let first = pace.wait(one).now_or_never().flatten();
        assert!(first.is_some());
        let mut second = Box::pin(pace.wait(one));
        assert!(second.as_mut().now_or_never().is_none(), "the first one has queued nothing yet");
        pace.queued(2 * FULL_REQUEST as usize);
        drop(first);
        assert!(second.as_mut().now_or_never().is_none(), "now it has");
        pace.settled(1);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn more_is_queued_for_more_lanes_up_to_the_number_of_consumers() {
        let pace = full();
        assert!(pace.wait(|| 2).now_or_never().is_some());
        pace.queued(9 * FULL_REQUEST as usize);
        assert!(pace.wait(|| 9).now_or_never().is_none());
        assert!(pace.wait(|| 1000).now_or_never().is_none(), "ten requests are under way at most");
        pace.settled(1);
        assert!(pace.wait(|| 10).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_when_sending_fails_or_ends() {
        for end in [|pace: &Pace| pace.attempted(true), Pace::close] {
            let pace = full();
            let mut waiting = Box::pin(pace.wait(one));
            assert!(waiting.as_mut().now_or_never().is_none());
            end(&pace);
            assert!(waiting.now_or_never().is_some());
        }
        let pace = full();
        pace.attempted(true);
        assert!(pace.wait(one).now_or_never().is_some());
        pace.attempted(false);
        assert!(pace.wait(one).now_or_never().is_none(), "it works again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_does_not_answer_holds_nobody_up_for_long() {
        let pace = full();
        let began = Instant::now();
        pace.wait(one).await;
        assert_eq!(began.elapsed(), PATIENCE);
        pace.wait(one).await;
        assert_eq!(began.elapsed(), PATIENCE, "only the first one waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_destination_holds_every_batch_up_for_a_limited_time() {
        let pace = full();
        let settle = async {
            for _ in 0..10 {
                tokio::time::sleep(PATIENCE / 4).await;
                pace.settled(0);
            }
        };
        let wait = async {
            let began = Instant::now();
            let all = futures_util::future::join_all((0..12).map(|_| pace.wait(one))).await;
            assert!(all.iter().all(Option::is_none));
            assert_eq!(began.elapsed(), PATIENCE, "they wait side by side");
            pace.wait(one).await;
            assert_eq!(began.elapsed(), 2 * PATIENCE, "it answers, so the next one waits again");
        };
        tokio::join!(settle, wait);
    }
}
