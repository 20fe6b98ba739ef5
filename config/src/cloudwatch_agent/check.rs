//! The vocabulary of checks: typed access to the agent's JSON, each problem in the form `Under path : P | Error : M`
//! that its users know, with position and hint.

use std::fmt::Display;

use crate::diagnostic::Diagnostic;
use crate::hint;
use crate::node::{Node, Value};
use crate::pattern::GoRegex;
use crate::position::Span;

/// `logs::x[0]::y` as `/logs/x/0/y`.
pub(crate) fn json_path(path: &str) -> String {
    format!("/{}", path.replace("::", "/").replace('[', "/").replace(']', ""))
}

/// `logs::metrics_collected` as `logs.metrics_collected`, for comments.
pub(crate) fn dotted(path: &str) -> String {
    path.replace("::", ".")
}

/// An error about a value.
pub(crate) fn error(node: &Node, message: impl Display) -> Diagnostic {
    error_at(&node.span, &node.path, message)
}

/// An error at a position, under the setting of this path.
pub(crate) fn error_at(span: &Span, path: &str, message: impl Display) -> Diagnostic {
    Diagnostic::error(format!("Under path : {} | Error : {message}", json_path(path))).at(span)
}

/// A warning about a value.
pub(crate) fn warning(node: &Node, message: impl Display) -> Diagnostic {
    Diagnostic::warning(format!("Under path : {} | Warning : {message}", json_path(&node.path))).at(&node.span)
}

/// Whether a value is an object; reported when it is not.
pub(crate) fn is_object(node: &Node, found: &mut Vec<Diagnostic>) -> bool {
    is(matches!(node.value, Value::Map(_)), node, "object", found)
}

/// Reports keys that a section does not have.
pub(crate) fn known_keys(node: &Node, known: &[&str], found: &mut Vec<Diagnostic>) {
    for (key, _) in node.entries().iter().filter(|(key, _)| !known.contains(&&*key.name)) {
        let problem = error_at(&key.span, &node.path, format!("Additional property {} is not allowed", key.name));
        found.push(problem.maybe_help(hint::unknown_key(&key.name, known, |_| true)));
    }
}

/// A text under a key.
pub(crate) fn text<'a>(parent: &'a Node, key: &str, found: &mut Vec<Diagnostic>) -> Option<(&'a str, &'a Node)> {
    let node = parent.get(key)?;
    let text = match &node.value {
        Value::Str(text) => Some((&**text, node)),
        _ => None,
    };
    is(text.is_some(), node, "string", found);
    text
}

/// A text of a length in characters.
pub(crate) fn text_of_length<'a>(
    parent: &'a Node,
    key: &str,
    length: std::ops::RangeInclusive<usize>,
    found: &mut Vec<Diagnostic>,
) -> Option<(&'a str, &'a Node)> {
    let (text, node) = text(parent, key, found)?;
    let is = text.chars().count();
    if length.contains(&is) {
        return Some((text, node));
    }
    let message = if is < *length.start() {
        format!("String length must be greater than or equal to {}", length.start())
    } else {
        format!("String length must be less than or equal to {}", length.end())
    };
    found.push(error(node, message));
    None
}

/// `true` or `false` under a key.
pub(crate) fn flag<'a>(parent: &'a Node, key: &str, found: &mut Vec<Diagnostic>) -> Option<(bool, &'a Node)> {
    let node = parent.get(key)?;
    match node.value {
        Value::Bool(value) => Some((value, node)),
        _ => {
            is(false, node, "boolean", found);
            None
        }
    }
}

/// A whole number under a key.
pub(crate) fn integer<'a>(
    parent: &'a Node,
    key: &str,
    range: std::ops::RangeInclusive<i128>,
    found: &mut Vec<Diagnostic>,
) -> Option<(i128, &'a Node)> {
    let node = parent.get(key)?;
    let Value::Int(value) = node.value else {
        is(false, node, "integer", found);
        return None;
    };
    if range.contains(&value) {
        return Some((value, node));
    }
    let message = if value < *range.start() {
        format!("Must be greater than or equal to {}", range.start())
    } else {
        format!("Must be less than or equal to {}", range.end())
    };
    found.push(error(node, message));
    None
}

/// The elements of a list under a key, with the list.
pub(crate) fn list<'a>(parent: &'a Node, key: &str, found: &mut Vec<Diagnostic>) -> Option<&'a Node> {
    let node = parent.get(key)?;
    is(matches!(node.value, Value::Seq(_)), node, "array", found).then_some(node)
}

/// The texts of a list under a key; elements of another kind are reported.
pub(crate) fn texts<'a>(parent: &'a Node, key: &str, found: &mut Vec<Diagnostic>) -> Option<&'a Node> {
    let node = list(parent, key, found)?;
    let all = node.elements().iter().filter(|node| !is(node_text(node).is_some(), node, "string", found)).count() == 0;
    all.then_some(node)
}

/// The text of a text.
pub(crate) fn node_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Str(text) => Some(text),
        _ => None,
    }
}

/// Whether a text is a regular expression; reported when it is not.
pub(crate) fn is_pattern(node: &Node, found: &mut Vec<Diagnostic>) -> bool {
    match GoRegex::new(node_text(node).unwrap_or("")) {
        Ok(_) => true,
        Err(problem) => {
            let text = format!("{:?} is not a regular expression: {problem}", node_text(node).unwrap_or(""));
            let help = "the syntax is that of Go's regexp package; a glob * is written .*";
            found.push(error(node, text).help(help));
            false
        }
    }
}

fn is(is: bool, node: &Node, expected: &str, found: &mut Vec<Diagnostic>) -> bool {
    if !is {
        let given = match &node.value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::Str(_) => "string",
            Value::Seq(_) => "array",
            Value::Map(_) => "object",
        };
        found.push(error(node, format!("Invalid type. Expected: {expected}, given: {given}")));
    }
    is
}
