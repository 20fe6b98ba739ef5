//! Documents that are written from the shape of earlier ones are those that a new translator writes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::limits::{Point, batch};
use super::{Event, events_at, translator, translator_in};
use crate::awsemf::{Form, Translator};

const SECTION: &str = "
log_group_name: /g
log_stream_name: s
namespace: NS
metric_declarations:
  - {dimensions: [[path], [path, zone]], metric_name_selectors: ['^requests_']}
  - {dimensions: [[zone]], metric_name_selectors: ['^requests_total$', '^zone$']}
";

fn point(name: &str, labels: &[(&str, &str)], offset_ms: u64, value: f64) -> Point {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    (name.to_owned(), labels, offset_ms, value)
}

fn written(translator: &mut Translator, points: &[Point]) -> Vec<Event> {
    events_at(translator, &batch(points), 0).0
}

#[test]
fn events_whose_rows_have_the_same_names_share_a_shape() {
    let mut translator = translator(SECTION).unwrap();
    let paths = ["/a", "/b", "/c"];
    for value in [1.0, 2.5] {
        let mut points: Vec<Point> = paths.map(|path| point("requests_total", &[("path", path)], 0, value)).into();
        points.extend(paths.map(|path| point("requests_slow", &[("path", path)], 0, value)));
        let events = written(&mut translator, &points);
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| event.text.contains(&format!("\"requests_total\":{value}"))));
        assert_eq!(translator.caches.shapes.len(), 1);
    }
    written(&mut translator, &[point("requests_total", &[("path", "/a")], 0, 3.0)]);
    assert_eq!(translator.caches.shapes.len(), 2, "fewer rows look otherwise");
    written(&mut translator, &[point("requests_total", &[("path", "/d"), ("zone", "z")], 0, 3.0)]);
    assert_eq!(translator.caches.shapes.len(), 3, "so do other labels");
}

fn any_points() -> impl Strategy<Value = Vec<Point>> {
    // Metrics may have the names of labels and of the document's own fields.
    let name = prop::sample::select(vec!["requests_total", "requests_slow", "depth", "zone", "_aws", "Timestamp"]);
    let labels = prop::collection::btree_map(
        prop::sample::select(vec!["path", "zone", "Version", "a\"b"]).prop_map(str::to_owned),
        prop::sample::select(vec!["", "x", "\\ \" <"]).prop_map(str::to_owned),
        0..4,
    );
    let point = (name, labels, 0u64..3, prop_oneof![Just(7.0), any::<i16>().prop_map(|n| f64::from(n) / 8.0)]);
    prop::collection::vec(point.prop_map(|(name, labels, at, value)| (name.to_owned(), labels, at, value)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kept_shapes_change_nothing(
        batches in prop::collection::vec(any_points(), 1..6),
        max_bytes in prop::sample::select(vec![0usize, 1500, 4 << 20]),
        is_escaped in any::<bool>(),
        version in 0..2,
    ) {
        let form = if is_escaped { Form::Escaped } else { Form::Plain };
        let section = format!("{SECTION}version: '{version}'\n");
        let mut with_shapes = translator_in(&section, form).unwrap();
        with_shapes.caches.shapes.max_bytes = max_bytes;
        for points in &batches {
            let new = written(&mut translator_in(&section, form).unwrap(), points);
            prop_assert_eq!(written(&mut with_shapes, points), new);
        }
    }
}

#[test]
fn shapes_are_forgotten_when_they_take_too_much_memory() {
    let mut translator = translator(SECTION).unwrap();
    translator.caches.shapes.max_bytes = 2000;
    for name in 0..50 {
        let labels: BTreeMap<String, String> = BTreeMap::new();
        let events = written(&mut translator, &[(format!("requests_{name}"), labels, 0, 1.0)]);
        assert!(events[0].text.contains(&format!("\"requests_{name}\":1")));
        assert!(translator.caches.shapes.len() < 20, "each takes more than 100 bytes");
    }
}
