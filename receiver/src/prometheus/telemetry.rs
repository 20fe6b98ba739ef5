//! The receiver's own metrics. Counts, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proto::{Counter, Gauge, Histogram, Telemetry};

/// Bounds of scrape durations, seconds.
const DURATION_BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Instruments of a receiver.
pub(crate) struct ReceiverMetrics {
    telemetry: Telemetry,
    receiver: String,
    /// Points that the pipeline took.
    pub(crate) accepted: Counter,
    /// Points that the pipeline refused.
    pub(crate) refused: Counter,
}

/// Instruments of a job. Cheap to clone.
#[derive(Clone)]
pub(crate) struct JobMetrics(Arc<JobInner>);

struct JobInner {
    receiver: Arc<ReceiverMetrics>,
    job: String,
    targets: Gauge,
    duration: Histogram,
    skipped: Counter,
    failures: Mutex<HashMap<&'static str, Counter>>,
    dropped: Mutex<HashMap<&'static str, Counter>>,
}

const TARGETS: &str = "otelcol_prometheus_targets";
const DURATION: &str = "otelcol_prometheus_scrape_duration_seconds";

impl ReceiverMetrics {
    /// For the receiver of this id.
    pub(crate) fn new(telemetry: &Telemetry, receiver: &str) -> Arc<ReceiverMetrics> {
        let labels = [("receiver", receiver), ("transport", "http")];
        Arc::new(ReceiverMetrics {
            accepted: telemetry.counter(
                "otelcol_receiver_accepted_metric_points",
                "Number of metric points successfully pushed into the pipeline.",
                &labels,
            ),
            refused: telemetry.counter(
                "otelcol_receiver_refused_metric_points",
                "Number of metric points that could not be pushed into the pipeline.",
                &labels,
            ),
            telemetry: telemetry.clone(),
            receiver: receiver.to_owned(),
        })
    }

    /// For one of its jobs.
    pub(crate) fn job(self: &Arc<Self>, job: &str) -> JobMetrics {
        let labels = [("receiver", self.receiver.as_str()), ("job", job)];
        JobMetrics(Arc::new(JobInner {
            targets: self.telemetry.gauge(TARGETS, "Targets that are scraped.", &labels),
            duration: self.telemetry.histogram(DURATION, "Duration of scrapes.", &labels, DURATION_BOUNDS),
            skipped: self.telemetry.counter(
                "otelcol_prometheus_scrapes_skipped",
                "Scrapes left out because the one before was not done.",
                &labels,
            ),
            failures: Mutex::default(),
            dropped: Mutex::default(),
            receiver: self.clone(),
            job: job.to_owned(),
        }))
    }
}

impl JobMetrics {
    /// The number of targets has changed.
    pub(crate) fn set_targets(&self, targets: usize) {
        self.0.targets.set(i64::try_from(targets).unwrap_or(i64::MAX));
    }

    /// A scrape is done.
    pub(crate) fn scraped(&self, seconds: f64) {
        self.0.duration.record(seconds);
    }

    /// Scrapes were left out.
    pub(crate) fn skipped(&self, scrapes: u32) {
        self.0.skipped.add(u64::from(scrapes));
    }

    /// A scrape failed.
    pub(crate) fn failed(&self, class: &'static str) {
        let new = || self.counter("otelcol_prometheus_scrape_failures", "Failed scrapes, by class.", "class", class);
        self.0.failures.lock().expect("no panic while locked").entry(class).or_insert_with(new).add(1);
    }

    /// Samples were left out of a page that was otherwise taken.
    pub(crate) fn dropped(&self, reason: &'static str, samples: u64) {
        if samples > 0 {
            let help = "Samples of good pages that were left out, by reason.";
            let new = || self.counter("otelcol_prometheus_samples_dropped", help, "reason", reason);
            self.0.dropped.lock().expect("no panic while locked").entry(reason).or_insert_with(new).add(samples);
        }
    }

    /// The pipeline answered for a batch.
    pub(crate) fn handed_over(&self, points: usize, taken: bool) {
        let receiver = &self.0.receiver;
        let counter = if taken { &receiver.accepted } else { &receiver.refused };
        counter.add(points as u64);
    }

    fn counter(&self, name: &'static str, help: &'static str, key: &'static str, value: &str) -> Counter {
        let receiver = &self.0.receiver;
        let labels = [("receiver", receiver.receiver.as_str()), ("job", self.0.job.as_str()), (key, value)];
        receiver.telemetry.counter(name, help, &labels)
    }
}
