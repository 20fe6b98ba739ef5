//! Pipelines as values: processors in a row, fan-out to exporters, fan-out to pipelines.
//!
//! Decides who gets a batch and what the receiver is told; never looks at points.

use std::sync::{Arc, Mutex};

use exporter::ExporterNode;
use futures_util::future::join_all;
use processor::{Processor, Verdict};
use proto::{Batch, BoxFuture, Consume, Counter, Next, Refusal, Telemetry};

/// A processor with its counters.
pub struct Step {
    processor: Box<dyn Processor>,
    incoming: Counter,
    outgoing: Counter,
    telemetry: Telemetry,
    id: String,
}

impl Step {
    /// Wraps a processor under its id.
    pub fn new(processor: Box<dyn Processor>, id: &str, telemetry: &Telemetry) -> Step {
        let labels = [("processor", id), ("otel_signal", "metrics")];
        Step {
            processor,
            incoming: telemetry.counter(
                "otelcol_processor_incoming_items",
                "Number of items passed to the processor.",
                &labels,
            ),
            outgoing: telemetry.counter(
                "otelcol_processor_outgoing_items",
                "Number of items emitted from the processor.",
                &labels,
            ),
            telemetry: telemetry.clone(),
            id: id.to_owned(),
        }
    }

    fn run(&mut self, batch: &mut Batch) -> Verdict {
        let points = batch.points() as u64;
        self.incoming.add(points);
        let verdict = self.processor.process(batch);
        match &verdict {
            Verdict::Pass => self.outgoing.add(batch.points() as u64),
            Verdict::Drop(reason) => dropped(&self.telemetry, "processor", &self.id, reason).add(points),
            Verdict::Refuse(_) => {}
        }
        verdict
    }
}

/// Counter of points that ended at a component, by reason.
pub fn dropped(telemetry: &Telemetry, kind: &'static str, id: &str, reason: &str) -> Counter {
    telemetry.counter(
        "otelcol_ecs_dropped_metric_points",
        "Metric points that a component left out, by reason.",
        &[(kind, id), ("reason", reason)],
    )
}

/// Inline processors followed by whatever is next.
pub struct Inline {
    steps: Mutex<Vec<Step>>,
    next: Next,
}

impl Inline {
    /// Processors in order in front of `next`.
    pub fn new(steps: Vec<Step>, next: Next) -> Inline {
        Inline { steps: Mutex::new(steps), next }
    }
}

impl Consume for Inline {
    fn consume(&self, mut batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        // Processors run before the first await, so the lock is never held across one.
        let verdict = {
            let mut steps = self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut verdict = Verdict::Pass;
            for step in steps.iter_mut() {
                verdict = step.run(&mut batch);
                if !matches!(verdict, Verdict::Pass) {
                    break;
                }
            }
            verdict
        };
        match verdict {
            Verdict::Pass if batch.is_empty() => Box::pin(async { Ok(()) }),
            Verdict::Pass => self.next.send(batch),
            Verdict::Drop(_) => Box::pin(async { Ok(()) }),
            Verdict::Refuse(refusal) => Box::pin(async { Err(refusal) }),
        }
    }
}

/// The end of a pipeline: every exporter gets the same batch, by reference.
pub struct ToExporters {
    exporters: Vec<Arc<dyn ExporterNode>>,
}

impl ToExporters {
    /// Exporters of one pipeline; at least one.
    pub fn new(exporters: Vec<Arc<dyn ExporterNode>>) -> ToExporters {
        ToExporters { exporters }
    }
}

impl Consume for ToExporters {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let batch = Arc::new(batch);
            if let [only] = self.exporters.as_slice() {
                return only.export(batch).await;
            }
            let answers = join_all(self.exporters.iter().map(|e| e.export(batch.clone()))).await;
            merge(answers)
        })
    }
}

/// A receiver that several pipelines share: each gets its own copy of the batch.
pub struct ToPipelines {
    pipelines: Vec<Next>,
}

impl ToPipelines {
    /// The pipelines that list the receiver.
    pub fn new(pipelines: Vec<Next>) -> ToPipelines {
        ToPipelines { pipelines }
    }
}

impl Consume for ToPipelines {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let Some((last, others)) = self.pipelines.split_last() else { return Ok(()) };
            let mut sends: Vec<_> = others.iter().map(|next| next.send(batch.clone())).collect();
            sends.push(last.send(batch));
            merge(join_all(sends).await)
        })
    }
}

fn merge(answers: Vec<Result<(), Refusal>>) -> Result<(), Refusal> {
    match answers.into_iter().filter_map(Result::err).reduce(Refusal::merge) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
