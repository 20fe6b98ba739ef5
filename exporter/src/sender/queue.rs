//! Encoded requests that wait for a sender, in lanes: what shares a lane is sent one after the other, in order; lanes
//! take turns. Knows nothing of capacity (`space`) or of what happens to a request (`worker`).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use hashbrown::HashMap;
use tokio::sync::Notify;

/// Order-keeping queue. A lane is busy from [`Queue::next`] until [`Queue::done`].
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Notify,
}

/// A lane while its first item is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    id: u64,
    private: bool,
}

struct State<T> {
    lanes: HashMap<Lane, VecDeque<T>>,
    /// Lanes that have items and are not busy, in turn.
    ready: VecDeque<Lane>,
    private_lanes: u64,
    waiting: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        Queue {
            state: Mutex::new(State {
                lanes: HashMap::new(),
                ready: VecDeque::new(),
                private_lanes: 0,
                waiting: 0,
                closed: false,
            }),
            arrived: Notify::new(),
        }
    }

    /// Appends an item to its lane; `None` gives it a lane of its own.
    pub(crate) fn push(&self, lane: Option<u64>, item: T) {
        let mut state = self.lock();
        let lane = match lane {
            Some(id) => Lane { id, private: false },
            None => {
                state.private_lanes += 1;
                Lane { id: state.private_lanes, private: true }
            }
        };
        let mut new = false;
        state.lanes.entry(lane).or_insert_with(|| {
            new = true;
            VecDeque::with_capacity(1)
        });
        if let Some(items) = state.lanes.get_mut(&lane) {
            items.push_back(item);
        }
        state.waiting += 1;
        if new {
            state.ready.push_back(lane);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// The next item, or `None` when the queue is closed and nothing is ready. Several callers may wait.
    pub(crate) async fn next(&self) -> Option<(Lane, T)> {
        loop {
            {
                let mut state = self.lock();
                if let Some(found) = state.pop() {
                    // A wake-up may have been merged with ours: pass it on.
                    if !state.ready.is_empty() {
                        self.arrived.notify_one();
                    }
                    return Some(found);
                }
                if state.closed && state.waiting == 0 {
                    self.arrived.notify_one();
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Takes further items of a busy lane, as many of those that wait as `count` says.
    pub(crate) fn more(&self, lane: Lane, count: impl FnOnce(&VecDeque<T>) -> usize) -> Vec<T> {
        let mut state = self.lock();
        let Some(items) = state.lanes.get_mut(&lane).filter(|items| !items.is_empty()) else { return Vec::new() };
        let n = count(items).min(items.len());
        let taken: Vec<T> = items.drain(..n).collect();
        state.waiting -= taken.len();
        taken
    }

    /// Says that what was taken from this lane is settled: the next one of the lane may go.
    pub(crate) fn done(&self, lane: Lane) {
        let mut state = self.lock();
        if state.lanes.get(&lane).is_some_and(|items| !items.is_empty()) {
            state.ready.push_back(lane);
        } else {
            state.lanes.remove(&lane);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// Lanes that have items or are busy.
    pub(crate) fn lanes(&self) -> usize {
        self.lock().lanes.len()
    }

    /// After this, [`Queue::next`] ends when nothing is left.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Takes out everything that waits, lane by lane.
    pub(crate) fn drain(&self) -> Vec<T> {
        let mut state = self.lock();
        state.ready.clear();
        state.waiting = 0;
        let all = state.lanes.values_mut().flat_map(std::mem::take).collect();
        drop(state);
        self.arrived.notify_one();
        all
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no panic while the queue is locked")
    }
}

impl<T> State<T> {
    fn pop(&mut self) -> Option<(Lane, T)> {
        let lane = self.ready.pop_front()?;
        let item = self.lanes.get_mut(&lane)?.pop_front()?;
        self.waiting -= 1;
        Some((lane, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn take(q: &Queue<u32>) -> (Lane, u32) {
        q.next().await.unwrap()
    }

    #[tokio::test]
    async fn a_busy_lane_waits_and_the_others_go_on() {
        let q = Queue::new();
        for (lane, item) in [(1, 10), (1, 11), (2, 20)] {
            q.push(Some(lane), item);
        }
        let (one, first) = take(&q).await;
        let (_, second) = take(&q).await;
        assert_eq!((first, second), (10, 20));
        assert!(futures_util::FutureExt::now_or_never(q.next()).is_none(), "lane 1 is busy");
        q.done(one);
        assert_eq!(take(&q).await.1, 11);
    }

    #[tokio::test]
    async fn who_has_a_lane_may_take_more_of_it_and_of_no_other() {
        let q = Queue::new();
        for (lane, item) in [(1, 10), (2, 20), (1, 11), (1, 12)] {
            q.push(Some(lane), item);
        }
        q.close();
        let (one, _) = take(&q).await;
        assert_eq!(q.more(one, |waiting| waiting.iter().take_while(|item| **item < 12).count()), [11]);
        assert!(q.more(one, |_| 0).is_empty());
        let (two, _) = take(&q).await;
        assert!(q.more(two, |_| panic!("nothing waits")).is_empty());
        q.done(two);
        assert_eq!(q.more(one, |_| 9), [12]);
        q.done(one);
        assert_eq!((q.lanes(), q.next().await), (0, None));
    }

    #[tokio::test]
    async fn items_without_a_lane_do_not_wait_for_each_other() {
        let q = Queue::new();
        for item in 0..3 {
            q.push(None, item);
        }
        for item in 0..3 {
            assert_eq!(take(&q).await.1, item);
        }
    }

    #[tokio::test]
    async fn a_closed_queue_gives_out_what_it_has_and_then_ends_for_every_waiter() {
        let q = std::sync::Arc::new(Queue::new());
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let q = q.clone();
                tokio::spawn(async move {
                    let mut n = 0;
                    while let Some((lane, _)) = q.next().await {
                        q.done(lane);
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        for item in 0..20 {
            q.push(Some(item % 3), item);
        }
        q.close();
        let mut total = 0;
        for w in waiters {
            total += w.await.unwrap();
        }
        assert_eq!(total, 20);
    }

    #[test]
    fn a_lane_leaves_nothing_behind() {
        let q = Queue::new();
        q.push(Some(1), 1);
        q.push(None, 2);
        assert_eq!(q.lanes(), 2);
        for _ in 0..2 {
            let (lane, _) = futures_util::FutureExt::now_or_never(q.next()).flatten().unwrap();
            q.done(lane);
        }
        assert_eq!(q.lanes(), 0);
    }
}
