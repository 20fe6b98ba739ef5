//! What a run left in CloudWatch Logs: its events taken apart into series of values, with everything checked that is the
//! same for all of them.

use crate::client::Temporality;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tests::fake::LogEvent;

/// A client's run that went well.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Its `service.name`.
    pub(crate) service: String,
    pub(crate) temporality: Temporality,
    /// Milliseconds since 1970.
    pub(crate) begun_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) ended_ms: i64,
}

/// Metric name, EMF unit and labels without the scope.
pub(crate) type Id = (String, String, BTreeMap<String, String>);
/// The values of each series in order of time.
pub(crate) type Series = BTreeMap<Id, Vec<Value>>;

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The series in the events of one run.
///
/// # Panics
/// When an event is not as every event of a client has to be: namespace, scope, dimensions, time, resolution, fields.
pub(crate) fn series(events: &[LogEvent], run: &Run) -> Series {
    let mut timed: BTreeMap<Id, Vec<(i64, u64, Value)>> = BTreeMap::new();
    for event in events {
        assert!((run.begun_ms..=run.ended_ms).contains(&event.timestamp_ms), "{event:?} is not of {run:?}");
        for (id, value) in taken_apart(event, run) {
            timed.entry(id).or_default().push((event.timestamp_ms, event.number, value));
        }
    }
    let in_order = |mut values: Vec<(i64, u64, Value)>| {
        values.sort_by_key(|(timestamp_ms, number, _)| (*timestamp_ms, *number));
        values.into_iter().map(|(_, _, value)| value).collect()
    };
    timed.into_iter().map(|(id, values)| (id, in_order(values))).collect()
}

fn taken_apart(event: &LogEvent, run: &Run) -> Vec<(Id, Value)> {
    let Value::Object(mut fields) = event.json() else { panic!("{event:?} is not an object") };
    let mut take = |name: &str| fields.remove(name).unwrap_or_else(|| panic!("{event:?} has no {name}"));
    assert_eq!(take("Version"), "1");
    assert_eq!(take("OTelLib"), "checkout");
    let metadata = take("_aws");
    assert_eq!(metadata["Timestamp"], event.timestamp_ms);
    let [directive] = metadata["CloudWatchMetrics"].as_array().unwrap().as_slice() else { panic!("{event:?}") };
    assert_eq!(directive["Namespace"], format!("shop/{}", run.service));
    let metrics = directive["Metrics"].as_array().unwrap();
    let values: Vec<Value> = metrics.iter().map(|metric| take(metric["Name"].as_str().unwrap())).collect();
    let labels = labels(fields);
    let dimensions: Vec<&str> = ["OTelLib"].into_iter().chain(labels.keys().map(String::as_str)).collect();
    assert_eq!(directive["Dimensions"], json!([dimensions]), "{event:?}");
    let id = |metric: &Value| {
        assert_eq!(metric["StorageResolution"], 60, "{event:?}");
        let text = |name: &str| metric[name].as_str().unwrap().to_owned();
        (text("Name"), text("Unit"), labels.clone())
    };
    metrics.iter().map(id).zip(values).collect()
}

/// What is left of the fields has to be labels.
fn labels(fields: Map<String, Value>) -> BTreeMap<String, String> {
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => (name, text),
        other => panic!("the label {name} is not text but {other}"),
    };
    fields.into_iter().map(text).collect()
}
