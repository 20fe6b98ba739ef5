//! `memory_limiter`: refuses data while the process uses more memory than it should, so that clients retry later.
//!
//! It measures resident memory, which is what the kernel kills for; the Collector measures its heap. There is no
//! garbage collector to force.

mod config;
mod total;

use std::path::Path;
use std::time::Instant;

use ::config::{Built, Node};
use proto::{Batch, BuildContext, Counter, Refusal, Uses};

use self::config::Limits;
use crate::{AnyProcessor, Processor, ProcessorFactory, Verdict};

/// `memory_limiter` in the table of processors.
pub static FACTORY: ProcessorFactory = ProcessorFactory { kind: "memory_limiter", build };

const MIB: u64 = 1 << 20;

fn build(node: &Node, context: &BuildContext) -> Built<AnyProcessor> {
    let metadata = (context.env)("ECS_CONTAINER_METADATA_URI_V4");
    // `validate` asks nobody over the network.
    let metadata = metadata.as_deref().filter(|_| !context.dry_run);
    let (limits, found) = config::read(node, || total::total_bytes(Path::new("/"), metadata));
    let limiter = limits.map(|limits| {
        if !context.dry_run {
            if let Some(part) = limits.part {
                tracing::info!(
                    component_id = context.id,
                    total_memory_mib = part.total_bytes / MIB,
                    limit_percentage = part.limit,
                    spike_limit_percentage = part.spike,
                    "Using percentage memory limiter"
                );
            }
            tracing::info!(
                component_id = context.id,
                limit_mib = limits.hard_bytes / MIB,
                spike_limit_mib = (limits.hard_bytes - limits.soft_bytes) / MIB,
                check_interval_s = limits.interval.as_secs_f64(),
                "Memory limiter configured"
            );
        }
        AnyProcessor::Inline(Box::new(Limiter::new(limits, context, resident_bytes)))
    });
    (limiter, found)
}

struct Limiter {
    id: String,
    limits: Limits,
    measure: fn() -> Option<u64>,
    checked: Option<Instant>,
    refusing: bool,
    accepted: Counter,
    refused: Counter,
}

impl Limiter {
    fn new(limits: Limits, context: &BuildContext, measure: fn() -> Option<u64>) -> Limiter {
        let labels = [("processor", context.id.as_str())];
        let counter = |name, help| context.telemetry.counter(name, help, &labels);
        Limiter {
            id: context.id.clone(),
            limits,
            measure,
            checked: None,
            refusing: false,
            accepted: counter(
                "otelcol_processor_memory_limiter_accepted_metric_points",
                "Number of metric points successfully pushed into the next component in the pipeline.",
            ),
            refused: counter(
                "otelcol_processor_memory_limiter_refused_metric_points",
                "Number of metric points that were rejected by the next component in the pipeline.",
            ),
        }
    }

    /// Measures when the interval has passed; without data there is nothing to refuse and nothing to measure.
    fn check(&mut self) {
        if self.checked.is_some_and(|at| at.elapsed() < self.limits.interval) {
            return;
        }
        self.checked = Some(Instant::now());
        let Some(used) = (self.measure)() else { return };
        let (was, cur_mem_mib) = (self.refusing, used / MIB);
        self.refusing = used >= self.limits.soft_bytes;
        match (was, self.refusing) {
            (false, true) => {
                let limit = if used >= self.limits.hard_bytes { "hard" } else { "soft" };
                tracing::warn!(
                    component_id = self.id,
                    cur_mem_mib,
                    "Memory usage is above {limit} limit. Refusing data."
                );
            }
            (true, false) => {
                tracing::info!(
                    component_id = self.id,
                    cur_mem_mib,
                    "Memory usage back within limits. Resuming normal operation."
                );
            }
            _ => {}
        }
    }
}

impl Processor for Limiter {
    fn uses(&self, behind: Uses) -> Uses {
        behind
    }

    fn process(&mut self, batch: &mut Batch) -> Verdict {
        self.check();
        let points = batch.points() as u64;
        if self.refusing {
            self.refused.add(points);
            return Verdict::Refuse(Refusal::retry("data refused due to high memory usage"));
        }
        self.accepted.add(points);
        Verdict::Pass
    }
}

/// Resident memory of this process: the second number of `/proc/self/statm`, in pages of 4 KiB.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::config::Diagnostic;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    static USED_MIB: AtomicU64 = AtomicU64::new(0);

    fn read(yaml: &str) -> (Option<Limits>, Vec<Diagnostic>) {
        config::read(&::config::parse_yaml("t.yaml", yaml).0.unwrap(), || Some(1000 * MIB))
    }

    #[test]
    fn it_refuses_from_the_soft_limit_on_and_resumes_below_it() {
        let limits = Limits { soft_bytes: 80 * MIB, hard_bytes: 100 * MIB, interval: Duration::ZERO, part: None };
        let context = BuildContext::for_test("memory_limiter");
        let mut limiter = Limiter::new(limits, &context, || Some(USED_MIB.load(Relaxed) * MIB));
        for (used, refuses) in [(10, false), (79, false), (80, true), (120, true), (79, false)] {
            USED_MIB.store(used, Relaxed);
            let verdict = limiter.process(&mut Batch::default());
            assert_eq!(matches!(verdict, Verdict::Refuse(ref r) if r.is_retryable()), refuses, "at {used} MiB");
        }
    }

    #[test]
    fn limits_come_from_mib_or_percentages_with_a_fifth_for_spikes() {
        let cases = [
            ("{check_interval: 1s, limit_mib: 100}", 80, 100),
            ("{check_interval: 1s, limit_mib: 100, spike_limit_mib: 30}", 70, 100),
            ("{check_interval: 1s, limit_percentage: 50}", 400, 500),
            ("{check_interval: 1s, limit_percentage: 50, spike_limit_percentage: 10}", 400, 500),
            ("{check_interval: 1s, limit_mib: 100, limit_percentage: 50}", 80, 100),
        ];
        for (yaml, soft, hard) in cases {
            let (limits, found) = read(yaml);
            let limits = limits.unwrap_or_else(|| panic!("{yaml}: {found:?}"));
            assert_eq!((limits.soft_bytes / MIB, limits.hard_bytes / MIB), (soft, hard), "{yaml}");
            let total = limits.part.map(|part| part.total_bytes / MIB);
            assert_eq!(total, (!yaml.contains("limit_mib")).then_some(1000), "{yaml}");
        }
    }

    #[test]
    fn bad_limits_are_errors_in_the_collectors_words() {
        let cases = [
            ("{limit_mib: 10}", "'check_interval' must be greater than zero"),
            ("{check_interval: 1s}", "'limit_mib' or 'limit_percentage' must be greater than zero"),
            (
                "{check_interval: 1s, limit_mib: 10, spike_limit_mib: 10}",
                "'spike_limit_mib' must be smaller than 'limit_mib'",
            ),
            (
                "{check_interval: 1s, limit_percentage: 10, spike_limit_percentage: 20}",
                "'spike_limit_percentage' must be smaller than 'limit_percentage'",
            ),
            (
                "{check_interval: 1s, limit_percentage: 101}",
                "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred",
            ),
        ];
        for (yaml, text) in cases {
            let (limits, found) = read(yaml);
            assert_eq!(limits, None, "{yaml}");
            assert!(found.iter().any(|d| d.message == text), "{yaml}: {found:?}");
        }
    }

    #[test]
    fn this_process_knows_its_resident_memory() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > MIB));
    }
}
