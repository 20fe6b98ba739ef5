//! Guesses at what somebody meant. Only words; no decisions depend on them.

/// The candidate nearest to `word`, when it is near enough to be a typing mistake.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&fold(word), &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "x"?` for a near key that is still free, or the list of all keys when it is short.
pub(crate) fn unknown_key(word: &str, all: &[&str], is_free: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(near) = nearest(word, all.iter().copied().filter(|key| is_free(key))) {
        return Some(format!("did you mean {near:?}?"));
    }
    match all.len() {
        0 => None,
        1..=24 => Some(format!("known keys: {}", all.join(", "))),
        _ => None,
    }
}

fn fold(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).take(64).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = replace.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let keys = ["region", "endpoint", "log_group_name"];
        assert_eq!(nearest("regoin", keys), Some("region"));
        assert_eq!(nearest("Endpoint", keys), Some("endpoint"));
        assert_eq!(nearest("log-group-name", keys), Some("log_group_name"));
        assert_eq!(nearest("foo", keys), None);
    }
}
