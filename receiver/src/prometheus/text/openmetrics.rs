//! The grammar of OpenMetrics text, as Prometheus reads it: exactly one space between tokens, `# EOF` at the end.
//! What Prometheus does not check (family order, `_total`, duplicate metadata) is not checked here.

use std::borrow::Cow;

use super::cursor::{Cursor, METRIC_NAME, METRIC_START, is};
use super::error::{ParseError, Token, quote};
use super::float::{FloatError, scan_float};
use super::prometheus::metadata_name;
use super::series::{Gap, scan_exemplar_labels, scan_labels, unescape_label};
use super::{Entry, Exemplar, MetricType, Sample};

/// The next entry; `None` after `# EOF`.
pub(super) fn next<'b>(cursor: &mut Cursor<'b>, expected: &[u8]) -> Result<Option<Entry<'b>>, ParseError> {
    cursor.entry = cursor.at;
    match cursor.peek() {
        None => Err(missing_eof(cursor)),
        Some(b'#') => metadata(cursor),
        Some(_) => sample(cursor, expected).map(|sample| Some(Entry::Sample(sample))),
    }
}

fn sample<'b>(cursor: &mut Cursor<'b>, expected: &[u8]) -> Result<Sample<'b>, ParseError> {
    let start = cursor.at;
    let expected = cursor.eat_expected(expected);
    if !expected {
        let named = is(cursor.peek(), METRIC_START);
        if named {
            cursor.take_class(METRIC_NAME);
        }
        if cursor.eat(b'{') {
            scan_labels(cursor, named, Gap::None)?;
        } else if !named {
            return Err(cursor.unexpected("expected a valid start token", Token::Start));
        }
    }
    let series = cursor.since(start);
    let value = value(cursor, "expected value after metric", Token::Value)?;
    let mut timestamp_ms = None;
    if !cursor.rest().starts_with(b" # {") && cursor.peek() == Some(b' ') {
        timestamp_ms = Some(timestamp(cursor, "timestamp", "expected next entry after value", Token::Timestamp)?);
    }
    let exemplar = if cursor.eat_all(b" # {") { Some(exemplar(cursor)?) } else { None };
    if exemplar.is_none() {
        let message = if timestamp_ms.is_some() {
            "expected next entry after timestamp"
        } else {
            "expected timestamp or new record"
        };
        end_of_line(cursor, message, Token::Timestamp)?;
    }
    Ok(Sample { series, expected, value, timestamp_ms, exemplar })
}

/// What follows ` # {`.
fn exemplar<'b>(cursor: &mut Cursor<'b>) -> Result<Exemplar<'b>, ParseError> {
    let start = cursor.at - 1;
    scan_exemplar_labels(cursor)?;
    let labels = cursor.since(start);
    let value = value(cursor, "expected value after exemplar labels", Token::ExemplarValue)?;
    let mut timestamp_ms = None;
    let mut message = "expected timestamp or comment";
    if cursor.peek() == Some(b' ') {
        timestamp_ms = Some(timestamp(cursor, "exemplar timestamp", message, Token::ExemplarTimestamp)?);
        message = "expected next entry after exemplar timestamp";
    }
    end_of_line(cursor, message, Token::ExemplarTimestamp)?;
    Ok(Exemplar { labels, value, timestamp_ms })
}

fn end_of_line(cursor: &mut Cursor<'_>, message: &str, token: Token) -> Result<(), ParseError> {
    match cursor.peek() {
        Some(b'\n') => {
            cursor.at += 1;
            Ok(())
        }
        // Behind a timestamp only an end of line was possible, which Prometheus then asks for.
        None if !message.starts_with("expected next entry after") => Err(missing_eof(cursor)),
        _ => Err(cursor.unexpected(message, token)),
    }
}

/// One space and a float.
#[inline]
fn value(cursor: &mut Cursor<'_>, message: &str, token: Token) -> Result<f64, ParseError> {
    let (value, length) = match cursor.rest() {
        [b' ', number @ ..] => scan_float(number, |byte| matches!(byte, b' ' | b'\n')),
        _ => (Err(FloatError::Missing), 0),
    };
    match value {
        Ok(value) => {
            cursor.at += 1 + length;
            Ok(value)
        }
        Err(FloatError::Missing) => Err(cursor.unexpected(message, token)),
        Err(error) => {
            let at = cursor.at + 1;
            cursor.at = at + length;
            let text = quote(cursor.since(at));
            Err(cursor.error_while(at, &error.explain(&text)))
        }
    }
}

/// One space and a float of seconds, cut to milliseconds.
fn timestamp(cursor: &mut Cursor<'_>, what: &str, message: &str, token: Token) -> Result<i64, ParseError> {
    let at = cursor.at + 1;
    let seconds = value(cursor, message, token)?;
    if !seconds.is_finite() {
        let text = if seconds.is_nan() {
            "NaN"
        } else if seconds > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        return Err(cursor.error(at, format!("invalid {what} {text}")));
    }
    Ok((seconds * 1000.0) as i64)
}

/// A line that starts with `#`: HELP, TYPE, UNIT or EOF; there are no comments.
fn metadata<'b>(cursor: &mut Cursor<'b>) -> Result<Option<Entry<'b>>, ParseError> {
    let rest = cursor.rest();
    if cursor.eat_all(b"# EOF") {
        cursor.eat(b'\n');
        if !cursor.rest().is_empty() {
            return Err(cursor.error(cursor.at, "unexpected data after # EOF".to_owned()));
        }
        return Ok(None);
    }
    let keyword = match rest.get(..7) {
        Some(b"# HELP ") => "HELP",
        Some(b"# TYPE ") => "TYPE",
        Some(b"# UNIT ") => "UNIT",
        _ => return Err(cursor.unexpected("expected a valid start token", Token::Start)),
    };
    cursor.at += 7;
    let name = metadata_name(cursor, keyword)?;
    let at = cursor.at;
    let rest = cursor.rest();
    let Some((b' ', length)) = rest.first().copied().zip(memchr::memchr(b'\n', rest)) else {
        return Err(cursor.error(at, format!("expected text in {keyword}")));
    };
    cursor.at += length + 1;
    let text = &rest[1..length];
    match keyword {
        "HELP" => match std::str::from_utf8(text) {
            Ok(text) => Ok(Some(Entry::Help { name, text: unescape_label(text) })),
            Err(_) => Err(cursor.error(at, format!("help text {} is not a valid utf8 string", quote(text)))),
        },
        "TYPE" => match kind(text) {
            Some(kind) => Ok(Some(Entry::Type { name, kind })),
            None => Err(cursor.error(at, format!("invalid metric type {}", quote(text)))),
        },
        _ => unit(cursor, at, name, text),
    }
}

fn kind(text: &[u8]) -> Option<MetricType> {
    Some(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::StateSet,
        b"unknown" => MetricType::Unknown,
        _ => return None,
    })
}

fn unit<'b>(
    cursor: &Cursor<'b>,
    at: usize,
    name: Cow<'b, str>,
    unit: &'b [u8],
) -> Result<Option<Entry<'b>>, ParseError> {
    let stem = std::str::from_utf8(unit).ok().and_then(|unit| name.strip_suffix(unit));
    if !unit.is_empty() && !stem.is_some_and(|stem| stem.ends_with('_')) {
        let (unit, name) = (quote(unit), quote(name.as_bytes()));
        return Err(cursor.error(at, format!("unit {unit} not a suffix of metric {name}")));
    }
    // A suffix of a valid name.
    Ok(Some(Entry::Unit { name, unit: String::from_utf8_lossy(unit) }))
}

fn missing_eof(cursor: &Cursor<'_>) -> ParseError {
    cursor.error(cursor.body.len(), "data does not end with # EOF".to_owned())
}
