//! The position in a body and the scanning steps that both formats share. Not responsible for grammar.

use super::Format;
use super::error::{ParseError, Token};
use super::float::scan_short_decimal;

/// Reads forward over a body; every step is bounds-checked and moves at least as far as it accepted.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'b> {
    pub(super) body: &'b [u8],
    /// Offset of the next byte.
    pub(super) at: usize,
    /// Offset at which the current entry started; errors quote from here.
    pub(super) entry: usize,
    pub(super) format: Format,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(body: &'b [u8], format: Format) -> Self {
        Self { body, at: 0, entry: 0, format }
    }

    /// The next byte. The text format behaves as if a newline followed the body.
    pub(super) fn peek(&self) -> Option<u8> {
        match self.body.get(self.at) {
            Some(&byte) => Some(byte),
            None if self.format == Format::Prometheus => Some(b'\n'),
            None => None,
        }
    }

    pub(super) fn rest(&self) -> &'b [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    pub(super) fn since(&self, start: usize) -> &'b [u8] {
        &self.body[start..self.at]
    }

    /// Consumes spaces and tabs.
    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.body.get(self.at) {
            self.at += 1;
        }
    }

    /// Consumes the byte if it is next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.body.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Consumes the bytes if they are next.
    #[inline]
    pub(super) fn eat_all(&mut self, bytes: &[u8]) -> bool {
        let found = self.rest().starts_with(bytes);
        self.at += if found { bytes.len() } else { 0 };
        found
    }

    /// Consumes bytes of a class; returns them.
    #[inline]
    pub(super) fn take_class(&mut self, class: u8) -> &'b [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| CLASSES[usize::from(byte)] & class == 0).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Consumes the expected series text if the line continues with exactly that series.
    #[inline]
    pub(super) fn eat_expected(&mut self, expected: &[u8]) -> bool {
        if expected.is_empty() || !self.rest().starts_with(expected) {
            return false;
        }
        let after = self.at + expected.len();
        if expected.last() != Some(&b'}') {
            // A bare name: it must not continue, neither as a name nor with labels.
            let mut next = after;
            if self.body.get(next).is_some_and(|&byte| CLASSES[usize::from(byte)] & METRIC_NAME != 0) {
                return false;
            }
            while self.format == Format::Prometheus && matches!(self.body.get(next), Some(b' ' | b'\t')) {
                next += 1;
            }
            if self.body.get(next) == Some(&b'{') {
                return false;
            }
        }
        self.at = after;
        true
    }

    /// The series and the value of the line if it has nothing but exactly the expected series, one blank and a plain
    /// decimal; otherwise consumes nothing.
    #[inline]
    pub(super) fn take_line_of(&mut self, expected: &[u8]) -> Option<(&'b [u8], f64)> {
        let line = self.rest();
        let [b' ', text @ ..] = line.strip_prefix(expected)? else { return None };
        let (value, length) = scan_short_decimal(text)?;
        if expected.is_empty() || text.get(length) != Some(&b'\n') {
            return None;
        }
        self.at += expected.len() + length + 2;
        Some((&line[..expected.len()], value))
    }

    /// Reads a quoted string; returns what is between the quotes, escapes and all, or `None` (consuming nothing) when it
    /// does not end. A backslash takes the next byte with it.
    #[inline]
    pub(super) fn take_quoted(&mut self, newlines: Newlines) -> Option<Quoted<'b>> {
        let inner = self.rest().get(1..)?;
        let mut or = 0;
        let mut at = 0;
        loop {
            let &byte = inner.get(at)?;
            or |= byte;
            match byte {
                b'"' => break,
                b'\\' => {
                    // The engine's dot: an escape cannot swallow a newline.
                    let &escaped = inner.get(at + 1).filter(|&&byte| byte != b'\n')?;
                    or |= escaped;
                    at += 1;
                }
                b'\n' if newlines == Newlines::Refused => return None,
                _ => {}
            }
            at += 1;
        }
        self.at += at + 2;
        Some(Quoted { raw: &inner[..at], is_ascii: or < 0x80 })
    }

    /// A refusal in Prometheus' words, `message, got "x" ("TOKEN") while parsing: "line"`, about the token at the cursor.
    #[cold]
    pub(super) fn unexpected(&self, message: &str, token: Token) -> ParseError {
        ParseError::unexpected(self, message, token)
    }

    /// A refusal with its own words, located at `at`.
    #[cold]
    pub(super) fn error(&self, at: usize, message: String) -> ParseError {
        ParseError::new(self.body, at, message)
    }

    /// As [`error`](Self::error), with ` while parsing: "..."` up to the cursor.
    #[cold]
    pub(super) fn error_while(&self, at: usize, message: &str) -> ParseError {
        let parsed = super::error::quote(&self.body[self.entry..self.at.min(self.body.len())]);
        ParseError::new(self.body, at, format!("{message} while parsing: {parsed}"))
    }
}

/// Whether a quoted string may contain a raw newline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Newlines {
    Allowed,
    Refused,
}

/// The inside of a quoted string.
pub(super) struct Quoted<'b> {
    pub(super) raw: &'b [u8],
    pub(super) is_ascii: bool,
}

impl Quoted<'_> {
    #[inline]
    pub(super) fn is_utf8(&self) -> bool {
        self.is_ascii || std::str::from_utf8(self.raw).is_ok()
    }
}

/// `[a-zA-Z_]`, the start of a label name.
pub(super) const LABEL_START: u8 = 1;
/// `[a-zA-Z0-9_]`
pub(super) const LABEL_NAME: u8 = 2;
/// `[a-zA-Z_:]`, the start of a metric name.
pub(super) const METRIC_START: u8 = 4;
/// `[a-zA-Z0-9_:]`
pub(super) const METRIC_NAME: u8 = 8;
/// `[0-9]`
pub(super) const DIGIT: u8 = 16;

/// Whether a byte belongs to a class.
pub(super) fn is(byte: Option<u8>, class: u8) -> bool {
    byte.is_some_and(|byte| CLASSES[usize::from(byte)] & class != 0)
}

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LABEL_START | LABEL_NAME | METRIC_START | METRIC_NAME,
            b':' => METRIC_START | METRIC_NAME,
            b'0'..=b'9' => LABEL_NAME | METRIC_NAME | DIGIT,
            _ => 0,
        };
        byte += 1;
    }
    classes
};
