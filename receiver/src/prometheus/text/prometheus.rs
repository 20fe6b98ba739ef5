//! The grammar of the Prometheus text format. Lenient about blanks, strict about everything else.

use std::borrow::Cow;

use super::cursor::{Cursor, DIGIT, METRIC_NAME, METRIC_START, Newlines, is};
use super::error::{ParseError, Token, quote};
use super::float::{FloatError, scan_float};
use super::series::{Gap, scan_labels, unescape_help, unescape_label};
use super::{Entry, MetricType, Sample};

/// The next entry; blanks may surround every token, and the body's last newline may be missing.
pub(super) fn next<'b>(cursor: &mut Cursor<'b>, expected: &[u8]) -> Result<Option<Entry<'b>>, ParseError> {
    loop {
        cursor.entry = cursor.at;
        cursor.skip_blanks();
        match cursor.body.get(cursor.at) {
            None => return Ok(None),
            Some(b'\n') => cursor.at += 1,
            Some(b'#') => {
                if let Some(entry) = comment(cursor)? {
                    return Ok(Some(entry));
                }
            }
            Some(_) => return sample(cursor, expected).map(|sample| Some(Entry::Sample(sample))),
        }
    }
}

fn sample<'b>(cursor: &mut Cursor<'b>, expected: &[u8]) -> Result<Sample<'b>, ParseError> {
    let start = cursor.at;
    let expected = cursor.eat_expected(expected);
    let mut series_end = cursor.at;
    if !expected {
        let named = is(cursor.peek(), METRIC_START);
        if named {
            cursor.take_class(METRIC_NAME);
            series_end = cursor.at;
            cursor.skip_blanks();
        }
        if cursor.eat(b'{') {
            scan_labels(cursor, named, Gap::Blanks)?;
            series_end = cursor.at;
        } else if !named {
            return Err(cursor.unexpected("expected a valid start token", Token::Start));
        }
    }
    cursor.skip_blanks();
    let value = value(cursor)?;
    cursor.skip_blanks();
    let timestamp_ms = timestamp(cursor)?;
    Ok(Sample { series: &cursor.body[start..series_end], expected, value, timestamp_ms, exemplar: None })
}

#[inline]
fn value(cursor: &mut Cursor<'_>) -> Result<f64, ParseError> {
    let (value, length) = scan_float(cursor.rest(), |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'{'));
    match value {
        Ok(value) => {
            cursor.at += length;
            Ok(value)
        }
        Err(FloatError::Missing) => Err(cursor.unexpected("expected value after metric", Token::Value)),
        Err(error) => {
            let (at, text) = (cursor.at, quote(&cursor.rest()[..length]));
            cursor.at += length;
            Err(cursor.error_while(at, &error.explain(&text)))
        }
    }
}

/// The optional timestamp, digits only, and the end of the line.
#[inline]
fn timestamp(cursor: &mut Cursor<'_>) -> Result<Option<i64>, ParseError> {
    if cursor.eat(b'\n') {
        return Ok(None);
    }
    let at = cursor.at;
    let digits = cursor.take_class(DIGIT);
    if digits.is_empty() {
        return match cursor.rest() {
            [] => Ok(None),
            _ => Err(cursor.unexpected("expected timestamp or new record", Token::Timestamp)),
        };
    }
    let number =
        digits.iter().try_fold(0i64, |number, digit| number.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
    let Some(number) = number else {
        let message = format!("strconv.ParseInt: parsing {}: value out of range", quote(digits));
        return Err(cursor.error_while(at, &message));
    };
    cursor.skip_blanks();
    if cursor.eat(b'\n') || cursor.rest().is_empty() {
        return Ok(Some(number));
    }
    Err(cursor.unexpected("expected next entry after timestamp", Token::Timestamp))
}

/// A line that starts with `#`: metadata, or a comment that is skipped.
fn comment<'b>(cursor: &mut Cursor<'b>) -> Result<Option<Entry<'b>>, ParseError> {
    cursor.at += 1;
    let hash_end = cursor.at;
    cursor.skip_blanks();
    let keyword = if cursor.at > hash_end { cursor.rest().get(..5) } else { None };
    let is_help = match keyword {
        Some(b"HELP " | b"HELP\t") => true,
        Some(b"TYPE " | b"TYPE\t") => false,
        _ => {
            take_line(cursor);
            return Ok(None);
        }
    };
    cursor.at += 5;
    cursor.skip_blanks();
    let name = metadata_name(cursor, if is_help { "HELP" } else { "TYPE" })?;
    let at = cursor.at;
    let text = take_line(cursor);
    // Whatever the byte after the name is, it is the separator; a HELP of blanks only is empty.
    let text = if text.iter().all(|byte| matches!(byte, b' ' | b'\t')) { &[] } else { &text[1..] };
    if is_help {
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(cursor.error(at, format!("help text {} is not a valid utf8 string", quote(text))));
        };
        return Ok(Some(Entry::Help { name, text: unescape_help(text) }));
    }
    let kind = match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"summary" => MetricType::Summary,
        b"untyped" => MetricType::Unknown,
        _ => return Err(cursor.error(at, format!("invalid metric type {}", quote(text)))),
    };
    Ok(Some(Entry::Type { name, kind }))
}

/// The name after `# HELP` and the like, bare or quoted.
pub(super) fn metadata_name<'b>(cursor: &mut Cursor<'b>, keyword: &str) -> Result<Cow<'b, str>, ParseError> {
    let raw = match cursor.peek() {
        Some(b'"') => cursor.take_quoted(Newlines::Allowed).map(|quoted| quoted.raw),
        first if is(first, METRIC_START) => Some(cursor.take_class(METRIC_NAME)),
        _ => None,
    };
    match raw.map(std::str::from_utf8) {
        Some(Ok(raw)) => Ok(unescape_label(raw)),
        Some(Err(_)) => Err(cursor.error_while(cursor.at, "metric name is not valid UTF-8")),
        None => {
            let message = format!("expected metric name after {keyword}");
            Err(cursor.unexpected(&message, Token::MetadataName))
        }
    }
}

/// Consumes the rest of the line with its newline; returns it without.
fn take_line<'b>(cursor: &mut Cursor<'b>) -> &'b [u8] {
    let rest = cursor.rest();
    let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    cursor.at += (length + 1).min(rest.len());
    &rest[..length]
}
