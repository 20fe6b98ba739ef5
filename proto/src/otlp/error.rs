//! What bounds a decode and what can be wrong with a message.

/// Bounds of one message, and what of it is kept. A message over a bound is refused as a whole; nothing is cut.
#[derive(Clone, Debug)]
pub struct DecodeLimits {
    /// Bytes of the message, decompressed. Never more than [`DecodeLimits::MAX_BODY_BYTES`].
    pub body_bytes: usize,
    /// Messages inside messages, counted as prost does (its fixed limit is 100, the default here).
    pub nesting: u32,
    /// Attributes of one point, resource, scope, metric metadata or exemplar.
    pub attributes_per_set: usize,
    /// Elements of one array or map attribute, nested ones included.
    pub values_per_attribute: usize,
    /// Memory that any message may take, in bytes. Each byte of a message allows for
    /// [`DecodeLimits::MEMORY_PER_BYTE`] more, and what was read so far is held against it: a message of elements
    /// that are two bytes on the wire and a hundred times that in memory is refused early.
    pub spare_bytes: usize,
    /// Whether counts and bounds of the buckets of histograms are kept. When nobody looks at them they are only
    /// checked; those of exponential histograms are always kept.
    pub keeps_buckets: bool,
}

impl DecodeLimits {
    /// Offsets are 32 bits, and text forms of hostile values can be six times their wire size.
    pub const MAX_BODY_BYTES: usize = 512 << 20;
    /// A point with a time and a value takes 3 times its bytes, one with attributes of its own 5 times, an exponential
    /// histogram without values 7 times, and bucket counts of one byte 8 times.
    pub const MEMORY_PER_BYTE: usize = 8;

    /// Refuses a body that is too long.
    pub(super) fn check_length(&self, body_bytes: usize) -> Result<(), DecodeError> {
        let limit = self.body_bytes.min(DecodeLimits::MAX_BODY_BYTES);
        if body_bytes > limit { Err(DecodeError::Limit { what: "bytes", limit }) } else { Ok(()) }
    }

    /// Memory that the first `read` bytes of a message may take.
    #[inline]
    pub(super) fn memory(&self, read: usize) -> usize {
        self.spare_bytes.saturating_add(Self::MEMORY_PER_BYTE * read)
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            body_bytes: 64 << 20,
            nesting: 100,
            attributes_per_set: 4096,
            values_per_attribute: 65_536,
            spare_bytes: 1 << 20,
            keeps_buckets: true,
        }
    }
}

/// A message that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a well-formed `ExportMetricsServiceRequest`.
    #[error("invalid OTLP request: {problem} at byte {offset}")]
    Malformed {
        /// What is wrong there.
        problem: &'static str,
        /// Offset in the (decompressed) message.
        offset: usize,
    },
    /// Not well-formed OTLP/JSON; the text names line and column.
    #[error("invalid OTLP/JSON request: {0}")]
    Json(String),
    /// Well-formed so far, but over a bound.
    #[error("OTLP request has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Many more elements than messages of this size have.
    #[error(
        "OTLP request has too many elements for its size: its first {read} bytes take more than {memory} bytes of memory"
    )]
    TooDense {
        /// Bytes read so far.
        read: usize,
        /// What they may take.
        memory: usize,
    },
}

impl DecodeError {
    /// The same error in bytes that begin at this offset of the message.
    pub(super) fn behind(self, base: usize) -> DecodeError {
        match self {
            DecodeError::Malformed { problem, offset } => DecodeError::Malformed { problem, offset: base + offset },
            other => other,
        }
    }
}
