//! Configuration of the receiver: its own keys, the Prometheus tree under `config`, defaults, and what is refused.
//! Starts nothing.

mod discovery;
mod global;
mod http;
mod job;
mod place;
mod protocol;
mod refuse;

#[cfg(test)]
mod tests;

use std::time::Duration;

use config::{Built, Diagnostic, GoDuration, Node, Spanned, decode, decode_prometheus};
use serde::Deserialize;

pub(crate) use discovery::{DiscoverySettings, DnsRecord, GroupKeys, glob_pattern};
pub(crate) use http::{Auth, HttpSettings, ProxySettings, Text, TlsSettings, TlsVersion};
pub(crate) use job::{JobSettings, Limits};
pub(crate) use protocol::{Protocol, accept_header, format_of};

/// The receiver's settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Jobs in the order written.
    pub(crate) jobs: Vec<JobSettings>,
    /// `global.external_labels`, sorted by name.
    pub(crate) external_labels: Vec<(String, String)>,
    /// `trim_metric_suffixes`.
    pub(crate) trim_metric_suffixes: bool,
    /// `type_by_original_name`.
    pub(crate) type_by_original_name: bool,
    /// `scrape_on_shutdown`.
    pub(crate) scrape_on_shutdown: bool,
    /// `initial_scrape_offset`.
    pub(crate) initial_scrape_offset: Duration,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReceiverKeys {
    config: Option<Node>,
    trim_metric_suffixes: bool,
    type_by_original_name: bool,
    scrape_on_shutdown: bool,
    /// The first targets are always taken at once; `false` is warned about.
    discovery_reload_on_startup: Option<Spanned<bool>>,
    initial_scrape_offset: Spanned<GoDuration>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PrometheusKeys {
    global: Option<Node>,
    scrape_configs: Vec<Node>,
}

/// Reads the receiver's section; reports everything that is wrong with it.
pub(crate) fn settings(node: &Node, env: &dyn Fn(&str) -> Option<String>) -> Built<Settings> {
    let mut found = Vec::new();
    let mut own = node.clone();
    refuse::receiver(&mut own, &mut found);
    let has_refused = !found.is_empty();
    let (keys, mut problems) = decode::<ReceiverKeys>(&own);
    problems.iter_mut().for_each(|problem| place::explain(problem, &own));
    found.extend(problems);
    let keys = keys.unwrap_or_default();
    if keys.initial_scrape_offset.is_negative() {
        found.push(keys.initial_scrape_offset.error("initial_scrape_offset must not be negative"));
    }
    if let Some(reload) = keys.discovery_reload_on_startup.filter(|reload| !reload.value) {
        found.push(
            reload
                .warning("discovery_reload_on_startup: false has no effect: the first targets are scraped at once")
                .help("initial_scrape_offset delays the first scrapes"),
        );
    }
    let mut settings = Settings {
        jobs: Vec::new(),
        external_labels: Vec::new(),
        trim_metric_suffixes: keys.trim_metric_suffixes,
        type_by_original_name: keys.type_by_original_name,
        scrape_on_shutdown: keys.scrape_on_shutdown,
        initial_scrape_offset: keys.initial_scrape_offset.to_std(),
    };
    if let Some(mut tree) = keys.config {
        refuse::prometheus(&mut tree, &mut found);
        jobs(&tree, env, &mut settings, &mut found);
    }
    if settings.jobs.is_empty() && !has_refused && !config::has_errors(&found) {
        found.push(
            Diagnostic::error("no Prometheus scrape_configs or target_allocator set")
                .on(node)
                .help("write at least one job under config.scrape_configs"),
        );
    }
    (Some(settings), found)
}

fn jobs(tree: &Node, env: &dyn Fn(&str) -> Option<String>, settings: &mut Settings, found: &mut Vec<Diagnostic>) {
    let (keys, mut problems) = decode_prometheus::<PrometheusKeys>(tree);
    problems.iter_mut().for_each(|problem| place::explain_prometheus(problem, tree));
    found.extend(problems);
    let keys = keys.unwrap_or_default();
    let mut global = global::global(keys.global.as_ref(), env, found);
    global.type_by_original_name = settings.type_by_original_name;
    let mut names: Vec<Spanned<String>> = Vec::new();
    for node in &keys.scrape_configs {
        let Some((job, name)) = job::job(node, &global, found) else { continue };
        if let Some(first) = names.iter().find(|other| other.value == name.value && !name.is_empty()) {
            found.push(
                name.error(format!("found multiple scrape configs with job name {:?}", name.value))
                    .also(&first.span, "first defined here")
                    .help("give each scrape config a job_name of its own"),
            );
        }
        names.push(name);
        settings.jobs.push(job);
    }
    settings.external_labels = global.external_labels;
}
