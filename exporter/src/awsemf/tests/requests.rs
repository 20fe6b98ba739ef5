//! OTLP/JSON requests in few words, and what becomes of them.

use serde_json::{Value, json};

use super::canon::numbers_as_text;
use super::{Event, T0_MS, events, translator};

/// Names and values.
pub(super) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Attributes that are strings.
pub(super) fn attributes(pairs: Pairs<'_>) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

/// A data point some milliseconds after the start of time, with the members given.
pub(super) fn point(at_ms: i64, labels: Pairs<'_>, members: Value) -> Value {
    let mut point = json!({
        "timeUnixNano": ((T0_MS + at_ms) * 1_000_000 + 456_789).to_string(), "attributes": attributes(labels)});
    for (key, value) in members.as_object().unwrap() {
        point[key] = value.clone();
    }
    point
}

/// A metric of a kind; sums and histograms are `cumulative` and monotonic or else deltas.
pub(super) fn metric(name: &str, kind: &str, cumulative: bool, points: Vec<Value>) -> Value {
    let mut data = json!({"dataPoints": points});
    if !matches!(kind, "gauge" | "summary") {
        data["aggregationTemporality"] = json!(if cumulative { 2 } else { 1 });
    }
    if kind == "sum" {
        data["isMonotonic"] = json!(true);
    }
    json!({"name": name, kind: data})
}

/// A gauge of one point with the value 1.
pub(super) fn gauge(name: &str, labels: Pairs<'_>) -> Value {
    metric(name, "gauge", false, vec![point(0, labels, json!({"asInt": "1"}))])
}

/// A resource with one scope.
pub(super) fn resource(attributes: Value, scope: &str, metrics: Vec<Value>) -> Value {
    json!({"resource": {"attributes": attributes}, "scopeMetrics": [{"scope": {"name": scope}, "metrics": metrics}]})
}

/// A request of resources.
pub(super) fn request(resources: Vec<Value>) -> String {
    json!({"resourceMetrics": resources}).to_string()
}

/// A request of one resource without attributes and with an unnamed scope.
pub(super) fn plain(metrics: Vec<Value>) -> String {
    request(vec![resource(json!([]), "", metrics)])
}

/// The events of requests in a row.
pub(super) fn run(section: &str, requests: &[String]) -> Vec<Event> {
    let mut translator = translator(section).unwrap();
    requests.iter().flat_map(|request| events(&mut translator, request).0).collect()
}

/// The document of an event; numbers are texts, `i:1` or `f:0.5`.
pub(super) fn document(event: &Event) -> Value {
    serde_json::from_str(&numbers_as_text(&event.text)).unwrap()
}

/// A field of every event that has it.
pub(super) fn fields(events: &[Event], name: &str) -> Vec<Value> {
    events.iter().filter_map(|event| document(event).get(name).cloned()).collect()
}

/// The dimension sets and metric names of every measurement object of an event, as text.
pub(super) fn measured(event: &Event) -> Vec<String> {
    let document = document(event);
    let Some(objects) = document.get("_aws").and_then(|aws| aws["CloudWatchMetrics"].as_array()) else {
        return Vec::new();
    };
    let names = |object: &Value| -> Vec<String> {
        object["Metrics"].as_array().unwrap().iter().map(|m| m["Name"].as_str().unwrap().to_owned()).collect()
    };
    objects.iter().map(|object| format!("{} {}", object["Dimensions"], names(object).join(","))).collect()
}
