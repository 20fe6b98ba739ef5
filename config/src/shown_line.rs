//! A line of a source as it is shown to a person: without the secrets that stand on it. Lines are judged by their text,
//! because they are shown for texts that are no YAML, too; in doubt a value is hidden.

use std::ops::Range;

use crate::position::{Position, Source, Span};
use crate::secrets::{REDACTED, is_reference, is_secret_map, is_secret_path, resembles_secret, url_secrets};

/// What is shown for the value of a key that is itself the problem.
const LEFT_OUT: &str = "...";

/// A line with a marked range in it.
#[derive(Debug, PartialEq)]
pub(crate) struct ShownLine {
    /// The line without secrets.
    pub(crate) text: String,
    /// What the problem is about, in bytes of the text.
    pub(crate) range: Range<usize>,
}

impl ShownLine {
    /// The first line of a span. The path is that of the setting which the problem is about.
    ///
    /// When the span is a key, the problem is the key, which may be misspelled or there twice, so that its name does
    /// not tell whether the value is a secret: the value is left out.
    pub(crate) fn of(span: &Span, path: &str) -> ShownLine {
        let line = span.source.line(span.start.line);
        let start = byte_of_column(line, span.start);
        let end = match span.end.line == span.start.line {
            true => byte_of_column(line, span.end).max(start),
            false => line.trim_end().len().max(start),
        };
        let mut scan = Scan::of(line, Above::of(&span.source, span.start.line), start..end);
        scan.run();
        let mut hidden = scan.hidden;
        let is_hidden = |hidden: &[(Range<usize>, &str)], range: &Range<usize>| {
            hidden.iter().any(|(hidden, _)| hidden.start < range.end.max(range.start + 1) && range.start < hidden.end)
        };
        let is_secret = is_secret_path(path) && !scan.marks_a_key && !is_reference(&line[start..end]);
        if is_secret && !is_hidden(&hidden, &(start..end)) {
            hidden.push((start..line.len(), REDACTED));
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        for range in url_secrets(line, ends) {
            if !is_hidden(&hidden, &range) {
                hidden.push((range, REDACTED));
            }
        }
        hidden.sort_by_key(|(range, _)| range.start);
        let mut text = line.to_owned();
        for (range, instead) in hidden.iter().rev() {
            text.replace_range(range.clone(), instead);
        }
        let range = moved(start, &hidden, false)..moved(end, &hidden, true);
        ShownLine { text, range }
    }
}

/// Where a byte of the line is after the replacements; one that was replaced is at the start or end of what is there.
fn moved(at: usize, hidden: &[(Range<usize>, &str)], is_end: bool) -> usize {
    let mut out = at;
    for (range, instead) in hidden {
        if at >= range.end {
            out = out - range.len() + instead.len();
        } else if at > range.start {
            out -= at - range.start;
            out += if is_end { instead.len() } else { 0 };
        }
    }
    out
}

fn byte_of_column(line: &str, at: Position) -> usize {
    line.char_indices().nth((at.column as usize).saturating_sub(1)).map_or(line.len(), |(byte, _)| byte)
}

/// What a line stands under, as its indentation tells.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Above {
    Nothing,
    /// A map of secrets: keys may be shown.
    SecretMap,
    /// A secret.
    Secret,
}

impl Above {
    fn of(source: &Source, number: u32) -> Above {
        let (mut indent, mut dashes) = indentation(source.line(number));
        let mut above = Above::Nothing;
        for number in (1..number).rev() {
            let line = source.line(number);
            let text = line.trim_start();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (own, own_dashes) = indentation(line);
            // A list may stand as far left as the key that it belongs to.
            let is_above = own < indent || (own == indent && dashes > 0 && own_dashes == 0);
            if !is_above {
                continue;
            }
            // The key behind a dash is a neighbour of keys in the same column.
            if own + own_dashes < indent || own_dashes == 0 {
                let mut scan = Scan::of(line, Above::Nothing, line.len()..line.len());
                scan.run();
                match (scan.secret_key, scan.secret_map) {
                    (true, _) => return Above::Secret,
                    (_, true) => above = Above::SecretMap,
                    _ => {}
                }
            }
            (indent, dashes) = (own, own_dashes);
        }
        above
    }
}

/// Bytes of the white space at the start and of the dashes after it.
fn indentation(line: &str) -> (usize, usize) {
    let text = line.trim_start();
    let content = text.trim_start_matches("- ").trim_start();
    let dashes = if text.trim_end() == "-" { 1 } else { text.len() - content.len() };
    (line.len() - text.len(), dashes)
}

/// One pass over a line that finds its keys and hides the values of secrets.
struct Scan<'a> {
    line: &'a str,
    above: Above,
    /// The range that the problem is about.
    mark: Range<usize>,
    hidden: Vec<(Range<usize>, &'static str)>,
    /// Whether the mark is a key.
    marks_a_key: bool,
    /// Whether there is a key of a secret, and of a map of secrets.
    secret_key: bool,
    secret_map: bool,
    has_keys: bool,
    /// Where the current key or value began.
    token: usize,
    /// Brackets that are open.
    depth: usize,
    /// Values that begin before this byte are in a map of secrets.
    secret_until: usize,
}

impl<'a> Scan<'a> {
    fn of(line: &'a str, above: Above, mark: Range<usize>) -> Scan<'a> {
        let (indent, dashes) = indentation(line);
        Scan {
            line,
            above,
            mark,
            hidden: Vec::new(),
            marks_a_key: false,
            secret_key: false,
            secret_map: false,
            has_keys: false,
            token: indent + dashes,
            depth: 0,
            secret_until: if above == Above::Nothing { 0 } else { line.len() },
        }
    }

    fn run(&mut self) {
        let content = self.token;
        let mut at = content;
        while let Some(&byte) = self.line.as_bytes().get(at) {
            at = match byte {
                b'"' | b'\'' if self.line[self.token..at].trim().is_empty() => self.quoted(at),
                b':' if self.line[at + 1..].chars().next().is_none_or(char::is_whitespace) => self.key(at),
                b'{' | b'[' => {
                    self.depth += 1;
                    self.token = at + 1;
                    at + 1
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    at + 1
                }
                b',' | b'#' => {
                    self.token = at + 1;
                    at + 1
                }
                _ => at + 1,
            };
        }
        let is_bare = self.above != Above::Nothing && !self.has_keys;
        if (self.above == Above::Secret || is_bare)
            && !self.line[content..].trim_matches(['{', '}', '[', ']', ',', ' ']).is_empty()
        {
            self.hidden = vec![(content..self.line.len(), REDACTED)];
        }
    }

    /// A text in quotes, which may be a key. Returns where to go on.
    fn quoted(&mut self, at: usize) -> usize {
        let end = quote_end(self.line, at);
        let rest = &self.line[end..];
        match rest.trim_start().starts_with(':') {
            true => self.key(end + rest.len() - rest.trim_start().len()),
            false => end,
        }
    }

    /// The key before a colon. Returns where to go on.
    fn key(&mut self, colon: usize) -> usize {
        let key = self.line[self.token..colon].trim();
        let key_end = self.token + self.line[self.token..colon].trim_end().len();
        let name = key.trim_matches(['"', '\'']);
        let after = &self.line[colon + 1..];
        let start = colon + 1 + after.len() - after.trim_start().len();
        let value = &self.line[start..];
        self.has_keys = true;
        self.token = start;
        let is_problem =
            key_end == self.mark.end && self.mark.start < key_end && self.mark.start + key.len() >= key_end;
        self.marks_a_key |= is_problem;
        let is_map = name.split("::").any(is_secret_map);
        let is_header = matches!(&*name.to_ascii_lowercase(), "authorization" | "cookie") && !value.starts_with('{');
        let is_secret = is_header || resembles_secret(name);
        self.secret_key |= is_secret && !is_map;
        self.secret_map |= is_map;
        let is_elsewhere = value.is_empty() || value.starts_with(['#', '|', '>', '*']);
        if is_elsewhere || !(is_problem || is_secret || start < self.secret_until) {
            return start;
        }
        let end = value_end(self.line, start, self.depth);
        if is_reference(&self.line[start..end]) {
            return end;
        }
        if value.starts_with('{') && !is_problem && self.line[start..end].contains(':') {
            self.secret_until = self.secret_until.max(end);
            return start;
        }
        self.hidden.push((start..end, if is_problem && !is_secret { LEFT_OUT } else { REDACTED }));
        self.token = end;
        end
    }
}

/// The end of a value: its bracket or quote, or in brackets the next comma; else that of the line.
fn value_end(line: &str, start: usize, depth: usize) -> usize {
    let end = match line.as_bytes().get(start) {
        Some(b'{' | b'[') => bracket_end(line, start),
        Some(b'"' | b'\'') => quote_end(line, start),
        _ if line[start..].starts_with("${") => line[start..].find('}').map_or(line.len(), |at| start + at + 1),
        _ if depth > 0 => line[start..].find([',', '}', ']']).map_or(line.len(), |at| start + at),
        _ => line.len(),
    };
    // What follows belongs to a value that is not well-formed.
    let is_complete = match line[end..].trim_start().chars().next() {
        None | Some('#') => true,
        Some(next) => depth > 0 && matches!(next, ',' | '}' | ']'),
    };
    if is_complete { end } else { line.len() }
}

fn bracket_end(line: &str, start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while let Some(&byte) = line.as_bytes().get(at) {
        at = match byte {
            b'"' | b'\'' => quote_end(line, at),
            b'{' | b'[' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
                at + 1
            }
            _ => at + 1,
        };
    }
    line.len()
}

/// Just after the quote that ends the one at `start`.
fn quote_end(line: &str, start: usize) -> usize {
    let bytes = line.as_bytes();
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            byte if byte == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    line.len()
}

#[cfg(test)]
#[path = "shown_line_tests.rs"]
mod tests;
