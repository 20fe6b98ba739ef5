//! The short way for what nearly every line of a page is: a series of the last scrape, in its place, with a new value.
//! Decides nothing of its own: it does what `SeriesCache::sample` does for such a line, and leaves all others to it.

use super::SeriesCache;
use super::group::{Role, Sample};
use crate::prometheus::text::Lexer;

impl SeriesCache {
    /// Reads lines as long as they are such.
    pub(super) fn read_again(&mut self, lexer: &mut Lexer<'_>) {
        // Counting against the limit and times from the future are for the long way.
        if self.rules.limits.samples != 0 || self.time_ms > self.max_time_ms {
            return;
        }
        let (scrape, flushed, generation) = (self.scrape, self.flushed, self.families.generation());
        let first = self.cursor;
        while let Some((entry, raw)) = self.entries.at(self.cursor) {
            let is_steady = entry.is_kept
                && (flushed..scrape).contains(&entry.seen)
                && entry.generation == generation
                && entry.read_as == self.current_type
                && matches!(entry.role, Role::Number { .. } | Role::Part { .. });
            if !is_steady {
                break;
            }
            let Some((series, value)) = lexer.next_sample_of(raw) else { break };
            entry.seen = scrape;
            if entry.tracked != scrape {
                self.seen_again += usize::from(entry.tracked == scrape - 1);
                self.tracked_now += 1;
                entry.tracked = scrape;
            }
            let role = entry.role;
            self.cursor += 1;
            self.add(role, Sample { value: Some(value), time_ms: self.time_ms }, series);
        }
        let read = u64::from(self.cursor - first);
        self.counts.scraped += read;
        self.counts.post_relabel += read;
    }
}
