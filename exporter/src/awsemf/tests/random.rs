//! Random settings and requests of every kind of metric: whatever comes in, events are documents that CloudWatch takes,
//! every point is written or counted, and neither the order of attributes nor the form of documents matters.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proto::Batch;
use proto::points::Point;
use serde_json::{Value, json};

use super::super::{Form, MAX_DOCUMENT_BYTES};
use super::canon::top_level_keys;
use super::requests::{attributes, point, request, resource};
use super::{Event, events, events_at, translator, translator_in};

/// Choices, from bytes that proptest makes small; the first choice when there are no more.
struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.0.next().unwrap_or(0)) % n
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn some<T: Clone>(&mut self, most: usize, of: &[T]) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| self.one(of)).collect()
    }
}

const KEYS: [&str; 14] = [
    "a",
    "b",
    "code",
    "OTelLib",
    "quantile",
    "Version",
    "Timestamp",
    "_aws",
    "TaskId",
    "PodName",
    "Type",
    "kubernetes",
    "aws.emf.storage_resolution",
    "",
];
const TEXTS: [&str; 9] = ["", "1", "x", "Pod", "{\"k\":[1,\"<\"]}", "undefined", "é\u{2028}", "200", "\"\\\n"];
const METRICS: [&str; 9] = ["m", "cpu", "total", "a", "Version", "Timestamp", "CloudWatchMetrics", "m_sum", ""];
const KINDS: [&str; 5] = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];

fn section(dice: &mut Dice) -> String {
    let mut section = json!({
        "log_group_name": dice.one(&["/g", "", "/g/{TaskId}", "{PodName}{{TaskId}}", "{Nope}"]),
        "log_stream_name": dice.one(&["s", "", "{PodName}", "{ClusterName}-{TaskId}"]),
        "namespace": dice.one(&["NS", ""]),
        "version": dice.one(&["1", "0"]),
        "dimension_rollup_option":
            dice.one(&["ZeroAndSingleDimensionRollup", "NoDimensionRollup", "SingleDimensionRollupOnly"]),
        "resource_to_telemetry_conversion": {"enabled": dice.below(2) == 1, "exclude_service_attributes": dice.below(2) == 1},
        "parse_json_encoded_attr_values": dice.some(2, &KEYS),
    });
    for key in [
        "detailed_metrics",
        "retain_initial_value_of_delta_metric",
        "eks_fargate_container_insights_enabled",
        "drop_unmatched",
    ] {
        section[key] = json!(dice.below(2) == 1);
    }
    let declarations: Vec<Value> = (0..dice.below(3))
        .map(|_| {
            let mut declaration = json!({
                "metric_name_selectors": [dice.one(&[".*", "^m", "total$", "_sum", "^$", "(?i)CPU|a"])],
                "dimensions": (0..dice.below(4)).map(|_| dice.some(3, &KEYS)).collect::<Vec<_>>(),
            });
            if dice.below(2) == 1 {
                let names = [dice.one(&KEYS), dice.one(&KEYS)];
                declaration["label_matchers"] =
                    json!([{"label_names": names, "regex": dice.one(&[".", "^;", "200", "^$"]), "separator": dice.one(&[";", ""])}]);
            }
            declaration
        })
        .collect();
    section["metric_declarations"] = json!(declarations);
    section.to_string()
}

fn labels(dice: &mut Dice) -> Value {
    let pairs: BTreeMap<&str, &str> = (0..dice.below(5)).map(|_| (dice.one(&KEYS), dice.one(&TEXTS))).collect();
    attributes(&pairs.into_iter().collect::<Vec<_>>())
}

fn number(dice: &mut Dice) -> Value {
    match dice.below(24) {
        0..12 => json!(dice.below(256)),
        12..18 => json!(dice.below(256) as f64 / 7.0),
        18 => json!(-0.0),
        19 => json!(f64::MAX),
        20 => json!(5e-324),
        21 => json!(-1e21),
        22 => json!("NaN"),
        _ => json!("-Infinity"),
    }
}

fn data_point(dice: &mut Dice, kind: &str) -> Value {
    let count = dice.below(200).to_string();
    let mut members = match kind {
        "gauge" | "sum" => json!({"asDouble": number(dice)}),
        "summary" => {
            let quantiles: Vec<Value> =
                (0..dice.below(4)).map(|at| json!({"quantile": at as f64 / 2.0, "value": number(dice)})).collect();
            json!({"count": count, "sum": number(dice), "quantileValues": quantiles})
        }
        _ => json!({"count": count, "sum": number(dice), "min": number(dice), "max": number(dice)}),
    };
    if kind == "exponentialHistogram" {
        let side = |dice: &mut Dice| {
            let length = dice.one(&[0, 1, 5, 70, 130]);
            let counts: Vec<String> = (0..length).map(|at| ((at + length) % 4).to_string()).collect();
            json!({"offset": dice.one(&[-3, 0, 5, -1100, 1000, i32::MIN, i32::MAX]), "bucketCounts": counts})
        };
        members["positive"] = side(dice);
        members["negative"] = side(dice);
        members["zeroCount"] = json!(dice.below(3));
        members["scale"] = json!(dice.one(&[0, 1, 3, -2, 20, -11, i32::MIN, i32::MAX]));
    }
    if dice.below(12) == 11 {
        members["flags"] = json!(1);
    }
    let mut point = point(dice.one(&[0, 0, 1, -1, 60_000]), &[], members);
    if dice.below(16) == 15 {
        point["timeUnixNano"] = json!("0");
    }
    point["attributes"] = labels(dice);
    point
}

fn requests(dice: &mut Dice) -> Vec<Vec<Value>> {
    let metric = |dice: &mut Dice| {
        let kind = dice.one(&KINDS);
        let points: Vec<Value> = (0..1 + dice.below(3)).map(|_| data_point(dice, kind)).collect();
        json!({"name": dice.one(&METRICS), "unit": dice.one(&["", "s", "1", "%"]), kind:
            {"aggregationTemporality": 2 - dice.below(3), "isMonotonic": dice.below(4) > 0, "dataPoints": points}})
    };
    let resources = |dice: &mut Dice| {
        let mut of_resource = labels(dice);
        if dice.below(2) == 1 {
            of_resource
                .as_array_mut()
                .unwrap()
                .push(json!({"key": "receiver", "value": {"stringValue": "prometheus"}}));
        }
        let metrics = (0..1 + dice.below(4)).map(|_| metric(dice)).collect();
        resource(of_resource, dice.one(&["", "lib", "<"]), metrics)
    };
    (0..1 + dice.below(3)).map(|_| (0..1 + dice.below(2)).map(|_| resources(dice)).collect()).collect()
}

/// The batch of a later scrape: all points some time later, perhaps fewer or in another order.
fn later(dice: &mut Dice, batch: &Batch, by_ms: u64) -> Batch {
    let mut batch = batch.clone();
    fn points<P: Point>(dice: &mut Dice, points: &mut Vec<P>, by_ms: u64) {
        for point in points.iter_mut().filter(|point| point.time_unix_nano() > 0) {
            point.set_time_unix_nano(point.time_unix_nano().wrapping_add(by_ms * 1_000_000));
        }
        match dice.below(4) {
            0 => points.reverse(),
            1 => _ = points.pop(),
            _ => {}
        }
    }
    points(dice, &mut batch.numbers, by_ms);
    points(dice, &mut batch.histograms, by_ms);
    points(dice, &mut batch.exponentials, by_ms);
    points(dice, &mut batch.summaries, by_ms);
    batch
}

/// Events without the names that a translator gives to streams that have none.
fn anonymous(mut events: Vec<Event>) -> Vec<Event> {
    events.iter_mut().filter(|e| e.stream.starts_with("otel-stream-")).for_each(|e| e.stream.clear());
    events
}

/// Turns all lists of attributes around.
fn turned(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Array(list) if key == "attributes" => (key.clone(), list.iter().rev().cloned().collect()),
                _ => (key.clone(), turned(value)),
            })
            .collect(),
        Value::Array(list) => list.iter().map(turned).collect(),
        other => other.clone(),
    }
}

/// Whether CloudWatch takes the document, and the reference could have written it.
fn check_document(event: &Event, version: &str) {
    let text = &event.text;
    assert!(text.len() <= MAX_DOCUMENT_BYTES && !event.group.is_empty() && !event.stream.is_empty());
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let keys = top_level_keys(text);
    assert!(keys.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()), "keys are sorted and unique: {text}");
    let metadata = if version == "1" { document.get("_aws") } else { Some(&document) };
    let objects = metadata.and_then(|metadata| metadata.get("CloudWatchMetrics")).and_then(Value::as_array);
    if let (Some(_), "1") = (objects, version) {
        assert_eq!(document["_aws"]["Timestamp"], event.timestamp_ms);
    }
    if version == "0" {
        assert_eq!(document["Timestamp"], event.timestamp_ms.to_string());
    }
    let own = ["Version", "_aws", "Timestamp", "CloudWatchMetrics"];
    for object in objects.into_iter().flatten() {
        let sets = object["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty(), "{text}");
        for (at, set) in sets.iter().enumerate() {
            let names = set.as_array().unwrap();
            assert!(names.len() <= 30 && !sets[..at].contains(set), "{text}");
            assert!(names.iter().all(|name| document.get(name.as_str().unwrap()).is_some()), "{text}");
        }
        let metrics = object["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{text}");
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            let value = document.get(name).unwrap_or_else(|| panic!("{name:?} is not there: {text}"));
            let values = value.get("Values").and_then(Value::as_array).map_or(0, Vec::len);
            let counts = value.get("Counts").and_then(Value::as_array).map_or(0, Vec::len);
            assert!(values == counts && values <= 100, "{text}");
            assert!(value.is_number() || value["Sum"].is_number() || own.contains(&name), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_request_becomes_valid_events_in_which_every_point_is_accounted_for(
        dice in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut dice = Dice(dice.into_iter());
        let section = section(&mut dice);
        let requests = requests(&mut dice);
        // All declarations may be without effect, but none is invalid.
        let (mut one, mut other) = (translator_in(&section, Form::Plain).unwrap(), translator_in(&section, Form::Escaped).unwrap());
        let version = if section.contains(r#""version":"1""#) { "1" } else { "0" };
        for resources in requests {
            let in_turn = turned(&json!(resources)).as_array().unwrap().clone();
            // That received is written and dropped is checked there.
            let (written, dropped) = events(&mut one, &request(resources));
            for event in &written {
                check_document(event, version);
            }
            let (same, also_dropped) = events(&mut other, &request(in_turn));
            prop_assert_eq!(anonymous(written), anonymous(same));
            prop_assert_eq!(dropped, also_dropped);
        }
    }

    #[test]
    fn batches_that_share_their_tables_become_the_events_that_they_are_with_tables_of_their_own(
        dice in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut dice = Dice(dice.into_iter());
        let section = section(&mut dice);
        let batches: Vec<Batch> = requests(&mut dice)
            .into_iter()
            .map(|resources| proto::otlp::decode_json(request(resources).as_bytes()).unwrap())
            .collect();
        let limit = dice.one(&[1000, 3]);
        let [mut one, mut other] = [(); 2].map(|()| {
            let mut translator = translator(&section).unwrap();
            translator.caches.plans.limit = limit;
            translator
        });
        let mut seconds = 0;
        for step in 0..12 {
            let batch = dice.one(&batches);
            let mut shared = later(&mut dice, &batch, step * 1000);
            shared.meta.shared_tables = true;
            let mut own = shared.clone();
            own.tables = Arc::new((*shared.tables).clone());
            let (written, dropped) = events_at(&mut one, &shared, seconds);
            let (same, also_dropped) = events_at(&mut other, &own, seconds);
            prop_assert_eq!(anonymous(written), anonymous(same));
            prop_assert_eq!(dropped, also_dropped);
            prop_assert_eq!(other.kept.len(), 0);
            seconds += dice.one(&[1, 1, 1, 700, 3000]);
        }
        prop_assert!(one.kept.len() <= batches.len());
    }
}
