//! The request rates that AWS documents for the operations used here, as token buckets. Off unless a test asks.

use super::Refusal;
use std::collections::BTreeMap;
use std::time::Instant;

/// Operations that share a bucket, with its burst and its refill per second.
const BUCKETS: [(&[&str], f64, f64); 6] = [
    (&["ListTasks", "DescribeTasks", "ListContainerInstances", "DescribeContainerInstances"], 100.0, 20.0),
    (&["ListServices", "DescribeServices"], 100.0, 20.0),
    (&["ListClusters", "DescribeClusters"], 50.0, 20.0),
    (&["DescribeTaskDefinition"], 50.0, 20.0),
    (&["CreateLogStream"], 50.0, 50.0),
    (&["PutRetentionPolicy"], 5.0, 5.0),
];

/// Fill of each bucket, by its place in [`BUCKETS`].
#[derive(Default)]
pub(crate) struct Quotas {
    fill: BTreeMap<usize, (f64, Instant)>,
}

impl Quotas {
    /// Takes a token for a call, or throttles it. Operations without a bucket always pass.
    pub(crate) fn take(&mut self, op: &str, now: Instant) -> Result<(), Refusal> {
        let Some(index) = BUCKETS.iter().position(|(ops, ..)| ops.contains(&op)) else { return Ok(()) };
        let (_, burst, refill) = BUCKETS[index];
        let (tokens, since) = self.fill.entry(index).or_insert((burst, now));
        *tokens = (*tokens + now.duration_since(*since).as_secs_f64() * refill).min(burst);
        *since = now;
        if *tokens < 1.0 {
            return Err(Refusal::new(400, "ThrottlingException", "Rate exceeded"));
        }
        *tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_throttled_and_refills_with_time() {
        let (mut quotas, start) = (Quotas::default(), Instant::now());
        let taken = (0..200).filter(|_| quotas.take("ListTasks", start).is_ok()).count();
        assert_eq!(taken, 100);
        assert!(quotas.take("DescribeTasks", start).is_err(), "the bucket is shared");
        assert!(quotas.take("ListServices", start).is_ok(), "another bucket");
        let later = start + Duration::from_secs(1);
        let taken = (0..200).filter(|_| quotas.take("DescribeTasks", later).is_ok()).count();
        assert_eq!(taken, 20);
    }
}
