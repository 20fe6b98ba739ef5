//! A [`Batch`] as one OTLP/JSON document, as the Collector's `file` exporter writes it: camelCase names, 64-bit
//! integers as strings, enums as numbers, ids in hex, zero values left out. Lines and files are the exporter's.

use prost::Message;

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValueList, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;

use super::by_metric::ByMetric;
use super::encode::{group, temporality_number};
use super::json_writer::JsonWriter;
use crate::attrs::{AttrSetId, ValueId, ValueKind};
use crate::batch::Batch;
use crate::points::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, NumberPoint, NumberValue, SummaryPoint,
};
use crate::tables::{Metric, MetricKind, Resource, Scope, Tables, Temporality};

/// Appends the batch as a JSON object without a newline. With `meta.shared_tables`, metrics without points (and
/// scopes and resources without metrics) are left out.
pub fn to_json(batch: &Batch, out: &mut Vec<u8>) {
    let tables = &*batch.tables;
    let points = ByMetric::new(batch);
    let scopes = group(&tables.scopes, tables.resources.len(), |scope| scope.resource);
    let metrics = group(&tables.metrics, tables.scopes.len(), |metric| metric.scope);
    let all = !batch.meta.shared_tables;
    let kept = |metric: &u32| all || !points.is_empty(*metric);
    let has_points = |scope: &u32| all || metrics[*scope as usize].iter().any(kept);
    let mut p = Printer { batch, tables, w: JsonWriter::new(out) };
    p.w.begin(b'{');
    let resources: Vec<_> =
        tables.resources.iter().zip(&scopes).filter(|(_, scopes)| all || scopes.iter().any(has_points)).collect();
    p.list("resourceMetrics", &resources, |p, (resource, scopes)| {
        p.resource(resource);
        let scopes: Vec<_> = scopes.iter().filter(|s| has_points(s)).collect();
        p.list("scopeMetrics", &scopes, |p, &&s| {
            let scope = &tables.scopes[s as usize];
            p.scope(scope);
            let metrics: Vec<_> = metrics[s as usize].iter().filter(|m| kept(m)).collect();
            p.list("metrics", &metrics, |p, &&m| p.metric(&tables.metrics[m as usize], m, &points));
            p.w.text("schemaUrl", tables.str(scope.schema_url));
        });
        p.w.text("schemaUrl", tables.str(resource.schema_url));
    });
    p.w.end(b'}');
}

struct Printer<'a> {
    batch: &'a Batch,
    tables: &'a Tables,
    w: JsonWriter<'a>,
}

impl<'a> Printer<'a> {
    /// An array of objects; left out when empty.
    fn list<'i, T: 'i>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = &'i T>,
        mut each: impl FnMut(&mut Self, &'i T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        self.w.key(key);
        self.w.begin(b'[');
        for item in items {
            self.w.element();
            self.w.begin(b'{');
            each(self, item);
            self.w.end(b'}');
        }
        self.w.end(b']');
    }

    fn resource(&mut self, resource: &Resource) {
        self.w.key("resource");
        self.w.begin(b'{');
        self.attributes("attributes", resource.attrs);
        self.w.number("droppedAttributesCount", u64::from(resource.dropped_attributes));
        // The stored bytes are fields of a resource, checked when they came in.
        let entities = ResourceMessage::decode(&resource.entity_refs[..]).unwrap_or_default().entity_refs;
        self.list("entityRefs", &entities, |p, entity| {
            p.w.text("schemaUrl", &entity.schema_url);
            p.w.text("type", &entity.r#type);
            p.strings("idKeys", &entity.id_keys);
            p.strings("descriptionKeys", &entity.description_keys);
        });
        self.w.end(b'}');
    }

    fn strings(&mut self, key: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.w.key(key);
        self.w.begin(b'[');
        for item in items {
            self.w.element();
            self.w.string(item);
        }
        self.w.end(b']');
    }

    fn scope(&mut self, scope: &Scope) {
        self.w.key("scope");
        self.w.begin(b'{');
        self.w.text("name", self.tables.str(scope.name));
        self.w.text("version", self.tables.str(scope.version));
        self.attributes("attributes", scope.attrs);
        self.w.number("droppedAttributesCount", u64::from(scope.dropped_attributes));
        self.w.end(b'}');
    }

    fn metric(&mut self, metric: &Metric, index: u32, points: &ByMetric) {
        let batch = self.batch;
        self.w.text("name", self.tables.str(metric.name));
        self.w.text("description", self.tables.str(metric.description));
        self.w.text("unit", self.tables.str(metric.unit));
        let key = match metric.kind {
            MetricKind::None => "",
            MetricKind::Gauge => "gauge",
            MetricKind::Sum => "sum",
            MetricKind::Histogram => "histogram",
            MetricKind::ExponentialHistogram => "exponentialHistogram",
            MetricKind::Summary => "summary",
        };
        if metric.kind != MetricKind::None {
            self.w.key(key);
            self.w.begin(b'{');
            match metric.kind {
                MetricKind::None => {}
                MetricKind::Gauge | MetricKind::Sum => {
                    self.list("dataPoints", points.numbers.of(&batch.numbers, index), Self::number);
                }
                MetricKind::Histogram => {
                    self.list("dataPoints", points.histograms.of(&batch.histograms, index), Self::histogram);
                }
                MetricKind::ExponentialHistogram => {
                    self.list("dataPoints", points.exponentials.of(&batch.exponentials, index), Self::exponential);
                }
                MetricKind::Summary => {
                    self.list("dataPoints", points.summaries.of(&batch.summaries, index), Self::summary);
                }
            }
            if metric.temporality != Temporality::Unspecified {
                self.w.number("aggregationTemporality", temporality_number(metric.temporality));
            }
            if metric.monotonic {
                self.w.key("isMonotonic");
                self.w.raw("true");
            }
            self.w.end(b'}');
        }
        self.attributes("metadata", metric.metadata);
    }

    fn number(&mut self, p: &NumberPoint) {
        self.head(p.attrs, p.start_unix_nano, p.time_unix_nano);
        self.value(p.value);
        self.exemplars(p.exemplars.of(&self.batch.exemplars));
        self.w.number("flags", u64::from(p.flags));
    }

    fn histogram(&mut self, p: &HistogramPoint) {
        self.head(p.attrs, p.start_unix_nano, p.time_unix_nano);
        self.w.word("count", p.count);
        self.w.optional("sum", p.sum);
        self.counts(p.counts.of(&self.batch.counts));
        let bounds = p.bounds.of(&self.batch.bounds);
        if !bounds.is_empty() {
            self.w.key("explicitBounds");
            self.w.begin(b'[');
            for &bound in bounds {
                self.w.element();
                self.w.double(bound);
            }
            self.w.end(b']');
        }
        self.exemplars(p.exemplars.of(&self.batch.exemplars));
        self.w.number("flags", u64::from(p.flags));
        self.w.optional("min", p.min);
        self.w.optional("max", p.max);
    }

    fn exponential(&mut self, p: &ExponentialPoint) {
        self.head(p.attrs, p.start_unix_nano, p.time_unix_nano);
        self.w.word("count", p.count);
        self.w.optional("sum", p.sum);
        self.integer("scale", p.scale);
        self.w.word("zeroCount", p.zero_count);
        self.buckets("positive", p.positive);
        self.buckets("negative", p.negative);
        self.w.number("flags", u64::from(p.flags));
        self.exemplars(p.exemplars.of(&self.batch.exemplars));
        self.w.optional("min", p.min);
        self.w.optional("max", p.max);
        self.nonzero("zeroThreshold", p.zero_threshold);
    }

    fn summary(&mut self, p: &SummaryPoint) {
        self.head(p.attrs, p.start_unix_nano, p.time_unix_nano);
        self.w.word("count", p.count);
        self.nonzero("sum", p.sum);
        self.list("quantileValues", p.quantiles.of(&self.batch.quantiles), |p, q| {
            p.nonzero("quantile", q.quantile);
            p.nonzero("value", q.value);
        });
        self.w.number("flags", u64::from(p.flags));
    }

    fn head(&mut self, attrs: AttrSetId, start_unix_nano: u64, time_unix_nano: u64) {
        self.attributes("attributes", attrs);
        self.w.word("startTimeUnixNano", start_unix_nano);
        self.w.word("timeUnixNano", time_unix_nano);
    }

    /// Go's struct holds the buckets by value: an absent message is written as `{}`.
    fn buckets(&mut self, key: &str, buckets: ExponentialBuckets) {
        self.w.key(key);
        self.w.begin(b'{');
        self.integer("offset", buckets.offset);
        self.counts(buckets.counts.of(&self.batch.counts));
        self.w.end(b'}');
    }

    fn counts(&mut self, counts: &[u64]) {
        if counts.is_empty() {
            return;
        }
        self.w.key("bucketCounts");
        self.w.begin(b'[');
        for &count in counts {
            self.w.element();
            self.w.quoted(count);
        }
        self.w.end(b']');
    }

    fn exemplars(&mut self, exemplars: &[Exemplar]) {
        self.list("exemplars", exemplars, |p, e| {
            p.attributes("filteredAttributes", e.attrs);
            p.w.word("timeUnixNano", e.time_unix_nano);
            p.value(e.value);
            p.id("traceId", e.trace_id.as_ref());
            p.id("spanId", e.span_id.as_ref());
        });
    }

    /// Hex; an id of zeros means none.
    fn id<const N: usize>(&mut self, key: &str, id: Option<&[u8; N]>) {
        if let Some(id) = id.filter(|id| id.iter().any(|&b| b != 0)) {
            self.w.key(key);
            self.w.hex(id);
        }
    }

    fn value(&mut self, value: NumberValue) {
        match value {
            NumberValue::Double(value) => {
                self.w.key("asDouble");
                self.w.double(value);
            }
            NumberValue::Int(value) => {
                self.w.key("asInt");
                self.w.quoted(value);
            }
            NumberValue::None => {}
        }
    }

    fn nonzero(&mut self, key: &str, value: f64) {
        self.w.optional(key, (value != 0.0).then_some(value));
    }

    fn integer(&mut self, key: &str, value: i32) {
        if value != 0 {
            self.w.key(key);
            self.w.signed(i64::from(value));
        }
    }

    fn attributes(&mut self, key: &str, set: AttrSetId) {
        let tables = self.tables;
        self.list(key, tables.attrs.pairs(set), |p, &(key, value)| {
            p.w.text("key", tables.str(key));
            p.w.key("value");
            p.w.begin(b'{');
            p.any_value(value);
            p.w.end(b'}');
        });
    }

    fn any_value(&mut self, value: ValueId) {
        let attrs = &self.tables.attrs;
        let bits = attrs.typed(value).map_or(0, |typed| typed.bits);
        let raw = attrs.raw_of(value);
        // The stored bytes of arrays and maps are messages, checked when they came in.
        let nested = match attrs.kind(value) {
            ValueKind::Str => Value::StringValue(self.tables.value_str(value).to_owned()),
            ValueKind::Bool => Value::BoolValue(bits != 0),
            ValueKind::Int => Value::IntValue(bits as i64),
            ValueKind::Double => Value::DoubleValue(f64::from_bits(bits)),
            ValueKind::Bytes => Value::BytesValue(raw.to_vec()),
            ValueKind::Array => Value::ArrayValue(ArrayValue::decode(raw).unwrap_or_default()),
            ValueKind::Map => Value::KvlistValue(KeyValueList::decode(raw).unwrap_or_default()),
            ValueKind::Empty => return,
        };
        self.nested(&nested);
    }

    fn nested(&mut self, value: &Value) {
        match value {
            Value::StringValue(text) => {
                self.w.key("stringValue");
                self.w.string(text);
            }
            Value::BoolValue(value) => {
                self.w.key("boolValue");
                self.w.raw(if *value { "true" } else { "false" });
            }
            Value::IntValue(value) => {
                self.w.key("intValue");
                self.w.quoted(*value);
            }
            Value::DoubleValue(value) => {
                self.w.key("doubleValue");
                self.w.double(*value);
            }
            Value::BytesValue(bytes) => {
                self.w.key("bytesValue");
                self.w.base64(bytes);
            }
            Value::ArrayValue(array) => {
                self.w.key("arrayValue");
                self.w.begin(b'{');
                self.list("values", &array.values, Self::nested_any);
                self.w.end(b'}');
            }
            Value::KvlistValue(map) => {
                self.w.key("kvlistValue");
                self.w.begin(b'{');
                self.list("values", &map.values, |p, pair| {
                    p.w.text("key", &pair.key);
                    p.w.key("value");
                    p.w.begin(b'{');
                    if let Some(value) = &pair.value {
                        p.nested_any(value);
                    }
                    p.w.end(b'}');
                });
                self.w.end(b'}');
            }
            Value::StringValueStrindex(_) => {}
        }
    }

    fn nested_any(&mut self, value: &AnyValue) {
        if let Some(value) = &value.value {
            self.nested(value);
        }
    }
}
