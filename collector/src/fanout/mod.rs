//! One batch for several branches (exporters of a pipeline, pipelines of a receiver), each answering for itself.
//!
//! When every branch refuses, the refusal goes back and nobody has the batch. When some took it, sending it again
//! would duplicate it there: the branches that refused get it from a bounded backlog of their own instead
//! ([`branch`]), and what they cannot take in the end is counted at that branch alone. A branch that is merely slow is
//! waited for only so long that clients do not give up and send again what the others have; and once a batch has been
//! offered, a caller that goes away no longer decides who gets it.

mod branch;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use exporter::ExporterNode;
use futures_util::future::{FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use proto::{Batch, BoxFuture, Consume, Next, Refusal, Stop, Task, Telemetry, Uses};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use self::branch::{Branch, Size};

/// How long the answer waits for slow branches when another one has taken the batch. Clients give up after 5 s (other
/// collectors) or 10 s (SDKs).
const PATIENCE: Duration = Duration::from_secs(3);

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

    fn uses(&self) -> Uses {
        match self {
            Target::Exporter(exporter) => exporter.uses(),
            Target::Pipeline(next) => next.uses(),
        }
    }
}

/// Hands a batch to every branch.
pub(crate) struct FanOut(Arc<Vec<Branch>>);

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
            let mut round = Round::new(self.0.clone(), Arc::new(batch));
            // Queues and buffers answer at once; what takes longer goes on whether or not the caller waits.
            if round.all_answers().now_or_never().is_some() {
                return round.settle();
            }
            let (tell, told) = oneshot::channel();
            tokio::spawn(round.run(tell));
            told.await.unwrap_or_else(|_| Err(Refusal::retry("the service is stopping")))
        })
    }

    fn uses(&self) -> Uses {
        self.0.iter().map(Branch::uses).fold(Uses::NONE, Uses::or)
    }
}

type Answer = Result<(), Refusal>;

/// One batch on its way to the branches.
struct Round {
    branches: Arc<Vec<Branch>>,
    batch: Arc<Batch>,
    offers: FuturesUnordered<BoxFuture<'static, (usize, Answer)>>,
    /// By branch.
    answers: Vec<Option<Answer>>,
}

impl Round {
    fn new(branches: Arc<Vec<Branch>>, batch: Arc<Batch>) -> Round {
        let offer = |index: usize| -> BoxFuture<'static, (usize, Answer)> {
            let (branches, batch) = (branches.clone(), batch.clone());
            Box::pin(async move { (index, branches[index].offer(&batch).await) })
        };
        let offers = (0..branches.len()).map(offer).collect();
        let answers = branches.iter().map(|_| None).collect();
        Round { branches, batch, offers, answers }
    }

    /// Resolves when every branch has answered.
    async fn all_answers(&mut self) {
        while let Some((index, answer)) = self.offers.next().await {
            self.answers[index] = Some(answer);
        }
    }

    /// Resolves when it is known what the caller is to be told: every branch has answered, or patience is over and
    /// some branch has the batch.
    async fn enough_answers(&mut self) {
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience || !self.taken() {
            tokio::select! {
                next = self.offers.next() => match next {
                    Some((index, answer)) => self.answers[index] = Some(answer),
                    None => return,
                },
                () = sleep_until(patience), if Instant::now() < patience => {}
            }
        }
    }

    fn taken(&self) -> bool {
        self.answers.iter().any(|answer| matches!(answer, Some(Ok(()))))
    }

    async fn run(mut self, tell: oneshot::Sender<Answer>) {
        self.enough_answers().await;
        let behind = |(branch, answer): (&Branch, &Option<Answer>)| match answer {
            None => branch.falls_behind(&self.batch),
            Some(_) => Size::default(),
        };
        let counted: Vec<Size> = self.branches.iter().zip(&self.answers).map(behind).collect();
        // A caller that has gone away has no use for the answer.
        drop(tell.send(self.settle()));
        while let Some((index, answer)) = self.offers.next().await {
            if answer.is_err() {
                self.forget_request();
            }
            self.branches[index].catches_up(&self.batch, counted[index], answer);
        }
    }

    /// A batch that waits is encoded again in the end: beside it, the request that it came in would take as much room.
    fn forget_request(&mut self) {
        if self.batch.meta.raw.is_some() {
            Arc::make_mut(&mut self.batch).meta.raw = None;
        }
    }

    /// Deals with the answers that are there; the answer for the caller.
    fn settle(&mut self) -> Answer {
        let taken = self.taken();
        if taken && self.answers.iter().any(|answer| matches!(answer, Some(Err(_)))) {
            self.forget_request();
        }
        let mut refused: Answer = Ok(());
        for (branch, answer) in self.branches.iter().zip(&mut self.answers) {
            let Some(Err(refusal)) = answer.take() else { continue };
            if taken {
                branch.keep(&self.batch, &refusal);
            } else {
                refused = Err(match refused {
                    Err(other) => other.merge(refusal),
                    Ok(()) => refusal,
                });
            }
        }
        refused
    }
}
