//! What happens to a batch between receiver and exporter: the processor traits and the table of processors.
//!
//! An inline processor edits a batch in place, synchronously, without I/O. A stage (the `batch` processor) takes
//! batches, holds them and sends them on by itself.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod actions;
pub mod batch;
pub mod memory_limiter;
pub mod metric_declaration;
pub mod metricstransform;
pub mod resource;

mod tables_cache;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use config::{Built, Node};
use proto::{Batch, BuildContext, Next, Refusal, Stop, Task, Uses};

/// What became of a batch.
#[derive(Debug)]
pub enum Verdict {
    /// Go on with the edited batch.
    Pass,
    /// The whole batch ends here on purpose; counted under this reason.
    Drop(Cow<'static, str>),
    /// The batch is not taken; the receiver is told.
    Refuse(Refusal),
}

/// Edits batches in place: no I/O, no waiting, about a millisecond at most.
pub trait Processor: Send {
    /// Edits `batch`. Points that it removes are counted by itself under
    /// `otelcol_ecs_dropped_metric_points{processor,reason}`.
    fn process(&mut self, batch: &mut Batch) -> Verdict;
    /// What of requests is looked at by it or by those behind it, who look at `behind`.
    fn uses(&self, behind: Uses) -> Uses;
}

/// A processor with a life of its own: it buffers batches and hands them on later.
pub trait Stage: Send {
    /// Puts the stage in front of `next`: returns what goes in front of the stage, and its task, which ends after
    /// `stop` has fired and everything held was handed on (or counted as lost).
    fn connect(self: Box<Self>, next: Next, stop: Stop) -> (Next, Task);
}

/// What a factory builds.
pub enum AnyProcessor {
    /// Called inline.
    Inline(Box<dyn Processor>),
    /// Stands between two parts of the pipeline.
    Stage(Box<dyn Stage>),
}

/// How a processor of one kind is made from its configuration. One instance per pipeline that lists it.
pub struct ProcessorFactory {
    /// Component type (the config crate knows other spellings of it), `metricstransform`.
    pub kind: &'static str,
    /// Checks the section (null when empty) and builds; reports every problem it finds.
    pub build: fn(&Node, &BuildContext) -> Built<AnyProcessor>,
}

/// The processors of this binary.
pub static FACTORIES: &[&ProcessorFactory] = &[
    &batch::FACTORY,
    &memory_limiter::FACTORY,
    &metric_declaration::FACTORY,
    &metricstransform::FACTORY,
    &resource::FACTORY,
];
