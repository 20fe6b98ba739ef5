//! The series of a target by the raw bytes that name them in the page. Knows where each is, not what it means.

use hashbrown::HashTable;
use proto::symbols::hash_bytes;

use super::group::Role;
use crate::prometheus::text::MetricType;

/// Scrapes are counted from 1; 0 stands for "never".
pub(crate) type ScrapeNumber = u32;

/// What is known of one spelling of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    raw_start: u32,
    raw_len: u32,
    /// Scrape in which the series was last there.
    pub(crate) seen: ScrapeNumber,
    /// Whether it was then taken into a point; Prometheus' cache has only such series.
    pub(crate) is_kept: bool,
    /// Type of the `# TYPE` line that it stood under when its labels were read.
    pub(crate) read_as: MetricType,
    /// Scrape in which it was last seen without an explicit timestamp, so that its end is to be marked.
    pub(crate) tracked: ScrapeNumber,
    /// State of the family metadata that `role` was derived from.
    pub(crate) generation: u32,
    /// What a sample of it does.
    pub(crate) role: Role,
}

/// All spellings, in the order of their first appearance, which is usually the order of the page.
#[derive(Default)]
pub(crate) struct Entries {
    raw: Vec<u8>,
    list: Vec<Entry>,
    index: HashTable<u32>,
}

impl Entries {
    /// Number of spellings.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The raw bytes of a series.
    pub(crate) fn raw(&self, id: u32) -> &[u8] {
        let entry = &self.list[id as usize];
        &self.raw[entry.raw_start as usize..][..entry.raw_len as usize]
    }

    /// The raw bytes expected at a place of the page, empty past the end.
    pub(crate) fn expected(&self, id: u32) -> &[u8] {
        if (id as usize) < self.list.len() { self.raw(id) } else { &[] }
    }

    /// What is known of a spelling, and its raw bytes.
    #[inline]
    pub(crate) fn at(&mut self, id: u32) -> Option<(&mut Entry, &[u8])> {
        let entry = self.list.get_mut(id as usize)?;
        let raw = &self.raw[entry.raw_start as usize..][..entry.raw_len as usize];
        Some((entry, raw))
    }

    pub(crate) fn get(&self, id: u32) -> &Entry {
        &self.list[id as usize]
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> &mut Entry {
        &mut self.list[id as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.list.iter()
    }

    /// The series with these raw bytes.
    pub(crate) fn find(&self, raw: &[u8]) -> Option<u32> {
        self.index.find(hash_bytes(raw), |&id| self.raw(id) == raw).copied()
    }

    /// Adds a series that is not there yet.
    pub(crate) fn add(&mut self, raw: &[u8], role: Role, read_as: MetricType, generation: u32) -> u32 {
        let id = u32::try_from(self.list.len()).expect("fewer than 2^32 series of a target");
        let raw_start = u32::try_from(self.raw.len()).expect("the arena is rebuilt below 4 GiB");
        let raw_len = u32::try_from(raw.len()).expect("pages are limited below 4 GiB");
        self.raw.extend_from_slice(raw);
        self.list.push(Entry { raw_start, raw_len, seen: 0, is_kept: false, read_as, tracked: 0, generation, role });
        let (bytes, list) = (&self.raw, &self.list);
        self.index.insert_unique(hash_bytes(raw), id, |&other| {
            let entry = &list[other as usize];
            hash_bytes(&bytes[entry.raw_start as usize..][..entry.raw_len as usize])
        });
        id
    }

    /// Bytes of raw text, to see when the arena needs rebuilding.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Gives back what growth left over.
    pub(crate) fn shrink(&mut self) {
        self.raw.shrink_to_fit();
        self.list.shrink_to_fit();
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn size_bytes(&self) -> usize {
        self.raw.capacity() + self.list.capacity() * size_of::<Entry>() + self.index.capacity() * 5
    }
}
