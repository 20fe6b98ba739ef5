//! Relabelling (`relabel_configs`, `metric_relabel_configs`): rules that rewrite or drop a label set.
//!
//! Responsible for: Prometheus' actions with its regular expressions and templates. Not responsible for: which labels a
//! target starts with, what an empty result means.

mod case;
mod config;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ::config::pattern::{GoCaptures, GoRegex, GoTemplate};
use md5::{Digest, Md5};

use super::labels::{Labels, ValidationScheme};

pub use self::config::{RelabelAction, RelabelConfig, RelabelRegex, compile_rules};

/// One checked rule.
#[derive(Debug, Clone)]
pub struct RelabelRule {
    source_labels: Vec<Box<str>>,
    separator: Box<str>,
    regex: GoRegex,
    scheme: ValidationScheme,
    step: Step,
}

/// What a rule does with the joined source values.
#[derive(Debug, Clone)]
enum Step {
    Replace { target: Target, replacement: GoTemplate },
    Keep,
    Drop,
    KeepEqual(Box<str>),
    DropEqual(Box<str>),
    HashMod { target: Box<str>, modulus: u64 },
    LabelMap(GoTemplate),
    LabelDrop,
    LabelKeep,
    Lowercase(Box<str>),
    Uppercase(Box<str>),
}

/// The label that `replace` writes: mostly a plain name.
#[derive(Debug, Clone)]
enum Target {
    Name(Box<str>),
    Template(GoTemplate),
}

/// Applies rules in order; each sees what the one before left. False when a rule dropped the set, whose content is
/// then unspecified.
pub fn apply_rules(rules: &[RelabelRule], labels: &mut Labels<'_>) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl RelabelRule {
    /// Applies the rule; false when it drops the set.
    pub fn apply(&self, labels: &mut Labels<'_>) -> bool {
        match &self.step {
            Step::Keep => return self.regex.is_match(&self.joined(labels)),
            Step::Drop => return !self.regex.is_match(&self.joined(labels)),
            Step::KeepEqual(target) => return self.joined(labels) == labels.value(target),
            Step::DropEqual(target) => return self.joined(labels) != labels.value(target),
            Step::Replace { target, replacement } => self.replace(target, replacement, labels),
            Step::HashMod { target, modulus } => {
                let number = hash(self.joined(labels).as_bytes()) % modulus;
                labels.set(target.clone().into_string(), number.to_string());
            }
            Step::Lowercase(target) => {
                let lower = case::go_lowercase(&self.joined(labels));
                labels.set(target.clone().into_string(), lower);
            }
            Step::Uppercase(target) => {
                let upper = case::go_uppercase(&self.joined(labels));
                labels.set(target.clone().into_string(), upper);
            }
            Step::LabelMap(replacement) => self.map_names(replacement, labels),
            Step::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Step::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
        }
        true
    }

    /// The values of the source labels with the separator between them; an absent label is empty.
    fn joined<'l>(&self, labels: &'l Labels<'_>) -> Cow<'l, str> {
        match &*self.source_labels {
            [] => Cow::Borrowed(""),
            [name] => Cow::Borrowed(labels.value(name)),
            [first, others @ ..] => {
                let mut joined = labels.value(first).to_owned();
                for name in others {
                    joined.push_str(&self.separator);
                    joined.push_str(labels.value(name));
                }
                Cow::Owned(joined)
            }
        }
    }

    fn replace(&self, target: &Target, replacement: &GoTemplate, labels: &mut Labels<'_>) {
        let value = self.joined(labels);
        let mut captures = self.regex.captures();
        if !self.regex.captures_into(&value, &mut captures) {
            return;
        }
        let target = match target {
            Target::Name(name) => name.clone().into_string(),
            Target::Template(template) => expand(template, &captures, &value),
        };
        if !self.scheme.is_label_name(&target) {
            return;
        }
        // An empty result removes the label.
        let replacement = expand(replacement, &captures, &value);
        labels.set(target, replacement);
    }

    fn map_names(&self, replacement: &GoTemplate, labels: &mut Labels<'_>) {
        let mut captures = self.regex.captures();
        // Labels that the rule adds are not mapped again.
        let mut mapped = Vec::new();
        for (name, value) in labels.pairs() {
            if self.regex.captures_into(name, &mut captures) {
                mapped.push((expand(replacement, &captures, name), value.clone()));
            }
        }
        mapped.into_iter().for_each(|(name, value)| labels.set(name, value));
    }
}

fn expand(template: &GoTemplate, captures: &GoCaptures, text: &str) -> String {
    let mut out = String::new();
    template.expand(captures, text, &mut out);
    out
}

/// The last eight bytes of the MD5 sum, big endian: what `hashmod` has always used to spread targets.
fn hash(text: &[u8]) -> u64 {
    let sum: [u8; 16] = Md5::digest(text).into();
    sum[8..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
