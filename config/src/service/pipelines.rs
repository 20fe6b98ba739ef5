//! Pipelines and the list of extensions: which component feeds which. Resolves references; builds nothing.

use std::fmt;

use serde::Deserialize;

use super::Service;
use super::components::Declared;
use super::known::{KnownComponents, Section};
use crate::decode::{Spanned, decode};
use crate::diagnostic::Diagnostic;
use crate::hint;
use crate::id::{self, ComponentId};
use crate::node::{Key, Node, Value};
use crate::position::Span;

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Metrics, the only kind that this agent carries.
    Metrics,
    /// Traces; their pipelines are left out.
    Traces,
    /// Logs; their pipelines are left out.
    Logs,
}

impl Signal {
    /// Its name in pipeline ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        }
    }
}

/// `metrics` or `metrics/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineId {
    /// The kind of data.
    pub signal: Signal,
    /// The part after the slash; empty when there is none.
    pub name: String,
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(self.signal.as_str()),
            name => write!(f, "{}/{name}", self.signal.as_str()),
        }
    }
}

/// A way from receivers through processors, in this order, to exporters.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// Where its id is written.
    pub span: Span,
    /// What feeds it, each once.
    pub receivers: Vec<Spanned<ComponentId>>,
    /// What edits its data, in this order.
    pub processors: Vec<Spanned<ComponentId>>,
    /// What sends its data, each once.
    pub exporters: Vec<Spanned<ComponentId>>,
}

impl Pipeline {
    /// The references to components of a section.
    pub fn of(&self, section: Section) -> &[Spanned<ComponentId>] {
        match section {
            Section::Receivers => &self.receivers,
            Section::Processors => &self.processors,
            Section::Exporters => &self.exporters,
            Section::Connectors | Section::Extensions => &[],
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    receivers: Option<Node>,
    processors: Option<Node>,
    exporters: Option<Node>,
}

/// What references can point to.
pub(super) struct Graph<'a> {
    /// What is declared.
    pub(super) sections: &'a [Declared],
    /// What could be.
    pub(super) known: &'a KnownComponents,
}

impl Graph<'_> {
    /// What could be listed for a section.
    fn candidates(&self, section: Section) -> String {
        let declared = self.sections.iter().filter(|declared| declared.section == section);
        let ids: Vec<String> = declared.flat_map(Declared::ids).collect();
        let key = section.key();
        match ids.is_empty() {
            true => format!("configure one under {key} and list it in {key} of the pipeline"),
            false => format!("list one of those that are configured: {key}: [{}]", ids.join(", ")),
        }
    }
}

/// The extensions to start.
pub(super) fn extensions(
    node: Option<&Node>,
    graph: &Graph<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Spanned<ComponentId>> {
    let ids = ids(node, found);
    let mut started: Vec<Spanned<ComponentId>> = Vec::new();
    for id in ids {
        if started.contains(&id) {
            found.push(id.warning(format!("extension {:?} is listed twice", id.to_string())));
            continue;
        }
        check_reference(&id, Section::Extensions, "service::extensions", graph, found);
        started.push(id);
    }
    started
}

/// All pipelines, into the service: those of metrics to run, the others to leave out.
pub(super) fn read(
    node: Option<&Node>,
    above: &Node,
    graph: &Graph<'_>,
    service: &mut Service,
    found: &mut Vec<Diagnostic>,
) {
    let entries = node.map_or(&[][..], Node::entries);
    if let Some(node) = node.filter(|node| !matches!(node.value, Value::Map(_) | Value::Null)) {
        let problem = Diagnostic::error(format!("expected a map of pipelines, got {}", node.value.describe())).on(node);
        found.push(problem.help("write the id of each pipeline as a key: metrics:"));
        return;
    }
    if entries.is_empty() {
        let at = node.unwrap_or(above);
        let problem =
            Diagnostic::error("service must have at least one pipeline").at(&at.span).path("service::pipelines");
        found.push(problem.help("add service: pipelines: metrics: with receivers and exporters"));
    }
    for (key, node) in entries {
        let (id, problem) = match pipeline_id(&key.name) {
            Ok(id) => (Some(id), None),
            Err(problem) => (None, Some(problem)),
        };
        found.extend(problem.map(|problem| problem.at(&key.span).path(node.path.clone())));
        let pipeline = pipeline(id, &key.span, node, graph, found);
        let Some(pipeline) = pipeline else { continue };
        let others = service.pipelines.iter().chain(&service.skipped);
        if let Some(first) = others.into_iter().find(|other| other.id == pipeline.id) {
            let problem = Diagnostic::error(format!("duplicate name {:?}", pipeline.id.to_string()));
            let problem =
                problem.help(format!("give one of them a name of its own, as {}/2", pipeline.id.signal.as_str()));
            found.push(problem.at(&key.span).path(node.path.clone()).also(&first.span, "first declared here"));
        } else if pipeline.id.signal == Signal::Metrics {
            service.pipelines.push(pipeline);
        } else {
            let text =
                format!("this agent carries metrics only; the pipeline {:?} is left out", pipeline.id.to_string());
            let problem = Diagnostic::warning(text).at(&key.span).path(node.path.clone());
            found.push(
                problem.help(format!("run the ADOT collector beside this agent for {}", pipeline.id.signal.as_str())),
            );
            service.skipped.push(pipeline);
        }
    }
    nothing_to_run(node, service, found);
}

/// Only traces and logs: an agent that ran would do nothing for ever.
fn nothing_to_run(node: Option<&Node>, service: &Service, found: &mut Vec<Diagnostic>) {
    let (Some(node), Some(first)) = (node, service.skipped.first()) else { return };
    let is_metrics = |key: &Key| key.name.trim_start().starts_with(Signal::Metrics.as_str());
    if node.entries().iter().any(|(key, _)| is_metrics(key)) {
        return;
    }
    let text = "no pipeline is left to run: this agent carries metrics, and only traces or logs are configured";
    let help = "add a pipeline metrics with receivers and exporters, or run the ADOT collector for the others";
    found.push(Diagnostic::error(text).at(&first.span).path("service::pipelines").help(help));
}

/// Reads a pipeline's parts even when its id is wrong, to find all problems.
fn pipeline(
    id: Option<PipelineId>,
    span: &Span,
    node: &Node,
    graph: &Graph<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Pipeline> {
    let (raw, problems) = decode::<Raw>(node);
    found.extend(problems);
    let raw = raw.unwrap_or_default();
    let path = node.path.clone();
    let mut parts = [
        (Section::Receivers, raw.receivers),
        (Section::Processors, raw.processors),
        (Section::Exporters, raw.exporters),
    ]
    .into_iter()
    .map(|(section, part)| {
        let ids = ids(part.as_ref(), found);
        let is_list = part
            .as_ref()
            .is_none_or(|part| part.elements().is_empty() && matches!(part.value, Value::Seq(_) | Value::Null));
        if ids.is_empty() && is_list && section != Section::Processors {
            let at = part.as_ref().map_or(span, |part| &part.span);
            let problem = Diagnostic::error(format!("must have at least one {}", section.singular()));
            found.push(problem.at(at).path(path.clone()).help(graph.candidates(section)));
        }
        let mut once: Vec<Spanned<ComponentId>> = Vec::new();
        for id in ids {
            if let Some(first) = once.iter().find(|other| **other == id) {
                found.push(repeated(section, &id, first, &path));
                continue;
            }
            check_reference(&id, section, &path, graph, found);
            once.push(id);
        }
        once
    });
    let mut next = || parts.next().unwrap_or_default();
    let (receivers, processors, exporters) = (next(), next(), next());
    drop(parts);
    Some(Pipeline { id: id?, span: span.clone(), receivers, processors, exporters })
}

/// A processor twice would run twice on different data, which the Collector refuses; the others mean the same once.
fn repeated(section: Section, id: &Spanned<ComponentId>, first: &Spanned<ComponentId>, path: &str) -> Diagnostic {
    let text = format!("references {} {:?} multiple times", section.singular(), id.to_string());
    let problem = match section {
        Section::Processors => Diagnostic::error(text).help("declare a second one with its own name, as batch/2"),
        _ => Diagnostic::warning(text),
    };
    problem.at(&id.span).path(path).also(&first.span, "first listed here")
}

fn check_reference(
    id: &Spanned<ComponentId>,
    section: Section,
    path: &str,
    graph: &Graph<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let declared = |wanted: Section| graph.sections.iter().filter(move |declared| declared.section == wanted);
    if declared(section).any(|declared| declared.has(id)) {
        return;
    }
    let (name, key) = (id.to_string(), section.key());
    let text = format!("references {} {name:?} which is not configured", section.singular());
    let own: Vec<String> = declared(section).flat_map(Declared::ids).collect();
    let elsewhere = graph.sections.iter().find(|declared| declared.has(id)).map(|declared| declared.section.key());
    let near = hint::nearest(&name, own.iter().map(String::as_str));
    let near_type = hint::nearest(id.kind(), graph.known.of(section).iter().copied()).filter(|kind| *kind != id.kind());
    let help = match (elsewhere, near, near_type) {
        (Some(other), ..) => {
            format!("{name:?} is configured under {other}; list it there, or configure one under {key}")
        }
        (_, Some(near), _) => format!("did you mean {near:?}?"),
        (_, _, Some(kind)) => format!("did you mean {kind:?}? it must be added under {key} too"),
        _ => format!("add {name}: under {key}"),
    };
    found.push(Diagnostic::error(text).at(&id.span).path(path).help(help));
}

/// A list of component ids; one bad id costs itself only. A comma-separated text is no list here.
fn ids(node: Option<&Node>, found: &mut Vec<Diagnostic>) -> Vec<Spanned<ComponentId>> {
    let Some(node) = node else { return Vec::new() };
    if !matches!(node.value, Value::Seq(_) | Value::Null) {
        let problem =
            Diagnostic::error(format!("expected a list of component ids, got {}", node.value.describe())).on(node);
        let help = node.as_str().map_or_else(|| "write a list: [a, b]".to_owned(), |text| format!("write [{text}]"));
        found.push(problem.help(help));
    }
    let mut ids = Vec::new();
    for element in node.elements() {
        let parsed = match element.as_str() {
            Some(text) => ComponentId::parse(text),
            None => Err(format!("expected a component id, got {}", element.value.describe())),
        };
        match parsed {
            Ok(value) => ids.push(Spanned { value, span: element.span.clone(), path: element.path.clone() }),
            Err(why) => found.push(Diagnostic::error(why).on(element).help(id::HELP)),
        }
    }
    ids
}

fn pipeline_id(text: &str) -> Result<PipelineId, Diagnostic> {
    let id = ComponentId::parse(text)
        .map_err(|why| Diagnostic::error(why).help("a pipeline is named metrics or metrics/NAME"))?;
    let signal = match id.kind() {
        "metrics" => Signal::Metrics,
        "traces" => Signal::Traces,
        "logs" => Signal::Logs,
        "profiles" => {
            let text = format!(
                "pipeline {text:?}: profiling signal support is at alpha level, gated under the \"service.profilesSupport\" feature gate"
            );
            return Err(Diagnostic::error(text).help("this agent carries metrics only"));
        }
        other => {
            let near =
                hint::nearest(other, ["metrics", "traces", "logs"]).map(|near| format!("did you mean {near:?}?"));
            let problem = Diagnostic::error(format!("in {text:?} id: unknown pipeline signal: {other:?}"));
            return Err(problem.help("a pipeline is named metrics or metrics/NAME").maybe_help(near));
        }
    };
    Ok(PipelineId { signal, name: id.name().to_owned() })
}
