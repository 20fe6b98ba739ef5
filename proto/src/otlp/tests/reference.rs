//! The straightforward way from a batch back to messages, and the form in which messages are compared.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    self as pb, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    SummaryDataPoint, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::points::{ExponentialBuckets, NumberValue, Point, Range32};
use crate::{AttrSetId, Batch, MetricKind, Temporality, ValueId, ValueKind};

/// What a batch holds, as messages.
pub(super) fn content(batch: &Batch) -> ExportMetricsServiceRequest {
    let t = &batch.tables;
    let resource_metrics = (0..t.resources.len()).map(|r| {
        let scopes = t.scopes.iter().enumerate().filter(|(_, s)| s.resource as usize == r);
        let scope_metrics = scopes.map(|(s, scope)| {
            let metrics = t.metrics.iter().enumerate().filter(|(_, m)| m.scope as usize == s);
            ScopeMetrics {
                scope: scope.present.then(|| InstrumentationScope {
                    name: t.str(scope.name).into(),
                    version: t.str(scope.version).into(),
                    attributes: attributes(batch, scope.attrs),
                    dropped_attributes_count: scope.dropped_attributes,
                }),
                metrics: metrics.map(|(m, _)| metric(batch, m as u32)).collect(),
                schema_url: t.str(scope.schema_url).into(),
            }
        });
        let resource = &t.resources[r];
        ResourceMetrics {
            resource: resource.present.then(|| Resource {
                attributes: attributes(batch, resource.attrs),
                dropped_attributes_count: resource.dropped_attributes,
                entity_refs: Resource::decode(&resource.entity_refs[..]).unwrap().entity_refs,
            }),
            scope_metrics: scope_metrics.collect(),
            schema_url: t.str(resource.schema_url).into(),
        }
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

/// Messages with what a batch does not tell apart made equal, as bytes, so that NaN compares too.
pub(super) fn comparable(mut request: ExportMetricsServiceRequest) -> Vec<u8> {
    for rm in &mut request.resource_metrics {
        rm.resource.iter_mut().for_each(|r| r.attributes.iter_mut().for_each(normal_pair));
        for sm in &mut rm.scope_metrics {
            sm.scope.iter_mut().for_each(|s| s.attributes.iter_mut().for_each(normal_pair));
            sm.metrics.iter_mut().for_each(normal_metric);
        }
    }
    request.encode_to_vec()
}

fn normal_metric(metric: &mut pb::Metric) {
    metric.metadata.iter_mut().for_each(normal_pair);
    let normal = |attributes: &mut Vec<KeyValue>, exemplars: &mut Vec<pb::Exemplar>| {
        attributes.iter_mut().for_each(normal_pair);
        exemplars.iter_mut().flat_map(|e| &mut e.filtered_attributes).for_each(normal_pair);
    };
    let temporality = |t: &mut i32| *t = if (0..3).contains(t) { *t } else { 0 };
    match &mut metric.data {
        None => {}
        Some(metric::Data::Gauge(g)) => {
            g.data_points.iter_mut().for_each(|p| normal(&mut p.attributes, &mut p.exemplars));
        }
        Some(metric::Data::Sum(s)) => {
            temporality(&mut s.aggregation_temporality);
            s.data_points.iter_mut().for_each(|p| normal(&mut p.attributes, &mut p.exemplars));
        }
        Some(metric::Data::Histogram(h)) => {
            temporality(&mut h.aggregation_temporality);
            h.data_points.iter_mut().for_each(|p| normal(&mut p.attributes, &mut p.exemplars));
        }
        Some(metric::Data::ExponentialHistogram(h)) => {
            temporality(&mut h.aggregation_temporality);
            h.data_points.iter_mut().for_each(|p| normal(&mut p.attributes, &mut p.exemplars));
        }
        Some(metric::Data::Summary(s)) => {
            s.data_points.iter_mut().for_each(|p| normal(&mut p.attributes, &mut Vec::new()));
        }
    }
}

/// A pair without a value means an empty one; string table indices mean nothing in metrics.
fn normal_pair(pair: &mut KeyValue) {
    pair.key_strindex = 0;
    normal_value(pair.value.get_or_insert_default());
}

fn normal_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::StringValueStrindex(_)) => value.value = None,
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(normal_value),
        Some(Value::KvlistValue(map)) => map.values.iter_mut().for_each(normal_pair),
        _ => {}
    }
}

fn attributes(batch: &Batch, set: AttrSetId) -> Vec<KeyValue> {
    let pairs = batch.tables.attrs.pairs(set).iter();
    pairs
        .map(|&(key, value)| KeyValue {
            key: batch.tables.str(key).into(),
            value: Some(any_value(batch, value)),
            key_strindex: 0,
        })
        .collect()
}

fn any_value(batch: &Batch, value: ValueId) -> AnyValue {
    let attrs = &batch.tables.attrs;
    let bits = || attrs.typed(value).unwrap().bits;
    let value = match attrs.kind(value) {
        ValueKind::Str => Some(Value::StringValue(batch.tables.value_str(value).into())),
        ValueKind::Bool => Some(Value::BoolValue(bits() == 1)),
        ValueKind::Int => Some(Value::IntValue(bits() as i64)),
        ValueKind::Double => Some(Value::DoubleValue(f64::from_bits(bits()))),
        ValueKind::Bytes => Some(Value::BytesValue(attrs.raw_of(value).to_vec())),
        ValueKind::Array => Some(Value::ArrayValue(ArrayValue::decode(attrs.raw_of(value)).unwrap())),
        ValueKind::Map => Some(Value::KvlistValue(KeyValueList::decode(attrs.raw_of(value)).unwrap())),
        ValueKind::Empty => None,
    };
    AnyValue { value }
}

fn of<P: Point>(points: &[P], metric: u32) -> impl Iterator<Item = &P> {
    points.iter().filter(move |p| p.metric() == metric)
}

fn metric(b: &Batch, index: u32) -> pb::Metric {
    let t = &b.tables;
    let m = &t.metrics[index as usize];
    let aggregation_temporality = match m.temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    };
    let numbers = || of(&b.numbers, index).map(|p| number(b, p)).collect();
    let data = match m.kind {
        MetricKind::None => None,
        MetricKind::Gauge => Some(metric::Data::Gauge(pb::Gauge { data_points: numbers() })),
        MetricKind::Sum => Some(metric::Data::Sum(pb::Sum {
            data_points: numbers(),
            aggregation_temporality,
            is_monotonic: m.monotonic,
        })),
        MetricKind::Histogram => Some(metric::Data::Histogram(pb::Histogram {
            data_points: of(&b.histograms, index).map(|p| histogram(b, p)).collect(),
            aggregation_temporality,
        })),
        MetricKind::ExponentialHistogram => Some(metric::Data::ExponentialHistogram(pb::ExponentialHistogram {
            data_points: of(&b.exponentials, index).map(|p| exponential(b, p)).collect(),
            aggregation_temporality,
        })),
        MetricKind::Summary => Some(metric::Data::Summary(pb::Summary {
            data_points: of(&b.summaries, index).map(|p| summary(b, p)).collect(),
        })),
    };
    pb::Metric {
        name: t.str(m.name).into(),
        description: t.str(m.description).into(),
        unit: t.str(m.unit).into(),
        metadata: attributes(b, m.metadata),
        data,
    }
}

fn number(b: &Batch, p: &crate::NumberPoint) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(b, p.attrs),
        start_time_unix_nano: p.start_unix_nano,
        time_unix_nano: p.time_unix_nano,
        exemplars: exemplars(b, p.exemplars),
        flags: p.flags,
        value: match p.value {
            NumberValue::Int(v) => Some(pb::number_data_point::Value::AsInt(v)),
            NumberValue::Double(v) => Some(pb::number_data_point::Value::AsDouble(v)),
            NumberValue::None => None,
        },
    }
}

fn histogram(b: &Batch, p: &crate::HistogramPoint) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(b, p.attrs),
        start_time_unix_nano: p.start_unix_nano,
        time_unix_nano: p.time_unix_nano,
        count: p.count,
        sum: p.sum,
        bucket_counts: p.counts.of(&b.counts).to_vec(),
        explicit_bounds: p.bounds.of(&b.bounds).to_vec(),
        exemplars: exemplars(b, p.exemplars),
        flags: p.flags,
        min: p.min,
        max: p.max,
    }
}

fn exponential(b: &Batch, p: &crate::ExponentialPoint) -> ExponentialHistogramDataPoint {
    let buckets = |s: ExponentialBuckets| {
        s.present.then(|| Buckets { offset: s.offset, bucket_counts: s.counts.of(&b.counts).to_vec() })
    };
    ExponentialHistogramDataPoint {
        attributes: attributes(b, p.attrs),
        start_time_unix_nano: p.start_unix_nano,
        time_unix_nano: p.time_unix_nano,
        count: p.count,
        sum: p.sum,
        scale: p.scale,
        zero_count: p.zero_count,
        positive: buckets(p.positive),
        negative: buckets(p.negative),
        flags: p.flags,
        exemplars: exemplars(b, p.exemplars),
        min: p.min,
        max: p.max,
        zero_threshold: p.zero_threshold,
    }
}

fn summary(b: &Batch, p: &crate::SummaryPoint) -> SummaryDataPoint {
    let quantiles = p.quantiles.of(&b.quantiles).iter();
    SummaryDataPoint {
        attributes: attributes(b, p.attrs),
        start_time_unix_nano: p.start_unix_nano,
        time_unix_nano: p.time_unix_nano,
        count: p.count,
        sum: p.sum,
        quantile_values: quantiles.map(|q| ValueAtQuantile { quantile: q.quantile, value: q.value }).collect(),
        flags: p.flags,
    }
}

fn exemplars(b: &Batch, range: Range32) -> Vec<pb::Exemplar> {
    let exemplars = range.of(&b.exemplars).iter();
    exemplars
        .map(|e| pb::Exemplar {
            filtered_attributes: attributes(b, e.attrs),
            time_unix_nano: e.time_unix_nano,
            span_id: e.span_id.map(Vec::from).unwrap_or_default(),
            trace_id: e.trace_id.map(Vec::from).unwrap_or_default(),
            value: match e.value {
                NumberValue::Int(v) => Some(pb::exemplar::Value::AsInt(v)),
                NumberValue::Double(v) => Some(pb::exemplar::Value::AsDouble(v)),
                NumberValue::None => None,
            },
        })
        .collect()
}
