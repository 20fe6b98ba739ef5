//! Hands the contents of maps and lists to serde, leaving out what an earlier attempt found to be wrong, and notes
//! the keys that nobody knows.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::deserializer::{De, Outer};
use super::error::Error;
use super::special::{self, Handed};
use super::{Context, MAX_PROBLEMS, Unknown, address, scalars};
use crate::diagnostic::Diagnostic;
use crate::hint;
use crate::node::{Key, Node, Value, join};

/// Prefix of field names that take their keys from the same map (serde's flatten, with positions).
pub(super) const INLINE: &str = "<inline";

/// The entries of a map, for a map (all of them) or for a struct (those that it knows).
pub(super) struct Entries<'a> {
    de: De<'a>,
    fields: Option<&'static [&'static str]>,
    entries: std::slice::Iter<'a, (Key, Node)>,
    inline: std::slice::Iter<'static, &'static str>,
    value: Option<Next<'a>>,
}

enum Next<'a> {
    Value(&'a Node),
    Inline,
}

impl<'a> Entries<'a> {
    pub(super) fn map(de: De<'a>) -> Entries<'a> {
        Entries { de, fields: None, entries: de.node.entries().iter(), inline: [].iter(), value: None }
    }

    pub(super) fn structure(de: De<'a>, fields: &'static [&'static str]) -> Entries<'a> {
        let has_inline = fields.iter().any(|field| field.starts_with(INLINE));
        if !has_inline {
            note_unknown_keys(&de, fields);
        }
        let inline = if has_inline { fields.iter() } else { [].iter() };
        Entries { de, fields: Some(fields), entries: de.node.entries().iter(), inline, value: None }
    }

    fn takes(&self, key: &Key, node: &Node) -> bool {
        let known = match self.fields {
            Some(fields) => fields.contains(&&*key.name),
            None => self.de.outer.is_none_or(|outer| !outer.has(&key.name)),
        };
        known && !self.de.context.is_skipped(node)
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        while let Some((key, node)) = self.entries.next() {
            if self.takes(key, node) {
                self.value = Some(Next::Value(node));
                let path = join(&self.de.node.path, &key.name).into();
                return seed
                    .deserialize(KeyDe(key))
                    .map(Some)
                    .map_err(|error| error.at(&key.span, &path).skipping(node));
            }
        }
        match self.inline.find(|field| field.starts_with(INLINE)) {
            Some(field) => {
                self.value = Some(Next::Inline);
                seed.deserialize(StrDeserializer::<Error>::new(field)).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let context = self.de.context;
        match self.value.take() {
            Some(Next::Value(node)) => {
                // Only a field can fall back on a default; the value of a map's key is made from nothing.
                let de = if self.fields.is_some() { De::value(context, node) } else { De::root(context, node) };
                seed.deserialize(de).map_err(|error| error.skipping(node))
            }
            Some(Next::Inline) => {
                let outer = Outer { fields: self.fields.unwrap_or(&[]), next: self.de.outer };
                seed.deserialize(De { outer: Some(&outer), ..self.de })
            }
            None => Err(Error::new("a value was asked for before its key")),
        }
    }
}

fn note_unknown_keys(de: &De<'_>, fields: &[&'static str]) {
    let entries = de.node.entries();
    let unknown = entries
        .iter()
        .filter(|(key, _)| !fields.contains(&&*key.name) && !de.outer.is_some_and(|outer| outer.has(&key.name)));
    for (key, _) in unknown {
        if de.context.unknown.borrow().len() >= MAX_PROBLEMS {
            return;
        }
        let mut known: Vec<&str> = fields.to_vec();
        let mut outer = de.outer;
        while let Some(more) = outer {
            known.extend(more.fields.iter().filter(|field| !field.starts_with(INLINE)));
            outer = more.next;
        }
        let help = hint::unknown_key(&key.name, &known, |field| de.node.get(field).is_none());
        let diagnostic = Diagnostic::error(format!("unknown key {:?}", key.name))
            .at(&key.span)
            .path(de.node.path.clone())
            .maybe_help(help);
        let unknown = Unknown { diagnostic, key: key.name.clone() };
        de.context.unknown.borrow_mut().entry(address(key)).or_insert(unknown);
    }
}

/// The elements of a list.
pub(super) struct Elements<'a> {
    context: &'a Context,
    nodes: std::slice::Iter<'a, Node>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(context: &'a Context, nodes: &'a [Node]) -> Elements<'a> {
        Elements { context, nodes: nodes.iter() }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        match self.nodes.find(|node| !self.context.is_skipped(node)) {
            Some(node) => {
                let de = De { is_element: true, ..De::root(self.context, node) };
                seed.deserialize(de).map(Some).map_err(|error| error.skipping(node))
            }
            None => Ok(None),
        }
    }
}

/// A comma-separated text as a list of texts, which the Collector accepts for plain strings.
pub(super) struct Splits<'a> {
    node: &'a Node,
    parts: std::vec::IntoIter<String>,
}

impl<'a> Splits<'a> {
    pub(super) fn new(node: &'a Node, text: &str) -> Splits<'a> {
        let parts: Vec<String> =
            if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() };
        Splits { node, parts: parts.into_iter() }
    }
}

impl<'de> SeqAccess<'de> for Splits<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        match self.parts.next() {
            Some(part) => seed.deserialize(Part { node: self.node, part }).map(Some),
            None => Ok(None),
        }
    }
}

/// One part of a comma-separated text: a string field takes it, and a list as its only element.
struct Part<'a> {
    node: &'a Node,
    part: String,
}

impl<'de> Deserializer<'de> for Part<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(scalars::wrong(self.node, "a list"))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.part)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.part)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Splits { node: self.node, parts: vec![self.part].into_iter() })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == special::SPANNED {
            special::hand_over(Handed::Place(self.node.span.clone(), self.node.path.clone()));
        }
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit unit_struct
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A map with one key as an enum's variant with content.
pub(super) struct OneEntry<'a> {
    pub(super) context: &'a Context,
    pub(super) key: &'a Key,
    pub(super) node: &'a Node,
}

impl<'de> EnumAccess<'de> for OneEntry<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let path = &self.node.path;
        let variant = seed.deserialize(KeyDe(self.key)).map_err(|error| error.at(&self.key.span, path))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for OneEntry<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match &self.node.value {
            Value::Null => Ok(()),
            Value::Map(entries) if entries.is_empty() => Ok(()),
            _ => Err(scalars::wrong(self.node, "nothing")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(De::root(self.context, self.node)).map_err(|error| error.on(self.node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        De::root(self.context, self.node).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        De::root(self.context, self.node).deserialize_struct("", fields, visitor)
    }
}

/// A key of a map: text, or a number where the target's keys are numbers.
struct KeyDe<'a>(&'a Key);

impl<'de> Deserializer<'de> for KeyDe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.0.name)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.name.parse() {
            Ok(value) => visitor.visit_i64(value),
            Err(_) => Err(Error::new(format!("the key {:?} must be a number", self.0.name))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(&*self.0.name))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == special::SPANNED {
            special::hand_over(Handed::Place(self.0.span.clone(), "".into()));
        }
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}
