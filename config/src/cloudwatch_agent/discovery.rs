//! `ecs_service_discovery`: its rules, and the extension of the same name that it becomes.

use super::check::{dotted, error, is_object, is_pattern, known_keys, list, node_text, text, warning};
use super::output::Line;
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::types::GoDuration;

const KEYS: &[&str] = &[
    "sd_frequency",
    "sd_target_cluster",
    "sd_cluster_region",
    "sd_result_file",
    "docker_label",
    "task_definition_list",
    "service_name_list_for_tasks",
];
const DOCKER_LABEL_KEYS: &[&str] = &["sd_port_label", "sd_metrics_path_label", "sd_job_name_label"];
const ITEM_KEYS: &[&str] = &["sd_container_name_pattern", "sd_metrics_ports", "sd_metrics_path", "sd_job_name"];
/// Where targets are written when nothing else is said.
pub(crate) const DEFAULT_RESULT_FILE: &str = "/tmp/cwagent_ecs_auto_sd.yaml";

/// What the section comes to.
pub(crate) struct Discovery {
    /// The extension's settings.
    pub(crate) settings: Line,
    /// Its result file.
    pub(crate) result_file: String,
}

/// Checks the section. What is wrong is reported and left out.
pub(crate) fn discovery(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Discovery> {
    if !is_object(node, found) {
        return None;
    }
    known_keys(node, KEYS, found);
    let mut lines: Vec<(&str, Line)> = Vec::new();
    if let Some(line) = frequency(node, found) {
        lines.push(("sd_frequency", line));
    }
    for key in ["sd_target_cluster", "sd_cluster_region"] {
        if let Some((value, at)) = text(node, key, found) {
            lines.push((key, line(value, at)));
        }
    }
    let mut result_file = DEFAULT_RESULT_FILE.to_owned();
    match text(node, "sd_result_file", found) {
        Some(("", at)) => found.push(error(at, "sd_result_file is empty").help("write a path, or leave the key out")),
        Some((path, at)) => {
            result_file = path.to_owned();
            lines.push(("sd_result_file", line(path, at)));
        }
        None => {
            let from = format!("default of {}.sd_result_file", dotted(&node.path));
            lines.push(("sd_result_file", Line::text(&from, DEFAULT_RESULT_FILE)));
        }
    }
    if let Some(section) = node.get("docker_label").filter(|section| is_object(section, found)) {
        lines.push(("docker_label", docker_label(section, found)));
    }
    for (key, pattern) in [
        ("service_name_list_for_tasks", "sd_service_name_pattern"),
        ("task_definition_list", "sd_task_definition_arn_pattern"),
    ] {
        let Some(items) = list(node, key, found).filter(|items| !items.elements().is_empty()) else { continue };
        let items_lines = items.elements().iter().filter_map(|item_node| item(item_node, pattern, found)).collect();
        lines.push((key, Line::list(&dotted(&items.path), items_lines).at(items)));
    }
    let has_items = |key: &str| node.get(key).is_some_and(|items| !items.elements().is_empty());
    if node.get("docker_label").is_none()
        && !has_items("task_definition_list")
        && !has_items("service_name_list_for_tasks")
    {
        let problem = error(node, "none of the three kinds of discovery is enabled");
        let help = "add docker_label ({} for its defaults), task_definition_list or service_name_list_for_tasks";
        found.push(problem.help(help));
    }
    Some(Discovery { settings: Line::map(&dotted(&node.path), lines).at(node), result_file })
}

fn line(value: &str, at: &Node) -> Line {
    Line::text(&dotted(&at.path), value).at(at)
}

fn frequency(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Line> {
    let (value, at) = text(node, "sd_frequency", found)?;
    let help = "for example 1m, 90s or 1m30s";
    match GoDuration::parse(value) {
        Ok(every) if every < GoDuration::from_secs(1) => {
            let text = format!("Invalid ECS service discovery frequency: {value} is less than 1s");
            found.push(error(at, text).help(help));
            None
        }
        Ok(every) => {
            if every < GoDuration::from_secs(15) {
                let text = format!("sd_frequency {value} is short: every round lists all tasks");
                found.push(warning(at, text).help("in large clusters the API's limits want 15s or more"));
            }
            Some(line(value, at))
        }
        Err(why) => {
            found.push(error(at, format!("Invalid ECS service discovery frequency: {value}: {why}")).help(help));
            None
        }
    }
}

fn docker_label(node: &Node, found: &mut Vec<Diagnostic>) -> Line {
    tolerated(node, DOCKER_LABEL_KEYS, found);
    let lines = DOCKER_LABEL_KEYS.iter().filter_map(|key| {
        let (value, at) = text(node, key, found)?;
        if value.is_empty() && *key == "sd_port_label" {
            found.push(error(at, "sd_port_label is empty").help("name the docker label that holds the port"));
            return None;
        }
        Some((*key, line(value, at)))
    });
    let lines = lines.collect();
    Line::map(&dotted(&node.path), lines).at(node)
}

fn item(node: &Node, pattern: &'static str, found: &mut Vec<Diagnostic>) -> Option<Line> {
    if !is_object(node, found) {
        return None;
    }
    let known: Vec<&str> = std::iter::once(pattern).chain(ITEM_KEYS.iter().copied()).collect();
    tolerated(node, &known, found);
    let before = found.len();
    let mut lines = Vec::new();
    match text(node, pattern, found) {
        Some(("", at)) => found.push(error(at, format!("{pattern} is not defined."))),
        Some((value, at)) if is_pattern(at, found) => lines.push((pattern, line(value, at))),
        Some(_) => {}
        None if node.get(pattern).is_none() => found.push(error(node, format!("{pattern} is not defined."))),
        None => {}
    }
    if let Some((value, at)) = text(node, "sd_container_name_pattern", found)
        && is_pattern(at, found)
    {
        lines.push(("sd_container_name_pattern", line(value, at)));
    }
    match text(node, "sd_metrics_ports", found) {
        Some(("", at)) => found.push(error(at, "mandatory key: sd_metrics_ports is not defined.")),
        Some((value, at)) => match ports(value) {
            Ok(()) => lines.push(("sd_metrics_ports", line(value, at))),
            Err(why) => {
                found.push(error(at, why).help("ports stand between semicolons, for example \"9404; 9406\""));
            }
        },
        None if node.get("sd_metrics_ports").is_none() => {
            found.push(error(node, "mandatory key: sd_metrics_ports is not defined."));
        }
        None => {}
    }
    for key in ["sd_metrics_path", "sd_job_name"] {
        if let Some((value, at)) = text(node, key, found) {
            lines.push((key, line(value, at)));
        }
    }
    let is_good = !crate::diagnostic::has_errors(&found[before..]);
    is_good.then(|| Line::map("", lines).at(node))
}

/// `^[1-9][0-9]{0,4}(;[\s]*[1-9][0-9]{0,4})*$`, and real ports.
fn ports(text: &str) -> Result<(), String> {
    for (at, part) in text.split(';').enumerate() {
        let digits = if at == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_whitespace()) };
        let is_shaped =
            (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if !is_shaped {
            let rule = r"^[1-9][0-9]{0,4}(;[\s]*[1-9][0-9]{0,4})*$";
            return Err(format!("sd_metrics_ports does not follow pattern: {rule}"));
        }
        if digits.parse::<u16>().is_err() {
            return Err(format!("sd_metrics_ports has {digits}, which is no port (1 to 65535)"));
        }
    }
    Ok(())
}

/// Unknown keys of these objects are ignored by the agent as well; here with a word.
fn tolerated(node: &Node, known: &[&str], found: &mut Vec<Diagnostic>) {
    for (key, value) in node.entries().iter().filter(|(key, _)| !known.contains(&&*key.name)) {
        let near = crate::hint::unknown_key(&key.name, known, |_| true);
        let mut problem = warning(value, format!("{} is not known here and has no effect", key.name));
        problem.span = Some(key.span.clone());
        found.push(problem.maybe_help(near));
    }
}

/// The list of files that a scrape job reads its targets from, for the check that somebody reads ours.
pub(crate) fn files_of(scrape_config: &Node) -> impl Iterator<Item = &str> {
    let sections = scrape_config.get("file_sd_configs").map(Node::elements).unwrap_or_default();
    sections
        .iter()
        .flat_map(|section| section.get("files").map(Node::elements).unwrap_or_default())
        .filter_map(node_text)
}

/// Whether a file name of `file_sd_configs` (a path or a glob in its last part) names this file.
pub(crate) fn names_file(pattern: &str, file: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == file };
    file.starts_with(before) && file.ends_with(after.rsplit('*').next().unwrap_or(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_lists_follow_the_agents_pattern() {
        for good in ["19404", "9404; 9406;\t\t9901;   9123", "1"] {
            assert_eq!(ports(good), Ok(()), "{good}");
        }
        for bad in ["1,2,3,4", "12321321", "9901; a;123", "9901;  123;", "1; 0", " 9404", "9404 ;1", "99999"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_glob_names_the_file() {
        assert!(names_file("/tmp/x.yaml", "/tmp/x.yaml") && names_file("/tmp/*.yaml", "/tmp/x.yaml"));
        assert!(!names_file("/tmp/y.yaml", "/tmp/x.yaml") && !names_file("/etc/*.yaml", "/tmp/x.yaml"));
    }
}
