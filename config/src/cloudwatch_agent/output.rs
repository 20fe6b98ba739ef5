//! The Collector configuration in the making: a tree whose lines know which JSON key they come from, as nodes for the
//! loader and as YAML with comments for people.

use std::collections::HashMap;
use std::sync::Arc;

use crate::node::{Key, Node, Origin, Value, join};
use crate::position::Span;
use crate::scalar;
use crate::secrets::{REDACTED, is_secret_key, is_secret_map};

/// A value of the configuration with its origin.
pub(crate) struct Line {
    /// Comment of the line; empty: none of its own.
    from: String,
    /// What messages about the value show.
    span: Span,
    value: Content,
}

enum Content {
    Map(Vec<(String, Line)>),
    List(Vec<Line>),
    Node(Node),
}

impl Line {
    /// A section.
    pub(crate) fn map(from: &str, entries: Vec<(&str, Line)>) -> Line {
        let entries = entries.into_iter().map(|(key, line)| (key.to_owned(), line)).collect();
        Line { from: from.to_owned(), span: Span::built_in(), value: Content::Map(entries) }
    }

    /// A list.
    pub(crate) fn list(from: &str, lines: Vec<Line>) -> Line {
        Line { from: from.to_owned(), span: Span::built_in(), value: Content::List(lines) }
    }

    /// A text that is meant as it is.
    pub(crate) fn text(from: &str, text: &str) -> Line {
        Line::value(from, Value::Str(escape(text).into()))
    }

    /// A text in which `${...}` is replaced when the configuration is loaded.
    pub(crate) fn reference(from: &str, text: &str) -> Line {
        Line::value(from, Value::Str(text.into()))
    }

    /// Another single value.
    pub(crate) fn value(from: &str, value: Value) -> Line {
        let node = Node { origin: Origin::Quoted, ..Node::built_in(value) };
        Line { from: from.to_owned(), span: Span::built_in(), value: Content::Node(node) }
    }

    /// A tree of somebody else, with its positions; each line is commented with its own.
    pub(crate) fn tree(from: &str, node: Node) -> Line {
        Line { from: from.to_owned(), span: node.span.clone(), value: Content::Node(escape_all(node)) }
    }

    /// With the position of what it comes from.
    pub(crate) fn at(mut self, node: &Node) -> Line {
        self.span = node.span.clone();
        self
    }
}

/// A finished configuration.
pub(crate) struct Translation {
    /// For the loader; `$` is escaped where it would be expanded.
    pub(crate) root: Node,
    comments: HashMap<Arc<str>, String>,
    intro: Vec<String>,
}

impl Translation {
    /// `intro` is put on top of the text.
    pub(crate) fn new(root: Line, intro: Vec<String>) -> Translation {
        let mut comments = HashMap::new();
        let root = place(root, "", &mut comments);
        Translation { root, comments, intro }
    }

    /// YAML with a comment at each line. Secrets are left out, as everywhere; `true` when there was one.
    pub(crate) fn print(&self) -> (String, bool) {
        let mut printer = Printer { comments: &self.comments, text: String::new(), secrets: false };
        for line in &self.intro {
            printer.text.push_str(&format!("# {line}\n"));
        }
        printer.map(self.root.entries(), 0, "", false);
        (printer.text, printer.secrets)
    }
}

fn place(line: Line, path: &str, comments: &mut HashMap<Arc<str>, String>) -> Node {
    if !line.from.is_empty() {
        comments.insert(path.into(), line.from);
    }
    let span = line.span;
    let mut node = match line.value {
        Content::Map(entries) => {
            let entries = entries.into_iter().map(|(key, line)| {
                let at = if line.span.is_built_in() { span.clone() } else { line.span.clone() };
                let node = place(line, &join(path, &key), comments);
                (Key { name: key.into(), span: at }, node)
            });
            Value::Map(entries.collect()).into_node(&span)
        }
        Content::List(lines) => {
            let nodes = lines.into_iter().enumerate().map(|(i, line)| place(line, &format!("{path}[{i}]"), comments));
            Value::Seq(nodes.collect()).into_node(&span)
        }
        Content::Node(node) if node.span.is_built_in() => Node { span, ..node },
        Content::Node(node) => node,
    };
    if path.is_empty() {
        node.set_paths("");
    }
    node
}

impl Value {
    fn into_node(self, span: &Span) -> Node {
        Node::new(span.clone(), self)
    }
}

/// `$` so that loading gives the same text back.
fn escape(text: &str) -> String {
    text.replace("$$", "$$$$").replace("${", "$${")
}

fn escape_all(mut node: Node) -> Node {
    node.value = match node.value {
        Value::Str(text) if text.contains('$') => {
            node.raw = None;
            Value::Str(escape(&text).into())
        }
        Value::Seq(nodes) => Value::Seq(nodes.into_iter().map(escape_all).collect()),
        Value::Map(entries) => Value::Map(entries.into_iter().map(|(key, node)| (key, escape_all(node))).collect()),
        other => other,
    };
    node
}

struct Printer<'a> {
    comments: &'a HashMap<Arc<str>, String>,
    text: String,
    secrets: bool,
}

impl Printer<'_> {
    /// Entries of a map; `first` stands before the first key instead of the indentation (`- `).
    fn map(&mut self, entries: &[(Key, Node)], indent: usize, first: &str, secret: bool) {
        for (at, (key, node)) in entries.iter().enumerate() {
            let lead = if at == 0 && !first.is_empty() { first.to_owned() } else { " ".repeat(indent) };
            let is_value = !matches!(node.value, Value::Map(_) | Value::Null);
            let secret = secret || is_secret_map(&key.name) || (is_value && is_secret_key(&key.name));
            self.node(&format!("{lead}{}:", quoted(&key.name)), node, indent, secret);
        }
    }

    fn node(&mut self, lead: &str, node: &Node, indent: usize, secret: bool) {
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                self.line(lead, "", node);
                self.map(entries, indent + 2, "", secret);
            }
            Value::Seq(nodes) if !nodes.iter().all(is_short) => {
                self.line(lead, "", node);
                for element in nodes {
                    self.element(element, indent + 2, secret);
                }
            }
            _ => {
                let value = self.flow(node, secret);
                self.line(lead, &value, node);
            }
        }
    }

    fn element(&mut self, node: &Node, indent: usize, secret: bool) {
        let lead = format!("{}- ", " ".repeat(indent));
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => self.map(entries, indent + 2, &lead, secret),
            _ => {
                let value = self.flow(node, secret);
                self.line(lead.trim_end(), &value, node);
            }
        }
    }

    fn line(&mut self, lead: &str, value: &str, node: &Node) {
        self.text.push_str(lead);
        if !value.is_empty() {
            self.text.push(' ');
            self.text.push_str(value);
        }
        let comment = match self.comments.get(&node.path) {
            Some(comment) => comment.clone(),
            None if value.is_empty() => String::new(),
            None if node.span.is_built_in() => "as the CloudWatch agent does".to_owned(),
            None => format!("{}:{}", node.span.source_name(), node.span.start.line),
        };
        if !comment.is_empty() {
            self.text.push_str("  # ");
            self.text.push_str(&comment.replace(['\n', '\r'], " "));
        }
        self.text.push('\n');
    }

    /// A value on one line.
    fn flow(&mut self, node: &Node, secret: bool) -> String {
        match &node.value {
            Value::Map(entries) => {
                let parts: Vec<String> = entries
                    .iter()
                    .map(|(key, node)| format!("{}: {}", quoted(&key.name), self.flow(node, secret)))
                    .collect();
                format!("{{{}}}", parts.join(", "))
            }
            Value::Seq(nodes) => {
                let parts: Vec<String> = nodes.iter().map(|node| self.flow(node, secret)).collect();
                format!("[{}]", parts.join(", "))
            }
            Value::Null => "null".to_owned(),
            _ if secret => {
                self.secrets = true;
                quoted(REDACTED)
            }
            Value::Str(text) => quoted(text),
            Value::Bool(value) => value.to_string(),
            Value::Int(_) | Value::Float(_) if node.raw.is_some() => node.raw.as_deref().unwrap_or("").to_owned(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
        }
    }
}

fn is_short(node: &Node) -> bool {
    match &node.value {
        Value::Map(_) => false,
        Value::Seq(nodes) => nodes.iter().all(|node| !matches!(node.value, Value::Map(_) | Value::Seq(_))),
        _ => true,
    }
}

/// Plain where every YAML reader takes it for text, else in JSON's quotes, which YAML has, too.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
        && matches!(scalar::resolve(text), Value::Str(_))
        && !matches!(text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n");
    if is_plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}
