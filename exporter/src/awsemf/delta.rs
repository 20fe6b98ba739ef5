//! What the previous point of every cumulative series was: bounded, and forgotten when the series stops coming.
//!
//! Computing the difference is the caller's; here is only whether there is one to compute.

use std::num::NonZeroU32;

use hashbrown::HashTable;
use proto::attrs::mix;

use super::names::NameId;
use super::slab::Slab;

/// A series: labels, resource and kind (one number for the three) and the metric name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeriesKey {
    /// Never given twice while the process runs.
    pub(crate) series: u64,
    /// Metric name.
    pub(crate) metric: NameId,
}

/// What is known before a point.
#[derive(Debug, PartialEq)]
pub(crate) enum Previous<'a, V> {
    /// Nothing: the point's value has to be put here.
    First(&'a mut V),
    /// The value of the point before, to be replaced.
    Known(&'a mut V),
    /// The same, but the point's start time says that the series began anew since.
    Restarted(&'a mut V),
    /// The point is older than the one before; nothing is to be changed.
    OutOfOrder,
}

/// The previous points of all series of one kind, kept in the order in which the series first came. Batches repeat that
/// order, so the next series is looked for behind the last one before its hash is asked.
pub(crate) struct Deltas<V> {
    entries: Slab<Entry<V>>,
    index: HashTable<u32>,
    /// Where the next series is expected.
    expected: u32,
    /// Next slot that the expiry looks at.
    hand: u32,
    limit: usize,
    /// Whether a point of the same time as the one before is out of order.
    strict: bool,
}

struct Entry<V> {
    series: u64,
    metric: NameId,
    /// Seconds since the exporter began, when a point last came, and one more.
    seen_s: NonZeroU32,
    time_unix_nano: u64,
    start_unix_nano: u64,
    value: V,
}

/// Series without a point for this long are forgotten. By arrival, not by the points' own times; longer than any
/// usual export interval.
pub(crate) const FORGET_AFTER_S: u32 = 3600;
/// Series remembered, per kind.
pub(crate) const MAX_SERIES: usize = 1_000_000;
/// Slots looked at per new series.
const LOOK_PER_INSERT: usize = 4;
/// Slots looked at for one to give up when there are too many series.
const LOOK_WHEN_FULL: u32 = 32;

impl<V: Default> Deltas<V> {
    pub(crate) fn new(limit: usize) -> Deltas<V> {
        Deltas { entries: Slab::new(), index: HashTable::new(), expected: 0, hand: 0, limit, strict: false }
    }

    /// With `strict`, a point has to be newer than the one before, not only as new.
    pub(crate) fn strict(self, strict: bool) -> Deltas<V> {
        Deltas { strict, ..self }
    }

    /// Forgets a series: its next point is the first again.
    pub(crate) fn forget(&mut self, key: SeriesKey) {
        if let Some(at) = self.find(key) {
            self.take(at);
        }
    }

    /// Looks a series up and notes the point's time.
    pub(crate) fn previous(
        &mut self,
        key: SeriesKey,
        time_unix_nano: u64,
        start_unix_nano: u64,
        now_s: u32,
    ) -> Previous<'_, V> {
        if let Some(at) = self.find(key) {
            self.expected = at + 1;
            let entry = self.entries.at_mut(at);
            if time_unix_nano < entry.time_unix_nano || (self.strict && time_unix_nano == entry.time_unix_nano) {
                return Previous::OutOfOrder;
            }
            let restarted = entry.start_unix_nano != 0 && start_unix_nano > entry.start_unix_nano;
            entry.seen_s = seen(now_s);
            entry.time_unix_nano = time_unix_nano;
            entry.start_unix_nano = start_unix_nano;
            return if restarted { Previous::Restarted(&mut entry.value) } else { Previous::Known(&mut entry.value) };
        }
        if self.entries.len() >= self.limit {
            self.give_one_up(now_s);
        } else {
            self.expire(LOOK_PER_INSERT, now_s);
        }
        let SeriesKey { series, metric } = key;
        let value = V::default();
        let entry = Entry { series, metric, seen_s: seen(now_s), time_unix_nano, start_unix_nano, value };
        let at = self.entries.insert(entry);
        self.expected = at + 1;
        let entries = &self.entries;
        self.index.insert_unique(hash(key), at, |at| hash(entries.at(*at).key()));
        Previous::First(&mut self.entries.at_mut(at).value)
    }

    /// Looks at some slots and forgets what has not come for long.
    pub(crate) fn expire(&mut self, slots: usize, now_s: u32) {
        for _ in 0..slots.min(self.slots()) {
            let at = self.turn();
            if self.entries.get(at).is_some_and(|entry| entry.silent_s(now_s) >= FORGET_AFTER_S) {
                self.take(at);
            }
        }
    }

    fn find(&self, key: SeriesKey) -> Option<u32> {
        let is_expected = self.entries.get(self.expected).is_some_and(|entry| entry.key() == key);
        if is_expected {
            return Some(self.expected);
        }
        self.index.find(hash(key), |at| self.entries.at(*at).key() == key).copied()
    }

    /// Forgets the one of a few series that has been silent for longest.
    fn give_one_up(&mut self, now_s: u32) {
        let slots = self.entries.slots();
        let mut oldest: Option<(u32, u32)> = None;
        let mut looked = 0;
        while (looked < LOOK_WHEN_FULL || oldest.is_none()) && looked < slots {
            let at = self.turn();
            looked += 1;
            if let Some(entry) = self.entries.get(at) {
                let silent = entry.silent_s(now_s);
                if oldest.is_none_or(|(most, _)| silent > most) {
                    oldest = Some((silent, at));
                }
            }
        }
        if let Some((_, at)) = oldest {
            self.take(at);
        }
    }

    fn turn(&mut self) -> u32 {
        self.hand = if self.hand + 1 < self.entries.slots() { self.hand + 1 } else { 0 };
        self.hand
    }

    fn take(&mut self, at: u32) {
        let Some(entry) = self.entries.take(at) else { return };
        if let Ok(found) = self.index.find_entry(hash(entry.key()), |known| *known == at) {
            found.remove();
        }
    }

    /// Series remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Slots there are, for a full round of [`Deltas::expire`].
    pub(crate) fn slots(&self) -> usize {
        self.entries.slots() as usize
    }
}

impl<V> Entry<V> {
    fn key(&self) -> SeriesKey {
        SeriesKey { series: self.series, metric: self.metric }
    }

    fn silent_s(&self, now_s: u32) -> u32 {
        seen(now_s).get().saturating_sub(self.seen_s.get())
    }
}

fn seen(now_s: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(now_s)
}

fn hash(key: SeriesKey) -> u64 {
    mix(key.series, u64::from(key.metric.number()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::awsemf::Form;
    use crate::awsemf::names::Names;

    fn key(series: u64) -> SeriesKey {
        SeriesKey { series, metric: Names::new(Form::Plain).intern("m") }
    }

    /// Puts a value and says what was there.
    fn put(deltas: &mut Deltas<f64>, series: u64, time: u64, start: u64, now_s: u32, value: f64) -> String {
        match deltas.previous(key(series), time, start, now_s) {
            Previous::First(v) => {
                *v = value;
                "first".to_owned()
            }
            Previous::Known(v) => format!("known {}", std::mem::replace(v, value)),
            Previous::Restarted(v) => format!("restarted {}", std::mem::replace(v, value)),
            Previous::OutOfOrder => "old".to_owned(),
        }
    }

    #[test]
    fn the_previous_point_is_known_unless_it_is_newer_or_began_later() {
        let mut d = Deltas::new(10);
        assert_eq!(put(&mut d, 1, 10, 1, 0, 5.0), "first");
        assert_eq!(put(&mut d, 2, 10, 0, 0, 7.0), "first");
        assert_eq!(put(&mut d, 1, 20, 1, 0, 6.0), "known 5");
        assert_eq!(put(&mut d, 1, 15, 1, 0, 9.0), "old");
        assert_eq!(put(&mut d, 1, 20, 1, 0, 8.0), "known 6");
        assert_eq!(put(&mut d, 1, 30, 25, 0, 1.0), "restarted 8");
        assert_eq!(put(&mut d, 1, 40, 0, 0, 2.0), "known 1");
        assert_eq!(put(&mut d, 2, 20, 15, 0, 8.0), "known 7");
    }

    #[test]
    fn a_series_is_forgotten_by_its_arrival_not_by_its_time() {
        let mut d = Deltas::new(1000);
        for series in 0..100 {
            put(&mut d, series, 1, 0, 0, 1.0);
        }
        put(&mut d, 7, 2, 0, FORGET_AFTER_S - 1, 1.0);
        d.expire(d.slots(), FORGET_AFTER_S - 1);
        assert_eq!(d.len(), 100);
        d.expire(d.slots(), FORGET_AFTER_S);
        assert_eq!(d.len(), 1);
        assert_eq!(put(&mut d, 7, 3, 0, FORGET_AFTER_S, 4.0), "known 1");
    }

    #[test]
    fn series_are_found_in_any_order_and_after_others_took_their_place() {
        let mut d = Deltas::new(1000);
        for series in 0..10 {
            put(&mut d, series, 1, 0, 0, series as f64);
        }
        for series in [0, 1, 2, 9, 3, 3, 0, 8, 7, 9] {
            assert_eq!(put(&mut d, series, 2, 0, 9, series as f64), format!("known {series}"));
        }
        d.expire(d.slots(), FORGET_AFTER_S);
        assert_eq!(d.len(), 7, "4, 5 and 6 did not come again");
        for series in [20, 21, 22] {
            assert_eq!(put(&mut d, series, 3, 0, FORGET_AFTER_S, series as f64), "first");
        }
        assert_eq!(d.slots(), 10);
        for series in [3, 20, 21, 22, 7, 0] {
            assert_eq!(put(&mut d, series, 4, 0, FORGET_AFTER_S, 0.0), format!("known {series}"));
        }
        assert_eq!(put(&mut d, 4, 5, 0, FORGET_AFTER_S, 0.0), "first");
    }

    #[test]
    fn the_number_of_series_is_bounded_and_the_silent_ones_go_first() {
        let mut d = Deltas::new(64);
        for series in 0..10_000 {
            put(&mut d, series, 1, 0, series as u32, 1.0);
            assert!(d.len() <= 64);
        }
        assert_eq!(put(&mut d, 9_999, 2, 0, 10_000, 1.0), "known 1");
    }
}
