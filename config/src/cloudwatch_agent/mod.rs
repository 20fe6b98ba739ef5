//! The CloudWatch agent's JSON configuration as an ordinary one of this collector: checks it in the agent's words, gives
//! every default, and names at each line where it comes from. Nothing but configuration goes in and out; the components
//! do not know of it.
//!
//! `json` reads, `merge` joins several files, `sections`, `discovery`, `emf` and `scrape` check a part each and say
//! what it becomes, `output` holds the result. What the parts mean together is here.

mod check;
mod discovery;
mod emf;
mod environment;
mod inputs;
mod json;
mod merge;
mod output;
mod platform;
mod scrape;
mod sections;

#[cfg(test)]
mod tests;

use check::{dotted, error, flag, is_object, known_keys, text};
pub use inputs::{COLLECTOR_CONTENT_VARIABLE, CONTENT_VARIABLE, DEFAULT_FOLDER};
pub(crate) use inputs::{Inputs, default_inputs, folder};
use output::{Line, Translation};
pub use platform::{EcsTask, Platform};

use crate::diagnostic::{Built, Diagnostic, has_errors};
use crate::node::{Node, Value};
use crate::position::Source;
use crate::source::Env;

const PROMETHEUS_KEYS: &[&str] = &[
    "prometheus_config_path",
    "cluster_name",
    "log_group_name",
    "ecs_service_discovery",
    "emf_processor",
    "disable_metric_extraction",
];
/// Placeholders of log group names.
const PLACEHOLDERS: &[&str] = &[
    "ClusterName",
    "TaskId",
    "NodeName",
    "PodName",
    "ServiceName",
    "ContainerInstanceId",
    "TaskDefinitionFamily",
    "JobName",
];

/// Whether a text is meant to be the CloudWatch agent's JSON: an object with one of its sections and none of a
/// Collector's. Broken JSON is recognised, too.
pub fn is_agent_json(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('{') {
        return false;
    }
    let keys = top_keys(text);
    let has = |names: &[&str]| keys.iter().any(|key| names.contains(key));
    !has(&["receivers", "exporters", "processors", "extensions", "service"])
        && has(&["logs", "agent", "metrics", "traces", "opentelemetry", "csm"])
}

/// Translates agent configurations (name and text each) as if they were one. Returns the YAML of an equal
/// configuration of this collector, with a comment at each line that names the JSON key that it comes from; secrets of
/// the Prometheus configuration are left out of it, with a warning. All problems of all texts are returned.
pub fn translate(sources: &[(String, String)], platform: &Platform, env: &dyn Env) -> Built<String> {
    let (translation, mut found) = translate_tree(sources, platform, env);
    let text = translation.map(|translation| {
        let (text, has_secrets) = translation.print();
        if has_secrets {
            let problem =
                Diagnostic::warning("secrets of the Prometheus configuration are left out of the translation");
            found.push(problem.help("replace each [REDACTED], for example by ${env:NAME}"));
        }
        text
    });
    (text, found)
}

/// As [`translate`], as a tree for the loader. It is there next to errors, for checks that come after.
pub(crate) fn translate_tree(sources: &[(String, String)], platform: &Platform, env: &dyn Env) -> Built<Translation> {
    let mut found = Vec::new();
    let mut root: Option<Node> = None;
    for (name, text) in sources {
        let (node, problems) = json::parse(&Source::new(name.as_str(), text.as_str()));
        found.extend(problems);
        match (&mut root, node) {
            (Some(base), Some(node)) => merge::merge(base, node, &mut found),
            (None, node) => root = node,
            (Some(_), None) => {}
        }
    }
    let Some(mut root) = root.filter(|root| is_object(root, &mut found)) else { return (None, found) };
    root.set_paths("");
    let mut around = sections::around(&root, platform, &mut found);
    environment::check(env, &mut around, &mut found);
    let Some(section) = root.at(&["logs", "metrics_collected", "prometheus"]) else {
        found.push(sections::nothing_of_ours(&root));
        return (None, found);
    };
    if !is_object(section, &mut found) {
        return (None, found);
    }
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    let translation = Translation::new(
        pipeline(section, around, platform, env, &mut found),
        vec![format!("translated by otelcol-ecs from {}", names.join(", "))],
    );
    (Some(translation), found)
}

/// The whole configuration: discovery, scraping, batching, export.
fn pipeline(
    section: &Node,
    around: sections::Around,
    platform: &Platform,
    env: &dyn Env,
    found: &mut Vec<Diagnostic>,
) -> Line {
    let from = dotted(&section.path);
    known_keys(section, PROMETHEUS_KEYS, found);
    let config = scrape::scrape_config(section, env, found);
    let discovery = section.get("ecs_service_discovery").and_then(|node| {
        let discovery = discovery::discovery(node, found)?;
        if let Some(config) = &config {
            scrape::check_reader(config, &discovery.result_file, node, found);
        }
        Some(discovery)
    });
    let exporter = exporter(section, around.exporter, around.host_label, platform, found);
    let mut root = Vec::new();
    let mut extensions = Vec::new();
    if let Some(discovery) = discovery {
        root.push(("extensions", Line::map("", vec![("ecs_service_discovery", discovery.settings)])));
        extensions.push(Line::text("", "ecs_service_discovery"));
    }
    if let Some(config) = config {
        let path = section.get("prometheus_config_path");
        let what = path.map_or(format!("default of {from}.prometheus_config_path"), |path| dotted(&path.path));
        let keep_types = Line::value("as the CloudWatch agent does", Value::Bool(true));
        let lines = vec![("type_by_original_name", keep_types), ("config", Line::tree(&what, config))];
        let receiver = Line::map(&from, lines).at(section);
        root.push(("receivers", Line::map("", vec![("prometheus", receiver)])));
    }
    let flush = around.flush.unwrap_or_else(|| Line::text("default of logs.force_flush_interval", "5s"));
    root.push(("processors", Line::map("", vec![("batch", Line::map("", vec![("timeout", flush)]))])));
    root.push(("exporters", Line::map("", vec![("awsemf", exporter)])));
    let mut service = Vec::new();
    if !around.own_logs.is_empty() {
        service.push(("telemetry", Line::map("", vec![("logs", Line::map("agent", around.own_logs))])));
    }
    if !extensions.is_empty() {
        service.push(("extensions", Line::list("", extensions)));
    }
    let one = |id: &str| Line::list("", vec![Line::text("", id)]);
    let parts = vec![("receivers", one("prometheus")), ("processors", one("batch")), ("exporters", one("awsemf"))];
    service.push(("pipelines", Line::map("", vec![("metrics", Line::map(&from, parts))])));
    root.push(("service", Line::map("", service)));
    Line::map("", root).at(section)
}

fn exporter(
    section: &Node,
    session: Vec<(&'static str, Line)>,
    host_label: Option<String>,
    platform: &Platform,
    found: &mut Vec<Diagnostic>,
) -> Line {
    let default_namespace = match (platform.task.is_some(), platform.container) {
        (true, _) => "ECS/ContainerInsights/Prometheus",
        (false, true) => "ContainerInsights/Prometheus",
        (false, false) => "CWAgent/Prometheus",
    };
    let of_agent = "as the CloudWatch agent does";
    let mut lines = session;
    let cluster = cluster(section, platform, found);
    if let Some(group) = log_group(section, cluster.as_ref().map(|(name, _)| name.as_str()), platform, found) {
        lines.push(("log_group_name", group));
    }
    lines.push(("log_stream_name", Line::text("the job, as the CloudWatch agent does", "{JobName}")));
    lines.push(("layout", Line::text(of_agent, "cloudwatch_agent")));
    lines.push(("version", Line::value(of_agent, Value::Str("0".into()))));
    lines.push(("dimension_rollup_option", Line::text(of_agent, "NoDimensionRollup")));
    let mut labels: Vec<(&str, Line)> = cluster.map(|(_, line)| ("ClusterName", line)).into_iter().collect();
    if let (Some(why), Some(host)) = (&host_label, &platform.host_name) {
        labels.push(("host", Line::text(why, host)));
    }
    if !labels.is_empty() {
        lines.push(("event_labels", Line::map("labels of every event that has none of this name", labels)));
    }
    let disabled = flag(section, "disable_metric_extraction", found);
    lines.extend(emf::extraction(section.get("emf_processor"), disabled, default_namespace, found));
    Line::map(&dotted(&section.path), lines).at(section)
}

/// The value of `ClusterName`, with its line.
fn cluster(section: &Node, platform: &Platform, found: &mut Vec<Diagnostic>) -> Option<(String, Line)> {
    if let Some((name, at)) = text(section, "cluster_name", found).filter(|(name, _)| !name.is_empty()) {
        return Some((name.to_owned(), Line::text(&dotted(&at.path), name).at(at)));
    }
    if let (None, Some(name)) = (&platform.task, &platform.kubernetes_cluster) {
        return Some((name.clone(), Line::text("environment variable K8S_CLUSTER_NAME", name)));
    }
    if let Some(task) = &platform.task {
        return Some((task.cluster.clone(), Line::text("cluster of this task, from the ECS metadata", &task.cluster)));
    }
    if platform.container {
        let problem = error(section, "ClusterName is not defined");
        let why = match &platform.metadata_error {
            Some(why) => format!("set cluster_name; the task metadata could not be read: {why}"),
            None => "set cluster_name; on ECS it comes from the task metadata".to_owned(),
        };
        found.push(problem.help(why));
    }
    None
}

fn log_group(section: &Node, cluster: Option<&str>, platform: &Platform, found: &mut Vec<Diagnostic>) -> Option<Line> {
    if let Some((name, at)) = text(section, "log_group_name", found) {
        return match group_problem(name) {
            None => Some(Line::text(&dotted(&at.path), name).at(at)),
            Some((why, help)) => {
                found.push(error(at, why).help(help));
                None
            }
        };
    }
    if section.get("log_group_name").is_some() {
        return None;
    }
    let cluster = platform.kubernetes_cluster.as_deref().or(cluster);
    let group = match (&platform.task, platform.container, cluster) {
        (Some(task), ..) => format!("/aws/ecs/containerinsights/{}/prometheus", task.cluster),
        (None, true, Some(cluster)) => format!("/aws/containerinsights/{cluster}/prometheus"),
        (None, true, None) => return None,
        _ => {
            let problem =
                error(section, "prometheus does not have log group name. Please define it with log_group_name");
            found.push(problem.help("outside of containers there is no default, for example \"/prometheus\""));
            return None;
        }
    };
    Some(Line::text(&format!("default of {}.log_group_name", dotted(&section.path)), &group))
}

/// What CloudWatch Logs would say to this name.
fn group_problem(name: &str) -> Option<(String, String)> {
    let mut plain = name.to_owned();
    for placeholder in PLACEHOLDERS {
        plain = plain.replace(&format!("{{{placeholder}}}"), "x");
    }
    if plain.contains(['{', '}']) {
        let known: Vec<String> = PLACEHOLDERS.iter().map(|name| format!("{{{name}}}")).collect();
        let text = format!("log_group_name {name:?} has a placeholder that does not exist");
        return Some((text, format!("known are {}", known.join(", "))));
    }
    let is_good = (1..=512).contains(&plain.chars().count())
        && plain.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.#".contains(c));
    let help = "a log group name has 1 to 512 of the characters A-Z a-z 0-9 _ - / . #";
    (!is_good).then(|| (format!("log_group_name {name:?} is no name for a log group"), help.to_owned()))
}

/// Keys of the outermost object, found without trust in the rest of the text.
fn top_keys(text: &str) -> Vec<&str> {
    let mut keys = Vec::new();
    let (mut depth, mut start, mut escaped) = (0usize, None, false);
    for (at, c) in text.char_indices() {
        match (start, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(begin), '"' | '\n') => {
                if depth == 1 && text[at + 1..].trim_start().starts_with(':') {
                    keys.push(&text[begin..at]);
                }
                start = None;
            }
            (Some(_), _) => {}
            (None, '"') => start = Some(at + 1),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    keys
}

/// The tree for the loader, when nothing is wrong that would make it misleading.
pub(crate) fn load(sources: &[(String, String)], env: &dyn Env) -> Built<Node> {
    let (translation, found) = translate_tree(sources, &Platform::detect(env), env);
    let is_usable = |translation: &Translation| translation.root.get("receivers").is_some() || !has_errors(&found);
    (translation.filter(is_usable).map(|translation| translation.root), found)
}
