//! What bounds a decode and what can be wrong with a message.

/// Bounds of one message. A message over a bound is refused as a whole; nothing is cut.
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
    /// Resources, scopes, metrics, points, exemplars and quantiles of one message together. The smallest of them
    /// are two bytes on the wire and many times that in memory.
    pub items: usize,
}

impl DecodeLimits {
    /// Offsets are 32 bits, and text forms of hostile values can be six times their wire size.
    pub const MAX_BODY_BYTES: usize = 512 << 20;
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            body_bytes: 64 << 20,
            nesting: 100,
            attributes_per_set: 4096,
            values_per_attribute: 65_536,
            items: 2_000_000,
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
}
