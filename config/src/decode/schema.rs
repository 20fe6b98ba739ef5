//! Which keys a settings type has, found by decoding it from made-up values and writing down what it asks for. For
//! hints and documentation; decodes no configuration.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::access::INLINE;
use super::special::{self, Handed};
use crate::node::{Node, Value, join};

/// Deepest nesting that is explored; types may contain themselves.
const MAX_DEPTH: usize = 10;
/// Attempts after which exploring ends.
const MAX_ATTEMPTS: usize = 2_000;

/// The keys of a settings type: for every section its keys. Lists are `name[]`, maps of free names `name::*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    sections: BTreeMap<String, Vec<&'static str>>,
}

impl Schema {
    /// The schema of a type.
    pub fn of<T: DeserializeOwned>() -> Schema {
        let notes = Notes::default();
        for _ in 0..MAX_ATTEMPTS {
            match T::deserialize(Probe { notes: &notes, path: String::new(), depth: 0 }) {
                Err(Stop(Some(path))) if notes.done.borrow_mut().insert(path.clone()) => {}
                _ => break,
            }
        }
        Schema { sections: notes.sections.take() }
    }

    /// Every key with its path, sorted by section: `protocols::grpc::endpoint`.
    pub fn keys(&self) -> Vec<String> {
        self.sections.iter().flat_map(|(path, keys)| keys.iter().map(move |key| join(path, key))).collect()
    }

    /// The sections that have a key. The root is empty text.
    pub fn sections_with(&self, key: &str) -> Vec<&str> {
        self.sections.iter().filter(|(_, keys)| keys.contains(&key)).map(|(path, _)| path.as_str()).collect()
    }
}

#[derive(Default)]
struct Notes {
    sections: RefCell<BTreeMap<String, Vec<&'static str>>>,
    done: RefCell<HashSet<String>>,
}

impl Notes {
    fn is_done(&self, path: &str) -> bool {
        self.done.borrow().contains(path)
    }
}

/// Ends an attempt; the path is left out of the next one.
#[derive(Debug)]
struct Stop(Option<String>);

impl Stop {
    fn or_at(self, path: &str) -> Stop {
        Stop(self.0.or_else(|| Some(path.to_owned())))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("exploring ends here")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Stop {
        Stop(None)
    }
}

/// Answers every question with the least value.
#[derive(Clone)]
struct Probe<'a> {
    notes: &'a Notes,
    path: String,
    depth: usize,
}

impl Probe<'_> {
    fn below(&self, path: String) -> Result<Self, Stop> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH { Err(Stop(Some(path))) } else { Ok(Probe { notes: self.notes, path, depth }) }
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_bool(false)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_u64(0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_f64(0.0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_string(String::new())
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_str("")
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_i64(0)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_u8(0)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_u16(0)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_u32(0)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_i32(0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        match name {
            special::NODE => {
                special::hand_over(Handed::Node(Node::built_in(Value::Null)));
                visitor.visit_unit()
            }
            special::OPTIONAL => {
                special::hand_over(Handed::Enabled(true));
                visitor.visit_newtype_struct(self)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let path = format!("{}[]", self.path);
        let one = (!self.notes.is_done(&path)).then(|| self.below(path)).transpose()?;
        visitor.visit_seq(One(one))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let path = join(&self.path, "*");
        let one = (!self.notes.is_done(&path)).then(|| self.below(path)).transpose()?;
        visitor.visit_map(Fields { probe: self, fields: [].iter(), any: one, next: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        {
            let mut sections = self.notes.sections.borrow_mut();
            let keys = sections.entry(self.path.clone()).or_default();
            let new: Vec<_> =
                fields.iter().filter(|field| !field.starts_with(INLINE) && !keys.contains(field)).copied().collect();
            keys.extend(new);
        }
        visitor.visit_map(Fields { probe: self, fields: fields.iter(), any: None, next: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let Some(variant) = variants.iter().find(|variant| !self.notes.is_done(&join(&self.path, variant))) else {
            return Err(Stop(None));
        };
        let path = join(&self.path, variant);
        visitor
            .visit_enum(Variant { probe: self.below(path.clone())?, name: variant })
            .map_err(|stop| stop.or_at(&path))?;
        // The next attempt looks at the next variant.
        Err(Stop(Some(path)))
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct One<'a>(Option<Probe<'a>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        let Some(probe) = self.0.take() else { return Ok(None) };
        let path = probe.path.clone();
        seed.deserialize(probe).map(Some).map_err(|stop| stop.or_at(&path))
    }
}

struct Fields<'a> {
    probe: Probe<'a>,
    fields: std::slice::Iter<'static, &'static str>,
    any: Option<Probe<'a>>,
    next: Option<Probe<'a>>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        for field in self.fields.by_ref() {
            let is_inline = field.starts_with(INLINE);
            let name = join(&self.probe.path, field);
            if self.probe.notes.is_done(&name) {
                continue;
            }
            self.next = Some(self.probe.below(if is_inline { self.probe.path.clone() } else { name })?);
            return seed.deserialize(StrDeserializer::<Stop>::new(field)).map(Some);
        }
        let Some(any) = self.any.take() else { return Ok(None) };
        let path = any.path.clone();
        self.next = Some(any);
        seed.deserialize(StrDeserializer::<Stop>::new("x")).map(Some).map_err(|stop| stop.or_at(&path))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        let Some(probe) = self.next.take() else { return Err(Stop(None)) };
        let path = probe.path.clone();
        let is_inline = path == self.probe.path;
        seed.deserialize(probe).map_err(|stop| if is_inline { stop } else { stop.or_at(&path) })
    }
}

struct Variant<'a> {
    probe: Probe<'a>,
    name: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Stop;
    type Variant = Probe<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Probe<'a>), Stop> {
        Ok((seed.deserialize(StrDeserializer::<Stop>::new(self.name))?, self.probe))
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::decode::{Optional, Spanned};
    use crate::id::ComponentId as Id;
    use crate::types::{Endpoint, GoDuration};

    #[derive(Default, Deserialize)]
    #[serde(default)]
    #[allow(dead_code)]
    struct Root {
        timeout: GoDuration,
        endpoint: Option<Endpoint>,
        on: Optional<Section>,
        list: Vec<Spanned<Section>>,
        named: BTreeMap<String, Section>,
        choice: Choice,
        #[serde(rename = "<inline>")]
        more: More,
        part: Option<Node>,
        id: Option<Id>,
        last: bool,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    #[allow(dead_code)]
    struct Section {
        a: u32,
        inner: Option<Box<Section>>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    #[allow(dead_code)]
    struct More {
        extra: Option<Endpoint>,
        last_extra: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code)]
    enum Choice {
        #[default]
        Plain,
        First(Required),
        Second(Required),
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Required {
        must: Endpoint,
        also: Vec<Endpoint>,
    }

    #[test]
    fn every_key_of_a_type_is_found_whatever_its_values_must_be() {
        let schema = Schema::of::<Root>();
        let keys = schema.keys();
        for key in [
            "timeout",
            "endpoint",
            "on::a",
            "list[]::a",
            "named::*::a",
            "choice::first::must",
            "choice::second::also",
            "extra",
            "last_extra",
            "part",
            "id",
            "last",
            "on::inner::inner::a",
        ] {
            assert!(keys.iter().any(|known| known == key), "{key} in {keys:?}");
        }
        assert_eq!(schema.sections_with("must"), ["choice::first", "choice::second"]);
        assert_eq!(schema.sections_with("extra"), [""]);
    }
}
