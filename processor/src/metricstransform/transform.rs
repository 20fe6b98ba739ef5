//! One transform on the metrics of a batch: update, insert, combine, group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::points::Point;
use proto::{AttrSetId, Batch, MetricKind, Tables, ValueKind};

use super::aggregate::{Arrays, aggregate};
use super::config::{Action, Aggregation, Case, Matcher, Operation, Transform};
use super::edit::add_label;
use super::naming::renamed;
use super::operations::run;
use super::work::{Item, Points, each_kind};

/// Applies a transform. `batch` gives tables and arrays; its point columns are in `items`.
pub(super) fn apply(transform: &Transform, items: &mut Vec<Item>, batch: &mut Batch, id: &str) {
    match &transform.action {
        Action::Update => update(transform, items, batch),
        Action::Insert => insert(transform, items, batch),
        Action::Combine { aggregation, case } => combine(transform, *aggregation, *case, items, batch, id),
        Action::Group { labels } => group(transform, labels, items, batch),
    }
    items.retain(|item| item.points.len() > 0 || matches!(item.points, Points::None));
}

/// Which points of a metric the transform is about; `None` when the metric is not included or none matches.
fn matching(transform: &Transform, item: &Item, tables: &Tables) -> Option<Vec<bool>> {
    if item.points.len() == 0 || !transform.include.matches(tables.str(item.metric.name)) {
        return None;
    }
    let matches = |attrs: AttrSetId| {
        transform.labels.iter().all(|(label, matcher)| {
            let value = tables.attr(attrs, label).filter(|v| tables.attrs.kind(*v) == ValueKind::Str);
            matcher.matches(value.map_or("", |v| tables.value_str(v)))
        })
    };
    let matched: Vec<bool> = each_kind!(&item.points, v => v.iter().map(|p| matches(p.attrs())).collect(), Vec::new());
    matched.contains(&true).then_some(matched)
}

/// The matching points of a metric as a metric of their own.
fn part(item: &Item, matched: &[bool]) -> Item {
    let mut part = item.clone();
    part.points.retain_indexed(matched);
    part
}

fn rest(item: &mut Item, matched: &[bool]) {
    let others: Vec<bool> = matched.iter().map(|m| !m).collect();
    item.points.retain_indexed(&others);
}

fn rename(transform: &Transform, item: &mut Item, tables: &mut Tables) {
    if let Some(name) = renamed(transform, tables.str(item.metric.name)) {
        item.metric.name = tables.symbols.intern(&name);
    }
}

fn update(transform: &Transform, items: &mut [Item], batch: &mut Batch) {
    let mut arrays = Arrays::of(batch);
    for item in items {
        let Some(matched) = matching(transform, item, arrays.tables) else { continue };
        if !matched.contains(&false) {
            rename(transform, item, arrays.tables);
            transform.operations.iter().for_each(|op| run(op, item, &mut arrays));
            continue;
        }
        // Only some points match: what would change the whole metric is left out, as in the Collector.
        let pointwise = |op: &&Operation| {
            matches!(op, Operation::UpdateLabel { .. } | Operation::ToggleScalarDataType | Operation::Scale(_))
        };
        let mut own = part(item, &matched);
        transform.operations.iter().filter(pointwise).for_each(|op| run(op, &mut own, &mut arrays));
        put_back(item, own, &matched);
    }
}

/// Replaces the matched points of a metric by their edited form, in place.
fn put_back(item: &mut Item, own: Item, matched: &[bool]) {
    macro_rules! put {
        ($all:expr, $edited:expr) => {{
            let mut edited = $edited.into_iter();
            for (point, _) in $all.iter_mut().zip(matched).filter(|(_, m)| **m) {
                if let Some(new) = edited.next() {
                    *point = new;
                }
            }
        }};
    }
    match (&mut item.points, own.points) {
        (Points::Numbers(all), Points::Numbers(own)) => put!(all, own),
        (Points::Histograms(all), Points::Histograms(own)) => put!(all, own),
        (Points::Exponentials(all), Points::Exponentials(own)) => put!(all, own),
        (Points::Summaries(all), Points::Summaries(own)) => put!(all, own),
        _ => {}
    }
}

fn insert(transform: &Transform, items: &mut Vec<Item>, batch: &mut Batch) {
    let mut arrays = Arrays::of(batch);
    let mut copies = Vec::new();
    for item in items.iter() {
        let Some(matched) = matching(transform, item, arrays.tables) else { continue };
        let mut copy = part(item, &matched);
        rename(transform, &mut copy, arrays.tables);
        transform.operations.iter().for_each(|op| run(op, &mut copy, &mut arrays));
        copies.push(copy);
    }
    items.extend(copies);
}

fn combine(
    transform: &Transform,
    aggregation: Aggregation,
    case: Case,
    items: &mut Vec<Item>,
    batch: &mut Batch,
    id: &str,
) {
    let mut arrays = Arrays::of(batch);
    let mut by_scope: BTreeMap<u32, Vec<(usize, Vec<bool>)>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(matched) = matching(transform, item, arrays.tables) {
            by_scope.entry(item.metric.scope).or_default().push((index, matched));
        }
    }
    for members in by_scope.into_values() {
        if let Some(why) = incompatible(&members, items, arrays.tables) {
            tracing::warn!(
                component_id = id,
                include = transform.new_name,
                why,
                "metrics cannot be combined and are left as they are"
            );
            continue;
        }
        let mut whole: Option<Item> = None;
        for (index, matched) in &members {
            let mut own = part(&items[*index], matched);
            label_groups(transform, case, &mut own, arrays.tables);
            rest(&mut items[*index], matched);
            match &mut whole {
                None => whole = Some(own),
                Some(whole) => append(&mut whole.points, own.points),
            }
        }
        let Some(mut whole) = whole else { continue };
        whole.metric.name = arrays.tables.symbols.intern(&transform.new_name);
        aggregate(&mut whole, aggregation, &mut arrays);
        transform.operations.iter().for_each(|op| run(op, &mut whole, &mut arrays));
        items.push(whole);
    }
}

/// Why metrics cannot become one.
fn incompatible(members: &[(usize, Vec<bool>)], items: &[Item], tables: &Tables) -> Option<&'static str> {
    let keys = |item: &Item| -> BTreeSet<u32> {
        let keys_of = |set: AttrSetId| tables.attrs.pairs(set).iter().map(|(key, _)| key.0);
        each_kind!(&item.points, v => v.iter().flat_map(|p| keys_of(p.attrs())).collect(), BTreeSet::new())
    };
    let (first, others) = members.split_first()?;
    let one = &items[first.0];
    if one.metric.kind == MetricKind::Summary {
        return Some("summaries cannot be added");
    }
    let first_keys = keys(one);
    for (index, _) in others {
        let (a, b) = (&one.metric, &items[*index].metric);
        let checks = [
            (a.kind == b.kind, "their types differ"),
            (a.unit == b.unit, "their units differ"),
            (a.temporality == b.temporality, "their temporalities differ"),
            (a.monotonic == b.monotonic, "one is monotonic and the other is not"),
            (first_keys == keys(&items[*index]), "their labels differ"),
        ];
        if let Some((_, why)) = checks.into_iter().find(|(same, _)| !same) {
            return Some(why);
        }
    }
    None
}

/// Turns the groups of the regular expression into labels: under their name, or `$1`; empty ones add nothing.
fn label_groups(transform: &Transform, case: Case, item: &mut Item, tables: &mut Tables) {
    let Matcher::Regexp(regex) = &transform.include else { return };
    let name = tables.str(item.metric.name).to_owned();
    let mut captures = regex.captures();
    if !regex.captures_into(&name, &mut captures) {
        return;
    }
    for (i, group_name) in regex.group_names().into_iter().enumerate() {
        let text = regex.group(&captures, i + 1).map_or("", |range| &name[range]);
        if text.is_empty() {
            continue;
        }
        let value = match case {
            Case::Keep => text.to_owned(),
            Case::Lower => text.to_lowercase(),
            Case::Upper => text.to_uppercase(),
        };
        let label = group_name.unwrap_or_else(|| format!("${}", i + 1));
        each_kind!(&mut item.points, v => v.iter_mut().for_each(|p| {
            let mut pairs = tables.attrs.pairs(p.attrs()).to_vec();
            add_label(tables, &mut pairs, &label, &value);
            p.set_attrs(tables.set(&pairs));
        }), {});
    }
}

fn append(to: &mut Points, from: Points) {
    match (to, from) {
        (Points::Numbers(to), Points::Numbers(from)) => to.extend(from),
        (Points::Histograms(to), Points::Histograms(from)) => to.extend(from),
        (Points::Exponentials(to), Points::Exponentials(from)) => to.extend(from),
        (Points::Summaries(to), Points::Summaries(from)) => to.extend(from),
        _ => {}
    }
}

/// Moves matching metrics to a copy of their resource with more attributes.
fn group(transform: &Transform, labels: &[(String, String)], items: &mut Vec<Item>, batch: &mut Batch) {
    let tables = Arc::make_mut(&mut batch.tables);
    let mut new_scopes: BTreeMap<u32, u32> = BTreeMap::new();
    let mut new_resources: BTreeMap<u32, u32> = BTreeMap::new();
    let mut moved = Vec::new();
    for item in items.iter_mut() {
        let Some(matched) = matching(transform, item, tables) else { continue };
        let scope = item.metric.scope;
        let target = *new_scopes.entry(scope).or_insert_with(|| {
            let mut copy = tables.scopes[scope as usize].clone();
            copy.resource = *new_resources.entry(copy.resource).or_insert_with(|| {
                let mut resource = tables.resources[copy.resource as usize].clone();
                let mut pairs = tables.attrs.pairs(resource.attrs).to_vec();
                for (label, value) in labels {
                    let (key, value) = (tables.symbols.intern(label), tables.string_value(value));
                    pairs.retain(|(k, _)| *k != key);
                    pairs.push((key, value));
                }
                resource.attrs = tables.set(&pairs);
                resource.present = true;
                tables.resources.push(resource);
                tables.resources.len() as u32 - 1
            });
            tables.scopes.push(copy);
            tables.scopes.len() as u32 - 1
        });
        let mut own = part(item, &matched);
        rest(item, &matched);
        own.metric.scope = target;
        moved.push(own);
    }
    items.extend(moved);
    let mut arrays = Arrays::of(batch);
    let new: BTreeSet<u32> = new_scopes.into_values().collect();
    for item in items.iter_mut().filter(|item| new.contains(&item.metric.scope)) {
        rename(transform, item, arrays.tables);
        transform.operations.iter().for_each(|op| run(op, item, &mut arrays));
    }
}
