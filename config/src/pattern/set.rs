//! Many patterns tried on one text at once. Not responsible for remembering answers: callers that see the same text
//! again keep their own memo.

use std::fmt;

use regex_automata::{MatchKind, PatternID, PatternSet, meta, nfa::thompson::WhichCaptures};

use super::{GoRegex, GoRegexError, GoRegexErrorKind, build};

/// A set of Go regular expressions that are searched for together, in one pass over the text.
pub struct GoRegexSet {
    regex: meta::Regex,
}

/// Which patterns of a [`GoRegexSet`] matched; reusable, so that a search allocates nothing.
#[derive(Clone, Debug)]
pub struct GoMatches(PatternSet);

impl GoRegexSet {
    /// Joins compiled patterns; their order gives the indices of the answers.
    ///
    /// # Errors
    /// When the common automaton exceeds 32 MiB; the patterns can then still be tried one by one.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a GoRegex>) -> Result<Self, GoRegexError> {
        let hirs: Vec<_> = patterns.into_iter().map(GoRegex::hir).collect();
        let config = meta::Config::new().match_kind(MatchKind::All).which_captures(WhichCaptures::None);
        let too_large = || GoRegexError {
            kind: GoRegexErrorKind::TooLarge,
            excerpt: format!("{} patterns together", hirs.len()),
            position: 0,
        };
        build(&hirs, config).map(|regex| Self { regex }).ok_or_else(too_large)
    }

    /// Number of patterns.
    pub fn len(&self) -> usize {
        self.regex.pattern_len()
    }

    /// Whether the set has no patterns.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An empty answer for [`matches_into`](Self::matches_into).
    pub fn matches(&self) -> GoMatches {
        GoMatches(PatternSet::new(self.regex.pattern_len()))
    }

    /// Replaces `matches` by the set of patterns that match somewhere in the text. `matches` must come from this set.
    pub fn matches_into(&self, text: &str, matches: &mut GoMatches) {
        matches.0.clear();
        self.regex.which_overlapping_matches(&text.into(), &mut matches.0);
    }
}

impl fmt::Debug for GoRegexSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoRegexSet").field("len", &self.len()).finish()
    }
}

impl GoMatches {
    /// Whether the pattern of that index matched.
    pub fn contains(&self, index: usize) -> bool {
        PatternID::new(index).is_ok_and(|id| self.0.contains(id))
    }

    /// Whether any pattern matched.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Indices of the patterns that matched, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(|id| id.as_usize())
    }
}
