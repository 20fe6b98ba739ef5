//! The agent's own telemetry: logs on stderr in the Collector's forms, metrics on a Prometheus page.

pub mod logs;
pub mod page;
pub mod process;
