//! Points whose fields come in the order of their numbers, each at most once, as nearly all writers put them: read
//! straight from the front, without a look at what field comes. Any other point is left to `decode_points`, which reads
//! it from its beginning.

use super::decode::Decoder;
use super::decode_points::{Attributes, ExplicitBounds};
use super::error::DecodeError;
use super::wire::Reader;
use crate::points::{HistogramPoint, NumberPoint, NumberValue, Quantile, Range32};

impl Decoder<'_> {
    /// A number point, or `None` when it is to be read the general way.
    #[inline]
    pub(super) fn number_in_order(&mut self, message: Reader, metric: u32) -> Result<Option<NumberPoint>, DecodeError> {
        let mut rest = message.rest();
        let start_unix_nano = fixed64(&mut rest, 2).unwrap_or_default();
        let time_unix_nano = fixed64(&mut rest, 3).unwrap_or_default();
        let double = fixed64(&mut rest, 4).map(|bits| NumberValue::Double(f64::from_bits(bits)));
        // Of several values the last one counts.
        let int = fixed64(&mut rest, 6).map(|bits| NumberValue::Int(bits as i64));
        let attributes = self.attributes_at(&mut rest, message, 7)?;
        let flags = small_varint(&mut rest, 8).unwrap_or_default();
        if !rest.is_empty() {
            return Ok(None);
        }
        Ok(Some(NumberPoint {
            metric,
            attrs: attributes.set,
            time_unix_nano,
            start_unix_nano,
            value: int.or(double).unwrap_or(NumberValue::None),
            flags,
            exemplars: Range32 { start: self.batch.exemplars.len() as u32, len: 0 },
        }))
    }

    /// As [`Decoder::number_in_order`] for a histogram point.
    #[inline]
    pub(super) fn histogram_in_order(
        &mut self,
        message: Reader,
        metric: u32,
    ) -> Result<Option<HistogramPoint>, DecodeError> {
        let first_count = self.batch.counts.len();
        let mut bounds = ExplicitBounds { first: self.batch.bounds.len(), shared: None };
        let mut rest = message.rest();
        let start_unix_nano = fixed64(&mut rest, 2).unwrap_or_default();
        let time_unix_nano = fixed64(&mut rest, 3).unwrap_or_default();
        let count = fixed64(&mut rest, 4).unwrap_or_default();
        let sum = fixed64(&mut rest, 5).map(f64::from_bits);
        for tag in [6, 7] {
            if rest.first() == Some(&(tag << 3 | 2)) {
                let mut reader = message.at(rest);
                let Some(field) = reader.next()? else { return Ok(None) };
                match tag {
                    6 => reader.repeated_fixed64(field, &mut self.batch.counts, |bits| bits)?,
                    _ => self.explicit_bounds(&mut reader, field, &mut bounds)?,
                }
                rest = reader.rest();
            }
        }
        let attributes = self.attributes_at(&mut rest, message, 9)?;
        let flags = small_varint(&mut rest, 10).unwrap_or_default();
        let min = fixed64(&mut rest, 11).map(f64::from_bits);
        let max = fixed64(&mut rest, 12).map(f64::from_bits);
        if !rest.is_empty() {
            self.batch.counts.truncate(first_count);
            self.take_back_bounds(bounds.first);
            return Ok(None);
        }
        Ok(Some(HistogramPoint {
            metric,
            attrs: attributes.set,
            time_unix_nano,
            start_unix_nano,
            count,
            sum,
            min,
            max,
            bounds: bounds.range(&self.batch),
            counts: Range32 { start: first_count as u32, len: (self.batch.counts.len() - first_count) as u32 },
            flags,
            exemplars: Range32 { start: self.batch.exemplars.len() as u32, len: 0 },
        }))
    }

    #[inline]
    fn attributes_at<'a>(
        &mut self,
        rest: &mut &'a [u8],
        message: Reader<'a>,
        tag: u8,
    ) -> Result<Attributes, DecodeError> {
        let mut attributes = Attributes::default();
        if rest.first() == Some(&(tag << 3 | 2)) {
            let mut reader = message.at(rest);
            if let Some(field) = reader.next()? {
                attributes.read(self, &mut reader, field)?;
                *rest = reader.rest();
            }
        }
        Ok(attributes)
    }
}

/// A quantile of a summary, or `None` when it is to be read the general way.
#[inline]
pub(super) fn quantile_in_order(mut rest: &[u8]) -> Option<Quantile> {
    let mut next = |tag| fixed64(&mut rest, tag).map_or(0.0, f64::from_bits);
    let (quantile, value) = (next(1), next(2));
    rest.is_empty().then_some(Quantile { quantile, value })
}

/// The value of a field of eight bytes, if that comes next.
#[inline(always)]
fn fixed64(rest: &mut &[u8], tag: u8) -> Option<u64> {
    let ([key, word @ ..], after) = rest.split_first_chunk::<9>()?;
    if *key != tag << 3 | 1 {
        return None;
    }
    *rest = after;
    Some(u64::from_le_bytes(*word))
}

/// The value of a varint field of one byte, if that comes next.
#[inline(always)]
fn small_varint(rest: &mut &[u8], tag: u8) -> Option<u32> {
    match rest {
        [key, value @ ..0x80, after @ ..] if *key == tag << 3 => {
            let value = u32::from(*value);
            *rest = after;
            Some(value)
        }
        _ => None,
    }
}
