//! The result file's text: a Prometheus `file_sd` list exactly as the reference's YAML library prints it.
//! It prints; writing the file is [`super::file`]'s work.

use std::cmp::Ordering;

use super::targets::Target;

/// The list of targets, one entry each with one address and its labels in the library's natural order.
pub fn yaml(targets: &[Target]) -> String {
    if targets.is_empty() {
        return "[]\n".to_owned();
    }
    let mut out = String::with_capacity(targets.len() * 1024);
    for target in targets {
        out.push_str("- targets:\n    - ");
        scalar(&mut out, &target.address, 4);
        if target.labels.is_empty() {
            out.push_str("\n  labels: {}\n");
            continue;
        }
        out.push_str("\n  labels:\n");
        let mut pairs: Vec<_> = target.labels.iter().collect();
        pairs.sort_by(|a, b| natural(a.0, b.0));
        for (name, value) in pairs {
            out.push_str("    ");
            // The library writes a key of more than 128 bytes as an explicit one.
            if name.len() > 128 {
                out.push_str("? ");
                scalar(&mut out, name, 4);
                out.push_str("\n    : ");
            } else {
                scalar(&mut out, name, 4);
                out.push_str(": ");
            }
            scalar(&mut out, value, 4);
            out.push('\n');
        }
    }
    out
}

/// Writes one string: plain where YAML reads the same string back, else quoted; several lines as a block.
fn scalar(out: &mut String, text: &str, indent: usize) {
    if text.contains('\n') && block(out, text, indent) {
        return;
    }
    if reads_as_other(text) || text.chars().any(needs_escape) {
        double_quoted(out, text);
    } else if is_plain(text) {
        out.push_str(text);
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    }
}

/// A literal block, if the text can be one: no blanks before a line's end and nothing to escape. A tab at the front of
/// a line is not readable as one; the reference writes it all the same.
fn block(out: &mut String, text: &str, indent: usize) -> bool {
    let escaped = |line: &str| line.chars().any(|c| c != '\t' && needs_escape(c));
    let odd = |line: &str| line.ends_with(' ') || line.starts_with('\t') || escaped(line);
    if text.split('\n').any(odd) {
        return false;
    }
    out.push('|');
    // The indentation is only said where a reader could not find it from the first line.
    if text.starts_with([' ', '\n']) {
        out.push('4');
    }
    match text.len() - text.trim_end_matches('\n').len() {
        0 => out.push('-'),
        1 if text.len() > 1 => {}
        _ => out.push('+'),
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent + 4));
            out.push_str(line);
        }
    }
    true
}

fn double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if needs_escape(c) => {
                let code = u32::from(c);
                let text = match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                out.push_str(&text);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Characters that are only written escaped: what YAML calls not printable, and what the reference's library takes for
/// it (everything beyond the basic plane).
fn needs_escape(c: char) -> bool {
    let printable = matches!(c, '\x20'..='\x7e' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}');
    !printable || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Whether YAML (1.1 words included) would read the bare text as something else than this string.
fn reads_as_other(text: &str) -> bool {
    const WORDS: [&str; 10] = ["null", "true", "false", "y", "n", "yes", "no", "on", "off", "~"];
    let word = |w: &&str| {
        let (head, tail) = w.split_at(1);
        text == *w || text == w.to_ascii_uppercase() || text == format!("{}{tail}", head.to_ascii_uppercase())
    };
    text.is_empty()
        || text == "<<"
        || text.len() <= 5 && WORDS.iter().any(word)
        || is_number(text)
        || is_base_60(text)
        || is_timestamp(text)
}

/// Go's reading of numbers: decimal, `0x`, `0o`, `0b`, leading-zero octal, underscores, floats, `.inf`, `.nan`.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let plain = if text.starts_with('.') { text.to_owned() } else { unsigned.replace('_', "") };
    let lower = plain.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return !digits.starts_with(['+', '-']) && u64::from_str_radix(digits, radix).is_ok();
        }
    }
    let (mantissa, exponent) = plain.split_once(['e', 'E']).map_or((plain.as_str(), None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let number = |s: &str| !s.is_empty() && digits(s);
    let shaped = if whole.is_empty() { number(fraction) } else { digits(whole) && digits(fraction) };
    shaped
        && exponent.is_none_or(|e| number(e.strip_prefix(['+', '-']).unwrap_or(e)))
        // Go refuses what does not fit a float; then it is a string.
        && plain.parse::<f64>().is_ok_and(f64::is_finite)
}

/// YAML 1.1's `1:30` numbers, which the library still quotes: digits, then groups of at most 59.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (groups, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let sixty = |s: &str| matches!(s.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let Some((first, rest)) = groups.split_once(':') else { return false };
    first.starts_with(|c: char| c.is_ascii_digit()) && digits(first) && rest.split(':').all(sixty) && digits(fraction)
}

/// A date, or a date and time, as YAML's timestamp: `2026-1-2`, `2026-01-02 03:04:05.6`, `2026-01-02T03:04:05Z`.
fn is_timestamp(text: &str) -> bool {
    let number = |s: &str, max_len: usize, max: u32| {
        s.len() <= max_len && s.bytes().all(|b| b.is_ascii_digit()) && s.parse::<u32>().is_ok_and(|n| n <= max)
    };
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let (day, time) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    if year.len() != 4 || !number(year, 4, 9999) || !number(month, 2, 12) || !number(day, 2, 31) {
        return false;
    }
    let (year, month, day) = (year.parse().unwrap_or(0), month.parse().unwrap_or(0), day.parse().unwrap_or(0));
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return false;
    }
    if time.is_empty() {
        return true;
    }
    let zoned = time.starts_with(['T', 't']);
    let Some(clock) = time.strip_prefix(['T', 't', ' ']) else { return false };
    let (clock, zone) = clock.split_at(clock.find(['Z', '+', '-']).unwrap_or(clock.len()));
    let mut fields = clock.splitn(3, ':');
    let (Some(hour), Some(minute), Some(second)) = (fields.next(), fields.next(), fields.next()) else { return false };
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    let offset = |z: &str| z.len() == 6 && z.as_bytes()[3] == b':' && number(&z[1..3], 2, 24) && number(&z[4..], 2, 60);
    number(hour, 2, 23)
        && number(minute, 2, 59)
        && number(second, 2, 59)
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && if zoned {
            zone == "Z" || zone.is_ascii() && !zone.starts_with('Z') && offset(zone)
        } else {
            zone.is_empty()
        }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether the text can stand without quotes in a block mapping.
fn is_plain(text: &str) -> bool {
    if text.starts_with([' ', '\t'])
        || text.ends_with([' ', '\t'])
        || text.starts_with("---")
        || text.starts_with("...")
    {
        return false;
    }
    let chars: Vec<char> = text.chars().collect();
    chars.iter().enumerate().all(|(i, &c)| {
        let before_space = chars.get(i + 1).is_none_or(|n| matches!(n, ' ' | '\t' | '\n' | '\r'));
        let after_space = i > 0 && matches!(chars[i - 1], ' ' | '\t');
        match c {
            '#' if i == 0 || after_space => false,
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if i == 0 => false,
            '-' | '?' if i == 0 => !before_space,
            ':' => !before_space,
            _ => true,
        }
    })
}

/// The library's order of keys: letters after other characters, runs of digits by their number.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(x, y)| x != y) else { return a.len().cmp(&b.len()) };
    let (x, y) = (a[at], b[at]);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => x.cmp(&y),
        (letter, other) if letter || other => {
            // Behind a digit a longer number comes later, so a letter is first there.
            let after_digit = at > 0 && a[at - 1].is_numeric();
            if letter == after_digit { Ordering::Less } else { Ordering::Greater }
        }
        _ => {
            let run = |s: &[char]| s[at..].iter().take_while(|c| c.is_ascii_digit()).collect::<String>();
            let (run_a, run_b) = (run(&a), run(&b));
            // Only a number that began before counts as one here; zeros in front of it do not.
            let started = a[..at].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
            let value = |run: &str| {
                let prefix = if started && (x == '0' || y == '0') { "1" } else { "" };
                format!("{prefix}{run}").parse::<u128>().unwrap_or(0)
            };
            value(&run_a).cmp(&value(&run_b)).then(run_a.len().cmp(&run_b.len())).then(x.cmp(&y))
        }
    }
}
