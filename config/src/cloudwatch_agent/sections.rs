//! The agent's sections around `prometheus`: `agent`, the keys of `logs`, and everything that belongs to other features
//! and is skipped with a word.

use super::check::{dotted, error, error_at, flag, integer, is_object, known_keys, text, text_of_length, warning};
use super::output::Line;
use super::platform::Platform;
use crate::diagnostic::Diagnostic;
use crate::hint;
use crate::node::{Node, Value};
use crate::types::GoDuration;

/// Sections at the top whose features are not ours.
const OTHER_SECTIONS: &[&str] = &["metrics", "traces", "opentelemetry", "csm"];
const LOGS_KEYS: &[&str] = &[
    "logs_collected",
    "metrics_collected",
    "log_stream_name",
    "force_flush_interval",
    "endpoint_override",
    "credentials",
    "concurrency",
    "service.name",
    "deployment.environment",
];
const AGENT_KEYS: &[&str] = &[
    "region",
    "debug",
    "logfile",
    "metrics_collection_interval",
    "credentials",
    "omit_hostname",
    "aws_sdk_log_level",
    "quiet",
];
/// Longest interval that the agent takes, in seconds: two days.
const MAX_INTERVAL_SECONDS: i128 = 172_800;

/// What the sections around `prometheus` come to.
#[derive(Default)]
pub(crate) struct Around {
    /// Lines of `awsemf`: region, role, endpoint.
    pub(crate) exporter: Vec<(&'static str, Line)>,
    /// Lines of `service::telemetry::logs`.
    pub(crate) own_logs: Vec<(&'static str, Line)>,
    /// `timeout` of the batch processor.
    pub(crate) flush: Option<Line>,
    /// Whether and why events get the host's name.
    pub(crate) host_label: Option<String>,
}

/// Checks everything outside of `prometheus`.
pub(crate) fn around(root: &Node, platform: &Platform, found: &mut Vec<Diagnostic>) -> Around {
    let mut around = Around::default();
    other_sections(root, found);
    let logs = root.get("logs").filter(|logs| is_object(logs, found));
    let agent = root.get("agent").filter(|agent| is_object(agent, found));
    let logs_role = logs.and_then(|logs| role(logs, found));
    let agent_role = agent.and_then(|agent| role(agent, found));
    region(agent, platform, &mut around, found);
    if let Some(logs) = logs {
        check_logs(logs, &mut around, found);
    }
    if let Some(line) = logs_role.or(agent_role) {
        around.exporter.push(("role_arn", line));
    }
    let omit = agent.and_then(|agent| flag(agent, "omit_hostname", found));
    around.host_label = match omit {
        Some((true, _)) => None,
        Some((false, at)) => Some(dotted(&at.path)),
        None => (!platform.container).then(|| "agent.omit_hostname is false outside of containers".to_owned()),
    };
    if let Some(agent) = agent {
        check_agent(agent, &mut around, found);
    }
    around
}

fn other_sections(root: &Node, found: &mut Vec<Diagnostic>) {
    for (key, node) in root.entries() {
        let name = &*key.name;
        if name == "agent" || name == "logs" {
            continue;
        }
        let mut problem = if OTHER_SECTIONS.contains(&name) {
            warning(node, format!("the section {name} is another feature of the CloudWatch agent and is skipped"))
                .help("only logs.metrics_collected.prometheus is done here; leave the rest to a CloudWatch agent")
        } else {
            let belongs = |keys: &[&str], section: &str| {
                keys.contains(&name).then(|| format!("it has no effect here; put it into {section}"))
            };
            let near = || hint::unknown_key(name, &["agent", "logs"], |_| true);
            let help = belongs(LOGS_KEYS, "logs").or_else(|| belongs(AGENT_KEYS, "agent")).or_else(near);
            warning(node, format!("the key {name} is not known at the top and is skipped")).maybe_help(help)
        };
        problem.span = Some(key.span.clone());
        found.push(problem);
    }
}

fn check_logs(logs: &Node, around: &mut Around, found: &mut Vec<Diagnostic>) {
    known_keys(logs, LOGS_KEYS, found);
    if logs.get("logs_collected").is_none() && logs.get("metrics_collected").is_none() {
        let problem = error(logs, "neither logs_collected nor metrics_collected is there");
        found.push(problem.help("add metrics_collected with prometheus in it"));
    }
    for key in ["logs_collected", "log_stream_name", "concurrency", "service.name", "deployment.environment"] {
        if let Some(node) = logs.get(key) {
            let text = format!("{key} belongs to the collection of log files and is skipped");
            found.push(warning(node, text).help("it does not change what the prometheus section does"));
        }
    }
    if let Some(collected) = logs.get("metrics_collected").filter(|node| is_object(node, found)) {
        for (key, node) in collected.entries().iter().filter(|(key, _)| &*key.name != "prometheus") {
            let near = hint::nearest(&key.name, ["prometheus"]).map(|near| format!("did you mean {near:?}?"));
            let text = format!("{} is another feature of the CloudWatch agent and is skipped", key.name);
            found.push(warning(node, text).maybe_help(near));
        }
    }
    around.flush = flush(logs, found);
    if let Some((endpoint, at)) = text_of_length(logs, "endpoint_override", 4..=2048, found) {
        let url = if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
        around.exporter.push(("endpoint", Line::text(&dotted(&at.path), &url).at(at)));
    }
}

/// A number of seconds, or a duration as text.
fn flush(logs: &Node, found: &mut Vec<Diagnostic>) -> Option<Line> {
    const KEY: &str = "force_flush_interval";
    let node = logs.get(KEY)?;
    let seconds = match &node.value {
        Value::Str(text) => match GoDuration::parse(text) {
            Ok(every)
                if every >= GoDuration::from_secs(1) && every <= GoDuration::from_secs(MAX_INTERVAL_SECONDS as i64) =>
            {
                text.to_string()
            }
            _ => {
                let problem = error(node, format!("{KEY} {text:?} is no duration from 1s to 48h"));
                found.push(problem.help("write seconds as a number, for example 5"));
                return None;
            }
        },
        _ => format!("{}s", integer(logs, KEY, 1..=MAX_INTERVAL_SECONDS, found)?.0),
    };
    Some(Line::text(&dotted(&node.path), &seconds).at(node))
}

fn role(section: &Node, found: &mut Vec<Diagnostic>) -> Option<Line> {
    let credentials = section.get("credentials").filter(|node| is_object(node, found))?;
    known_keys(credentials, &["role_arn"], found);
    let (arn, at) = text(credentials, "role_arn", found)?;
    let from = dotted(&at.path);
    if arn.contains("${") {
        return Some(Line::reference(&from, arn).at(at));
    }
    text_of_length(credentials, "role_arn", 20..=2048, found)?;
    Some(Line::text(&from, arn).at(at))
}

fn region(agent: Option<&Node>, platform: &Platform, around: &mut Around, found: &mut Vec<Diagnostic>) {
    if let Some((region, at)) = agent.and_then(|agent| text_of_length(agent, "region", 1..=64, found)) {
        around.exporter.push(("region", Line::text(&dotted(&at.path), region).at(at)));
    } else if let Some(task) = &platform.task {
        around.exporter.push(("region", Line::text("region of this task, from the ECS metadata", &task.region)));
    }
}

fn check_agent(agent: &Node, around: &mut Around, found: &mut Vec<Diagnostic>) {
    if let Some((true, at)) = flag(agent, "debug", found) {
        around.own_logs.push(("level", Line::text(&dotted(&at.path), "debug").at(at)));
    }
    if let Some((path, at)) = text_of_length(agent, "logfile", 0..=4096, found).filter(|(path, _)| !path.is_empty()) {
        let paths = Line::list(&dotted(&at.path), vec![Line::text("", path)]).at(at);
        around.own_logs.push(("output_paths", paths));
    }
    // Checked because the agent checks it; scraping follows the Prometheus configuration only, in the agent as well.
    integer(agent, "metrics_collection_interval", 1..=MAX_INTERVAL_SECONDS, found);
    for key in ["aws_sdk_log_level", "quiet"] {
        if let Some(node) = agent.get(key) {
            let help = "logs of the collector are set under service::telemetry::logs of a Collector configuration";
            found.push(warning(node, format!("{key} has no effect here")).help(help));
        }
    }
    for (key, node) in agent.entries().iter().filter(|(key, _)| !AGENT_KEYS.contains(&&*key.name)) {
        let mut problem = warning(node, format!("{} is not known here and has no effect", key.name));
        problem.span = Some(key.span.clone());
        found.push(problem.maybe_help(
            hint::nearest(&key.name, AGENT_KEYS.iter().copied()).map(|near| format!("did you mean {near:?}?")),
        ));
    }
}

/// An error for a whole configuration in which nothing is ours.
pub(crate) fn nothing_of_ours(root: &Node) -> Diagnostic {
    error_at(&root.span, "logs::metrics_collected", "there is no prometheus section, so there is nothing to do")
        .help("add logs.metrics_collected.prometheus")
}
