//! Metric declarations: under which dimension sets a metric is published with given labels, and why.
//!
//! One engine with two users. The `metric_declaration` processor marks (or drops) points in a pipeline; the `awsemf`
//! exporter evaluates its `metric_declarations` on the labels of finished EMF documents. The engine knows names and
//! labels only: nothing of batches, EMF or CloudWatch calls.

mod config;
mod dimensions;
mod explain;
mod mask;
mod processor;
mod selector;

#[cfg(test)]
mod tests;

use ::config::Span;
use ::config::pattern::GoRegex;

pub use config::{DeclarationConfig, LabelMatcherConfig, compile};
pub use dimensions::{DimensionSet, DimensionSets, MAX_DIMENSIONS, Rollup, SCOPE_LABEL, undeclared};
pub use explain::{DeclarationVerdict, Explanation};
pub use mask::DeclarationMask;
pub use processor::{FACTORY, MetricDeclarationConfig};
use selector::Selectors;
pub use selector::{MaskId, SelectorMemo};

/// Compiled declarations. Immutable; what is remembered between questions is with who asks ([`SelectorMemo`]).
#[derive(Debug)]
pub struct Declarations {
    list: Vec<Declaration>,
    selectors: Selectors,
}

#[derive(Debug)]
struct Declaration {
    span: Span,
    dimensions: Vec<DimensionSet>,
    matchers: Vec<LabelMatcher>,
}

#[derive(Debug)]
struct LabelMatcher {
    names: Vec<Box<str>>,
    separator: Box<str>,
    regex: GoRegex,
}

impl Declarations {
    /// Number of declarations.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none: then every metric is published under all its labels.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The declarations that have a selector for this metric name; looked up in `memo`, found out when it is new.
    /// A memo belongs to one `Declarations`.
    pub fn selecting(&self, memo: &mut SelectorMemo, name: &str) -> MaskId {
        memo.select(&self.selectors, name)
    }

    /// The declarations whose label matchers accept these labels (`label` gives a label's value).
    pub fn accepting<'a>(&self, label: impl Fn(&str) -> Option<&'a str> + Copy) -> DeclarationMask {
        let accepts = |declaration: &Declaration| {
            declaration.matchers.is_empty() || declaration.matchers.iter().any(|matcher| matcher.accepts(label))
        };
        self.list.iter().enumerate().filter(|(_, d)| accepts(d)).map(|(index, _)| index).collect()
    }

    /// Whether some declaration looks at labels; otherwise [`Declarations::accepting`] gives all of them.
    pub fn looks_at_labels(&self) -> bool {
        self.list.iter().any(|declaration| !declaration.matchers.is_empty())
    }

    /// The dimension sets of a metric that these declarations select. `labels` are label names sorted by bytes.
    pub fn dimension_sets(&self, selected: &DeclarationMask, labels: &[&str], rollup: Rollup) -> DimensionSets {
        dimensions::declared(selected.iter().flat_map(|index| &self.list[index].dimensions), labels, rollup)
    }
}

impl LabelMatcher {
    fn accepts<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        match &*self.names {
            [name] => self.regex.is_match(label(name).unwrap_or("")),
            _ => self.regex.is_match(&self.joined(label)),
        }
    }

    fn joined<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> String {
        let mut text = String::new();
        for (at, name) in self.names.iter().enumerate() {
            if at > 0 {
                text.push_str(&self.separator);
            }
            text.push_str(label(name).unwrap_or(""));
        }
        text
    }
}

/// As [`Declarations::dimension_sets`] for sets that were selected elsewhere (the marks of the processor).
pub fn marked_dimension_sets<'a>(
    sets: impl IntoIterator<Item = &'a DimensionSet>,
    labels: &[&str],
    rollup: Rollup,
) -> DimensionSets {
    dimensions::declared(sets, labels, rollup)
}
