//! `layout: cloudwatch_agent`: the test vectors of the agent's event pipeline.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Event, T0_MS, events, events_at, translator};

const SECTION: &str = "
namespace: ECS/ContainerInsights/Prometheus
log_group_name: /aws/ecs/containerinsights/{ClusterName}/prometheus
log_stream_name: '{JobName}'
layout: cloudwatch_agent
version: '0'
dimension_rollup_option: NoDimensionRollup
event_labels: {ClusterName: ecs-sarathy-cluster}
";

/// The published sample of the AWS guide, in one line.
const GUIDE_EVENT: &str = r#"{"CloudWatchMetrics":[{"Metrics":[{"Name":"http_requests_total"}],"Dimensions":[["ClusterName","TaskGroup"]],"Namespace":"ECS/ContainerInsights/Prometheus"}],"ClusterName":"ecs-sarathy-cluster","LaunchType":"EC2","StartedBy":"ecs-svc/4964126209508453538","TaskDefinitionFamily":"BackendAlarmTask","TaskGroup":"service:BackendService","TaskRevision":"4","Timestamp":"1678226606712","Version":"0","container_name":"go-backend","exported_job":"storebackend","http_requests_total":36,"instance":"10.10.100.191:3000","job":"backends","path":"/popular/category","prom_metric_type":"counter"}"#;

const GUIDE_LABELS: &[(&str, &str)] = &[
    ("LaunchType", "EC2"),
    ("StartedBy", "ecs-svc/4964126209508453538"),
    ("TaskDefinitionFamily", "BackendAlarmTask"),
    ("TaskGroup", "service:BackendService"),
    ("TaskRevision", "4"),
    ("container_name", "go-backend"),
    ("exported_job", "storebackend"),
    ("path", "/popular/category"),
];

fn section(more: &str) -> String {
    format!("{SECTION}{more}")
}

/// A request of one scraped target.
fn scrape(metrics: Vec<Value>) -> String {
    scrape_of("backends", metrics)
}

fn scrape_of(job: &str, metrics: Vec<Value>) -> String {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = [attribute("service.name", job), attribute("service.instance.id", "10.10.100.191:3000")];
    json!({"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [
        {"scope": {"name": "prometheusreceiver"}, "metrics": metrics}]}]})
    .to_string()
}

fn attributes(labels: &[(&str, &str)]) -> Value {
    labels.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

fn metric(name: &str, kind: &str, data: Value) -> Value {
    let mut metric = json!({"name": name, "metadata": [{"key": "prometheus.type", "value": {"stringValue": kind}}]});
    for (key, value) in data.as_object().unwrap() {
        metric[key] = value.clone();
    }
    metric
}

fn counter(name: &str, labels: &[(&str, &str)], at_ms: i64, value: f64) -> Value {
    let mut point = json!({"attributes": attributes(labels), "timeUnixNano": (at_ms * 1_000_000).to_string()});
    if value.is_nan() {
        point["flags"] = json!(1);
    } else {
        point["asDouble"] = json!(value);
    }
    let sum = json!({"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point]});
    metric(name, "counter", json!({ "sum": sum }))
}

fn gauge(name: &str, kind: &str, labels: &[(&str, &str)], value: f64) -> Value {
    let point =
        json!({"attributes": attributes(labels), "timeUnixNano": (T0_MS * 1_000_000).to_string(), "asDouble": value});
    metric(name, kind, json!({"gauge": {"dataPoints": [point]}}))
}

fn document(event: &Event) -> Value {
    serde_json::from_str(&event.text).unwrap()
}

#[test]
fn the_guides_event_comes_out_byte_for_byte() {
    let mut translator = translator(&section(
        "metric_declarations:
- dimensions: [[ClusterName, TaskGroup]]
  metric_name_selectors: ['^http_requests_total$']
  label_matchers: [{label_names: [job], regex: '^backends$'}]",
    ))
    .unwrap();
    let at = 1_678_226_606_712;
    let of = |at, value| scrape(vec![counter("http_requests_total", GUIDE_LABELS, at, value)]);
    assert!(events(&mut translator, &of(at - 60_000, 100.0)).0.is_empty(), "the first value is a baseline");
    let (sent, _) = events(&mut translator, &of(at, 136.0));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].text, GUIDE_EVENT);
    assert_eq!(sent[0].group, "/aws/ecs/containerinsights/ecs-sarathy-cluster/prometheus");
    assert_eq!((sent[0].stream.as_str(), sent[0].timestamp_ms), ("backends", at));
    // Another metric of the same record is a plain event.
    let other = |at, value| scrape(vec![counter("other_total", GUIDE_LABELS, at, value)]);
    events(&mut translator, &other(at, 1.0));
    let (sent, _) = events(&mut translator, &other(at + 1, 2.0));
    let plain = document(&sent[0]);
    assert_eq!(plain.get("CloudWatchMetrics"), None);
    assert_eq!((&plain["Version"], &plain["Timestamp"]), (&json!("0"), &json!((at + 1).to_string())));
}

#[test]
fn counters_follow_the_agents_rules() {
    let mut translator = translator(&section("")).unwrap();
    let mut values = Vec::new();
    for (at, value) in [10.0, 15.0, 15.0, 3.0, f64::NAN, 7.0, 9.0].into_iter().enumerate() {
        let request = scrape(vec![counter("c", &[], T0_MS + at as i64, value)]);
        let (sent, _) = events(&mut translator, &request);
        values.push(sent.first().map(|event| document(event)["c"].clone()));
    }
    assert_eq!(
        values,
        [None, Some(json!(5)), Some(json!(0)), Some(json!(3)), None, None, Some(json!(2))],
        "a gap makes a new baseline"
    );
    let again = scrape(vec![counter("c", &[], T0_MS + 6, 20.0)]);
    let (sent, dropped) = events(&mut translator, &again);
    assert!(sent.is_empty());
    assert_eq!(dropped, BTreeMap::from([("out_of_order".to_owned(), 1)]), "the same time again is dropped");
}

#[test]
fn only_gauges_counters_and_summaries_are_taken() {
    let mut translator = translator(&section("")).unwrap();
    let histogram = json!({"histogram": {"aggregationTemporality": 2, "dataPoints": [
        {"timeUnixNano": (T0_MS * 1_000_000).to_string(), "count": "1", "sum": 1.0, "bucketCounts": ["1"]}]}});
    let request = scrape(vec![
        gauge("g", "gauge", &[("__hidden", "x"), ("a", "b")], -0.5),
        gauge("untyped", "unknown", &[], 1.0),
        gauge("build", "info", &[], 1.0),
        gauge("up", "gauge", &[], 1.0),
        gauge("scrape_duration_seconds", "gauge", &[], 0.1),
        gauge("scrape_rate", "gauge", &[("a", "c")], 2.0),
        metric("h", "histogram", histogram),
    ]);
    let (sent, dropped) = events(&mut translator, &request);
    let documents: Vec<Value> = sent.iter().map(document).collect();
    assert_eq!(documents.len(), 2, "{documents:?}");
    let expected = json!({"ClusterName": "ecs-sarathy-cluster", "Timestamp": T0_MS.to_string(), "Version": "0",
        "CloudWatchMetrics": documents[0]["CloudWatchMetrics"], "a": "b", "g": -0.5,
        "instance": "10.10.100.191:3000", "job": "backends", "prom_metric_type": "gauge"});
    assert_eq!(documents[0], expected);
    assert_eq!(documents[1]["scrape_rate"], 2);
    assert_eq!(dropped["unsupported_type"], 3);
    assert_eq!(dropped["about_scrapes"], 2);
}

#[test]
fn a_summary_is_an_event_of_differences_and_one_of_each_quantile() {
    let mut translator = translator(&section("metric_declarations: [{metric_name_selectors: ['$^']}]")).unwrap();
    let summary = |name: &str, at: i64, count: u64, sum: f64, quantiles: Value| {
        let point = json!({"timeUnixNano": (at * 1_000_000).to_string(), "count": count.to_string(), "sum": sum,
            "quantileValues": quantiles});
        metric(name, "summary", json!({"summary": {"dataPoints": [point]}}))
    };
    let of = |at, count, sum| {
        let quantiles = json!([{"quantile": 0.5, "value": 0.25}, {"quantile": 0.9, "value": "NaN"}]);
        scrape(vec![summary("s", at, count, sum, quantiles), summary("gc", at, count * 2, sum * 2.0, json!([]))])
    };
    let (sent, dropped) = events(&mut translator, &of(T0_MS, 3, 1.0));
    assert_eq!((sent.len(), document(&sent[0])["quantile"].clone()), (1, json!("0.5")), "quantiles need no baseline");
    assert_eq!(dropped["first_value"], 1);
    let (sent, _) = events(&mut translator, &of(T0_MS + 1, 5, 1.5));
    let documents: Vec<Value> = sent.iter().map(document).collect();
    assert_eq!(documents.len(), 2, "{documents:?}");
    for (field, value) in [("s_sum", 0.5), ("s_count", 2.0), ("gc_sum", 1.0), ("gc_count", 4.0)] {
        assert_eq!(documents[0][field].as_f64(), Some(value), "sum and count of all summaries share an event");
    }
    assert_eq!((&documents[1]["s"], &documents[1]["prom_metric_type"]), (&json!(0.25), &json!("summary")));
}

#[test]
fn every_declaration_has_an_object_of_its_own_without_dedup() {
    let declarations = "
metric_declarations:
- {dimensions: [[a]], metric_name_selectors: ['^g$']}
- {dimensions: [[a]], metric_name_selectors: ['^g$']}
metric_descriptors: [{metric_name: g, unit: Count}]
";
    for (more, objects) in [("", 1), ("metric_declaration_dedup: false", 2)] {
        let mut translator = translator(&section(&format!("{declarations}{more}"))).unwrap();
        let (sent, _) = events(&mut translator, &scrape(vec![gauge("g", "gauge", &[("a", "b")], 1.0)]));
        let rule = json!({"Metrics": [{"Unit": "Count", "Name": "g"}], "Dimensions": [["a"]],
            "Namespace": "ECS/ContainerInsights/Prometheus"});
        assert_eq!(document(&sent[0])["CloudWatchMetrics"], json!(vec![rule; objects]));
    }
}

#[test]
fn streams_are_jobs_in_a_form_that_the_service_takes() {
    for (job, stream) in [("a:b*c", "a_b_c"), ("plain", "plain"), ("", "default")] {
        let mut translator = translator(&section("")).unwrap();
        let (sent, _) = events_at(
            &mut translator,
            &proto::otlp::decode_json(scrape_of(job, vec![gauge("g", "gauge", &[], 1.0)]).as_bytes()).unwrap(),
            0,
        );
        assert_eq!(sent[0].stream, stream);
    }
}

#[test]
fn a_label_of_the_series_is_not_overwritten() {
    let mut translator = translator(&section("")).unwrap();
    let labels = [("ClusterName", "mine"), ("job", "own")];
    let (sent, _) = events(&mut translator, &scrape(vec![gauge("g", "gauge", &labels, 1.0)]));
    assert_eq!(document(&sent[0])["ClusterName"], "mine");
    assert_eq!(sent[0].stream, "own");
}

#[test]
fn the_layout_needs_version_0() {
    let problems = translator("layout: cloudwatch_agent").err().unwrap();
    assert!(problems.contains("layout cloudwatch_agent needs EMF version 0"), "{problems}");
    assert!(translator("layout: other").err().unwrap().contains("layout \"other\" does not exist"));
}
