//! A bounded memory of answers that seldom change: task definitions (never) and instances (for a while).
//! Absence is not remembered: what was not found is asked for again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Answers by ARN. Holds everything that the current round used, and beyond that at most `capacity` entries, of which
/// the ones unused for longest go first.
pub(crate) struct Cache<T> {
    entries: HashMap<String, Entry<T>>,
    capacity: usize,
    /// Entries older than this are asked for again; kept until then for the case that the call fails.
    max_age: Option<Duration>,
    round: u64,
}

struct Entry<T> {
    value: Arc<T>,
    round: u64,
    fetched: Instant,
}

impl<T> Cache<T> {
    pub(crate) fn new(capacity: usize, max_age: Option<Duration>) -> Cache<T> {
        Cache { entries: HashMap::new(), capacity, max_age, round: 0 }
    }

    /// Begins a round: drops what is too much and has not been used in the last one.
    pub(crate) fn begin_round(&mut self) {
        if self.entries.len() > self.capacity {
            let mut unused: Vec<(u64, String)> =
                self.entries.iter().filter(|(_, e)| e.round < self.round).map(|(k, e)| (e.round, k.clone())).collect();
            unused.sort();
            let surplus = self.entries.len() - self.capacity;
            for (_, key) in unused.into_iter().take(surplus) {
                self.entries.remove(&key);
            }
        }
        self.round += 1;
    }

    /// The value, if it is young enough.
    pub(crate) fn fresh(&mut self, key: &str) -> Option<Arc<T>> {
        let max_age = self.max_age;
        let entry = self.entries.get_mut(key)?;
        entry.round = self.round;
        max_age.is_none_or(|max| entry.fetched.elapsed() < max).then(|| entry.value.clone())
    }

    /// The value, however old.
    pub(crate) fn any(&self, key: &str) -> Option<Arc<T>> {
        self.entries.get(key).map(|e| e.value.clone())
    }

    /// Takes in an answer.
    pub(crate) fn put(&mut self, key: &str, value: Arc<T>) {
        let entry = Entry { value, round: self.round, fetched: Instant::now() };
        self.entries.insert(key.to_owned(), entry);
    }

    /// Forgets an answer that is not true any more.
    pub(crate) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_drops_what_was_unused_for_longest() {
        let mut cache = Cache::new(2, None);
        for (round, key) in ["a", "b", "c"].into_iter().enumerate() {
            cache.begin_round();
            cache.put(key, Arc::new(round));
        }
        cache.begin_round();
        assert!(cache.fresh("a").is_none());
        assert_eq!(cache.fresh("b").as_deref(), Some(&1));
        assert_eq!(cache.fresh("c").as_deref(), Some(&2));
    }

    #[test]
    fn a_round_that_needs_more_than_the_capacity_keeps_all_of_it() {
        let mut cache = Cache::new(2, None);
        for _ in 0..3 {
            cache.begin_round();
            for key in ["a", "b", "c"] {
                cache.put(key, Arc::new(()));
            }
        }
        cache.begin_round();
        assert!(["a", "b", "c"].iter().all(|key| cache.fresh(key).is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_entry_is_not_fresh_but_still_there() {
        let mut cache = Cache::new(2, Some(Duration::from_secs(600)));
        cache.begin_round();
        cache.put("a", Arc::new(1));
        tokio::time::advance(Duration::from_secs(599)).await;
        assert!(cache.fresh("a").is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cache.fresh("a").is_none());
        assert_eq!(cache.any("a").as_deref(), Some(&1));
        cache.remove("a");
        assert!(cache.any("a").is_none());
    }
}
