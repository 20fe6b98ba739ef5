//! What documents have in common: text with holes for labels, values and the time. Events whose rows have the same
//! names share a shape, so that a document is a few copies of long pieces. Shapes are kept, bounded, by what they are;
//! what is in them is `document`'s.

use hashbrown::HashTable;
use proto::attrs::mix;
use proto::number::push_i64;
use proto::symbols::hash_bytes;
use smallvec::SmallVec;

use super::document::{Chosen, Words};
use super::fields::FieldId;
use super::form::Form;
use super::group::Rows;
use super::number_texts::NumberTexts;
use super::plan::EventPlan;
use super::selection::Measured;
use super::value::push_value;

/// Bytes of shapes kept; beyond it all are forgotten before the next batch. There are far fewer than events.
const MAX_BYTES: usize = 4 << 20;
/// Shapes remembered of an event: its rows may alternate.
const MAX_REMEMBERED: usize = 2;

/// A place in the text that is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hole {
    /// The value of the row at this position.
    Value(u32),
    /// Labels of the event, each with a comma behind it.
    Labels {
        /// Position of the first one.
        from: u32,
        /// Behind the last one.
        to: u32,
    },
    /// All labels from a position on, without the last comma.
    LastLabels {
        /// Position of the first one.
        from: u32,
    },
    /// Unix milliseconds.
    Time,
}

/// The text of a document without what is in its holes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// In the form of the documents.
    pub(crate) text: Vec<u8>,
    /// Each with the length of the text before it.
    holes: Vec<(u32, Hole)>,
    /// What the rows are that it is for.
    rows: Vec<(FieldId, Measured)>,
    is_prometheus: bool,
    /// Characters that escape others.
    escapes: usize,
}

/// What holes are filled with.
pub(crate) struct Filling<'a> {
    pub(crate) plan: &'a EventPlan,
    pub(crate) chosen: &'a [Chosen],
    pub(crate) rows: &'a Rows,
    pub(crate) words: &'a Words,
    pub(crate) time_ms: i64,
    pub(crate) form: Form,
}

impl Shape {
    /// Puts a hole behind the text that is there.
    pub(crate) fn open(&mut self, hole: Hole) {
        if !matches!(hole, Hole::Labels { from, to } if from == to) {
            self.holes.push((self.text.len() as u32, hole));
        }
    }

    /// Appends a document; gives its length in plain JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>, with: &Filling<'_>, texts: &mut NumberTexts) -> usize {
        let start = out.len();
        let mut escapes = self.escapes;
        let mut written = 0;
        for (end, hole) in &self.holes {
            out.extend_from_slice(&self.text[written..*end as usize]);
            written = *end as usize;
            match *hole {
                Hole::Value(at) => escapes += push_value(out, with.chosen[at as usize].row.value, with, texts),
                Hole::Labels { from, to } => {
                    let labels = with.plan.label_text(from, to);
                    escapes += with.form.escapes(labels);
                    out.extend_from_slice(labels);
                }
                Hole::LastLabels { from } => {
                    let labels = with.plan.label_text(from, with.plan.labels.len() as u32);
                    let labels = &labels[..labels.len() - 1];
                    escapes += with.form.escapes(labels);
                    out.extend_from_slice(labels);
                }
                Hole::Time => push_i64(out, with.time_ms),
            }
        }
        out.extend_from_slice(&self.text[written..]);
        out.len() - start - escapes
    }

    fn clear(&mut self) {
        self.text.clear();
        self.holes.clear();
        self.rows.clear();
    }

    fn is_for(&self, chosen: &[Chosen], is_prometheus: bool) -> bool {
        let is = |(row, one): (&(FieldId, Measured), &Chosen)| *row == (one.row.field, one.measured);
        self.is_prometheus == is_prometheus && self.rows.len() == chosen.len() && self.rows.iter().zip(chosen).all(is)
    }

    fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.holes) + size_of_val(&*self.rows) + size_of::<Shape>()
    }

    fn hash(&self) -> u64 {
        mix(hash_bytes(&self.text), self.rows.len() as u64)
    }
}

/// Which shape, while it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShapeId {
    epoch: u32,
    at: u32,
}

/// The shapes that an event had last.
pub(crate) type Remembered = SmallVec<[ShapeId; MAX_REMEMBERED]>;

/// Shapes in use.
pub(crate) struct Shapes {
    list: Vec<Shape>,
    index: HashTable<u32>,
    bytes: usize,
    pub(crate) max_bytes: usize,
    epoch: u32,
    /// Outlined last.
    last: Shape,
}

impl Default for Shapes {
    fn default() -> Shapes {
        let (list, index) = (Vec::new(), HashTable::new());
        Shapes { list, index, bytes: 0, max_bytes: MAX_BYTES, epoch: 0, last: Shape::default() }
    }
}

impl Shapes {
    /// Makes room, before a batch.
    pub(crate) fn begin(&mut self) {
        if self.bytes > self.max_bytes {
            *self = Shapes { epoch: self.epoch + 1, max_bytes: self.max_bytes, ..Shapes::default() };
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The shape for rows of an event, if it had it lately.
    #[inline]
    pub(crate) fn find(&self, remembered: &Remembered, chosen: &[Chosen], is_prometheus: bool) -> Option<ShapeId> {
        let is = |id: &&ShapeId| id.epoch == self.epoch && self.list[id.at as usize].is_for(chosen, is_prometheus);
        remembered.iter().find(is).copied()
    }

    /// A shape that was found.
    pub(crate) fn at(&self, id: ShapeId) -> &Shape {
        &self.list[id.at as usize]
    }

    /// Outlines the shape for rows of an event and lets the event remember it, unless there are too many.
    pub(crate) fn make(
        &mut self,
        remembered: &mut Remembered,
        chosen: &[Chosen],
        is_prometheus: bool,
        form: Form,
        outline: impl FnOnce(&mut Shape),
    ) -> &Shape {
        let shape = &mut self.last;
        shape.clear();
        shape.is_prometheus = is_prometheus;
        shape.rows.extend(chosen.iter().map(|one| (one.row.field, one.measured)));
        outline(shape);
        shape.escapes = form.escapes(&shape.text);
        let hash = shape.hash();
        let known = self.index.find(hash, |at| self.list[*at as usize] == self.last).copied();
        let at = match known {
            Some(at) => at,
            None if self.bytes > self.max_bytes => return &self.last,
            None => {
                self.bytes += self.last.bytes();
                self.list.push(self.last.clone());
                let (at, list) = (self.list.len() as u32 - 1, &self.list);
                self.index.insert_unique(hash, at, |at| list[*at as usize].hash());
                at
            }
        };
        if remembered.len() == MAX_REMEMBERED {
            remembered.remove(0);
        }
        remembered.push(ShapeId { epoch: self.epoch, at });
        &self.list[at as usize]
    }
}
