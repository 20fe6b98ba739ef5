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

/// `did you mean "x"?` for a near key that is still free, else the list of all keys, those first that share a word with
/// it.
pub(crate) fn unknown_key(word: &str, all: &[&str], is_free: impl Fn(&str) -> bool) -> Option<String> {
    let free = || all.iter().copied().filter(|key| is_free(key));
    if let Some(near) = nearest(word, free()).or_else(|| containing(word, free())) {
        return Some(format!("did you mean {near:?}?"));
    }
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|key| !shares_a_word(word, key));
    (!all.is_empty()).then(|| format!("known keys: {}", sorted.join(", ")))
}

/// The candidate that has the word in it, or the other way round; of several the one that is in all of them.
fn containing<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = fold(word).into_iter().collect();
    let fitting: Vec<&str> = candidates
        .filter(|candidate| {
            let candidate: String = fold(candidate).into_iter().collect();
            let (short, long) = if word.len() < candidate.len() { (&word, &candidate) } else { (&candidate, &word) };
            short.len() >= SHORTEST_PART && long.contains(short.as_str())
        })
        .collect();
    let shortest = fitting.iter().copied().min_by_key(|candidate| candidate.len())?;
    fitting.iter().all(|candidate| candidate.contains(shortest)).then_some(shortest)
}

/// Shorter ones are in too many words to say anything.
const SHORTEST_PART: usize = 4;

fn shares_a_word(word: &str, key: &str) -> bool {
    let (word, key): (String, String) = (fold(word).into_iter().collect(), fold(key).into_iter().collect());
    word.split('_').any(|part| part.len() >= SHORTEST_PART && key.split('_').any(|other| other == part))
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

    #[test]
    fn a_part_of_a_key_suggests_it_and_else_all_are_listed() {
        let keys = [
            "region",
            "dimension_rollup_option",
            "log_group_name",
            "log_retention",
            "log_stream_name",
            "ca_file",
            "ca_file_reload",
        ];
        let suggested = |word| unknown_key(word, &keys, |_| true).unwrap();
        assert_eq!(suggested("dimension_rollup"), "did you mean \"dimension_rollup_option\"?");
        assert_eq!(suggested("aws_region"), "did you mean \"region\"?");
        assert_eq!(suggested("my_ca_file"), "did you mean \"ca_file\"?");
        assert!(suggested("name").starts_with("known keys: "));
        assert!(suggested("retention_in_days").starts_with("known keys: log_retention, region, "));
        let many: Vec<String> = (0..40).map(|i| format!("key{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(unknown_key("foo", &many, |_| true).unwrap().ends_with("key38, key39"));
        assert_eq!(unknown_key("foo", &[], |_| true), None);
    }
}
