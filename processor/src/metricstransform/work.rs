//! A batch taken apart by metric, for transforms that move, copy or merge points, and put together again.

use proto::points::Point;
use proto::{Batch, ExponentialPoint, HistogramPoint, Metric, MetricKind, NumberPoint, SummaryPoint};

/// A metric with its points.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) metric: Metric,
    pub(super) points: Points,
}

/// The points of one metric.
#[derive(Clone)]
pub(super) enum Points {
    None,
    Numbers(Vec<NumberPoint>),
    Histograms(Vec<HistogramPoint>),
    Exponentials(Vec<ExponentialPoint>),
    Summaries(Vec<SummaryPoint>),
}

/// Runs the same code on whichever vector of points there is; `$none` without any.
macro_rules! each_kind {
    ($points:expr, $v:ident => $body:expr, $none:expr) => {
        match $points {
            Points::None => $none,
            Points::Numbers($v) => $body,
            Points::Histograms($v) => $body,
            Points::Exponentials($v) => $body,
            Points::Summaries($v) => $body,
        }
    };
}
pub(super) use each_kind;

impl Points {
    pub(super) fn len(&self) -> usize {
        each_kind!(self, v => v.len(), 0)
    }

    /// Keeps the points for which `keep` says so, by index.
    pub(super) fn retain_indexed(&mut self, keep: &[bool]) {
        each_kind!(self, v => {
            let mut index = 0;
            v.retain(|_| {
                index += 1;
                keep[index - 1]
            });
        }, {});
    }
}

/// Takes the points out of the batch, by metric in the order of the tables.
pub(super) fn take_apart(batch: &mut Batch) -> Vec<Item> {
    let mut items: Vec<Item> = batch
        .tables
        .metrics
        .iter()
        .map(|metric| Item {
            points: match metric.kind {
                MetricKind::None => Points::None,
                MetricKind::Gauge | MetricKind::Sum => Points::Numbers(Vec::new()),
                MetricKind::Histogram => Points::Histograms(Vec::new()),
                MetricKind::ExponentialHistogram => Points::Exponentials(Vec::new()),
                MetricKind::Summary => Points::Summaries(Vec::new()),
            },
            metric: metric.clone(),
        })
        .collect();
    macro_rules! sort_in {
        ($column:ident, $kind:ident) => {
            for point in std::mem::take(&mut batch.$column) {
                if let Some(Item { points: Points::$kind(v), .. }) = items.get_mut(point.metric as usize) {
                    v.push(point);
                }
            }
        };
    }
    sort_in!(numbers, Numbers);
    sort_in!(histograms, Histograms);
    sort_in!(exponentials, Exponentials);
    sort_in!(summaries, Summaries);
    items
}

/// Puts metrics and points back; metrics of one scope end up side by side, those of new scopes last.
pub(super) fn put_together(batch: &mut Batch, mut items: Vec<Item>) {
    items.sort_by_key(|item| item.metric.scope);
    let mut metrics = Vec::with_capacity(items.len());
    for (index, mut item) in items.into_iter().enumerate() {
        each_kind!(&mut item.points, v => v.iter_mut().for_each(|p| p.set_metric(index as u32)), {});
        match item.points {
            Points::None => {}
            Points::Numbers(v) => batch.numbers.extend(v),
            Points::Histograms(v) => batch.histograms.extend(v),
            Points::Exponentials(v) => batch.exponentials.extend(v),
            Points::Summaries(v) => batch.summaries.extend(v),
        }
        metrics.push(item.metric);
    }
    batch.tables_mut().metrics = metrics;
    batch.edited();
}
