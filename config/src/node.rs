//! The tree that a configuration text becomes: values with their position, original text and path. Makes no decisions
//! about what the values mean.

use std::sync::Arc;

use crate::position::Span;

/// A value of the configuration with everything that messages and decoding need to know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it was written. A value that came out of `${env:X}` has the position of that reference.
    pub span: Span,
    /// What it is after scalar resolution and expansion.
    pub value: Value,
    /// The original text of a plain scalar (`0777`, `1.10`) or of an expanded value (`${env:LST}` = `[a, b]`).
    pub raw: Option<Arc<str>>,
    /// Where the value came from; decides whether `raw` may stand in for a string.
    pub origin: Origin,
    /// Name of an environment variable in it that is not set.
    pub unset: Option<Arc<str>>,
    /// Its place in the tree: `receivers::prometheus::config::scrape_configs[0]::job_name`.
    pub path: Arc<str>,
}

/// How a value was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// In the text, unquoted.
    #[default]
    Plain,
    /// In the text, quoted or as a block, or tagged as a string.
    Quoted,
    /// The result of a `${...}` that was the whole value.
    Expanded,
}

/// A YAML value after Go's scalar resolution.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`, `~`, nothing, or an unset variable.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer in the range of Go's int64 and uint64.
    Int(i128),
    /// A number with a fraction or exponent, or too large for an integer.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A list.
    Seq(Vec<Node>),
    /// A map in the order written; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a map. Keys that are not text are kept in their text form (`1` is the key "1"), as the Collector does.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its text.
    pub name: Arc<str>,
    /// Where it was written.
    pub span: Span,
}

impl Node {
    /// A node that nobody wrote.
    pub fn built_in(value: Value) -> Node {
        Node { span: Span::built_in(), value, raw: None, origin: Origin::Plain, unset: None, path: "".into() }
    }

    /// A node at a position.
    pub fn new(span: Span, value: Value) -> Node {
        Node { span, value, raw: None, origin: Origin::Plain, unset: None, path: "".into() }
    }

    /// The value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| &*k.name == key).map(|(_, node)| node)
    }

    /// The value at the end of several keys.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The key itself, for messages about it.
    pub fn key(&self, key: &str) -> Option<&Key> {
        self.entries().iter().find(|(k, _)| &*k.name == key).map(|(k, _)| k)
    }

    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none for anything else.
    pub fn elements(&self) -> &[Node] {
        match &self.value {
            Value::Seq(nodes) => nodes,
            _ => &[],
        }
    }

    /// The text of a string, or of an expanded value that may stand in for one.
    pub fn as_str(&self) -> Option<&str> {
        match (&self.value, self.origin, &self.raw) {
            (Value::Str(text), ..) => Some(text),
            (_, Origin::Expanded, Some(raw)) => Some(raw),
            _ => None,
        }
    }

    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Writes the path of this node and of everything below it.
    pub fn set_paths(&mut self, path: &str) {
        match &mut self.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    node.set_paths(&join(path, &key.name));
                }
            }
            Value::Seq(nodes) => {
                for (index, node) in nodes.iter_mut().enumerate() {
                    node.set_paths(&format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
        self.path = path.into();
    }
}

impl Value {
    /// What it is, for messages: `a list`, `the number 12`, `the text "yes"`.
    pub fn describe(&self) -> String {
        match self {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Str(text) if text.chars().count() <= 60 => format!("the text {text:?}"),
            Value::Str(_) => "a long text".to_owned(),
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// `a::b`, or `b` at the root.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}::{key}") }
}
