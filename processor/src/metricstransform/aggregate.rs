//! Merging of points with equal labels and times.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use proto::points::{ExponentialBuckets, Point};
use proto::{
    AttrSetId, Batch, Exemplar, ExponentialPoint, HistogramPoint, NumberPoint, NumberValue, Quantile, Range32, Tables,
    Temporality,
};

use super::config::Aggregation;
use super::work::{Item, Points, each_kind};

/// What points refer to in a batch whose columns were taken out.
pub(super) struct Arrays<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) bounds: &'a mut Vec<f64>,
    pub(super) counts: &'a mut Vec<u64>,
    pub(super) exemplars: &'a mut Vec<Exemplar>,
    pub(super) quantiles: &'a mut Vec<Quantile>,
}

impl<'a> Arrays<'a> {
    pub(super) fn of(batch: &'a mut Batch) -> Arrays<'a> {
        Arrays {
            tables: Arc::make_mut(&mut batch.tables),
            bounds: &mut batch.bounds,
            counts: &mut batch.counts,
            exemplars: &mut batch.exemplars,
            quantiles: &mut batch.quantiles,
        }
    }
}

/// What merged points have in common: labels in any order, time, and for deltas the start.
type Key = (AttrSetId, u64, u64);

/// Merges the points of a metric that have equal labels and times. Summaries stay as they are.
pub(super) fn aggregate(item: &mut Item, aggregation: Aggregation, arrays: &mut Arrays<'_>) {
    let delta = item.metric.temporality == Temporality::Delta;
    let tables = &mut *arrays.tables;
    each_kind!(&mut item.points, v => v.iter_mut().for_each(|p| p.set_attrs(ordered(tables, p.attrs()))), {});
    let start = |start: u64| if delta { start } else { 0 };
    match &mut item.points {
        Points::None | Points::Summaries(_) => {}
        Points::Numbers(points) => {
            let groups = grouped(points, |p| -> Key { (p.attrs, p.time_unix_nano, start(p.start_unix_nano)) });
            *points = groups.into_iter().map(|group| number(&group, aggregation, arrays)).collect();
        }
        Points::Histograms(points) => {
            let groups = grouped(points, |p| {
                let bounds: Vec<u64> = p.bounds.of(arrays.bounds).iter().map(|b| b.to_bits()).collect();
                (p.attrs, p.time_unix_nano, start(p.start_unix_nano), bounds, p.counts.len)
            });
            *points = groups.into_iter().map(|group| histogram(&group, arrays)).collect();
        }
        Points::Exponentials(points) => {
            let groups = grouped(points, |p| {
                let zero = p.zero_threshold.to_bits();
                (p.attrs, p.time_unix_nano, start(p.start_unix_nano), p.scale, zero)
            });
            *points = groups.into_iter().map(|group| exponential(&group, arrays)).collect();
        }
    }
}

/// The same set with its pairs in one order, so that equal labels have equal ids.
fn ordered(tables: &mut Tables, set: AttrSetId) -> AttrSetId {
    let mut pairs = tables.attrs.pairs(set).to_vec();
    pairs.sort_by(|a, b| tables.str(a.0).cmp(tables.str(b.0)));
    tables.set(&pairs)
}

/// Groups in the order of their first point.
fn grouped<P: Copy, K: Eq + Hash>(points: &[P], key: impl Fn(&P) -> K) -> Vec<Vec<P>> {
    let mut index: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<Vec<P>> = Vec::new();
    for point in points {
        let at = *index.entry(key(point)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(*point),
            None => groups.push(vec![*point]),
        }
    }
    groups
}

fn number(group: &[NumberPoint], aggregation: Aggregation, arrays: &mut Arrays<'_>) -> NumberPoint {
    let mut merged = group[0];
    merged.start_unix_nano = group.iter().map(|p| p.start_unix_nano).min().unwrap_or_default();
    merged.exemplars = joined(group.iter().map(|p| p.exemplars), arrays);
    let ints: Option<Vec<i64>> = group
        .iter()
        .map(|p| match p.value {
            NumberValue::Int(v) => Some(v),
            _ => None,
        })
        .collect();
    merged.value = match ints {
        Some(values) => NumberValue::Int(int_value(values, aggregation)),
        None => {
            let double = |p: &NumberPoint| match p.value {
                NumberValue::Int(v) => v as f64,
                NumberValue::Double(v) => v,
                NumberValue::None => 0.0,
            };
            NumberValue::Double(double_value(group.iter().map(double).collect(), aggregation))
        }
    };
    merged
}

fn int_value(mut values: Vec<i64>, aggregation: Aggregation) -> i64 {
    let sum = || values.iter().fold(0i64, |a, b| a.wrapping_add(*b));
    match aggregation {
        Aggregation::Sum => sum(),
        Aggregation::Mean => sum() / values.len() as i64,
        Aggregation::Min => values.iter().copied().min().unwrap_or_default(),
        Aggregation::Max => values.iter().copied().max().unwrap_or_default(),
        Aggregation::Count => values.len() as i64,
        Aggregation::Median => {
            values.sort_unstable();
            let middle = values.len() / 2;
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1].wrapping_add(values[middle])) / 2 }
        }
    }
}

fn double_value(mut values: Vec<f64>, aggregation: Aggregation) -> f64 {
    match aggregation {
        Aggregation::Sum => values.iter().sum(),
        Aggregation::Mean => values.iter().sum::<f64>() / values.len() as f64,
        Aggregation::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Aggregation::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Aggregation::Count => values.len() as f64,
        Aggregation::Median => {
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
        }
    }
}

fn histogram(group: &[HistogramPoint], arrays: &mut Arrays<'_>) -> HistogramPoint {
    let mut merged = group[0];
    if group.len() == 1 {
        return merged;
    }
    let mut counts = vec![0u64; merged.counts.len as usize];
    for p in group {
        counts.iter_mut().zip(p.counts.of(arrays.counts)).for_each(|(sum, n)| *sum = sum.wrapping_add(*n));
    }
    merged.counts = pushed(arrays.counts, &counts);
    merged.count = group.iter().fold(0, |sum, p| sum.wrapping_add(p.count));
    merged.sum = added(group.iter().map(|p| p.sum));
    merged.min = group.iter().filter_map(|p| p.min).reduce(f64::min);
    merged.max = group.iter().filter_map(|p| p.max).reduce(f64::max);
    merged.start_unix_nano = group.iter().map(|p| p.start_unix_nano).min().unwrap_or_default();
    merged.exemplars = joined(group.iter().map(|p| p.exemplars), arrays);
    merged
}

fn exponential(group: &[ExponentialPoint], arrays: &mut Arrays<'_>) -> ExponentialPoint {
    let mut merged = group[0];
    if group.len() == 1 {
        return merged;
    }
    merged.positive = buckets(group.iter().map(|p| p.positive), arrays);
    merged.negative = buckets(group.iter().map(|p| p.negative), arrays);
    merged.count = group.iter().fold(0, |sum, p| sum.wrapping_add(p.count));
    merged.zero_count = group.iter().fold(0, |sum, p| sum.wrapping_add(p.zero_count));
    merged.sum = added(group.iter().map(|p| p.sum));
    merged.min = group.iter().filter_map(|p| p.min).reduce(f64::min);
    merged.max = group.iter().filter_map(|p| p.max).reduce(f64::max);
    merged.start_unix_nano = group.iter().map(|p| p.start_unix_nano).min().unwrap_or_default();
    merged.exemplars = joined(group.iter().map(|p| p.exemplars), arrays);
    merged
}

/// Most buckets of a merged side; two sides further apart keep the first one's buckets and the totals.
const MAX_BUCKETS: i64 = 100_000;

/// Adds buckets of one scale, aligned by offset.
fn buckets(sides: impl Iterator<Item = ExponentialBuckets> + Clone, arrays: &mut Arrays<'_>) -> ExponentialBuckets {
    let filled = || sides.clone().filter(|side| side.counts.len > 0);
    let low = filled().map(|side| i64::from(side.offset)).min();
    let high = filled().map(|side| i64::from(side.offset) + i64::from(side.counts.len)).max();
    let present = sides.clone().any(|side| side.present);
    let (Some(low), Some(high)) = (low, high) else { return ExponentialBuckets { present, ..Default::default() } };
    if high - low > MAX_BUCKETS {
        return filled().next().unwrap_or_default();
    }
    let mut counts = vec![0u64; (high - low) as usize];
    for side in filled() {
        let skip = (i64::from(side.offset) - low) as usize;
        counts[skip..].iter_mut().zip(side.counts.of(arrays.counts)).for_each(|(sum, n)| *sum = sum.wrapping_add(*n));
    }
    ExponentialBuckets { present, offset: low as i32, counts: pushed(arrays.counts, &counts) }
}

fn added(sums: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    sums.flatten().reduce(|a, b| a + b)
}

fn pushed(all: &mut Vec<u64>, counts: &[u64]) -> Range32 {
    let start = all.len() as u32;
    all.extend_from_slice(counts);
    Range32 { start, len: counts.len() as u32 }
}

fn joined(ranges: impl Iterator<Item = Range32> + Clone, arrays: &mut Arrays<'_>) -> Range32 {
    let mut filled = ranges.clone().filter(|range| range.len > 0);
    match (filled.next(), filled.next()) {
        (None, _) => Range32::default(),
        (Some(only), None) => only,
        _ => {
            let all: Vec<Exemplar> = ranges.flat_map(|range| range.of(arrays.exemplars).to_vec()).collect();
            let start = arrays.exemplars.len() as u32;
            let len = all.len() as u32;
            arrays.exemplars.extend(all);
            Range32 { start, len }
        }
    }
}
