//! The label block of a sample or exemplar: checking it while lexing, and decoding it afterwards.
//! Not responsible for sorting, duplicates or valid names.

use std::borrow::Cow;

use super::Format;
use super::cursor::{Cursor, LABEL_NAME, LABEL_START, METRIC_NAME, Newlines, Quoted, is};
use super::error::{ParseError, Token, quote};

/// The labels of a series text or of an exemplar, unescaped, in the order of the line.
///
/// `series` is [`Sample::series`](super::Sample::series) or [`Exemplar::labels`](super::Exemplar::labels); the metric
/// name comes as `__name__`. Escapes are `\\`, `\"` and `\n`; other backslashes stay. Of text that no lexer has checked, the
/// well-formed beginning is decoded.
pub fn labels(series: &[u8]) -> SeriesLabels<'_> {
    let mut cursor = Cursor::new(series, Format::Prometheus);
    let name = cursor.take_class(METRIC_NAME);
    SeriesLabels { cursor, name: (!name.is_empty()).then_some(name) }
}

/// Iterator of [`labels`].
#[derive(Debug, Clone)]
pub struct SeriesLabels<'s> {
    cursor: Cursor<'s>,
    name: Option<&'s [u8]>,
}

impl<'s> Iterator for SeriesLabels<'s> {
    type Item = (Cow<'s, str>, Cow<'s, str>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(name) = self.name.take() {
            return Some((Cow::Borrowed("__name__"), String::from_utf8_lossy(name)));
        }
        let cursor = &mut self.cursor;
        while let Some(b'{' | b',' | b' ' | b'\t') = cursor.body.get(cursor.at) {
            cursor.at += 1;
        }
        let name = match cursor.body.get(cursor.at)? {
            b'"' => {
                let quoted = cursor.take_quoted(Newlines::Allowed)?;
                let name = decode(quoted.raw);
                cursor.skip_blanks();
                if cursor.body.get(cursor.at) != Some(&b'=') {
                    return Some((Cow::Borrowed("__name__"), name));
                }
                name
            }
            byte if is(Some(*byte), LABEL_START) => String::from_utf8_lossy(cursor.take_class(LABEL_NAME)),
            _ => return None,
        };
        cursor.skip_blanks();
        cursor.eat(b'=');
        cursor.skip_blanks();
        if cursor.body.get(cursor.at) != Some(&b'"') {
            return None;
        }
        Some((name, decode(cursor.take_quoted(Newlines::Allowed)?.raw)))
    }
}

/// What may stand between the tokens of a label block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Spaces and tabs (text format); there, the comma between labels may be missing, too.
    Blanks,
    /// Nothing (OpenMetrics).
    None,
}

impl Gap {
    #[inline]
    fn skip(self, cursor: &mut Cursor<'_>) {
        if self == Self::Blanks {
            cursor.skip_blanks();
        }
    }
}

/// Checks the labels of a sample; the cursor is behind the opening brace and ends up behind the closing one. `named`
/// says whether a name stood before the braces; otherwise a lone quoted string inside must be the name.
#[inline]
pub(super) fn scan_labels(cursor: &mut Cursor<'_>, mut named: bool, gap: Gap) -> Result<(), ParseError> {
    let newlines = if gap == Gap::Blanks { Newlines::Allowed } else { Newlines::Refused };
    loop {
        gap.skip(cursor);
        if cursor.eat(b'}') {
            break;
        }
        let at = cursor.at;
        let quoted = label_name(cursor, Newlines::Allowed)?;
        gap.skip(cursor);
        if let Some(quoted) = &quoted
            && matches!(cursor.peek(), Some(b',' | b'}'))
        {
            let last = cursor.peek() == Some(b'}');
            cursor.at += 1;
            if named {
                return Err(cursor.error_while(at, "metric name already set"));
            }
            if !quoted.is_utf8() {
                return Err(cursor.error_while(at, "metric name is not valid UTF-8"));
            }
            named = true;
            if last {
                break;
            }
            continue;
        }
        label_value(cursor, quoted, at, gap, newlines)?;
        gap.skip(cursor);
        if !cursor.eat(b',') && gap == Gap::None && cursor.peek() != Some(b'}') {
            return Err(cursor.unexpected("expected comma or brace close", Token::Label));
        }
    }
    if !named {
        return Err(name_not_set(cursor, gap));
    }
    Ok(())
}

/// Prometheus notices after it has read the token behind the braces, and quotes that, too.
#[cold]
fn name_not_set(cursor: &mut Cursor<'_>, gap: Gap) -> ParseError {
    gap.skip(cursor);
    cursor.at += Token::Value.look(cursor).1;
    cursor.error_while(cursor.entry, "metric name not set")
}

/// Checks the labels of an exemplar, as [`scan_labels`]; there is no name.
pub(super) fn scan_exemplar_labels(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    while !cursor.eat(b'}') {
        let at = cursor.at;
        let quoted = label_name(cursor, Newlines::Refused)?;
        if quoted.is_some() && matches!(cursor.peek(), Some(b',' | b'}')) {
            return Err(cursor.unexpected("expected label name", Token::Label));
        }
        label_value(cursor, quoted, at, Gap::None, Newlines::Refused)?;
        if !cursor.eat(b',') && cursor.peek() != Some(b'}') {
            return Err(cursor.unexpected("expected comma or brace close", Token::Label));
        }
    }
    Ok(())
}

/// A bare name, or a quoted string, which is returned.
#[inline]
fn label_name<'b>(cursor: &mut Cursor<'b>, newlines: Newlines) -> Result<Option<Quoted<'b>>, ParseError> {
    let next = cursor.peek();
    if is(next, LABEL_START) {
        cursor.take_class(LABEL_NAME);
        return Ok(None);
    }
    if next == Some(b'"')
        && let Some(quoted) = cursor.take_quoted(newlines)
    {
        return Ok(Some(quoted));
    }
    Err(cursor.unexpected("expected label name", Token::Label))
}

/// The equals sign and the quoted value.
#[inline]
fn label_value(
    cursor: &mut Cursor<'_>,
    name: Option<Quoted<'_>>,
    name_at: usize,
    gap: Gap,
    newlines: Newlines,
) -> Result<(), ParseError> {
    if !cursor.eat(b'=') {
        return Err(cursor.unexpected("expected equal", Token::Label));
    }
    gap.skip(cursor);
    let at = cursor.at;
    let value = match cursor.peek() {
        Some(b'"') => cursor.take_quoted(newlines),
        _ => None,
    };
    let Some(value) = value else {
        return Err(cursor.unexpected("expected label value", Token::LabelValue));
    };
    if !value.is_utf8() {
        let message = format!("invalid UTF-8 label value: {}", quote(cursor.since(at)));
        return Err(cursor.error(at, message));
    }
    if name.is_some_and(|name| !name.is_utf8()) {
        return Err(cursor.error_while(name_at, "label name is not valid UTF-8"));
    }
    Ok(())
}

/// Unescapes text that is known to be UTF-8; anything else is replaced rather than refused.
fn decode(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(text) => unescape_label(text),
        Err(_) => String::from_utf8_lossy(raw),
    }
}

/// Label values, names, and help texts of OpenMetrics.
pub(super) fn unescape_label(text: &str) -> Cow<'_, str> {
    unescape(text, true)
}

/// Help texts of the text format: a quote is not escaped there.
pub(super) fn unescape_help(text: &str) -> Cow<'_, str> {
    unescape(text, false)
}

fn unescape(text: &str, quotes: bool) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut chars = text[first..].chars();
    while let Some(c) = chars.next() {
        let mut ahead = chars.clone();
        match (c, ahead.next()) {
            ('\\', Some('\\')) => out.push('\\'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('"')) if quotes => out.push('"'),
            _ => {
                out.push(c);
                continue;
            }
        }
        chars = ahead;
    }
    Cow::Owned(out)
}
