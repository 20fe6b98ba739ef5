//! Where a piece of configuration was written: source, line, column, byte range. Knows no YAML and prints nothing itself.

use std::fmt;
use std::sync::Arc;

/// A text that was loaded: a file, an environment variable, a `yaml:` argument or a `--set`.
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    line_starts: Vec<u32>,
}

impl Source {
    /// Keeps `text`, without its byte order mark, under the name that messages show (`/etc/otel-config.yaml`, `env:AOT_CONFIG_CONTENT`).
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Arc<Source> {
        let mut text: Arc<str> = text.into();
        if let Some(rest) = text.strip_prefix('\u{feff}') {
            text = rest.into();
        }
        let starts = text.match_indices('\n').map(|(at, _)| clamp(at + 1));
        let line_starts = std::iter::once(0).chain(starts).collect();
        Arc::new(Source { name: name.into(), text, line_starts })
    }

    /// The name that messages show.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The whole text. It may hold secrets: only the renderer shows lines of it, masked.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One line (1-based) without its line break; empty when there is no such line.
    pub fn line(&self, line: u32) -> &str {
        let index = (line as usize).saturating_sub(1);
        let Some(&start) = self.line_starts.get(index) else { return "" };
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |&next| next as usize);
        self.text.get(start as usize..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }

    /// The position of a 1-based line and a 0-based column in characters, as the YAML scanner counts. `near` is a
    /// position before it, which saves counting a long line again.
    pub(crate) fn position(&self, line: usize, column_chars: usize, near: Position) -> Position {
        let line = clamp(line.max(1));
        let column = clamp(column_chars + 1);
        let (from, skip) = match near.line == line && (1..=column).contains(&near.column) {
            true => (near.offset as usize, (column - near.column) as usize),
            false => (self.line_starts.get(line as usize - 1).map_or(self.text.len(), |&at| at as usize), column_chars),
        };
        let text = self.text.get(from..).unwrap_or("");
        let offset = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
        Position { line, column, offset: clamp(from + offset) }
    }

    /// The first character as a span.
    pub(crate) fn start(self: &Arc<Source>) -> Span {
        let at = Position { line: 1, column: 1, offset: 0 };
        Span { source: self.clone(), start: at, end: at }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A place in a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, 1-based.
    pub line: u32,
    /// Column in characters, 1-based.
    pub column: u32,
    /// Byte offset in the text, 0-based.
    pub offset: u32,
}

const BUILT_IN: &str = "<built-in>";

/// A range of a source, end exclusive.
#[derive(Clone)]
pub struct Span {
    /// The text it belongs to.
    pub source: Arc<Source>,
    /// First character.
    pub start: Position,
    /// Just after the last character.
    pub end: Position,
}

impl Span {
    /// The span of something that nobody wrote: a default, a value made by a test.
    pub fn built_in() -> Span {
        let at = Position { line: 1, column: 1, offset: 0 };
        Span { source: Source::new(BUILT_IN, ""), start: at, end: at }
    }

    /// Whether nobody wrote it.
    pub fn is_built_in(&self) -> bool {
        &*self.source.name == BUILT_IN
    }

    /// The source's name.
    pub fn source_name(&self) -> &str {
        &self.source.name
    }

    /// From the start of this span to the end of `other`; this span alone when they are of different sources.
    pub fn to(&self, other: &Span) -> Span {
        if !Arc::ptr_eq(&self.source, &other.source) {
            return self.clone();
        }
        Span { source: self.source.clone(), start: self.start, end: self.end.max(other.end) }
    }

    /// The bytes that it covers.
    pub fn byte_range(&self) -> std::ops::Range<usize> {
        self.start.offset as usize..self.end.offset.max(self.start.offset) as usize
    }
}

/// `file:line:column`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name, self.start.line, self.start.column)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({self})")
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Span) -> bool {
        self.start == other.start && self.end == other.end && self.source.name == other.source.name
    }
}

impl Eq for Span {}

fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
