//! One operation on one metric.

use proto::points::Point;
use proto::{AttrSetId, NumberValue, Tables};

use super::aggregate::{Arrays, aggregate};
use super::config::Operation;
use super::edit::{add_label, update_label};
use super::work::{Item, Points, each_kind};
use crate::actions::Pairs;

/// Runs an operation on all points of a metric.
pub(super) fn run(operation: &Operation, item: &mut Item, arrays: &mut Arrays<'_>) {
    match operation {
        Operation::AddLabel { label, value } => {
            edit_sets(item, arrays.tables, |tables, pairs| add_label(tables, pairs, label, value));
        }
        Operation::UpdateLabel { label, new_label, values } => {
            edit_sets(item, arrays.tables, |tables, pairs| update_label(tables, pairs, label, new_label, values));
        }
        Operation::DeleteLabelValue { label, value } => {
            let tables = &*arrays.tables;
            let keep = |set: AttrSetId| tables.attr(set, label).is_none_or(|v| tables.value_str(v) != value);
            each_kind!(&mut item.points, v => v.retain(|p| keep(p.attrs())), {});
        }
        Operation::ToggleScalarDataType => toggle(&mut item.points),
        Operation::Scale(factor) => scale(&mut item.points, *factor, arrays),
        Operation::AggregateLabels { labels, aggregation } => {
            edit_sets(item, arrays.tables, |tables, pairs| {
                pairs.retain(|(key, _)| labels.iter().any(|label| label == tables.str(*key)));
            });
            aggregate(item, *aggregation, arrays);
        }
        Operation::AggregateLabelValues { label, values, new_value, aggregation } => {
            edit_sets(item, arrays.tables, |tables, pairs| {
                let Some(key) = tables.symbols.lookup(label) else { return };
                let Some(at) = pairs.iter().position(|(k, _)| *k == key) else { return };
                if values.iter().any(|value| value == tables.value_str(pairs[at].1)) {
                    pairs[at].1 = tables.string_value(new_value);
                }
            });
            aggregate(item, *aggregation, arrays);
        }
    }
}

fn edit_sets(item: &mut Item, tables: &mut Tables, mut edit: impl FnMut(&mut Tables, &mut Pairs)) {
    let mut last: Option<(AttrSetId, AttrSetId)> = None;
    let mut pairs = Vec::new();
    let mut edited = |tables: &mut Tables, set: AttrSetId| match last {
        Some((old, new)) if old == set => new,
        _ => {
            pairs.clear();
            pairs.extend_from_slice(tables.attrs.pairs(set));
            edit(tables, &mut pairs);
            let new = tables.set(&pairs);
            last = Some((set, new));
            new
        }
    };
    each_kind!(&mut item.points, v => v.iter_mut().for_each(|p| p.set_attrs(edited(tables, p.attrs()))), {});
}

fn toggle(points: &mut Points) {
    if let Points::Numbers(points) = points {
        for point in points {
            point.value = match point.value {
                NumberValue::Int(v) => NumberValue::Double(v as f64),
                NumberValue::Double(v) => NumberValue::Int(v as i64),
                NumberValue::None => NumberValue::None,
            };
        }
    }
}

fn scale(points: &mut Points, factor: f64, arrays: &mut Arrays<'_>) {
    let scaled = |value: NumberValue| match value {
        NumberValue::Int(v) => NumberValue::Int((v as f64 * factor) as i64),
        NumberValue::Double(v) => NumberValue::Double(v * factor),
        NumberValue::None => NumberValue::None,
    };
    let times = |v: Option<f64>| v.map(|v| v * factor);
    match points {
        Points::None => {}
        Points::Numbers(points) => points.iter_mut().for_each(|p| p.value = scaled(p.value)),
        Points::Histograms(points) => {
            for p in points {
                (p.sum, p.min, p.max) = (times(p.sum), times(p.min), times(p.max));
                // Points may share a range of bounds, so the scaled ones are new.
                let bounds: Vec<f64> = p.bounds.of(arrays.bounds).iter().map(|b| b * factor).collect();
                p.bounds.start = arrays.bounds.len() as u32;
                arrays.bounds.extend(bounds);
                let exemplars: Vec<_> = p.exemplars.of(arrays.exemplars).to_vec();
                p.exemplars.start = arrays.exemplars.len() as u32;
                arrays.exemplars.extend(exemplars.into_iter().map(|mut e| {
                    e.value = scaled(e.value);
                    e
                }));
            }
        }
        Points::Exponentials(points) => {
            for p in points {
                (p.sum, p.min, p.max) = (times(p.sum), times(p.min), times(p.max));
                p.zero_threshold *= factor.abs();
                // A factor f moves every bucket by log2(f) * 2^scale indexes; a negative one swaps the sides.
                let shift = (factor.abs().log2() * f64::from(p.scale).exp2()).round() as i32;
                p.positive.offset = p.positive.offset.saturating_add(shift);
                p.negative.offset = p.negative.offset.saturating_add(shift);
                if factor < 0.0 {
                    std::mem::swap(&mut p.positive, &mut p.negative);
                    std::mem::swap(&mut p.min, &mut p.max);
                }
            }
        }
        Points::Summaries(points) => {
            for p in points {
                p.sum *= factor;
                let quantiles: Vec<_> = p.quantiles.of(arrays.quantiles).to_vec();
                p.quantiles.start = arrays.quantiles.len() as u32;
                arrays.quantiles.extend(quantiles.into_iter().map(|mut q| {
                    q.value *= factor;
                    q
                }));
            }
        }
    }
}
