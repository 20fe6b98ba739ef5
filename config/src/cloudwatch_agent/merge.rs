//! Several agent files as one: sections are joined down to the keys of `prometheus`, what is there twice must be equal.

use super::check::error;
use crate::diagnostic::Diagnostic;
use crate::node::{Node, Value};

/// Objects whose keys may come from several files.
const JOINED: &[&str] = &["", "agent", "logs", "logs::metrics_collected", "logs::metrics_collected::prometheus"];
/// Sections that nothing is made of; differences in them do not matter.
const OURS: &[&str] = &["agent", "logs"];

/// Adds what another file says. Reports what contradicts.
pub(crate) fn merge(base: &mut Node, more: Node, found: &mut Vec<Diagnostic>) {
    let is_joined = JOINED.contains(&&*base.path);
    match (&mut base.value, more.value) {
        (Value::Map(entries), Value::Map(others)) if is_joined => {
            for (key, node) in others {
                match entries.iter_mut().find(|(known, _)| known.name == key.name) {
                    Some((_, known)) => merge(known, node, found),
                    None => entries.push((key, node)),
                }
            }
        }
        (_, value) => {
            let other = Node { value, ..more };
            let section = base.path.split("::").next().unwrap_or("");
            if OURS.contains(&section) && !same(base, &other) {
                let key = base.path.rsplit("::").next().unwrap_or("");
                let problem = error(&other, format!("Different values are specified for {key}"));
                found.push(problem.also(&base.span, "the other value").help("keep the key in one of the files"));
            }
        }
    }
}

/// Equal JSON, whatever the order of keys.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Map(x), Value::Map(y)) => {
            x.len() == y.len() && x.iter().all(|(key, node)| b.get(&key.name).is_some_and(|other| same(node, other)))
        }
        (Value::Seq(x), Value::Seq(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b)),
        (Value::Int(x), Value::Float(y)) | (Value::Float(y), Value::Int(x)) => *x as f64 == *y,
        (x, y) => x == y,
    }
}
