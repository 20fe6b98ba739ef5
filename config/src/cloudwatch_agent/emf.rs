//! `emf_processor`: its rules, and the keys of `awsemf` that it becomes.

use super::check::{
    dotted, error, flag, is_object, is_pattern, known_keys, list, node_text, text, text_of_length, texts, warning,
};
use super::output::Line;
use crate::diagnostic::Diagnostic;
use crate::hint;
use crate::node::{Node, Value};
use crate::types::CLOUDWATCH_UNITS;

const KEYS: &[&str] = &["metric_declaration", "metric_declaration_dedup", "metric_namespace", "metric_unit"];
const DECLARATION_KEYS: &[&str] =
    &["source_labels", "label_matcher", "label_separator", "metric_selectors", "dimensions"];

/// A selector that no metric name matches: nothing is extracted, events are sent all the same.
const NOTHING: &str = "$^";

/// The lines of `awsemf` that say what is extracted. `section` is `emf_processor`, `disabled` the switch beside it.
pub(crate) fn extraction(
    section: Option<&Node>,
    disabled: Option<(bool, &Node)>,
    default_namespace: &str,
    found: &mut Vec<Diagnostic>,
) -> Vec<(&'static str, Line)> {
    let mut lines = Vec::new();
    let mut declarations = Vec::new();
    let mut from = "without emf_processor nothing is extracted".to_owned();
    let section = section.filter(|section| is_object(section, found));
    if let Some(section) = section {
        known_keys(section, KEYS, found);
        lines.push(("namespace", namespace(section, default_namespace, found)));
        if let Some(list) = list(section, "metric_declaration", found) {
            from = dotted(&list.path);
            declarations = list.elements().iter().filter_map(|node| declaration(node, found)).collect();
        } else {
            from = format!("without {}.metric_declaration nothing is extracted", dotted(&section.path));
        }
        if let Some((dedup, at)) = flag(section, "metric_declaration_dedup", found) {
            let line = Line::value(&dotted(&at.path), Value::Bool(dedup)).at(at);
            lines.push(("metric_declaration_dedup", line));
        }
        lines.extend(units(section, found).map(|units| ("metric_descriptors", units)));
    }
    if let Some((true, at)) = disabled {
        from = dotted(&at.path);
        declarations.clear();
    }
    if declarations.is_empty() {
        let selectors = Line::list("", vec![Line::text("", NOTHING)]);
        declarations.push(Line::map("", vec![("metric_name_selectors", selectors)]));
    }
    lines.push(("metric_declarations", Line::list(&from, declarations)));
    lines
}

fn namespace(section: &Node, default: &str, found: &mut Vec<Diagnostic>) -> Line {
    match text(section, "metric_namespace", found) {
        Some(("", at)) => {
            let problem = error(at, "metric_namespace is empty, CloudWatch would take no metric");
            found.push(problem.help(format!("leave the key out for {default:?}")));
        }
        Some((namespace, at)) if namespace.starts_with(':') || namespace.chars().count() > 1024 => {
            let problem = error(at, format!("metric_namespace {namespace:?} is no CloudWatch namespace"));
            found.push(problem.help("1 to 1024 characters, not beginning with a colon"));
        }
        Some((namespace, at)) => return Line::text(&dotted(&at.path), namespace).at(at),
        None => {}
    }
    Line::text(&format!("default of {}.metric_namespace", dotted(&section.path)), default)
}

/// A declaration; `None` when it is wrong or selects nothing, both reported.
fn declaration(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Line> {
    if !is_object(node, found) {
        return None;
    }
    known_keys(node, DECLARATION_KEYS, found);
    let before = found.len();
    let selectors = required(node, "metric_selectors", "no metric name selectors defined", found);
    let all_patterns = selectors
        .is_none_or(|list| list.elements().iter().filter(|selector| !is_pattern(selector, found)).count() == 0);
    let names = required(node, "source_labels", "label matcher must have at least one label name specified", found);
    let matcher = text(node, "label_matcher", found);
    match matcher {
        Some(("", at)) => {
            found.push(error(at, "regex not specified for label matcher").help("leave the key out for .*"));
        }
        Some((_, at)) => drop(is_pattern(at, found)),
        None => {}
    }
    let separator = text(node, "label_separator", found);
    let dimensions = dimensions(node, found);
    if !all_patterns || crate::diagnostic::has_errors(&found[before..]) {
        return None;
    }
    let mut of_matcher = vec![("label_names", copy(names?))];
    let regex = match matcher {
        Some((text, at)) => Line::text(&dotted(&at.path), text).at(at),
        None => Line::text("default of label_matcher", ".*"),
    };
    of_matcher.push(("regex", regex));
    if let Some((text, at)) = separator {
        of_matcher.push(("separator", Line::text(&dotted(&at.path), text).at(at)));
    }
    let matchers = Line::list("", vec![Line::map("", of_matcher)]);
    let mut lines = vec![("label_matchers", matchers), ("metric_name_selectors", copy(selectors?))];
    if let Some(sets) = dimensions {
        lines.push(("dimensions", copy(sets)));
    }
    Some(Line::map("", lines).at(node))
}

/// A list that a declaration must have: without it the agent skips the declaration silently, empty it does not start.
fn required<'a>(node: &'a Node, key: &str, empty: &str, found: &mut Vec<Diagnostic>) -> Option<&'a Node> {
    if node.get(key).is_none() {
        let problem = warning(node, format!("a metric declaration without {key} selects nothing"));
        found.push(problem.help(format!("add {key}, or remove the declaration")));
        return None;
    }
    let list = texts(node, key, found)?;
    if list.elements().is_empty() {
        found.push(error(list, empty));
    }
    Some(list)
}

fn dimensions<'a>(node: &'a Node, found: &mut Vec<Diagnostic>) -> Option<&'a Node> {
    let Some(sets) = node.get("dimensions") else {
        let problem = warning(node, "a metric declaration without dimensions extracts nothing");
        found.push(problem.help("add dimensions; [[]] is one set without dimensions"));
        return None;
    };
    list(node, "dimensions", found)?;
    for set in sets.elements() {
        if !matches!(set.value, Value::Seq(_)) {
            found.push(
                error(set, "Invalid type. Expected: array").help("dimensions is a list of lists: [[\"A\", \"B\"]]"),
            );
        }
        for name in set.elements().iter().filter(|name| node_text(name).is_none()) {
            found.push(error(name, "Invalid type. Expected: string"));
        }
    }
    Some(sets)
}

fn units(section: &Node, found: &mut Vec<Diagnostic>) -> Option<Line> {
    let units = section.get("metric_unit").filter(|units| is_object(units, found))?;
    let mut lines = Vec::new();
    for (key, _) in units.entries() {
        let Some((unit, at)) = text_of_length(units, &key.name, 1..=256, found) else { continue };
        if !CLOUDWATCH_UNITS.contains(&unit) {
            let near =
                hint::nearest(unit, CLOUDWATCH_UNITS.iter().copied()).map(|near| format!("did you mean {near:?}?"));
            found.push(warning(at, format!("CloudWatch has no unit {unit:?}; the metric has none")).maybe_help(near));
            continue;
        }
        let from = dotted(&units.path);
        let name = Line::text(&format!("{from}, the key"), &key.name).at(at);
        lines.push(Line::map("", vec![("metric_name", name), ("unit", Line::text(&dotted(&at.path), unit).at(at))]));
    }
    (!lines.is_empty()).then(|| Line::list(&dotted(&units.path), lines).at(units))
}

/// A list of texts or of lists of texts, as it is.
fn copy(node: &Node) -> Line {
    Line::tree(&dotted(&node.path), node.clone())
}
