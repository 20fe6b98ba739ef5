//! Pushed metrics for stories: short words for OTLP requests, an agent's OTLP addresses, and the numbers that come out
//! at the other end. Sending them is `fake::otlp`'s business.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use crate::net::free_ip;

/// Where an agent takes OTLP: the usual ports on an address of its own.
#[derive(Clone, Copy, Debug)]
pub struct Entrance(Ipv4Addr);

impl Entrance {
    /// An address that nobody else uses.
    pub fn new() -> Self {
        Self(free_ip())
    }

    /// `127.x.y.z:4317`.
    pub fn grpc(&self) -> String {
        format!("{}:4317", self.0)
    }

    /// `127.x.y.z:4318`.
    pub fn http(&self) -> String {
        format!("{}:4318", self.0)
    }

    /// `http://127.x.y.z:4317`.
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc())
    }

    /// `http://127.x.y.z:4318`.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http())
    }

    /// The `otlp` section of `receivers` for it, both protocols, as one line in flow form.
    pub fn receiver(&self) -> String {
        format!("{{protocols: {{grpc: {{endpoint: '{}'}}, http: {{endpoint: '{}'}}}}}}", self.grpc(), self.http())
    }
}

impl Default for Entrance {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds since 1970.
///
/// # Panics
/// When the clock stands before 1970.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_nanos()).expect("a clock before 2554")
}

/// A request of one resource and one scope.
pub fn request(resource: &[(&str, &str)], metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = InstrumentationScope { name: "story".into(), version: "1".into(), ..Default::default() };
    let scope = ScopeMetrics { scope: Some(scope), metrics, ..Default::default() };
    let resource = Resource { attributes: attributes(resource), ..Default::default() };
    let resource = ResourceMetrics { resource: Some(resource), scope_metrics: vec![scope], ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

/// A gauge.
pub fn gauge(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    Metric { name: name.into(), data: Some(metric::Data::Gauge(Gauge { data_points })), ..Default::default() }
}

/// A counter.
pub fn counter(name: &str, temporality: AggregationTemporality, data_points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum { data_points, aggregation_temporality: temporality as i32, is_monotonic: true };
    Metric { name: name.into(), data: Some(metric::Data::Sum(sum)), ..Default::default() }
}

/// A point with a whole number.
pub fn point(value: i64, time_ns: u64, labels: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(labels),
        time_unix_nano: time_ns,
        value: Some(number_data_point::Value::AsInt(value)),
        ..Default::default()
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let text = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    pairs.iter().map(|(key, value)| KeyValue { key: (*key).to_owned(), value: text(value), key_strindex: 0 }).collect()
}
