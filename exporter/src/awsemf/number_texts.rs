//! Texts of floats that come again: the mid-points of buckets are the same in all exponential histograms of a scale,
//! and finding the shortest digits of one takes longer than copying them.

use proto::number::push_json_f64;

const SLOTS: usize = 1024;
const MAX_TEXT_BYTES: usize = 23;

/// Some of the last texts: each float has one place.
#[derive(Default)]
pub(crate) struct NumberTexts {
    /// Empty before the first use.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    bits: u64,
    /// 0: nothing is here.
    len: u8,
    text: [u8; MAX_TEXT_BYTES],
}

impl NumberTexts {
    /// As [`push_json_f64`].
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, value: f64) {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
        }
        let bits = value.to_bits();
        // The golden ratio spreads neighbours.
        let slot = &mut self.slots[(bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % SLOTS];
        if slot.len > 0 && slot.bits == bits {
            return out.extend_from_slice(&slot.text[..usize::from(slot.len)]);
        }
        let start = out.len();
        push_json_f64(out, value);
        let text = &out[start..];
        if let Some(place) = slot.text.get_mut(..text.len()) {
            place.copy_from_slice(text);
            (slot.bits, slot.len) = (bits, text.len() as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_does_not_depend_on_what_was_written_before(
            numbers in proptest::collection::vec(prop_oneof![any::<f64>(), -1e6..1e6f64, (0u8..40).prop_map(f64::from)], 1..200),
        ) {
            let mut texts = NumberTexts::default();
            for number in numbers.iter().chain(&numbers) {
                let (mut out, mut expected) = (b"x".to_vec(), b"x".to_vec());
                texts.push(&mut out, *number);
                push_json_f64(&mut expected, *number);
                prop_assert_eq!(out, expected);
            }
        }
    }
}
