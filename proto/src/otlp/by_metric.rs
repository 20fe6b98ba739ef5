//! Points of a batch grouped by metric, for encoders that write metric by metric.

use crate::batch::Batch;
use crate::points::Point;

/// For each column, where the points of each metric are.
pub(super) struct ByMetric {
    pub(super) numbers: Column,
    pub(super) histograms: Column,
    pub(super) exponentials: Column,
    pub(super) summaries: Column,
}

impl ByMetric {
    pub(super) fn new(batch: &Batch) -> ByMetric {
        let metrics = batch.tables.metrics.len();
        ByMetric {
            numbers: Column::new(&batch.numbers, metrics),
            histograms: Column::new(&batch.histograms, metrics),
            exponentials: Column::new(&batch.exponentials, metrics),
            summaries: Column::new(&batch.summaries, metrics),
        }
    }

    /// True if the metric has no points of any kind.
    pub(super) fn is_empty(&self, metric: u32) -> bool {
        [&self.numbers, &self.histograms, &self.exponentials, &self.summaries]
            .iter()
            .all(|column| column.bounds(metric).is_none())
    }
}

/// Order of one column's points by metric; points of one metric keep their order.
#[derive(Default)]
pub(super) struct Column {
    /// First position of each metric, one more than metrics; empty when the column is.
    starts: Vec<u32>,
    /// Positions to indices, or empty when the column is in order already.
    order: Vec<u32>,
}

impl Column {
    fn new<P: Point>(points: &[P], metrics: usize) -> Column {
        if points.is_empty() {
            return Column::default();
        }
        let mut starts = vec![0u32; metrics + 1];
        for point in points {
            if let Some(count) = starts.get_mut(point.metric() as usize + 1) {
                *count += 1;
            }
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut order = Vec::new();
        if !points.is_sorted_by_key(Point::metric) {
            let mut next = starts.clone();
            order = vec![0; points.len()];
            for (i, point) in points.iter().enumerate() {
                if let Some(at) = next.get_mut(point.metric() as usize) {
                    if let Some(slot) = order.get_mut(*at as usize) {
                        *slot = i as u32;
                    }
                    *at += 1;
                }
            }
        }
        Column { starts, order }
    }

    /// The points of one metric.
    pub(super) fn of<'a, P>(&'a self, points: &'a [P], metric: u32) -> impl Iterator<Item = &'a P> {
        let (start, end) = self.bounds(metric).unwrap_or((0, 0));
        (start..end).map(move |i| match self.order.get(i) {
            Some(&index) => &points[index as usize],
            None => &points[i],
        })
    }

    fn bounds(&self, metric: u32) -> Option<(usize, usize)> {
        let start = *self.starts.get(metric as usize)? as usize;
        let end = *self.starts.get(metric as usize + 1)? as usize;
        (start < end).then_some((start, end))
    }
}
