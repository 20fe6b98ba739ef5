//! Transforms on small batches written as lines, `name{labels} value`.

use std::sync::Arc;

use proto::{
    Batch, BuildContext, HistogramPoint, Metric, MetricKind, NumberPoint, NumberValue, Range32, Resource, Scope,
    Temporality,
};

use super::FACTORY;
use crate::{AnyProcessor, Processor};

fn build(yaml: &str) -> Result<Box<dyn Processor>, Vec<String>> {
    let node = config::parse_yaml("t.yaml", yaml).0.unwrap();
    let (built, found) = (FACTORY.build)(&node, &BuildContext::for_test("metricstransform"));
    match built {
        Some(AnyProcessor::Inline(processor)) if found.is_empty() => Ok(processor),
        _ => Err(found.into_iter().map(|d| d.message).collect()),
    }
}

/// Sums of one scope: `name{a=1,b=2} 5`; lines of one name are points of one metric.
fn batch(lines: &[&str]) -> Batch {
    let mut batch = Batch::default();
    let mut points = Vec::new();
    let tables = batch.tables_mut();
    let attrs = tables.string_set(&[("service.name", "s")]);
    tables.resources.push(Resource { attrs, present: true, ..Resource::default() });
    tables.scopes.push(Scope::default());
    for line in lines {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let pairs: Vec<_> = labels.split(',').filter_map(|pair| pair.split_once('=')).collect();
        let name = tables.symbols.intern(name);
        let metric = tables.metrics.iter().position(|m| m.name == name).unwrap_or_else(|| {
            let temporality = Temporality::Cumulative;
            tables.metrics.push(Metric { name, kind: MetricKind::Sum, temporality, ..Metric::default() });
            tables.metrics.len() - 1
        });
        let value = match value.parse() {
            Ok(int) => NumberValue::Int(int),
            Err(_) => NumberValue::Double(value.parse().unwrap()),
        };
        points.push(NumberPoint {
            metric: metric as u32,
            attrs: tables.string_set(&pairs),
            time_unix_nano: 1,
            start_unix_nano: 0,
            value,
            flags: 0,
            exemplars: Range32::default(),
        });
    }
    batch.numbers = points;
    batch
}

/// The same form back, labels and lines sorted; resources other than the first in front.
fn lines(batch: &Batch) -> Vec<String> {
    let t = &batch.tables;
    let mut out: Vec<String> = batch
        .numbers
        .iter()
        .map(|p| {
            let metric = &t.metrics[p.metric as usize];
            let resource = t.scopes[metric.scope as usize].resource;
            let text = |set| {
                let mut labels: Vec<_> =
                    t.attrs.pairs(set).iter().map(|&(k, v)| format!("{}={}", t.str(k), t.value_str(v))).collect();
                labels.sort();
                labels.join(",")
            };
            let prefix = match resource {
                0 => String::new(),
                _ => format!("[{}] ", text(t.resources[resource as usize].attrs)),
            };
            let value = match p.value {
                NumberValue::Int(v) => v.to_string(),
                NumberValue::Double(v) => format!("{v:?}"),
                NumberValue::None => "none".to_owned(),
            };
            format!("{prefix}{}{{{}}} {value}", t.str(metric.name), text(p.attrs))
        })
        .collect();
    out.sort();
    out
}

fn check(transforms: &str, input: &[&str], expected: &[&str]) {
    let mut processor = build(&format!("transforms: [{transforms}]")).unwrap_or_else(|e| panic!("{transforms}: {e:?}"));
    for shared in [false, true] {
        let mut b = batch(input);
        b.meta.shared_tables = shared;
        let original = (b.tables.clone(), lines(&b));
        processor.process(&mut b);
        assert_eq!(lines(&b), expected, "{transforms}, shared tables: {shared}");
        let unchanged = Batch { tables: original.0, numbers: batch(input).numbers, ..Batch::default() };
        assert_eq!(lines(&unchanged), original.1, "the shared tables were edited in place");
    }
}

#[test]
fn names_and_labels_are_renamed_where_the_metric_is_included() {
    let input = &["a{prometheus_job=x} 1", "a{} 2", "b{prometheus_job=y} 3"][..];
    check(
        "{include: '.*', match_type: regexp, action: update, \
         operations: [{action: update_label, label: prometheus_job, new_label: job}]}",
        input,
        &["a{job=x} 1", "a{} 2", "b{job=y} 3"],
    );
    check(
        "{include: a, action: update, new_name: c, operations: [{action: add_label, new_label: v, new_value: 'x{{version}}'}]}",
        input,
        &["b{prometheus_job=y} 3", "c{prometheus_job=x,v=x0.0.0-test} 1", "c{v=x0.0.0-test} 2"],
    );
    check(
        "{include: '^(.)$', match_type: regexp, action: update, new_name: 'x_$1'}, \
         {include: x_a, action: update, operations: [{action: update_label, label: prometheus_job, \
         value_actions: [{value: x, new_value: z}]}]}",
        input,
        &["x_a{prometheus_job=z} 1", "x_a{} 2", "x_b{prometheus_job=y} 3"],
    );
}

#[test]
fn a_rename_onto_a_label_that_is_there_replaces_it() {
    let rename = "{include: a, action: update, operations: [{action: update_label, label: x, new_label: y}]}";
    check(rename, &["a{x=1,y=2} 1", "a{y=2,x=3} 2"], &["a{y=1} 1", "a{y=3} 2"]);
}

#[test]
fn label_matchers_choose_points() {
    let update = |extra: &str| {
        format!(
            "{{include: a, action: update, experimental_match_labels: {{l: x}}, new_name: b, operations: [{extra}]}}"
        )
    };
    let input = &["a{l=x} 1", "a{l=y} 2"][..];
    let scale = "{action: experimental_scale_value, experimental_scale: 10}";
    check(&update(scale), input, &["a{l=x} 10", "a{l=y} 2"]);
    check(&update("{action: add_label, new_label: n, new_value: v}"), input, &["a{l=x} 1", "a{l=y} 2"]);
    check(&update(scale), &["a{l=x} 1"], &["b{l=x} 10"]);
    let absent = "{include: a, match_type: regexp, action: update, experimental_match_labels: {l: '^$'}, new_name: b}";
    check(absent, &["a{} 1"], &["b{} 1"]);
}

#[test]
fn insert_copies_what_matches() {
    check(
        "{include: a, action: insert, new_name: b, experimental_match_labels: {l: x}, \
         operations: [{action: toggle_scalar_data_type}]}",
        &["a{l=x} 1", "a{l=y} 2"],
        &["a{l=x} 1", "a{l=y} 2", "b{l=x} 1.0"],
    );
}

#[test]
fn combine_merges_metrics_and_turns_groups_into_labels() {
    check(
        "{include: '^cpu_(?P<state>.*)$', match_type: regexp, action: combine, new_name: cpu, aggregation_type: sum, \
         submatch_case: upper}",
        &["cpu_user{c=0} 1", "cpu_system{c=0} 2", "other{} 3"],
        &["cpu{c=0,state=SYSTEM} 2", "cpu{c=0,state=USER} 1", "other{} 3"],
    );
    check(
        "{include: '^(a|b)$', match_type: regexp, action: combine, new_name: c, aggregation_type: sum, \
         operations: [{action: aggregate_labels, label_set: [], aggregation_type: sum}]}",
        &["a{l=x} 1", "b{l=x} 2"],
        &["c{} 3"],
    );
    check(
        "{include: '^(a|b)$', match_type: regexp, action: combine, new_name: c, aggregation_type: sum}",
        &["a{l=x} 1", "b{m=x} 2"],
        &["a{l=x} 1", "b{m=x} 2"],
    );
}

#[test]
fn group_moves_metrics_to_a_resource_with_more_attributes() {
    check(
        "{include: '^a', match_type: regexp, action: group, group_resource_labels: {kind: special}}",
        &["a{} 1", "ab{} 2", "b{} 3"],
        &["[kind=special,service.name=s] ab{} 2", "[kind=special,service.name=s] a{} 1", "b{} 3"],
    );
}

#[test]
fn points_are_aggregated_and_deleted() {
    let op = |op: &str| format!("{{include: a, action: update, operations: [{op}]}}");
    let input = &["a{l=x,m=1} 1", "a{m=2,l=x} 4", "a{l=y,m=1} 5", "a{l=x,m=3} 6"][..];
    for (aggregation, value) in
        [("sum", "11"), ("mean", "3"), ("min", "1"), ("max", "6"), ("median", "4"), ("count", "3")]
    {
        let by_l = format!("{{action: aggregate_labels, label_set: [l], aggregation_type: {aggregation}}}");
        let y = if aggregation == "count" { "a{l=y} 1" } else { "a{l=y} 5" };
        check(&op(&by_l), input, &[&format!("a{{l=x}} {value}"), y]);
    }
    check(
        &op(
            "{action: aggregate_label_values, label: m, aggregated_values: ['1', '2'], new_value: low, aggregation_type: sum}",
        ),
        input,
        &["a{l=x,m=3} 6", "a{l=x,m=low} 5", "a{l=y,m=low} 5"],
    );
    check(&op("{action: delete_label_value, label: l, label_value: x}"), input, &["a{l=y,m=1} 5"]);
    check(&op("{action: delete_label_value, label: l, label_value: x}"), &["a{l=x} 1", "b{} 2"], &["b{} 2"]);
    check(&op("{action: toggle_scalar_data_type}"), &["a{} 1.9"], &["a{} 1"]);
}

#[test]
fn histograms_add_up_and_scale() {
    let mut b = batch(&["a{l=x} 1", "a{l=y} 1"]);
    let points: Vec<HistogramPoint> = std::mem::take(&mut b.numbers)
        .iter()
        .map(|p| HistogramPoint {
            metric: 0,
            attrs: p.attrs,
            time_unix_nano: 1,
            start_unix_nano: 0,
            count: 3,
            sum: Some(1.5),
            min: Some(0.5),
            max: None,
            bounds: Range32 { start: 0, len: 1 },
            counts: Range32 { start: 0, len: 2 },
            flags: 0,
            exemplars: Range32::default(),
        })
        .collect();
    (b.bounds, b.counts, b.histograms) = (vec![1.0], vec![1, 2], points);
    b.tables_mut().metrics[0].kind = MetricKind::Histogram;
    let mut processor = build(
        "transforms: [{include: a, action: update, operations: [\
         {action: aggregate_labels, label_set: [], aggregation_type: sum}, \
         {action: experimental_scale_value, experimental_scale: 2}]}]",
    )
    .unwrap();
    processor.process(&mut b);
    let [p] = b.histograms[..] else { panic!("{} points", b.histograms.len()) };
    assert_eq!((p.count, p.sum, p.min, p.max), (6, Some(6.0), Some(1.0), None));
    assert_eq!((p.bounds.of(&b.bounds), p.counts.of(&b.counts)), (&[2.0][..], &[2, 4][..]));
}

#[test]
fn a_steady_scrape_gets_the_same_edited_tables() {
    let mut processor = build(
        "transforms: [{include: '.*', match_type: regexp, action: update, \
         operations: [{action: update_label, label: l, new_label: k}]}]",
    )
    .unwrap();
    let mut first = batch(&["a{l=x} 1"]);
    first.meta.shared_tables = true;
    let mut second = first.clone();
    processor.process(&mut first);
    processor.process(&mut second);
    assert!(Arc::ptr_eq(&first.tables, &second.tables));
    assert_eq!(lines(&second), ["a{k=x} 1"]);
}

#[test]
fn mistakes_are_named_as_the_collector_names_them() {
    for (transform, text) in [
        ("{action: update}", "missing required field \"include\""),
        ("{include: a}", "\"action\" must be in [\"insert\" \"update\" \"combine\" \"group\"]"),
        ("{include: a, action: insert}", "missing required field \"new_name\" while \"action\" is insert"),
        (
            "{include: a, action: combine, new_name: b}",
            "missing required field \"aggregation_type\" while \"action\" is combine",
        ),
        ("{include: a, action: group}", "missing required field \"group_resource_labels\" while \"action\" is group"),
        ("{include: '(', match_type: regexp, action: update}", "missing closing )"),
        ("{include: a, match_type: glob, action: update}", "\"match_type\" must be in"),
        ("{include: a, action: combine, new_name: b, aggregation_type: avg}", "\"aggregation_type\" must be in"),
        (
            "{include: a, action: update, operations: [{action: update_label}]}",
            "operation 1: missing required field \"label\" while \"action\" is update_label",
        ),
        (
            "{include: a, action: update, operations: [{action: experimental_scale_value}]}",
            "operation 1: missing required field \"experimental_scale\"",
        ),
        ("{include: a, action: update, operations: [{action: foo}]}", "operation 1: \"action\" must be in"),
        ("{include: a, action: update, submatch_case: bogus}", "\"submatch_case\" must be in [\"lower\" \"upper\"]"),
        ("{include: a, action: insert, new_name: b, aggregation_type: bogus}", "\"aggregation_type\" must be in"),
        (
            "{include: a, action: update, operations: [{action: add_label, new_label: l, new_value: v, aggregation_type: bogus}]}",
            "\"aggregation_type\" must be in",
        ),
        ("{include: a, action: update, foo: 1}", "unknown key"),
    ] {
        let texts =
            build(&format!("transforms: [{transform}]")).err().unwrap_or_else(|| panic!("{transform} is accepted"));
        assert!(texts.iter().any(|t| t.contains(text)), "{transform}: {texts:?}");
    }
}

#[test]
fn keys_without_effect_are_warned_of() {
    for (transform, texts) in [
        (
            "{include: a, action: update, submatch_case: lower, aggregation_type: sum, group_resource_labels: {a: b}}",
            &[
                "\"aggregation_type\" has no effect while \"action\" is update",
                "\"submatch_case\" has no effect while \"action\" is update",
                "\"group_resource_labels\" has no effect while \"action\" is update",
            ][..],
        ),
        (
            "{include: a, action: combine, new_name: b, aggregation_type: sum, submatch_case: lower}",
            &["\"submatch_case\" has no effect unless \"match_type\" is regexp"],
        ),
        (
            "{include: a, action: update, operations: [{action: toggle_scalar_data_type, label: l}, \
             {action: add_label, new_label: l, new_value: v, aggregation_type: sum, label_set: [l]}]}",
            &[
                "operation 1: \"label\" has no effect while \"action\" is toggle_scalar_data_type",
                "operation 2: \"aggregation_type\" has no effect while \"action\" is add_label",
                "operation 2: \"label_set\" has no effect while \"action\" is add_label",
            ],
        ),
        (
            "{include: '(.)', match_type: regexp, action: combine, new_name: b, aggregation_type: sum, \
             submatch_case: lower, operations: [{action: aggregate_labels, label_set: [l], aggregation_type: max}]}",
            &[],
        ),
    ] {
        let node = config::parse_yaml("t.yaml", &format!("transforms: [{transform}]")).0.unwrap();
        let (built, found) = (FACTORY.build)(&node, &BuildContext::for_test("metricstransform"));
        assert!(built.is_some() && !config::has_errors(&found), "{transform}: {found:?}");
        let mut got: Vec<String> = found.into_iter().map(|d| d.message).collect();
        let mut expected: Vec<String> = texts.iter().map(ToString::to_string).collect();
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "{transform}");
    }
}
