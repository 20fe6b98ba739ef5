//! The settings of a relabelling rule and their checks, in Prometheus' words. Decoded with `config::decode_prometheus`.

use std::fmt;
use std::sync::OnceLock;

use ::config::hint;
use ::config::pattern::{GoRegex, GoRegexError};
use ::config::{Diagnostic, Spanned};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::{RelabelRule, Step, Target};
use crate::prometheus::labels::ValidationScheme;

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REPLACEMENT: &str = "$1";

/// One element of `relabel_configs` or `metric_relabel_configs`. `None` is a key that is not there.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelabelConfig {
    /// Labels whose values are joined (default: none).
    pub source_labels: Option<Vec<String>>,
    /// Text between the joined values (default `;`).
    pub separator: Option<String>,
    /// What the joined value, or the label name, must match as a whole (default `(.*)`).
    pub regex: Option<RelabelRegex>,
    /// Divisor of `hashmod`.
    pub modulus: u64,
    /// The label that is written or compared; may hold `$1` for `replace`.
    pub target_label: String,
    /// Template of the new value, or of the new name for `labelmap` (default `$1`).
    pub replacement: Option<String>,
    /// What to do (default `replace`); any case.
    pub action: RelabelAction,
}

/// The expression of a rule, anchored at both ends.
#[derive(Debug, Clone, PartialEq)]
pub struct RelabelRegex(pub GoRegex);

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RelabelAction {
    /// Writes `replacement` to `target_label`.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops unless the joined value equals that of `target_label`.
    KeepEqual,
    /// Drops when the joined value equals that of `target_label`.
    DropEqual,
    /// Writes a hash of the joined value modulo `modulus`.
    HashMod,
    /// Copies labels to new names.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Writes the joined value in lower case.
    Lowercase,
    /// Writes the joined value in upper case.
    Uppercase,
}

use RelabelAction as Action;

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

/// Checks the rules of a list and compiles those that are right; every wrong rule is reported with its position.
pub fn compile_rules(
    rules: &[Spanned<RelabelConfig>],
    scheme: ValidationScheme,
) -> (Vec<RelabelRule>, Vec<Diagnostic>) {
    let mut compiled = Vec::new();
    let mut found = Vec::new();
    for rule in rules {
        found.extend(rule.surprises().into_iter().map(|message| rule.warning(message)));
        match rule.compile(scheme) {
            Ok(rule) => compiled.push(rule),
            Err(message) => found.push(rule.error(message)),
        }
    }
    (compiled, found)
}

impl RelabelConfig {
    /// Checks and compiles the rule.
    ///
    /// # Errors
    /// The first thing that is wrong, in Prometheus' words.
    pub fn compile(&self, scheme: ValidationScheme) -> Result<RelabelRule, String> {
        self.validate(scheme)?;
        let regex = match &self.regex {
            Some(RelabelRegex(regex)) => regex.clone(),
            None => default_regex().map_err(|error| error.to_string())?,
        };
        let target = || Box::from(&*self.target_label);
        let replacement = || {
            regex.template(self.replacement.as_deref().filter(|text| !text.is_empty()).unwrap_or(DEFAULT_REPLACEMENT))
        };
        let step = match self.action {
            Action::Replace => {
                let is_template = self.target_label.contains('$');
                let target = if is_template {
                    Target::Template(regex.template(&self.target_label))
                } else {
                    Target::Name(target())
                };
                Step::Replace { target, replacement: replacement() }
            }
            Action::Keep => Step::Keep,
            Action::Drop => Step::Drop,
            Action::KeepEqual => Step::KeepEqual(target()),
            Action::DropEqual => Step::DropEqual(target()),
            Action::HashMod => Step::HashMod { target: target(), modulus: self.modulus },
            Action::LabelMap => Step::LabelMap(replacement()),
            Action::LabelDrop => Step::LabelDrop,
            Action::LabelKeep => Step::LabelKeep,
            Action::Lowercase => Step::Lowercase(target()),
            Action::Uppercase => Step::Uppercase(target()),
        };
        Ok(RelabelRule {
            source_labels: self.source_labels.iter().flatten().map(|name| Box::from(&**name)).collect(),
            separator: self.separator.as_deref().filter(|text| !text.is_empty()).unwrap_or(DEFAULT_SEPARATOR).into(),
            regex,
            scheme,
            step,
        })
    }

    /// Settings that do not do what they seem to. The reference loses empty texts when it writes its configuration and
    /// reads it again, so these mean the default, there and here.
    fn surprises(&self) -> Vec<String> {
        let empty = |text: &Option<String>| text.as_deref() == Some("");
        let mut found = Vec::new();
        if self.action == Action::Replace && empty(&self.replacement) {
            found.push(
                "an empty 'replacement' means the default $1; to remove a label use the labeldrop action".to_owned(),
            );
        }
        if empty(&self.separator) && self.source_labels.as_ref().is_some_and(|names| names.len() > 1) {
            found.push("an empty 'separator' means the default ;".to_owned());
        }
        found
    }

    fn validate(&self, scheme: ValidationScheme) -> Result<(), String> {
        let action = self.action;
        if action == Action::HashMod && self.modulus == 0 {
            return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
        }
        let writes_target = matches!(
            action,
            Action::Replace
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
                | Action::KeepEqual
                | Action::DropEqual
        );
        if writes_target && self.target_label.is_empty() {
            return Err(format!("relabel configuration for {action} action requires 'target_label' value"));
        }
        let is_template = action == Action::Replace && self.target_label.contains('$');
        let valid_target = if is_template {
            is_template_name(&self.target_label, scheme)
        } else {
            scheme.is_label_name(&self.target_label)
        };
        if writes_target && !valid_target {
            return Err(format!("{:?} is invalid 'target_label' for {action} action", self.target_label));
        }
        let replacement = self.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT);
        let compares = matches!(action, Action::KeepEqual | Action::DropEqual);
        if (compares || matches!(action, Action::Lowercase | Action::Uppercase)) && replacement != DEFAULT_REPLACEMENT {
            return Err(format!("'replacement' can not be set for {action} action"));
        }
        if action == Action::LabelMap && !is_template_name(replacement, scheme) {
            return Err(format!("{replacement:?} is invalid 'replacement' for {action} action"));
        }
        let separator = self.separator.as_deref().unwrap_or(DEFAULT_SEPARATOR);
        if compares && (self.regex.is_some() || self.modulus != 0 || separator != DEFAULT_SEPARATOR) {
            return Err(format!(
                "{action} action requires only 'source_labels' and `target_label`, and no other fields"
            ));
        }
        let others = self.source_labels.is_some()
            || !self.target_label.is_empty()
            || self.modulus != 0
            || separator != DEFAULT_SEPARATOR
            || replacement != DEFAULT_REPLACEMENT;
        if matches!(action, Action::LabelDrop | Action::LabelKeep) && others {
            return Err(format!("{action} action requires only 'regex', and no other fields"));
        }
        Ok(())
    }
}

/// Whether a text with `$1` parts can become a label name. Any text can under the UTF-8 scheme.
fn is_template_name(text: &str, scheme: ValidationScheme) -> bool {
    static LEGACY: OnceLock<Option<GoRegex>> = OnceLock::new();
    let pattern = || GoRegex::new(r"^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$").ok();
    match scheme {
        ValidationScheme::Utf8 => !text.is_empty(),
        ValidationScheme::Legacy => LEGACY.get_or_init(pattern).as_ref().is_some_and(|regex| regex.is_match(text)),
    }
}

/// `(.*)`, compiled once.
fn default_regex() -> Result<GoRegex, GoRegexError> {
    static DEFAULT: OnceLock<Result<GoRegex, GoRegexError>> = OnceLock::new();
    DEFAULT.get_or_init(|| GoRegex::anchored_prometheus("(.*)")).clone()
}

impl fmt::Display for RelabelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ACTIONS.iter().find(|(_, action)| action == self).map_or("replace", |(name, _)| name);
        f.write_str(name)
    }
}

impl<'de> Deserialize<'de> for RelabelAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = RelabelAction;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a relabel action")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RelabelAction, E> {
                let lower = text.to_lowercase();
                let known = ACTIONS.iter().find(|(name, _)| *name == lower);
                known.map(|(_, action)| *action).ok_or_else(|| {
                    let names = || ACTIONS.iter().map(|(name, _)| *name);
                    let help = match hint::nearest(text, names()) {
                        Some(near) => near.to_owned(),
                        None => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
                    };
                    E::custom(format!("unknown relabel action {text:?}; write {help}"))
                })
            }
        }
        deserializer.deserialize_str(V)
    }
}

impl<'de> Deserialize<'de> for RelabelRegex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = RelabelRegex;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a regular expression")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RelabelRegex, E> {
                GoRegex::anchored_prometheus(text)
                    .map(RelabelRegex)
                    .map_err(|error| E::custom(format!("{error}; write a Go regular expression: {}", error.help())))
            }
        }
        deserializer.deserialize_str(V)
    }
}
