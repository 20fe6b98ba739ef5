//! Between a pipeline and an [`Exporter`]: room is reserved, the batch is encoded once, its requests wait in memory
//! and are sent in parallel with timeouts and retries. Knows nothing of what a request contains.
//!
//! - A batch that is refused was not encoded, so encoders that keep deltas have not moved on.
//! - Requests of one lane keep their order, retries included; lanes do not wait for each other.
//! - What is being sent counts as queued. Every point is received, then sent, dropped for a reason, or queued. When
//!   the caller waits for the result, its points are received with the result: what it is told to try again, it has.
//! - While requests get through, batches are taken at the destination's speed (`pace`), each after a limited wait; when
//!   sending fails or is slow, until the queue is full.
//! - A caller that waits for the result and gives up does not take its data with it.
//! - Shutdown retries what failed at once, goes on until everything is sent or the deadline is over, and counts the
//!   rest as dropped with the reason `shutdown`.

mod books;
pub mod config;
mod ledger;
mod pace;
mod queue;
mod retry;
mod space;
mod ticket;
mod worker;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use proto::{Batch, BoxFuture, BuildContext, Refusal, Stop, Uses};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Encoded, Encoder, Expectation, Exporter, ExporterNode, OutgoingRequest};
use books::Books;
pub use config::{SenderConfig, SenderSettings, Sizer};
pub use ledger::Counts;
use pace::Pace;
use queue::Queue;
use space::{NoSpace, Reservation, Space};
use ticket::{Ticket, Waiter};
use worker::Item;

/// Points left out, by reason.
type Rejections = Vec<(Cow<'static, str>, u64)>;

/// The [`ExporterNode`] around an [`Exporter`].
pub struct Sender<E: Exporter> {
    inner: Arc<Inner<E>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner<E: Exporter> {
    books: Arc<Books>,
    exporter: E,
    settings: SenderSettings,
    encoder: tokio::sync::Mutex<Intake<E::Encoder>>,
    space: Space,
    pace: Pace,
    queue: Queue<Item<<E::Encoder as Encoder>::Request>>,
    /// Encoded bytes per point of the last batches, in 1/16 byte; 0 before the first.
    bytes_per_point: AtomicU64,
    draining: Stop,
    drain_deadline: OnceLock<Instant>,
    abort: Stop,
}

/// The single owner of the encoder.
struct Intake<N: Encoder> {
    encoder: Option<N>,
    requests: Vec<N::Request>,
}

impl<E: Exporter> Sender<E> {
    /// Wraps an exporter; nothing runs before [`ExporterNode::start`].
    pub fn new(exporter: E, settings: SenderSettings, context: &BuildContext) -> Sender<E> {
        let space = Space::new(settings.queue.queue_size);
        let inner = Inner {
            books: Arc::new(Books::new(context, space.clone(), settings.advice)),
            exporter,
            encoder: tokio::sync::Mutex::new(Intake { encoder: None, requests: Vec::new() }),
            space,
            pace: Pace::new(settings.queue.num_consumers),
            settings,
            queue: Queue::new(),
            bytes_per_point: AtomicU64::new(0),
            draining: Stop::new(),
            drain_deadline: OnceLock::new(),
            abort: Stop::new(),
        };
        Sender { inner: Arc::new(inner), workers: Mutex::default() }
    }

    /// The books now: received = sent + dropped + queued.
    pub fn counts(&self) -> Counts {
        self.inner.books.ledger.counts()
    }
}

impl<E: Exporter> ExporterNode for Sender<E> {
    fn expects(&self) -> Option<Expectation> {
        self.inner.exporter.expects()
    }

    fn uses(&self) -> Uses {
        self.inner.exporter.uses()
    }

    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            self.inner.exporter.start().await?;
            self.inner.books.ledger.open();
            let mut workers = self.workers.lock().expect("no panic while locked");
            for _ in 0..self.inner.settings.queue.num_consumers {
                workers.push(tokio::spawn(worker::work(self.inner.clone())));
            }
            Ok(())
        })
    }

    fn export(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            match self.inner.take(&batch).await? {
                Some(answer) => {
                    drop(batch);
                    answer.await.unwrap_or_else(|_| Err(Refusal::retry("the exporter has stopped")))
                }
                None => Ok(()),
            }
        })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let inner = &self.inner;
            let until = Instant::now() + deadline;
            inner.space.close();
            inner.pace.close();
            // Waits for a batch that is being encoded; later ones are refused.
            drop(inner.encoder.lock().await);
            // A second shutdown keeps the first one's deadline.
            let until = *inner.drain_deadline.get_or_init(|| until);
            inner.draining.cancel();
            inner.queue.close();
            let workers = std::mem::take(&mut *self.workers.lock().expect("no panic while locked"));
            // A worker catches panics of the exporter; what else fails in it has nothing left to lose.
            let mut ended = Box::pin(join_all(workers));
            if tokio::time::timeout_at(until, &mut ended).await.is_err() {
                inner.abandon_all();
                inner.abort.cancel();
                ended.await;
            }
            inner.abandon_all();
            inner.exporter.shutdown().await;
            let counts = inner.books.ledger.counts();
            if let Some(lost) = counts.dropped.get("shutdown") {
                tracing::error!(
                    exporter = %inner.books.id, lost_points = lost,
                    "the time to drain the sending queue is over; what was left is lost"
                );
            }
        })
    }
}

impl<E: Exporter> Inner<E> {
    /// Takes a batch into the queue. With an answer to wait for when the settings say so.
    async fn take(&self, batch: &Batch) -> Result<Option<oneshot::Receiver<Result<(), Refusal>>>, Refusal> {
        // Held until the requests are queued. The encoder is free while a batch waits.
        let _turn = self.pace.wait(|| self.queue.lanes()).await;
        let mut intake = self.encoder.lock().await;
        let queue = &self.settings.queue;
        let mut reservation = self.reserve(batch).await?;
        // From here to the end nothing waits: a cancelled caller cannot leave a batch half encoded.
        let encoded = self.encode(&mut intake, batch);
        self.correct(&mut reservation, &intake.requests, batch);
        let queued: u64 = intake.requests.iter().map(OutgoingRequest::points).sum();
        let left_out = self.left_out(batch, queued, encoded);
        let (waiter, answer) = if !queue.enabled || queue.wait_for_result {
            let (tell, answer) = oneshot::channel();
            (Some(Waiter { tell, left_out }), Some(answer))
        } else {
            self.books.ledger.taken(queued, &left_out);
            (None, None)
        };
        let ticket = Arc::new(Ticket::new(reservation, self.books.clone(), waiter));
        for request in intake.requests.drain(..) {
            self.pace.queued(request.size_bytes());
            self.queue.push(request.lane(), Item { request, ticket: ticket.clone() });
        }
        Ok(answer)
    }

    async fn reserve(&self, batch: &Batch) -> Result<Reservation, Refusal> {
        let units = match self.settings.queue.sizer {
            Sizer::Requests => 1,
            Sizer::Items => batch.points() as u64,
            Sizer::Bytes => self.expected_bytes(batch),
        };
        let got = match self.settings.queue.block_on_overflow {
            true => self.space.reserve(units).await,
            false => self.space.try_reserve(units),
        };
        got.map_err(|why| {
            let refusal = match why {
                NoSpace::Full => Refusal::retry("sending queue is full"),
                NoSpace::Closed => Refusal::retry("the exporter is shutting down"),
                NoSpace::TooLarge => Refusal::permanent(format!(
                    "element size too large: the batch has a size of {units}, sending_queue.queue_size is {}",
                    self.space.capacity()
                )),
            };
            self.books.turned_away(batch.points() as u64, &refusal);
            refusal
        })
    }

    fn encode(&self, intake: &mut Intake<E::Encoder>, batch: &Batch) -> Encoded {
        let mut encoder = intake.encoder.take().unwrap_or_else(|| self.exporter.encoder());
        let requests = &mut intake.requests;
        match std::panic::catch_unwind(AssertUnwindSafe(|| {
            let encoded = encoder.encode(batch, requests);
            (encoder, encoded)
        })) {
            Ok((encoder, encoded)) => {
                intake.encoder = Some(encoder);
                encoded
            }
            Err(_) => {
                intake.requests.clear();
                tracing::error!(exporter = %self.books.id, "the encoder panicked; this is a bug, please report it");
                Encoded { kept: 0, dropped: vec![("encoder_panic".into(), batch.points() as u64)] }
            }
        }
    }

    /// What is missing in the requests of a batch. What an encoder does not account for counts as dropped.
    fn left_out(&self, batch: &Batch, queued: u64, encoded: Encoded) -> Rejections {
        let (points, mut left_out) = (batch.points() as u64, encoded.dropped);
        let told = queued + left_out.iter().map(|(_, n)| n).sum::<u64>();
        debug_assert_eq!(told, points, "{}: kept and dropped points make up the batch", self.books.id);
        if told < points {
            left_out.push(("unaccounted".into(), points - told));
        }
        left_out
    }

    /// What the encoded batch will take, going by the batches before it.
    fn expected_bytes(&self, batch: &Batch) -> u64 {
        match self.bytes_per_point.load(Relaxed) {
            0 => batch.size_bytes() as u64,
            rate => (batch.points() as u64 * rate) >> 4,
        }
    }

    fn correct(&self, reservation: &mut Reservation, requests: &[<E::Encoder as Encoder>::Request], batch: &Batch) {
        if self.settings.queue.sizer != Sizer::Bytes {
            return;
        }
        let bytes = requests.iter().map(|r| r.size_bytes() as u64).sum();
        reservation.correct(bytes);
        if let Some(rate) = (bytes << 4).checked_div(batch.points() as u64) {
            let rate = rate.max(1);
            let old = self.bytes_per_point.load(Relaxed);
            // Follows growth at once and shrinks slowly, so that the expectation is rarely too small.
            let new = if rate >= old { rate } else { old - (old - rate) / 8 };
            self.bytes_per_point.store(new, Relaxed);
        }
    }

    fn drain_deadline(&self) -> Option<Instant> {
        self.drain_deadline.get().copied()
    }

    fn abandon_all(&self) {
        for item in self.queue.drain() {
            self.abandon(item);
        }
    }
}

impl<E: Exporter> Drop for Inner<E> {
    fn drop(&mut self) {
        self.books.ledger.close();
    }
}
