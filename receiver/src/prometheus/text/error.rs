//! Why a body was refused, in Prometheus' words, with line and column. Everything here is off the hot path.

use super::Format;
use super::cursor::{Cursor, DIGIT, LABEL_NAME, LABEL_START, METRIC_NAME, METRIC_START, Newlines, is};

/// Quoted excerpts of a body are cut after this many bytes.
const EXCERPT_BYTES: usize = 200;

/// A malformed line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    line: usize,
    column: usize,
    message: String,
}

impl ParseError {
    pub(super) fn new(body: &[u8], at: usize, message: String) -> Self {
        let before = &body[..at.min(body.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        Self { line, column: before.len() - line_start + 1, message }
    }

    pub(super) fn unexpected(cursor: &Cursor<'_>, message: &str, token: Token) -> Self {
        let (name, length) = token.look(cursor);
        // Prometheus shows one byte more than it read.
        let end = (cursor.at + length + 1).min(cursor.body.len());
        let (got, parsed) = (cursor.body.get(cursor.at..end), &cursor.body[cursor.entry..end]);
        let mut got = got.unwrap_or_default().to_vec();
        let mut parsed = parsed.to_vec();
        if cursor.format == Format::Prometheus && cursor.at + length + 1 > cursor.body.len() {
            got.push(b'\n');
            parsed.push(b'\n');
        }
        let message = format!("{message}, got {} (\"{name}\") while parsing: {}", quote(&got), quote(&parsed));
        Self::new(cursor.body, cursor.at, message)
    }

    /// Line of the problem, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column of the problem in bytes, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, in the words of Prometheus, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Which tokens were possible at the place of the error: decides how Prometheus names what it got instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Start of a line.
    Start,
    /// The name in a metadata line.
    MetadataName,
    /// Inside braces.
    Label,
    /// After an equals sign.
    LabelValue,
    /// After the series.
    Value,
    /// After the value.
    Timestamp,
    /// After an exemplar's labels.
    ExemplarValue,
    /// After an exemplar's value.
    ExemplarTimestamp,
}

impl Token {
    /// Prometheus' name for the token at the cursor and its length.
    pub(super) fn look(self, cursor: &Cursor<'_>) -> (&'static str, usize) {
        let mut ahead = cursor.clone();
        let Some(byte) = cursor.peek() else { return ("EOF", 0) };
        let quoted = |ahead: &mut Cursor<'_>, newlines| byte == b'"' && ahead.take_quoted(newlines).is_some();
        let open_metrics = cursor.format == Format::OpenMetrics;
        let value_newlines = if open_metrics { Newlines::Refused } else { Newlines::Allowed };
        let name = match self {
            Self::Start if byte == b'\n' && !open_metrics => "LINEBREAK",
            Self::Start | Self::Value if byte == b'{' => {
                ahead.at += 1;
                "BOPEN"
            }
            Self::Start | Self::MetadataName if is(Some(byte), METRIC_START) => {
                ahead.take_class(METRIC_NAME);
                "MNAME"
            }
            Self::MetadataName if quoted(&mut ahead, Newlines::Allowed) => "MNAME",
            Self::Label if is(Some(byte), LABEL_START) => {
                ahead.take_class(LABEL_NAME);
                "LNAME"
            }
            Self::Label if matches!(byte, b'}' | b'=' | b',') => {
                ahead.at += 1;
                match byte {
                    b'}' => "BCLOSE",
                    b'=' => "EQUAL",
                    _ => "COMMA",
                }
            }
            Self::Label if quoted(&mut ahead, Newlines::Allowed) => "QSTRING",
            Self::LabelValue if quoted(&mut ahead, value_newlines) => "LVALUE",
            Self::Value if !open_metrics && byte != b'\n' => {
                while !matches!(ahead.peek(), Some(b'{' | b' ' | b'\t' | b'\n') | None) {
                    ahead.at += 1;
                }
                "VALUE"
            }
            Self::Timestamp if !open_metrics && is(Some(byte), DIGIT) => {
                ahead.take_class(DIGIT);
                "TIMESTAMP"
            }
            Self::Timestamp | Self::ExemplarTimestamp if byte == b'\n' => "LINEBREAK",
            Self::Value | Self::Timestamp | Self::ExemplarValue | Self::ExemplarTimestamp
                if byte == b' ' && !matches!(cursor.body.get(cursor.at + 1), Some(b' ' | b'\n') | None) =>
            {
                ahead.at += 1;
                while !matches!(ahead.peek(), Some(b' ' | b'\n') | None) {
                    ahead.at += 1;
                }
                if matches!(self, Self::Value | Self::ExemplarValue) { "VALUE" } else { "TIMESTAMP" }
            }
            _ => return ("INVALID", self.progress(cursor, value_newlines)),
        };
        (name, ahead.at - cursor.at)
    }

    /// How many bytes of a token that never completed fitted some token.
    fn progress(self, cursor: &Cursor<'_>, value_newlines: Newlines) -> usize {
        let rest = cursor.rest();
        let common = |token: &&[u8]| rest.iter().zip(*token).take_while(|(a, b)| a == b).count();
        match (self, cursor.format) {
            (Self::Start, Format::OpenMetrics) => {
                let tokens: [&[u8]; 4] = [b"# HELP ", b"# TYPE ", b"# UNIT ", b"# EOF"];
                tokens.iter().map(common).max().unwrap_or(0)
            }
            (Self::MetadataName | Self::Label, _) => unfinished_quote(rest, Newlines::Allowed),
            (Self::LabelValue, _) => unfinished_quote(rest, value_newlines),
            (Self::Timestamp, Format::OpenMetrics) => common(&b" # {".as_slice()).max(1),
            (Self::Value | Self::ExemplarValue | Self::ExemplarTimestamp, Format::OpenMetrics) => {
                usize::from(rest.starts_with(b" "))
            }
            _ => 0,
        }
    }
}

/// Length of a quoted string up to where it went wrong.
fn unfinished_quote(text: &[u8], newlines: Newlines) -> usize {
    if !text.starts_with(b"\"") {
        return 0;
    }
    let mut escaped = false;
    let stops = |&byte: &u8| {
        let stop = byte == b'\n' && (escaped || newlines == Newlines::Refused);
        escaped = byte == b'\\' && !escaped;
        stop
    };
    text[1..].iter().position(stops).map_or(text.len(), |length| length + 1)
}

/// Quotes bytes as Go's `%q` does; long ones are cut.
pub(super) fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    let cut = &bytes[..bytes.len().min(EXCERPT_BYTES)];
    for chunk in cut.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0b' => out.push_str("\\v"),
                '\x0c' => out.push_str("\\f"),
                c if c.is_ascii_control() => push_hex(&mut out, c as u8),
                c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|&byte| push_hex(&mut out, byte));
    }
    if cut.len() < bytes.len() {
        out.push_str("...");
    }
    out.push('"');
    out
}

fn push_hex(out: &mut String, byte: u8) {
    out.push_str(&format!("\\x{byte:02x}"));
}
