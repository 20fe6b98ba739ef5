//! Configuration to components: builds every component, reports every problem, and connects what was built.
//!
//! Reads like the configuration file: extensions, exporters, processors, receivers. Starts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{Component, ComponentId, Config, Diagnostic, Spanned};
use exporter::{ExporterFactory, ExporterNode};
use extension::{Extension, ExtensionFactory};
use processor::{AnyProcessor, ProcessorFactory, Stage};
use proto::auth::AuthOffers;
use proto::{BuildContext, Next, Stop, TargetHub, Task};
use receiver::{Receiver, ReceiverFactory};

use crate::fanout::{FanOut, Target};
use crate::graph::{Inline, Step, ToExporter};

/// Everything a service consists of, built and not started.
pub struct Assembly {
    /// In the order of `service::extensions`.
    pub extensions: Vec<(String, Box<dyn Extension>)>,
    /// Exporters by id, each once however many pipelines use it.
    pub exporters: BTreeMap<String, Arc<dyn ExporterNode>>,
    /// Receivers by id.
    pub receivers: Vec<(String, Box<dyn Receiver>)>,
    /// What each pipeline is made of.
    pub pipelines: Vec<Pipeline>,
}

/// One pipeline before it is connected.
pub struct Pipeline {
    /// `metrics/application`.
    pub id: String,
    /// Ids of receivers.
    pub receivers: Vec<String>,
    /// Processors in order.
    pub processors: Vec<(String, AnyProcessor)>,
    /// Ids of exporters.
    pub exporters: Vec<String>,
}

/// Builds what `config` describes. Components that no pipeline uses are checked as well, then dropped.
pub fn assemble(config: &Config, context: &BuildContext) -> (Option<Assembly>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    // A hub of its own: what an assembly announces counts for its own jobs, however long it lives.
    let context = &BuildContext { targets: TargetHub::default(), ..context.clone() };
    let mut auth = AuthOffers::new();
    let mut extensions = BTreeMap::new();
    for Component { id, kind, node, .. } in config.extensions.iter() {
        let Some(factory) = extension_factory(kind) else { continue };
        let key = id.to_string();
        if let Some(built) = keep((factory.build)(node, &context.with_id(&key)), &mut problems) {
            if config.service.extensions.iter().any(|used| used.value == *id) {
                auth.insert(key.clone(), built.auth());
                built.publishes_targets().iter().for_each(|path| context.targets.announce(path));
            }
            extensions.insert(id.clone(), (key, built));
        }
    }
    let context = BuildContext { auth: Arc::new(auth), ..context.clone() };

    let mut exporters: BTreeMap<String, Arc<dyn ExporterNode>> = BTreeMap::new();
    for Component { id, kind, node, .. } in config.exporters.iter() {
        let Some(factory) = exporter_factory(kind) else { continue };
        let key = id.to_string();
        if let Some(built) = keep((factory.build)(node, &context.with_id(&key)), &mut problems)
            && config.service.pipelines.iter().any(|p| uses(&p.exporters, id))
        {
            let unmet = built.expects().filter(|expected| !is_before(config, expected.processor, id));
            problems.extend(unmet.map(|expected| expected.otherwise));
            exporters.insert(key, Arc::from(built));
        }
    }

    let mut receivers = Vec::new();
    for Component { id, kind, node, .. } in config.receivers.iter() {
        let Some(factory) = receiver_factory(kind) else { continue };
        let key = id.to_string();
        if let Some(built) = keep((factory.build)(node, &context.with_id(&key)), &mut problems)
            && config.service.pipelines.iter().any(|p| uses(&p.receivers, id))
        {
            receivers.push((key, built));
        }
    }

    let mut pipelines = Vec::new();
    for pipeline in &config.service.pipelines {
        problems.extend(edits_after_declarations(config, &pipeline.processors));
        let mut processors = Vec::new();
        for id in &pipeline.processors {
            if let Some(built) = build_processor(config, id, &context, &mut problems) {
                processors.push((id.to_string(), built));
            }
        }
        pipelines.push(Pipeline {
            id: pipeline.id.to_string(),
            receivers: names(&pipeline.receivers),
            processors,
            exporters: names(&pipeline.exporters),
        });
    }
    for Component { id, .. } in config.processors.iter() {
        if !config.service.pipelines.iter().any(|p| uses(&p.processors, id)) {
            drop(build_processor(config, id, &context, &mut problems));
        }
    }

    dedup(&mut problems);
    if config::has_errors(&problems) {
        return (None, problems);
    }
    let extensions = config.service.extensions.iter().filter_map(|id| extensions.remove(&id.value)).collect();
    (Some(Assembly { extensions, exporters, receivers, pipelines }), problems)
}

/// What runs once a pipeline is connected: a buffering processor or the backlogs of a fan-out, in the order of the
/// pipeline.
pub struct StageTask {
    /// Id of the processor, pipeline or receiver.
    pub id: String,
    /// Fired when everything before it has stopped.
    pub stop: Stop,
    /// Ends when the stage is empty.
    pub task: Task,
}

/// Connects the processors of a pipeline in front of its exporters. Returns what receivers send to.
pub fn connect(
    pipeline: Pipeline,
    exporters: &BTreeMap<String, Arc<dyn ExporterNode>>,
    context: &BuildContext,
    stages: &mut Vec<StageTask>,
) -> Next {
    let mut ends: Vec<_> =
        pipeline.exporters.iter().filter_map(|id| Some((id.clone(), exporters.get(id)?.clone()))).collect();
    let mut last_stage = None;
    let mut next = match ends.len() {
        1 => Next::new(ToExporter(ends.remove(0).1)),
        _ => {
            let targets = ends.into_iter().map(|(id, end)| (format!("{} to {id}", pipeline.id), Target::Exporter(end)));
            let (next, stage) = fan_out(pipeline.id.clone(), targets.collect(), context);
            last_stage = Some(stage);
            next
        }
    };
    let mut steps: Vec<Step> = Vec::new();
    let mut own_stages = Vec::new();
    for (id, processor) in pipeline.processors.into_iter().rev() {
        match processor {
            AnyProcessor::Inline(p) => steps.push(Step::new(p, &id, &context.telemetry)),
            AnyProcessor::Stage(stage) => {
                next = inline(&mut steps, next);
                next = connect_stage(stage, id, next, &mut own_stages);
            }
        }
    }
    stages.extend(own_stages.into_iter().rev());
    stages.extend(last_stage);
    inline(&mut steps, next)
}

/// Joins the entries of several pipelines, with their ids, for one receiver.
pub fn join(
    receiver: &str,
    mut entries: Vec<(String, Next)>,
    context: &BuildContext,
    stages: &mut Vec<StageTask>,
) -> Next {
    if entries.len() == 1 {
        return entries.remove(0).1;
    }
    let targets = entries.into_iter().map(|(id, next)| (format!("{receiver} to {id}"), Target::Pipeline(next)));
    let (next, stage) = fan_out(receiver.to_owned(), targets.collect(), context);
    stages.push(stage);
    next
}

fn fan_out(id: String, targets: Vec<(String, Target)>, context: &BuildContext) -> (Next, StageTask) {
    let stop = Stop::new();
    let (fan_out, task) = FanOut::new(targets, &context.telemetry, stop.clone());
    (Next::new(fan_out), StageTask { id, stop, task })
}

fn inline(steps: &mut Vec<Step>, next: Next) -> Next {
    if steps.is_empty() {
        return next;
    }
    let mut in_order = std::mem::take(steps);
    in_order.reverse();
    Next::new(Inline::new(in_order, next))
}

fn connect_stage(stage: Box<dyn Stage>, id: String, next: Next, tasks: &mut Vec<StageTask>) -> Next {
    let stop = Stop::new();
    let (entry, task) = stage.connect(next, stop.clone());
    tasks.push(StageTask { id, stop, task });
    entry
}

fn build_processor(
    config: &Config,
    id: &ComponentId,
    context: &BuildContext,
    problems: &mut Vec<Diagnostic>,
) -> Option<AnyProcessor> {
    let component = config.processors.get(id)?;
    let factory = processor_factory(component.kind)?;
    keep((factory.build)(&component.node, &context.with_id(&id.to_string())), problems)
}

/// Declarations are about names, labels and points as they are where `metric_declaration` stands.
fn edits_after_declarations(config: &Config, processors: &[Spanned<ComponentId>]) -> Vec<Diagnostic> {
    // By kind, because a kind may be written under several names.
    let is = |id: &Spanned<ComponentId>, kind: &str| config.processors.get(id).is_some_and(|found| found.kind == kind);
    let Some(at) = processors.iter().position(|id| is(id, "metric_declaration")) else { return Vec::new() };
    let first = processors[at].to_string();
    let warn = |later: &Spanned<ComponentId>| {
        let text = format!(
            "{:?} comes after {first:?}: points that it changes may lose what the declarations selected, and are then \
             published with all their labels",
            later.to_string()
        );
        later.warning(text).help(format!("put {first} after it"))
    };
    processors[at..].iter().filter(|id| is(id, "metricstransform")).map(warn).collect()
}

fn uses(list: &[Spanned<ComponentId>], id: &ComponentId) -> bool {
    list.iter().any(|used| used.value == *id)
}

/// Whether a processor of this kind is in any pipeline that leads to the exporter.
fn is_before(config: &Config, kind: &str, exporter: &ComponentId) -> bool {
    let mut pipelines = config.service.pipelines.iter().filter(|p| uses(&p.exporters, exporter));
    let is_kind = |id: &Spanned<ComponentId>| config.processors.get(&id.value).is_some_and(|c| c.kind == kind);
    pipelines.any(|p| p.processors.iter().any(is_kind))
}

fn names(list: &[Spanned<ComponentId>]) -> Vec<String> {
    list.iter().map(|id| id.value.to_string()).collect()
}

fn keep<T>((built, found): config::Built<T>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    problems.extend(found);
    built
}

/// A processor in two pipelines is built twice; its problems are told once.
fn dedup(problems: &mut Vec<Diagnostic>) {
    let mut seen = std::collections::HashSet::new();
    problems.retain(|p| seen.insert((p.path.clone(), p.message.clone(), format!("{:?}", p.span))));
}

macro_rules! find_factory {
    ($name:ident, $table:path, $factory:ty) => {
        fn $name(kind: &str) -> Option<&'static $factory> {
            $table.iter().copied().find(|f| f.kind == kind)
        }
    };
}
find_factory!(receiver_factory, receiver::FACTORIES, ReceiverFactory);
find_factory!(processor_factory, processor::FACTORIES, ProcessorFactory);
find_factory!(exporter_factory, exporter::FACTORIES, ExporterFactory);
find_factory!(extension_factory, extension::FACTORIES, ExtensionFactory);
