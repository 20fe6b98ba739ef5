//! What editing shared tables came to, remembered by the tables: the batches of a scrape target share one `Tables`, so
//! a steady scrape finds the edited copy of the last time and copies nothing.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use proto::Tables;

/// Entries above which those of gone tables are looked for.
const SWEEP_AT: usize = 64;

/// Results `T` by input tables.
pub(crate) struct TablesCache<T> {
    entries: HashMap<usize, (Weak<Tables>, T)>,
}

impl<T> Default for TablesCache<T> {
    fn default() -> Self {
        TablesCache { entries: HashMap::new() }
    }
}

impl<T> TablesCache<T> {
    /// The result for these tables, made when they are new. The weak reference keeps the address from being used
    /// again, so an equal address means the same, unedited tables.
    pub(crate) fn get(&mut self, tables: &Arc<Tables>, make: impl FnOnce() -> T) -> &mut T {
        if self.entries.len() >= SWEEP_AT {
            self.entries.retain(|_, (input, _)| input.strong_count() > 0);
        }
        let address = Arc::as_ptr(tables) as usize;
        let entry = self.entries.entry(address).or_insert_with(|| (Weak::new(), make()));
        if !std::ptr::eq(entry.0.as_ptr(), Arc::as_ptr(tables)) {
            entry.0 = Arc::downgrade(tables);
        }
        &mut entry.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tables_find_their_result_and_edited_or_other_ones_do_not() {
        let mut cache = TablesCache::default();
        let mut tables = Arc::new(Tables::default());
        assert_eq!(*cache.get(&tables, || 1), 1);
        assert_eq!(*cache.get(&tables, || 2), 1);
        Arc::make_mut(&mut tables).symbols.intern("new");
        assert_eq!(*cache.get(&tables, || 3), 3);
        for i in 0..1000 {
            cache.get(&Arc::new(Tables::default()), || i);
        }
        assert!(cache.entries.len() <= SWEEP_AT, "{}", cache.entries.len());
        assert_eq!(*cache.get(&tables, || 4), 3);
    }
}
