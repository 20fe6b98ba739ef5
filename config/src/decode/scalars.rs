//! What the Collector's decoder does with each scalar and field type. The three conversions in which it silently
//! corrupts a value (truncation, wrap-around, bare numbers as nanoseconds) are errors here.

use super::error::Error;
use crate::node::{Node, Origin, Value};
use crate::secrets::is_secret_path;

/// `expected X, got Y`, and how X is written; values of secrets are not repeated.
pub(super) fn wrong(node: &Node, expected: &str) -> Error {
    let got = if is_secret_path(&node.path) { "something else".to_owned() } else { node.value.describe() };
    let help = match (expected, &node.value) {
        ("a list", Value::Map(_)) => "write a list: one line for each element, with \"- \" before it",
        ("a list", _) => "write a list: [a, b], or one line for each element with \"- \" before it",
        ("a map", Value::Seq(_)) => "write key: value lines without \"- \" before them",
        ("a map", _) => "write key: value lines below it, indented by two spaces",
        ("a text", Value::Seq(_) | Value::Map(_)) => "write one text; in quotes when it has colons, brackets or braces",
        ("a text", _) => "put it in quotes",
        ("a whole number" | "a number", _) => "write digits without quotes and without a unit",
        ("nothing", _) => "remove the value",
        _ => "write one of these words",
    };
    Error::new(format!("expected {expected}, got {got}")).help(Some(help.to_owned())).on(node)
}

pub(super) fn boolean(node: &Node) -> Result<bool, Error> {
    match &node.value {
        Value::Bool(value) => Ok(*value),
        Value::Null => Ok(false),
        Value::Str(text) => {
            let help = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("write true"),
                "no" | "off" | "n" | "false" => Some("write false"),
                _ => Some("write true or false"),
            };
            Err(wrong(node, "a boolean").help(help.map(str::to_owned)))
        }
        _ => Err(wrong(node, "a boolean").help(Some("write true or false".to_owned()))),
    }
}

pub(super) fn integer(node: &Node, min: i128, max: i128) -> Result<i128, Error> {
    let value = match &node.value {
        Value::Int(value) => *value,
        Value::Null => 0,
        Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e30 => *value as i128,
        Value::Float(value) => {
            let help = format!("write {} or {}", value.floor(), value.ceil());
            return Err(wrong(node, "a whole number").help(shown(node, value.is_finite().then_some(help))));
        }
        Value::Str(text) => {
            let is_number = matches!(crate::scalar::resolve(text), Value::Int(_));
            return Err(wrong(node, "a whole number")
                .help(shown(node, is_number.then(|| format!("write {text} without quotes")))));
        }
        _ => return Err(wrong(node, "a whole number")),
    };
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let help = if value < 0 && min == 0 {
        "it cannot be negative".to_owned()
    } else {
        format!("it must be between {min} and {max}")
    };
    let value = if is_secret_path(&node.path) { "the value".to_owned() } else { value.to_string() };
    Err(Error::new(format!("{value} is out of range")).on(node).help(Some(help)))
}

pub(super) fn float(node: &Node) -> Result<f64, Error> {
    match &node.value {
        Value::Int(value) => Ok(*value as f64),
        Value::Float(value) => Ok(*value),
        Value::Null => Ok(0.0),
        Value::Str(text) => {
            let is_number = matches!(crate::scalar::resolve(text), Value::Int(_) | Value::Float(_));
            Err(wrong(node, "a number").help(shown(node, is_number.then(|| format!("write {text} without quotes")))))
        }
        _ => Err(wrong(node, "a number")),
    }
}

/// Text for a string field. An expanded value hands over its original text; a plain number or boolean does so only
/// where `lenient` (Prometheus).
pub(super) fn text(node: &Node, lenient: bool) -> Result<String, Error> {
    let spelled = node.raw.as_deref().filter(|_| lenient || node.origin == Origin::Expanded);
    match (&node.value, spelled) {
        (Value::Str(text), _) => Ok(text.to_string()),
        (Value::Null, _) => Ok(String::new()),
        (Value::Seq(_) | Value::Map(_), Some(raw)) if node.origin == Origin::Expanded => Ok(raw.to_owned()),
        (Value::Seq(_) | Value::Map(_), _) => Err(wrong(node, "a text")),
        (_, Some(raw)) => Ok(raw.to_owned()),
        (Value::Bool(value), None) if lenient => Ok(value.to_string()),
        (Value::Int(value), None) if lenient => Ok(value.to_string()),
        (Value::Float(value), None) if lenient => Ok(value.to_string()),
        (_, None) => {
            let help = node.raw.as_ref().map(|raw| format!("put it in quotes: \"{raw}\""));
            Err(wrong(node, "a text").help(shown(node, help)))
        }
    }
}

/// Help that repeats the value; none for a secret.
fn shown(node: &Node, help: Option<String>) -> Option<String> {
    help.filter(|_| !is_secret_path(&node.path))
}
