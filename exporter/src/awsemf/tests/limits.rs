//! Every event is valid whatever comes in, no value is lost on the way, and the text is that of a naive writer.

use std::collections::{BTreeMap, BTreeSet};

use processor::metric_declaration::{Rollup, undeclared};
use proptest::prelude::*;
use proto::{Batch, Metric, MetricKind, NumberPoint, NumberValue, Resource, Scope};
use serde_json::Value;

use super::super::MAX_DOCUMENT_BYTES;
use super::{Event, T0_MS, events_at, translator};

/// A gauge point: name, labels, time offset in ms, value.
pub(super) type Point = (String, BTreeMap<String, String>, u64, f64);

pub(super) fn batch(points: &[Point]) -> Batch {
    let mut batch = Batch::default();
    let tables = batch.tables_mut();
    tables.resources.push(Resource::default());
    tables.scopes.push(Scope::default());
    let mut numbers = Vec::new();
    for (name, labels, offset_ms, value) in points {
        let name = tables.symbols.intern(name);
        if tables.metrics.last().is_none_or(|metric| metric.name != name) {
            tables.metrics.push(Metric { name, kind: MetricKind::Gauge, ..Metric::default() });
        }
        let pairs: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        numbers.push(NumberPoint {
            metric: tables.metrics.len() as u32 - 1,
            attrs: tables.string_set(&pairs),
            time_unix_nano: (T0_MS as u64 + offset_ms) * 1_000_000,
            start_unix_nano: 0,
            value: NumberValue::Double(*value),
            flags: 0,
            exemplars: Default::default(),
        });
    }
    batch.numbers = numbers;
    batch
}

/// Go's JSON string by way of serde_json.
fn string(text: &str) -> String {
    serde_json::to_string(text)
        .unwrap()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// The events of gauges without declarations, written the simple way: a map per event.
fn naive(points: &[Point], rollup: Rollup) -> Vec<String> {
    type Group<'a> = ((u64, &'a BTreeMap<String, String>), BTreeMap<&'a str, f64>);
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (name, labels, time, value) in points {
        let key = (*time, labels);
        let at = groups.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            groups.push((key, BTreeMap::new()));
            groups.len() - 1
        });
        groups[at].1.entry(name).or_insert(*value);
    }
    let event = |((time, labels), metrics): &Group<'_>| {
        let names: Vec<&str> = labels.keys().map(String::as_str).collect();
        let sets = undeclared(&names, rollup).sets;
        let dimensions = list(sets.iter().map(|set| list(set.iter().map(|name| string(name)))));
        let described = list(
            metrics.keys().map(|name| format!("{{\"Name\":{},\"Unit\":\"\",\"StorageResolution\":60}}", string(name))),
        );
        let directive = format!("{{\"Namespace\":\"NS\",\"Dimensions\":{dimensions},\"Metrics\":{described}}}");
        let mut fields: BTreeMap<&str, String> =
            labels.iter().map(|(key, value)| (key.as_str(), string(value))).collect();
        for (name, value) in metrics {
            let mut text = Vec::new();
            proto::number::push_json_f64(&mut text, *value);
            fields.insert(name, String::from_utf8(text).unwrap());
        }
        fields.insert("Version", "\"1\"".to_owned());
        let timestamp = T0_MS as u64 + time;
        fields.insert("_aws", format!("{{\"CloudWatchMetrics\":[{directive}],\"Timestamp\":{timestamp}}}"));
        let fields = fields.iter().map(|(key, value)| format!("{}:{value}", string(key)));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    };
    groups.iter().map(event).collect()
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "a",
            "b",
            "A",
            "OTelLib",
            "Version",
            "_aws",
            "Timestamp",
            "z<&>",
            "é",
            "\u{2028}",
            "",
            "q\"\\",
            "quantile",
        ])
        .prop_map(str::to_owned),
        "[a-c]{1,2}",
        "\\PC{0,3}",
    ]
}

fn point() -> impl Strategy<Value = Point> {
    let labels = prop::collection::btree_map(word(), word(), 0..4);
    let value = prop_oneof![Just(0.0), Just(-0.0), any::<i32>().prop_map(f64::from), prop::num::f64::NORMAL];
    (word(), labels, 0..2u64, value)
}

proptest! {
    #[test]
    fn documents_are_what_a_naive_writer_writes(
        points in prop::collection::vec(point(), 0..20),
        rollup in prop::sample::select(vec![
            (Rollup::None, "NoDimensionRollup"),
            (Rollup::Single, "SingleDimensionRollupOnly"),
            (Rollup::ZeroAndSingle, "ZeroAndSingleDimensionRollup"),
        ]),
    ) {
        let config = format!("{{namespace: NS, dimension_rollup_option: {}}}", rollup.1);
        let mut translator = translator(&config).unwrap();
        let expected = naive(&points, rollup.0);
        // The second time everything comes from the caches.
        for _ in 0..2 {
            let (events, _) = events_at(&mut translator, &batch(&points), 0);
            let texts: Vec<String> = events.into_iter().map(|event| event.text).collect();
            prop_assert_eq!(&texts, &expected);
        }
    }

}

proptest! {
    // A case may write many documents of a megabyte.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_within_the_limits_and_no_value_is_lost(
        metrics in prop_oneof![0..8usize, 90..350usize],
        declared in prop::sample::select(vec!["", "m", "m.*[02468]$", "nothing"]),
        label_bytes in prop::sample::select(vec![0usize, 300, 100_000, 1_040_000, 1_100_000]),
        drop_unmatched in any::<bool>(),
        version in prop::sample::select(vec!["0", "1"]),
    ) {
        let declarations = match declared {
            "" => String::new(),
            selector => format!("metric_declarations: [{{dimensions: [[a]], metric_name_selectors: ['{selector}']}}], "),
        };
        // Hundreds of events of a megabyte tell no more than a few.
        let metrics = if label_bytes > 1000 { metrics % 12 } else { metrics };
        let config = format!("{{{declarations}drop_unmatched: {drop_unmatched}, version: '{version}'}}");
        let mut translator = translator(&config).unwrap();
        let labels: BTreeMap<String, String> =
            [("a".to_owned(), "1".to_owned()), ("long".to_owned(), "x".repeat(label_bytes))].into();
        let points: Vec<Point> = (0..metrics).map(|i| (format!("m{i:03}"), labels.clone(), 0, i as f64)).collect();
        let (events, dropped) = events_at(&mut translator, &batch(&points), 0);
        let mut seen = BTreeSet::new();
        for event in &events {
            for (name, value) in check_limits(event) {
                prop_assert_eq!(format!("m{value:03}"), &name[..]);
                prop_assert!(seen.insert(name), "a value is written twice");
            }
        }
        let lost: u64 = dropped.values().sum();
        prop_assert_eq!(seen.len() as u64 + lost, metrics as u64);
        let too_large = label_bytes > 1_048_000;
        prop_assert_eq!(dropped.contains_key("too_large"), too_large && seen.is_empty() && lost > 0 && {
            !(drop_unmatched && declared == "nothing")
        });
        if !too_large && !drop_unmatched {
            prop_assert_eq!(lost, 0);
        }
    }
}

/// Checks an event and returns its metric fields.
fn check_limits(event: &Event) -> Vec<(String, u64)> {
    assert!(event.text.len() <= MAX_DOCUMENT_BYTES, "{} bytes", event.text.len());
    let document: Value = serde_json::from_str(&event.text).unwrap();
    let directives = document.get("_aws").unwrap_or(&document).get("CloudWatchMetrics");
    for directive in directives.and_then(Value::as_array).into_iter().flatten() {
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{} metrics", metrics.len());
        for metric in metrics {
            assert!(document.get(metric["Name"].as_str().unwrap()).is_some(), "described, but not there: {metric}");
        }
        for set in directive["Dimensions"].as_array().unwrap() {
            assert!(set.as_array().unwrap().len() <= 30);
        }
    }
    let fields = document.as_object().unwrap();
    fields
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_u64()?)))
        .filter(|(key, _)| key.starts_with('m'))
        .collect()
}

#[test]
fn a_hundred_and_one_metrics_make_two_events_of_all_labels() {
    let labels: BTreeMap<String, String> = [("a".to_owned(), "1".to_owned())].into();
    let points: Vec<Point> = (0..101).map(|i| (format!("m{i:03}"), labels.clone(), 0, f64::from(i))).collect();
    let mut one = translator("{}").unwrap();
    let (events, dropped) = events_at(&mut one, &batch(&points), 0);
    assert!(dropped.is_empty());
    assert_eq!(events.iter().map(|event| event.points).collect::<Vec<_>>(), [100, 1]);
    assert!(events[1].text.ends_with("\"a\":\"1\",\"m100\":100}"), "{}", events[1].text);
    // Fields that are only logged do not count.
    let mut one = translator("{metric_declarations: [{dimensions: [[a]], metric_name_selectors: [m1]}]}").unwrap();
    assert_eq!(events_at(&mut one, &batch(&points), 0).0.len(), 1);
}

#[test]
fn every_event_counts_the_dimension_sets_that_it_lacks() {
    let declared =
        "metric_declaration_dedup: false, metric_declarations: [{dimensions: [[l00]], metric_name_selectors: [m]}]";
    for (config, per_event) in [
        ("{}", 1),
        // Without any dimension set the event has no measurement object.
        ("{dimension_rollup_option: NoDimensionRollup}", 1),
        (&*format!("{{{declared}}}"), 0),
    ] {
        let mut one = translator(config).unwrap();
        let labels: BTreeMap<String, String> = (0..35).map(|i| (format!("l{i:02}"), "1".to_owned())).collect();
        let points = [("m".to_owned(), labels.clone(), 0, 1.0), ("m".to_owned(), labels, 5, 1.0)];
        for request in 1..=4 {
            assert_eq!(events_at(&mut one, &batch(&points), 0).0.len(), 2);
            assert_eq!(one.too_long_sets.get(), 2 * per_event * request, "{config}");
        }
    }
}

#[test]
fn long_labels_that_keep_coming_do_not_pile_up() {
    let mut one = translator("{}").unwrap();
    let limit = 1 << 20;
    one.caches.plans.byte_limit = limit;
    let mut of_a_batch = 0;
    for round in 0..8u32 {
        let labels = |i: u32| [("id".to_owned(), format!("{round}-{i}-{}", "x".repeat(10_000)))].into();
        let mut batch = batch(&(0..30).map(|i| ("m".to_owned(), labels(i), 0, 1.0)).collect::<Vec<_>>());
        let tables = batch.tables_mut();
        tables.resources[0].attrs = tables.string_set(&[("task", &format!("{round}{}", "y".repeat(10_000)))]);
        assert_eq!(events_at(&mut one, &batch, round).0.len(), 30);
        let plans = &one.caches.plans;
        if round == 0 {
            of_a_batch = plans.bytes;
        }
        assert!(plans.bytes <= limit + of_a_batch, "the limit and one batch: {}", plans.bytes);
        assert!(plans.bytes >= 30 * 20_000, "what a batch needs is kept for the next one: {}", plans.bytes);
    }
    for _ in 0..10 {
        events_at(&mut one, &Batch::default(), 4000);
    }
    assert_eq!((one.caches.plans.series.len(), one.caches.plans.bytes), (0, 0));
}

#[test]
fn a_batch_does_not_expand_without_bound() {
    let long: BTreeMap<String, String> = [("long".to_owned(), "x".repeat(100_000))].into();
    let with_id = |id: u64| long.clone().into_iter().chain([("id".to_owned(), id.to_string())]).collect();
    let times: Vec<Point> = (0..50).map(|time| ("m".to_owned(), long.clone(), time, 1.0)).collect();
    let series: Vec<Point> = (0..50).map(|id| ("m".to_owned(), with_id(id), 0, 1.0)).collect();
    for points in [times, series] {
        let mut one = translator("{}").unwrap();
        one.max_batch_bytes = 1 << 20;
        one.caches.plans.max_new_text = 1 << 20;
        // The next batch begins with nothing, whatever the one before came to.
        for round in 1..=2 {
            let (events, dropped) = events_at(&mut one, &batch(&points), 0);
            assert_eq!((events.len(), dropped["batch_too_large"]), (11, 39));
            assert!(one.caches.plans.events.len() <= 11 * round);
        }
        assert_eq!(events_at(&mut one, &batch(&points[..11]), 0).0.len(), 11);
    }
}

#[test]
fn label_sets_that_keep_coming_do_not_pile_up() {
    let mut one = translator("{}").unwrap();
    one.caches.plans.limit = 1000;
    for round in 0..8u32 {
        let points: Vec<Point> =
            (0..600).map(|i| ("m".to_owned(), [("id".to_owned(), format!("{round}-{i}"))].into(), 0, 1.0)).collect();
        let (events, _) = events_at(&mut one, &batch(&points), round);
        assert_eq!(events.len(), 600);
        let plans = &one.caches.plans;
        assert!(plans.series.len() <= 1600 && plans.events.len() <= 1600, "the limit and one batch");
    }
    // After an hour of silence they go bit by bit.
    for _ in 0..10 {
        events_at(&mut one, &Batch::default(), 4000);
    }
    assert_eq!((one.caches.plans.series.len(), one.caches.plans.events.len()), (0, 0));
    assert_eq!(one.caches.plans.bytes, 0);
}

#[test]
fn quantiles_that_keep_changing_do_not_pile_up() {
    let mut one = translator("{detailed_metrics: true}").unwrap();
    let summary = |first: u32| {
        let quantiles: Vec<String> =
            (first..first + 100).map(|i| format!(r#"{{"quantile":0.{i:06},"value":1}}"#)).collect();
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","summary":{{"dataPoints":[
               {{"timeUnixNano":"5000000","count":"1","sum":1,"quantileValues":[{}]}}]}}}}]}}]}}]}}"#,
            quantiles.join(",")
        )
    };
    for round in 0..50 {
        assert_eq!(super::events(&mut one, &summary(1 + round * 100)).0.len(), 102);
        assert!(one.caches.plans.events.len() <= 1 + 256 + 100, "{}", one.caches.plans.events.len());
    }
    assert_eq!(super::events(&mut one, &summary(1)).0.len(), 102);
}
