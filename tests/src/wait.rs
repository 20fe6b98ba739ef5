//! Waiting for a condition with a deadline. The only place of the test code that sleeps.

use std::time::Duration;
use tokio::time::Instant;

/// How often a condition is looked at. Short against anything a test waits for, long against the cost of looking.
const STEP: Duration = Duration::from_millis(20);

/// Waits until `condition` answers something and returns it.
///
/// # Panics
/// When `deadline` has passed, naming `what` was waited for.
pub async fn wait_until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    wait_for(what, deadline, async || condition()).await
}

/// As [`wait_until`], for a condition that itself waits, for instance for an answer over HTTP.
///
/// # Panics
/// When `deadline` has passed, naming `what` was waited for.
pub async fn wait_for<T>(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain for: {what}");
        tokio::time::sleep(STEP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_becomes_true_ends_the_wait() {
        let mut looks = 0;
        let found = wait_until("three looks", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some("seen")
        })
        .await;
        assert_eq!(found, "seen");
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for: the impossible")]
    async fn a_condition_that_stays_false_panics_with_its_name() {
        wait_until("the impossible", Duration::from_millis(30), || None::<()>).await;
    }
}
