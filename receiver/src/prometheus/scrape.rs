//! The loop of one target: waits for its moment, asks for the page, hands the batch on. Decides nothing about targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::{Batch, Next, Stop};
use tokio::sync::watch;
use tokio::time::Instant;

use super::failure_log::FailureLog;
use super::fetch::{FetchError, Fetcher, Page};
use super::schedule;
use super::series::{Counts, Report, SampleRules, ScrapeError, SeriesCache};
use super::target::Target;
use super::telemetry::JobMetrics;

/// Pages from this size on are read on a thread of their own, so that they do not hold up others.
const LARGE_PAGE_BYTES: usize = 1 << 20;

/// What the loops of a job share.
pub(crate) struct JobShared {
    pub(crate) job: String,
    pub(crate) rules: Arc<SampleRules>,
    pub(crate) fetcher: Fetcher,
    pub(crate) metrics: JobMetrics,
    pub(crate) next: Next,
    pub(crate) stop: Stop,
    pub(crate) target_limit: u64,
    /// Number of targets when that is more than the limit, otherwise 0.
    pub(crate) over_limit: AtomicU64,
    pub(crate) scrape_on_shutdown: bool,
    pub(crate) initial_offset: Duration,
    pub(crate) seed: u64,
    pub(crate) failure_log: Option<FailureLog>,
}

/// The loop of one target.
pub(crate) struct ScrapeLoop {
    target: Target,
    shared: Arc<JobShared>,
    cache: Option<Box<SeriesCache>>,
    /// Whether discovery still has the target.
    wanted: watch::Receiver<bool>,
    last_error: Option<String>,
    /// Whether moments were skipped after the last scrape.
    is_skipping: bool,
}

enum Wake {
    Stop,
    Gone,
    Back,
    Due,
}

/// Why a scrape failed.
enum Failure {
    Fetch(FetchError),
    Page(ScrapeError),
}

impl ScrapeLoop {
    /// A loop that has not scraped yet.
    pub(crate) fn new(target: Target, shared: Arc<JobShared>, wanted: watch::Receiver<bool>) -> ScrapeLoop {
        let cache = SeriesCache::new(shared.rules.clone(), Arc::new(target.identity.clone()));
        ScrapeLoop { target, shared, cache: Some(Box::new(cache)), wanted, last_error: None, is_skipping: false }
    }

    /// Scrapes until the receiver stops or the target is gone.
    pub(crate) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let interval = self.target.interval;
        let delay = schedule::first_delay(&self.target.key, self.shared.seed, interval, unix_now());
        let mut due = Instant::now() + delay + self.shared.initial_offset;
        loop {
            let wake = tokio::select! {
                biased;
                () = stop.cancelled() => Wake::Stop,
                changed = self.wanted.wait_for(|wanted| !wanted) => if changed.is_ok() { Wake::Gone } else { Wake::Stop },
                () = tokio::time::sleep_until(due) => Wake::Due,
            };
            match wake {
                Wake::Stop => break,
                Wake::Gone if self.wait_to_end(due).await => return,
                Wake::Gone => continue,
                Wake::Due | Wake::Back => {}
            }
            // A request in flight is given up when the receiver stops; a batch being handed over is not.
            let Some(batch) = stop.run_until_cancelled(self.scrape(due)).await else { break };
            self.hand_over(batch).await;
            let (intervals, skipped) = schedule::next(due.elapsed(), interval);
            self.tell_skipped(skipped);
            due += interval * intervals;
        }
        if self.shared.scrape_on_shutdown && self.cache.is_some() {
            let batch = self.scrape(Instant::now()).await;
            self.hand_over(batch).await;
        }
    }

    /// The target is gone: after an interval and a bit its series are ended as of the moment of the scrape that did not
    /// happen. False when the target came back in the meantime: then the loop goes on as if nothing had been.
    async fn wait_to_end(&mut self, due: Instant) -> bool {
        let interval = self.target.interval;
        let late = due.saturating_duration_since(Instant::now());
        let end_ms = unix_ms(unix_now() + late);
        let stop = self.shared.stop.clone();
        let wake = tokio::select! {
            biased;
            () = stop.cancelled() => Wake::Stop,
            back = self.wanted.wait_for(|wanted| *wanted) => if back.is_ok() { Wake::Back } else { Wake::Stop },
            () = tokio::time::sleep_until(due + interval + interval / 10) => Wake::Due,
        };
        if let (Wake::Due, Some(cache)) = (&wake, self.cache.as_mut()) {
            let batch = cache.end(end_ms);
            self.hand_over(batch).await;
        }
        !matches!(wake, Wake::Back)
    }

    async fn scrape(&mut self, due: Instant) -> Batch {
        let started = Instant::now();
        let now_ms = unix_ms(unix_now());
        let time_ms = schedule::sample_time_ms(now_ms, due.elapsed(), self.target.interval);
        let fetched = self.fetch().await;
        let body_bytes = match &fetched {
            Ok(page) => page.body.len() as f64,
            Err(error) if error.is_body_limit() => -1.0,
            Err(_) => 0.0,
        };
        let (page, failure) = match fetched {
            Ok(page) => (Some(page), None),
            Err(error) => (None, Some(Failure::Fetch(error))),
        };
        let refused = self.read(page, time_ms).await.err().map(Failure::Page);
        let failure = failure.or(refused);
        let seconds = started.elapsed().as_secs_f64();
        self.shared.metrics.scraped(seconds);
        self.tell(failure.as_ref(), time_ms);
        let report = Report {
            up: failure.is_none(),
            duration_seconds: seconds,
            timeout_seconds: self.target.timeout.as_secs_f64(),
            body_bytes,
        };
        let cache = self.cache.as_mut().expect("the cache is here between scrapes");
        let mut batch = cache.finish(report);
        batch.meta.received_ms = u64::try_from(now_ms).unwrap_or(0);
        batch
    }

    async fn fetch(&self) -> Result<Page, FetchError> {
        match self.shared.over_limit.load(Ordering::Relaxed) {
            0 => self.shared.fetcher.fetch(&self.target.url, self.target.timeout).await,
            targets => Err(FetchError::TargetLimit {
                targets: usize::try_from(targets).unwrap_or(usize::MAX),
                limit: self.shared.target_limit,
            }),
        }
    }

    async fn read(&mut self, page: Option<Page>, time_ms: i64) -> Result<(), ScrapeError> {
        let Some(page) = page else {
            return self.cache_mut().take(None, time_ms, time_ms);
        };
        let now_ms = unix_ms(unix_now());
        if page.body.len() < LARGE_PAGE_BYTES {
            let result = self.cache_mut().take(Some((&page.body, page.format)), time_ms, now_ms);
            self.shared.fetcher.recycle(page);
            return result;
        }
        let mut cache = self.cache.take().expect("the cache is here between scrapes");
        let work = tokio::task::spawn_blocking(move || {
            let result = cache.take(Some((&page.body, page.format)), time_ms, now_ms);
            (cache, page, result)
        });
        let (cache, page, result) = work.await.expect("reading a page does not panic");
        self.cache = Some(cache);
        self.shared.fetcher.recycle(page);
        result
    }

    fn cache_mut(&mut self) -> &mut SeriesCache {
        self.cache.as_mut().expect("the cache is here between scrapes")
    }

    /// Logs and counts what was wrong. The same failure again and again is a warning once.
    fn tell(&mut self, failure: Option<&Failure>, time_ms: i64) {
        let (job, target) = (self.shared.job.clone(), self.target.url.clone());
        let metrics = self.shared.metrics.clone();
        let Some(failure) = failure else {
            if self.last_error.take().is_some() {
                tracing::info!(job, target = %target, "scraping works again");
            }
            let cache = self.cache_mut();
            let Counts { duplicates, out_of_bounds, rejected, .. } = cache.counts();
            metrics.dropped("duplicate", duplicates);
            metrics.dropped("too_far_in_future", out_of_bounds);
            metrics.dropped("no_point", rejected);
            if duplicates > 0 {
                tracing::debug!(job, target = %target, samples = duplicates, "series came twice in one page, the first counts");
            }
            if out_of_bounds > 0 {
                tracing::debug!(job, target = %target, samples = out_of_bounds, "samples are more than 10 minutes in the future");
            }
            if let Some((series, reason)) = cache.rejection() {
                tracing::debug!(job, target = %target, samples = rejected, series, reason, "failed to add datapoint");
            }
            return;
        };
        let (class, text) = match failure {
            Failure::Fetch(error) => (error.class(), error.to_string()),
            Failure::Page(error) => (error.class(), error.to_string()),
        };
        metrics.failed(class);
        if let Some(log) = &self.shared.failure_log {
            log.write(time_ms, &job, target.as_str(), &text);
        }
        if self.last_error.as_deref() == Some(text.as_str()) {
            tracing::debug!(job, target = %target, error = text, "Failed to scrape Prometheus endpoint");
        } else {
            tracing::warn!(
                job,
                target = %target,
                error = text,
                scrape_timestamp = time_ms,
                target_labels = ?self.target.identity.labels,
                "Failed to scrape Prometheus endpoint"
            );
            self.last_error = Some(text);
        }
    }

    /// Counts scrapes that were left out. A target that is slow every time is a warning once.
    fn tell_skipped(&mut self, skipped: u32) {
        let was_skipping = std::mem::replace(&mut self.is_skipping, skipped > 0);
        if skipped == 0 {
            return;
        }
        self.shared.metrics.skipped(skipped);
        let (job, target) = (&self.shared.job, &self.target.url);
        let text = "a scrape and the hand-over of its batch took longer than the interval, scrapes were skipped";
        if was_skipping {
            tracing::debug!(job, target = %target, skipped, "{text}");
        } else {
            tracing::warn!(job, target = %target, skipped, "{text}");
        }
    }

    async fn hand_over(&self, batch: Batch) {
        let points = batch.points();
        if points == 0 {
            return;
        }
        let result = self.shared.next.send(batch).await;
        self.shared.metrics.handed_over(points, result.is_ok());
        if let Err(refusal) = result {
            tracing::warn!(job = self.shared.job, target = %self.target.url, points, error = %refusal, "Scrape commit failed");
        }
    }
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn unix_ms(unix: Duration) -> i64 {
    i64::try_from(unix.as_millis()).unwrap_or(i64::MAX)
}
