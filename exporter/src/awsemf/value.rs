//! The text of a metric's value.

use proto::number::{push_json_f64, push_u64};

use super::document::Words;
use super::group::{RowValue, Statistics};
use super::json::push_all;
use super::number_texts::NumberTexts;
use super::shape::Filling;

/// Appends a value; gives the number of its characters that escape others.
#[inline]
pub(crate) fn push_value(out: &mut Vec<u8>, value: RowValue, with: &Filling<'_>, texts: &mut NumberTexts) -> usize {
    let words = with.words;
    match value {
        RowValue::Number(number) => {
            push_json_f64(out, number);
            0
        }
        RowValue::Count(count) => {
            push_u64(out, count);
            0
        }
        RowValue::Statistics(index) => {
            out.push(b'{');
            push_statistics(out, words, &with.rows.statistics[index as usize], texts);
            words.escapes_of_statistics
        }
        RowValue::Values(index) => {
            let part = &with.rows.parts[index as usize];
            let values = &with.rows.values[part.start..][..part.len];
            out.extend_from_slice(&words.open_values);
            push_all(out, b"[]", values, |out, (value, _)| texts.push(out, *value));
            out.extend_from_slice(&words.counts);
            push_all(out, b"[]", values, |out, (_, count)| push_count(out, *count));
            out.push(b',');
            let statistics = Statistics { max: part.max, min: part.min, count: part.count, sum: part.sum };
            push_statistics(out, words, &statistics, texts);
            words.escapes_of_values + words.escapes_of_statistics
        }
    }
}

/// A count of a list is a float in the reference, exact up to 2 to the power of 53.
fn push_count(out: &mut Vec<u8>, count: u64) {
    if count < 1 << 53 { push_u64(out, count) } else { push_json_f64(out, count as f64) }
}

/// The largest and the smallest value are bounds of buckets when they were scraped, and often the same otherwise.
fn push_statistics(out: &mut Vec<u8>, words: &Words, of: &Statistics, texts: &mut NumberTexts) {
    out.extend_from_slice(&words.max);
    texts.push(out, of.max);
    out.extend_from_slice(&words.min);
    texts.push(out, of.min);
    out.extend_from_slice(&words.count);
    push_u64(out, of.count);
    out.extend_from_slice(&words.sum);
    push_json_f64(out, of.sum);
    out.push(b'}');
}
