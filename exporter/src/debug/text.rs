//! A batch as text for people, in the layout of the Collector's `debug` exporter: `normal` has a line per point,
//! `detailed` everything that is known. Where the text goes is decided in `mod.rs`.

use std::fmt::{self, Write};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use proto::points::Point;
use proto::{
    AttrSetId, Batch, Exemplar, ExponentialPoint, HistogramPoint, NumberValue, Range32, Tables, Temporality, ValueKind,
};

use super::walk::{MetricView, Points, walk};

/// One line per point.
pub(super) fn normal(batch: &Batch) -> String {
    let mut p = Printer { batch, tables: &batch.tables, out: String::new() };
    for (i, r) in walk(batch).iter().enumerate() {
        let schema = p.tables.str(r.resource.schema_url);
        let details = if schema.is_empty() { String::new() } else { format!(" [{schema}]") };
        let attributes = p.spaced(r.resource.attrs);
        p.line(format_args!("ResourceMetrics #{i}{details}{attributes}"));
        for (j, s) in r.scopes.iter().enumerate() {
            let (name, version) = (p.tables.str(s.scope.name), p.tables.str(s.scope.version));
            let schema = p.tables.str(s.scope.schema_url);
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            let version = if version.is_empty() { String::new() } else { format!("@{version}") };
            let schema = if schema.is_empty() { String::new() } else { format!(" [{schema}]") };
            let attributes = p.spaced(s.scope.attrs);
            p.line(format_args!("ScopeMetrics #{j}{name}{version}{schema}{attributes}"));
            s.metrics.iter().for_each(|m| p.point_lines(m));
        }
    }
    p.out
}

/// Everything.
pub(super) fn detailed(batch: &Batch) -> String {
    let mut p = Printer { batch, tables: &batch.tables, out: String::new() };
    for (i, r) in walk(batch).iter().enumerate() {
        p.line(format_args!("ResourceMetrics #{i}"));
        p.line(format_args!("Resource SchemaURL: {}", p.tables.str(r.resource.schema_url)));
        p.attributes("Resource attributes", r.resource.attrs);
        for (j, s) in r.scopes.iter().enumerate() {
            p.line(format_args!("ScopeMetrics #{j}"));
            p.line(format_args!("ScopeMetrics SchemaURL: {}", p.tables.str(s.scope.schema_url)));
            let (name, version) = (p.tables.str(s.scope.name), p.tables.str(s.scope.version));
            p.line(format_args!("InstrumentationScope {name} {version}"));
            p.attributes("InstrumentationScope attributes", s.scope.attrs);
            for (k, m) in s.metrics.iter().enumerate() {
                p.line(format_args!("Metric #{k}"));
                p.metric(m);
            }
        }
    }
    p.out
}

struct Printer<'a> {
    batch: &'a Batch,
    tables: &'a Tables,
    out: String,
}

impl Printer<'_> {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("writing to a string does not fail");
        self.out.push('\n');
    }

    /// ` key=value key=value`
    fn spaced(&self, attrs: AttrSetId) -> String {
        let pairs = self.tables.attrs.pairs(attrs).iter();
        pairs.map(|(k, v)| format!(" {}={}", self.tables.str(*k), self.tables.value_str(*v))).collect()
    }

    fn point_lines(&mut self, m: &MetricView<'_>) {
        match m.points {
            Points::None => {}
            Points::Numbers(points) => {
                for p in points {
                    self.point_line(m, p.attrs, &number(p.value));
                }
            }
            Points::Histograms(points) => {
                for p in points {
                    let mut text = totals(p.count, p.sum, p.min, p.max);
                    let bounds = p.bounds.of(&self.batch.bounds);
                    for (i, n) in p.counts.of(&self.batch.counts).iter().enumerate() {
                        match bounds.get(i) {
                            Some(bound) => text.push_str(&format!(" le{}={n}", go_v(*bound))),
                            None => text.push_str(&format!(" {n}")),
                        }
                    }
                    self.point_line(m, p.attrs, &text);
                }
            }
            Points::Exponentials(points) => {
                for p in points {
                    self.point_line(m, p.attrs, &totals(p.count, p.sum, p.min, p.max));
                }
            }
            Points::Summaries(points) => {
                for p in points {
                    let mut text = totals(p.count, Some(p.sum), None, None);
                    for q in p.quantiles.of(&self.batch.quantiles) {
                        text.push_str(&format!(" q{}={}", go_v(q.quantile), go_v(q.value)));
                    }
                    self.point_line(m, p.attrs, &text);
                }
            }
        }
    }

    fn point_line(&mut self, m: &MetricView<'_>, attrs: AttrSetId, value: &str) {
        let pairs = self.tables.attrs.pairs(attrs).iter();
        let pairs: Vec<_> =
            pairs.map(|(k, v)| format!("{}={}", self.tables.str(*k), self.tables.value_str(*v))).collect();
        self.line(format_args!("{}{{{}}} {value}", self.tables.str(m.metric.name), pairs.join(",")));
    }

    fn attributes(&mut self, title: &str, attrs: AttrSetId) {
        let pairs = self.tables.attrs.pairs(attrs);
        if pairs.is_empty() {
            return;
        }
        self.line(format_args!("{title}:"));
        for (key, value) in pairs {
            let kind = match self.tables.attrs.kind(*value) {
                ValueKind::Str => "Str",
                ValueKind::Bool => "Bool",
                ValueKind::Int => "Int",
                ValueKind::Double => "Double",
                ValueKind::Bytes => "Bytes",
                ValueKind::Array => "Slice",
                ValueKind::Map => "Map",
                ValueKind::Empty => "Empty",
            };
            let (key, text) = (self.tables.str(*key), self.tables.value_str(*value));
            self.line(format_args!("     -> {key}: {kind}({text})"));
        }
    }

    fn metric(&mut self, m: &MetricView<'_>) {
        let kind = match (&m.points, m.metric.kind) {
            (Points::None, _) => "Empty",
            (Points::Numbers(_), proto::MetricKind::Sum) => "Sum",
            (Points::Numbers(_), _) => "Gauge",
            (Points::Histograms(_), _) => "Histogram",
            (Points::Exponentials(_), _) => "ExponentialHistogram",
            (Points::Summaries(_), _) => "Summary",
        };
        self.line(format_args!("Descriptor:"));
        self.line(format_args!("     -> Name: {}", self.tables.str(m.metric.name)));
        self.line(format_args!("     -> Description: {}", self.tables.str(m.metric.description)));
        self.line(format_args!("     -> Unit: {}", self.tables.str(m.metric.unit)));
        self.line(format_args!("     -> DataType: {kind}"));
        if kind == "Sum" {
            self.line(format_args!("     -> IsMonotonic: {}", m.metric.monotonic));
        }
        if matches!(kind, "Sum" | "Histogram" | "ExponentialHistogram") {
            let temporality = match m.metric.temporality {
                Temporality::Unspecified => "Unspecified",
                Temporality::Delta => "Delta",
                Temporality::Cumulative => "Cumulative",
            };
            self.line(format_args!("     -> AggregationTemporality: {temporality}"));
        }
        match m.points {
            Points::None => {}
            Points::Numbers(points) => {
                for (i, p) in points.iter().enumerate() {
                    self.head("NumberDataPoints", i, p, p.start_unix_nano);
                    self.value("Value", p.value);
                    self.exemplars(p.exemplars);
                }
            }
            Points::Histograms(points) => {
                for (i, p) in points.iter().enumerate() {
                    self.head("HistogramDataPoints", i, p, p.start_unix_nano);
                    self.histogram(p);
                }
            }
            Points::Exponentials(points) => {
                for (i, p) in points.iter().enumerate() {
                    self.head("ExponentialHistogramDataPoints", i, p, p.start_unix_nano);
                    self.exponential(p);
                }
            }
            Points::Summaries(points) => {
                for (i, p) in points.iter().enumerate() {
                    self.head("SummaryDataPoints", i, p, p.start_unix_nano);
                    self.line(format_args!("Count: {}", p.count));
                    self.line(format_args!("Sum: {}", go_f(p.sum)));
                    for (j, q) in p.quantiles.of(&self.batch.quantiles).iter().enumerate() {
                        let (quantile, value) = (go_f(q.quantile), go_f(q.value));
                        self.line(format_args!("QuantileValue #{j}: Quantile {quantile}, Value {value}"));
                    }
                }
            }
        }
    }

    fn head(&mut self, title: &str, i: usize, point: &impl Point, start_unix_nano: u64) {
        self.line(format_args!("{title} #{i}"));
        self.attributes("Data point attributes", point.attrs());
        self.line(format_args!("StartTimestamp: {}", go_time(start_unix_nano)));
        self.line(format_args!("Timestamp: {}", go_time(point.time_unix_nano())));
    }

    fn value(&mut self, title: &str, value: NumberValue) {
        match value {
            NumberValue::Int(v) => self.line(format_args!("{title}: {v}")),
            NumberValue::Double(v) => self.line(format_args!("{title}: {}", go_f(v))),
            NumberValue::None => {}
        }
    }

    fn totals(&mut self, count: u64, parts: [(&str, Option<f64>); 3]) {
        self.line(format_args!("Count: {count}"));
        for (title, value) in parts {
            if let Some(value) = value {
                self.line(format_args!("{title}: {}", go_f(value)));
            }
        }
    }

    fn histogram(&mut self, p: &HistogramPoint) {
        self.totals(p.count, [("Sum", p.sum), ("Min", p.min), ("Max", p.max)]);
        for (i, bound) in p.bounds.of(&self.batch.bounds).iter().enumerate() {
            self.line(format_args!("ExplicitBounds #{i}: {}", go_f(*bound)));
        }
        for (i, n) in p.counts.of(&self.batch.counts).iter().enumerate() {
            self.line(format_args!("Buckets #{i}, Count: {n}"));
        }
        self.exemplars(p.exemplars);
    }

    fn exponential(&mut self, p: &ExponentialPoint) {
        self.totals(p.count, [("Sum", p.sum), ("Min", p.min), ("Max", p.max)]);
        // exp(index * ln 2 * 2^-scale) is the lower bound of a bucket.
        let factor = std::f64::consts::LN_2 * 2f64.powi(-p.scale.clamp(-1100, 1100));
        let bound = |offset: i32, i: usize| ((f64::from(offset) + i as f64) * factor).exp();
        let negative = p.negative.counts.of(&self.batch.counts);
        for (i, n) in negative.iter().enumerate().rev() {
            let (lower, upper) = (bound(p.negative.offset, i), bound(p.negative.offset, i + 1));
            self.line(format_args!("Bucket [{}, {}), Count: {n}", go_f(-upper), go_f(-lower)));
        }
        if p.zero_count != 0 {
            self.line(format_args!("Bucket [0, 0], Count: {}", p.zero_count));
        }
        for (i, n) in p.positive.counts.of(&self.batch.counts).iter().enumerate() {
            let (lower, upper) = (bound(p.positive.offset, i), bound(p.positive.offset, i + 1));
            self.line(format_args!("Bucket ({}, {}], Count: {n}", go_f(lower), go_f(upper)));
        }
        self.exemplars(p.exemplars);
    }

    fn exemplars(&mut self, range: Range32) {
        let exemplars: &[Exemplar] = range.of(&self.batch.exemplars);
        if !exemplars.is_empty() {
            self.line(format_args!("Exemplars:"));
        }
        for (i, e) in exemplars.iter().enumerate() {
            self.line(format_args!("Exemplar #{i}"));
            self.line(format_args!("     -> Trace ID: {}", hex(e.trace_id.as_ref().map_or(&[], |id| &id[..]))));
            self.line(format_args!("     -> Span ID: {}", hex(e.span_id.as_ref().map_or(&[], |id| &id[..]))));
            self.line(format_args!("     -> Timestamp: {}", go_time(e.time_unix_nano)));
            self.value("     -> Value", e.value);
            self.attributes("     -> FilteredAttributes", e.attrs);
        }
    }
}

fn totals(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut text = format!("count={count}");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={}", go_v(value)));
        }
    }
    text
}

fn number(value: NumberValue) -> String {
    match value {
        NumberValue::Int(v) => v.to_string(),
        NumberValue::Double(v) => go_v(v),
        NumberValue::None => String::new(),
    }
}

/// Go's `%f`: six digits after the point.
fn go_f(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        v => format!("{v:.6}"),
    }
}

/// Go's `%v`: shortest digits, an exponent from 1e21 on and below 1e-4.
fn go_v(value: f64) -> String {
    let magnitude = value.abs();
    let mut out = Vec::new();
    if magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) {
        proto::number::push_f_f64(&mut out, value);
    } else {
        proto::number::push_g_f64(&mut out, value);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Go's `time.Time.String` in UTC: `2023-11-14 22:13:20.5 +0000 UTC`.
fn go_time(unix_nano: u64) -> String {
    let seconds = i64::try_from(unix_nano / 1_000_000_000).unwrap_or(i64::MAX);
    let text = DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_default();
    let fraction = format!("{:09}", unix_nano % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction} +0000 UTC", text.trim_end_matches('Z').replace('T', " "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
