//! Nodes to typed settings: a `serde::Deserializer` as strict as the Collector's, which collects every problem instead
//! of stopping at the first. The rules for scalars are in `scalars`, those for maps and lists in `access`.

mod access;
mod deserializer;
mod error;
mod scalars;
mod schema;
mod special;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::diagnostic::{Built, Diagnostic, has_errors};
use crate::node::{Node, join};
use crate::yaml::parse_yaml;
use deserializer::De;
pub use schema::Schema;
pub use special::{Optional, Spanned};

/// Problems of one component after which decoding gives up.
const MAX_PROBLEMS: usize = 200;

/// Decodes the settings of a component the way the Collector does.
///
/// Every unknown key and every wrong value is reported, each with its position. A wrong value is then left out, so
/// that the default takes its place and the rest is decoded too. The value is `None` only when a required part is
/// missing or wrong. Do not start anything with it while `has_errors` holds for the diagnostics.
///
/// Structs need `#[derive(Deserialize)] #[serde(default)]`; unknown keys are errors with or without
/// `deny_unknown_fields`. Instead of `#[serde(flatten)]`, which loses positions, name one field `"<inline>"`:
/// `#[serde(rename = "<inline>")] http: HttpClient` takes its keys from the same map.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Built<T> {
    run(node, Mode::Collector)
}

/// Decodes a part of a Prometheus configuration the way Prometheus' own types do: plain scalars are accepted for text
/// with their spelling kept (`job_name: 12`, `v: 1.10`), null leaves the default, a single text is no list.
pub fn decode_prometheus<T: DeserializeOwned>(node: &Node) -> Built<T> {
    run(node, Mode::Prometheus)
}

/// Parses YAML text and decodes it, without expansion: for tests and examples of components.
pub fn decode_str<T: DeserializeOwned>(text: &str) -> Built<T> {
    let (node, mut found) = parse_yaml("test.yaml", text);
    let Some(node) = node.filter(|_| !has_errors(&found)) else { return (None, found) };
    let (value, more) = decode(&node);
    found.extend(more);
    (value, found)
}

/// Whose rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Collector,
    Prometheus,
}

/// Why a value is left out of the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    /// It is wrong, and that was reported.
    Wrong,
    /// It is null, which keeps the default.
    KeepDefault,
}

/// What the attempts to decode one tree share. Values and keys are known by their address, which does not change.
struct Context {
    mode: Mode,
    skipped: RefCell<HashMap<usize, Skip>>,
    unknown: RefCell<BTreeMap<usize, Unknown>>,
}

/// A key that its section does not have.
struct Unknown {
    diagnostic: Diagnostic,
    key: Arc<str>,
}

/// Adds where a key belongs, when the type has it somewhere else.
fn explain_unknown<T: DeserializeOwned>(unknown: Vec<Unknown>, root: &Node) -> Vec<Diagnostic> {
    if unknown.is_empty() {
        return Vec::new();
    }
    let schema = Schema::of::<T>();
    let explain = |unknown: Unknown| {
        let places: Vec<String> = match schema.sections_with(&unknown.key).as_slice() {
            sections @ [_, ..] if sections.len() <= 3 => {
                sections.iter().map(|section| join(&root.path, section)).collect()
            }
            _ => Vec::new(),
        };
        let places: Vec<&str> =
            places.iter().map(|place| place.trim_end_matches("::")).filter(|place| !place.is_empty()).collect();
        let help = (!places.is_empty()).then(|| format!("this key belongs under {}", places.join(" or ")));
        unknown.diagnostic.maybe_help(help)
    };
    unknown.into_iter().map(explain).collect()
}

/// Decodes until nothing is wrong: serde stops at the first error, so the value that caused it is left out and the
/// next attempt finds the next one.
fn run<T: DeserializeOwned>(root: &Node, mode: Mode) -> Built<T> {
    let context = Context { mode, skipped: RefCell::default(), unknown: RefCell::default() };
    let mut found = Vec::new();
    let value = loop {
        let error = match T::deserialize(De::root(&context, root)) {
            Ok(value) => break Some(value),
            Err(error) => error,
        };
        let (diagnostic, target, skip) = error.into_parts(root);
        found.extend(diagnostic);
        let Some(target) = target else { break None };
        if context.skipped.borrow_mut().insert(target, skip).is_some() {
            break None;
        }
        if found.len() >= MAX_PROBLEMS {
            found.push(Diagnostic::error(format!("more than {MAX_PROBLEMS} problems, the rest is not shown")).on(root));
            break None;
        }
    };
    found.extend(explain_unknown::<T>(context.unknown.take().into_values().collect(), root));
    found.sort_by_key(|d| d.span.as_ref().map(|span| (span.source.name().clone(), span.start)));
    (value, found)
}

impl Context {
    fn is_skipped(&self, node: &Node) -> bool {
        self.skipped.borrow().contains_key(&address(node))
    }

    fn is_wrong(&self, node: &Node) -> bool {
        self.skipped.borrow().get(&address(node)) == Some(&Skip::Wrong)
    }
}

/// The identity of a node or key while the tree is borrowed.
fn address<T>(thing: &T) -> usize {
    std::ptr::from_ref(thing) as usize
}
