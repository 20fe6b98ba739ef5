//! YAML (and JSON, its subset) to a tree of nodes: parser events, anchors, merge keys, duplicate keys, limits.
//! Expands no `${...}` and knows no setting.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use crate::diagnostic::{Built, Diagnostic};
use crate::node::{Key, Node, Origin, Value};
use crate::position::{Position, Source, Span};
use crate::scalar;

/// Largest text of one source, in bytes.
pub const MAX_SOURCE_BYTES: usize = 4 << 20;
/// Most values of one source, the copies that aliases make included.
pub const MAX_NODES: usize = 250_000;
/// Deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 96;

const NO_TABS: &str = "indent with spaces; YAML does not allow tabs";
/// Problems after which the rest of a text is not read.
const MAX_PROBLEMS: usize = 100;

/// Reads the first document of a text. An empty text is null. The name is what messages show.
///
/// Paths are set from the root; `${...}` is left as it is.
pub fn parse_yaml(name: &str, text: &str) -> Built<Node> {
    parse_source(&Source::new(name, text))
}

/// As [`parse_yaml`], for a source that exists already.
pub(crate) fn parse_source(source: &Arc<Source>) -> Built<Node> {
    let start = source.start();
    if source.text().len() > MAX_SOURCE_BYTES {
        let text =
            format!("{} bytes of configuration are too many, the limit is {MAX_SOURCE_BYTES}", source.text().len());
        return (None, vec![Diagnostic::error(text).at(&start)]);
    }
    let mut loader = Loader {
        source: source.clone(),
        parser: Parser::new_from_str(source.text()),
        anchors: HashMap::new(),
        nodes: 0,
        last: Position::default(),
        found: Vec::new(),
    };
    match loader.document() {
        Ok(node) => {
            let mut node = node.unwrap_or_else(|| Node::new(start, Value::Null));
            node.set_paths("");
            (Some(node), loader.found)
        }
        Err(problem) => {
            loader.found.push(*problem);
            (None, loader.found)
        }
    }
}

/// A problem after which the rest of the text cannot be read.
type Fatal = Box<Diagnostic>;

struct Loader<'a> {
    source: Arc<Source>,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// Where the last event began.
    last: Position,
    found: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn document(&mut self) -> Result<Option<Node>, Fatal> {
        loop {
            match self.next()? {
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(None),
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (event, span) => return self.node(event, span, 0).map(Some),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Fatal> {
        if self.found.len() > MAX_PROBLEMS {
            return Err(Box::new(Diagnostic::error(format!(
                "more than {MAX_PROBLEMS} problems, the rest is not shown"
            ))));
        }
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.span(span);
                Ok((event, span))
            }
            Some(Err(error)) => Err(Box::new(self.syntax_error(&error))),
            None => Err(Box::new(
                Diagnostic::error("the YAML text ends too early")
                    .at(&self.end())
                    .help("check that the file is complete"),
            )),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fatal> {
        if depth > MAX_DEPTH {
            return Err(Box::new(Diagnostic::error(format!("nested deeper than {MAX_DEPTH} levels")).at(&span)));
        }
        self.count(1, &span)?;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(&text, style, tag.as_deref(), span)),
            Event::SequenceStart(anchor, _) => (anchor, self.sequence(span, depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.mapping(span, depth)?),
            Event::Alias(id) => return self.alias(id, span),
            _ => return Err(Box::new(Diagnostic::error("unexpected end of a YAML value").at(&span))),
        };
        if anchor > 0 {
            self.count(size(&node), &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
        let tag = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
        let plain = style == ScalarStyle::Plain;
        if tag == Some("str") || (!plain && tag.is_none_or(|tag| !matches!(tag, "int" | "float" | "bool" | "null"))) {
            return Node { origin: Origin::Quoted, ..Node::new(span, Value::Str(text.into())) };
        }
        let value = match (tag, scalar::resolve(text)) {
            (Some("float"), Value::Int(value)) => Value::Float(value as f64),
            (Some("int"), value @ Value::Int(_))
            | (Some("float"), value @ Value::Float(_))
            | (Some("bool"), value @ Value::Bool(_))
            | (Some("null"), value @ Value::Null) => value,
            (Some(tag @ ("int" | "float" | "bool" | "null")), value) => {
                let problem = Diagnostic::error(format!("cannot read {} as !!{tag}", value.describe())).at(&span);
                self.found.push(problem.help(format!("remove !!{tag}, or write a value of this type")));
                // What it was meant to be is not known; nothing at all causes no further problem.
                return Node::new(span, Value::Null);
            }
            (_, value) => value,
        };
        Node { raw: Some(text.into()), ..Node::new(span, value) }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let last = nodes.last().map_or_else(|| end.clone(), |node| node.span.clone());
                    return Ok(Node::new(start.to(&last), Value::Seq(nodes)));
                }
                (event, span) => {
                    self.check_indentation(&start, &span)?;
                    nodes.push(self.node(event, span, depth + 1)?);
                }
            }
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<Arc<str>, usize> = HashMap::new();
        let mut merges: Vec<(Span, Node)> = Vec::new();
        let mut has_bad_keys = false;
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, end) => {
                    let last = entries.last().map_or_else(|| end.clone(), |(key, node)| key.span.to(&node.span));
                    for (key, value) in merges {
                        self.merge(&mut entries, &mut seen, &key, value)?;
                    }
                    let value = match entries.is_empty() && has_bad_keys {
                        true => Value::Null,
                        false => Value::Map(entries),
                    };
                    return Ok(Node::new(start.to(&last), value));
                }
                next => next,
            };
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<")
                || matches!(&event, Event::Scalar(_, _, _, Some(tag)) if tag.is_yaml_core_schema() && tag.suffix == "merge");
            self.check_indentation(&start, &span)?;
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if is_merge {
                if let Some((first, _)) = merges.first() {
                    self.duplicate("<<", &key.span, &first.clone());
                }
                merges.push((key.span, value));
                continue;
            }
            let Some(name) = key_text(&key.value) else {
                let is_template =
                    self.source.text().get(start.byte_range().start..).is_some_and(|t| t.starts_with("{{"));
                let help = match is_template {
                    true => "{{...}} is a placeholder of a template; fill it in",
                    false => "a key is a text or a number",
                };
                let problem = Diagnostic::error(format!("{} cannot be a key", key.value.describe()));
                self.found.push(problem.at(&key.span).help(help));
                has_bad_keys = true;
                continue;
            };
            if let Some(&first) = seen.get(&name) {
                let first = entries[first].0.span.clone();
                self.duplicate(&name, &key.span, &first);
                continue;
            }
            seen.insert(name.clone(), entries.len());
            entries.push((Key { name, span: key.span }, value));
        }
    }

    /// `<<: *base` or `<<: [*a, *b]`: keys that the map does not have itself; the first base wins.
    fn merge(
        &mut self,
        entries: &mut Vec<(Key, Node)>,
        seen: &mut HashMap<Arc<str>, usize>,
        key: &Span,
        value: Node,
    ) -> Result<(), Fatal> {
        let bases = match value.value {
            Value::Map(_) => vec![value],
            Value::Seq(nodes) if nodes.iter().all(|node| matches!(node.value, Value::Map(_))) => nodes,
            _ => {
                let problem = Diagnostic::error("a merge key (<<) needs a map or a list of maps").at(key);
                self.found.push(problem.help("write <<: *anchor, where &anchor is on a map"));
                return Ok(());
            }
        };
        for base in bases {
            let Value::Map(base) = base.value else { continue };
            for (key, node) in base {
                if !seen.contains_key(&key.name) {
                    seen.insert(key.name.clone(), entries.len());
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Fatal> {
        let Some(node) = self.anchors.get(&id) else {
            return Err(Box::new(
                Diagnostic::error("this anchor contains itself").at(&span).help("write out what *name stands for here"),
            ));
        };
        let node = node.clone();
        self.count(size(&node), &span)?;
        Ok(node)
    }

    /// The parser lets some tabs pass that Go refuses; between braces they are fine.
    fn check_indentation(&self, collection: &Span, span: &Span) -> Result<(), Fatal> {
        let is_flow =
            self.source.text().get(collection.start.offset as usize..).is_some_and(|text| text.starts_with(['[', '{']));
        let line = self.source.line(span.start.line);
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        match !is_flow && indent.contains('\t') {
            true => Err(Box::new(
                Diagnostic::error("this is not valid YAML: a tab in the indentation").at(span).help(NO_TABS),
            )),
            false => Ok(()),
        }
    }

    fn duplicate(&mut self, key: &str, second: &Span, first: &Span) {
        let text = format!("mapping key {key:?} already defined at line {}", first.start.line);
        let problem = Diagnostic::error(text).at(second).also(first, "first defined here");
        self.found.push(problem.help("keep one of the two, or merge their contents"));
    }

    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), Fatal> {
        self.nodes += nodes;
        match self.nodes > MAX_NODES {
            true => {
                Err(Box::new(Diagnostic::error(format!("more than {MAX_NODES} values, aliases expanded")).at(span)))
            }
            false => Ok(()),
        }
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let mark = error.marker();
        let start = self.source.position(mark.line(), mark.col(), Position::default());
        let span = Span { source: self.source.clone(), start, end: start };
        let line = self.source.line(start.line);
        let indent = &line[..line.len() - line.trim_start().len()];
        let help = if indent.contains('\t') {
            NO_TABS
        } else if line.contains("${") && line.replace("${", "").contains(['[', '{']) {
            "put ${...} in quotes inside [ ] and { }"
        } else if error.info().contains("':' indicator") {
            "look for a [ or { above that is not closed, or put text with a colon in quotes"
        } else if line.trim_start().starts_with('%')
            || line.trim_start().starts_with('@')
            || line.contains(": @")
            || line.contains(": %")
        {
            "put the value in quotes"
        } else if error.info().contains("unknown anchor") {
            "write &name before the value that *name stands for, above this line"
        } else {
            "check the indentation of this line and of the one above it, and its brackets and quotes"
        };
        Diagnostic::error(format!("this is not valid YAML: {}", error.info())).at(&span).help(help)
    }

    fn span(&mut self, span: saphyr_parser::Span) -> Span {
        let start = self.source.position(span.start.line(), span.start.col(), self.last);
        let end = self.source.position(span.end.line(), span.end.col(), start);
        self.last = start;
        Span { source: self.source.clone(), start, end: end.max(start) }
    }

    fn end(&self) -> Span {
        let lines = self.source.text().lines().count();
        let at = self.source.position(lines.max(1), 0, Position::default());
        Span { source: self.source.clone(), start: at, end: at }
    }
}

/// A key's text; the Collector turns numbers and booleans into theirs.
fn key_text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string().into()),
        Value::Float(value) => Some(value.to_string().into()),
        Value::Bool(value) => Some(value.to_string().into()),
        Value::Null | Value::Seq(_) | Value::Map(_) => None,
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Seq(nodes) => nodes.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| 1 + size(node)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
