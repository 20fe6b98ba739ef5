//! Character classes and escapes of Go's syntax: `[...]`, `\d`, `\pL`, `[:alpha:]`, `\x{41}`, octal.
//! Not responsible for what stands outside of them.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::error::GoRegexErrorKind as Kind;
use super::translate::{Parser, SyntaxError};
use super::unicode;

impl Parser<'_> {
    /// Reads a class; the next character is `[`. Inside, everything but `\`, a range's `-`, `[:` and the closing bracket
    /// is literal.
    pub(super) fn parse_class(&mut self) -> Result<ClassUnicode, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let negated = self.rest().starts_with('^');
        if negated {
            self.at += 1;
        }
        // Named groups are complete as they are; only characters and ranges of this class are case-folded.
        let mut named = ClassUnicode::empty();
        let mut plain = ClassUnicode::empty();
        let mut first = true;
        while first || !self.rest().starts_with(']') {
            first = false;
            if let Some(class) = self.parse_posix_group()? {
                named.union(&class);
                continue;
            }
            if let Some(class) = self.parse_class_escape()? {
                named.union(&class);
                continue;
            }
            let range_start = self.at;
            let low = self.parse_class_char(start)?;
            let mut high = low;
            let rest = self.rest();
            if rest.len() >= 2 && rest.starts_with('-') && !rest.starts_with("-]") {
                self.at += 1;
                high = self.parse_class_char(start)?;
                if high < low {
                    return Err(SyntaxError::at(Kind::CharacterRange, range_start..self.at));
                }
            }
            push_range(&mut plain, low, high);
        }
        self.at += 1;
        if self.flags.fold_case {
            plain.case_fold_simple();
        }
        named.union(&plain);
        if negated {
            named.negate();
        }
        Ok(named)
    }

    /// Reads `\d`, `\s`, `\w`, `\pX`, `\p{Name}` or their negations, or nothing.
    pub(super) fn parse_class_escape(&mut self) -> Result<Option<ClassUnicode>, SyntaxError> {
        let mut chars = self.rest().chars();
        if chars.next() != Some('\\') {
            return Ok(None);
        }
        let Some(letter) = chars.next() else { return Ok(None) };
        let ranges: &[(char, char)] = match letter {
            'd' | 'D' => &[('0', '9')],
            's' | 'S' => &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')],
            'w' | 'W' => WORD,
            'p' | 'P' => return self.parse_unicode_group(letter == 'P').map(Some),
            _ => return Ok(None),
        };
        self.at += 2;
        Ok(Some(self.group(ranges, letter.is_ascii_uppercase())))
    }

    /// Reads `[:name:]` or `[:^name:]`, or nothing.
    fn parse_posix_group(&mut self) -> Result<Option<ClassUnicode>, SyntaxError> {
        let Some(inner) = self.rest().strip_prefix("[:") else { return Ok(None) };
        let Some(end) = inner.find(":]") else { return Ok(None) };
        let range = self.at..self.at + end + 4;
        let (name, negated) = match inner[..end].strip_prefix('^') {
            Some(name) => (name, true),
            None => (&inner[..end], false),
        };
        let Some((_, ranges)) = POSIX_GROUPS.iter().find(|(known, _)| *known == name) else {
            return Err(SyntaxError::at(Kind::CharacterRange, range));
        };
        self.at = range.end;
        Ok(Some(self.group(ranges, negated)))
    }

    /// Reads `\pX` or `\p{Name}`; the escape is known to be there.
    fn parse_unicode_group(&mut self, mut negated: bool) -> Result<ClassUnicode, SyntaxError> {
        let start = self.at;
        self.at += 2;
        let name_at = self.at;
        let name = match self.bump() {
            Some('{') => match self.rest().find('}') {
                Some(end) => {
                    self.at += end + 1;
                    &self.source[name_at + 1..self.at - 1]
                }
                None => return Err(SyntaxError::at(Kind::CharacterRange, start..self.source.len())),
            },
            _ => &self.source[name_at..self.at],
        };
        let name = match name.strip_prefix('^') {
            Some(name) => {
                negated = !negated;
                name
            }
            None => name,
        };
        let Some(mut class) = unicode::group(name) else {
            return Err(SyntaxError::at(Kind::CharacterRange, start..self.at));
        };
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        if negated {
            class.negate();
        }
        Ok(class)
    }

    fn group(&self, ranges: &[(char, char)], negated: bool) -> ClassUnicode {
        let mut class = ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)));
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        if negated {
            class.negate();
        }
        class
    }

    fn parse_class_char(&mut self, class_start: usize) -> Result<u32, SyntaxError> {
        if self.rest().starts_with('\\') {
            return self.parse_char_escape();
        }
        match self.bump() {
            Some(c) => Ok(u32::from(c)),
            None => Err(SyntaxError::at(Kind::MissingBracket, class_start..self.source.len())),
        }
    }

    /// Reads an escape that names one code point; the next character is `\`. The result may be a surrogate.
    pub(super) fn parse_char_escape(&mut self) -> Result<u32, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.bump() else {
            return Err(SyntaxError::at(Kind::TrailingBackslash, self.at..self.at));
        };
        let code_point = match c {
            '0'..='7' => self.parse_octal(c),
            'x' => self.parse_hexadecimal(),
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        code_point.ok_or_else(|| SyntaxError::at(Kind::Escape, start..self.at))
    }

    /// Up to three octal digits; one non-zero digit alone would be a back-reference.
    fn parse_octal(&mut self, first: char) -> Option<u32> {
        let digits = self.rest().bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
        if first != '0' && digits == 0 {
            return None;
        }
        self.at += digits;
        u32::from_str_radix(&self.source[self.at - digits - 1..self.at], 8).ok()
    }

    /// `\x41` or `\x{41}`; on failure the position is where Go stops reading.
    fn parse_hexadecimal(&mut self) -> Option<u32> {
        let first = self.bump()?;
        if first != '{' {
            let second = self.bump()?;
            return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
        }
        let mut code_point = 0;
        let mut digits = 0;
        loop {
            match self.bump()? {
                '}' => return (digits > 0).then_some(code_point),
                c => code_point = code_point * 16 + c.to_digit(16)?,
            }
            digits += 1;
            if code_point > u32::from(char::MAX) {
                return None;
            }
        }
    }
}

/// Adds a range of code points, without the surrogates, which text cannot contain.
fn push_range(class: &mut ClassUnicode, low: u32, high: u32) {
    for (low, high) in [(low, high.min(0xD7FF)), (low.max(0xE000), high)] {
        if let (Some(low), Some(high)) = (char::from_u32(low), char::from_u32(high))
            && low <= high
        {
            class.push(ClassUnicodeRange::new(low, high));
        }
    }
}

const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

const POSIX_GROUPS: &[(&str, &[(char, char)])] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", &[('0', '9')]),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];
