//! Several sources and `--set` laid over each other, as the Collector merges them: maps key by key, everything else
//! replaced whole, null included. Positions stay those of the source that won.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::node::{Key, Node, Value};

/// Lays `over` on `base`.
pub(crate) fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Map(entries), Value::Map(more)) => {
            let known: HashMap<Arc<str>, usize> = match more.len() {
                0 => return,
                _ => entries.iter().enumerate().map(|(index, (key, _))| (key.name.clone(), index)).collect(),
            };
            for (key, node) in more {
                match known.get(&key.name) {
                    Some(&index) => {
                        entries[index].0.span = key.span;
                        merge(&mut entries[index].1, node);
                    }
                    None => entries.push((key, node)),
                }
            }
        }
        (_, value) => *base = Node { value, ..over },
    }
}

/// Keys with `::` that one source may have.
pub(crate) const MAX_NESTED_KEYS: usize = 1_000;

/// Splits keys of the top level at `::`, as in `yaml:service::telemetry::logs::level: debug`.
pub(crate) fn unflatten(root: Node) -> Node {
    let Value::Map(entries) = root.value else { return root };
    let (nested, plain): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key.name.contains("::"));
    let mut out = Node { value: Value::Map(plain), ..root };
    for (key, node) in nested.into_iter() {
        let mut parts = key.name.rsplit("::");
        let last = parts.next().unwrap_or("");
        let innermost = wrap(Key { name: last.into(), span: key.span.clone() }, node);
        let nested =
            parts.fold(innermost, |inner, part| wrap(Key { name: part.into(), span: key.span.clone() }, inner));
        merge(&mut out, nested);
    }
    out
}

fn wrap(key: Key, node: Node) -> Node {
    let span = key.span.to(&node.span);
    Node::new(span, Value::Map(vec![(key, node)]))
}

/// `--set a.b=value` as the text of a source: dots are path separators, the value is YAML.
pub(crate) fn set_text(argument: &str) -> Result<String, Diagnostic> {
    let problem = match argument.split_once('=') {
        Some((key, value)) if !key.is_empty() => return Ok(format!("{}: {value}", key.replace('.', "::"))),
        Some(_) => Diagnostic::error("invalid value \"=...\" for flag --set: the key is empty"),
        None => {
            // What follows the key may be a secret.
            let is_key = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
            let key = argument.split(|c| !is_key(c)).next().unwrap_or_default();
            let rest = if key.len() < argument.len() { "..." } else { "" };
            Diagnostic::error(format!("invalid value \"{key}{rest}\" for flag --set: missing equal sign"))
        }
    };
    Err(problem.help("write --set key.of.the.setting=value"))
}
