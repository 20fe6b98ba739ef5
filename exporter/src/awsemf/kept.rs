//! Lookups from batch to batch: those of a scrape target share their tables, so what these come to is found out once.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use proto::{Batch, Tables};

use super::delta::FORGET_AFTER_S;
use super::lookup::Lookup;

/// Slots kept in all; a plan has about one.
const MAX_SLOTS: usize = 250_000;
/// What a lookup takes beside its slots, in slots.
const OWN_SLOTS: usize = 50;
/// Slots that may be those of tables that are gone before one looks for these; else one looks when a lookup is renewed.
const SPARE_SLOTS: usize = 50_000;
/// A lookup is made anew after this long, so that the plans it uses are seen before they are forgotten for their age. When
/// they are forgotten for another reason, nothing is kept.
const RENEW_AFTER_S: u32 = FORGET_AFTER_S / 6;

/// The lookups of tables that live on between batches.
#[derive(Default)]
pub(crate) struct Kept {
    /// By where the tables are: as long as there is a weak reference, no others can be there.
    lookups: HashMap<usize, Entry>,
    slots: usize,
    /// Number of slots at which those of tables that are gone are let go of.
    look_at_slots: usize,
}

struct Entry {
    tables: Weak<Tables>,
    lookup: Lookup,
}

impl Kept {
    /// Takes out the lookup of a batch's tables.
    pub(crate) fn take(&mut self, batch: &Batch, now_s: u32) -> Option<Lookup> {
        let Entry { lookup, .. } = self.lookups.remove(&place(&batch.tables))?;
        self.slots -= slots(&lookup);
        if now_s.saturating_sub(lookup.made_s) < RENEW_AFTER_S {
            return Some(lookup);
        }
        self.let_go();
        None
    }

    /// Keeps the lookup of a batch's tables if they are shared and somebody else holds them, so that they may come again;
    /// gives it back if not.
    pub(crate) fn give(&mut self, batch: &Batch, lookup: Lookup) -> Option<Lookup> {
        if !batch.meta.shared_tables || Arc::strong_count(&batch.tables) == 1 {
            return Some(lookup);
        }
        let more = slots(&lookup);
        if self.slots + more > self.look_at_slots.min(MAX_SLOTS) {
            self.let_go();
        }
        if self.slots + more > MAX_SLOTS {
            return Some(lookup);
        }
        self.slots += more;
        let tables = Arc::downgrade(&batch.tables);
        self.lookups.insert(place(&batch.tables), Entry { tables, lookup });
        None
    }

    /// Keeps nothing.
    pub(crate) fn clear(&mut self) {
        *self = Kept::default();
    }

    /// Lets go of the lookups of tables that are gone.
    fn let_go(&mut self) {
        self.lookups.retain(|_, entry| entry.tables.strong_count() > 0);
        self.slots = self.lookups.values().map(|entry| slots(&entry.lookup)).sum();
        self.look_at_slots = 2 * self.slots + SPARE_SLOTS;
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lookups.len()
    }
}

/// What a lookup counts for.
fn slots(lookup: &Lookup) -> usize {
    lookup.slots.len() + OWN_SLOTS
}

fn place(tables: &Arc<Tables>) -> usize {
    Arc::as_ptr(tables).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(tables: &Arc<Tables>) -> Batch {
        let mut batch = Batch { tables: tables.clone(), ..Batch::default() };
        batch.meta.shared_tables = true;
        batch
    }

    #[test]
    fn a_lookup_is_kept_for_a_while_if_its_tables_live_elsewhere() {
        let (tables, others) = (Arc::<Tables>::default(), Arc::<Tables>::default());
        let mut kept = Kept::default();
        let give = |kept: &mut Kept, tables: &Arc<Tables>, made_s| {
            let mut lookup = Lookup::default();
            lookup.made_s = made_s;
            kept.give(&batch(tables), lookup).is_none()
        };
        assert!(give(&mut kept, &tables, 7));
        assert!(kept.take(&batch(&others), 8).is_none());
        assert_eq!(kept.take(&batch(&tables), 8).unwrap().made_s, 7);
        assert!(kept.take(&batch(&tables), 8).is_none(), "it was taken out");
        assert!(give(&mut kept, &tables, 7) && give(&mut kept, &others, 8));
        drop(others);
        assert!(kept.take(&batch(&tables), 7 + RENEW_AFTER_S).is_none(), "it is too old");
        assert_eq!((kept.len(), kept.slots), (0, 0), "what is gone goes when another is renewed");
        let alone = batch(&Arc::default());
        assert!(kept.give(&alone, Lookup::default()).is_some(), "nobody else holds its tables");
        let pushed = Batch { tables: tables.clone(), ..Batch::default() };
        assert!(kept.give(&pushed, Lookup::default()).is_some(), "its tables are its own");
        assert_eq!(kept.len(), 0);
    }

    #[test]
    fn slots_are_bounded_and_those_of_lost_tables_make_room() {
        let lookup = |slots| {
            let mut lookup = Lookup::default();
            lookup.slots.resize(slots - OWN_SLOTS, Default::default());
            lookup
        };
        let mut kept = Kept::default();
        for _ in 0..1000 {
            let tables = Arc::<Tables>::default();
            assert!(kept.give(&batch(&tables), lookup(10_000)).is_none());
            assert!(kept.slots <= SPARE_SLOTS, "{}", kept.slots);
        }
        let living: Vec<_> = (0..30).map(|_| Arc::<Tables>::default()).collect();
        let refused = living.iter().filter(|tables| kept.give(&batch(tables), lookup(10_000)).is_some()).count();
        assert_eq!((refused, kept.slots), (5, MAX_SLOTS));
        drop(living);
        let tables = Arc::<Tables>::default();
        assert!(kept.give(&batch(&tables), lookup(100)).is_none());
        assert_eq!((kept.len(), kept.slots), (1, 100));
    }
}
