//! What the translation gives away: one finished document with its destination. Knows nothing of requests or queues.

use std::sync::Arc;

/// A log stream that events go to. Events for the same names have the same id while any of their series is in use; an id is
/// not given to other names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Number of this group and stream within the exporter, counted from 0.
    pub id: u32,
    /// Log group name, placeholders filled in; never empty.
    pub group: Arc<str>,
    /// Log stream name, placeholders filled in; never empty.
    pub stream: Arc<str>,
}

/// One CloudWatch Logs event.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// Where it goes.
    pub destination: &'a Destination,
    /// Time of its data points, Unix milliseconds.
    pub timestamp_ms: i64,
    /// The EMF document: JSON, UTF-8, without a newline, in the form that the translator was made for.
    pub document: &'a [u8],
    /// Length of the document itself, whatever its form; at most [`MAX_DOCUMENT_BYTES`].
    pub plain_len: usize,
    /// Data points of the batch that are counted with this event; 0 for the further parts of a split point.
    pub points: u32,
}

/// Longest document: the 1 MiB of a `PutLogEvents` request less the 26 bytes that the service adds per event.
pub const MAX_DOCUMENT_BYTES: usize = 1_048_576 - 26;

/// Longest that the documents of one batch are together: what a request expands to is held in memory at once. Far more
/// than the events of 100,000 series with labels of a usual length.
pub const MAX_BATCH_BYTES: usize = 128 << 20;

/// Takes events in the order of their first data point.
pub trait EventSink {
    /// Takes the event (its document is copied), or says under which reason its points are to be counted as dropped
    /// (`too_old`, `too_new`).
    fn event(&mut self, event: EventRef<'_>) -> Result<(), &'static str>;
}
