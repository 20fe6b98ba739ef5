//! Regular expressions with the syntax and meaning of Go's `regexp` package (RE2), run by the `regex-automata` engine.
//!
//! Responsible for: accepting exactly what Go accepts, refusing the rest with Go's wording and a byte position, and
//! Go's `$1`/`${name}` replacement templates. Not responsible for: what the patterns are used for.
//!
//! A pattern is parsed here and handed to the engine as its intermediate form, never as text, so no construct of
//! the engine's own dialect (Unicode `\d`, class set operations, `(?x)`, ...) can leak in.

mod class;
mod error;
mod set;
mod template;
mod translate;
mod unicode;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex_automata::meta;
use regex_automata::util::captures::Captures;
use regex_syntax::hir::Hir;

pub use error::{GoRegexError, GoRegexErrorKind};
pub use set::{GoMatches, GoRegexSet};
pub use template::GoTemplate;

/// Upper bound of one compiled automaton in bytes; a pattern beyond it is refused as `expression too large`.
const COMPILED_LIMIT_BYTES: usize = 32 << 20;

/// A compiled Go regular expression. Clones share the automaton; equality compares the pattern text and the anchoring.
#[derive(Clone)]
pub struct GoRegex {
    inner: Arc<Inner>,
}

struct Inner {
    pattern: Box<str>,
    wrapping: Wrapping,
    regex: meta::Regex,
    /// Names of the groups by index; index 0 is the whole match.
    group_names: Vec<Option<Box<str>>>,
}

/// What is put around a pattern before it is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Wrapping {
    None,
    Prometheus,
}

impl Wrapping {
    fn affixes(self) -> (&'static str, &'static str) {
        match self {
            Self::None => ("", ""),
            Self::Prometheus => ("^(?s:", ")$"),
        }
    }
}

/// A reusable buffer for the group positions of one match; made by [`GoRegex::captures`] and usable with that regex only.
#[derive(Clone, Debug)]
pub struct GoCaptures(Captures);

impl GoRegex {
    /// Compiles `pattern` as Go's `regexp.Compile` does; [`is_match`](Self::is_match) then searches anywhere in the text.
    ///
    /// # Errors
    /// What Go refuses, with its wording, and patterns whose automaton exceeds 32 MiB or nests deeper than 250 groups.
    pub fn new(pattern: &str) -> Result<Self, GoRegexError> {
        Self::compile(pattern, Wrapping::None)
    }

    /// Compiles `pattern` as Prometheus does in relabelling: `^(?s:pattern)$`, so the whole text must match and a dot
    /// matches a newline too.
    ///
    /// # Errors
    /// As [`new`](Self::new); the quoted expression is the wrapped one, as in Prometheus, while
    /// [`GoRegexError::position`] counts in `pattern`.
    pub fn anchored_prometheus(pattern: &str) -> Result<Self, GoRegexError> {
        Self::compile(pattern, Wrapping::Prometheus)
    }

    /// Whether the text contains a match (Go's `MatchString`).
    pub fn is_match(&self, text: &str) -> bool {
        self.inner.regex.is_match(text)
    }

    /// The pattern as it was given, without anchors.
    pub fn as_str(&self) -> &str {
        &self.inner.pattern
    }

    /// An empty buffer for [`captures_into`](Self::captures_into).
    pub fn captures(&self) -> GoCaptures {
        GoCaptures(self.inner.regex.create_captures())
    }

    /// Finds the leftmost match and stores the positions of its groups; false when there is none.
    pub fn captures_into(&self, text: &str, captures: &mut GoCaptures) -> bool {
        self.inner.regex.search_captures(&text.into(), &mut captures.0);
        captures.0.is_match()
    }

    /// Byte range of a group of the last match, `None` when the group took no part in it (index 0: the whole match).
    pub fn group(&self, captures: &GoCaptures, index: usize) -> Option<std::ops::Range<usize>> {
        captures.0.get_group(index).map(|span| span.range())
    }

    /// Names of the groups from 1 on, `None` for those without (Go's `SubexpNames` without the first).
    pub fn group_names(&self) -> Vec<Option<String>> {
        self.inner.group_names.iter().skip(1).map(|name| name.as_deref().map(str::to_owned)).collect()
    }

    /// Prepares a replacement template with Go's rules: `$1`, `$name`, `${1}`, `${name}`, `$$`; a name is the longest run
    /// of letters, digits and underscores; unknown groups expand to nothing; a `$` that starts none of these is literal.
    pub fn template(&self, text: &str) -> GoTemplate {
        GoTemplate::new(text, &self.inner.group_names)
    }

    fn compile(pattern: &str, wrapping: Wrapping) -> Result<Self, GoRegexError> {
        let source = Source::new(pattern, wrapping);
        let translated = translate::translate(&source.text).map_err(|error| source.explain(error))?;
        let regex = build(&[translated.hir], meta::Config::new()).ok_or_else(|| source.too_large())?;
        Ok(Self {
            inner: Arc::new(Inner { pattern: pattern.into(), wrapping, regex, group_names: translated.group_names }),
        })
    }

    fn hir(&self) -> Hir {
        let source = Source::new(&self.inner.pattern, self.inner.wrapping);
        translate::translate(&source.text).expect("a pattern that compiled before translates again").hir
    }
}

impl PartialEq for GoRegex {
    fn eq(&self, other: &Self) -> bool {
        self.inner.pattern == other.inner.pattern && self.inner.wrapping == other.inner.wrapping
    }
}

impl Eq for GoRegex {}

impl Hash for GoRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.pattern.hash(state);
        self.inner.wrapping.hash(state);
    }
}

impl fmt::Debug for GoRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GoRegex").field(&self.as_str()).finish()
    }
}

/// The text that is parsed and how its positions map back to what the user wrote.
struct Source {
    text: String,
    prefix: usize,
    pattern: usize,
}

impl Source {
    fn new(pattern: &str, wrapping: Wrapping) -> Self {
        let (before, after) = wrapping.affixes();
        Self { text: format!("{before}{pattern}{after}"), prefix: before.len(), pattern: pattern.len() }
    }

    fn explain(&self, error: translate::SyntaxError) -> GoRegexError {
        let mut position = error.position.saturating_sub(self.prefix).min(self.pattern);
        if error.kind == GoRegexErrorKind::MissingParen {
            // Our own parenthesis closed the one that is left open: ask for its place in the pattern alone.
            let alone = translate::translate(&self.text[self.prefix..self.prefix + self.pattern]);
            position = alone.err().map_or(position, |error| error.position);
        }
        GoRegexError { kind: error.kind, excerpt: self.text[error.excerpt].to_owned(), position }
    }

    fn too_large(&self) -> GoRegexError {
        GoRegexError { kind: GoRegexErrorKind::TooLarge, excerpt: self.text.clone(), position: 0 }
    }
}

/// Compiles; the only way to fail is the size limit.
fn build(patterns: &[Hir], config: meta::Config) -> Option<meta::Regex> {
    let config = config.nfa_size_limit(Some(COMPILED_LIMIT_BYTES));
    meta::Regex::builder().configure(config).build_many_from_hir(patterns).ok()
}
