//! Interned strings: every distinct string of a batch is stored once, in one arena, and named by a `u32`.
//!
//! Owns text only; attribute sets and metrics refer to it by id.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Index of a string in a [`Symbols`] arena. Id 0 is always the empty string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId(pub u32);

impl SymbolId {
    /// The empty string.
    pub const EMPTY: SymbolId = SymbolId(0);
}

/// Arena of unique strings. Hashes are seeded once per process, so remote input cannot choose collisions,
/// and equal text has the same hash in every batch of the process.
#[derive(Clone)]
pub struct Symbols {
    text: String,
    ends: Vec<u32>,
    hashes: Vec<u64>,
    index: HashTable<u32>,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols =
            Symbols { text: String::new(), ends: Vec::new(), hashes: Vec::new(), index: HashTable::new() };
        symbols.intern("");
        symbols
    }
}

impl Symbols {
    /// Makes room for this many more strings of this many bytes together.
    pub fn reserve(&mut self, strings: usize, bytes: usize) {
        self.text.reserve(bytes);
        self.ends.reserve(strings);
        self.hashes.reserve(strings);
        let hashes = &self.hashes;
        self.index.reserve(strings, |&i| hashes[i as usize]);
    }

    /// Id of `text`, stored if it is new. The arena holds at most 4 GiB; inputs are limited far below.
    pub fn intern(&mut self, text: &str) -> SymbolId {
        let hash = hash_bytes(text.as_bytes());
        if let Some(id) = self.find(text.as_bytes(), hash) {
            return id;
        }
        self.insert_new(text, hash)
    }

    /// As [`Symbols::intern`] for bytes off the wire; UTF-8 is checked only when the string is new.
    pub fn intern_bytes(&mut self, bytes: &[u8]) -> Result<SymbolId, std::str::Utf8Error> {
        let hash = hash_bytes(bytes);
        if let Some(id) = self.find(bytes, hash) {
            return Ok(id);
        }
        Ok(self.insert_new(std::str::from_utf8(bytes)?, hash))
    }

    /// Id of `text` if it is stored.
    pub fn lookup(&self, text: &str) -> Option<SymbolId> {
        self.find(text.as_bytes(), hash_bytes(text.as_bytes()))
    }

    /// The string of an id of this arena.
    pub fn get(&self, id: SymbolId) -> &str {
        let i = id.0 as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.text[start..self.ends[i] as usize]
    }

    /// Process-wide hash of the string's text: equal for equal text in every arena.
    pub fn hash(&self, id: SymbolId) -> u64 {
        self.hashes[id.0 as usize]
    }

    /// Number of distinct strings, the empty one included.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never true: the empty string is always there. For the lint's sake.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes in use, without room to grow.
    pub fn used_bytes(&self) -> usize {
        self.text.len() + self.ends.len() * (4 + 8 + 5)
    }

    /// Bytes held, for accounting.
    pub fn size_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.hashes.capacity() * 8 + self.index.capacity() * 5
    }

    fn find(&self, bytes: &[u8], hash: u64) -> Option<SymbolId> {
        self.index
            .find(hash, |&i| self.hashes[i as usize] == hash && self.get(SymbolId(i)).as_bytes() == bytes)
            .map(|&i| SymbolId(i))
    }

    fn insert_new(&mut self, text: &str, hash: u64) -> SymbolId {
        let id = u32::try_from(self.ends.len()).expect("fewer than 2^32 strings in a batch");
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).expect("inputs are limited below 4 GiB"));
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.index.insert_unique(hash, id, |&i| hashes[i as usize]);
        SymbolId(id)
    }
}

/// Hash of bytes with the process' random seed (foldhash).
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    process_hasher().hash_one(bytes)
}

/// The one seeded hasher of the process.
pub fn process_hasher() -> &'static DefaultHashBuilder {
    static HASHER: OnceLock<DefaultHashBuilder> = OnceLock::new();
    HASHER.get_or_init(DefaultHashBuilder::default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_an_id_and_the_empty_string_is_zero() {
        let mut s = Symbols::default();
        let a = s.intern("job");
        assert_eq!(s.intern_bytes(b"job").unwrap(), a);
        assert_ne!(s.intern("instance"), a);
        assert_eq!(s.intern(""), SymbolId::EMPTY);
        assert_eq!(s.get(a), "job");
        assert_eq!(s.lookup("job"), Some(a));
        assert_eq!(s.lookup("nope"), None);
        assert_eq!(s.len(), 3);
    }

    #[test]
    fn invalid_utf8_is_refused_and_leaves_nothing_behind() {
        let mut s = Symbols::default();
        assert!(s.intern_bytes(&[0xff, 0xfe]).is_err());
        assert_eq!(s.len(), 1);
    }
}
