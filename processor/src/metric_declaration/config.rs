//! Declarations as they are written, and what is wrong with them. What they mean is in the parent module.

use config::pattern::{GoRegex, GoRegexError};
use config::{Built, Diagnostic, Spanned};
use serde::Deserialize;

use super::selector::Selectors;
use super::{Declaration, Declarations, DimensionSet, LabelMatcher};
use crate::metric_declaration::dimensions::MAX_DIMENSIONS;

/// An entry of `metric_declarations` (awsemf) or `declarations` (the processor).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DeclarationConfig {
    /// Label names under which the metric is published, one list per CloudWatch metric.
    pub dimensions: Vec<Spanned<Vec<String>>>,
    /// Regular expressions (Go syntax, unanchored), one of which has to match the metric name.
    pub metric_name_selectors: Vec<Spanned<String>>,
    /// Conditions on labels, one of which has to hold; none accepts all labels.
    pub label_matchers: Vec<Spanned<LabelMatcherConfig>>,
}

/// An entry of `label_matchers`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct LabelMatcherConfig {
    /// Labels whose values are joined, in this order; a missing label counts as empty text.
    pub label_names: Vec<String>,
    /// What is put between the values.
    pub separator: String,
    /// Regular expression (Go syntax, unanchored) on the joined values.
    pub regex: Spanned<String>,
}

impl Default for LabelMatcherConfig {
    fn default() -> Self {
        LabelMatcherConfig { label_names: Vec::new(), separator: ";".to_owned(), regex: Spanned::default() }
    }
}

/// Checks and compiles declarations.
///
/// An invalid declaration is left out with a warning that names its place and the reason. It is an error when none
/// is left (the reference then exports everything), and when a metric name selector does not compile (the
/// reference then panics).
pub fn compile(list: &[Spanned<DeclarationConfig>]) -> Built<Declarations> {
    let mut found = Vec::new();
    let mut declarations = Vec::new();
    let mut selectors = Vec::new();
    for config in list {
        let Some((declaration, mut patterns)) = declaration(config, &mut found) else { continue };
        selectors.extend(patterns.drain(..).map(|pattern| (declarations.len(), pattern)));
        declarations.push(declaration);
    }
    if let (Some(first), true) = (list.first(), declarations.is_empty()) {
        let all = if list.len() == 1 {
            "the only metric declaration is invalid"
        } else {
            "all metric declarations are invalid"
        };
        found.push(
            first
                .error(format!("{all}, so no metric would be selected"))
                .help("correct one of them, or remove the key to publish every metric under all its labels"),
        );
    }
    (Some(Declarations { list: declarations, selectors: Selectors::new(selectors) }), found)
}

fn declaration(
    config: &Spanned<DeclarationConfig>,
    found: &mut Vec<Diagnostic>,
) -> Option<(Declaration, Vec<GoRegex>)> {
    let left_out = |reason: &str| config.warning(format!("metric declaration left out: {reason}"));
    if config.metric_name_selectors.is_empty() {
        found.push(left_out("no metric name selectors defined").help("add metric_name_selectors"));
        return None;
    }
    let mut matchers = Vec::new();
    for matcher in &config.label_matchers {
        match label_matcher(matcher) {
            Ok(matcher) => matchers.push(matcher),
            Err((reason, help)) => {
                found.push(left_out(&reason).also(&matcher.span, "this label matcher").maybe_help(help));
                return None;
            }
        }
    }
    let mut selectors = Vec::new();
    for selector in &config.metric_name_selectors {
        match GoRegex::new(selector) {
            Ok(regex) => selectors.push(regex),
            Err(error) => found.push(bad_regex(selector, "metric name selector", &error)),
        }
    }
    let dimensions = dimension_sets(&config.dimensions, found);
    Some((Declaration { span: config.span.clone(), dimensions, matchers }, selectors))
}

fn bad_regex(text: &Spanned<String>, what: &str, error: &GoRegexError) -> Diagnostic {
    text.error(format!("{what} {:?} is not a regular expression: {error}", text.value))
        .help("the syntax is that of Go's regexp package; a glob `*` is written `.*`")
}

fn label_matcher(config: &Spanned<LabelMatcherConfig>) -> Result<LabelMatcher, (String, Option<String>)> {
    if config.label_names.is_empty() {
        return Err((
            "label matcher must have at least one label name specified".to_owned(),
            Some("add label_names".to_owned()),
        ));
    }
    if config.regex.is_empty() {
        return Err((
            "regex not specified for label matcher".to_owned(),
            Some("add regex; `.*` accepts every value".to_owned()),
        ));
    }
    let regex = GoRegex::new(&config.regex).map_err(|error| {
        (format!("{:?} is not a regular expression: {error}", config.regex.value), Some(error.help().to_owned()))
    })?;
    let separator = if config.separator.is_empty() { ";" } else { &config.separator };
    Ok(LabelMatcher {
        names: config.label_names.iter().map(|name| name.as_str().into()).collect(),
        separator: separator.into(),
        regex,
    })
}

fn dimension_sets(sets: &[Spanned<Vec<String>>], found: &mut Vec<Diagnostic>) -> Vec<DimensionSet> {
    let mut kept: Vec<DimensionSet> = Vec::new();
    for set in sets {
        let mut names: DimensionSet = set.iter().map(|name| name.as_str().into()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > MAX_DIMENSIONS {
            let problem = format!(
                "dimension set left out: it has {} names and CloudWatch takes at most {MAX_DIMENSIONS}",
                names.len()
            );
            found.push(set.warning(problem).help("split it, or leave names out"));
        } else if !kept.contains(&names) {
            kept.push(names);
        }
    }
    kept
}
