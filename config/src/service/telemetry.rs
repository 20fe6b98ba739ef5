//! The agent's own telemetry: `service::telemetry` with metrics and resource. Logs are in `telemetry_logs`.

use serde::Deserialize;

use super::telemetry_logs::LogsTelemetry;
use crate::decode::{Spanned, decode};
use crate::diagnostic::Diagnostic;
use crate::node::{Node, Value};

/// The agent's own logs and metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// Its logs.
    pub logs: LogsTelemetry,
    /// Its metrics.
    pub metrics: MetricsTelemetry,
    /// Attributes of its resource, in the order written.
    pub resource: Vec<ResourceAttribute>,
}

/// An attribute of the agent's resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAttribute {
    /// `service.name`, ...
    pub name: String,
    /// Its value; `None` removes a default one.
    pub value: Option<String>,
}

/// How the agent shows its own metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsTelemetry {
    /// How much of it.
    pub level: Level,
    /// Where it can be scraped; nowhere at level none.
    pub readers: Vec<PrometheusReader>,
}

impl Default for MetricsTelemetry {
    fn default() -> MetricsTelemetry {
        MetricsTelemetry { level: Level::Normal, readers: vec![PrometheusReader::default()] }
    }
}

/// How many metrics the agent shows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// None at all.
    None,
    /// Without batch histograms and detail per request.
    Basic,
    /// The usual ones.
    #[default]
    Normal,
    /// As normal: there is no more to tell.
    Detailed,
}

/// A page with the agent's metrics in Prometheus' format.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct PrometheusReader {
    /// Address to listen on; empty for all.
    pub host: Spanned<String>,
    /// Port to listen on.
    pub port: Spanned<u16>,
    /// Leave out the labels of the instrumentation scope.
    pub without_scope_info: bool,
    /// Leave out `_total` and the like at the end of names.
    pub without_type_suffix: bool,
    /// Leave out units at the end of names.
    pub without_units: bool,
}

/// The Collector's page: `localhost:8888`, plain names.
impl Default for PrometheusReader {
    fn default() -> PrometheusReader {
        PrometheusReader {
            host: Spanned::built_in("localhost".to_owned()),
            port: Spanned::built_in(8888),
            without_scope_info: true,
            without_type_suffix: true,
            without_units: true,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    logs: LogsTelemetry,
    metrics: RawMetrics,
    traces: RawTraces,
    resource: Option<Node>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawMetrics {
    level: Spanned<Level>,
    readers: Option<Spanned<Vec<Spanned<RawReader>>>>,
    views: Option<Node>,
    address: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawReader {
    pull: Option<RawPull>,
    periodic: Option<Node>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawPull {
    exporter: RawPullExporter,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawPullExporter {
    prometheus: Option<PrometheusReader>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawTraces {
    level: Spanned<Level>,
    propagators: Option<Node>,
    processors: Option<Node>,
}

/// Reads the section. What the agent cannot do is refused.
pub(super) fn read(node: &Node, found: &mut Vec<Diagnostic>) -> Telemetry {
    let (raw, problems) = decode::<Raw>(node);
    found.extend(problems);
    let raw = raw.unwrap_or_default();
    raw.logs.check(found);
    for (what, part) in [("propagators", &raw.traces.propagators), ("processors", &raw.traces.processors)] {
        if let Some(part) = part.as_ref().filter(|part| !part.elements().is_empty()) {
            let problem = Diagnostic::error(format!("{what} of internal traces are not supported")).on(part);
            found.push(problem.help("this agent has no traces of its own; remove the section traces"));
        }
    }
    if !raw.traces.level.span.is_built_in() && *raw.traces.level != Level::None {
        found.push(raw.traces.level.error("this agent has no traces of its own").help("remove the section traces"));
    }
    let resource = raw.resource.map(|node| resource(&node, found)).unwrap_or_default();
    Telemetry { logs: raw.logs, metrics: metrics(raw.metrics, found), resource }
}

fn metrics(raw: RawMetrics, found: &mut Vec<Diagnostic>) -> MetricsTelemetry {
    if let Some(views) = raw.views.filter(|views| !views.elements().is_empty()) {
        let problem = Diagnostic::error("views are not supported").on(&views);
        found.push(problem.help("choose with level, or with metric_relabel_configs where the metrics are scraped"));
    }
    if *raw.level == Level::Detailed {
        let problem = raw.level.warning("level: detailed shows no more than normal does");
        found.push(problem.help("write normal"));
    }
    let mut metrics = MetricsTelemetry { level: *raw.level, ..MetricsTelemetry::default() };
    match (raw.readers, raw.address) {
        (Some(readers), Some(address)) => {
            let problem = address.error("address and readers exclude each other").help("remove address");
            found.push(problem.also(&readers.span, "readers are set here"));
        }
        (Some(readers), None) => {
            if readers.is_empty() && metrics.level != Level::None {
                let problem =
                    readers.error("collector telemetry metrics reader should exist when metric level is not none");
                found.push(problem.help("set level: none, or remove the key readers"));
            }
            metrics.readers = readers.value.into_iter().filter_map(|raw| reader(raw, found)).collect();
        }
        (None, Some(address)) => metrics.readers = legacy_address(&address, found).into_iter().collect(),
        (None, None) => {}
    }
    if metrics.level == Level::None {
        metrics.readers.clear();
    }
    metrics
}

fn reader(raw: Spanned<RawReader>, found: &mut Vec<Diagnostic>) -> Option<PrometheusReader> {
    if let Some(periodic) = &raw.periodic {
        let problem = Diagnostic::error("periodic readers are not supported").on(periodic);
        found.push(problem.help("use a pull reader, and scrape it with a prometheus receiver to send it on"));
        return None;
    }
    let (span, path) = (raw.span.clone(), raw.path.clone());
    match raw.value.pull.and_then(|pull| pull.exporter.prometheus) {
        Some(prometheus) => {
            if !prometheus.without_units {
                let text = "own metrics have no units that could be added; without_units: false has no effect";
                found.push(Diagnostic::warning(text).at(&span).path(path));
            }
            Some(prometheus)
        }
        None => {
            let problem = Diagnostic::error("this reader has no pull: exporter: prometheus:").at(&span).path(path);
            found.push(problem.help("write {pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}"));
            None
        }
    }
}

/// `address: 0.0.0.0:8888`, which the Collector removed and many configurations still have.
fn legacy_address(address: &Spanned<String>, found: &mut Vec<Diagnostic>) -> Option<PrometheusReader> {
    if address.is_empty() {
        return None;
    }
    match crate::types::Endpoint::parse(address).map(|endpoint| (endpoint.host().map(str::to_owned), endpoint.port())) {
        Ok((Some(host), Some(port))) => {
            let write = format!("readers: [{{pull: {{exporter: {{prometheus: {{host: '{host}', port: {port}}}}}}}}}]");
            found.push(address.warning("the key address is deprecated").help(format!("write {write}")));
            let place = |span| Spanned { value: host, span, path: address.path.clone() };
            let port = Spanned { value: port, span: address.span.clone(), path: address.path.clone() };
            Some(PrometheusReader { host: place(address.span.clone()), port, ..PrometheusReader::default() })
        }
        Ok(_) => {
            found.push(address.error("expected host:port").help("write 0.0.0.0:8888"));
            None
        }
        Err(why) => {
            found.push(address.error(why).help("write host:port, for example 0.0.0.0:8888"));
            None
        }
    }
}

/// `{service.name: x, service.instance.id: null}` or `attributes: [{name, value}]`.
fn resource(node: &Node, found: &mut Vec<Diagnostic>) -> Vec<ResourceAttribute> {
    #[derive(Deserialize)]
    struct Attribute {
        name: String,
        #[serde(default)]
        value: Option<Node>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct List {
        attributes: Vec<Attribute>,
    }
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        let problem = Diagnostic::error(format!("expected a map, got {}", node.value.describe())).on(node);
        found.push(problem.help("write attributes: [{name: ..., value: ...}]"));
    }
    let list = node.get("attributes").filter(|attributes| matches!(attributes.value, Value::Seq(_)));
    let Some(list) = list else {
        if let Some((key, _)) = node.entries().first() {
            let problem = Diagnostic::warning("resource attributes as a map are deprecated")
                .at(&key.span)
                .path(node.path.clone());
            found.push(problem.help("write attributes: [{name: ..., value: ...}]"));
        }
        let entries = node.entries().iter();
        return entries
            .map(|(key, node)| ResourceAttribute { name: key.name.to_string(), value: text(node, found) })
            .collect();
    };
    if node.entries().len() > 1 {
        let problem = Diagnostic::error("attributes and other keys cannot be mixed").on(list);
        found.push(problem.help("put every attribute into the list attributes"));
        return Vec::new();
    }
    let (raw, problems) = decode::<List>(node);
    found.extend(problems);
    let attributes = raw.unwrap_or_default().attributes.into_iter();
    attributes.map(|a| ResourceAttribute { name: a.name, value: a.value.and_then(|node| text(&node, found)) }).collect()
}

fn text(node: &Node, found: &mut Vec<Diagnostic>) -> Option<String> {
    match (&node.value, &node.raw) {
        (Value::Null, _) => None,
        (Value::Str(text), _) => Some(text.to_string()),
        (Value::Bool(_) | Value::Int(_) | Value::Float(_), Some(raw)) => Some(raw.to_string()),
        (value, _) => {
            found.push(
                Diagnostic::error(format!("expected a text, got {}", value.describe()))
                    .on(node)
                    .help("put it in quotes"),
            );
            None
        }
    }
}
