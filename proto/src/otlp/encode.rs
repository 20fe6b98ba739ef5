//! A [`Batch`] as the bytes of an `ExportMetricsServiceRequest`.

use crate::attrs::{AttrSetId, ValueId, ValueKind};
use crate::batch::Batch;
use crate::points::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, NumberPoint, NumberValue, SummaryPoint,
};
use crate::symbols::SymbolId;
use crate::tables::{Metric, MetricKind, Resource, Scope, Tables, Temporality};

use super::by_metric::ByMetric;
use super::writer::{open, push_bytes, push_double, push_fixed64, push_key, push_packed, push_sint32, push_varint};
use super::writer::{push_string, varint_field};

/// Appends the batch as a serialized request. Points are grouped by metric in whatever order the columns are;
/// with `meta.shared_tables`, metrics without points (and scopes and resources without metrics) are left out.
///
/// Always encodes: an exporter that may forward `meta.raw` checks for it first.
pub fn encode(batch: &Batch, out: &mut Vec<u8>) {
    let tables = &*batch.tables;
    let points = ByMetric::new(batch);
    let scopes = group(&tables.scopes, tables.resources.len(), |scope| scope.resource);
    let metrics = group(&tables.metrics, tables.scopes.len(), |metric| metric.scope);
    let kept = |metric: &u32| !batch.meta.shared_tables || !points.is_empty(*metric);
    let mut encoder = Encoder { batch, tables, out };
    for (resource, scopes) in tables.resources.iter().zip(&scopes) {
        if batch.meta.shared_tables && !scopes.iter().any(|&s| metrics[s as usize].iter().any(kept)) {
            continue;
        }
        let envelope = open(encoder.out, 1, 3);
        encoder.resource(resource);
        for &s in scopes {
            let metrics = &metrics[s as usize];
            if batch.meta.shared_tables && !metrics.iter().any(kept) {
                continue;
            }
            let envelope = open(encoder.out, 2, 3);
            let scope = &tables.scopes[s as usize];
            encoder.scope(scope);
            for &m in metrics.iter().filter(|m| kept(m)) {
                encoder.metric(&tables.metrics[m as usize], m, &points);
            }
            encoder.string(3, scope.schema_url);
            envelope.close(encoder.out);
        }
        encoder.string(3, resource.schema_url);
        envelope.close(encoder.out);
    }
}

/// Indices of `items` by the parent each names, in their order.
pub(super) fn group<T>(items: &[T], parents: usize, parent: impl Fn(&T) -> u32) -> Vec<Vec<u32>> {
    let mut groups = vec![Vec::new(); parents];
    for (i, item) in items.iter().enumerate() {
        if let Some(group) = groups.get_mut(parent(item) as usize) {
            group.push(i as u32);
        }
    }
    groups
}

struct Encoder<'a> {
    batch: &'a Batch,
    tables: &'a Tables,
    out: &'a mut Vec<u8>,
}

impl Encoder<'_> {
    fn resource(&mut self, resource: &Resource) {
        if !resource.present {
            return;
        }
        let message = open(self.out, 1, 2);
        self.attributes(1, resource.attrs);
        varint_field(self.out, 2, u64::from(resource.dropped_attributes));
        self.out.extend_from_slice(&resource.entity_refs);
        message.close(self.out);
    }

    fn scope(&mut self, scope: &Scope) {
        if !scope.present {
            return;
        }
        let message = open(self.out, 1, 1);
        self.string(1, scope.name);
        self.string(2, scope.version);
        self.attributes(3, scope.attrs);
        varint_field(self.out, 4, u64::from(scope.dropped_attributes));
        message.close(self.out);
    }

    fn metric(&mut self, metric: &Metric, index: u32, points: &ByMetric) {
        let message = open(self.out, 2, 2);
        self.string(1, metric.name);
        self.string(2, metric.description);
        self.string(3, metric.unit);
        self.data(metric, index, points);
        self.attributes(12, metric.metadata);
        message.close(self.out);
    }

    fn data(&mut self, metric: &Metric, index: u32, points: &ByMetric) {
        let tag = match metric.kind {
            MetricKind::None => return,
            MetricKind::Gauge => 5,
            MetricKind::Sum => 7,
            MetricKind::Histogram => 9,
            MetricKind::ExponentialHistogram => 10,
            MetricKind::Summary => 11,
        };
        let batch = self.batch;
        let message = open(self.out, tag, 2);
        match metric.kind {
            MetricKind::None => {}
            MetricKind::Gauge | MetricKind::Sum => {
                points.numbers.of(&batch.numbers, index).for_each(|p| self.number(p));
            }
            MetricKind::Histogram => points.histograms.of(&batch.histograms, index).for_each(|p| self.histogram(p)),
            MetricKind::ExponentialHistogram => {
                points.exponentials.of(&batch.exponentials, index).for_each(|p| self.exponential(p));
            }
            MetricKind::Summary => points.summaries.of(&batch.summaries, index).for_each(|p| self.summary(p)),
        }
        if matches!(metric.kind, MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram) {
            varint_field(self.out, 2, temporality_number(metric.temporality));
        }
        if metric.kind == MetricKind::Sum {
            varint_field(self.out, 3, u64::from(metric.monotonic));
        }
        message.close(self.out);
    }

    fn number(&mut self, p: &NumberPoint) {
        let message = open(self.out, 1, 1);
        self.fixed64(2, p.start_unix_nano);
        self.fixed64(3, p.time_unix_nano);
        self.value(4, 6, p.value);
        self.exemplars(5, p.exemplars.of(&self.batch.exemplars));
        self.attributes(7, p.attrs);
        varint_field(self.out, 8, u64::from(p.flags));
        message.close(self.out);
    }

    fn histogram(&mut self, p: &HistogramPoint) {
        let message = open(self.out, 1, 2);
        self.fixed64(2, p.start_unix_nano);
        self.fixed64(3, p.time_unix_nano);
        self.fixed64(4, p.count);
        self.optional(5, p.sum);
        push_packed(self.out, 6, p.counts.of(&self.batch.counts).iter().map(|c| c.to_le_bytes()));
        push_packed(self.out, 7, p.bounds.of(&self.batch.bounds).iter().map(|b| b.to_le_bytes()));
        self.exemplars(8, p.exemplars.of(&self.batch.exemplars));
        self.attributes(9, p.attrs);
        varint_field(self.out, 10, u64::from(p.flags));
        self.optional(11, p.min);
        self.optional(12, p.max);
        message.close(self.out);
    }

    fn exponential(&mut self, p: &ExponentialPoint) {
        let message = open(self.out, 1, 2);
        self.attributes(1, p.attrs);
        self.fixed64(2, p.start_unix_nano);
        self.fixed64(3, p.time_unix_nano);
        self.fixed64(4, p.count);
        self.optional(5, p.sum);
        push_sint32(self.out, 6, p.scale);
        self.fixed64(7, p.zero_count);
        self.buckets(8, p.positive);
        self.buckets(9, p.negative);
        varint_field(self.out, 10, u64::from(p.flags));
        self.exemplars(11, p.exemplars.of(&self.batch.exemplars));
        self.optional(12, p.min);
        self.optional(13, p.max);
        self.double(14, p.zero_threshold);
        message.close(self.out);
    }

    fn summary(&mut self, p: &SummaryPoint) {
        let message = open(self.out, 1, 1);
        self.fixed64(2, p.start_unix_nano);
        self.fixed64(3, p.time_unix_nano);
        self.fixed64(4, p.count);
        self.double(5, p.sum);
        for q in p.quantiles.of(&self.batch.quantiles) {
            let message = open(self.out, 6, 1);
            self.double(1, q.quantile);
            self.double(2, q.value);
            message.close(self.out);
        }
        self.attributes(7, p.attrs);
        varint_field(self.out, 8, u64::from(p.flags));
        message.close(self.out);
    }

    fn buckets(&mut self, tag: u32, buckets: ExponentialBuckets) {
        if !buckets.present {
            return;
        }
        let message = open(self.out, tag, 1);
        push_sint32(self.out, 1, buckets.offset);
        let counts = buckets.counts.of(&self.batch.counts);
        if !counts.is_empty() {
            let packed = open(self.out, 2, 1);
            counts.iter().for_each(|&count| push_varint(self.out, count));
            packed.close(self.out);
        }
        message.close(self.out);
    }

    fn exemplars(&mut self, tag: u32, exemplars: &[Exemplar]) {
        for e in exemplars {
            let message = open(self.out, tag, 1);
            self.fixed64(2, e.time_unix_nano);
            self.value(3, 6, e.value);
            if let Some(id) = e.span_id {
                push_bytes(self.out, 4, &id);
            }
            if let Some(id) = e.trace_id {
                push_bytes(self.out, 5, &id);
            }
            self.attributes(7, e.attrs);
            message.close(self.out);
        }
    }

    fn attributes(&mut self, tag: u32, set: AttrSetId) {
        for &(key, value) in self.tables.attrs.pairs(set) {
            let pair = open(self.out, tag, 1);
            self.string(1, key);
            self.any_value(value);
            pair.close(self.out);
        }
    }

    fn any_value(&mut self, value: ValueId) {
        let message = open(self.out, 2, 1);
        let attrs = &self.tables.attrs;
        match attrs.typed(value) {
            None => push_bytes(self.out, 1, self.tables.value_str(value).as_bytes()),
            Some(typed) => match typed.kind {
                ValueKind::Str => push_bytes(self.out, 1, self.tables.value_str(value).as_bytes()),
                ValueKind::Bool => {
                    push_key(self.out, 2, 0);
                    push_varint(self.out, typed.bits);
                }
                ValueKind::Int => {
                    push_key(self.out, 3, 0);
                    push_varint(self.out, typed.bits);
                }
                ValueKind::Double => push_double(self.out, 4, f64::from_bits(typed.bits)),
                ValueKind::Array => push_bytes(self.out, 5, attrs.raw_of(value)),
                ValueKind::Map => push_bytes(self.out, 6, attrs.raw_of(value)),
                ValueKind::Bytes => push_bytes(self.out, 7, attrs.raw_of(value)),
                ValueKind::Empty => {}
            },
        }
        message.close(self.out);
    }

    fn string(&mut self, tag: u32, id: SymbolId) {
        push_string(self.out, tag, self.tables.str(id));
    }

    /// A `fixed64` field, absent when zero.
    fn fixed64(&mut self, tag: u32, value: u64) {
        if value != 0 {
            push_fixed64(self.out, tag, value);
        }
    }

    /// A `double` field without presence: absent when it is zero (a negative zero stays).
    fn double(&mut self, tag: u32, value: f64) {
        if value.to_bits() != 0 {
            push_double(self.out, tag, value);
        }
    }

    fn optional(&mut self, tag: u32, value: Option<f64>) {
        if let Some(value) = value {
            push_double(self.out, tag, value);
        }
    }

    fn value(&mut self, double: u32, int: u32, value: NumberValue) {
        match value {
            NumberValue::Double(value) => push_double(self.out, double, value),
            NumberValue::Int(value) => push_fixed64(self.out, int, value as u64),
            NumberValue::None => {}
        }
    }
}

/// `AggregationTemporality` as its number.
pub(super) fn temporality_number(temporality: Temporality) -> u64 {
    match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}
