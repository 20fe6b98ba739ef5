//! Comparing secrets without telling by the time how much of them was right.

/// Whether both are equal. The time depends on the lengths only.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_equal_bytes_are_the_same() {
        for (a, b, expected) in [("", "", true), ("ab", "ab", true), ("ab", "abc", false), ("ab", "ac", false)] {
            assert_eq!(same(a.as_bytes(), b.as_bytes()), expected);
        }
    }
}
