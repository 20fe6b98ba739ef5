//! The member names of each OTLP message in JSON: camelCase, and snake_case as the Collector accepts it too.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::de::MapAccess;

use super::json::{JsonMessage, Members};

/// Implements [`JsonMessage`] by a table of member names and how each is read.
macro_rules! members {
    ($($message:ty { $($($name:literal)|+ => |$to:ident, $from:ident| $read:expr,)* })*) => {$(
        impl JsonMessage for $message {
            fn member<'de, A: MapAccess<'de>>(
                &mut self,
                key: &str,
                from: &mut Members<'_, '_, A>,
            ) -> Result<bool, A::Error> {
                match key {
                    $($($name)|+ => { let ($to, $from) = (self, from); $read })*
                    _ => Ok(false),
                }
            }
        }
    )*};
}

/// A new oneof variant replaces the one before, as Go's reader does.
macro_rules! variant {
    ($to:expr, $from:ident.$read:ident($value:expr $(, $more:expr)?) => $variant:expr) => {{
        let mut value = $value;
        let read = $from.$read(&mut value $(, $more)?)?;
        $to = Some($variant(value));
        Ok(read)
    }};
}

/// As [`variant`] for scalars, where `null` is no value.
macro_rules! scalar_variant {
    ($to:expr, $from:ident => $variant:expr) => {{
        let mut value = None;
        let read = $from.optional_scalar(&mut value)?;
        if let Some(value) = value {
            $to = Some($variant(value));
        }
        Ok(read)
    }};
}

members! {
    ExportMetricsServiceRequest {
        "resourceMetrics" | "resource_metrics" => |m, from| from.list(&mut m.resource_metrics),
    }
    ResourceMetrics {
        "resource" => |m, from| from.optional(&mut m.resource),
        "scopeMetrics" | "scope_metrics" => |m, from| from.list(&mut m.scope_metrics),
        "schemaUrl" | "schema_url" => |m, from| from.scalar(&mut m.schema_url),
    }
    Resource {
        "attributes" => |m, from| from.list(&mut m.attributes),
        "droppedAttributesCount" | "dropped_attributes_count" => |m, from| from.scalar(&mut m.dropped_attributes_count),
        "entityRefs" | "entity_refs" => |m, from| from.list(&mut m.entity_refs),
    }
    EntityRef {
        "schemaUrl" | "schema_url" => |m, from| from.scalar(&mut m.schema_url),
        "type" => |m, from| from.scalar(&mut m.r#type),
        "idKeys" | "id_keys" => |m, from| from.scalars(&mut m.id_keys),
        "descriptionKeys" | "description_keys" => |m, from| from.scalars(&mut m.description_keys),
    }
    ScopeMetrics {
        "scope" => |m, from| from.optional(&mut m.scope),
        "metrics" => |m, from| from.list(&mut m.metrics),
        "schemaUrl" | "schema_url" => |m, from| from.scalar(&mut m.schema_url),
    }
    InstrumentationScope {
        "name" => |m, from| from.scalar(&mut m.name),
        "version" => |m, from| from.scalar(&mut m.version),
        "attributes" => |m, from| from.list(&mut m.attributes),
        "droppedAttributesCount" | "dropped_attributes_count" => |m, from| from.scalar(&mut m.dropped_attributes_count),
    }
    Metric {
        "name" => |m, from| from.scalar(&mut m.name),
        "description" => |m, from| from.scalar(&mut m.description),
        "unit" => |m, from| from.scalar(&mut m.unit),
        "metadata" => |m, from| from.list(&mut m.metadata),
        "gauge" => |m, from| variant!(m.data, from.message(Gauge::default()) => metric::Data::Gauge),
        "sum" => |m, from| variant!(m.data, from.message(Sum::default()) => metric::Data::Sum),
        "histogram" => |m, from| variant!(m.data, from.message(Histogram::default()) => metric::Data::Histogram),
        "exponentialHistogram" | "exponential_histogram" => |m, from| {
            variant!(m.data, from.message(ExponentialHistogram::default()) => metric::Data::ExponentialHistogram)
        },
        "summary" => |m, from| variant!(m.data, from.message(Summary::default()) => metric::Data::Summary),
    }
    Gauge {
        "dataPoints" | "data_points" => |m, from| from.list(&mut m.data_points),
    }
    Sum {
        "dataPoints" | "data_points" => |m, from| from.list(&mut m.data_points),
        "aggregationTemporality" | "aggregation_temporality" => |m, from| {
            from.enumeration(&mut m.aggregation_temporality, temporality)
        },
        "isMonotonic" | "is_monotonic" => |m, from| from.scalar(&mut m.is_monotonic),
    }
    Histogram {
        "dataPoints" | "data_points" => |m, from| from.list(&mut m.data_points),
        "aggregationTemporality" | "aggregation_temporality" => |m, from| {
            from.enumeration(&mut m.aggregation_temporality, temporality)
        },
    }
    ExponentialHistogram {
        "dataPoints" | "data_points" => |m, from| from.list(&mut m.data_points),
        "aggregationTemporality" | "aggregation_temporality" => |m, from| {
            from.enumeration(&mut m.aggregation_temporality, temporality)
        },
    }
    Summary {
        "dataPoints" | "data_points" => |m, from| from.list(&mut m.data_points),
    }
    NumberDataPoint {
        "attributes" => |m, from| from.list(&mut m.attributes),
        "startTimeUnixNano" | "start_time_unix_nano" => |m, from| from.scalar(&mut m.start_time_unix_nano),
        "timeUnixNano" | "time_unix_nano" => |m, from| from.scalar(&mut m.time_unix_nano),
        "asDouble" | "as_double" => |m, from| scalar_variant!(m.value, from => number_data_point::Value::AsDouble),
        "asInt" | "as_int" => |m, from| scalar_variant!(m.value, from => number_data_point::Value::AsInt),
        "exemplars" => |m, from| from.list(&mut m.exemplars),
        "flags" => |m, from| from.scalar(&mut m.flags),
    }
    HistogramDataPoint {
        "attributes" => |m, from| from.list(&mut m.attributes),
        "startTimeUnixNano" | "start_time_unix_nano" => |m, from| from.scalar(&mut m.start_time_unix_nano),
        "timeUnixNano" | "time_unix_nano" => |m, from| from.scalar(&mut m.time_unix_nano),
        "count" => |m, from| from.scalar(&mut m.count),
        "sum" => |m, from| from.optional_scalar(&mut m.sum),
        "bucketCounts" | "bucket_counts" => |m, from| from.scalars(&mut m.bucket_counts),
        "explicitBounds" | "explicit_bounds" => |m, from| from.scalars(&mut m.explicit_bounds),
        "exemplars" => |m, from| from.list(&mut m.exemplars),
        "flags" => |m, from| from.scalar(&mut m.flags),
        "min" => |m, from| from.optional_scalar(&mut m.min),
        "max" => |m, from| from.optional_scalar(&mut m.max),
    }
    ExponentialHistogramDataPoint {
        "attributes" => |m, from| from.list(&mut m.attributes),
        "startTimeUnixNano" | "start_time_unix_nano" => |m, from| from.scalar(&mut m.start_time_unix_nano),
        "timeUnixNano" | "time_unix_nano" => |m, from| from.scalar(&mut m.time_unix_nano),
        "count" => |m, from| from.scalar(&mut m.count),
        "sum" => |m, from| from.optional_scalar(&mut m.sum),
        "scale" => |m, from| from.scalar(&mut m.scale),
        "zeroCount" | "zero_count" => |m, from| from.scalar(&mut m.zero_count),
        "zeroThreshold" | "zero_threshold" => |m, from| from.scalar(&mut m.zero_threshold),
        "positive" => |m, from| from.optional(&mut m.positive),
        "negative" => |m, from| from.optional(&mut m.negative),
        "exemplars" => |m, from| from.list(&mut m.exemplars),
        "flags" => |m, from| from.scalar(&mut m.flags),
        "min" => |m, from| from.optional_scalar(&mut m.min),
        "max" => |m, from| from.optional_scalar(&mut m.max),
    }
    Buckets {
        "offset" => |m, from| from.scalar(&mut m.offset),
        "bucketCounts" | "bucket_counts" => |m, from| from.scalars(&mut m.bucket_counts),
    }
    SummaryDataPoint {
        "attributes" => |m, from| from.list(&mut m.attributes),
        "startTimeUnixNano" | "start_time_unix_nano" => |m, from| from.scalar(&mut m.start_time_unix_nano),
        "timeUnixNano" | "time_unix_nano" => |m, from| from.scalar(&mut m.time_unix_nano),
        "count" => |m, from| from.scalar(&mut m.count),
        "sum" => |m, from| from.scalar(&mut m.sum),
        "quantileValues" | "quantile_values" => |m, from| from.list(&mut m.quantile_values),
        "flags" => |m, from| from.scalar(&mut m.flags),
    }
    ValueAtQuantile {
        "quantile" => |m, from| from.scalar(&mut m.quantile),
        "value" => |m, from| from.scalar(&mut m.value),
    }
    Exemplar {
        "filteredAttributes" | "filtered_attributes" => |m, from| from.list(&mut m.filtered_attributes),
        "timeUnixNano" | "time_unix_nano" => |m, from| from.scalar(&mut m.time_unix_nano),
        "asDouble" | "as_double" => |m, from| scalar_variant!(m.value, from => exemplar::Value::AsDouble),
        "asInt" | "as_int" => |m, from| scalar_variant!(m.value, from => exemplar::Value::AsInt),
        "traceId" | "trace_id" => |m, from| from.bytes(&mut m.trace_id, true),
        "spanId" | "span_id" => |m, from| from.bytes(&mut m.span_id, true),
    }
    KeyValue {
        "key" => |m, from| from.scalar(&mut m.key),
        "value" => |m, from| from.optional(&mut m.value),
    }
    AnyValue {
        "stringValue" | "string_value" => |m, from| scalar_variant!(m.value, from => any_value::Value::StringValue),
        "boolValue" | "bool_value" => |m, from| scalar_variant!(m.value, from => any_value::Value::BoolValue),
        "intValue" | "int_value" => |m, from| scalar_variant!(m.value, from => any_value::Value::IntValue),
        "doubleValue" | "double_value" => |m, from| scalar_variant!(m.value, from => any_value::Value::DoubleValue),
        "bytesValue" | "bytes_value" => |m, from| {
            variant!(m.value, from.bytes(Vec::new(), false) => any_value::Value::BytesValue)
        },
        "arrayValue" | "array_value" => |m, from| {
            variant!(m.value, from.message(ArrayValue::default()) => any_value::Value::ArrayValue)
        },
        "kvlistValue" | "kvlist_value" => |m, from| {
            variant!(m.value, from.message(KeyValueList::default()) => any_value::Value::KvlistValue)
        },
    }
    ArrayValue {
        "values" => |m, from| from.list(&mut m.values),
    }
    KeyValueList {
        "values" => |m, from| from.list(&mut m.values),
    }
}

fn temporality(name: &str) -> Option<i32> {
    AggregationTemporality::from_str_name(name).map(|t| t as i32)
}
