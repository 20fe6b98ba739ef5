//! A batch in the order of OTLP: resources, their scopes, their metrics, the points of each. Prints nothing.

use std::ops::Range;

use proto::points::Point;
use proto::{Batch, ExponentialPoint, HistogramPoint, Metric, MetricKind, NumberPoint, Resource, Scope, SummaryPoint};

/// A resource with its scopes.
pub(super) struct ResourceView<'a> {
    pub(super) resource: &'a Resource,
    pub(super) scopes: Vec<ScopeView<'a>>,
}

/// A scope with its metrics.
pub(super) struct ScopeView<'a> {
    pub(super) scope: &'a Scope,
    pub(super) metrics: Vec<MetricView<'a>>,
}

/// A metric with its points.
pub(super) struct MetricView<'a> {
    pub(super) metric: &'a Metric,
    pub(super) points: Points<'a>,
}

/// Points of one metric.
pub(super) enum Points<'a> {
    None,
    Numbers(&'a [NumberPoint]),
    Histograms(&'a [HistogramPoint]),
    Exponentials(&'a [ExponentialPoint]),
    Summaries(&'a [SummaryPoint]),
}

/// The batch as OTLP nests it. Without points of their own, metrics of shared tables are left out.
pub(super) fn walk(batch: &Batch) -> Vec<ResourceView<'_>> {
    let tables = &*batch.tables;
    let mut resources: Vec<_> =
        tables.resources.iter().map(|resource| ResourceView { resource, scopes: Vec::new() }).collect();
    let mut scopes: Vec<_> = tables.scopes.iter().map(|scope| ScopeView { scope, metrics: Vec::new() }).collect();
    let count = tables.metrics.len();
    let numbers = ranges(&batch.numbers, count);
    let histograms = ranges(&batch.histograms, count);
    let exponentials = ranges(&batch.exponentials, count);
    let summaries = ranges(&batch.summaries, count);
    for (i, metric) in tables.metrics.iter().enumerate() {
        let points = match metric.kind {
            MetricKind::None => Points::None,
            MetricKind::Gauge | MetricKind::Sum => Points::Numbers(&batch.numbers[numbers[i].clone()]),
            MetricKind::Histogram => Points::Histograms(&batch.histograms[histograms[i].clone()]),
            MetricKind::ExponentialHistogram => Points::Exponentials(&batch.exponentials[exponentials[i].clone()]),
            MetricKind::Summary => Points::Summaries(&batch.summaries[summaries[i].clone()]),
        };
        if batch.meta.shared_tables && points.len() == 0 {
            continue;
        }
        scopes[metric.scope as usize].metrics.push(MetricView { metric, points });
    }
    for scope in scopes {
        if !batch.meta.shared_tables || !scope.metrics.is_empty() {
            resources[scope.scope.resource as usize].scopes.push(scope);
        }
    }
    resources.retain(|resource| !batch.meta.shared_tables || !resource.scopes.is_empty());
    resources
}

impl Points<'_> {
    /// Number of points.
    pub(super) fn len(&self) -> usize {
        match self {
            Points::None => 0,
            Points::Numbers(points) => points.len(),
            Points::Histograms(points) => points.len(),
            Points::Exponentials(points) => points.len(),
            Points::Summaries(points) => points.len(),
        }
    }
}

/// Where the points of each metric are; those of one metric are adjacent.
fn ranges<P: Point>(points: &[P], metrics: usize) -> Vec<Range<usize>> {
    let mut found = vec![0..0; metrics];
    let mut start = 0;
    for run in points.chunk_by(|a, b| a.metric() == b.metric()) {
        found[run[0].metric() as usize] = start..start + run.len();
        start += run.len();
    }
    found
}
