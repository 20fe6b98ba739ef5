//! One branch of a fan-out: what it refused although others took it, in order and bounded, and the worker that offers
//! it again. Which batches come here is decided by the fan-out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::{Batch, Counter, Gauge, Refusal, Stop, Telemetry};
use tokio::sync::Notify;

use super::Target;

/// Most points that wait for one branch.
const MAX_BACKLOG_POINTS: usize = 500_000;
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
    /// Points of what waits and of what is under way.
    points: usize,
    /// Batches that were offered and not answered: order demands that others wait behind them.
    under_way: usize,
    /// Nobody works it off any more.
    closed: bool,
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
        let mut backlog = self.lock();
        if !refusal.is_retryable() || backlog.closed || backlog.points + batch.points() > MAX_BACKLOG_POINTS {
            drop(backlog);
            self.lose(batch.points(), refusal);
            return;
        }
        backlog.batches.push_back(batch.clone());
        self.add(&mut backlog, batch.points());
        drop(backlog);
        self.wake.notify_one();
    }

    /// The caller was told that the batch is taken before this branch answered: later ones wait behind it.
    pub(super) fn falls_behind(&self, batch: &Batch) {
        let mut backlog = self.lock();
        backlog.under_way += 1;
        self.add(&mut backlog, batch.points());
    }

    /// The answer to a batch that fell behind.
    pub(super) fn catches_up(&self, batch: &Arc<Batch>, answer: Result<(), Refusal>) {
        let mut backlog = self.lock();
        backlog.under_way -= 1;
        match answer {
            Err(refusal) if refusal.is_retryable() && !backlog.closed => backlog.batches.push_front(batch.clone()),
            answer => {
                self.remove(&mut backlog, batch.points());
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
            while let Some(batch) = self.take() {
                closing.in_hand = Some(batch.points());
                let answer = self.deliver(&batch, stop).await;
                closing.in_hand = None;
                self.finish(batch.points(), answer.err());
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
    async fn deliver(&self, batch: &Arc<Batch>, stop: &Stop) -> Result<(), Refusal> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.target.offer(batch.clone()).await {
                Err(refusal) if refusal.is_retryable() && !stop.is_cancelled() => {}
                answer => return answer,
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = stop.cancelled() => {}
            }
        }
    }

    /// The next batch of the backlog; it is under way until [`Branch::finish`].
    fn take(&self) -> Option<Arc<Batch>> {
        let mut backlog = self.lock();
        if backlog.under_way > 0 {
            return None;
        }
        let batch = backlog.batches.pop_front()?;
        backlog.under_way += 1;
        Some(batch)
    }

    fn finish(&self, points: usize, refusal: Option<Refusal>) {
        let mut backlog = self.lock();
        backlog.under_way -= 1;
        self.remove(&mut backlog, points);
        drop(backlog);
        if let Some(refusal) = refusal {
            self.lose(points, &refusal);
        }
    }

    fn is_idle(&self) -> bool {
        let backlog = self.lock();
        backlog.under_way == 0 && backlog.batches.is_empty()
    }

    fn add(&self, backlog: &mut Backlog, points: usize) {
        backlog.points += points;
        self.waiting_points.set(backlog.points as i64);
    }

    fn remove(&self, backlog: &mut Backlog, points: usize) {
        backlog.points -= points;
        self.waiting_points.set(backlog.points as i64);
    }

    fn lose(&self, points: usize, refusal: &Refusal) {
        self.lost.add(points as u64);
        tracing::error!(branch = self.name, points, error = %refusal, "a branch lost data that others took");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Closes the backlog when its worker ends or is ended.
struct Closing<'a> {
    branch: &'a Branch,
    /// Points of the batch that the worker is delivering.
    in_hand: Option<usize>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let over = Refusal::retry("the time to deliver what waited is over");
        if let Some(points) = self.in_hand {
            self.branch.finish(points, Some(over.clone()));
        }
        let mut backlog = self.branch.lock();
        backlog.closed = true;
        let left = std::mem::take(&mut backlog.batches);
        let points = left.iter().map(|batch| batch.points()).sum();
        self.branch.remove(&mut backlog, points);
        drop(backlog);
        if points > 0 {
            self.branch.lose(points, &over);
        }
    }
}
