//! Settings of `memory_limiter` and the limits that they come to.

use std::time::Duration;

use config::{Built, Diagnostic, GoDuration, Node, Spanned, decode};
use serde::Deserialize;

const MIB: u64 = 1 << 20;

/// The section as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    check_interval: Spanned<GoDuration>,
    limit_mib: Spanned<u32>,
    spike_limit_mib: Spanned<u32>,
    limit_percentage: Spanned<u32>,
    spike_limit_percentage: Spanned<u32>,
    min_gc_interval_when_soft_limited: Option<GoDuration>,
    min_gc_interval_when_hard_limited: Option<GoDuration>,
    max_gc_interval_when_soft_limited: Option<GoDuration>,
    max_gc_interval_when_hard_limited: Option<GoDuration>,
}

/// What is compared with memory in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Data is refused from here on: limit less spike.
    pub(super) soft_bytes: u64,
    /// The limit.
    pub(super) hard_bytes: u64,
    /// Time between two measurements.
    pub(super) interval: Duration,
    /// Where the limits come from, unless they are written in MiB.
    pub(super) part: Option<Part>,
}

/// Limits as a part of all memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// All memory that was found.
    pub(super) total_bytes: u64,
    /// `limit_percentage`.
    pub(super) limit: u32,
    /// `spike_limit_percentage`.
    pub(super) spike: u32,
}

/// Decodes and checks the section. `total` finds the memory that percentages refer to; asked only for them.
pub(super) fn read(node: &Node, total: impl Fn() -> Option<u64>) -> Built<Limits> {
    let (config, mut found) = decode::<Config>(node);
    let Some(config) = config else { return (None, found) };
    config.check(node, &mut found);
    if config::has_errors(&found) {
        return (None, found);
    }
    let (hard, spike, part) = if config.limit_mib.value > 0 {
        (u64::from(config.limit_mib.value) * MIB, u64::from(config.spike_limit_mib.value) * MIB, None)
    } else {
        let Some(total_bytes) = total() else {
            found.push(
                config
                    .limit_percentage
                    .error("cannot find out how much memory there is")
                    .help("neither the cgroup nor ECS task metadata nor /proc/meminfo tells; use limit_mib"),
            );
            return (None, found);
        };
        let (limit, spike) = (config.limit_percentage.value, config.spike_limit_percentage.value);
        let percent_of = |percent: u32| total_bytes / 100 * u64::from(percent);
        (percent_of(limit), percent_of(spike), Some(Part { total_bytes, limit, spike }))
    };
    let spike = if spike == 0 { hard / 5 } else { spike };
    let interval = config.check_interval.value.to_std();
    (Some(Limits { soft_bytes: hard - spike, hard_bytes: hard, interval, part }), found)
}

impl Config {
    fn check(&self, node: &Node, found: &mut Vec<Diagnostic>) {
        if self.check_interval.value.to_std().is_zero() {
            let problem = Diagnostic::error("'check_interval' must be greater than zero").on(node);
            found.push(problem.help("write check_interval: 1s"));
        }
        let (limit, spike) = (self.limit_mib.value, self.spike_limit_mib.value);
        let (percent, spike_percent) = (self.limit_percentage.value, self.spike_limit_percentage.value);
        if limit == 0 && percent == 0 {
            let problem = Diagnostic::error("'limit_mib' or 'limit_percentage' must be greater than zero").on(node);
            found.push(problem.help("write limit_percentage: 80"));
        }
        if percent > 100 || spike_percent > 100 {
            found.push(self.limit_percentage.error(
                "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred",
            ));
        }
        if limit > 0 && spike >= limit {
            found.push(self.spike_limit_mib.error("'spike_limit_mib' must be smaller than 'limit_mib'"));
        }
        if limit == 0 && percent > 0 && spike_percent >= percent {
            let text = "'spike_limit_percentage' must be smaller than 'limit_percentage'";
            found.push(self.spike_limit_percentage.error(text));
        }
        let collector = [
            self.min_gc_interval_when_soft_limited,
            self.min_gc_interval_when_hard_limited,
            self.max_gc_interval_when_soft_limited,
            self.max_gc_interval_when_hard_limited,
        ];
        if collector.iter().any(Option::is_some) {
            let problem = Diagnostic::warning("the gc intervals have no effect: this agent has no garbage collector");
            found.push(problem.on(node).help("remove them"));
        }
    }
}
