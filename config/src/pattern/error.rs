//! What can be wrong with a pattern, in Go's words. Not responsible for finding it.

use std::fmt;

/// A pattern that Go's `regexp` refuses (or that is too big for this process).
///
/// Its text is Go's: ``error parsing regexp: missing closing ): `(a` ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {kind}: `{excerpt}`")]
pub struct GoRegexError {
    pub(super) kind: GoRegexErrorKind,
    pub(super) excerpt: String,
    pub(super) position: usize,
}

impl GoRegexError {
    /// What is wrong.
    pub fn kind(&self) -> GoRegexErrorKind {
        self.kind
    }

    /// The offending part of the pattern, as Go quotes it.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self.kind {
            GoRegexErrorKind::MissingParen | GoRegexErrorKind::UnexpectedParen => {
                "give each ( its ); for the character itself put a backslash before it"
            }
            GoRegexErrorKind::MissingBracket => "give each [ its ]; for the character itself put a backslash before it",
            GoRegexErrorKind::MissingRepeatArgument | GoRegexErrorKind::NestedRepetition => {
                "put something before each *, + or ?: a glob `*` is written `.*`, the character itself `\\*`"
            }
            GoRegexErrorKind::PerlSyntax => {
                "look-around and back-references do not exist in Go's syntax; rewrite it without"
            }
            GoRegexErrorKind::TrailingBackslash => "remove the last backslash, or write two for the character itself",
            GoRegexErrorKind::NestingDepth | GoRegexErrorKind::TooLarge | GoRegexErrorKind::RepeatCount => {
                "make it smaller: fewer groups, smaller counts"
            }
            _ => "the syntax is that of Go's regexp package",
        }
    }

    /// Byte offset in the given pattern at which the problem starts.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// The kinds of problems; their texts are those of Go's `regexp/syntax`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoRegexErrorKind {
    /// `[z-a]`, `[[:foo:]]`, `\p{Foo}`
    CharacterRange,
    /// `\Z`, `\8`, `\x{110000}`
    Escape,
    /// `(?P<a b>x)`
    NamedCapture,
    /// `(?x)`, `(?=a)`
    PerlSyntax,
    /// `a**`
    NestedRepetition,
    /// `a{1001}`, `(a{500}){3}`, `a{2,1}`
    RepeatCount,
    /// `[a`
    MissingBracket,
    /// `(a`
    MissingParen,
    /// `*a`
    MissingRepeatArgument,
    /// `a\`
    TrailingBackslash,
    /// `a)`
    UnexpectedParen,
    /// Groups nest too deeply: the limit here is 250 (Go's is 1000).
    NestingDepth,
    /// The automaton would be too large.
    TooLarge,
}

impl fmt::Display for GoRegexErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CharacterRange => "invalid character class range",
            Self::Escape => "invalid escape sequence",
            Self::NamedCapture => "invalid named capture",
            Self::PerlSyntax => "invalid or unsupported Perl syntax",
            Self::NestedRepetition => "invalid nested repetition operator",
            Self::RepeatCount => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
            Self::TooLarge => "expression too large",
        })
    }
}
