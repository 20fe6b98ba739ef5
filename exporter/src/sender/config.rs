//! `sending_queue`, `retry_on_failure` and `timeout`: the Collector's names, defaults and meaning (Go:
//! `exporterhelper`, `configretry`). Checks them; the behaviour is in the neighbouring files.

use std::time::Duration;

use config::{Diagnostic, GoDuration, Node, Optional, Spanned};
use serde::{Deserialize, Deserializer};

/// The three sections as written. Use it as `#[serde(rename = "<inline>")] sender: SenderConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SenderConfig {
    /// Absent: the exporter's default.
    #[serde(deserialize_with = "written")]
    pub sending_queue: Option<Optional<QueueConfig>>,
    /// Retries.
    pub retry_on_failure: RetryConfig,
    /// Time for one attempt; absent: the exporter's default, 0: no limit.
    #[serde(deserialize_with = "written")]
    pub timeout: Option<Spanned<GoDuration>>,
}

/// `sending_queue`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct QueueConfig {
    /// Requests that are sent at the same time.
    pub num_consumers: Spanned<i64>,
    /// Capacity in units of `sizer`.
    pub queue_size: Spanned<i64>,
    /// `requests`, `items` or `bytes`.
    pub sizer: Spanned<String>,
    /// Wait for room instead of refusing.
    pub block_on_overflow: bool,
    /// The caller waits until the destination answered.
    pub wait_for_result: bool,
    /// Refused: a storage extension for a queue on disk.
    pub storage: Spanned<Option<String>>,
    /// Refused: merging of queued requests.
    pub batch: Option<Node>,
}

/// `retry_on_failure`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct RetryConfig {
    pub enabled: bool,
    pub initial_interval: Spanned<GoDuration>,
    pub randomization_factor: Spanned<f64>,
    pub multiplier: Spanned<f64>,
    pub max_interval: Spanned<GoDuration>,
    pub max_elapsed_time: Spanned<GoDuration>,
}

/// What a sender works with, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SenderSettings {
    /// The queue.
    pub queue: QueueSettings,
    /// Retries.
    pub retry: RetrySettings,
    /// Time for one attempt; `None`: no limit.
    pub timeout: Option<Duration>,
    /// What to try when data could not be sent, in the log; empty for exporters without these sections.
    pub advice: &'static str,
}

/// The queue, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSettings {
    /// False: every caller waits for the result of its batch. Requests still go through a bounded list, so that a
    /// caller that gives up does not take its data with it.
    pub enabled: bool,
    /// Requests that are sent at the same time.
    pub num_consumers: usize,
    /// Capacity.
    pub queue_size: u64,
    /// Unit of the capacity.
    pub sizer: Sizer,
    /// Wait for room instead of refusing.
    pub block_on_overflow: bool,
    /// The caller waits until the destination answered.
    pub wait_for_result: bool,
}

/// Unit of the queue's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizer {
    /// Batches handed in.
    Requests,
    /// Data points.
    Items,
    /// Bytes of encoded requests.
    Bytes,
}

/// Retries, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrySettings {
    /// False: one attempt.
    pub enabled: bool,
    /// Wait after the first failure.
    pub initial_interval: Duration,
    /// Jitter: the wait is multiplied by a random number in 1 ± this.
    pub randomization_factor: f64,
    /// Growth of the wait.
    pub multiplier: f64,
    /// Longest wait, before jitter.
    pub max_interval: Duration,
    /// No attempt starts later than this after the first; zero: no limit.
    pub max_elapsed_time: Duration,
}

impl Default for SenderSettings {
    /// The Collector's: queue of 1000 requests, 10 at a time, retries for 5 minutes, 5 seconds an attempt.
    fn default() -> SenderSettings {
        SenderSettings {
            queue: QueueSettings {
                enabled: true,
                num_consumers: 10,
                queue_size: 1000,
                sizer: Sizer::Requests,
                block_on_overflow: false,
                wait_for_result: false,
            },
            retry: RetrySettings::default(),
            timeout: Some(Duration::from_secs(5)),
            advice: "",
        }
    }
}

impl Default for RetrySettings {
    fn default() -> RetrySettings {
        RetryConfig::default().settings()
    }
}

impl Default for QueueConfig {
    fn default() -> QueueConfig {
        QueueConfig {
            num_consumers: Spanned::built_in(10),
            queue_size: Spanned::built_in(1000),
            sizer: Spanned::built_in("requests".to_owned()),
            block_on_overflow: false,
            wait_for_result: false,
            storage: Spanned::default(),
            batch: None,
        }
    }
}

impl Default for RetryConfig {
    fn default() -> RetryConfig {
        RetryConfig {
            enabled: true,
            initial_interval: Spanned::built_in(GoDuration::from_secs(5)),
            randomization_factor: Spanned::built_in(0.5),
            multiplier: Spanned::built_in(1.5),
            max_interval: Spanned::built_in(GoDuration::from_secs(30)),
            max_elapsed_time: Spanned::built_in(GoDuration::from_secs(300)),
        }
    }
}

impl SenderConfig {
    /// Settings over the exporter's defaults, and every problem of them.
    pub fn check(&self, defaults: SenderSettings) -> (SenderSettings, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let mut settings = defaults;
        match &self.sending_queue {
            None => {}
            Some(Optional::Off) => settings.queue.enabled = false,
            Some(Optional::On(queue)) => settings.queue = queue.check(&mut found),
        }
        self.retry_on_failure.check(&mut found);
        settings.retry = self.retry_on_failure.settings();
        if let Some(timeout) = &self.timeout {
            not_negative(timeout, "timeout", &mut found);
            settings.timeout = (!timeout.is_zero()).then(|| timeout.to_std());
        }
        settings.advice = advice(settings.queue.enabled, settings.retry.enabled);
        (settings, found)
    }
}

/// What the Collector recommends when data could not be sent.
fn advice(queue: bool, retry: bool) -> &'static str {
    match (queue, retry) {
        (true, true) => "",
        (false, true) => " Try enabling sending_queue to survive temporary failures.",
        (true, false) => " Try enabling retry_on_failure config option to retry on retryable errors.",
        (false, false) => {
            " Try enabling retry_on_failure config option to retry on retryable errors. Try enabling sending_queue to survive temporary failures."
        }
    }
}

impl QueueConfig {
    fn check(&self, found: &mut Vec<Diagnostic>) -> QueueSettings {
        for (value, name) in [(&self.num_consumers, "num_consumers"), (&self.queue_size, "queue_size")] {
            if **value <= 0 {
                found.push(value.error(format!("{name} must be positive")));
            }
        }
        let sizer = match self.sizer.as_str() {
            "requests" => Sizer::Requests,
            "items" => Sizer::Items,
            "bytes" => Sizer::Bytes,
            other => {
                found.push(self.sizer.error(format!("{other:?} is no sizer")).help("write requests, items or bytes"));
                Sizer::Requests
            }
        };
        if self.storage.is_some() {
            let problem = self.storage.error("a queue on disk is not available: storage is not supported yet");
            found.push(problem.help("remove the key: the queue is in memory; SIGTERM drains it"));
        }
        if let Some(batch) = self.batch.as_ref().filter(|b| !b.is_null()) {
            let problem = Diagnostic::error("merging of queued requests is not available").on(batch);
            found.push(problem.help("remove the section and put the batch processor into the pipeline"));
        }
        QueueSettings {
            enabled: true,
            num_consumers: usize::try_from(*self.num_consumers).unwrap_or(1).clamp(1, MAX_CONSUMERS),
            queue_size: u64::try_from(*self.queue_size).unwrap_or(1),
            sizer,
            block_on_overflow: self.block_on_overflow,
            wait_for_result: self.wait_for_result,
        }
    }
}

/// More tasks than this help nobody.
const MAX_CONSUMERS: usize = 1024;

impl RetryConfig {
    fn check(&self, found: &mut Vec<Diagnostic>) {
        if !self.enabled {
            return;
        }
        not_negative(&self.initial_interval, "initial_interval", found);
        not_negative(&self.max_interval, "max_interval", found);
        not_negative(&self.max_elapsed_time, "max_elapsed_time", found);
        if !(0.0..=1.0).contains(&*self.randomization_factor) {
            found.push(self.randomization_factor.error("randomization_factor must be within 0 and 1"));
        }
        if self.multiplier.is_nan() || *self.multiplier < 0.0 {
            found.push(self.multiplier.error("multiplier must not be negative"));
        }
        let limit = *self.max_elapsed_time;
        if limit > GoDuration::from_nanos(0) {
            for (value, name) in [(&self.initial_interval, "initial_interval"), (&self.max_interval, "max_interval")] {
                if limit < **value {
                    let text = format!("max_elapsed_time ({limit}) must not be less than {name} ({})", **value);
                    let written = if self.max_elapsed_time.path.is_empty() { value } else { &self.max_elapsed_time };
                    found.push(written.error(text).help("0 means without limit"));
                }
            }
        }
    }

    fn settings(&self) -> RetrySettings {
        RetrySettings {
            enabled: self.enabled,
            initial_interval: self.initial_interval.to_std(),
            randomization_factor: *self.randomization_factor,
            multiplier: *self.multiplier,
            max_interval: self.max_interval.to_std(),
            max_elapsed_time: self.max_elapsed_time.to_std(),
        }
    }
}

fn not_negative(value: &Spanned<GoDuration>, name: &str, found: &mut Vec<Diagnostic>) {
    if value.is_negative() {
        found.push(value.error(format!("{name} must not be negative")));
    }
}

/// A key that is there, whatever its value: null is the type's business, as in the Collector.
pub(crate) fn written<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (SenderSettings, String) {
        let (value, mut found) = config::decode_str::<SenderConfig>(text);
        let (settings, more) = value.unwrap().check(SenderSettings::default());
        found.extend(more);
        (settings, found.iter().map(|d| format!("{d}\n")).collect())
    }

    #[test]
    fn nothing_written_is_the_collectors_default() {
        let (settings, problems) = check("{}");
        assert_eq!(problems, "");
        assert_eq!(settings, SenderSettings::default());
        assert_eq!(settings.retry.initial_interval, Duration::from_secs(5));
        assert_eq!(settings.retry.max_elapsed_time, Duration::from_secs(300));
    }

    #[test]
    fn every_key_has_its_effect() {
        let text = "
sending_queue: {num_consumers: 3, queue_size: 7, sizer: bytes, block_on_overflow: true, wait_for_result: true}
retry_on_failure: {initial_interval: 1s, randomization_factor: 0, multiplier: 2, max_interval: 4s, max_elapsed_time: 0s}
timeout: 250ms";
        let (s, problems) = check(text);
        assert_eq!(problems, "");
        let queue = QueueSettings {
            enabled: true,
            num_consumers: 3,
            queue_size: 7,
            sizer: Sizer::Bytes,
            block_on_overflow: true,
            wait_for_result: true,
        };
        assert_eq!(s.queue, queue);
        assert_eq!((s.retry.multiplier, s.retry.randomization_factor), (2.0, 0.0));
        assert_eq!(s.retry.max_elapsed_time, Duration::ZERO);
        assert_eq!(s.timeout, Some(Duration::from_millis(250)));
    }

    #[test]
    fn a_queue_is_switched_off_and_a_timeout_of_zero_is_none() {
        let (s, problems) = check("sending_queue: {enabled: false}\ntimeout: 0\nretry_on_failure: {enabled: false}");
        assert_eq!(problems, "");
        assert!(!s.queue.enabled && !s.retry.enabled);
        assert_eq!(s.timeout, None);
    }

    #[test]
    fn every_problem_is_named_with_its_place() {
        let (_, problems) = check(
            "sending_queue: {num_consumers: 0, queue_size: -1, sizer: apples, storage: file_storage, batch: {min_size: 1}}
retry_on_failure: {initial_interval: -1s, randomization_factor: 2, multiplier: -1, max_elapsed_time: 3s}
timeout: -1s",
        );
        for expected in [
            "1:32: sending_queue::num_consumers: num_consumers must be positive",
            "queue_size must be positive",
            "\"apples\" is no sizer (write requests, items or bytes)",
            "a queue on disk is not available",
            "merging of queued requests is not available",
            "initial_interval must not be negative",
            "randomization_factor must be within 0 and 1",
            "multiplier must not be negative",
            "max_elapsed_time (3s) must not be less than max_interval (30s)",
            "timeout must not be negative",
        ] {
            assert!(problems.contains(expected), "{expected:?} is missing in\n{problems}");
        }
    }
}
