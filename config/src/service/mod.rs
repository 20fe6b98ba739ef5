//! The effective tree as a configuration of a service: components by section, pipelines that refer to them, telemetry.
//! Checks the rules of the graph; what a component's own settings mean is the component's business.

mod absent;
mod components;
mod known;
mod pipelines;
mod telemetry;
mod telemetry_logs;

use serde::Deserialize;

use crate::decode::{Spanned, decode};
use crate::diagnostic::{Built, Diagnostic};
use crate::hint;
use crate::id::ComponentId;
use crate::node::Node;

pub use components::{Component, Components};
pub use known::{KnownComponents, Section};
pub use pipelines::{Pipeline, PipelineId, Signal};
pub use telemetry::{Level, MetricsTelemetry, PrometheusReader, ResourceAttribute, Telemetry};
pub use telemetry_logs::{Encoding, LogLevel, LogsTelemetry, Sampling};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What brings data in.
    pub receivers: Components,
    /// What edits it.
    pub processors: Components,
    /// What sends it.
    pub exporters: Components,
    /// What stands beside the pipelines.
    pub extensions: Components,
    /// What is connected and started.
    pub service: Service,
    /// The whole effective tree, for `print`.
    pub root: Node,
}

/// The `service` section.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Extensions to start, in this order.
    pub extensions: Vec<Spanned<ComponentId>>,
    /// Pipelines to run.
    pub pipelines: Vec<Pipeline>,
    /// Pipelines of traces and logs, which this agent leaves out with a warning.
    pub skipped: Vec<Pipeline>,
    /// The agent's own logs and metrics.
    pub telemetry: Telemetry,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Top {
    receivers: Option<Node>,
    processors: Option<Node>,
    exporters: Option<Node>,
    connectors: Option<Node>,
    extensions: Option<Node>,
    service: Option<Node>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawService {
    extensions: Option<Node>,
    pipelines: Option<Node>,
    telemetry: Option<Node>,
}

impl Config {
    /// Checks a tree against the rules of the service graph and the component types that exist.
    ///
    /// All problems are returned. The configuration is there even next to errors, so that components can be checked
    /// too; it lists only components whose type exists.
    pub fn from_tree(root: Node, known: &KnownComponents) -> Built<Config> {
        let (top, mut found) = decode::<Top>(&root);
        let Some(top) = top else { return (None, found) };
        explain_top_keys(&mut found, known);
        let mut sections = Vec::new();
        let parts = [
            (Section::Receivers, top.receivers),
            (Section::Processors, top.processors),
            (Section::Exporters, top.exporters),
            (Section::Connectors, top.connectors),
            (Section::Extensions, top.extensions),
        ];
        for (section, node) in parts {
            sections.push(components::Declared::read(section, node, known, &mut found));
        }
        for (section, index) in [("receiver", 0), ("exporter", 2)] {
            if sections[index].is_empty() {
                let problem = Diagnostic::error(format!("no {section} configuration specified in config")).on(&root);
                found.push(problem.help(format!("add a section {section}s: with at least one {section}")));
            }
        }
        let service_node = top.service;
        let mut service = Service::default();
        let raw = service_node.as_ref().map(decode::<RawService>);
        let (raw, problems) = raw.unwrap_or_default();
        found.extend(problems);
        let raw = raw.unwrap_or_default();
        let graph = pipelines::Graph { sections: &sections, known };
        service.extensions = pipelines::extensions(raw.extensions.as_ref(), &graph, &mut found);
        pipelines::read(
            raw.pipelines.as_ref(),
            service_node.as_ref().unwrap_or(&root),
            &graph,
            &mut service,
            &mut found,
        );
        if let Some(node) = &raw.telemetry {
            service.telemetry = telemetry::read(node, &mut found);
        }
        for section in &sections {
            section.report_absent(&service, &mut found);
        }
        service.drop_absent(&sections);
        let mut sections = sections.into_iter().map(components::Declared::into_components);
        let mut next = || sections.next().unwrap_or_default();
        let (receivers, processors, exporters, _connectors, extensions) = (next(), next(), next(), next(), next());
        found.sort_by_key(|d| d.span.as_ref().map(|span| (span.source.name().clone(), span.start)));
        (Some(Config { receivers, processors, exporters, extensions, service, root }), found)
    }
}

impl Service {
    /// Forgets extensions that were warned about, so that nobody looks for them.
    fn drop_absent(&mut self, sections: &[components::Declared]) {
        let extensions = sections.iter().find(|section| section.section == Section::Extensions);
        self.extensions.retain(|id| extensions.is_some_and(|section| !section.is_absent(id)));
    }
}

/// Adds "belongs under" to unknown keys of the top level.
fn explain_top_keys(found: &mut [Diagnostic], known: &KnownComponents) {
    for problem in found.iter_mut().filter(|problem| problem.message.starts_with("unknown key")) {
        let key = problem.message.trim_start_matches("unknown key ").trim_matches('"').to_owned();
        let kind = key.split('/').next().unwrap_or("");
        let near = hint::nearest(&key, Section::ALL.iter().map(|section| section.key()).chain(["service"])).is_some();
        let belongs = match key.as_str() {
            "pipelines" | "telemetry" => Some("service".to_owned()),
            "logs" | "metrics" | "traces" => Some("service::pipelines or service::telemetry".to_owned()),
            "scrape_configs" | "global" => Some("receivers::prometheus::config".to_owned()),
            _ if near => None,
            _ => Section::ALL.iter().find(|section| known.has(**section, kind)).map(|section| section.key().to_owned()),
        };
        if let Some(place) = belongs {
            problem.help = Some(format!("this key belongs under {place}").into_boxed_str());
        }
    }
}

#[cfg(test)]
mod tests;
