//! Exemplars: the trace and span in their labels, and the point they belong to.

use proto::{Exemplar, NumberValue};

use super::SeriesCache;
use super::group::{Role, flag, unix_nano};
use crate::prometheus::text;

impl SeriesCache {
    /// Attaches the exemplar of a sample, if it has one, to the point of this scrape that the sample belongs to, even
    /// if the sample itself was too many; its own time or that of the sample.
    pub(super) fn add_exemplar(&mut self, role: Role, sample: &text::Sample<'_>, sample_time_ms: i64) {
        let Some(page) = &sample.exemplar else { return };
        let has_point = match role {
            Role::Number { group } => self.has_point(group),
            Role::Part { distribution, .. } => self.distributions[distribution as usize].round == self.round,
            _ => false,
        };
        if !has_point {
            return;
        }
        let mut exemplar = self.read_exemplar(page.labels);
        exemplar.time_unix_nano = unix_nano(page.timestamp_ms.unwrap_or(sample_time_ms));
        exemplar.value = NumberValue::Double(page.value);
        match role {
            Role::Number { group } => self.columns.push_exemplar(self.numbers[group as usize].point, exemplar),
            Role::Part { distribution, .. } => {
                self.distributions[distribution as usize].flags |= flag::EXEMPLARS;
                self.columns.waiting.push((distribution, exemplar));
            }
            _ => {}
        }
    }

    fn read_exemplar(&mut self, labels: &[u8]) -> Exemplar {
        let mut trace_id = None;
        let mut span_id = None;
        let mut others = Vec::new();
        for (name, value) in text::labels(labels) {
            if name.eq_ignore_ascii_case("trace_id")
                && let Some(id) = hex_id(&value)
            {
                trace_id = not_zero(id);
            } else if name.eq_ignore_ascii_case("span_id")
                && let Some(id) = hex_id(&value)
            {
                span_id = not_zero(id);
            } else {
                others.push((name, value));
            }
        }
        if !others.is_empty() {
            self.exemplars_interned += 1;
        }
        let attrs = self.tables.attrs(others.iter().map(|(name, value)| (&**name, &**value)));
        Exemplar { attrs, time_unix_nano: 0, value: NumberValue::None, trace_id, span_id }
    }
}

/// An id of `N` bytes from hexadecimal text: of longer text only the first `N` bytes are looked at, shorter text is padded
/// with zeros on the left.
fn hex_id<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    let text = text.get(..2 * N).unwrap_or(text);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let mut id = [0; N];
    let digit = |b: u8| char::from(b).to_digit(16);
    for (byte, pair) in id[N - text.len() / 2..].iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(id)
}

/// An id of zeros only is none.
fn not_zero<const N: usize>(id: [u8; N]) -> Option<[u8; N]> {
    (id != [0; N]).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_or_padded_and_other_text_is_left_alone() {
        assert_eq!(hex_id::<2>("0102"), Some([1, 2]));
        for long in ["010203", "01023", "0102zz", "0102é"] {
            assert_eq!(hex_id::<2>(long), Some([1, 2]), "{long}");
        }
        assert_eq!(hex_id::<4>("0102"), Some([0, 0, 1, 2]));
        assert_eq!(hex_id::<2>("aF"), Some([0, 0xaf]));
        assert_eq!(hex_id::<2>("").and_then(not_zero), None);
        for bad in ["abc", "zz", "0x01", "010é"] {
            assert_eq!(hex_id::<2>(bad), None, "{bad}");
        }
    }
}
