//! Attribute values and attribute sets, interned: points with equal attributes share one id.
//!
//! A set keeps the order in which its pairs came (and duplicate keys, as OTLP lets them through), so that an
//! OTLP export gives back what came in; its content hash does not depend on the order.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::symbols::{SymbolId, Symbols, hash_bytes, process_hasher};

/// Index of an attribute set. Id 0 is always the empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttrSetId(pub u32);

impl AttrSetId {
    /// The set without attributes.
    pub const EMPTY: AttrSetId = AttrSetId(0);
}

/// An attribute value: a string symbol, or (top bit set) an index into the typed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(u32);

const TYPED: u32 = 1 << 31;

impl ValueId {
    /// A string value.
    pub fn string(symbol: SymbolId) -> ValueId {
        debug_assert!(symbol.0 & TYPED == 0, "fewer than 2^31 strings");
        ValueId(symbol.0)
    }

    /// The symbol, if this is a string.
    pub fn as_symbol(self) -> Option<SymbolId> {
        (self.0 & TYPED == 0).then_some(SymbolId(self.0))
    }
}

/// OTLP `AnyValue` variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// `string_value`.
    Str,
    /// `bool_value`; bits are 0 or 1.
    Bool,
    /// `int_value`; bits are the i64.
    Int,
    /// `double_value`; bits are the f64's.
    Double,
    /// `bytes_value`; raw holds the bytes.
    Bytes,
    /// `array_value`; raw holds the serialized `ArrayValue`.
    Array,
    /// `kvlist_value`; raw holds the serialized `KeyValueList`.
    Map,
    /// An `AnyValue` without a value.
    Empty,
}

/// A value that is not a string. `text` is what Go's `pcommon.Value.AsString` prints.
#[derive(Clone, Copy, Debug)]
pub struct TypedValue {
    /// Which variant.
    pub kind: ValueKind,
    /// Text form, used for EMF labels, matchers and placeholders.
    pub text: SymbolId,
    /// Bool, Int and Double: the bits. Bytes, Array, Map: start (high 32) and length (low 32) in the raw arena.
    pub bits: u64,
}

#[derive(Clone, Copy, Debug)]
struct SetEntry {
    start: u32,
    len: u32,
    /// Hash of the content (key and value text and kind), independent of order, equal in every batch.
    content: u64,
}

/// Values and sets of one batch.
#[derive(Clone)]
pub struct Attrs {
    typed: Vec<TypedValue>,
    raw: Vec<u8>,
    typed_index: HashTable<u32>,
    pairs: Vec<(SymbolId, ValueId)>,
    sets: Vec<SetEntry>,
    set_index: HashTable<u32>,
}

impl Default for Attrs {
    fn default() -> Self {
        let mut attrs = Attrs {
            typed: Vec::new(),
            raw: Vec::new(),
            typed_index: HashTable::new(),
            pairs: Vec::new(),
            sets: Vec::new(),
            set_index: HashTable::new(),
        };
        attrs.set(&Symbols::default(), &[]);
        attrs
    }
}

impl Attrs {
    /// Makes room for this many more sets with this many pairs together.
    pub fn reserve(&mut self, sets: usize, pairs: usize) {
        self.pairs.reserve(pairs);
        self.sets.reserve(sets);
        let (all, sets_now) = (&self.pairs, &self.sets);
        self.set_index.reserve(sets, |&i| process_hasher().hash_one(slice(all, sets_now, i)));
    }

    /// Interns a Bool, Int, Double or Empty value.
    pub fn scalar(&mut self, kind: ValueKind, bits: u64, text: SymbolId) -> ValueId {
        self.intern_typed(kind, bits, &[], text)
    }

    /// Interns a Bytes, Array or Map value with its raw form.
    pub fn raw(&mut self, kind: ValueKind, raw: &[u8], text: SymbolId) -> ValueId {
        self.intern_typed(kind, 0, raw, text)
    }

    /// Interns a set of pairs, in their order. Allocates only when the set is new.
    pub fn set(&mut self, symbols: &Symbols, pairs: &[(SymbolId, ValueId)]) -> AttrSetId {
        if let Some(found) = self.find(pairs) {
            return found;
        }
        let hash = process_hasher().hash_one(pairs);
        let id = u32::try_from(self.sets.len()).expect("fewer than 2^32 attribute sets in a batch");
        let content = pairs.iter().fold(pairs.len() as u64, |sum, &(key, value)| {
            sum.wrapping_add(mix(symbols.hash(key), self.value_hash(symbols, value)))
        });
        let start = u32::try_from(self.pairs.len()).expect("fewer than 2^32 attributes in a batch");
        self.pairs.extend_from_slice(pairs);
        self.sets.push(SetEntry { start, len: pairs.len() as u32, content });
        let (all, sets) = (&self.pairs, &self.sets);
        self.set_index.insert_unique(hash, id, |&i| process_hasher().hash_one(slice(all, sets, i)));
        AttrSetId(id)
    }

    /// The set of these pairs in their order, if it is stored.
    pub fn find(&self, pairs: &[(SymbolId, ValueId)]) -> Option<AttrSetId> {
        let hash = process_hasher().hash_one(pairs);
        self.set_index.find(hash, |&i| self.pairs_of(i) == pairs).map(|&i| AttrSetId(i))
    }

    /// The pairs of a set, in the order they came.
    pub fn pairs(&self, id: AttrSetId) -> &[(SymbolId, ValueId)] {
        self.pairs_of(id.0)
    }

    /// Hash of the set's content: equal for equal pairs in any order and any batch of this process.
    pub fn content_hash(&self, id: AttrSetId) -> u64 {
        self.sets[id.0 as usize].content
    }

    /// Kind of a value.
    pub fn kind(&self, value: ValueId) -> ValueKind {
        self.typed(value).map_or(ValueKind::Str, |t| t.kind)
    }

    /// The typed entry, or `None` for a string.
    pub fn typed(&self, value: ValueId) -> Option<TypedValue> {
        (value.0 & TYPED != 0).then(|| self.typed[(value.0 & !TYPED) as usize])
    }

    /// Symbol of a value's text form.
    pub fn text(&self, value: ValueId) -> SymbolId {
        self.typed(value).map_or(SymbolId(value.0), |t| t.text)
    }

    /// Raw bytes of a Bytes, Array or Map value; empty for others.
    pub fn raw_of(&self, value: ValueId) -> &[u8] {
        match self.typed(value) {
            Some(t) if matches!(t.kind, ValueKind::Bytes | ValueKind::Array | ValueKind::Map) => self.raw_at(t.bits),
            _ => &[],
        }
    }

    /// Value of the first pair with this key.
    pub fn get(&self, id: AttrSetId, key: SymbolId) -> Option<ValueId> {
        self.pairs(id).iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }

    /// Number of distinct sets, the empty one included.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Never true: the empty set is always there. For the lint's sake.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Bytes in use, without room to grow.
    pub fn used_bytes(&self) -> usize {
        self.typed.len() * (24 + 5) + self.raw.len() + self.pairs.len() * 8 + self.sets.len() * (16 + 5)
    }

    /// Bytes held, for accounting.
    pub fn size_bytes(&self) -> usize {
        self.typed.capacity() * 24
            + self.raw.capacity()
            + self.pairs.capacity() * 8
            + self.sets.capacity() * 16
            + (self.set_index.capacity() + self.typed_index.capacity()) * 5
    }

    fn intern_typed(&mut self, kind: ValueKind, bits: u64, raw: &[u8], text: SymbolId) -> ValueId {
        let hash = mix(process_hasher().hash_one((kind, bits, text)), hash_bytes(raw));
        let is_raw = matches!(kind, ValueKind::Bytes | ValueKind::Array | ValueKind::Map);
        let found = self.typed_index.find(hash, |&i| {
            let t = &self.typed[i as usize];
            t.kind == kind && t.text == text && if is_raw { self.raw_at(t.bits) == raw } else { t.bits == bits }
        });
        if let Some(&i) = found {
            return ValueId(i | TYPED);
        }
        let id = self.typed.len() as u32;
        assert!(id < TYPED, "fewer than 2^31 typed values in a batch");
        let bits = if is_raw {
            let start = self.raw.len() as u64;
            self.raw.extend_from_slice(raw);
            start << 32 | raw.len() as u64
        } else {
            bits
        };
        self.typed.push(TypedValue { kind, text, bits });
        let (typed, arena) = (&self.typed, &self.raw);
        self.typed_index.insert_unique(hash, id, |&i| {
            let t = &typed[i as usize];
            if matches!(t.kind, ValueKind::Bytes | ValueKind::Array | ValueKind::Map) {
                let raw = &arena[(t.bits >> 32) as usize..][..t.bits as u32 as usize];
                mix(process_hasher().hash_one((t.kind, 0u64, t.text)), hash_bytes(raw))
            } else {
                mix(process_hasher().hash_one((t.kind, t.bits, t.text)), hash_bytes(&[]))
            }
        });
        ValueId(id | TYPED)
    }

    fn raw_at(&self, bits: u64) -> &[u8] {
        &self.raw[(bits >> 32) as usize..][..bits as u32 as usize]
    }

    fn pairs_of(&self, i: u32) -> &[(SymbolId, ValueId)] {
        slice(&self.pairs, &self.sets, i)
    }

    fn value_hash(&self, symbols: &Symbols, value: ValueId) -> u64 {
        match self.typed(value) {
            None => symbols.hash(SymbolId(value.0)),
            Some(t) => mix(symbols.hash(t.text), 1 + t.kind as u64),
        }
    }
}

fn slice<'a>(pairs: &'a [(SymbolId, ValueId)], sets: &[SetEntry], i: u32) -> &'a [(SymbolId, ValueId)] {
    let set = sets[i as usize];
    &pairs[set.start as usize..][..set.len as usize]
}

/// Combines two hashes; not symmetric.
pub fn mix(a: u64, b: u64) -> u64 {
    let m = u128::from(a ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(u128::from(b.rotate_left(29) ^ 0xd6e8_feb8_6659_fd93));
    (m as u64) ^ (m >> 64) as u64 ^ a.rotate_left(17)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_share_an_id_and_order_changes_the_id_but_not_the_content_hash() {
        let (mut s, mut a) = (Symbols::default(), Attrs::default());
        let (k1, k2) = (s.intern("a"), s.intern("b"));
        let (v1, v2) = (ValueId::string(s.intern("1")), ValueId::string(s.intern("2")));
        let one = a.set(&s, &[(k1, v1), (k2, v2)]);
        assert_eq!(a.set(&s, &[(k1, v1), (k2, v2)]), one);
        let other = a.set(&s, &[(k2, v2), (k1, v1)]);
        assert_ne!(other, one);
        assert_eq!(a.content_hash(other), a.content_hash(one));
        let swapped = a.set(&s, &[(k1, v2), (k2, v1)]);
        assert_ne!(a.content_hash(swapped), a.content_hash(one));
        assert_eq!(a.set(&s, &[]), AttrSetId::EMPTY);
    }

    #[test]
    fn typed_values_keep_kind_and_bits_and_differ_from_their_text() {
        let (mut s, mut a) = (Symbols::default(), Attrs::default());
        let text = s.intern("7");
        let int = a.scalar(ValueKind::Int, 7, text);
        assert_eq!(a.scalar(ValueKind::Int, 7, text), int);
        assert_eq!(a.kind(int), ValueKind::Int);
        assert_eq!(a.text(int), text);
        assert_ne!(int, ValueId::string(text));
        let blob = a.raw(ValueKind::Bytes, &[1, 2, 3], text);
        assert_eq!(a.raw_of(blob), &[1, 2, 3]);
        assert_ne!(a.raw(ValueKind::Bytes, &[1, 2], text), blob);
        for i in 0..200u8 {
            a.raw(ValueKind::Map, &[i, i], text);
        }
        assert_eq!(a.raw(ValueKind::Bytes, &[1, 2, 3], text), blob);
    }
}
