//! Replacement templates with the rules of Go's `Regexp.Expand`. Not responsible for matching.

use std::sync::OnceLock;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{GoCaptures, unicode};

/// A prepared template; made by [`GoRegex::template`](super::GoRegex::template) for that regex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// The groups of that number or name; the first that took part in the match counts.
    Groups(Vec<usize>),
}

impl GoTemplate {
    pub(super) fn new(text: &str, group_names: &[Option<Box<str>>]) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                rest = after;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                parts.push(Part::Groups(groups(name, group_names)));
            } else {
                literal.push('$');
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Self { parts }
    }

    /// Appends the template to `out`, with the groups of the match of `text` that `captures` holds.
    pub fn expand(&self, captures: &GoCaptures, text: &str, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(literal) => out.push_str(literal),
                Part::Groups(groups) => {
                    if let Some(span) = groups.iter().find_map(|&group| captures.0.get_group(group)) {
                        out.push_str(&text[span.range()]);
                    }
                }
            }
        }
    }
}

/// Splits the name or number after a `$` off, if there is a well-formed one.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let end = text.find(|c: char| !is_name_char(c)).unwrap_or(text.len());
    if end == 0 {
        return None;
    }
    let (name, rest) = text.split_at(end);
    Some((name, if braced { rest.strip_prefix('}')? } else { rest }))
}

/// A number names a group by index unless it has a leading zero; anything else by name.
fn groups(name: &str, group_names: &[Option<Box<str>>]) -> Vec<usize> {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if is_number && let Ok(index) = name.parse::<usize>() {
        return if index < group_names.len() { vec![index] } else { Vec::new() };
    }
    (0..group_names.len()).filter(|&index| group_names[index].as_deref() == Some(name)).collect()
}

/// Go: `unicode.IsLetter`, `unicode.IsDigit` or an underscore.
fn is_name_char(c: char) -> bool {
    static BEYOND_ASCII: OnceLock<ClassUnicode> = OnceLock::new();
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let class = BEYOND_ASCII.get_or_init(|| {
        let mut class = ClassUnicode::empty();
        ["L", "Nd"].iter().filter_map(|name| unicode::group(name)).for_each(|group| class.union(&group));
        class
    });
    let ranges: &[ClassUnicodeRange] = class.ranges();
    let after = ranges.partition_point(|range| range.start() <= c);
    after > 0 && c <= ranges[after - 1].end()
}
