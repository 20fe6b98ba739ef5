//! `batch`: collects points and hands them on in larger batches, after a time or a number of points.
//!
//! It acknowledges when it takes a batch, as the Collector's does, but keeps what it took: a send that fails for now
//! is tried again from the bounded buffer, a full buffer refuses, and the end of the service empties it.

mod config;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ::config::{Built, Node};
use proto::{Batch, BoxFuture, BuildContext, Consume, Counter, Histogram, Next, Refusal, Share, Stop, Task, Uses};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::config::Config;
use crate::{AnyProcessor, ProcessorFactory, Stage};

/// `batch` in the table of processors.
pub static FACTORY: ProcessorFactory = ProcessorFactory { kind: "batch", build };

/// Most points that are held beside what is being sent; at least four sends fit.
const MAX_HELD_POINTS: usize = 200_000;
/// Most bytes that are held beside what is being sent.
const MAX_HELD_BYTES: usize = 64 << 20;
/// First pause before a refused send is tried again; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long after the stop sends are still tried.
const DRAIN: Duration = Duration::from_secs(8);
/// Longest pause in that time.
const LONGEST_DRAIN_PAUSE: Duration = Duration::from_secs(1);
const SIZES: &[f64] = &[
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 8000.0,
    9000.0, 10000.0, 20000.0, 30000.0, 50000.0, 100_000.0,
];

fn build(node: &Node, context: &BuildContext) -> Built<AnyProcessor> {
    let (config, found) = config::read(node);
    let stage = config.map(|config| {
        let shared = Shared::new(config, context);
        AnyProcessor::Stage(Box::new(Batcher(Arc::new(shared))))
    });
    (stage, found)
}

struct Batcher(Arc<Shared>);

impl Stage for Batcher {
    fn connect(self: Box<Self>, next: Next, stop: Stop) -> (Next, Task) {
        let shared = self.0;
        // Requests are joined here.
        let uses = Uses { request: false, ..next.uses() };
        let entry = Next::new(Entry { shared: shared.clone(), uses });
        (entry, Box::pin(async move { shared.run(next, stop).await }))
    }
}

struct Entry {
    shared: Arc<Shared>,
    uses: Uses,
}

impl Consume for Entry {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        let answer = self.shared.take(&batch);
        Box::pin(async { answer })
    }

    fn uses(&self) -> Uses {
        self.uses
    }
}

struct Shared {
    config: Config,
    held: Mutex<Held>,
    wake: Notify,
    /// When the last attempt may start; set by the stop.
    end: OnceLock<Instant>,
    telemetry: Counters,
}

/// Values of the metadata keys of a batch, in the order of the keys.
type Metadata = Vec<Vec<String>>;

#[derive(Default)]
struct Held {
    pending: HashMap<Metadata, Batch>,
    points: usize,
    bytes: usize,
    closed: bool,
}

/// Pipelines may share the id, and with it the instruments.
struct Counters {
    id: String,
    size: Histogram,
    size_trigger: Counter,
    timeout_trigger: Counter,
    cardinality: Share,
    held_points: Share,
    lost: Counter,
}

/// What made a send due.
#[derive(Clone, Copy, PartialEq)]
enum Trigger {
    Size,
    Timer,
}

impl Shared {
    fn new(config: Config, context: &BuildContext) -> Shared {
        let (t, labels) = (&context.telemetry, [("processor", context.id.as_str())]);
        let telemetry = Counters {
            id: context.id.clone(),
            size: t.histogram(
                "otelcol_processor_batch_batch_send_size",
                "Number of units in the batch",
                &labels,
                SIZES,
            ),
            size_trigger: t.counter(
                "otelcol_processor_batch_batch_size_trigger_send",
                "Number of times the batch was sent due to a size trigger",
                &labels,
            ),
            timeout_trigger: t.counter(
                "otelcol_processor_batch_timeout_trigger_send",
                "Number of times the batch was sent due to a timeout trigger",
                &labels,
            ),
            cardinality: Share::of(t.gauge(
                "otelcol_processor_batch_metadata_cardinality",
                "Number of distinct metadata value combinations being processed",
                &labels,
            )),
            held_points: Share::of(t.gauge(
                "otelcol_ecs_batch_held_points",
                "Points that batch holds, sends included.",
                &labels,
            )),
            lost: t.counter(
                "otelcol_ecs_dropped_metric_points",
                "Metric points that a component left out, by reason.",
                &[("processor", &context.id), ("reason", "refused_downstream")],
            ),
        };
        Shared { config, held: Mutex::default(), wake: Notify::new(), end: OnceLock::new(), telemetry }
    }

    /// Takes a batch or says why not. `points` and `bytes` of a send under way still count, so a stuck destination
    /// fills the buffer and then refuses.
    fn take(&self, batch: &Batch) -> Result<(), Refusal> {
        let (points, bytes) = (batch.points(), batch.size_bytes());
        let key = self.metadata(batch);
        let mut held = self.lock();
        if held.closed {
            return Err(Refusal::retry("the batch processor is stopping"));
        }
        let max_points = MAX_HELD_POINTS.max(4 * self.config.send_batch_size as usize);
        if held.points > 0 && (held.points + points > max_points || held.bytes + bytes > MAX_HELD_BYTES) {
            return Err(Refusal::retry("the buffer of the batch processor is full"));
        }
        let combinations = held.pending.len();
        if !held.pending.contains_key(&key)
            && self.config.metadata_cardinality_limit > 0
            && combinations >= self.config.metadata_cardinality_limit as usize
        {
            return Err(Refusal::permanent("too many batcher metadata-value combinations"));
        }
        let pending = held.pending.entry(key).or_default();
        pending.append(batch);
        let full = pending.points() >= self.config.size();
        held.points += points;
        held.bytes += bytes;
        self.telemetry.held_points.set(held.points as i64);
        self.telemetry.cardinality.set(held.pending.len() as i64);
        drop(held);
        if full {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn metadata(&self, batch: &Batch) -> Metadata {
        let values = |key: &str| {
            let client = batch.meta.client.as_deref()?;
            client.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, values)| values.clone())
        };
        self.config.metadata_keys.iter().map(|key| values(key).unwrap_or_default()).collect()
    }

    async fn run(&self, next: Next, stop: Stop) -> Result<(), String> {
        // However this ends, what is still held is counted.
        let _closing = Closing(self);
        let stopped = async {
            stop.cancelled().await;
            self.end();
        };
        tokio::join!(stopped, self.work(&next, &stop));
        Ok(())
    }

    async fn work(&self, next: &Next, stop: &Stop) {
        let period = self.config.period();
        let mut due = Instant::now() + period;
        while !stop.is_cancelled() {
            let trigger = tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => Trigger::Size,
                () = sleep_until(due), if !period.is_zero() => Trigger::Timer,
            };
            if self.send_due(next, stop, trigger).await || trigger == Trigger::Timer {
                due = Instant::now() + period;
            }
        }
        self.lock().closed = true;
        self.send_due(next, stop, Trigger::Timer).await;
    }

    /// When the last attempt may start. Only asked for after the stop.
    fn end(&self) -> Instant {
        *self.end.get_or_init(|| Instant::now() + DRAIN)
    }

    /// Sends all that is due while there is time; true if anything was.
    async fn send_due(&self, next: &Next, stop: &Stop, trigger: Trigger) -> bool {
        let mut sent = false;
        while !(stop.is_cancelled() && Instant::now() >= self.end())
            && let Some(batch) = self.due(trigger)
        {
            sent = true;
            match trigger {
                Trigger::Size => self.telemetry.size_trigger.add(1),
                Trigger::Timer => self.telemetry.timeout_trigger.add(1),
            }
            self.send(batch, next, stop).await;
        }
        sent
    }

    /// The next batch to send: of at least the wanted size, or whatever is there when the time has come.
    fn due(&self, trigger: Trigger) -> Option<Batch> {
        let mut held = self.lock();
        let wanted = match trigger {
            Trigger::Size => self.config.size().max(1),
            Trigger::Timer => 1,
        };
        let key = held.pending.iter().find(|(_, batch)| batch.points() >= wanted).map(|(key, _)| key.clone())?;
        let pending = held.pending.get_mut(&key)?;
        let client = self.client(&key);
        let mut batch = if pending.points() > self.config.max_size() {
            pending.split_first(self.config.max_size())
        } else {
            std::mem::take(pending)
        };
        batch.meta.client = client;
        // A combination stays known, as in the Collector, so that the limit counts all that were seen.
        if self.config.metadata_keys.is_empty() && held.pending.get(&key).is_some_and(Batch::is_empty) {
            held.pending.remove(&key);
        }
        Some(batch)
    }

    fn client(&self, key: &Metadata) -> Option<Arc<proto::batch::ClientHeaders>> {
        let names = self.config.metadata_keys.iter().map(|name| name.to_ascii_lowercase());
        let headers: Vec<_> = names.zip(key.iter().cloned()).filter(|(_, values)| !values.is_empty()).collect();
        (!headers.is_empty()).then(|| Arc::new(headers))
    }

    /// Hands a batch on until it is taken. What is refused for good, or at the end, is counted as lost. An answer is
    /// always awaited: only it tells who has the batch, and the exporters give it when they stop.
    async fn send(&self, batch: Batch, next: &Next, stop: &Stop) {
        let (points, mut pause) = (batch.points(), FIRST_PAUSE);
        self.telemetry.size.record(points as f64);
        loop {
            let Err(refusal) = next.send(batch.clone()).await else { break };
            let wait = if stop.is_cancelled() { self.last_wait(&refusal, pause) } else { Some(refusal.wait(pause)) };
            let Some(wait) = wait.filter(|_| refusal.is_retryable()) else {
                self.lose(points, &refusal);
                break;
            };
            tracing::warn!(component_id = self.telemetry.id, error = %refusal, "Sender failed; the batch is kept and sent again");
            pause = (pause * 2).min(LONGEST_PAUSE);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
        let mut held = self.lock();
        held.points = held.points.saturating_sub(points);
        held.bytes = if held.points == 0 { 0 } else { held.bytes - held.bytes * points / (held.points + points) };
        self.telemetry.held_points.set(held.points as i64);
    }

    /// The wait after a refusal while stopping; none when the time is over. A wish beyond the end is not granted: the
    /// points would be lost.
    fn last_wait(&self, refusal: &Refusal, pause: Duration) -> Option<Duration> {
        let left = self.end().saturating_duration_since(Instant::now());
        let pause = pause.min(LONGEST_DRAIN_PAUSE);
        let wish = refusal.wait(pause);
        let wait = if wish < left { wish } else { pause };
        (wait < left).then_some(wait)
    }

    fn lose(&self, points: usize, refusal: &Refusal) {
        self.telemetry.lost.add(points as u64);
        tracing::error!(component_id = self.telemetry.id, points, error = %refusal, "Sender failed; the points are lost");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Counts what is held when the task ends or is ended.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut held = self.0.lock();
        let points = held.points;
        *held = Held { closed: true, ..Held::default() };
        drop(held);
        self.0.telemetry.held_points.set(0);
        if points > 0 {
            self.0.lose(points, &Refusal::retry("the time to send what was held is over"));
        }
    }
}
