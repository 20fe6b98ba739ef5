//! Where a job's targets come from. Each discovery block keeps its own list and hands over the whole of it whenever it
//! changes; what becomes of the targets is the job's business.

mod dns;
mod file;
mod http;

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::{Stop, TargetHub};
use tokio::sync::mpsc;

use super::client::Clients;
use super::config::{DiscoverySettings, GroupKeys};
use super::telemetry::JobMetrics;

/// Labels of a discovered target: `__address__`, its group's labels, `__meta_*`.
pub(crate) type DiscoveredTarget = Vec<(String, String)>;

/// The targets of a block, replacing those it had.
pub(crate) struct Update {
    /// Which block of the job.
    pub(crate) block: usize,
    /// All its targets.
    pub(crate) targets: Vec<DiscoveredTarget>,
}

/// What discovery needs beside its settings.
#[derive(Clone)]
pub(crate) struct DiscoveryContext {
    pub(crate) job: Arc<str>,
    pub(crate) hub: TargetHub,
    pub(crate) clients: Clients,
    pub(crate) user_agent: Arc<str>,
    pub(crate) metrics: JobMetrics,
    pub(crate) updates: mpsc::Sender<Update>,
    pub(crate) stop: Stop,
}

/// Largest answer or file of targets.
const MAX_LIST_BYTES: u64 = 32 << 20;

/// Follows a block until the receiver stops.
pub(crate) async fn run(block: usize, settings: DiscoverySettings, context: DiscoveryContext) {
    let stop = context.stop.clone();
    let work = async {
        match settings {
            DiscoverySettings::Static(group) => context.send(block, expand(&group.targets, &group.labels, &[])).await,
            DiscoverySettings::File { patterns, refresh } => {
                file::run(block, patterns, refresh.to_std(), &context).await
            }
            DiscoverySettings::Http { url, refresh, http } => {
                http::run(block, url, refresh.to_std(), &http, &context).await
            }
            DiscoverySettings::Dns { names, record, port, refresh } => {
                dns::run(block, names, record, port, refresh.to_std(), &context).await;
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

impl DiscoveryContext {
    async fn send(&self, block: usize, targets: Vec<DiscoveredTarget>) {
        // Nobody listens only when the job has ended.
        self.updates.send(Update { block, targets }).await.ok();
    }
}

/// The targets of a group: each gets the group's labels and `further` ones.
fn expand(targets: &[String], labels: &BTreeMap<String, String>, further: &[(&str, &str)]) -> Vec<DiscoveredTarget> {
    let further = further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let common: Vec<(String, String)> =
        labels.iter().map(|(name, value)| (name.clone(), value.clone())).chain(further).collect();
    let with_address = |target: &String| {
        let mut all = common.clone();
        all.push(("__address__".to_owned(), target.clone()));
        all
    };
    targets.iter().map(with_address).collect()
}

/// A list of groups in JSON. Unknown fields and null groups are errors.
fn parse_json(text: &[u8]) -> Result<Vec<GroupKeys>, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}
