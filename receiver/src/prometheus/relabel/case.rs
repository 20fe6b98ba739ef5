//! Upper and lower case as Go's `strings.ToUpper` and `ToLower` have it: one character for one character.

/// Lower case of each character by itself: no final sigma, `İ` becomes a plain `i`.
pub(super) fn go_lowercase(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

/// Upper case of each character by itself; characters whose upper case is several, such as `ß`, stay or take their simple
/// form.
pub(super) fn go_uppercase(text: &str) -> String {
    text.chars().map(upper).collect()
}

fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next(), c) {
        (Some(single), None, _) => single,
        // Greek letters with an iota below have a capital of their own.
        (_, _, '\u{1f80}'..='\u{1faf}') => char::from_u32(u32::from(c) | 8).unwrap_or(c),
        (_, _, '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}') => char::from_u32(u32::from(c) + 9).unwrap_or(c),
        _ => c,
    }
}
