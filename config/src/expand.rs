//! `${...}` references and the `$$` escape, on the merged tree. Fetches through `source`; merges nothing.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::node::{Node, Origin, Value};
use crate::position::{Source, Span};
use crate::secrets::is_secret_map;
use crate::source::{Env, Location, without_text};
use crate::yaml::{MAX_DEPTH, MAX_NODES, MAX_SOURCE_BYTES, parse_source};

/// Rounds after which a value is said to refer to itself.
const MAX_ROUNDS: usize = 1000;
/// Text that all references together may bring in, in bytes.
const MAX_EXPANDED_BYTES: usize = 4 * MAX_SOURCE_BYTES;

/// Replaces every reference below a node. Keys are not expanded. Paths must be set before.
pub(crate) fn expand(root: &mut Node, env: &dyn Env) -> Vec<Diagnostic> {
    let mut expander = Expander { env, found: Vec::new(), bytes: 0, nodes: 0 };
    expander.node(root, 0, 0);
    expander.found
}

struct Expander<'a> {
    env: &'a dyn Env,
    found: Vec<Diagnostic>,
    bytes: usize,
    nodes: usize,
}

/// A reference in a text: its byte range and what is between the braces.
struct Reference<'a> {
    range: std::ops::Range<usize>,
    uri: &'a str,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, rounds: usize, depth: usize) {
        match &mut node.value {
            Value::Str(text) if text.contains('$') => {
                let text = text.clone();
                if let Err(problem) = self.text(node, text, rounds, depth) {
                    self.found.push(problem.on(node));
                    node.value = Value::Null;
                }
            }
            Value::Seq(nodes) => nodes.iter_mut().for_each(|node| self.node(node, rounds, depth + 1)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| self.node(node, rounds, depth + 1)),
            _ => {}
        }
        if let Some(name) = node.unset.clone() {
            self.found.push(unset(node, &name));
        }
    }

    fn text(&mut self, node: &mut Node, text: Arc<str>, mut rounds: usize, depth: usize) -> Result<(), Diagnostic> {
        let mut text = text.to_string();
        let mut whole = false;
        while let Some(reference) = find(&text) {
            rounds += 1;
            if rounds > MAX_ROUNDS || depth > MAX_DEPTH {
                return Err(Diagnostic::error("too many recursive expansions").help("a reference leads back to itself"));
            }
            if reference.uri.contains('$') {
                let uri = without_text(reference.uri);
                return Err(Diagnostic::error(format!("the uri {uri:?} contains unsupported characters ('$')"))
                    .help("a reference inside of another one is written ${env:${env:NAME}}"));
            }
            let fetched = Location::reference(reference.uri)?.fetch(self.env)?;
            self.bytes += fetched.text.len();
            if self.bytes > MAX_EXPANDED_BYTES {
                return Err(Diagnostic::error(format!("references bring in more than {MAX_EXPANDED_BYTES} bytes")));
            }
            if let Some(name) = &fetched.unset {
                node.unset = Some(name.as_str().into());
            }
            if reference.range != (0..text.len()) {
                text.replace_range(reference.range, &fetched.text);
                if text.len() > MAX_SOURCE_BYTES {
                    return Err(Diagnostic::error(format!("the value becomes longer than {MAX_SOURCE_BYTES} bytes")));
                }
                continue;
            }
            whole = true;
            match self.whole(&fetched.name, &fetched.text, &node.span)? {
                // Text stays as it came, quotes and comments included.
                Value::Str(_) => text = fetched.text,
                value => return self.typed(node, value, fetched.text, rounds, depth),
            }
        }
        let text: Arc<str> = text.replace("$$", "$").into();
        node.origin = if whole { Origin::Expanded } else { node.origin };
        node.raw = whole.then(|| text.clone());
        node.value = Value::Str(text);
        Ok(())
    }

    /// A whole value that is not text: what is in it is expanded too, and so is its original text.
    fn typed(
        &mut self,
        node: &mut Node,
        value: Value,
        text: String,
        rounds: usize,
        depth: usize,
    ) -> Result<(), Diagnostic> {
        let mut original = Node::new(node.span.clone(), Value::Str(text.as_str().into()));
        if matches!(value, Value::Seq(_) | Value::Map(_)) && text.contains("${") {
            let before = self.found.len();
            let expanded = self.text(&mut original, text.as_str().into(), rounds, depth);
            // The same references stand in the value, where their problems are reported.
            self.found.truncate(before);
            expanded?;
        }
        node.raw = Some(match &original.value {
            Value::Str(text) => text.replace("$$", "$").into(),
            _ => text.into(),
        });
        node.value = value;
        node.origin = Origin::Expanded;
        node.set_paths(&node.path.clone());
        match &mut node.value {
            Value::Seq(nodes) => nodes.iter_mut().for_each(|node| self.node(node, rounds, depth + 1)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, node)| self.node(node, rounds, depth + 1)),
            _ => {}
        }
        Ok(())
    }

    /// The text as YAML; as text when it is none. What is in a file keeps its position there.
    fn whole(&mut self, name: &str, text: &str, at: &Span) -> Result<Value, Diagnostic> {
        let (node, problems) = parse_source(&Source::new(name, text));
        let Some(mut node) = node.filter(|_| problems.is_empty()) else { return Ok(Value::Str(text.into())) };
        self.nodes += count(&node);
        if self.nodes > MAX_NODES {
            return Err(Diagnostic::error(format!("references bring in more than {MAX_NODES} values")));
        }
        if name.starts_with("env:") || name.starts_with("yaml:") {
            relocate(&mut node, at);
        }
        Ok(node.value)
    }
}

/// The first reference that can be replaced, innermost first: up to the first `}`, back to the last `${` before it. An
/// odd number of dollars before it escapes it.
fn find(text: &str) -> Option<Reference<'_>> {
    let mut from = 0;
    while let Some(close) = text[from..].find('}').map(|at| from + at) {
        let open = text[from..close].rfind("${").map(|at| from + at);
        if let Some(open) = open {
            let dollars = text[from..open].bytes().rev().take_while(|b| *b == b'$').count();
            if dollars % 2 == 0 {
                return Some(Reference { range: open..close + 1, uri: &text[open + 2..close] });
            }
        }
        from = close + 1;
    }
    None
}

fn unset(node: &Node, name: &str) -> Diagnostic {
    if let Some(example) = address(&node.path) {
        return Diagnostic::error(format!("environment variable {name:?} is not set, and this is an address"))
            .on(node)
            .help(format!("set {name}, or give a default: ${{env:{name}:-{example}}}"));
    }
    Diagnostic::warning(format!("configuration references unset environment variable {name:?}"))
        .on(node)
        .help(format!("set {name}, or give a default: ${{env:{name}:-value}}"))
}

/// What an address looks like at a path, for settings that hold where to connect or listen; empty ones would mean every
/// address, a random port or no target at all.
fn address(path: &str) -> Option<&'static str> {
    let mut keys = path.rsplit("::").map(|key| key.split('[').next().unwrap_or(""));
    let (key, parent) = (keys.next()?, keys.next().unwrap_or(""));
    // Keys that users choose mean nothing.
    if matches!(parent, "labels" | "external_labels" | "tags" | "params" | "resource") || is_secret_map(parent) {
        return None;
    }
    match key {
        "host" => Some("localhost"),
        "names" if parent == "dns_sd_configs" => Some("name"),
        "endpoint" | "url" | "urls" | "targets" | "brokers" | "address" => Some("host:port"),
        _ => (key.ends_with("_endpoint") || key.ends_with("_url")).then_some("host:port"),
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::Seq(nodes) => 1 + nodes.iter().map(count).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| 1 + count(node)).sum::<usize>(),
        _ => 1,
    }
}

fn relocate(node: &mut Node, span: &Span) {
    node.span = span.clone();
    match &mut node.value {
        Value::Seq(nodes) => nodes.iter_mut().for_each(|node| relocate(node, span)),
        Value::Map(entries) => {
            for (key, node) in entries {
                key.span = span.clone();
                relocate(node, span);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
