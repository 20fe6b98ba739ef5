//! Which declarations a metric name belongs to: all selectors in one automaton where it is not too large, and a memo
//! of names seen before.

use config::pattern::{GoMatches, GoRegex, GoRegexSet};
use hashbrown::HashTable;
use proto::symbols::hash_bytes;

use super::mask::DeclarationMask;

/// The metric name selectors of all declarations.
#[derive(Debug)]
pub(crate) struct Selectors {
    /// Declaration and expression, in configuration order.
    pub(crate) patterns: Vec<(usize, GoRegex)>,
    /// None when together they are too large; each is then tried alone.
    set: Option<GoRegexSet>,
}

impl Selectors {
    pub(crate) fn new(patterns: Vec<(usize, GoRegex)>) -> Selectors {
        let set = GoRegexSet::new(patterns.iter().map(|(_, regex)| regex)).ok();
        Selectors { patterns, set }
    }

    /// The declarations with a selector that matches.
    pub(crate) fn matching(&self, name: &str, matches: &mut Option<GoMatches>) -> DeclarationMask {
        let Some(set) = &self.set else {
            return self.patterns.iter().filter(|(_, regex)| regex.is_match(name)).map(|(index, _)| *index).collect();
        };
        let matches = matches.get_or_insert_with(|| set.matches());
        set.matches_into(name, matches);
        matches.iter().map(|pattern| self.patterns[pattern].0).collect()
    }
}

/// Number of a distinct set of declarations in a [`SelectorMemo`]; 0 is the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MaskId(pub u32);

/// Remembers the declarations of every metric name. Owned by who asks, so that asking needs no lock.
#[derive(Default)]
pub struct SelectorMemo {
    names: HashTable<(u64, Box<str>, MaskId)>,
    masks: Vec<DeclarationMask>,
    matches: Option<GoMatches>,
}

/// Names kept; beyond it the memo starts over. Twice what a large fleet has, about 10 MiB.
const MAX_NAMES: usize = 100_000;

impl SelectorMemo {
    pub(crate) fn select(&mut self, selectors: &Selectors, name: &str) -> MaskId {
        let hash = hash_bytes(name.as_bytes());
        if let Some((.., id)) = self.names.find(hash, |(_, known, _)| **known == *name) {
            return *id;
        }
        let mask = selectors.matching(name, &mut self.matches);
        let id = self.id_of(mask);
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        self.names.insert_unique(hash, (hash, name.into(), id), |(hash, ..)| *hash);
        id
    }

    /// The declarations behind a number.
    pub fn mask(&self, id: MaskId) -> &DeclarationMask {
        &self.masks[id.0 as usize]
    }

    /// There are few distinct sets (at most one per name, usually one per declaration), so they are never forgotten
    /// and found by looking at each.
    fn id_of(&mut self, mask: DeclarationMask) -> MaskId {
        if self.masks.is_empty() {
            self.masks.push(DeclarationMask::empty());
        }
        let at = self.masks.iter().position(|known| *known == mask).unwrap_or_else(|| {
            self.masks.push(mask);
            self.masks.len() - 1
        });
        MaskId(u32::try_from(at).expect("fewer masks than names"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_that_are_too_large_together_answer_one_by_one() {
        let patterns = ["^a+$", "b", "$^", "(?i)A", "a|b"];
        let compiled: Vec<_> =
            patterns.iter().enumerate().map(|(at, pattern)| (at / 2, GoRegex::new(pattern).unwrap())).collect();
        let together = Selectors::new(compiled.clone());
        assert!(together.set.is_some());
        let alone = Selectors { patterns: compiled, set: None };
        for (name, expected) in [("a", vec![0, 1, 2]), ("xb", vec![0, 2]), ("", vec![1]), ("A", vec![1]), ("x", vec![])]
        {
            let mut matches = None;
            for selectors in [&together, &alone] {
                assert_eq!(selectors.matching(name, &mut matches).iter().collect::<Vec<_>>(), expected, "{name}");
            }
        }
    }
}
