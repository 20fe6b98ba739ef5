//! When to try again: exponential backoff with jitter, as the Collector's `retry_on_failure`. Does not wait itself.

use std::time::Duration;

use tokio::time::Instant;

use super::config::RetrySettings;

/// The retries of one request.
pub(crate) struct Backoff<'a> {
    settings: &'a RetrySettings,
    started: Instant,
    interval: Duration,
}

impl<'a> Backoff<'a> {
    /// Starts counting now, before the first attempt.
    pub(crate) fn new(settings: &'a RetrySettings) -> Backoff<'a> {
        Backoff { settings, started: Instant::now(), interval: settings.initial_interval }
    }

    /// How long to wait before the next attempt, or `None` when no retry is left. `hint` is what the destination
    /// asked for: the wait is at least that long. `random` is uniform in 0..1.
    pub(crate) fn next(&mut self, hint: Option<Duration>, random: f64) -> Option<Duration> {
        if !self.settings.enabled {
            return None;
        }
        let factor = 1.0 + self.settings.randomization_factor * (2.0 * random - 1.0);
        let wait = scale(self.interval, factor).max(hint.unwrap_or_default());
        self.interval = scale(self.interval, self.settings.multiplier).min(self.settings.max_interval);
        let limit = self.settings.max_elapsed_time;
        let over = !limit.is_zero() && self.started.elapsed().saturating_add(wait) > limit;
        (!over).then_some(wait)
    }
}

/// `d * factor` without overflow; a factor that is not finite counts as the largest.
fn scale(d: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(d.as_secs_f64() * factor.max(0.0)).unwrap_or(Duration::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> RetrySettings {
        RetrySettings::default()
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_by_the_multiplier_up_to_the_maximum_and_stay_within_the_jitter() {
        let s = RetrySettings { max_elapsed_time: Duration::ZERO, ..settings() };
        let (mut low, mut mid, mut high) = (Backoff::new(&s), Backoff::new(&s), Backoff::new(&s));
        let mut expected = 5.0;
        for _ in 0..12 {
            let seconds = |b: &mut Backoff<'_>, r| b.next(None, r).unwrap().as_secs_f64();
            assert!((seconds(&mut low, 0.0) - expected * 0.5).abs() < 1e-6);
            assert!((seconds(&mut mid, 0.5) - expected).abs() < 1e-6);
            assert!((seconds(&mut high, 1.0) - expected * 1.5).abs() < 1e-6);
            expected = (expected * 1.5_f64).min(30.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_destinations_wish_is_a_lower_bound() {
        let s = settings();
        let mut b = Backoff::new(&s);
        assert_eq!(b.next(Some(Duration::from_secs(60)), 0.5), Some(Duration::from_secs(60)));
        assert_eq!(b.next(Some(Duration::from_secs(1)), 0.5), Some(Duration::from_millis(7500)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_retry_is_left_when_the_next_attempt_would_be_after_the_maximum_elapsed_time() {
        let s = settings();
        let mut b = Backoff::new(&s);
        tokio::time::advance(Duration::from_secs(294)).await;
        assert_eq!(b.next(None, 0.5), Some(Duration::from_secs(5)));
        assert_eq!(b.next(None, 0.5), None);
        let forever = RetrySettings { max_elapsed_time: Duration::ZERO, ..settings() };
        let mut b = Backoff::new(&forever);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert!(b.next(None, 0.5).is_some());
        let off = RetrySettings { enabled: false, ..settings() };
        assert_eq!(Backoff::new(&off).next(None, 0.5), None);
    }

    #[tokio::test(start_paused = true)]
    async fn absurd_settings_do_not_overflow() {
        let s = RetrySettings {
            multiplier: f64::MAX,
            max_interval: Duration::MAX,
            max_elapsed_time: Duration::ZERO,
            ..settings()
        };
        let mut b = Backoff::new(&s);
        for _ in 0..5 {
            assert!(b.next(None, 1.0).is_some());
        }
    }
}
