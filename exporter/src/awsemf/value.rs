//! The text of a metric's value.

use proto::number::{push_json_f64, push_u64};

use super::document::Words;
use super::group::RowValue;
use super::json::push_all;
use super::number_texts::NumberTexts;
use super::shape::Filling;

/// Appends a value; gives the number of its characters that escape others.
#[inline]
pub(crate) fn push_value(out: &mut Vec<u8>, value: RowValue, with: &Filling<'_>, texts: &mut NumberTexts) -> usize {
    let start = out.len();
    let words = with.words;
    match value {
        RowValue::Number(number) => {
            push_json_f64(out, number);
            return 0;
        }
        RowValue::Count(count) => {
            push_u64(out, count);
            return 0;
        }
        RowValue::Statistics(index) => {
            let s = &with.rows.statistics[index as usize];
            out.push(b'{');
            push_statistics(out, words, s.max, s.min, s.count, s.sum);
        }
        RowValue::Values(index) => {
            let part = &with.rows.parts[index as usize];
            let values = &with.rows.values[part.start..][..part.len];
            out.extend_from_slice(&words.open_values);
            push_all(out, b"[]", values, |out, (value, _)| texts.push(out, *value));
            out.extend_from_slice(&words.counts);
            push_all(out, b"[]", values, |out, (_, count)| push_count(out, *count));
            out.push(b',');
            push_statistics(out, words, part.max, part.min, part.count, part.sum);
        }
    }
    with.form.escapes(&out[start..])
}

/// A count of a list is a float in the reference, exact up to 2 to the power of 53.
fn push_count(out: &mut Vec<u8>, count: u64) {
    if count < 1 << 53 { push_u64(out, count) } else { push_json_f64(out, count as f64) }
}

fn push_statistics(out: &mut Vec<u8>, words: &Words, max: f64, min: f64, count: u64, sum: f64) {
    out.extend_from_slice(&words.max);
    push_json_f64(out, max);
    out.extend_from_slice(&words.min);
    push_json_f64(out, min);
    out.extend_from_slice(&words.count);
    push_u64(out, count);
    out.extend_from_slice(&words.sum);
    push_json_f64(out, sum);
    out.push(b'}');
}
