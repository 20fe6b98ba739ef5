//! Parses Go's regular expression syntax into the engine's intermediate form. Classes and escapes are in `class`.
//! Not responsible for compiling.
//!
//! The parser keeps its own stack of open groups instead of recursing, so a hostile pattern cannot exhaust the stack;
//! the depth of the result is limited because the engine does recurse over it.

use std::ops::Range;

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

use super::error::GoRegexErrorKind as Kind;

/// Go: the largest count of one `x{n,m}` and the largest product of nested ones.
const MAX_REPEAT: u32 = 1000;
/// Go allows a height of 1000; the engine recurses over the tree, and 250 is what its own parser allows.
const MAX_HEIGHT: u32 = 250;
/// Go: the largest program in instructions (128 MiB of 40 bytes).
const MAX_SIZE: u64 = (128 << 20) / 40;

/// A parsed pattern.
pub(super) struct Translated {
    pub(super) hir: Hir,
    /// By group index; 0 is the whole match. Go allows the same name twice.
    pub(super) group_names: Vec<Option<Box<str>>>,
}

/// A refusal; positions count bytes in the parsed text.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) kind: Kind,
    pub(super) excerpt: Range<usize>,
    pub(super) position: usize,
}

impl SyntaxError {
    pub(super) fn at(kind: Kind, excerpt: Range<usize>) -> Self {
        Self { kind, position: excerpt.start, excerpt }
    }
}

/// Parses `source` as `regexp.Compile` would.
pub(super) fn translate(source: &str) -> Result<Translated, SyntaxError> {
    Parser::new(source).run()
}

#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    /// `(?i)`
    pub(super) fold_case: bool,
    /// `(?m)`
    multi_line: bool,
    /// `(?s)`
    dot_matches_newline: bool,
    /// `(?U)`
    ungreedy: bool,
}

/// A parsed piece with what is needed to enforce the limits.
struct Node {
    hir: Hir,
    height: u32,
    /// Instructions it would take in Go.
    size: u64,
    /// Largest product of nested repetition counts.
    repeats: u32,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, size: 1, repeats: 1 }
    }
}

struct Group {
    open_at: usize,
    capture: Option<u32>,
    outer_flags: Flags,
    alternatives: Vec<Node>,
    items: Vec<Node>,
}

impl Group {
    fn new(open_at: usize, capture: Option<u32>, outer_flags: Flags) -> Self {
        Self { open_at, capture, outer_flags, alternatives: Vec::new(), items: Vec::new() }
    }
}

pub(super) struct Parser<'s> {
    pub(super) source: &'s str,
    /// Byte position of the next character.
    pub(super) at: usize,
    pub(super) flags: Flags,
    /// Enclosing groups, outermost first; `group` is the one being filled.
    outer: Vec<Group>,
    group: Group,
    group_names: Vec<Option<Box<str>>>,
}

impl<'s> Parser<'s> {
    fn new(source: &'s str) -> Self {
        let flags = Flags::default();
        Self { source, at: 0, flags, outer: Vec::new(), group: Group::new(0, None, flags), group_names: vec![None] }
    }

    fn run(mut self) -> Result<Translated, SyntaxError> {
        let mut last_repeat = None;
        while let Some(c) = self.rest().chars().next() {
            let start = self.at;
            let mut repeat = None;
            match c {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => {
                    self.at += 1;
                    self.end_alternative()?;
                }
                '^' => self.look(1, if self.flags.multi_line { Look::StartLF } else { Look::Start }),
                '$' => self.look(1, if self.flags.multi_line { Look::EndLF } else { Look::End }),
                '.' => {
                    self.at += 1;
                    let dot = if self.flags.dot_matches_newline { Dot::AnyChar } else { Dot::AnyCharExceptLF };
                    self.push(Hir::dot(dot));
                }
                '[' => {
                    let class = self.parse_class()?;
                    self.push(Hir::class(Class::Unicode(class)));
                }
                '*' | '+' | '?' => {
                    let (min, max) = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.at += 1;
                    self.repeat(start, min, max, false, last_repeat)?;
                    repeat = Some(start);
                }
                '{' => match self.parse_counts() {
                    None => self.literal(),
                    Some((min, max)) => {
                        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
                            return Err(SyntaxError::at(Kind::RepeatCount, start..self.at));
                        }
                        self.repeat(start, min, max, true, last_repeat)?;
                        repeat = Some(start);
                    }
                },
                '\\' => self.escape()?,
                _ => self.literal(),
            }
            last_repeat = repeat;
        }
        if !self.outer.is_empty() {
            let position = self.group.open_at;
            return Err(SyntaxError { kind: Kind::MissingParen, excerpt: 0..self.source.len(), position });
        }
        let node = self.finish_group()?;
        Ok(Translated { hir: node.hir, group_names: self.group_names })
    }

    pub(super) fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// Consumes and returns the next character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn push(&mut self, hir: Hir) {
        self.group.items.push(Node::leaf(hir));
    }

    fn look(&mut self, length: usize, look: Look) {
        self.at += length;
        self.push(Hir::look(look));
    }

    /// Pushes the next character as itself.
    fn literal(&mut self) {
        if let Some(c) = self.bump() {
            self.push_char(u32::from(c));
        }
    }

    /// Pushes a code point, in all its cases under `(?i)`. A surrogate, which `\x{D800}` can name, never matches.
    fn push_char(&mut self, code_point: u32) {
        let Some(c) = char::from_u32(code_point) else {
            self.push(Hir::fail());
            return;
        };
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        // One case only: the smart constructor makes a literal of it.
        self.push(Hir::class(Class::Unicode(class)));
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        let rest = self.rest();
        match rest[1..].chars().next() {
            Some('A') => self.look(2, Look::Start),
            Some('z') => self.look(2, Look::End),
            Some('b') => self.look(2, Look::WordAscii),
            Some('B') => self.look(2, Look::WordAsciiNegate),
            Some('C') => return Err(SyntaxError::at(Kind::Escape, self.at..self.at + 2)),
            Some('Q') => {
                let (quoted, length) = match rest[2..].find("\\E") {
                    Some(end) => (&rest[2..2 + end], end + 4),
                    None => (&rest[2..], rest.len()),
                };
                quoted.chars().for_each(|c| self.push_char(u32::from(c)));
                self.at += length;
            }
            _ => match self.parse_class_escape()? {
                Some(class) => self.push(Hir::class(Class::Unicode(class))),
                None => {
                    let code_point = self.parse_char_escape()?;
                    self.push_char(code_point);
                }
            },
        }
        Ok(())
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; `None`, consuming nothing, when the brace is a literal.
    fn parse_counts(&mut self) -> Option<(u32, Option<u32>)> {
        let (min, rest) = parse_count(self.rest().strip_prefix('{')?)?;
        let (max, rest) = match rest.strip_prefix(',') {
            None => (Some(min), rest),
            Some(rest) if rest.starts_with('}') => (None, rest),
            Some(rest) => {
                let (max, rest) = parse_count(rest)?;
                (Some(max), rest)
            }
        };
        let rest = rest.strip_prefix('}')?;
        self.at = self.source.len() - rest.len();
        Some((min, max))
    }

    /// Applies a repetition operator, already consumed, to the last item.
    fn repeat(
        &mut self,
        operator: usize,
        min: u32,
        max: Option<u32>,
        counted: bool,
        last_repeat: Option<usize>,
    ) -> Result<(), SyntaxError> {
        let mut greedy = !self.flags.ungreedy;
        if self.rest().starts_with('?') {
            self.at += 1;
            greedy = !greedy;
        }
        if let Some(last) = last_repeat {
            return Err(SyntaxError::at(Kind::NestedRepetition, last..self.at));
        }
        let Some(item) = self.group.items.pop() else {
            return Err(SyntaxError::at(Kind::MissingRepeatArgument, operator..self.at));
        };
        let times = if counted { max.unwrap_or(min).max(1) } else { 1 };
        let repeats = if max == Some(0) { 1 } else { item.repeats.saturating_mul(times) };
        if counted && repeats > MAX_REPEAT && times >= 2 {
            return Err(SyntaxError::at(Kind::RepeatCount, operator..self.at));
        }
        let size = match max {
            None if min == 0 => item.size + 2,
            None => item.size.saturating_mul(u64::from(min)) + 1,
            Some(max) => item.size.saturating_mul(u64::from(max)) + u64::from(max - min),
        };
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(item.hir) });
        let node = self.checked(Node { hir, height: item.height + 1, size: size.max(1), repeats })?;
        self.group.items.push(node);
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        let rest = self.rest();
        if !rest.starts_with("(?") {
            self.at += 1;
            self.push_group(start, Some(None), self.flags);
            return Ok(());
        }
        let name_at = if rest.len() > 4 && rest.starts_with("(?P<") {
            4
        } else if rest.len() > 3 && rest.starts_with("(?<") {
            3
        } else {
            return self.parse_flags();
        };
        let Some(end) = rest.find('>') else {
            return Err(SyntaxError::at(Kind::NamedCapture, start..self.source.len()));
        };
        let name = &rest[name_at..end];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(SyntaxError::at(Kind::NamedCapture, start..start + end + 1));
        }
        self.at += end + 1;
        self.push_group(start, Some(Some(name.into())), self.flags);
        Ok(())
    }

    /// Reads `(?flags)` or `(?flags:`.
    fn parse_flags(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        self.at += 2;
        let mut flags = self.flags;
        let (mut on, mut saw_flag) = (true, false);
        while let Some(c) = self.bump() {
            let flag = match c {
                'i' => &mut flags.fold_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_matches_newline,
                'U' => &mut flags.ungreedy,
                '-' if on => {
                    (on, saw_flag) = (false, false);
                    continue;
                }
                ':' | ')' if on || saw_flag => {
                    if c == ':' {
                        self.push_group(start, None, self.flags);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            };
            *flag = on;
            saw_flag = true;
        }
        Err(SyntaxError::at(Kind::PerlSyntax, start..self.at))
    }

    /// Starts a group; `capture` is its name when it captures.
    fn push_group(&mut self, open_at: usize, capture: Option<Option<Box<str>>>, outer_flags: Flags) {
        let index = capture.map(|name| {
            self.group_names.push(name);
            (self.group_names.len() - 1) as u32
        });
        let outer = std::mem::replace(&mut self.group, Group::new(open_at, index, outer_flags));
        self.outer.push(outer);
    }

    fn close_group(&mut self) -> Result<(), SyntaxError> {
        let position = self.at;
        let inner = self.finish_group()?;
        let Some(outer) = self.outer.pop() else {
            return Err(SyntaxError { kind: Kind::UnexpectedParen, excerpt: 0..self.source.len(), position });
        };
        self.at += 1;
        let closed = std::mem::replace(&mut self.group, outer);
        self.flags = closed.outer_flags;
        let node = match closed.capture {
            None => inner,
            Some(index) => {
                let hir = Hir::capture(Capture { index, name: None, sub: Box::new(inner.hir) });
                self.checked(Node { hir, height: inner.height + 1, size: inner.size + 2, ..inner })?
            }
        };
        self.group.items.push(node);
        Ok(())
    }

    /// Ends the current sequence of items, at a `|` or at the end of the group.
    fn end_alternative(&mut self) -> Result<(), SyntaxError> {
        let items = std::mem::take(&mut self.group.items);
        let node = self.combine(items, Hir::concat)?;
        self.group.alternatives.push(node);
        Ok(())
    }

    fn finish_group(&mut self) -> Result<Node, SyntaxError> {
        self.end_alternative()?;
        let alternatives = std::mem::take(&mut self.group.alternatives);
        self.combine(alternatives, Hir::alternation)
    }

    fn combine(&self, mut nodes: Vec<Node>, join: fn(Vec<Hir>) -> Hir) -> Result<Node, SyntaxError> {
        if nodes.len() == 1 {
            return Ok(nodes.remove(0));
        }
        let height = nodes.iter().map(|node| node.height).max().unwrap_or(0) + 1;
        let size = nodes.iter().map(|node| node.size).sum::<u64>().max(1);
        let repeats = nodes.iter().map(|node| node.repeats).max().unwrap_or(1);
        let hir = join(nodes.into_iter().map(|node| node.hir).collect());
        self.checked(Node { hir, height, size, repeats })
    }

    fn checked(&self, node: Node) -> Result<Node, SyntaxError> {
        let whole = 0..self.source.len();
        if node.height > MAX_HEIGHT {
            return Err(SyntaxError::at(Kind::NestingDepth, whole));
        }
        if node.size > MAX_SIZE {
            return Err(SyntaxError::at(Kind::TooLarge, whole));
        }
        Ok(node)
    }
}

/// A decimal without leading zeros; values beyond any limit saturate.
fn parse_count(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
