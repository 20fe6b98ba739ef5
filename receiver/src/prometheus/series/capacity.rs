//! How much is kept for one target, whatever its pages say, and when what is no longer there is forgotten: also while
//! its pages keep failing.

use super::{ScrapeError, SeriesCache};

/// Most of what is kept for one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Spellings of series in one page.
    pub(crate) series: usize,
    /// Bytes of raw series text, that of the pages before included.
    pub(crate) raw_bytes: usize,
    /// Families with a `#` line.
    pub(crate) families: usize,
    /// Bytes of names, help texts and units of families.
    pub(crate) metadata_bytes: usize,
}

impl Default for Capacity {
    fn default() -> Capacity {
        Capacity { series: 2_000_000, raw_bytes: 1 << 30, families: 100_000, metadata_bytes: 16 << 20 }
    }
}

/// Series beyond twice those of the last good page that are tolerated while pages fail, as in Prometheus.
const TOLERATED_AFTER_FAILURES: usize = 1_000;

impl SeriesCache {
    /// Makes sure that the page may have one more series. Those of earlier pages do not count: their ends may still have
    /// to be marked, after that they go.
    pub(super) fn reserve(&mut self, series: &[u8]) -> Result<(), ScrapeError> {
        let capacity = self.rules.capacity;
        if self.entries.raw_bytes() + series.len() > capacity.raw_bytes {
            return Err(ScrapeError::TooMuchText { limit: capacity.raw_bytes });
        }
        if self.entries.len() < self.may_grow_to {
            return Ok(());
        }
        // Reached at most twice in a page: the second time with so many new series that the page has too many.
        let of_page = self.entries.iter().filter(|entry| entry.seen == self.scrape).count();
        if of_page >= capacity.series {
            return Err(ScrapeError::TooManySeries { limit: capacity.series });
        }
        self.may_grow_to = self.entries.len() + (capacity.series - of_page);
        Ok(())
    }

    /// After a page that had something: series that it did not have are forgotten. After a page that was refused they
    /// stay, so that they are known when the next good one has them, but only until there are many.
    pub(super) fn forget_gone(&mut self, result: &Result<(), ScrapeError>) {
        let cached = self.entries.len();
        let is_flushed = match result {
            Ok(()) => {
                self.cached_when_good = cached;
                true
            }
            Err(ScrapeError::TooManySeries { .. } | ScrapeError::TooMuchText { .. }) => true,
            Err(_) => {
                let most = self.cached_when_good.saturating_mul(2).saturating_add(TOLERATED_AFTER_FAILURES);
                cached > most.min(self.rules.capacity.series)
            }
        };
        if is_flushed {
            self.flushed = self.scrape;
        }
        self.families.forget_old(self.scrape, matches!(result, Err(ScrapeError::MetadataLimit { .. })));
    }

    /// Whether the series that are gone are to make room although there are few of them: their text is long.
    pub(super) fn is_text_heavy(&self) -> bool {
        self.entries.raw_bytes() > self.rules.capacity.raw_bytes / 2
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::Scrapes;
    use super::*;

    /// A page of `count` series that no other page has.
    fn fresh(page: usize, count: usize) -> String {
        (0..count).map(|i| format!("g{{page=\"{page}\",i=\"{i}\"}} 1\n")).collect()
    }

    #[test]
    fn a_target_whose_pages_keep_failing_does_not_fill_its_cache_and_recovers() {
        let mut scrapes = Scrapes::new(&json!({"sample_limit": 100}), |rules| {
            rules.capacity = Capacity { series: 20_000, ..Capacity::default() };
        });
        scrapes.text("a 1\nb 2\n");
        for page in 0..40 {
            scrapes.text(&fresh(page, 2_000));
            assert!(scrapes.error.as_ref().is_some_and(|error| error.contains("sample_limit")), "{:?}", scrapes.error);
            let kept = scrapes.cache.series();
            assert!(kept <= 8_000, "{kept} series are kept after {page} pages");
        }
        let mut good = scrapes.text("a 1\nc 3\n");
        good.retain(|line| !line.ends_with("stale"));
        assert_eq!(good, ["a{} 1", "c{} 3"]);
        assert!(scrapes.up);
    }

    #[test]
    fn only_the_series_of_one_page_count_against_the_most_that_are_kept() {
        let mut scrapes = Scrapes::new(&json!({}), |rules| {
            rules.capacity = Capacity { series: 2_000, ..Capacity::default() };
        });
        for page in 0..5 {
            let got = scrapes.text(&fresh(page, 1_100));
            let ends = got.iter().filter(|line| line.ends_with("stale")).count();
            assert_eq!((scrapes.error.as_deref(), got.len() - ends), (None, 1_100), "page {page}");
            assert_eq!(ends, if page == 0 { 0 } else { 1_100 }, "page {page}");
        }
        scrapes.text(&fresh(9, 2_001));
        assert!(
            scrapes.error.as_ref().is_some_and(|error| error.contains("more than 2000 series")),
            "{:?}",
            scrapes.error
        );
        assert_eq!(scrapes.text(&fresh(10, 2_000)).iter().filter(|line| !line.ends_with("stale")).count(), 2_000);
        assert!(scrapes.cache.series() <= 5_000, "{} series are kept", scrapes.cache.series());
    }

    #[test]
    fn long_series_that_are_gone_make_room() {
        let mut scrapes = Scrapes::new(&json!({}), |rules| {
            rules.capacity = Capacity { raw_bytes: 20_000, ..Capacity::default() };
        });
        let page = |number: usize| format!("g{{l=\"{number}{}\"}} 1\n", "x".repeat(12_000));
        let ups: Vec<bool> = (0..4)
            .map(|number| {
                scrapes.text(&page(number));
                scrapes.up
            })
            .collect();
        assert_eq!(ups, [true, false, true, false], "a page is refused once, not for ever: {:?}", scrapes.error);
    }

    #[test]
    fn metadata_lines_are_limited_and_a_target_recovers_from_too_many() {
        let mut scrapes = Scrapes::new(&json!({}), |rules| {
            rules.capacity = Capacity { families: 100, metadata_bytes: 10_000, ..Capacity::default() };
        });
        let page = |number: usize, families: usize, end: &str| -> String {
            (0..families).map(|i| format!("# TYPE f_{number}_{i} gauge\n")).chain([end.to_owned()]).collect()
        };
        assert_eq!(scrapes.text(&page(0, 60, "a 1\n")), ["a{} 1"]);
        // Refused for another reason: what it says is kept for a while as well, and no longer.
        for number in 1..100 {
            scrapes.text(&page(number, 10, "!!!\n"));
            let kept = scrapes.cache.families.size_bytes();
            assert!(kept < 100 * 200, "{kept} bytes of metadata after {number} pages");
        }
        scrapes.text(&page(200, 101, "a 1\n"));
        assert!(scrapes.error.as_ref().is_some_and(|error| error.contains("more than 100 metric families")));
        scrapes.text(&format!("# HELP a {}\na 1\n", "x".repeat(10_001)));
        assert!(scrapes.error.as_ref().is_some_and(|error| error.contains("more than 10000 bytes")));
        assert_eq!(scrapes.text("# TYPE a counter\na 1\n"), ["a{} 1"]);
    }
}
