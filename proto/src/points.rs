//! Data points, one row type per OTLP point kind; variable parts are ranges into arrays of the batch.

use crate::attrs::AttrSetId;

/// OTLP `DataPointFlags` bit 0: the series has ended ("no recorded value", a Prometheus staleness marker).
pub const FLAG_NO_RECORDED_VALUE: u32 = 1;

/// A range in one of the batch's arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Range32 {
    /// First index.
    pub start: u32,
    /// Number of elements.
    pub len: u32,
}

impl Range32 {
    /// The part of `items` that this range names.
    pub fn of<T>(self, items: &[T]) -> &[T] {
        &items[self.start as usize..][..self.len as usize]
    }
}

/// Value of a number point (`NumberDataPoint.value`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberValue {
    /// `as_int`.
    Int(i64),
    /// `as_double`.
    Double(f64),
    /// The oneof was absent.
    None,
}

/// A gauge or sum point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberPoint {
    /// Index in `Tables::metrics`.
    pub metric: u32,
    /// Attributes.
    pub attrs: AttrSetId,
    /// `time_unix_nano`.
    pub time_unix_nano: u64,
    /// `start_time_unix_nano`, 0 when unknown.
    pub start_unix_nano: u64,
    /// The value.
    pub value: NumberValue,
    /// OTLP flags.
    pub flags: u32,
    /// Range in `Batch::exemplars`.
    pub exemplars: Range32,
}

/// A histogram point with explicit bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistogramPoint {
    /// Index in `Tables::metrics`.
    pub metric: u32,
    /// Attributes.
    pub attrs: AttrSetId,
    /// `time_unix_nano`.
    pub time_unix_nano: u64,
    /// `start_time_unix_nano`, 0 when unknown.
    pub start_unix_nano: u64,
    /// `count`.
    pub count: u64,
    /// `sum`.
    pub sum: Option<f64>,
    /// `min`.
    pub min: Option<f64>,
    /// `max`.
    pub max: Option<f64>,
    /// `explicit_bounds`: range in `Batch::bounds`.
    pub bounds: Range32,
    /// `bucket_counts`: range in `Batch::counts`.
    pub counts: Range32,
    /// OTLP flags.
    pub flags: u32,
    /// Range in `Batch::exemplars`.
    pub exemplars: Range32,
}

/// One side of an exponential histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExponentialBuckets {
    /// Whether the `Buckets` message was there at all.
    pub present: bool,
    /// `offset`.
    pub offset: i32,
    /// `bucket_counts`: range in `Batch::counts`.
    pub counts: Range32,
}

/// An exponential histogram point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialPoint {
    /// Index in `Tables::metrics`.
    pub metric: u32,
    /// Attributes.
    pub attrs: AttrSetId,
    /// `time_unix_nano`.
    pub time_unix_nano: u64,
    /// `start_time_unix_nano`, 0 when unknown.
    pub start_unix_nano: u64,
    /// `count`.
    pub count: u64,
    /// `sum`.
    pub sum: Option<f64>,
    /// `min`.
    pub min: Option<f64>,
    /// `max`.
    pub max: Option<f64>,
    /// `scale`.
    pub scale: i32,
    /// `zero_count`.
    pub zero_count: u64,
    /// `zero_threshold`.
    pub zero_threshold: f64,
    /// `positive`.
    pub positive: ExponentialBuckets,
    /// `negative`.
    pub negative: ExponentialBuckets,
    /// OTLP flags.
    pub flags: u32,
    /// Range in `Batch::exemplars`.
    pub exemplars: Range32,
}

/// A summary point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SummaryPoint {
    /// Index in `Tables::metrics`.
    pub metric: u32,
    /// Attributes.
    pub attrs: AttrSetId,
    /// `time_unix_nano`.
    pub time_unix_nano: u64,
    /// `start_time_unix_nano`, 0 when unknown.
    pub start_unix_nano: u64,
    /// `count`.
    pub count: u64,
    /// `sum`.
    pub sum: f64,
    /// Range in `Batch::quantiles`.
    pub quantiles: Range32,
    /// OTLP flags.
    pub flags: u32,
}

/// `ValueAtQuantile`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// 0 to 1.
    pub quantile: f64,
    /// Value at that quantile.
    pub value: f64,
}

/// An exemplar of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// `filtered_attributes`.
    pub attrs: AttrSetId,
    /// `time_unix_nano`.
    pub time_unix_nano: u64,
    /// The value.
    pub value: NumberValue,
    /// `trace_id` and its length in bytes (0 or 16 when valid; other lengths are refused at decode).
    pub trace_id: Option<[u8; 16]>,
    /// `span_id`.
    pub span_id: Option<[u8; 8]>,
}

/// What the four point kinds have in common.
pub trait Point {
    /// Index in `Tables::metrics`.
    fn metric(&self) -> u32;
    /// Moves the point to another metric.
    fn set_metric(&mut self, metric: u32);
    /// Attributes.
    fn attrs(&self) -> AttrSetId;
    /// Replaces the attributes.
    fn set_attrs(&mut self, attrs: AttrSetId);
    /// Time of the observation.
    fn time_unix_nano(&self) -> u64;
    /// Replaces the time of the observation.
    fn set_time_unix_nano(&mut self, time: u64);
    /// OTLP flags.
    fn flags(&self) -> u32;
    /// Whether this is a staleness marker.
    fn is_stale(&self) -> bool {
        self.flags() & FLAG_NO_RECORDED_VALUE != 0
    }
}

macro_rules! point {
    ($($t:ty),*) => {$(
        impl Point for $t {
            fn metric(&self) -> u32 { self.metric }
            fn set_metric(&mut self, metric: u32) { self.metric = metric; }
            fn attrs(&self) -> AttrSetId { self.attrs }
            fn set_attrs(&mut self, attrs: AttrSetId) { self.attrs = attrs; }
            fn time_unix_nano(&self) -> u64 { self.time_unix_nano }
            fn set_time_unix_nano(&mut self, time: u64) { self.time_unix_nano = time; }
            fn flags(&self) -> u32 { self.flags }
        }
    )*};
}
point!(NumberPoint, HistogramPoint, ExponentialPoint, SummaryPoint);
