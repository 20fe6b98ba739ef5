//! JSON to a tree of nodes with positions, with messages for what people get wrong in JSON by hand. Goes on after a
//! missing or surplus comma, so that all of them are found in one run. Knows no setting.

use std::sync::Arc;

use crate::diagnostic::{Built, Diagnostic};
use crate::node::{Key, Node, Origin, Value};
use crate::position::{Position, Source, Span};
use crate::yaml::{MAX_DEPTH, MAX_NODES, MAX_SOURCE_BYTES};

/// Keys of one object. The agent's own objects have a dozen.
const MAX_KEYS: usize = 5_000;
/// Problems of a text that are shown.
const MAX_PROBLEMS: usize = 100;

/// Reads a text. The tree is there next to errors when the rest of the text could be understood.
pub(crate) fn parse(source: &Arc<Source>) -> Built<Node> {
    let at = source.start();
    if source.text().len() > MAX_SOURCE_BYTES {
        let text = format!("{} bytes of JSON are too many, the limit is {MAX_SOURCE_BYTES}", source.text().len());
        return (None, vec![Diagnostic::error(text).at(&at)]);
    }
    let mut parser = Parser { source, at: at.start, path: Vec::new(), found: Vec::new(), nodes: 0 };
    let node = parser.document().map(|mut node| {
        node.set_paths("");
        node
    });
    (node.ok(), parser.found)
}

/// The problem has been reported and the rest of the text cannot be read.
struct Stop;

struct Parser<'a> {
    source: &'a Arc<Source>,
    at: Position,
    path: Vec<String>,
    found: Vec<Diagnostic>,
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<Node, Stop> {
        self.blank();
        let node = self.value()?;
        self.blank();
        match self.peek() {
            None => Ok(node),
            Some(_) => {
                let end = self.here();
                Err(self.fatal(&end, "there is text after the end of the configuration", "check the braces above"))
            }
        }
    }

    fn value(&mut self) -> Result<Node, Stop> {
        self.nodes += 1;
        let here = self.here();
        if self.nodes > MAX_NODES {
            return Err(self.fatal(&here, &format!("more than {MAX_NODES} values"), "make it smaller"));
        }
        match self.peek() {
            Some('{' | '[') if self.path.len() >= MAX_DEPTH => {
                Err(self.fatal(&here, &format!("nested deeper than {MAX_DEPTH} levels"), "check the braces"))
            }
            Some('{') => self.object(),
            Some('[') => self.list(),
            Some('"') => {
                let (text, span) = self.string()?;
                Ok(Node { origin: Origin::Quoted, ..Node::new(span, Value::Str(text.into())) })
            }
            Some(c) if c == '-' || c == '.' || c == '+' || c.is_alphanumeric() => self.word(),
            Some('\'') => Err(self.fatal(&here, "text in single quotes", "JSON text stands in double quotes")),
            Some(',' | '}' | ']') => Err(self.fatal(&here, "a value is missing", "write one, or remove the key")),
            Some(c) => Err(self.fatal(&here, &format!("unexpected {c:?}"), "a value is expected here")),
            None => Err(self.fatal(&here, "the text ends where a value is expected", "check that all of it is there")),
        }
    }

    fn object(&mut self) -> Result<Node, Stop> {
        let open = self.step();
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut comma: Option<Span> = None;
        let mut last: Option<Span> = None;
        loop {
            self.blank();
            match self.peek() {
                Some('}') => {
                    self.trailing(&comma);
                    let close = self.step();
                    return Ok(Node::new(open.to(&close), Value::Map(entries)));
                }
                Some(',') => comma = Some(self.comma(&comma, &last)),
                Some('"') => {
                    self.between(&comma, &last);
                    comma = None;
                    let (name, span) = self.string()?;
                    self.blank();
                    if self.peek() == Some(':') {
                        self.step();
                    } else {
                        self.path.push(name.clone());
                        let end = end_of(&span);
                        self.error(&end, &format!("a colon is missing after {name:?}"), "write \"key\": value");
                        self.path.pop();
                    }
                    self.path.push(name.clone());
                    self.blank();
                    let value = self.value()?;
                    self.path.pop();
                    last = Some(value.span.clone());
                    if entries.len() == MAX_KEYS {
                        return Err(self.fatal(
                            &span,
                            &format!("more than {MAX_KEYS} keys in an object"),
                            "make it smaller",
                        ));
                    }
                    self.add(&mut entries, Key { name: name.into(), span }, value);
                }
                Some('/' | '#') => return Err(self.comment()),
                Some(_) => {
                    let here = self.here();
                    let help = "keys stand in double quotes; a list ends with ], an object with }";
                    return Err(self.fatal(&here, "a key in double quotes is expected", help));
                }
                None => return Err(self.unclosed(&open, '}')),
            }
        }
    }

    fn list(&mut self) -> Result<Node, Stop> {
        let open = self.step();
        let mut nodes: Vec<Node> = Vec::new();
        let mut comma: Option<Span> = None;
        loop {
            self.blank();
            let last = nodes.last().map(|node| node.span.clone());
            match self.peek() {
                Some(']') => {
                    self.trailing(&comma);
                    let close = self.step();
                    return Ok(Node::new(open.to(&close), Value::Seq(nodes)));
                }
                Some(',') => comma = Some(self.comma(&comma, &last)),
                Some('/' | '#') => return Err(self.comment()),
                Some('}') => {
                    let here = self.here();
                    return Err(self.fatal(&here, "this list is closed with }", "a list ends with ]"));
                }
                Some(_) => {
                    self.between(&comma, &last);
                    comma = None;
                    self.path.push(nodes.len().to_string());
                    nodes.push(self.value()?);
                    self.path.pop();
                }
                None => return Err(self.unclosed(&open, ']')),
            }
        }
    }

    /// Go keeps the last of several values under one key; so do we, and say it.
    fn add(&mut self, entries: &mut Vec<(Key, Node)>, key: Key, value: Node) {
        let Some(at) = entries.iter().position(|(known, _)| known.name == key.name) else {
            entries.push((key, value));
            return;
        };
        let text = format!("the key {:?} is there twice, the last one counts", &*key.name);
        let warning = Diagnostic::warning(format!("Under path : {} | Warning : {text}", self.shown_path()));
        self.found.push(warning.at(&key.span).also(&entries[at].0.span, "first here").help("remove one of the two"));
        entries[at] = (key, value);
    }

    fn comma(&mut self, before: &Option<Span>, last: &Option<Span>) -> Span {
        let span = self.step();
        if before.is_some() || last.is_none() {
            self.error(&span, "this comma is too many", "remove it");
        }
        span
    }

    fn between(&mut self, comma: &Option<Span>, last: &Option<Span>) {
        if let (None, Some(last)) = (comma, last) {
            let help = format!("put a comma at the end of line {}", last.end.line);
            self.error(&end_of(last), "a comma is missing", &help);
        }
    }

    fn trailing(&mut self, comma: &Option<Span>) {
        if let Some(span) = comma {
            self.error(span, "a comma after the last entry", "remove it: JSON has commas only between entries");
        }
    }

    fn unclosed(&mut self, open: &Span, close: char) -> Stop {
        let message = format!("the text ends before this is closed with {close}");
        self.fatal(open, &message, "check that the whole text is there; SSM cuts off nothing, but 4 KB is its limit")
    }

    fn comment(&mut self) -> Stop {
        let here = self.here();
        self.fatal(&here, "a comment", "JSON has no comments; remove it")
    }

    fn string(&mut self) -> Result<(String, Span), Stop> {
        let open = self.step();
        let mut text = String::new();
        loop {
            let here = self.here();
            match self.peek() {
                None | Some('\n' | '\r') => {
                    let span = open.to(&here);
                    return Err(self.fatal(&span, "this text has no closing quote", "put a \" at its end"));
                }
                Some('"') => {
                    let close = self.step();
                    return Ok((text, open.to(&close)));
                }
                Some('\\') => {
                    self.step();
                    match self.escape() {
                        Some(c) => text.push(c),
                        None => {
                            let span = here.to(&self.here());
                            let help = "a backslash itself is written \\\\, also in regular expressions";
                            self.error(&span, "this is no escape of JSON", help);
                        }
                    }
                }
                Some(c) if c < ' ' => {
                    let span = self.step();
                    self.error(&span, "a control character in a text", "a tab is written \\t");
                    text.push(c);
                }
                Some(c) => {
                    self.step();
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let c = self.peek()?;
        if c == '\n' {
            return None;
        }
        self.step();
        Some(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.hex()?;
                let is_pair = (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u");
                if !is_pair {
                    return Some(char::from_u32(first).unwrap_or('\u{fffd}'));
                }
                self.step();
                self.step();
                let second = self.hex()?;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
                low.and_then(|low| char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)).unwrap_or('\u{fffd}')
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        (0..4).for_each(|_| drop(self.step()));
        Some(value)
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<Node, Stop> {
        let rest: &'a str = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "+-._".contains(c))).unwrap_or(rest.len());
        let word = &rest[..end];
        let start = self.here();
        word.chars().for_each(|_| drop(self.step()));
        let span = Span { end: self.at, ..start };
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => match number(word) {
                Some(value) => value,
                None => {
                    let help = match word {
                        "True" | "False" | "TRUE" | "FALSE" => "write true or false",
                        "None" | "nil" | "Null" => "write null",
                        _ => "text stands in double quotes",
                    };
                    self.error(&span, &format!("{word} is no JSON value"), help);
                    Value::Null
                }
            },
        };
        Ok(Node { raw: Some(word.into()), ..Node::new(span, value) })
    }

    fn rest(&self) -> &'a str {
        self.source.text().get(self.at.offset as usize..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes one character and gives its span.
    fn step(&mut self) -> Span {
        let start = self.at;
        if let Some(c) = self.peek() {
            self.at.offset += c.len_utf8() as u32;
            if c == '\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else {
                self.at.column += 1;
            }
        }
        Span { source: self.source.clone(), start, end: self.at }
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.step();
        }
    }

    fn here(&self) -> Span {
        Span { source: self.source.clone(), start: self.at, end: self.at }
    }

    fn shown_path(&self) -> String {
        format!("/{}", self.path.join("/"))
    }

    fn error(&mut self, span: &Span, message: &str, help: &str) {
        match self.found.len() {
            MAX_PROBLEMS => {
                let text = format!("more than {MAX_PROBLEMS} problems, the rest is not shown");
                self.found.push(Diagnostic::error(text).at(span));
                return;
            }
            shown if shown > MAX_PROBLEMS => return,
            _ => {}
        }
        let text = format!("Under path : {} | Error : unable to parse json, error: {message}", self.shown_path());
        self.found.push(Diagnostic::error(text).at(span).help(help));
    }

    fn fatal(&mut self, span: &Span, message: &str, help: &str) -> Stop {
        self.error(span, message, help);
        Stop
    }
}

/// Just behind the last character.
fn end_of(span: &Span) -> Span {
    Span { source: span.source.clone(), start: span.end, end: span.end }
}

/// A number as JSON writes it.
fn number(word: &str) -> Option<Value> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or("");
    let is_shaped = digits.starts_with(|c: char| c.is_ascii_digit())
        && (whole == "0" || !whole.starts_with('0'))
        && !digits.ends_with(['.', 'e', 'E', '+', '-'])
        && !digits.contains(".e")
        && !digits.contains(".E");
    if !is_shaped {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() < 19 {
        return word.parse().ok().map(Value::Int);
    }
    let value: f64 = word.parse().ok()?;
    value.is_finite().then_some(Value::Float(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(&Source::new("c.json", text)).1.iter().map(ToString::to_string).collect()
    }

    fn check(text: &str, position: &str, words: &str) {
        let problems = problems(text);
        assert!(
            problems.iter().any(|p| p.starts_with(&format!("c.json:{position}: ")) && p.contains(words)),
            "{text}: {position} {words} is not in {problems:?}"
        );
    }

    #[test]
    fn what_people_get_wrong_has_its_place_and_its_word() {
        check("{\"a\":1\n \"b\":2}", "1:7", "Under path : / | Error : unable to parse json, error: a comma is missing");
        check("{\"a\":[1 2]}", "1:8", "a comma is missing");
        check("{\"a\":1,}", "1:7", "a comma after the last entry");
        check("{\"a\":[1,]}", "1:8", "a comma after the last entry");
        check("{\"a\":1,,\"b\":2}", "1:8", "this comma is too many");
        check("{\"a\":\"b\n}", "1:6", "no closing quote");
        check("{\"a\" 1}", "1:5", "a colon is missing");
        check("{'a':1}", "1:2", "a key in double quotes is expected");
        check("{\"a\":'b'}", "1:6", "single quotes");
        check("{\"a\":True}", "1:6", "True is no JSON value");
        check("{\"a\":01}", "1:6", "01 is no JSON value");
        check("{\"a\":\"\\d\"}", "1:7", "no escape of JSON");
        check("{\"a\":{\"b\":1}", "1:1", "before this is closed with }");
        check("{\"a\":[1}", "1:8", "this list is closed with }");
        check("{} x", "1:4", "text after the end");
        check("{ // c\n}", "1:3", "JSON has no comments");
        check("{\"a\":}", "1:6", "a value is missing");
        check("", "1:1", "the text ends");
        check("{\"a\":1,\"a\":2}", "1:8", "is there twice");
        check(&"[".repeat(1000), "1:97", "nested deeper");
    }

    #[test]
    fn every_missing_comma_is_found_in_one_run() {
        assert_eq!(problems("{\"a\":1 \"b\":[1 2] \"c\":3,}").len(), 4);
    }

    #[test]
    fn limits_are_errors() {
        assert_eq!(problems(&format!("[{}", ",".repeat(100_000))).len(), MAX_PROBLEMS + 1);
        let keys: Vec<String> = (0..=MAX_KEYS).map(|key| format!("\"{key}\":0")).collect();
        assert!(problems(&format!("{{{}}}", keys.join(",")))[0].contains("more than 5000 keys"));
        let values = format!("[{}0]", "0,".repeat(MAX_NODES));
        assert!(problems(&values)[0].contains("values"));
    }

    #[test]
    fn values_are_those_of_the_text() {
        let text = "\u{feff}{\"a\":[null,true,-1.5e3,12,\"\\u00e9\\ud83d\\ude00\\n\"], \"b\":{}}";
        let (node, found) = parse(&Source::new("c.json", text));
        assert!(found.is_empty(), "{found:?}");
        let node = node.unwrap();
        let values: Vec<_> = node.get("a").unwrap().elements().iter().map(|n| n.value.clone()).collect();
        let text = Value::Str("é😀\n".into());
        assert_eq!(values, [Value::Null, Value::Bool(true), Value::Float(-1500.0), Value::Int(12), text]);
        assert_eq!(&*node.get("a").unwrap().elements()[3].path, "a[3]");
        assert_eq!(node.get("b").unwrap().value, Value::Map(Vec::new()));
    }

    /// JSON-like text: mostly well-formed pieces in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\\n\"",
            "\"\\u00e9\"",
            "\"\\q\"",
            "1",
            "-0.5e3",
            "01",
            "true",
            "null",
            "x",
            " ",
            "\n",
            "\"",
            "'",
            "//",
            "é",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_text_is_refused_exactly_when_it_is_no_json(text in pieces()) {
            let (node, found) = parse(&Source::new("c.json", text.as_str()));
            let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(!crate::has_errors(&found), is_json, "{:?}: {:?}", text, found);
            prop_assert!(node.is_some() || !is_json);
            let shown = crate::render(&found, false);
            prop_assert_eq!(found.is_empty(), shown.is_empty());
        }
    }
}
