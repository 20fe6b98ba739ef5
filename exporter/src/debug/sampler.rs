//! Thins equal messages out, as the Collector's logger does: each second the first few, then every so many-th.

use std::time::Duration;

use hashbrown::HashMap;
use proto::symbols::hash_bytes;
use tokio::time::Instant;

/// Distinct messages that are counted within a second; more share a count.
const MAX_MESSAGES: u64 = 4096;

pub(super) struct Sampler {
    initial: u64,
    thereafter: u64,
    second: Instant,
    seen: HashMap<u64, u64>,
}

impl Sampler {
    pub(super) fn new(initial: u64, thereafter: u64) -> Sampler {
        Sampler { initial, thereafter, second: Instant::now(), seen: HashMap::new() }
    }

    /// Whether this message is written.
    pub(super) fn passes(&mut self, message: &str) -> bool {
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.second = Instant::now();
            self.seen.clear();
        }
        let seen = self.seen.entry(hash_bytes(message.as_bytes()) % MAX_MESSAGES).or_default();
        *seen += 1;
        *seen <= self.initial || self.thereafter > 0 && (*seen - self.initial).is_multiple_of(self.thereafter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_pass_then_every_nth_and_a_new_second_starts_over() {
        let mut s = Sampler::new(2, 3);
        let passed: Vec<bool> = (0..9).map(|_| s.passes("a")).collect();
        assert_eq!(passed, [true, true, false, false, true, false, false, true, false]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(s.passes("a"));
        let mut all = Sampler::new(2, 1);
        assert!((0..9).all(|_| all.passes("a")));
        let mut none = Sampler::new(1, 0);
        assert_eq!((0..4).filter(|_| none.passes("a")).count(), 1);
    }
}
