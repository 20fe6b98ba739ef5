//! Which rows share an event, and in which order: rows are never moved, only an index of them is arranged by
//! counting. Writing them is `document`'s.

use hashbrown::HashTable;
use proto::attrs::mix;

use super::exponential::Part;
use super::fields::{FieldId, Fields};
use super::names::Names;
use super::selection::SelectionId;

/// A metric field of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) group: u32,
    pub(crate) field: FieldId,
    pub(crate) selection: SelectionId,
    /// Data points that are counted with it: 1, or 0 for the further parts of a point.
    pub(crate) points: u32,
    pub(crate) value: RowValue,
}

/// The value of a metric field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowValue {
    /// A number.
    Number(f64),
    /// A count.
    Count(u64),
    /// A statistic set: index in [`Rows::statistics`].
    Statistics(u32),
    /// A value list: index in [`Rows::parts`].
    Values(u32),
}

/// A CloudWatch statistic set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) max: f64,
    pub(crate) min: f64,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

/// An event in the making: the plan, time and batch index that its rows share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub(crate) event: u32,
    /// Position among the fields that one data point became.
    part: u32,
    pub(crate) time_ms: i64,
    /// Whether its first data point was scraped.
    pub(crate) prometheus: bool,
    rows: u32,
    start: u32,
}

/// Neighbouring rows of one field.
#[derive(Debug, Clone, Copy)]
struct Run {
    field: FieldId,
    rank: u32,
    start: u32,
    end: u32,
}

/// The rows of a batch and their groups. Cleared, not freed, between batches.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    pub(crate) statistics: Vec<Statistics>,
    pub(crate) parts: Vec<Part>,
    pub(crate) values: Vec<(f64, u64)>,
    groups: Vec<Group>,
    index: HashTable<u32>,
    runs: Vec<Run>,
    order: Vec<u32>,
}

impl Rows {
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.statistics.clear();
        self.parts.clear();
        self.values.clear();
        self.groups.clear();
        self.index.clear();
    }

    /// The group of an event plan at a time; groups are in the order of their first row.
    pub(crate) fn group(&mut self, event: u32, time_ms: i64, part: u32, prometheus: bool) -> u32 {
        let hash = hash(event, time_ms, part);
        let is = |index: &u32| {
            let group = &self.groups[*index as usize];
            group.event == event && group.time_ms == time_ms && group.part == part
        };
        if let Some(index) = self.index.find(hash, is) {
            return *index;
        }
        let index = self.groups.len() as u32;
        self.groups.push(Group { event, part, time_ms, prometheus, rows: 0, start: 0 });
        let groups = &self.groups;
        self.index.insert_unique(hash, index, |index| {
            let group = &groups[*index as usize];
            self::hash(group.event, group.time_ms, group.part)
        });
        index
    }

    /// Adds a row to its group.
    pub(crate) fn push(&mut self, row: Row) {
        self.groups[row.group as usize].rows += 1;
        self.rows.push(row);
    }

    /// Orders the rows of every group by the bytes of their names, equal names as they came.
    ///
    /// The batch lists points by metric, so there are few runs of rows with one field: those are sorted, and dealing
    /// the rows out run by run leaves every group sorted.
    pub(crate) fn arrange(&mut self, fields: &Fields, names: &Names) {
        self.runs.clear();
        for (at, row) in self.rows.iter().enumerate() {
            match self.runs.last_mut() {
                Some(run) if run.field == row.field => run.end = at as u32 + 1,
                _ => {
                    let rank = names.rank(fields.at(row.field).name);
                    self.runs.push(Run { field: row.field, rank, start: at as u32, end: at as u32 + 1 });
                }
            }
        }
        self.runs.sort_unstable_by_key(|run| (run.rank, run.start));
        let mut start = 0;
        for group in &mut self.groups {
            group.start = start;
            start += group.rows;
            group.rows = 0;
        }
        self.order.clear();
        self.order.resize(self.rows.len(), 0);
        for run in &self.runs {
            for at in run.start..run.end {
                let group = &mut self.groups[self.rows[at as usize].group as usize];
                self.order[(group.start + group.rows) as usize] = at;
                group.rows += 1;
            }
        }
    }

    /// Number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// A group and its rows, once arranged.
    pub(crate) fn rows_of(&self, index: usize) -> (Group, impl Iterator<Item = &Row> + '_) {
        let group = self.groups[index];
        let order = &self.order[group.start as usize..][..group.rows as usize];
        (group, order.iter().map(|at| &self.rows[*at as usize]))
    }
}

fn hash(event: u32, time_ms: i64, part: u32) -> u64 {
    mix(u64::from(event) << 32 | u64::from(part), time_ms as u64)
}
