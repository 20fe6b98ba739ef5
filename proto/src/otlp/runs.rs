//! What comes again and again in a request: the lists of attributes of its series and the bounds of its histograms. Their
//! bytes are kept, and what is the same as before costs a comparison.

use super::decode::Decoder;
use super::error::DecodeError;
use super::wire::{Field, Reader};
use crate::attrs::AttrSetId;
use crate::points::Range32;
use crate::symbols::hash_bytes;

/// Room that is made for the attributes of a series.
pub(super) const LIST_BYTES: usize = 32;

/// A list of attribute fields seen in this body, by its bytes among those of all such lists.
pub(super) struct Run {
    start: u32,
    len: u32,
    set: AttrSetId,
    /// The run that followed this one last time: series come in the same order in every metric.
    next: u32,
}

impl Run {
    /// Its bytes.
    #[inline]
    fn of<'b>(&self, lists: &'b [u8]) -> &'b [u8] {
        &lists[self.start as usize..][..self.len as usize]
    }
}

/// The last explicit bounds that were stored: their bytes and where they are.
#[derive(Default)]
pub(super) struct LastBounds {
    packed: Vec<u8>,
    range: Range32,
}

impl LastBounds {
    /// The place of packed bounds in their column, to which they are added unless they are the same as the last ones:
    /// nearly all histograms of a request have the same.
    #[inline]
    pub(super) fn place(&mut self, packed: &[u8], column: &mut Vec<f64>) -> Range32 {
        if packed.is_empty() {
            return Range32 { start: column.len() as u32, len: 0 };
        }
        if self.packed != packed {
            let (words, _) = packed.as_chunks::<8>();
            self.range = Range32 { start: column.len() as u32, len: words.len() as u32 };
            column.extend(words.iter().map(|word| f64::from_le_bytes(*word)));
            self.packed.clear();
            self.packed.extend_from_slice(packed);
        }
        self.range
    }
}

impl Decoder {
    /// Reads the list of attributes that begins with `field`, whose key was just read: all directly following
    /// fields of the same number. A list whose bytes came before costs a comparison.
    pub(super) fn attribute_run(&mut self, reader: &mut Reader, field: Field) -> Result<AttrSetId, DecodeError> {
        match self.expected_run(reader.rest(), run_key(field)) {
            Some((set, after)) => {
                *reader = reader.at(after);
                Ok(set)
            }
            None => self.other_run(reader, field),
        }
    }

    /// As [`Decoder::attribute_run`] for a list that is not the expected one.
    #[inline(never)]
    pub(super) fn other_run(&mut self, reader: &mut Reader, field: Field) -> Result<AttrSetId, DecodeError> {
        let key = run_key(field);
        let mut end = *reader;
        end.bytes_of(field)?;
        while end.rest().first() == Some(&key) {
            end.next()?;
            end.bytes_of(field)?;
        }
        let bytes = &reader.rest()[..end.pos() - reader.pos()];
        let hash = hash_bytes(bytes);
        let found = self.run_index.find(hash, |&i| self.runs[i as usize].of(&self.lists) == bytes);
        let index = match found {
            Some(&index) => index as usize,
            None => self.new_run(reader.at(bytes), field, hash)?,
        };
        if let Some(last) = self.runs.get_mut(self.last_run) {
            last.next = index as u32;
        }
        self.last_run = index;
        *reader = end;
        Ok(self.runs[index].set)
    }

    /// The list of attributes that followed the last one before, if it comes again behind the first `key`, and what is
    /// left behind it.
    #[inline]
    pub(super) fn expected_run<'b>(&mut self, rest: &'b [u8], key: u8) -> Option<(AttrSetId, &'b [u8])> {
        let next = self.runs.get(self.last_run)?.next;
        let run = self.runs.get(next as usize)?;
        let after = rest.strip_prefix(run.of(&self.lists))?;
        if after.first() == Some(&key) {
            return None;
        }
        self.last_run = next as usize;
        Some((run.set, after))
    }

    /// Reads a list that was not seen before, from behind its first key.
    fn new_run(&mut self, list: Reader, field: Field, hash: u64) -> Result<usize, DecodeError> {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        let mut reader = list;
        self.pair(reader.message_of(field)?, &mut pairs)?;
        while let Some(field) = reader.next()? {
            self.pair(reader.message_of(field)?, &mut pairs)?;
        }
        let set = self.tables.set(&pairs);
        self.pairs = pairs;
        let (index, start) = (self.runs.len(), self.lists.len());
        self.lists.extend_from_slice(list.rest());
        self.runs.push(Run { start: start as u32, len: list.rest().len() as u32, set, next: u32::MAX });
        let (runs, lists) = (&self.runs, &self.lists);
        self.run_index.insert_unique(hash, index as u32, |&i| hash_bytes(runs[i as usize].of(lists)));
        self.weigh_tables(reader.pos())?;
        Ok(index)
    }

    /// Attributes of a message whose attribute fields do not stand together.
    pub(super) fn scattered_attributes(&mut self, mut message: Reader, tag: u32) -> Result<AttrSetId, DecodeError> {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        while let Some(field) = message.next()? {
            if field.tag == tag {
                self.pair(message.message_of(field)?, &mut pairs)?;
            } else {
                message.skip(field)?;
            }
        }
        let set = self.tables.set(&pairs);
        self.pairs = pairs;
        self.weigh_tables(message.pos())?;
        Ok(set)
    }
}

/// The key of a list's fields.
fn run_key(field: Field) -> u8 {
    (field.tag << 3 | 2) as u8
}
