//! Keeping the cache small: series that are gone leave text, attribute sets and groups behind; when that is more than
//! what is alive, everything is built anew from the raw text of the living series.

use super::SeriesCache;
use super::columns::Columns;
use super::entries::{Entries, Entry};
use super::layout::Layouts;
use super::tables::TableBuilder;

/// Dead series that are always tolerated.
const TOLERATED_DEAD: usize = 1_000;
/// Exemplar label sets that are always tolerated; each is new text.
const TOLERATED_EXEMPLARS: usize = 10_000;

impl SeriesCache {
    /// After a batch went out: rebuild if there is too much garbage, give back slack otherwise.
    pub(super) fn tidy(&mut self) {
        let live = self.entries.iter().filter(|entry| self.is_live(entry)).count();
        let dead = self.entries.len() - live;
        let is_mostly_dead = dead > TOLERATED_DEAD + live || (dead > 0 && self.is_text_heavy());
        if is_mostly_dead || self.exemplars_interned > TOLERATED_EXEMPLARS + 2 * live {
            self.rebuild();
        } else if self.series_at_last_shrink != self.entries.len() && self.counts.added == 0 {
            self.series_at_last_shrink = self.entries.len();
            self.entries.shrink();
            self.numbers.shrink_to_fit();
            self.distributions.shrink_to_fit();
            self.values.shrink_to_fit();
        }
    }

    fn is_live(&self, entry: &Entry) -> bool {
        entry.seen >= self.flushed || entry.tracked == self.scrape
    }

    pub(super) fn rebuild(&mut self) {
        let old = std::mem::take(&mut self.entries);
        self.tables = TableBuilder::default();
        self.numbers = Vec::new();
        self.number_index = hashbrown::HashMap::new();
        self.created = Vec::new();
        self.distributions = Vec::new();
        self.distribution_index = hashbrown::HashMap::new();
        self.values = Vec::new();
        self.layouts = Layouts::default();
        self.report_groups = Vec::new();
        self.columns = Columns::default();
        self.columns.next_batch();
        self.touched = Vec::new();
        self.infos = Vec::new();
        self.exemplars_interned = 0;
        self.families.forget_questions();
        let generation = self.families.generation();
        let mut entries = Entries::default();
        let mut tracked_now = 0;
        for (id, entry) in old.iter().enumerate() {
            if !self.is_live(entry) {
                continue;
            }
            let raw = old.raw(u32::try_from(id).expect("fewer than 2^32 series of a target"));
            // What was valid when it was first seen is valid now; if a changed family says otherwise, the page will.
            let Ok(role) = self.resolve(raw, entry.read_as) else { continue };
            let new = entries.add(raw, role, entry.read_as, generation);
            let copy = entries.get_mut(new);
            copy.seen = entry.seen;
            copy.tracked = entry.tracked;
            copy.is_kept = entry.is_kept;
            tracked_now += usize::from(entry.tracked == self.scrape);
        }
        self.entries = entries;
        self.tracked_now = tracked_now;
    }
}
