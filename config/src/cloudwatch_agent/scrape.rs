//! The Prometheus configuration that `prometheus_config_path` names: fetched, parsed, and made ready to stand inside the
//! `prometheus` receiver. What its jobs mean is the receiver's business.

use super::check::{error, text, warning};
use super::discovery::{files_of, names_file};
use crate::diagnostic::Diagnostic;
use crate::node::{Key, Node, Origin, Value};
use crate::position::{Source, Span};
use crate::source::{Env, Location, SSM_HELP};
use crate::yaml;

/// Where the agent looks when nothing is said.
const DEFAULT_PATH: &str = "/etc/cwagentconfig/prometheus.yaml";

/// Sections of a Prometheus server that mean nothing to a scraper.
const SERVER_ONLY: &[&str] =
    &["alerting", "rule_files", "remote_write", "remote_read", "storage", "tracing", "otlp", "runtime"];

/// Fetches and checks the text. `section` is the agent's `prometheus`.
pub(crate) fn scrape_config(section: &Node, env: &dyn Env, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let configured = text(section, "prometheus_config_path", found);
    if configured.is_none() && section.get("prometheus_config_path").is_some() {
        return None;
    }
    let (location, at) = match configured {
        Some((location, at)) => (location, at),
        None => (DEFAULT_PATH, section),
    };
    let (name, text) = fetch(location, at, env, found)?;
    let (node, problems) = yaml::parse_source(&Source::new(name.as_str(), text.as_str()));
    let is_broken = crate::diagnostic::has_errors(&problems);
    found.extend(problems);
    let node = node.filter(|_| !is_broken)?;
    if !matches!(node.value, Value::Map(_)) {
        let problem = Diagnostic::error(format!("{name} is no Prometheus configuration: expected a map"));
        found.push(problem.at(&node.span).help("it starts with keys such as global: and scrape_configs:"));
        return None;
    }
    Some(prepare(node, found))
}

/// Warns when the targets that discovery finds are read by nobody.
pub(crate) fn check_reader(config: &Node, file: &str, discovery: &Node, found: &mut Vec<Diagnostic>) {
    let jobs = config.get("scrape_configs").map(Node::elements).unwrap_or_default();
    if !jobs.iter().any(|job| files_of(job).any(|pattern| names_file(pattern, file))) {
        let problem = warning(discovery, format!("no scrape job reads {file:?}, so nothing discovered is scraped"));
        let help = format!("add file_sd_configs: [{{files: [{file:?}]}}] to a job of the Prometheus configuration");
        found.push(problem.help(help));
    }
}

fn fetch(location: &str, at: &Node, env: &dyn Env, found: &mut Vec<Diagnostic>) -> Option<(String, String)> {
    if let Some(name) = location.strip_prefix("env:") {
        return match env.var(name) {
            Some(text) => Some((location.to_owned(), text)),
            None => {
                let text = format!("Failed to download config from ENV: {name}. Reason: ENV does not exist");
                let help =
                    format!("on ECS, give {name} to the container, for example from an SSM parameter under secrets");
                found.push(error(at, text).help(help));
                None
            }
        };
    }
    if location.starts_with("ssm:") {
        found.push(error(at, format!("{location:?} cannot be fetched here")).help(SSM_HELP));
        return None;
    }
    let path = location.strip_prefix("file:").unwrap_or(location);
    match Location::File(path.to_owned()).fetch(env) {
        Ok(fetched) => Some((fetched.name, fetched.text)),
        Err(problem) => {
            let help = problem.help.as_deref().unwrap_or("check the path").to_owned();
            found.push(error(at, problem.message).help(format!("{help}; on ECS use prometheus_config_path: env:NAME")));
            None
        }
    }
}

/// Takes out what the agent reads without effect, and gives every job the text format for targets that name none.
fn prepare(node: Node, found: &mut Vec<Diagnostic>) -> Node {
    let Value::Map(entries) = node.value else { return node };
    let mut kept = Vec::new();
    for (key, mut value) in entries {
        if SERVER_ONLY.contains(&&*key.name) {
            let text = format!("{} belongs to a Prometheus server and has no effect here", key.name);
            found.push(Diagnostic::warning(text).at(&key.span).help("remove it"));
            continue;
        }
        match &*key.name {
            "global" => without_external_labels(&mut value, found),
            "scrape_configs" => {
                if let Value::Seq(jobs) = &mut value.value {
                    jobs.iter_mut().for_each(with_fallback);
                }
            }
            _ => {}
        }
        kept.push((key, value));
    }
    Node { value: Value::Map(kept), ..node }
}

fn without_external_labels(global: &mut Node, found: &mut Vec<Diagnostic>) {
    let Value::Map(entries) = &mut global.value else { return };
    let Some(at) = entries.iter().position(|(key, _)| &*key.name == "external_labels") else { return };
    let (key, _) = entries.remove(at);
    let text = "the CloudWatch agent does not add external_labels to what it scrapes, and neither is it done here";
    found.push(Diagnostic::warning(text).at(&key.span).help("add labels with static_configs or relabel_configs"));
}

fn with_fallback(job: &mut Node) {
    const KEY: &str = "fallback_scrape_protocol";
    let span = Span::built_in();
    if job.get(KEY).is_some() {
        return;
    }
    if let Value::Map(entries) = &mut job.value {
        let text = Node { origin: Origin::Quoted, ..Node::built_in(Value::Str("PrometheusText0.0.4".into())) };
        entries.push((Key { name: KEY.into(), span }, text));
    }
}
