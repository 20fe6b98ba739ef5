//! The figures on file, and what is said when a measured one differs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Most allocations a point that any path may have.
const MAX_ALLOCATIONS: f64 = 0.1;
/// What differs from run to run: how a page falls into pieces, the seeds of hash tables.
const ALLOCATIONS_NOISE: f64 = 0.002;
/// Also processors: a search through text takes other instructions on each generation.
const INSTRUCTIONS_NOISE: f64 = 0.05;

/// `golden/budgets.json`: per point, by the name of the path.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    allocations: BTreeMap<String, f64>,
    /// By profile.
    instructions: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(skip)]
    measured: Vec<(Option<String>, String, f64)>,
}

impl Figures {
    pub(crate) fn read() -> Figures {
        let text = std::fs::read_to_string(file()).expect("golden/budgets.json is there");
        serde_json::from_str(&text).expect("golden/budgets.json has allocations and instructions")
    }

    /// Compares; the answer is what is wrong.
    pub(crate) fn allocations(&mut self, name: &str, measured: f64) -> Option<String> {
        self.measured.push((None, name.to_owned(), measured));
        let budget = self.allocations.get(name).copied();
        let problem = compare("allocations", name, budget, measured, ALLOCATIONS_NOISE);
        let budget = budget.unwrap_or_default();
        let above =
            || format!("{name}: a budget of {budget} allocations a point; {MAX_ALLOCATIONS} are allowed at most");
        problem.or_else(|| (budget > MAX_ALLOCATIONS).then(above))
    }

    /// Compares; the answer is what is wrong.
    pub(crate) fn instructions(&mut self, profile: &str, name: &str, measured: f64) -> Option<String> {
        self.measured.push((Some(profile.to_owned()), name.to_owned(), measured));
        let budget = self.instructions.get(profile).and_then(|figures| figures.get(name)).copied();
        compare("instructions", name, budget, measured, budget.unwrap_or_default() * INSTRUCTIONS_NOISE)
    }

    /// Puts what was measured on file.
    pub(crate) fn write(mut self) {
        for (profile, name, value) in std::mem::take(&mut self.measured) {
            match profile {
                None => self.allocations.insert(name, (value * 10_000.0).ceil() / 10_000.0),
                Some(profile) => self.instructions.entry(profile).or_default().insert(name, value.ceil()),
            };
        }
        let text = serde_json::to_string_pretty(&self).expect("figures are JSON") + "\n";
        std::fs::write(file(), text).expect("golden/budgets.json can be written");
    }
}

fn compare(what: &str, name: &str, budget: Option<f64>, measured: f64, noise: f64) -> Option<String> {
    let Some(budget) = budget else {
        return Some(format!("{name}: golden/budgets.json has no {what}; write {measured:.4} with UPDATE_BUDGETS=1"));
    };
    if measured < budget - noise {
        println!("{name}: {measured:.4} {what} a point, less than the {budget} on file: UPDATE_BUDGETS=1 lowers them");
    }
    (measured > budget + noise).then(|| {
        format!(
            "{name}: {measured:.4} {what} a point, {budget} are budgeted; make it cheaper, or put the new figure on file \
             with UPDATE_BUDGETS=1 and say in the commit why it is worth it"
        )
    })
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/budgets.json")
}
