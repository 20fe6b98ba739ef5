//! Counts of points of one exporter, kept under one lock so that received = sent + dropped + queued holds in every
//! reading, also while points move. Decides nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use proto::{BuildContext, Counter, Gauge, Telemetry};

use super::space::Space;

/// A consistent reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points taken from pipelines; when the caller waits, taken with the result.
    pub received: u64,
    /// Points that the destination has.
    pub sent: u64,
    /// Points in requests that wait or are being sent.
    pub queued: u64,
    /// Points lost, by reason.
    pub dropped: BTreeMap<Cow<'static, str>, u64>,
    /// Points of requests that could not be delivered, dropped or given back to a caller that waited.
    pub send_failed: u64,
    /// Points of batches that were refused; not received.
    pub enqueue_failed: u64,
}

impl Counts {
    /// All dropped points.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The books of one exporter. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Mutex<Inner>>);

struct Inner {
    counts: Counts,
    published: Counts,
    instruments: Instruments,
}

struct Instruments {
    telemetry: Telemetry,
    exporter: String,
    space: Space,
    received: Counter,
    sent: Counter,
    queued: Gauge,
    dropped: BTreeMap<Cow<'static, str>, Counter>,
    send_failed: Counter,
    enqueue_failed: Counter,
    queue_size: Gauge,
}

impl Ledger {
    pub(crate) fn new(context: &BuildContext, space: Space) -> Ledger {
        let t = &context.telemetry;
        let labels = [("exporter", context.id.as_str())];
        let queue_labels = [("exporter", context.id.as_str()), ("data_type", "metrics")];
        let capacity = t.gauge(
            "otelcol_exporter_queue_capacity",
            "Fixed capacity of the sending queue, in units of its sizer.",
            &queue_labels,
        );
        capacity.set(i64::try_from(space.capacity()).unwrap_or(i64::MAX));
        let instruments = Instruments {
            received: t.counter(
                "otelcol_ecs_received_metric_points",
                "Points that an exporter took; always sent + dropped + queued.",
                &labels,
            ),
            sent: t.counter(
                "otelcol_exporter_sent_metric_points",
                "Number of metric points successfully sent to destination.",
                &labels,
            ),
            queued: t.gauge("otelcol_ecs_queued_metric_points", "Points that wait or are being sent.", &labels),
            send_failed: t.counter(
                "otelcol_exporter_send_failed_metric_points",
                "Number of metric points in failed attempts to send to destination.",
                &labels,
            ),
            enqueue_failed: t.counter(
                "otelcol_exporter_enqueue_failed_metric_points",
                "Number of metric points that were refused by the sending queue.",
                &labels,
            ),
            queue_size: t.gauge(
                "otelcol_exporter_queue_size",
                "Current size of the sending queue, in units of its sizer.",
                &queue_labels,
            ),
            dropped: BTreeMap::new(),
            telemetry: t.clone(),
            exporter: context.id.clone(),
            space,
        };
        let ledger = Ledger(Arc::new(Mutex::new(Inner {
            counts: Counts::default(),
            published: Counts::default(),
            instruments,
        })));
        let weak = Arc::downgrade(&ledger.0);
        t.on_read(move || match weak.upgrade() {
            Some(inner) => {
                Ledger(inner).publish();
                true
            }
            None => false,
        });
        ledger
    }

    /// Points came in: these are queued now, those were left out.
    pub(crate) fn taken(&self, queued: u64, left_out: &[(Cow<'static, str>, u64)]) {
        let mut inner = self.lock();
        let c = &mut inner.counts;
        c.received += queued + left_out.iter().map(|(_, n)| n).sum::<u64>();
        c.queued += queued;
        c.drop_all(left_out);
    }

    /// A request is settled: of its points, these were left out by the destination, the rest was delivered.
    pub(crate) fn delivered(&self, points: u64, rejected: &[(Cow<'static, str>, u64)]) {
        let mut inner = self.lock();
        let c = &mut inner.counts;
        let mut left = points;
        for (reason, n) in rejected {
            let n = (*n).min(left);
            left -= n;
            *c.dropped.entry(reason.clone()).or_default() += n;
        }
        c.queued -= points;
        c.sent += left;
    }

    /// A request is given up.
    pub(crate) fn lost(&self, points: u64, reason: Cow<'static, str>) {
        let mut inner = self.lock();
        let c = &mut inner.counts;
        c.queued -= points;
        c.send_failed += points;
        *c.dropped.entry(reason).or_default() += points;
    }

    /// A request failed, and the caller keeps its points.
    pub(crate) fn given_back(&self, points: u64) {
        self.lock().counts.send_failed += points;
    }

    /// A batch was refused.
    pub(crate) fn refused(&self, points: u64) {
        self.lock().counts.enqueue_failed += points;
    }

    /// The books now.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Brings the instruments up to date; called whenever they are read, and at the end.
    pub(crate) fn publish(&self) {
        let mut guard = self.lock();
        let Inner { counts, published, instruments } = &mut *guard;
        instruments.publish(counts, published);
        published.clone_from(counts);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic while the ledger is locked")
    }
}

impl Counts {
    fn drop_all(&mut self, dropped: &[(Cow<'static, str>, u64)]) {
        for (reason, n) in dropped.iter().filter(|(_, n)| *n > 0) {
            *self.dropped.entry(reason.clone()).or_default() += n;
        }
    }
}

impl Instruments {
    fn publish(&mut self, now: &Counts, before: &Counts) {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.received.add(now.received - before.received);
        self.sent.add(now.sent - before.sent);
        self.send_failed.add(now.send_failed - before.send_failed);
        self.enqueue_failed.add(now.enqueue_failed - before.enqueue_failed);
        self.queued.set(signed(now.queued));
        self.queue_size.set(signed(self.space.used()));
        for (reason, n) in &now.dropped {
            let counter = self.dropped.entry(reason.clone()).or_insert_with(|| {
                self.telemetry.counter(
                    "otelcol_ecs_dropped_metric_points",
                    "Points that were not written, by reason.",
                    &[("exporter", &self.exporter), ("reason", reason)],
                )
            });
            counter.add(n - before.dropped.get(reason).copied().unwrap_or(0));
        }
    }
}
