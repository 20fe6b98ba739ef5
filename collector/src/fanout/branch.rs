//! One branch of a fan-out: what it refused although others took it, in order and bounded, and the worker that offers
//! it again. Which batches come here is decided by the fan-out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::{Batch, Counter, Gauge, Refusal, Stop, Telemetry, Uses};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Target;

/// Most points that wait for one branch; a single batch always may.
const MAX_BACKLOG_POINTS: usize = 500_000;
/// Most bytes.
const MAX_BACKLOG_BYTES: usize = 64 << 20;
/// First pause before a branch is tried again; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A branch with its backlog.
pub(super) struct Branch {
    name: String,
    target: Target,
    backlog: Mutex<Backlog>,
    wake: Notify,
    waiting_points: Gauge,
    lost: Counter,
}

#[derive(Default)]
struct Backlog {
    batches: VecDeque<Arc<Batch>>,
    /// What waits and what is under way.
    size: Size,
    /// Batches that were offered and not answered: order demands that others wait behind them.
    under_way: usize,
    /// The branch asked to be left alone until then.
    not_before: Option<Instant>,
    /// Nobody works it off any more.
    closed: bool,
}

/// What a batch takes in a backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    points: usize,
    bytes: usize,
}

impl Size {
    fn of(batch: &Batch) -> Size {
        Size { points: batch.points(), bytes: batch.size_bytes() }
    }
}

impl Branch {
    pub(super) fn new(name: String, target: Target, telemetry: &Telemetry) -> Branch {
        Branch {
            waiting_points: telemetry.gauge(
                "otelcol_ecs_branch_backlog_points",
                "Points that one of several branches refused and will be offered again.",
                &[("branch", &name)],
            ),
            lost: crate::graph::dropped(telemetry, "branch", &name, "branch_refused"),
            name,
            target,
            backlog: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// What of requests is looked at there.
    pub(super) fn uses(&self) -> Uses {
        self.target.uses()
    }

    /// Offers a batch, unless others wait here already.
    pub(super) async fn offer(&self, batch: &Arc<Batch>) -> Result<(), Refusal> {
        {
            let backlog = self.lock();
            if backlog.under_way > 0 || !backlog.batches.is_empty() {
                return Err(Refusal::retry("earlier batches of this branch wait"));
            }
        }
        self.target.offer(batch.clone()).await
    }

    /// Keeps a batch that other branches took and this one refused.
    pub(super) fn keep(&self, batch: &Arc<Batch>, refusal: &Refusal) {
        let (mut backlog, size) = (self.lock(), Size::of(batch));
        let full = backlog.is_full_for(size);
        if !refusal.is_retryable() || backlog.closed || full {
            drop(backlog);
            match full {
                true => self.lose(size.points, &Refusal::retry(format!("too much waits for it: {refusal}"))),
                false => self.lose(size.points, refusal),
            }
            return;
        }
        backlog.batches.push_back(batch.clone());
        backlog.heed(refusal);
        self.add(&mut backlog, size);
        drop(backlog);
        self.wake.notify_one();
    }

    /// The caller was told that the batch is taken before this branch answered: later ones wait behind it.
    /// What it was counted as is for [`Branch::catches_up`].
    pub(super) fn falls_behind(&self, batch: &Batch) -> Size {
        let (mut backlog, size) = (self.lock(), Size::of(batch));
        backlog.under_way += 1;
        self.add(&mut backlog, size);
        size
    }

    /// The answer to a batch that fell behind.
    pub(super) fn catches_up(&self, batch: &Arc<Batch>, counted: Size, answer: Result<(), Refusal>) {
        let mut backlog = self.lock();
        backlog.under_way -= 1;
        self.remove(&mut backlog, counted);
        match answer {
            Err(refusal) if refusal.is_retryable() && !backlog.closed => {
                backlog.batches.push_front(batch.clone());
                backlog.heed(&refusal);
                self.add(&mut backlog, Size::of(batch));
            }
            answer => {
                if let Err(refusal) = answer {
                    self.lose(batch.points(), &refusal);
                }
            }
        }
        drop(backlog);
        self.wake.notify_one();
    }

    /// Works the backlog off, until the stop and until it is empty. What is left when this is given up is lost.
    pub(super) async fn work(&self, stop: &Stop) {
        let mut closing = Closing { branch: self, in_hand: None };
        loop {
            while let Some((batch, not_before)) = self.take() {
                let size = Size::of(&batch);
                closing.in_hand = Some(size);
                let answer = self.deliver(&batch, not_before, stop).await;
                closing.in_hand = None;
                self.finish(size, answer.err());
            }
            let stopping = stop.is_cancelled();
            if stopping && self.is_idle() {
                return;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = stop.cancelled(), if !stopping => {}
            }
        }
    }

    /// Offers a batch until it is taken; while stopping, once.
    async fn deliver(&self, batch: &Arc<Batch>, not_before: Option<Instant>, stop: &Stop) -> Result<(), Refusal> {
        let mut pause = FIRST_PAUSE;
        if let Some(not_before) = not_before {
            tokio::select! {
                () = tokio::time::sleep_until(not_before) => {}
                () = stop.cancelled() => {}
            }
        }
        loop {
            let wait = match self.target.offer(batch.clone()).await {
                Err(refusal) if refusal.is_retryable() && !stop.is_cancelled() => refusal.wait(pause),
                answer => return answer,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = stop.cancelled() => {}
            }
        }
    }

    /// The next batch of the backlog; it is under way until [`Branch::finish`].
    fn take(&self) -> Option<(Arc<Batch>, Option<Instant>)> {
        let mut backlog = self.lock();
        if backlog.under_way > 0 {
            return None;
        }
        let batch = backlog.batches.pop_front()?;
        backlog.under_way += 1;
        Some((batch, backlog.not_before.take()))
    }

    fn finish(&self, size: Size, refusal: Option<Refusal>) {
        let mut backlog = self.lock();
        backlog.under_way -= 1;
        self.remove(&mut backlog, size);
        drop(backlog);
        if let Some(refusal) = refusal {
            self.lose(size.points, &refusal);
        }
    }

    fn is_idle(&self) -> bool {
        let backlog = self.lock();
        backlog.under_way == 0 && backlog.batches.is_empty()
    }

    fn add(&self, backlog: &mut Backlog, size: Size) {
        backlog.size.points += size.points;
        backlog.size.bytes += size.bytes;
        self.waiting_points.set(backlog.size.points as i64);
    }

    fn remove(&self, backlog: &mut Backlog, size: Size) {
        backlog.size.points -= size.points;
        backlog.size.bytes -= size.bytes;
        self.waiting_points.set(backlog.size.points as i64);
    }

    fn lose(&self, points: usize, refusal: &Refusal) {
        self.lost.add(points as u64);
        tracing::error!(branch = self.name, points, error = %refusal, "a branch lost data that others took");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Backlog {
    fn heed(&mut self, refusal: &Refusal) {
        let wish = refusal.wait(Duration::ZERO);
        if !wish.is_zero() {
            self.not_before = Some(Instant::now() + wish);
        }
    }

    fn is_full_for(&self, size: Size) -> bool {
        self.size.points > 0
            && (self.size.points + size.points > MAX_BACKLOG_POINTS || self.size.bytes + size.bytes > MAX_BACKLOG_BYTES)
    }
}

/// Closes the backlog when its worker ends or is ended.
struct Closing<'a> {
    branch: &'a Branch,
    /// The batch that the worker is delivering.
    in_hand: Option<Size>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let over = Refusal::retry("the time to deliver what waited is over");
        if let Some(size) = self.in_hand {
            self.branch.finish(size, Some(over.clone()));
        }
        let mut backlog = self.branch.lock();
        backlog.closed = true;
        let left = std::mem::take(&mut backlog.batches);
        left.iter().for_each(|batch| self.branch.remove(&mut backlog, Size::of(batch)));
        let points = left.iter().map(|batch| batch.points()).sum();
        drop(backlog);
        if points > 0 {
            self.branch.lose(points, &over);
        }
    }
}
