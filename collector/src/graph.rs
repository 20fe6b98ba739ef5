//! Pipelines as values: processors in a row and the exporter at the end. Several ends are `fanout`'s business.

use std::sync::{Arc, Mutex};

use exporter::ExporterNode;
use processor::{Processor, Verdict};
use proto::{Batch, BoxFuture, Consume, Counter, Next, Refusal, Telemetry, Uses};

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

    fn uses(&self) -> Uses {
        let steps = self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        steps.iter().rev().fold(self.next.uses(), |behind, step| step.processor.uses(behind))
    }
}

/// The end of a pipeline with a single exporter.
pub struct ToExporter(pub Arc<dyn ExporterNode>);

impl Consume for ToExporter {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        self.0.export(Arc::new(batch))
    }

    fn uses(&self) -> Uses {
        self.0.uses()
    }
}
