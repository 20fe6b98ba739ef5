//! Counts of points of one exporter, kept under one lock so that received = sent + dropped + queued holds in every
//! reading, also while points move. Decides nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use proto::{BuildContext, Counter, Share, Telemetry};

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
    closed: bool,
}

/// A reload builds the new exporter while the old one still runs: both publish what they add to the same instruments.
struct Instruments {
    telemetry: Telemetry,
    exporter: String,
    space: Space,
    received: Counter,
    sent: Counter,
    queued: Share,
    dropped: BTreeMap<Cow<'static, str>, Counter>,
    send_failed: Counter,
    enqueue_failed: Counter,
    queue_size: Share,
}

impl Ledger {
    pub(crate) fn new(context: &BuildContext, space: Space) -> Ledger {
        let t = &context.telemetry;
        let labels = [("exporter", context.id.as_str())];
        let queue_labels = queue_labels(&context.id);
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
            queued: Share::of(t.gauge(
                "otelcol_ecs_queued_metric_points",
                "Points that wait or are being sent.",
                &labels,
            )),
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
            queue_size: Share::of(t.gauge(
                "otelcol_exporter_queue_size",
                "Current size of the sending queue, in units of its sizer.",
                &queue_labels,
            )),
            dropped: BTreeMap::new(),
            telemetry: t.clone(),
            exporter: context.id.clone(),
            space,
        };
        let ledger = Ledger(Arc::new(Mutex::new(Inner {
            counts: Counts::default(),
            published: Counts::default(),
            instruments,
            closed: false,
        })));
        let read = ledger.clone();
        t.on_read(move || read.publish());
        ledger
    }

    /// The exporter runs from now on: its queue is the one that the page tells of.
    pub(crate) fn open(&self) {
        let inner = self.lock();
        let Instruments { telemetry, exporter, space, .. } = &inner.instruments;
        let capacity = telemetry.gauge(
            "otelcol_exporter_queue_capacity",
            "Fixed capacity of the sending queue, in units of its sizer.",
            &queue_labels(exporter),
        );
        capacity.set(signed(space.capacity()));
    }

    /// The exporter is gone: what it still had is lost, and the next reading is the last one.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        let left = std::mem::take(&mut inner.counts.queued);
        inner.counts.send_failed += left;
        inner.counts.drop_all(&[("shutdown".into(), left)]);
        inner.closed = true;
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

    /// Brings the instruments up to date; called whenever they are read, and only then, so that no reading falls into
    /// the middle. Says whether more can come.
    fn publish(&self) -> bool {
        let mut guard = self.lock();
        let Inner { counts, published, instruments, closed } = &mut *guard;
        instruments.publish(counts, published);
        published.clone_from(counts);
        !*closed
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

fn queue_labels(exporter: &str) -> [(&'static str, &str); 2] {
    [("exporter", exporter), ("data_type", "metrics")]
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
