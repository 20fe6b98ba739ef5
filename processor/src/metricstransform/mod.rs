//! `metricstransform`: renames, copies, combines and groups metrics, edits and aggregates labels.

mod aggregate;
mod config;
mod edit;
mod naming;
mod operations;
mod relabel;
#[cfg(test)]
mod tests;
mod transform;
mod work;

use ::config::{Built, Node};
use proto::{Batch, BuildContext, Uses};

use self::config::Transform;
use self::relabel::Relabel;
use crate::{AnyProcessor, Processor, ProcessorFactory, Verdict};

/// `metricstransform` in the table of processors.
pub static FACTORY: ProcessorFactory = ProcessorFactory { kind: "metricstransform", build };

fn build(node: &Node, context: &BuildContext) -> Built<AnyProcessor> {
    let (transforms, found) = config::read(node, context.version);
    let processor = transforms.map(|transforms| {
        let only_relabels = relabel::applies(&transforms);
        let processor = MetricsTransform {
            transforms,
            relabel: only_relabels.then(Relabel::default),
            id: context.id.clone(),
            dropped: context.telemetry.counter(
                "otelcol_ecs_dropped_metric_points",
                "Metric points that a component left out, by reason.",
                &[("processor", &context.id), ("reason", "transformed_away")],
            ),
        };
        AnyProcessor::Inline(Box::new(processor))
    });
    (processor, found)
}

struct MetricsTransform {
    transforms: Vec<Transform>,
    /// Set when all transforms only rename metrics and labels.
    relabel: Option<Relabel>,
    id: String,
    /// Points that were deleted or merged away.
    dropped: proto::Counter,
}

impl Processor for MetricsTransform {
    /// Points that become one have their buckets added up. A request that was edited is no longer what came in.
    fn uses(&self, behind: Uses) -> Uses {
        Uses { request: false, buckets: behind.buckets || self.relabel.is_none() }
    }

    fn process(&mut self, batch: &mut Batch) -> Verdict {
        if let Some(relabel) = &mut self.relabel {
            relabel.process(&self.transforms, batch);
            return Verdict::Pass;
        }
        let before = batch.points();
        let mut items = work::take_apart(batch);
        for transform in &self.transforms {
            transform::apply(transform, &mut items, batch, &self.id);
        }
        work::put_together(batch, items);
        self.dropped.add(before.saturating_sub(batch.points()) as u64);
        Verdict::Pass
    }
}
