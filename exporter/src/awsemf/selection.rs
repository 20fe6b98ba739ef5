//! Which measurement object a metric of an event goes to: selections by metric name or by the marks of the
//! `metric_declaration` processor, and the dimension sets that they come to under an event's labels.

use std::collections::HashMap;

use processor::metric_declaration::{
    DeclarationMask, DimensionSet, MaskId, SelectorMemo, marked_dimension_sets, undeclared,
};
use proto::{Selection, Tables};

use super::config::TranslationSettings;
use super::json::{push_all, push_string};
use super::names::Names;
use super::plan::{Directive, EventPlan};

/// What selects a metric: everything, declarations by name, or marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SelectionId(pub(crate) u32);

impl SelectionId {
    /// There are no declarations: all labels are dimensions.
    pub(crate) const ALL: SelectionId = SelectionId(0);
}

/// Selections at or above it are marks.
const MARKS: u32 = 1 << 31;

/// Where a metric is described in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    /// In this measurement object of the plan.
    In(u32),
    /// Selected, but there is no dimension set: a field only. This measurement object of the plan says why.
    Nowhere(u32),
    /// Selected by nothing.
    Unmatched,
}

/// Marks a measurement object without dimension sets.
const NOWHERE: u32 = 1 << 31;
const UNMATCHED: u32 = u32::MAX;

/// Distinct selections seen.
#[derive(Default)]
pub(crate) struct Selections {
    memo: SelectorMemo,
    marks: Vec<Vec<DimensionSet>>,
    mark_index: HashMap<Vec<DimensionSet>, u32>,
}

/// Distinct marks kept; beyond it all is forgotten before the next batch. Far more than declarations can give.
const MAX_MARKS: usize = 50_000;

impl Selections {
    /// The selection of a metric by its name.
    pub(crate) fn of_name(&mut self, settings: &TranslationSettings, name: &str) -> SelectionId {
        if settings.declarations.is_empty() {
            return SelectionId::ALL;
        }
        SelectionId(settings.declarations.selecting(&mut self.memo, name).0 + 1)
    }

    /// The selections that a batch's marks stand for, by index in `Selection::sets`.
    pub(crate) fn of_marks(&mut self, tables: &Tables, selection: &Selection) -> Vec<SelectionId> {
        let id = |(at, sets): (usize, &Vec<Vec<proto::SymbolId>>)| {
            if at == 0 {
                return SelectionId(MARKS);
            }
            let sets: Vec<DimensionSet> = sets
                .iter()
                .map(|set| {
                    let mut names: DimensionSet = set.iter().map(|name| tables.str(*name).into()).collect();
                    names.sort_unstable();
                    names
                })
                .collect();
            if let Some(known) = self.mark_index.get(&sets) {
                return SelectionId(MARKS | *known);
            }
            self.marks.push(sets.clone());
            let id = self.marks.len() as u32;
            self.mark_index.insert(sets, id);
            SelectionId(MARKS | id)
        };
        selection.sets.iter().enumerate().map(id).collect()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.marks.len() > MAX_MARKS
    }

    /// Where metrics of this selection are described in this event. A new measurement object adds its size to `grown`.
    pub(crate) fn measured(
        &self,
        plan: &mut EventPlan,
        selection: SelectionId,
        settings: &TranslationSettings,
        names: &Names,
        grown: &mut usize,
    ) -> Measured {
        let known = plan.by_selection.iter().find(|(known, _)| *known == selection.0);
        let code = match known {
            Some((_, code)) => *code,
            None => {
                let code = self.find_out(plan, selection, settings, names, grown);
                plan.by_selection.push((selection.0, code));
                code
            }
        };
        match code {
            UNMATCHED => Measured::Unmatched,
            code if code & NOWHERE != 0 => Measured::Nowhere(code & !NOWHERE),
            directive => Measured::In(directive),
        }
    }

    fn find_out(
        &self,
        plan: &mut EventPlan,
        selection: SelectionId,
        settings: &TranslationSettings,
        names: &Names,
        grown: &mut usize,
    ) -> u32 {
        let labels: Vec<&str> = plan.labels.iter().map(|(name, _)| names.text(*name)).collect();
        let (order, sets) = if selection == SelectionId::ALL {
            (Vec::new(), vec![undeclared(&labels, settings.rollup)])
        } else if selection.0 >= MARKS {
            let Some(mark) = (selection.0 & !MARKS).checked_sub(1) else { return UNMATCHED };
            (vec![mark], vec![marked_dimension_sets(&self.marks[mark as usize], &labels, settings.rollup)])
        } else {
            let selected = self.memo.mask(MaskId(selection.0 - 1)).and(&plan.accepted);
            if selected.is_empty() {
                return UNMATCHED;
            }
            let of =
                |selected: &DeclarationMask| settings.declarations.dimension_sets(selected, &labels, settings.rollup);
            let sets = match settings.dedup {
                true => vec![of(&selected)],
                false => selected.iter().map(|index| of(&std::iter::once(index).collect())).collect(),
            };
            (selected.iter().map(|index| index as u32).collect(), sets)
        };
        let code = |index: usize, directive: &Directive| match directive.dimensions.is_empty() {
            true => index as u32 | NOWHERE,
            false => index as u32,
        };
        if let Some(same) = plan.directives.iter().position(|directive| directive.order == order) {
            return code(same, &plan.directives[same]);
        }
        let dimensions: Vec<Box<[u8]>> = sets
            .iter()
            .filter(|sets| !sets.sets.is_empty())
            .map(|sets| {
                let mut text = Vec::new();
                push_all(&mut text, b"[]", &sets.sets, |out, set| {
                    push_all(out, b"[]", set, |out, name| push_string(out, name));
                });
                names.form.seal(text)
            })
            .collect();
        let directive = Directive { order, dimensions, too_long: sets.iter().map(|sets| sets.too_long).sum() };
        let code = code(plan.directives.len(), &directive);
        plan.leaves_out_sets |= directive.too_long > 0;
        *grown += size_of::<Directive>() + directive.dimensions.iter().map(|text| text.len()).sum::<usize>();
        // Nearly all events have one, and there are many events.
        plan.directives.reserve_exact(1);
        plan.directives.push(directive);
        code
    }
}
