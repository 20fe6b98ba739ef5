//! Exemplars: the trace and span in their labels, and the point they belong to.

use proto::{Exemplar, NumberValue, Range32};

use super::group::{Role, flag, unix_nano};
use super::{NONE, SeriesCache};
use crate::prometheus::text;

impl SeriesCache {
    /// Attaches the exemplar of a sample that was taken; its own time or that of the sample.
    pub(super) fn add_exemplar(&mut self, role: Role, page: &text::Exemplar<'_>, sample_time_ms: i64) {
        if !matches!(role, Role::Number { .. } | Role::Part { .. }) {
            return;
        }
        let mut exemplar = self.read_exemplar(page.labels);
        exemplar.time_unix_nano = unix_nano(page.timestamp_ms.unwrap_or(sample_time_ms));
        exemplar.value = NumberValue::Double(page.value);
        match role {
            Role::Number { group } => {
                let place = self.numbers[group as usize].point;
                if place != NONE {
                    let start = u32::try_from(self.columns.exemplars.len()).expect("fewer exemplars than samples");
                    self.columns.exemplars.push(exemplar);
                    self.columns.numbers[place as usize].exemplars = Range32 { start, len: 1 };
                }
            }
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
                trace_id = Some(id);
            } else if name.eq_ignore_ascii_case("span_id")
                && let Some(id) = hex_id(&value)
            {
                span_id = Some(id);
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

/// An id of `N` bytes from hexadecimal text: longer ones are cut, shorter ones padded with zeros on the left.
fn hex_id<const N: usize>(text: &str) -> Option<[u8; N]> {
    if !text.len().is_multiple_of(2) || text.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.as_bytes().chunks_exact(2) {
        let digit = |b: u8| char::from(b).to_digit(16);
        bytes.push(u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?);
    }
    let mut id = [0; N];
    let used = bytes.len().min(N);
    id[N - used..].copy_from_slice(&bytes[..used]);
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_or_padded_and_other_text_is_left_alone() {
        assert_eq!(hex_id::<2>("0102"), Some([1, 2]));
        assert_eq!(hex_id::<2>("010203"), Some([1, 2]));
        assert_eq!(hex_id::<4>("0102"), Some([0, 0, 1, 2]));
        for bad in ["", "abc", "zz", "0x01"] {
            assert_eq!(hex_id::<2>(bad), None, "{bad}");
        }
    }
}
