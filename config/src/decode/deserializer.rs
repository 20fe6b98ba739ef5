//! The deserializer over one node: which serde question gets which answer. Scalars are judged in `scalars`, the
//! contents of maps and lists handed out in `access`.

use serde::Deserializer;
use serde::de::{IntoDeserializer, Visitor};

use super::access::{Elements, Entries, OneEntry, Splits};
use super::error::Error;
use super::special::{self, Handed};
use super::{Context, Mode, scalars};
use crate::node::{Node, Value};

/// Keys of the structs around an inlined one, so that neither calls the other's keys unknown.
#[derive(Clone, Copy)]
pub(super) struct Outer<'a> {
    pub(super) fields: &'a [&'static str],
    pub(super) next: Option<&'a Outer<'a>>,
}

impl Outer<'_> {
    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.contains(&key) || self.next.is_some_and(|next| next.has(key))
    }
}

/// One node with the circumstances in which it is decoded.
#[derive(Clone, Copy)]
pub(super) struct De<'a> {
    pub(super) context: &'a Context,
    pub(super) node: &'a Node,
    /// Keys of this map that belong to somebody else.
    pub(super) outer: Option<&'a Outer<'a>>,
    /// Whether it can be left out so that a default takes its place: the value of a key.
    pub(super) has_default: bool,
    /// Whether it stands in a list.
    pub(super) is_element: bool,
}

impl<'a> De<'a> {
    pub(super) fn root(context: &'a Context, node: &'a Node) -> De<'a> {
        De { context, node, outer: None, has_default: false, is_element: false }
    }

    pub(super) fn value(context: &'a Context, node: &'a Node) -> De<'a> {
        De { context, node, outer: None, has_default: true, is_element: false }
    }

    fn wrong(&self, expected: &str) -> Error {
        scalars::wrong(self.node, expected)
    }

    /// Null for a list, map or struct keeps the default; where there is none it is empty.
    fn null(&self) -> Option<Error> {
        (self.node.is_null() && self.has_default).then(|| Error::keep_default().on(self.node))
    }

    /// Null for a scalar is its zero value, except in Prometheus, where it leaves the default.
    fn null_scalar(&self) -> Result<(), Error> {
        match self.context.mode == Mode::Prometheus && self.node.is_null() && self.has_default {
            true => Err(Error::keep_default().on(self.node)),
            false => Ok(()),
        }
    }

    fn text(&self) -> Result<String, Error> {
        self.null_scalar()?;
        scalars::text(self.node, self.context.mode == Mode::Prometheus)
    }

    fn integer(&self, min: i128, max: i128) -> Result<i128, Error> {
        self.null_scalar()?;
        scalars::integer(self.node, min, max)
    }
}

macro_rules! integers {
    ($($method:ident, $visit:ident, $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let value = self.integer(<$type>::MIN as i128, <$type>::MAX as i128)?;
            visitor.$visit(value as $type).map_err(|error: Error| error.on(self.node))
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.null_scalar()?;
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_i64(value),
                (_, Ok(value)) => visitor.visit_u64(value),
                _ => visitor.visit_f64(*value as f64),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Str(text) => visitor.visit_str(text),
            Value::Seq(nodes) => visitor.visit_seq(Elements::new(self.context, nodes)),
            Value::Map(_) => visitor.visit_map(Entries::map(self)),
        }
        .map_err(|error: Error| error.on(self.node))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.null_scalar()?;
        visitor.visit_bool(scalars::boolean(self.node)?)
    }

    integers! {
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_i64, visit_i64, i64;
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_u64, visit_u64, u64;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.null_scalar()?;
        visitor.visit_f64(scalars::float(self.node)?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text()?).map_err(|error: Error| error.on(self.node))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(De { has_default: false, ..self }),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_unit(),
            _ => Err(self.wrong("nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            special::SPANNED => {
                special::hand_over(Handed::Place(self.node.span.clone(), self.node.path.clone()));
                visitor.visit_newtype_struct(self)
            }
            special::NODE => {
                special::hand_over(Handed::Node(self.node.clone()));
                visitor.visit_unit()
            }
            special::OPTIONAL => self.optional(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
        .map_err(|error: Error| error.on(self.node))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Seq(nodes) => visitor.visit_seq(Elements::new(self.context, nodes)),
            Value::Null => match self.null() {
                Some(keep) => return Err(keep),
                None => visitor.visit_seq(Elements::new(self.context, &[])),
            },
            _ => match self.node.as_str() {
                Some(text) if self.context.mode == Mode::Collector => visitor.visit_seq(Splits::new(self.node, text)),
                _ => return Err(self.wrong("a list")),
            },
        }
        .map_err(|error: Error| error.on(self.node))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match (&self.node.value, self.null()) {
            (Value::Null, Some(keep)) => Err(keep),
            (Value::Map(_) | Value::Null, _) => {
                visitor.visit_map(Entries::map(self)).map_err(|error: Error| error.on(self.node))
            }
            _ => Err(self.wrong("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (&self.node.value, self.null()) {
            (Value::Null, Some(keep)) => return Err(keep),
            // Prometheus refuses it: nothing was configured where somebody meant to.
            (Value::Null, None) if self.is_element && self.context.mode == Mode::Prometheus => {
                let error = Error::new("empty or null element in a list of sections");
                return Err(error.help(Some("fill it in, or remove it".to_owned())).on(self.node));
            }
            (Value::Map(_) | Value::Null, _) => {}
            _ => return Err(self.wrong("a map")),
        }
        visitor.visit_map(Entries::structure(self, fields)).map_err(|error: Error| {
            let follows = error
                .missing_key()
                .is_some_and(|key| self.node.get(key).is_some_and(|node| self.context.is_wrong(node)));
            if follows { error.silent() } else { error }.on(self.node)
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => visitor.visit_enum(OneEntry { context: self.context, key, node }),
                _ => {
                    return Err(
                        Error::new(format!("expected exactly one of the keys {}", variants.join(", "))).on(self.node)
                    );
                }
            },
            Value::Seq(_) => return Err(self.wrong(&format!("one of {}", variants.join(", ")))),
            _ => visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(self.text()?)),
        }
        .map_err(|error: Error| error.on(self.node))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

impl De<'_> {
    /// An optional section: on when the key is there (null included), off with `enabled: false`.
    fn optional<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        const ENABLED: Outer<'static> = Outer { fields: &["enabled"], next: None };
        let enabled = match self.node.get("enabled") {
            Some(node) if !self.context.is_wrong(node) => {
                scalars::boolean(node).map_err(|error| error.skipping(node))?
            }
            _ => true,
        };
        special::hand_over(Handed::Enabled(enabled));
        visitor.visit_newtype_struct(De { outer: Some(&ENABLED), has_default: false, ..self })
    }
}
