//! Settings of `metricstransform`, checked into the form that is applied.

use std::collections::{BTreeMap, HashMap};

use config::pattern::GoRegex;
use config::{Built, Diagnostic, Node, Spanned};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    transforms: Vec<Spanned<TransformConfig>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct TransformConfig {
    include: Spanned<String>,
    match_type: Spanned<String>,
    experimental_match_labels: BTreeMap<String, String>,
    action: Spanned<String>,
    new_name: Spanned<String>,
    aggregation_type: Spanned<String>,
    submatch_case: Spanned<String>,
    group_resource_labels: BTreeMap<String, String>,
    operations: Vec<Spanned<OperationConfig>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct OperationConfig {
    action: Spanned<String>,
    label: String,
    new_label: String,
    aggregation_type: Spanned<String>,
    new_value: String,
    value_actions: Vec<ValueAction>,
    experimental_scale: f64,
    label_value: String,
    label_set: Vec<String>,
    aggregated_values: Vec<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct ValueAction {
    value: String,
    new_value: String,
}

/// A checked transform.
pub(super) struct Transform {
    pub(super) include: Matcher,
    pub(super) labels: Vec<(String, Matcher)>,
    pub(super) action: Action,
    pub(super) new_name: String,
    pub(super) operations: Vec<Operation>,
}

/// Text that has to be equal, or to contain a match.
pub(super) enum Matcher {
    Strict(String),
    Regexp(GoRegex),
}

impl Matcher {
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Matcher::Strict(wanted) => wanted == text,
            Matcher::Regexp(regex) => regex.is_match(text),
        }
    }
}

pub(super) enum Action {
    Update,
    Insert,
    Combine { aggregation: Aggregation, case: Case },
    Group { labels: Vec<(String, String)> },
}

/// What becomes of the text of a regular expression's group that turns into a label.
#[derive(Clone, Copy, Default)]
pub(super) enum Case {
    #[default]
    Keep,
    Lower,
    Upper,
}

/// How the values of merged points are joined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aggregation {
    Sum,
    Mean,
    Min,
    Max,
    Median,
    Count,
}

pub(super) enum Operation {
    AddLabel { label: String, value: String },
    UpdateLabel { label: String, new_label: String, values: HashMap<String, String> },
    DeleteLabelValue { label: String, value: String },
    ToggleScalarDataType,
    Scale(f64),
    AggregateLabels { labels: Vec<String>, aggregation: Aggregation },
    AggregateLabelValues { label: String, values: Vec<String>, new_value: String, aggregation: Aggregation },
}

/// Decodes and checks the section. `version` stands in for `{{version}}`.
pub(super) fn read(node: &Node, version: &str) -> Built<Vec<Transform>> {
    let (config, mut found) = ::config::decode::<Config>(node);
    let Some(config) = config else { return (None, found) };
    let mut transforms = Vec::new();
    for transform in &config.transforms {
        transforms.extend(check(transform, version, &mut found));
    }
    if config.transforms.is_empty() && !::config::has_errors(&found) {
        let problem = Diagnostic::warning("no transforms: the processor does nothing").on(node);
        found.push(problem.help("list transforms, or remove the processor"));
    }
    (Some(transforms), found)
}

fn check(config: &Spanned<TransformConfig>, version: &str, found: &mut Vec<Diagnostic>) -> Option<Transform> {
    let before = found.len();
    if config.include.is_empty() {
        found.push(config.error("missing required field \"include\""));
    }
    let regexp = match config.match_type.as_str() {
        "" | "strict" => false,
        "regexp" => true,
        other => {
            let text = format!("\"match_type\" must be in [\"strict\" \"regexp\"], not {other:?}");
            found.push(config.match_type.error(text).help("write strict or regexp"));
            false
        }
    };
    let mut matcher = |text: &str| match regexp {
        false => Some(Matcher::Strict(text.to_owned())),
        true => match GoRegex::new(text) {
            Ok(regex) => Some(Matcher::Regexp(regex)),
            Err(e) => {
                let problem = config.include.error(format!("{text:?} is not a regular expression: {e}"));
                found.push(problem.help(e.help()));
                None
            }
        },
    };
    let include = matcher(&config.include);
    let labels: Vec<_> =
        config.experimental_match_labels.iter().filter_map(|(k, v)| Some((k.clone(), matcher(v)?))).collect();
    let action = action(config, regexp, found);
    let operations = config.operations.iter().enumerate().filter_map(|(i, op)| operation(op, i + 1, version, found));
    let operations = operations.collect();
    if ::config::has_errors(&found[before..]) {
        return None;
    }
    Some(Transform { include: include?, labels, action: action?, new_name: config.new_name.value.clone(), operations })
}

fn action(config: &Spanned<TransformConfig>, regexp: bool, found: &mut Vec<Diagnostic>) -> Option<Action> {
    let verb = config.action.as_str();
    let aggregation = aggregation(&config.aggregation_type, found);
    let case = case(&config.submatch_case, found);
    let mut require = |missing: bool, field: &str| {
        if missing {
            found.push(config.error(format!("missing required field {field:?} while \"action\" is {verb}")));
        }
    };
    let action = match verb {
        "update" => Action::Update,
        "insert" => {
            require(config.new_name.is_empty(), "new_name");
            Action::Insert
        }
        "combine" => {
            require(config.new_name.is_empty(), "new_name");
            require(config.aggregation_type.is_empty(), "aggregation_type");
            Action::Combine { aggregation: aggregation?, case }
        }
        "group" => {
            require(config.group_resource_labels.is_empty(), "group_resource_labels");
            Action::Group { labels: config.group_resource_labels.clone().into_iter().collect() }
        }
        other => {
            let text = "\"action\" must be in [\"insert\" \"update\" \"combine\" \"group\"]";
            let problem = if other.is_empty() { config.error(text) } else { config.action.error(text) };
            found.push(problem);
            return None;
        }
    };
    let while_action = format!("has no effect while \"action\" is {verb}");
    for (name, key) in [("aggregation_type", &config.aggregation_type), ("submatch_case", &config.submatch_case)] {
        if !key.is_empty() && verb != "combine" {
            found.push(key.warning(format!("{name:?} {while_action}")));
        }
    }
    if !config.submatch_case.is_empty() && verb == "combine" && !regexp {
        found.push(config.submatch_case.warning("\"submatch_case\" has no effect unless \"match_type\" is regexp"));
    }
    if !config.group_resource_labels.is_empty() && verb != "group" {
        found.push(config.warning(format!("\"group_resource_labels\" {while_action}")));
    }
    Some(action)
}

fn case(text: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Case {
    match text.as_str() {
        "" => Case::Keep,
        "lower" => Case::Lower,
        "upper" => Case::Upper,
        other => {
            found.push(text.error(format!("\"submatch_case\" must be in [\"lower\" \"upper\"], not {other:?}")));
            Case::Keep
        }
    }
}

fn operation(
    op: &Spanned<OperationConfig>,
    number: usize,
    version: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<Operation> {
    let verb = op.action.as_str();
    let before = found.len();
    let aggregation = aggregation(&op.aggregation_type, found);
    let mut require = |missing: bool, field: &str| {
        if missing {
            let text = format!("operation {number}: missing required field {field:?} while \"action\" is {verb}");
            found.push(op.error(text));
        }
    };
    match verb {
        "add_label" => {
            require(op.new_label.is_empty(), "new_label");
            require(op.new_value.is_empty(), "new_value");
        }
        "update_label" => require(op.label.is_empty(), "label"),
        "delete_label_value" => {
            require(op.label.is_empty(), "label");
            require(op.label_value.is_empty(), "label_value");
        }
        "experimental_scale_value" => require(op.experimental_scale == 0.0, "experimental_scale"),
        "aggregate_labels" => require(op.aggregation_type.is_empty(), "aggregation_type"),
        "aggregate_label_values" => {
            require(op.label.is_empty(), "label");
            require(op.aggregated_values.is_empty(), "aggregated_values");
            require(op.new_value.is_empty(), "new_value");
            require(op.aggregation_type.is_empty(), "aggregation_type");
        }
        _ => {}
    }
    if ::config::has_errors(&found[before..]) {
        return None;
    }
    let label = op.label.clone();
    let operation = match verb {
        "add_label" => {
            Operation::AddLabel { label: op.new_label.clone(), value: op.new_value.replace("{{version}}", version) }
        }
        "update_label" => Operation::UpdateLabel {
            new_label: if op.new_label.is_empty() { label.clone() } else { op.new_label.clone() },
            values: op.value_actions.iter().map(|a| (a.value.clone(), a.new_value.clone())).collect(),
            label,
        },
        "delete_label_value" => Operation::DeleteLabelValue { label, value: op.label_value.clone() },
        "toggle_scalar_data_type" => Operation::ToggleScalarDataType,
        "experimental_scale_value" => Operation::Scale(op.experimental_scale),
        "aggregate_labels" => Operation::AggregateLabels { labels: op.label_set.clone(), aggregation: aggregation? },
        "aggregate_label_values" => Operation::AggregateLabelValues {
            label,
            values: op.aggregated_values.clone(),
            new_value: op.new_value.clone(),
            aggregation: aggregation?,
        },
        _ => {
            let text = format!(
                "operation {number}: \"action\" must be in [\"add_label\" \"update_label\" \"delete_label_value\" \
                 \"toggle_scalar_data_type\" \"experimental_scale_value\" \"aggregate_labels\" \"aggregate_label_values\"]"
            );
            found.push(op.error(text));
            return None;
        }
    };
    for key in idle_keys(op) {
        let text = format!("operation {number}: {key:?} has no effect while \"action\" is {verb}");
        found.push(op.warning(text));
    }
    Some(operation)
}

/// Keys that are written and that the operation does not look at.
fn idle_keys(op: &OperationConfig) -> impl Iterator<Item = &'static str> {
    let used: &[&str] = match op.action.as_str() {
        "add_label" => &["new_label", "new_value"],
        "update_label" => &["label", "new_label", "value_actions"],
        "delete_label_value" => &["label", "label_value"],
        "experimental_scale_value" => &["experimental_scale"],
        "aggregate_labels" => &["label_set", "aggregation_type"],
        "aggregate_label_values" => &["label", "aggregated_values", "new_value", "aggregation_type"],
        _ => &[],
    };
    let written = [
        ("label", !op.label.is_empty()),
        ("new_label", !op.new_label.is_empty()),
        ("aggregation_type", !op.aggregation_type.is_empty()),
        ("new_value", !op.new_value.is_empty()),
        ("value_actions", !op.value_actions.is_empty()),
        ("experimental_scale", op.experimental_scale != 0.0),
        ("label_value", !op.label_value.is_empty()),
        ("label_set", !op.label_set.is_empty()),
        ("aggregated_values", !op.aggregated_values.is_empty()),
    ];
    written.into_iter().filter(|(key, written)| *written && !used.contains(key)).map(|(key, _)| key)
}

fn aggregation(text: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Option<Aggregation> {
    Some(match text.as_str() {
        "sum" => Aggregation::Sum,
        "mean" => Aggregation::Mean,
        "min" => Aggregation::Min,
        "max" => Aggregation::Max,
        "median" => Aggregation::Median,
        "count" => Aggregation::Count,
        "" => return None,
        other => {
            let known = "[\"sum\" \"mean\" \"min\" \"max\" \"median\" \"count\"]";
            found.push(text.error(format!("\"aggregation_type\" must be in {known}, not {other:?}")));
            return None;
        }
    })
}
