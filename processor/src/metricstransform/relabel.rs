//! The usual use, names and labels only: done on the tables, so that each distinct attribute set is rewritten once and
//! a point costs one look-up. Tables that batches share are rewritten once and remembered.

use std::sync::Arc;

use proto::points::Point;
use proto::{AttrSetId, Batch, Tables};

use super::config::{Action, Operation, Transform};
use super::edit::{add_label, update_label};
use super::naming::renamed;
use crate::tables_cache::TablesCache;

/// Most transforms of this form; more take the general way.
const MAX_TRANSFORMS: usize = 64;
const UNSEEN: u32 = u32::MAX;

/// Rewritten tables of shared ones.
#[derive(Default)]
pub(super) struct Relabel(TablesCache<Option<Rewritten>>);

/// Tables after the transforms and what became of each attribute set, by class of metrics.
struct Rewritten {
    tables: Arc<Tables>,
    /// Index in `classes` for each metric.
    class_of: Vec<u32>,
    /// Distinct combinations of transforms that apply to a metric, as a bit mask; the first is "none".
    classes: Vec<u64>,
    /// Per class: new set by old set, filled when first needed.
    sets: Vec<Vec<u32>>,
}

/// Whether all transforms only rename metrics and labels.
pub(super) fn applies(transforms: &[Transform]) -> bool {
    transforms.len() <= MAX_TRANSFORMS
        && transforms.iter().all(|t| {
            matches!(t.action, Action::Update)
                && t.labels.is_empty()
                && t.operations
                    .iter()
                    .all(|op| matches!(op, Operation::AddLabel { .. } | Operation::UpdateLabel { .. }))
        })
}

impl Relabel {
    /// Applies the transforms to a batch.
    pub(super) fn process(&mut self, transforms: &[Transform], batch: &mut Batch) {
        if batch.meta.shared_tables {
            let cached = self.0.get(&batch.tables, || None);
            let rewritten = cached.get_or_insert_with(|| Rewritten::new(transforms, Tables::clone(&batch.tables)));
            rewritten.points(transforms, batch);
            batch.tables = rewritten.tables.clone();
            batch.meta.raw = None;
        } else {
            let mut rewritten = Rewritten::new(transforms, std::mem::take(batch.tables_mut()));
            rewritten.points(transforms, batch);
            batch.tables = rewritten.tables;
        }
    }
}

impl Rewritten {
    fn new(transforms: &[Transform], mut tables: Tables) -> Rewritten {
        let mut classes = vec![0];
        let mut class_of = Vec::with_capacity(tables.metrics.len());
        for i in 0..tables.metrics.len() {
            let mut mask = 0u64;
            for (bit, transform) in transforms.iter().enumerate() {
                let name = tables.str(tables.metrics[i].name);
                if !transform.include.matches(name) {
                    continue;
                }
                if !transform.operations.is_empty() {
                    mask |= 1 << bit;
                }
                if let Some(name) = renamed(transform, name) {
                    tables.metrics[i].name = tables.symbols.intern(&name);
                }
            }
            let class = classes.iter().position(|known| *known == mask).unwrap_or_else(|| {
                classes.push(mask);
                classes.len() - 1
            });
            class_of.push(class as u32);
        }
        let sets = vec![Vec::new(); classes.len()];
        Rewritten { tables: Arc::new(tables), class_of, classes, sets }
    }

    fn points(&mut self, transforms: &[Transform], batch: &mut Batch) {
        self.column(transforms, &mut batch.numbers);
        self.column(transforms, &mut batch.histograms);
        self.column(transforms, &mut batch.exponentials);
        self.column(transforms, &mut batch.summaries);
    }

    fn column<P: Point>(&mut self, transforms: &[Transform], points: &mut [P]) {
        for point in points {
            let class = self.class_of[point.metric() as usize] as usize;
            if class == 0 {
                continue;
            }
            let old = point.attrs();
            let new = match self.sets[class].get(old.0 as usize) {
                Some(&new) if new != UNSEEN => AttrSetId(new),
                _ => self.set(transforms, class, old),
            };
            point.set_attrs(new);
        }
    }

    fn set(&mut self, transforms: &[Transform], class: usize, old: AttrSetId) -> AttrSetId {
        let tables = Arc::make_mut(&mut self.tables);
        let mut pairs = tables.attrs.pairs(old).to_vec();
        for (bit, transform) in transforms.iter().enumerate() {
            if self.classes[class] & (1 << bit) == 0 {
                continue;
            }
            for operation in &transform.operations {
                match operation {
                    Operation::AddLabel { label, value } => add_label(tables, &mut pairs, label, value),
                    Operation::UpdateLabel { label, new_label, values } => {
                        update_label(tables, &mut pairs, label, new_label, values);
                    }
                    _ => unreachable!("applies() lets only label operations through"),
                }
            }
        }
        let new = tables.set(&pairs);
        let sets = &mut self.sets[class];
        if sets.len() <= old.0 as usize {
            sets.resize(old.0 as usize + 1, UNSEEN);
        }
        sets[old.0 as usize] = new.0;
        new
    }
}
