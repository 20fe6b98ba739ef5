//! Types that take more from a node than its value: the position, the whole node, or whether a section is switched on.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::position::Span;

pub(super) const SPANNED: &str = "$config::Spanned";
pub(super) const NODE: &str = "$config::Node";
pub(super) const OPTIONAL: &str = "$config::Optional";

/// What the deserializer hands to the visitor beside serde's data model.
pub(super) enum Handed {
    Place(Span, Arc<str>),
    Node(Node),
    Enabled(bool),
}

thread_local! {
    static HANDED: RefCell<Option<Handed>> = const { RefCell::new(None) };
}

/// Puts something down for the visitor that is called next on this thread.
pub(super) fn hand_over(handed: Handed) {
    HANDED.with(|slot| *slot.borrow_mut() = Some(handed));
}

fn taken() -> Option<Handed> {
    HANDED.with(|slot| slot.borrow_mut().take())
}

/// A value with the place where it was written, for problems that are found after decoding.
#[derive(Clone)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
    /// Its setting: `processors::filter::metrics::include`.
    pub path: Arc<str>,
}

impl<T> Spanned<T> {
    /// A value that nobody wrote, such as a default.
    pub fn built_in(value: T) -> Spanned<T> {
        Spanned { value, span: Span::built_in(), path: "".into() }
    }

    /// An error about this value, with its position.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(&self.span).path(self.path.clone())
    }

    /// A warning about this value, with its position.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(message).at(&self.span).path(self.path.clone())
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Default> Default for Spanned<T> {
    fn default() -> Spanned<T> {
        Spanned::built_in(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Equal values are equal wherever they were written.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Spanned<T>) -> bool {
        self.value == other.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Spanned<T>, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Spanned<T>, D::Error> {
                let (span, path) = match taken() {
                    Some(Handed::Place(span, path)) => (span, path),
                    _ => (Span::built_in(), "".into()),
                };
                Ok(Spanned { value: T::deserialize(deserializer)?, span, path })
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED, V(PhantomData))
    }
}

/// A part that is decoded later: the node as it is. Works with this crate's deserializer only.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part of a configuration")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
                match taken() {
                    Some(Handed::Node(node)) => Ok(node),
                    _ => Err(E::custom("a node can only be taken from a configuration")),
                }
            }
        }
        deserializer.deserialize_newtype_struct(NODE, V)
    }
}

/// An optional section that is on as soon as its key is written, also without a value, and off with
/// `enabled: false` in it (Go: `configoptional`): `protocols.grpc`, `sending_queue`, `cors`, `keepalive`.
///
/// Null takes `T::default()`. A section that null leaves off is a plain `Option<T>`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Optional<T> {
    /// Not written, or switched off.
    #[default]
    Off,
    /// Switched on.
    On(T),
}

impl<T> Optional<T> {
    /// The section when it is on.
    pub fn as_ref(&self) -> Option<&T> {
        match self {
            Optional::Off => None,
            Optional::On(value) => Some(value),
        }
    }

    /// The section when it is on.
    pub fn into_option(self) -> Option<T> {
        match self {
            Optional::Off => None,
            Optional::On(value) => Some(value),
        }
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        matches!(self, Optional::On(_))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Optional<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Optional<T>, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = Optional<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Optional<T>, D::Error> {
                let enabled = !matches!(taken(), Some(Handed::Enabled(false)));
                // Also what is switched off must be well-formed.
                let value = T::deserialize(deserializer)?;
                Ok(if enabled { Optional::On(value) } else { Optional::Off })
            }
        }
        deserializer.deserialize_newtype_struct(OPTIONAL, V(PhantomData))
    }
}
