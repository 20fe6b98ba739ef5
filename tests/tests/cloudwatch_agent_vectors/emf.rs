//! Points in, events out: the exporter that an agent JSON becomes, without scraping and without AWS.

use std::sync::Arc;

use exporter::awsemf::{AwsEmfConfig, EventRef, EventSink, Form, Translator};
use proto::{BuildContext, Counter};
use serde_json::{Value, json};

use super::support::{ecs, prometheus};

/// Time of the points, Unix milliseconds.
pub(crate) const T0_MS: i64 = 1_700_000_000_000;

/// Labels of a point.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// An event that was written.
pub(crate) struct Event {
    pub(crate) group: String,
    pub(crate) stream: String,
    pub(crate) text: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The elements of `CloudWatchMetrics` as `names: dimension sets`.
    pub(crate) fn elements(&self) -> Vec<String> {
        let document = self.json();
        let elements = document["CloudWatchMetrics"].as_array().cloned().unwrap_or_default();
        let texts = |node: &Value| {
            node.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(",")
        };
        let element = |element: &Value| {
            let metrics = element["Metrics"].as_array().unwrap();
            let names: Vec<&str> = metrics.iter().map(|metric| metric["Name"].as_str().unwrap()).collect();
            let sets: Vec<String> =
                element["Dimensions"].as_array().unwrap().iter().map(|set| format!("[{}]", texts(set))).collect();
            format!("{}: {}", names.join(" "), sets.join(" "))
        };
        elements.iter().map(element).collect()
    }
}

/// An exporter.
pub(crate) struct Emf {
    translator: Translator,
    resource: Vec<(String, String)>,
}

struct Collected(Vec<Event>);

impl EventSink for Collected {
    fn event(&mut self, event: EventRef<'_>) -> Result<(), &'static str> {
        self.0.push(Event {
            group: event.destination.group.to_string(),
            stream: event.destination.stream.to_string(),
            text: String::from_utf8(event.document.to_vec()).unwrap(),
        });
        Ok(())
    }
}

impl Emf {
    /// The exporter of an agent JSON whose `prometheus` section has these keys.
    #[track_caller]
    pub(crate) fn of(keys: &str) -> Emf {
        let tree = prometheus(keys, &ecs()).good();
        Emf::of_section(&serde_yaml::to_string(&tree["exporters"]["awsemf"]).unwrap())
    }

    /// The exporter of an agent JSON with these declarations.
    #[track_caller]
    pub(crate) fn declared(declarations: &str) -> Emf {
        Emf::of(&format!("\"emf_processor\":{{\"metric_declaration\":[{declarations}]}}"))
    }

    /// The exporter of an `awsemf` section.
    #[track_caller]
    pub(crate) fn of_section(yaml: &str) -> Emf {
        let (config, found) = config::decode_str::<AwsEmfConfig>(yaml);
        assert!(found.is_empty(), "{found:?}");
        let (settings, found) = config.unwrap().check(&BuildContext::for_test("awsemf"));
        assert!(!config::has_errors(&found), "{found:?}");
        let translator = Translator::new(Arc::new(settings.unwrap()), "awsemf", Counter::default(), Form::Plain);
        let resource = [("service.name", "backends"), ("service.instance.id", "10.10.100.191:3000")];
        Emf { translator, resource: owned(&resource) }
    }

    /// With these attributes of the scraped target.
    pub(crate) fn resource(mut self, resource: Labels<'_>) -> Emf {
        self.resource = owned(resource);
        self
    }

    /// What becomes of metrics (see [`gauge`] and [`counter`]).
    pub(crate) fn send(&mut self, metrics: Vec<Value>) -> Vec<Event> {
        let resource: Vec<(&str, &str)> = self.resource.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let request = json!({"resourceMetrics": [{"resource": {"attributes": attributes(&resource)},
            "scopeMetrics": [{"scope": {"name": "prometheusreceiver"}, "metrics": metrics}]}]});
        let batch = proto::otlp::decode_json(request.to_string().as_bytes()).unwrap();
        let mut sink = Collected(Vec::new());
        self.translator.translate(&batch, &mut sink);
        sink.0
    }
}

fn owned(labels: Labels<'_>) -> Vec<(String, String)> {
    labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn attributes(labels: Labels<'_>) -> Value {
    labels.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

fn metric(name: &str, kind: &str) -> Value {
    json!({"name": name, "metadata": [{"key": "prometheus.type", "value": {"stringValue": kind}}]})
}

/// A scraped gauge with one point.
pub(crate) fn gauge(name: &str, labels: Labels<'_>, value: f64) -> Value {
    let point =
        json!({"attributes": attributes(labels), "timeUnixNano": (T0_MS * 1_000_000).to_string(), "asDouble": value});
    let mut metric = metric(name, "gauge");
    metric["gauge"] = json!({"dataPoints": [point]});
    metric
}

/// A scraped counter with one point.
pub(crate) fn counter(name: &str, labels: Labels<'_>, at_ms: i64, value: f64) -> Value {
    let point =
        json!({"attributes": attributes(labels), "timeUnixNano": (at_ms * 1_000_000).to_string(), "asDouble": value});
    let mut metric = metric(name, "counter");
    metric["sum"] = json!({"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point]});
    metric
}

/// A declaration that takes every record, with these dimension sets and selectors as JSON lists.
pub(crate) fn declaration(sets: &str, selectors: &str) -> String {
    format!("{{\"source_labels\":[\"a\"],\"dimensions\":{sets},\"metric_selectors\":{selectors}}}")
}
