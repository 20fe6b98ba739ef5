//! Own process metrics, read from `/proc/self` when the page is asked for.

use std::time::Instant;

use proto::{Gauge, Telemetry};

/// Gauges of this process under the Collector's names.
#[derive(Clone)]
pub struct Process {
    started: Instant,
    uptime: Gauge,
    cpu_seconds: Gauge,
    rss_bytes: Gauge,
}

impl Process {
    /// Registers the gauges; uptime counts from now.
    pub fn new(telemetry: &Telemetry) -> Process {
        Process {
            started: Instant::now(),
            uptime: telemetry.gauge("otelcol_process_uptime", "Uptime of the process in seconds.", &[]),
            cpu_seconds: telemetry.gauge(
                "otelcol_process_cpu_seconds",
                "Total CPU user and system time in seconds.",
                &[],
            ),
            rss_bytes: telemetry.gauge("otelcol_process_memory_rss", "Resident memory in bytes.", &[]),
        }
    }

    /// Reads the current values.
    pub fn refresh(&self) {
        self.uptime.set(self.started.elapsed().as_secs() as i64);
        if let Some(bytes) = rss_bytes() {
            self.rss_bytes.set(bytes as i64);
        }
        if let Some(seconds) = cpu_seconds() {
            self.cpu_seconds.set(seconds as i64);
        }
    }
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
