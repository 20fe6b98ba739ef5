//! The recorded cases of the reference: pages of successive scrapes, then a failing one, through configuration, lexer,
//! cache and OTLP/JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Capacity, Report, SampleRules, SeriesCache, TargetIdentity};
use crate::prometheus::config::{JobSettings, format_of, settings};

const CASES: &str = include_str!("../../../../tests/golden/conformance/prometheus.json");
const TIME_MS: i64 = 1_900_000_000_000;

#[test]
fn recorded_scrapes_become_the_recorded_metrics() {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    assert_eq!(cases.len(), 88);
    let failures: Vec<String> = cases.iter().filter_map(check).collect();
    assert!(failures.is_empty(), "{} cases differ:\n{}", failures.len(), failures.join("\n"));
}

/// A line on what differs, if anything does.
fn check(case: &Value) -> Option<String> {
    let name = case["name"].as_str().unwrap();
    let job = job(name, &case["config"]);
    let mut cache = SeriesCache::new(Arc::new(rules(&job)), Arc::new(target(name, &case["config"]["_labels"])));
    let content_type = case["type"].as_str().filter(|text| !text.is_empty());
    let pages = case["pages"].as_array().unwrap();
    for (number, expected) in case["scrapes"].as_array().unwrap().iter().enumerate() {
        let body = pages.get(number).map(|page| page.as_str().unwrap().as_bytes());
        let format = format_of(content_type, job.fallback).unwrap();
        let page = body.map(|body| (body, format));
        let time_ms = TIME_MS + 2000 * i64::try_from(number).unwrap();
        let result = cache.take(page, time_ms, time_ms);
        let up = page.is_some() && result.is_ok();
        let batch = cache.finish(Report { up, duration_seconds: 0.5, ..Report::default() });
        let mut text = Vec::new();
        proto::otlp::to_json(&batch, &mut text);
        let otlp: Value = serde_json::from_slice(&text).unwrap();
        let got = otlp["resourceMetrics"].as_array().unwrap().iter().map(resource).find(|resource| {
            resource["resource"].as_array().unwrap().contains(&json!(["service.name", ["stringValue", name]]))
        });
        let got = got.unwrap_or(Value::Null);
        if got != *expected {
            return Some(format!("{name} scrape {number} ({result:?}):\n  got      {got}\n  expected {expected}"));
        }
    }
    None
}

pub(crate) fn job(name: &str, config: &Value) -> JobSettings {
    let mut config = config.as_object().unwrap().clone();
    config.remove("_labels");
    config.insert("job_name".into(), name.into());
    let tree = json!({"config": {"scrape_configs": [config]}}).to_string().replace("$$", "$");
    let (node, found) = config::parse_yaml("case.yaml", &tree);
    assert!(found.is_empty(), "{found:?}");
    let (settings, found) = settings(&node.unwrap(), &|_| None);
    assert!(!config::has_errors(&found), "{name}: {found:?}");
    settings.unwrap().jobs.remove(0)
}

pub(crate) fn rules(job: &JobSettings) -> SampleRules {
    SampleRules {
        honor_labels: job.honor_labels,
        honor_timestamps: job.honor_timestamps,
        track_timestamps_staleness: job.track_timestamps_staleness,
        trim_metric_suffixes: false,
        type_by_original_name: false,
        extra_scrape_metrics: job.extra_scrape_metrics,
        limits: job.limits,
        capacity: Capacity::default(),
        validation: job.validation,
        metric_relabel: job.metric_relabel.clone(),
        external_labels: Vec::new(),
        version: "0",
    }
}

pub(crate) fn target(job: &str, labels: &Value) -> TargetIdentity {
    let instance = labels["instance"].as_str().unwrap_or("127.0.0.1:3901");
    let own = labels.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with("__"));
    let mut all: BTreeMap<String, String> = own.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
    all.insert("job".into(), job.into());
    all.insert("instance".into(), instance.into());
    TargetIdentity {
        labels: all.into_iter().collect(),
        job: job.into(),
        instance: instance.into(),
        scheme: "http".into(),
        discovered: Vec::new(),
    }
}

/// A resource as the recorded cases write it.
pub(crate) fn resource(value: &Value) -> Value {
    let mut scopes: Vec<Value> = value["scopeMetrics"].as_array().unwrap().iter().map(scope).collect();
    scopes.sort_by_key(|scope| scope["scope"].as_str().unwrap().to_owned());
    json!({"resource": attributes(&value["resource"]["attributes"]), "scopes": scopes})
}

fn scope(value: &Value) -> Value {
    let name = value["scope"]["name"].as_str().unwrap_or("");
    let name = if name.contains("prometheusreceiver") { "receiver" } else { name };
    let mut metrics: Vec<Value> = value["metrics"].as_array().unwrap().iter().map(metric).collect();
    metrics.sort_by_key(|metric| metric["name"].as_str().unwrap().to_owned());
    json!({"scope": name, "scope_attributes": attributes(&value["scope"]["attributes"]), "metrics": metrics})
}

fn metric(value: &Value) -> Value {
    let mut out: Map<String, Value> = value.as_object().unwrap().clone();
    let kind =
        ["gauge", "sum", "histogram", "exponentialHistogram", "summary"].into_iter().find(|k| out.contains_key(*k));
    let Value::Object(mut body) = out.remove(kind.unwrap()).unwrap() else { panic!("no data in {value}") };
    let points = body.remove("dataPoints").unwrap();
    let is_duration = value["name"] == "scrape_duration_seconds";
    let mut points: Vec<Value> = points.as_array().unwrap().iter().map(|p| point(p, is_duration)).collect();
    points.sort_by_key(Value::to_string);
    out.insert("metadata".into(), attributes(&value["metadata"]));
    out.insert("kind".into(), kind.into());
    out.extend(body);
    out.insert("points".into(), points.into());
    Value::Object(out)
}

fn point(value: &Value, is_duration: bool) -> Value {
    let mut out = times(value);
    out.insert("attributes".into(), attributes(&value["attributes"]));
    if is_duration && out.contains_key("asDouble") {
        out.insert("asDouble".into(), "some".into());
    }
    if let Some(exemplars) = value["exemplars"].as_array().filter(|list| !list.is_empty()) {
        let exemplars = exemplars.iter().map(|exemplar| {
            let mut out = times(exemplar);
            out.insert("filteredAttributes".into(), attributes(&exemplar["filteredAttributes"]));
            Value::Object(out)
        });
        let mut exemplars: Vec<Value> = exemplars.collect();
        exemplars.sort_by_key(Value::to_string);
        out.insert("exemplars".into(), exemplars.into());
    }
    Value::Object(out.into_iter().map(|(k, v)| (k, whole(v))).collect())
}

/// The recorded numbers went through Go, which writes whole ones without a fraction.
fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(n) if n.fract() == 0.0 && n.abs() < 9e15 => json!(n as i64),
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(whole).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, whole(v))).collect()),
        other => other,
    }
}

/// Times of scraping become `now`.
fn times(value: &Value) -> Map<String, Value> {
    let mut out = value.as_object().unwrap().clone();
    for key in ["timeUnixNano", "startTimeUnixNano"] {
        if out
            .get(key)
            .and_then(Value::as_str)
            .is_some_and(|time| time.parse::<u64>().unwrap() > 1_750_000_000_000_000_000)
        {
            out.insert(key.into(), "now".into());
        }
    }
    out
}

fn attributes(list: &Value) -> Value {
    let mut pairs: Vec<Value> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| {
            let (kind, value) = pair["value"].as_object().unwrap().iter().next().unwrap();
            json!([pair["key"], [kind, value]])
        })
        .collect();
    pairs.sort_by_key(|pair| pair[0].as_str().unwrap().to_owned());
    pairs.into()
}
