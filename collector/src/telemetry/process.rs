//! Own process metrics, read from `/proc/self` when the page is asked for. Goes to the registry directly, because uptime
//! and CPU time are fractions, which the counters of the components are not.

use std::collections::HashMap;
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto as pb;

/// Uptime, CPU time and memory of this process under the Collector's names.
pub struct Process {
    started: Instant,
    desc: Desc,
}

impl Process {
    /// Uptime counts from `started`.
    pub fn new(started: Instant) -> Process {
        let desc = Desc::new("otelcol_process".into(), "Own process.".into(), Vec::new(), HashMap::new())
            .expect("a constant, valid description");
        Process { started, desc }
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<pb::MetricFamily> {
        let counter = pb::MetricType::COUNTER;
        let uptime = self.started.elapsed().as_secs_f64();
        let mut families = vec![family("otelcol_process_uptime", "Uptime of the process in seconds.", counter, uptime)];
        if let Some(seconds) = cpu_seconds() {
            let help = "Total CPU user and system time in seconds.";
            families.push(family("otelcol_process_cpu_seconds", help, counter, seconds));
        }
        if let Some(bytes) = rss_bytes() {
            let gauge = pb::MetricType::GAUGE;
            families.push(family("otelcol_process_memory_rss", "Resident memory in bytes.", gauge, bytes as f64));
        }
        families
    }
}

fn family(name: &str, help: &str, kind: pb::MetricType, value: f64) -> pb::MetricFamily {
    let mut metric = pb::Metric::default();
    match kind {
        pb::MetricType::COUNTER => {
            let mut counter = pb::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        _ => {
            let mut gauge = pb::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
    }
    let mut family = pb::MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

/// Resident memory of this process in bytes (`VmRSS`).
pub fn rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// User and system time of this process in seconds. `/proc` counts in ticks of 1/100 s on every Linux.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
