//! When a target is scraped: a fixed phase in its interval, so that the load spreads and stays where it is. Wall clock
//! times come in, none are read here.

use std::time::Duration;

/// Mixes what tells agents apart (host and external labels), so that replicas do not scrape at the same moment.
pub(crate) fn seed<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hash = FNV_OFFSET;
    for part in parts {
        hash = fnv1a(hash, part.as_bytes());
        hash = fnv1a(hash, &[0xff]);
    }
    hash
}

/// Time until the first scrape of a target: the next moment whose place in the interval is the target's own.
pub(crate) fn first_delay(key: &str, seed: u64, interval: Duration, now_unix: Duration) -> Duration {
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    let phase = (fnv1a(FNV_OFFSET, key.as_bytes()) ^ seed) % interval_ns;
    let now_phase = (now_unix.as_nanos() % u128::from(interval_ns)) as u64;
    Duration::from_nanos(if phase >= now_phase { phase - now_phase } else { interval_ns - (now_phase - phase) })
}

/// When a scrape that was due `late` ago is done: in how many intervals after that moment the next one is due, and how
/// many moments of the grid are skipped for it. One moment that has passed waits, as in a ticker of Go, so that the scrape
/// is made at once; those before it are never made up for.
pub(crate) fn next(late: Duration, interval: Duration) -> (u32, u32) {
    let passed = u32::try_from(late.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u32::MAX);
    (passed.max(1), passed.saturating_sub(1))
}

/// The time of a scrape's samples: the ideal moment when the scrape started almost on time.
pub(crate) fn sample_time_ms(now_ms: i64, late: Duration, interval: Duration) -> i64 {
    let tolerance = (interval / 100).min(Duration::from_millis(2));
    if late <= tolerance { now_ms - i64::try_from(late.as_millis()).unwrap_or(0) } else { now_ms }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_keeps_its_place_in_the_interval() {
        let interval = Duration::from_secs(15);
        let at = |now_ms: u64| {
            let now = Duration::from_millis(now_ms);
            let due = now + first_delay("target", 7, interval, now);
            due.as_nanos() % interval.as_nanos()
        };
        let phase = at(1_700_000_000_000);
        for now_ms in [1_700_000_000_001, 1_700_000_007_500, 1_700_000_014_999, 1_800_000_000_000] {
            assert_eq!(at(now_ms), phase);
        }
    }

    #[test]
    fn targets_spread_over_the_interval() {
        let interval = Duration::from_secs(10);
        let now = Duration::from_secs(1_700_000_000);
        let mut slots = [0; 10];
        for i in 0..1000 {
            let delay = first_delay(&format!("10.0.{}.{}:9090", i / 250, i % 250), 1, interval, now);
            assert!(delay < interval);
            slots[delay.as_secs() as usize] += 1;
        }
        assert!(slots.iter().all(|count| (50..200).contains(count)), "{slots:?}");
    }

    #[test]
    fn agents_with_other_seeds_scrape_at_other_moments() {
        let interval = Duration::from_secs(60);
        let delay = |seed| first_delay("t", seed, interval, Duration::ZERO);
        assert_ne!(delay(seed(["host-a", "{}"])), delay(seed(["host-b", "{}"])));
    }

    #[test]
    fn of_the_moments_that_passed_during_a_scrape_the_last_one_is_used() {
        let interval = Duration::from_secs(10);
        for (late_ms, expected) in [(0, (1, 0)), (9_999, (1, 0)), (10_000, (1, 0)), (20_000, (2, 1)), (35_000, (3, 2))]
        {
            assert_eq!(next(Duration::from_millis(late_ms), interval), expected, "{late_ms} ms");
        }
    }

    #[test]
    fn samples_of_a_punctual_scrape_have_the_ideal_time() {
        let interval = Duration::from_secs(10);
        assert_eq!(sample_time_ms(1_002, Duration::from_millis(2), interval), 1_000);
        assert_eq!(sample_time_ms(1_003, Duration::from_millis(3), interval), 1_003);
        assert_eq!(sample_time_ms(1_002, Duration::from_millis(2), Duration::from_millis(100)), 1_002);
    }
}
