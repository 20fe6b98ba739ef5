//! What samples add up to: number points, and the histograms and summaries that several series make together.
//! Holds the state of one scrape per group; building points from it is in `assemble`.

use proto::AttrSetId;

/// What a sample of a series does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// `metric_relabel_configs` dropped it.
    Dropped,
    /// It cannot be part of its family (a histogram's bare name, a bucket without `le`): no point, only counted.
    Rejected(Rejection),
    /// The value of a number point.
    Number {
        /// Index of the number group.
        group: u32,
    },
    /// The start time of a number point.
    NumberCreated {
        /// Index of the number group.
        group: u32,
    },
    /// A part of a histogram or summary.
    Part {
        /// Index of the distribution.
        distribution: u32,
        /// Which.
        part: DistributionPart,
    },
    /// `target_info`: its labels become attributes of a resource.
    TargetInfo {
        /// Index of the resource.
        resource: u32,
        /// The labels.
        attrs: AttrSetId,
    },
}

/// Why a series is no part of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rejection {
    /// The bare name of a histogram.
    BareHistogram,
    /// `le` is missing or no number.
    NoBound,
    /// `quantile` is missing or no number.
    NoQuantile,
    /// The histogram or summary has too many parts.
    TooMany,
}

impl Rejection {
    /// For the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Rejection::BareHistogram => "a histogram has no series of its bare name but buckets",
            Rejection::NoBound => "the label le is missing or not a number",
            Rejection::NoQuantile => "the label quantile is missing or not a number",
            Rejection::TooMany => "the histogram or summary has more than 2000 buckets or quantiles",
        }
    }
}

/// Part of a histogram or summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DistributionPart {
    /// Bucket or quantile by its place in the layout.
    Value(u16),
    /// `_sum`
    Sum,
    /// `_count`
    Count,
    /// `_created`
    Created,
}

/// No index.
pub(crate) const NONE: u32 = u32::MAX;

/// A number series: one metric with one attribute set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberGroup {
    /// Index in `Tables::metrics`.
    pub(crate) metric: u32,
    /// Attributes of the point.
    pub(crate) attrs: AttrSetId,
    /// Round in which it was last touched.
    pub(crate) round: u32,
    /// Its point in the batch of that round, or [`NONE`].
    pub(crate) point: u32,
    /// Index in the list of start times, or [`NONE`].
    pub(crate) created: u32,
}

/// The start time of a number group, from its `_created` series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Created {
    /// Round in which it was seen.
    pub(crate) round: u32,
    /// Time of the sample, to be equal to that of the value.
    pub(crate) time_ms: i64,
    /// The start time.
    pub(crate) start_unix_nano: u64,
}

/// Histogram or summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DistributionKind {
    /// Values are cumulative bucket counts.
    Histogram,
    /// Values are quantiles.
    Summary,
}

/// One histogram or summary: one metric with one attribute set.
#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    pub(crate) kind: DistributionKind,
    /// Index in `Tables::metrics`.
    pub(crate) metric: u32,
    /// Attributes of the point.
    pub(crate) attrs: AttrSetId,
    /// Index of the layout that names its bounds or quantiles.
    pub(crate) layout: u32,
    /// First of its values.
    pub(crate) values_start: u32,
    /// Values that there is room for.
    pub(crate) values_room: u16,
    /// Which of the fields below are set in this round.
    pub(crate) flags: u8,
    /// Round in which it was last touched.
    pub(crate) round: u32,
    pub(crate) time_ms: i64,
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) start_unix_nano: u64,
}

/// Bits of [`Distribution::flags`].
pub(crate) mod flag {
    /// `count` is set.
    pub(crate) const COUNT: u8 = 1;
    /// `sum` is set.
    pub(crate) const SUM: u8 = 2;
    /// `count` or `sum` has ended.
    pub(crate) const STALE: u8 = 4;
    /// The start time's series has ended.
    pub(crate) const CREATED_STALE: u8 = 8;
    /// There are exemplars.
    pub(crate) const EXEMPLARS: u8 = 16;
}

/// Bits of a value that was not seen in this round. NaNs of samples are all the usual one.
pub(crate) const ABSENT_BITS: u64 = 0x7ff0_0000_0000_00a0;
/// Bits of a value whose series has ended (Prometheus' stale marker).
pub(crate) const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A sample as it reaches a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) value: Option<f64>,
    pub(crate) time_ms: i64,
}

impl Sample {
    /// The bits to keep for a bucket or quantile.
    pub(crate) fn bits(self) -> u64 {
        self.value.map_or(STALE_BITS, f64::to_bits)
    }

    /// OTLP time.
    pub(crate) fn time_unix_nano(self) -> u64 {
        unix_nano(self.time_ms)
    }
}

/// Milliseconds to OTLP time; times before 1970 are 0.
pub(crate) fn unix_nano(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}

/// Seconds to OTLP time, as a `_created` sample has them.
pub(crate) fn seconds_to_nano(seconds: f64) -> u64 {
    // Whole seconds and the rest separately, as a float has too few digits for nanoseconds.
    if !seconds.is_finite() || seconds <= 0.0 {
        return 0;
    }
    let whole = seconds.trunc();
    (whole as u64).saturating_mul(1_000_000_000).saturating_add(((seconds - whole) * 1e9) as u64)
}
