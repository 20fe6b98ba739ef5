//! What one `PutLogEvents` call carries: 1 MiB, with 26 bytes counted per event, 10,000 events, and 24 hours between the
//! first and the last one.

use crate::awsemf::EventRef;

/// Bytes of a call as the service counts them.
pub(super) const MAX_REQUEST_BYTES: usize = 1_048_576;
/// Bytes that the service counts for an event beside its message.
pub(super) const EVENT_OVERHEAD_BYTES: usize = 26;
const MAX_EVENTS: usize = 10_000;
const MAX_SPAN_MS: i64 = 24 * 3_600_000;

/// How much events take of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    events: usize,
    /// As the service counts them.
    bytes: usize,
    first_ms: i64,
    pub(super) last_ms: i64,
}

impl Default for Load {
    /// That of no events.
    fn default() -> Load {
        Load { events: 0, bytes: 0, first_ms: i64::MAX, last_ms: i64::MIN }
    }
}

impl Load {
    /// That of one event.
    pub(super) fn of(event: &EventRef<'_>) -> Load {
        Load {
            events: 1,
            bytes: event.plain_len + EVENT_OVERHEAD_BYTES,
            first_ms: event.timestamp_ms,
            last_ms: event.timestamp_ms,
        }
    }

    /// That of both together.
    pub(super) fn with(&self, other: &Load) -> Load {
        Load {
            events: self.events + other.events,
            bytes: self.bytes + other.bytes,
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
        }
    }

    /// Whether one call carries it.
    pub(super) fn fits(&self) -> bool {
        self.events <= MAX_EVENTS
            && self.bytes <= MAX_REQUEST_BYTES
            && self.last_ms.saturating_sub(self.first_ms) <= MAX_SPAN_MS
    }
}
