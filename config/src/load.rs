//! The way from arguments to one effective tree: fetch, parse, merge, expand. What the tree means is not its business.

use crate::diagnostic::{Built, Diagnostic, has_errors};
use crate::layer::{MAX_NESTED_KEYS, merge, set_text, unflatten};
use crate::node::{Node, Value};
use crate::position::{Source, Span};
use crate::service::{Config, KnownComponents};
use crate::source::{Env, Fetched, Location};
use crate::{expand, shell, yaml};

/// The variable whose presence replaces every `--config` and `--set` (ADOT).
pub const CONTENT_VARIABLE: &str = "AOT_CONFIG_CONTENT";

/// What the command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `--config` arguments, merged left to right: a path, `file:PATH`, `env:NAME`, `yaml:TEXT`.
    pub configs: Vec<String>,
    /// `--set key=value` arguments, applied after all of `configs`.
    pub sets: Vec<String>,
}

/// Loads and checks a configuration: [`load_tree`], then [`Config::from_tree`].
pub fn load(sources: &Sources, env: &dyn Env, known: &KnownComponents) -> Built<Config> {
    let (root, mut found) = load_tree(sources, env);
    let Some(root) = root.filter(|root| !root.entries().is_empty()) else { return (None, found) };
    let (config, more) = Config::from_tree(root, known);
    found.extend(more);
    (config, found)
}

/// Reads, merges and expands the sources into one tree with paths, `AOT_CONFIG_CONTENT` instead of them when it is set.
///
/// All problems of all sources are returned; the tree is `None` when one of them could not be read.
pub fn load_tree(sources: &Sources, env: &dyn Env) -> Built<Node> {
    let mut found = Vec::new();
    let content = env
        .var(CONTENT_VARIABLE)
        .map(|_| Sources { configs: vec![format!("env:{CONTENT_VARIABLE}")], sets: Vec::new() });
    if content.is_some() && *sources != Sources::default() {
        let text = format!("environment variable {CONTENT_VARIABLE} is set and replaces --config and --set");
        found.push(Diagnostic::warning(text).help("unset it to use them"));
    }
    let sources = content.as_ref().unwrap_or(sources);
    if sources.configs.is_empty() {
        found.push(Diagnostic::error("at least one config flag must be provided").help("add --config FILE"));
        return (None, found);
    }
    let mut merged: Option<Node> = None;
    for part in sources.configs.iter().map(|uri| config(uri, env)).chain(sources.sets.iter().map(|set| setting(set))) {
        let (node, problems) = part;
        found.extend(problems);
        match (&mut merged, node) {
            (Some(base), Some(node)) => merge(base, node),
            (None, Some(node)) => merged = Some(node),
            (_, None) => {}
        }
    }
    let Some(mut root) = merged.filter(|_| !has_errors(&found)) else { return (None, found) };
    root.set_paths("");
    found.extend(expand::expand(&mut root, env));
    found.extend(shell::expand_external_labels(&mut root, env));
    if root.entries().is_empty() {
        found.push(Diagnostic::error("empty configuration file").at(&root.span));
    }
    (Some(root), found)
}

fn config(uri: &str, env: &dyn Env) -> Built<Node> {
    match Location::argument(uri).and_then(|location| location.fetch(env)) {
        Ok(Fetched { unset: Some(name), .. }) => {
            let problem = Diagnostic::error(format!("--config {uri}: environment variable {name:?} is not set"));
            (None, vec![problem.help(format!("set {name} to the text of the configuration"))])
        }
        Ok(fetched) => parse(&fetched.name, &fetched.text),
        Err(problem) => (None, vec![problem]),
    }
}

fn setting(argument: &str) -> Built<Node> {
    match set_text(argument) {
        Ok(text) => parse("--set", &text),
        Err(problem) => (None, vec![problem]),
    }
}

/// A source as a map; nothing at all is an empty one.
fn parse(name: &str, text: &str) -> Built<Node> {
    let (node, mut found) = yaml::parse_source(&Source::new(name, text));
    let node = match node {
        Some(node) if node.is_null() => Some(Node { value: Value::Map(Vec::new()), ..node }),
        Some(node) if !matches!(node.value, Value::Map(_)) => {
            found.push(not_a_map(&node.value, &node.span, text));
            None
        }
        other => other,
    };
    if let Some((key, _)) =
        node.iter().flat_map(Node::entries).filter(|(key, _)| key.name.contains("::")).nth(MAX_NESTED_KEYS)
    {
        found.push(Diagnostic::error(format!("more than {MAX_NESTED_KEYS} keys with ::")).at(&key.span));
        return (None, found);
    }
    (node.map(unflatten), found)
}

fn not_a_map(value: &Value, span: &Span, text: &str) -> Diagnostic {
    let kind = match value {
        Value::Str(_) => "text",
        Value::Seq(_) => "a list",
        _ => "a single value",
    };
    let compact: String = text.split_whitespace().collect();
    let is_base64 = compact.len() >= 16 && compact.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let help = if is_base64 {
        "it looks like base64; put the YAML text itself there"
    } else {
        "a configuration starts with keys such as receivers: and service:"
    };
    Diagnostic::error(format!("expected a map of settings, got {kind}")).at(span).help(help)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
