//! Texts of floats that come again: the mid-points of buckets are the same in all exponential histograms of a scale,
//! and finding the shortest digits of one takes longer than copying them.

use proto::number::push_json_f64;

const PAIRS: usize = 512;
const MAX_TEXT_BYTES: usize = 23;

/// Some of the last texts: each float has two places, which it shares with others.
#[derive(Default)]
pub(crate) struct NumberTexts {
    /// Empty before the first use.
    pairs: Vec<[Slot; 2]>,
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
    #[inline]
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, value: f64) {
        let bits = value.to_bits();
        // The golden ratio spreads neighbours.
        let at = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PAIRS;
        if let Some(pair) = self.pairs.get(at)
            && let Some(slot) = pair.iter().find(|slot| slot.bits == bits && slot.len > 0)
        {
            // A copy of a fixed length is faster than one of the right length.
            let end = out.len() + usize::from(slot.len);
            out.extend_from_slice(&slot.text);
            return out.truncate(end);
        }
        self.push_new(out, value, at);
    }

    #[inline(never)]
    fn push_new(&mut self, out: &mut Vec<u8>, value: f64, at: usize) {
        let start = out.len();
        push_json_f64(out, value);
        // Whole numbers are written faster than found.
        if value.trunc() == value {
            return;
        }
        let text = &out[start..];
        let mut slot = Slot { bits: value.to_bits(), len: text.len() as u8, ..Slot::default() };
        if let Some(place) = slot.text.get_mut(..text.len()) {
            place.copy_from_slice(text);
            self.pairs.resize(PAIRS, [Slot::default(); 2]);
            let pair = &mut self.pairs[at];
            *pair = [slot, pair[0]];
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
