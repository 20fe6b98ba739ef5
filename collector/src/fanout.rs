//! One batch for several branches (exporters of a pipeline, pipelines of a receiver), each answering for itself.
//!
//! When every branch refuses, the refusal goes back and nobody has the batch. When some took it, sending it again
//! would duplicate it there: the branches that refused get it from a bounded backlog of their own instead, and what
//! they cannot take in the end is counted at that branch alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporter::ExporterNode;
use futures_util::future::join_all;
use proto::{Batch, BoxFuture, Consume, Counter, Gauge, Next, Refusal, Stop, Task, Telemetry};
use tokio::sync::Notify;

/// Most points that wait for one branch.
const MAX_BACKLOG_POINTS: usize = 500_000;
/// First pause before a branch is tried again; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where a batch can go.
pub(crate) enum Target {
    /// An exporter.
    Exporter(Arc<dyn ExporterNode>),
    /// The first processor of a pipeline.
    Pipeline(Next),
}

impl Target {
    fn offer(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<(), Refusal>> {
        match self {
            Target::Exporter(exporter) => exporter.export(batch),
            Target::Pipeline(next) => next.send(Arc::unwrap_or_clone(batch)),
        }
    }
}

/// Hands a batch to every branch.
pub(crate) struct FanOut(Arc<Vec<Branch>>);

struct Branch {
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
    points: usize,
    /// The worker has taken one out and has not finished with it: order demands that others wait behind it.
    busy: bool,
}

impl FanOut {
    /// Branches by name, and the task that works off their backlogs.
    pub(crate) fn new(branches: Vec<(String, Target)>, telemetry: &Telemetry, stop: Stop) -> (FanOut, Task) {
        let branches = branches.into_iter().map(|(name, target)| Branch::new(name, target, telemetry));
        let branches: Arc<Vec<Branch>> = Arc::new(branches.collect());
        let workers = branches.clone();
        let task = Box::pin(async move {
            join_all(workers.iter().map(|branch| branch.work(&stop))).await;
            Ok(())
        });
        (FanOut(branches), task)
    }
}

impl Consume for FanOut {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let batch = Arc::new(batch);
            let answers = join_all(self.0.iter().map(|branch| branch.offer(&batch))).await;
            let taken = answers.iter().any(Result::is_ok);
            if !taken {
                return answers.into_iter().filter_map(Result::err).reduce(Refusal::merge).map_or(Ok(()), Err);
            }
            for (branch, answer) in self.0.iter().zip(answers) {
                if let Err(refusal) = answer {
                    branch.keep(&batch, &refusal);
                }
            }
            Ok(())
        })
    }
}

impl Branch {
    fn new(name: String, target: Target, telemetry: &Telemetry) -> Branch {
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

    async fn offer(&self, batch: &Arc<Batch>) -> Result<(), Refusal> {
        {
            let backlog = self.lock();
            if backlog.busy || !backlog.batches.is_empty() {
                return Err(Refusal::retry("earlier batches of this branch wait"));
            }
        }
        self.target.offer(batch.clone()).await
    }

    /// Keeps a batch that other branches took.
    fn keep(&self, batch: &Arc<Batch>, refusal: &Refusal) {
        let points = batch.points();
        let mut backlog = self.lock();
        if !refusal.is_retryable() || backlog.points + points > MAX_BACKLOG_POINTS {
            drop(backlog);
            self.lost.add(points as u64);
            tracing::error!(branch = self.name, points, error = %refusal, "a branch lost data that others took");
            return;
        }
        backlog.points += points;
        self.waiting_points.set(backlog.points as i64);
        backlog.batches.push_back(batch.clone());
        drop(backlog);
        self.wake.notify_one();
    }

    async fn work(&self, stop: &Stop) {
        loop {
            while let Some(batch) = self.take() {
                let kept = self.deliver(&batch, stop).await;
                self.finish(&batch, kept);
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = stop.cancelled() => {
                    if self.lock().batches.is_empty() {
                        return;
                    }
                }
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

    fn take(&self) -> Option<Arc<Batch>> {
        let mut backlog = self.lock();
        let batch = backlog.batches.pop_front()?;
        backlog.busy = true;
        Some(batch)
    }

    fn finish(&self, batch: &Arc<Batch>, answer: Result<(), Refusal>) {
        let points = batch.points();
        {
            let mut backlog = self.lock();
            backlog.busy = false;
            backlog.points -= points;
            self.waiting_points.set(backlog.points as i64);
        }
        if let Err(refusal) = answer {
            self.lost.add(points as u64);
            tracing::error!(branch = self.name, points, error = %refusal, "a branch lost data that others took");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{NumberPoint, NumberValue};

    /// A branch that refuses while `refuse` holds a refusal and remembers the times of what it took.
    #[derive(Default)]
    struct Fake {
        refuse: Mutex<Option<Refusal>>,
        taken: Mutex<Vec<u64>>,
    }

    impl ExporterNode for Fake {
        fn start(&self) -> BoxFuture<'_, Result<(), String>> {
            Box::pin(async { Ok(()) })
        }
        fn export(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<(), Refusal>> {
            let answer = self.refuse.lock().unwrap().clone().map_or(Ok(()), Err);
            if answer.is_ok() {
                self.taken.lock().unwrap().extend(batch.numbers.iter().map(|p| p.time_unix_nano));
            }
            Box::pin(async { answer })
        }
        fn shutdown(&self, _: Duration) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    fn batch(time: u64) -> Batch {
        let point = NumberPoint {
            metric: 0,
            attrs: proto::AttrSetId::EMPTY,
            time_unix_nano: time,
            start_unix_nano: 0,
            value: NumberValue::Int(1),
            flags: 0,
            exemplars: proto::Range32::default(),
        };
        Batch { numbers: vec![point], ..Batch::default() }
    }

    struct World {
        good: Arc<Fake>,
        bad: Arc<Fake>,
        fan_out: FanOut,
        telemetry: Telemetry,
        stop: Stop,
        worker: tokio::task::JoinHandle<Result<(), String>>,
    }

    fn world() -> World {
        let (good, bad) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
        let (telemetry, stop) = (Telemetry::default(), Stop::new());
        let branches = vec![
            ("good".to_owned(), Target::Exporter(good.clone())),
            ("bad".to_owned(), Target::Exporter(bad.clone())),
        ];
        let (fan_out, task) = FanOut::new(branches, &telemetry, stop.clone());
        World { good, bad, fan_out, telemetry, stop, worker: tokio::spawn(task) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusing_branch_gets_its_batches_later_in_order_and_the_other_one_gets_them_once() {
        let w = world();
        *w.bad.refuse.lock().unwrap() = Some(Refusal::retry("full"));
        for time in 1..=3 {
            w.fan_out.consume(batch(time)).await.unwrap();
        }
        assert_eq!(*w.good.taken.lock().unwrap(), [1, 2, 3]);
        assert!(w.bad.taken.lock().unwrap().is_empty());
        *w.bad.refuse.lock().unwrap() = None;
        while w.bad.taken.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        w.fan_out.consume(batch(4)).await.unwrap();
        assert_eq!(*w.bad.taken.lock().unwrap(), [1, 2, 3, 4]);
        assert_eq!(*w.good.taken.lock().unwrap(), [1, 2, 3, 4]);
        w.stop.cancel();
        w.worker.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn when_every_branch_refuses_the_refusal_goes_back_and_nothing_is_kept() {
        let w = world();
        *w.bad.refuse.lock().unwrap() = Some(Refusal::permanent("no"));
        *w.good.refuse.lock().unwrap() = Some(Refusal::retry("full"));
        let refusal = w.fan_out.consume(batch(1)).await.unwrap_err();
        assert!(refusal.is_retryable());
        *w.bad.refuse.lock().unwrap() = None;
        *w.good.refuse.lock().unwrap() = None;
        w.fan_out.consume(batch(2)).await.unwrap();
        assert_eq!(*w.bad.taken.lock().unwrap(), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_branch_cannot_take_before_the_end_is_counted_at_that_branch() {
        let w = world();
        *w.bad.refuse.lock().unwrap() = Some(Refusal::retry("full"));
        w.fan_out.consume(batch(1)).await.unwrap();
        w.stop.cancel();
        w.worker.await.unwrap().unwrap();
        let lost = crate::graph::dropped(&w.telemetry, "branch", "bad", "branch_refused");
        assert_eq!(lost.get(), 1);
        assert_eq!(*w.good.taken.lock().unwrap(), [1]);
    }
}
