//! What most whole-agent stories have in common: a target whose pages carry the number of the scrape, a config that
//! scrapes fast and writes to the scripted CloudWatch Logs, and the numbers that arrived there.

use crate::agent::PATIENCE;
use crate::fake::{Behaviour, FakeAws};
use crate::wait::wait_until;
use std::net::SocketAddr;

/// The log group of [`scrape_to_logs`].
pub const LOG_GROUP: &str = "/story";
/// Its log stream.
pub const LOG_STREAM: &str = "s";

/// A page whose gauge `scrape_number` is 1 at the first scrape, 2 at the second, and so on: every gap in what arrives
/// is a loss, every repetition a duplicate.
pub fn numbered() -> Behaviour {
    Behaviour::moving(|scrape| format!("# TYPE scrape_number gauge\nscrape_number {scrape}\n"))
}

/// A scrape job with fixed targets. `settings` are further lines of the job in flow form (`metrics_path: /m`).
pub fn job(name: &str, targets: &[SocketAddr], settings: &[&str]) -> String {
    let targets: Vec<String> = targets.iter().map(|addr| format!("'{addr}'")).collect();
    let mut job =
        format!("        - job_name: {name}\n          static_configs: [{{targets: [{}]}}]\n", targets.join(", "));
    for setting in settings {
        job.push_str(&format!("          {setting}\n"));
    }
    job
}

/// A config that scrapes these jobs twice a second and writes to [`LOG_GROUP`]; `exporter` holds further lines
/// of the `awsemf` section.
pub fn scrape_to_logs(jobs: &[String], exporter: &[&str]) -> String {
    let exporter: String = exporter.iter().map(|line| format!("    {line}\n")).collect();
    format!(
        "receivers:
  prometheus:
    config:
      global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
      scrape_configs:
{jobs}exporters:
  awsemf:
    region: us-west-2
    namespace: Story
    log_group_name: {LOG_GROUP}
    log_stream_name: {LOG_STREAM}
    dimension_rollup_option: NoDimensionRollup
{exporter}service:
  pipelines:
    metrics: {{receivers: [prometheus], exporters: [awsemf]}}
",
        jobs = jobs.concat()
    )
}

/// Retries at once and often, so that stories are short.
pub const EAGER_RETRY: &str =
    "retry_on_failure: {initial_interval: 50ms, max_interval: 200ms, randomization_factor: 0, max_elapsed_time: 10m}";

/// The scrape numbers that arrived in CloudWatch Logs, sorted; repeated when they arrived twice.
pub fn arrived(aws: &FakeAws) -> Vec<u64> {
    let mut numbers: Vec<u64> =
        aws.documents().iter().filter_map(|document| document["scrape_number"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

/// Waits until a scrape with at least this number arrived.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub async fn wait_arrived(aws: &FakeAws, number: u64) {
    wait_until(&format!("scrape {number} in CloudWatch Logs"), PATIENCE, || {
        (arrived(aws).last().copied() >= Some(number)).then_some(())
    })
    .await;
}

/// Checks that every scrape from the first to the last that arrived is there, and once.
///
/// # Panics
/// Naming what is missing or came twice.
pub fn assert_each_arrived_once(aws: &FakeAws) {
    let numbers = arrived(aws);
    let last = numbers.last().copied().unwrap_or(0);
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "a number is missing or came twice");
}

/// Checks that every scrape from the first to the last that arrived is there, once or more often.
///
/// # Panics
/// Naming what is missing.
pub fn assert_none_lost(aws: &FakeAws) {
    let mut numbers = arrived(aws);
    numbers.dedup();
    let last = numbers.last().copied().unwrap_or(0);
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "a number is missing");
}
