//! Under which dimension sets a metric is published: declared sets, the full set, and the rollup of the reference.

use serde::Deserialize;

/// Names of a dimension set, sorted by bytes, without duplicates.
pub type DimensionSet = Vec<Box<str>>;

/// CloudWatch's limit of names in a dimension set; an event that has more is stored but yields no metric.
pub const MAX_DIMENSIONS: usize = 30;

/// The label that names the instrumentation scope.
pub const SCOPE_LABEL: &str = "OTelLib";

/// `dimension_rollup_option`: sets that are published in addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Rollup {
    /// The set without labels (but with `OTelLib`) and one set per label.
    #[default]
    #[serde(rename = "ZeroAndSingleDimensionRollup")]
    ZeroAndSingle,
    /// One set per label.
    #[serde(rename = "SingleDimensionRollupOnly")]
    Single,
    /// Nothing.
    #[serde(rename = "NoDimensionRollup")]
    None,
}

/// The result: the sets in their order, and how many were left out because they are too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DimensionSets {
    /// Sets to publish under.
    pub sets: Vec<DimensionSet>,
    /// Sets with more than [`MAX_DIMENSIONS`] names.
    pub too_long: u32,
}

/// Without declarations: the full set, then the rollup. `labels` are sorted by bytes.
pub fn undeclared(labels: &[&str], rollup: Rollup) -> DimensionSets {
    let rolled = rolled_up(labels, rollup);
    let has_scope = labels.binary_search(&SCOPE_LABEL).is_ok();
    let same_as_single = labels.len() <= 1 || (labels.len() == 2 && has_scope);
    let mut result = DimensionSets::default();
    if rolled.is_empty() || !same_as_single {
        if labels.len() > MAX_DIMENSIONS {
            result.too_long = 1;
        } else {
            result.sets.push(owned(labels));
        }
    }
    result.sets.extend(rolled);
    result
}

/// With declarations: those of the declared sets whose names are all labels, then the rollup, each set once.
pub(super) fn declared<'a>(
    sets: impl IntoIterator<Item = &'a DimensionSet>,
    labels: &[&str],
    rollup: Rollup,
) -> DimensionSets {
    let present = |set: &DimensionSet| set.iter().all(|name| labels.binary_search(&&**name).is_ok());
    let mut result = DimensionSets::default();
    for set in sets.into_iter().filter(|set| present(set)).cloned().chain(rolled_up(labels, rollup)) {
        if !result.sets.contains(&set) {
            result.sets.push(set);
        }
    }
    result
}

fn rolled_up(labels: &[&str], rollup: Rollup) -> Vec<DimensionSet> {
    let zero: &[&str] = if labels.binary_search(&SCOPE_LABEL).is_ok() { &[SCOPE_LABEL] } else { &[] };
    let mut singles = labels.iter().filter(|name| **name != SCOPE_LABEL).peekable();
    let mut sets = Vec::new();
    if rollup == Rollup::None {
        return sets;
    }
    if rollup == Rollup::ZeroAndSingle && singles.peek().is_some() {
        sets.push(owned(zero));
    }
    sets.extend(singles.map(|name| {
        let mut set: Vec<&str> = zero.iter().chain(std::iter::once(name)).copied().collect();
        set.sort_unstable();
        owned(&set)
    }));
    sets
}

fn owned(names: &[&str]) -> DimensionSet {
    names.iter().map(|name| Box::from(*name)).collect()
}
