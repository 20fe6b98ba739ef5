//! Lexers for the Prometheus text format (0.0.4, 1.0.0) and OpenMetrics text (0.0.1, 1.0.0).
//!
//! Responsible for: turning a body into borrowed entries without allocating per sample, refusing exactly what Prometheus
//! refuses, with its wording plus line and column. Not responsible for: families, label sets, limits on labels,
//! staleness, timestamps policy; the scrape loop does those.
//!
//! The unit of caching is the *series text*, the raw bytes `name{labels}` of a sample line. A caller that remembers the
//! series text of the previous scrape passes the one it expects next to [`Lexer::next_entry_expecting`]; when the line
//! starts with it, labels are not even scanned. On a miss, [`labels`] decodes the text, which the lexer has checked.

mod cursor;
mod error;
mod float;
mod openmetrics;
mod prometheus;
mod series;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use cursor::Cursor;

pub use error::ParseError;
pub use float::{NORMAL_NAN, canonical_label_value, parse_go_float};
pub use series::{SeriesLabels, labels};

/// The grammar of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain`, any version.
    Prometheus,
    /// `application/openmetrics-text`, any version.
    OpenMetrics,
}

/// The type of a family, from its `# TYPE` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricType {
    /// `untyped` or `unknown`, and families without a `# TYPE` line.
    #[default]
    Unknown,
    /// `counter`
    Counter,
    /// `gauge`
    Gauge,
    /// `histogram`
    Histogram,
    /// `gaugehistogram` (OpenMetrics)
    GaugeHistogram,
    /// `summary`
    Summary,
    /// `info` (OpenMetrics)
    Info,
    /// `stateset` (OpenMetrics)
    StateSet,
}

impl MetricType {
    /// Prometheus' name of the type; `unknown` for both spellings of unknown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// One meaningful line of a body. Blank lines and comments are skipped.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'b> {
    /// `# HELP name text`, both unescaped.
    Help {
        /// The family's name.
        name: Cow<'b, str>,
        /// The description.
        text: Cow<'b, str>,
    },
    /// `# TYPE name kind`.
    Type {
        /// The family's name.
        name: Cow<'b, str>,
        /// Its type.
        kind: MetricType,
    },
    /// `# UNIT name unit` (OpenMetrics only).
    Unit {
        /// The family's name.
        name: Cow<'b, str>,
        /// The unit, a suffix of the name or empty.
        unit: Cow<'b, str>,
    },
    /// A sample line.
    Sample(Sample<'b>),
}

/// One sample line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'b> {
    /// The raw text `name`, `name{labels}` or `{"name",labels}`: the key of a series cache. Checked to be well-formed and
    /// UTF-8, except that names may still be invalid under the job's validation scheme and label names may repeat.
    pub series: &'b [u8],
    /// Whether `series` is the text that the caller expected.
    pub expected: bool,
    /// The value; every NaN is [`NORMAL_NAN`], so no page can inject a stale marker.
    pub value: f64,
    /// The explicit timestamp in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// The exemplar (OpenMetrics only).
    pub exemplar: Option<Exemplar<'b>>,
}

/// An exemplar of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar<'b> {
    /// The raw text `{labels}`; read it with [`labels`].
    pub labels: &'b [u8],
    /// The value; every NaN is [`NORMAL_NAN`].
    pub value: f64,
    /// The explicit timestamp in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
}

/// Reads one body from start to end. Nothing is allocated except for escaped names and texts of metadata lines.
#[derive(Debug, Clone)]
pub struct Lexer<'b> {
    cursor: Cursor<'b>,
    format: Format,
    finished: bool,
}

impl<'b> Lexer<'b> {
    /// Starts at the beginning of a body. The caller has limited its size.
    pub fn new(body: &'b [u8], format: Format) -> Self {
        Self { cursor: Cursor::new(body, format), format, finished: false }
    }

    /// The next entry; `None` at the proper end of the body.
    ///
    /// # Errors
    /// The first malformed line; it fails the whole scrape, as in Prometheus. After an error the lexer is at its end.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'b>>, ParseError> {
        self.next_entry_expecting(&[])
    }

    /// The next line's series and value, if it is a sample of exactly the series `expected` without timestamp and
    /// exemplar, written in the usual way. `None`, and nothing is read, for any other line, good or bad.
    /// `expected` as in [`next_entry_expecting`](Self::next_entry_expecting).
    #[inline]
    pub fn next_sample_of(&mut self, expected: &[u8]) -> Option<(&'b [u8], f64)> {
        if self.finished { None } else { self.cursor.take_line_of(expected) }
    }

    /// As [`next_entry`](Self::next_entry). If the next line is a sample of exactly the series `expected`, its labels are
    /// taken as read and [`Sample::expected`] is set. `expected` must be a series text that a lexer of the same format
    /// returned before, or empty.
    pub fn next_entry_expecting(&mut self, expected: &[u8]) -> Result<Option<Entry<'b>>, ParseError> {
        if self.finished {
            return Ok(None);
        }
        let result = match self.format {
            Format::Prometheus => prometheus::next(&mut self.cursor, expected),
            Format::OpenMetrics => openmetrics::next(&mut self.cursor, expected),
        };
        self.finished = !matches!(result, Ok(Some(_)));
        result
    }
}
