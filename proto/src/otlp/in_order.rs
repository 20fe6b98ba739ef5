//! Points whose fields come in the order of their numbers, each at most once, as nearly all writers put them: read
//! straight from the front, without a look at what field comes. Any other point is left to `decode_points`, which reads
//! it from its beginning.

use super::decode::Decoder;
use super::error::DecodeError;
use super::wire::{Field, Reader, Wire, zigzag};
use crate::attrs::AttrSetId;
use crate::points::{
    ExponentialBuckets, ExponentialPoint, HistogramPoint, NumberPoint, NumberValue, Quantile, Range32, SummaryPoint,
};

impl Decoder {
    /// Takes a number point, unless it is to be read the general way.
    #[inline]
    pub(super) fn number_in_order(&mut self, message: Reader, metric: u32) -> Result<bool, DecodeError> {
        let mut rest = message.rest();
        let start_unix_nano = fixed64(&mut rest, 2).unwrap_or_default();
        let time_unix_nano = fixed64(&mut rest, 3).unwrap_or_default();
        let double = fixed64(&mut rest, 4).map(|bits| NumberValue::Double(f64::from_bits(bits)));
        // Of several values the last one counts.
        let int = fixed64(&mut rest, 6).map(|bits| NumberValue::Int(bits as i64));
        let attrs = self.attributes_at(&mut rest, message, 7)?;
        let flags = varint(&mut rest, 8).unwrap_or_default();
        if !rest.is_empty() {
            return Ok(false);
        }
        self.grow(|batch| &mut batch.numbers, message)?;
        self.batch.numbers.push(NumberPoint {
            metric,
            attrs,
            time_unix_nano,
            start_unix_nano,
            value: int.or(double).unwrap_or(NumberValue::None),
            flags,
            exemplars: Range32 { start: self.batch.exemplars.len() as u32, len: 0 },
        });
        Ok(true)
    }

    /// As [`Decoder::number_in_order`] for a histogram point.
    #[inline]
    pub(super) fn histogram_in_order(&mut self, message: Reader, metric: u32) -> Result<bool, DecodeError> {
        let first_count = self.batch.counts.len();
        let mut rest = message.rest();
        let start_unix_nano = fixed64(&mut rest, 2).unwrap_or_default();
        let time_unix_nano = fixed64(&mut rest, 3).unwrap_or_default();
        let count = fixed64(&mut rest, 4).unwrap_or_default();
        let sum = fixed64(&mut rest, 5).map(f64::from_bits);
        let (counts, odd_count) = bytes(&mut rest, 6).unwrap_or_default().as_chunks::<8>();
        let (bounds, odd_bound) = bytes(&mut rest, 7).unwrap_or_default().as_chunks::<8>();
        let attrs = self.attributes_at(&mut rest, message, 9)?;
        let flags = varint(&mut rest, 10).unwrap_or_default();
        let min = fixed64(&mut rest, 11).map(f64::from_bits);
        let max = fixed64(&mut rest, 12).map(f64::from_bits);
        if !(rest.is_empty() && odd_count.is_empty() && odd_bound.is_empty()) {
            return Ok(false);
        }
        self.grow(|batch| &mut batch.histograms, message)?;
        let (counts, bounds) = if self.limits.keeps_buckets { (counts, bounds) } else { Default::default() };
        let batch = &mut self.batch;
        batch.counts.extend(counts.iter().map(|word| u64::from_le_bytes(*word)));
        batch.histograms.push(HistogramPoint {
            metric,
            attrs,
            time_unix_nano,
            start_unix_nano,
            count,
            sum,
            min,
            max,
            bounds: self.last_bounds.place(bounds.as_flattened(), &mut batch.bounds),
            counts: Range32 { start: first_count as u32, len: counts.len() as u32 },
            flags,
            exemplars: Range32 { start: batch.exemplars.len() as u32, len: 0 },
        });
        Ok(true)
    }

    /// As [`Decoder::number_in_order`] for an exponential histogram point.
    #[inline]
    pub(super) fn exponential_in_order(&mut self, message: Reader, metric: u32) -> Result<bool, DecodeError> {
        let mut rest = message.rest();
        let attrs = self.attributes_at(&mut rest, message, 1)?;
        let start_unix_nano = fixed64(&mut rest, 2).unwrap_or_default();
        let time_unix_nano = fixed64(&mut rest, 3).unwrap_or_default();
        let count = fixed64(&mut rest, 4).unwrap_or_default();
        let sum = fixed64(&mut rest, 5).map(f64::from_bits);
        let scale = varint(&mut rest, 6).map_or(0, zigzag);
        let zero_count = fixed64(&mut rest, 7).unwrap_or_default();
        let sides = [8, 9].map(|tag| bytes(&mut rest, tag));
        let flags = varint(&mut rest, 10).unwrap_or_default();
        let min = fixed64(&mut rest, 12).map(f64::from_bits);
        let max = fixed64(&mut rest, 13).map(f64::from_bits);
        let zero_threshold = fixed64(&mut rest, 14).map_or(0.0, f64::from_bits);
        let [Some(positive), Some(negative)] = sides.map(Side::of) else { return Ok(false) };
        if !rest.is_empty() || !message.has_depth() {
            return Ok(false);
        }
        let mut sides = [ExponentialBuckets::default(); 2];
        for (Side { content, offset, counts }, to) in [positive, negative].into_iter().zip(&mut sides) {
            let start = self.batch.counts.len();
            if let Some(content) = content {
                self.make_room_for_counts(message.at(content))?;
                message.at(counts).varints(&mut self.batch.counts)?;
            }
            let counts = Range32 { start: start as u32, len: (self.batch.counts.len() - start) as u32 };
            *to = ExponentialBuckets { present: content.is_some(), offset, counts };
        }
        self.grow(|batch| &mut batch.exponentials, message)?;
        let [positive, negative] = sides;
        self.batch.exponentials.push(ExponentialPoint {
            metric,
            attrs,
            time_unix_nano,
            start_unix_nano,
            count,
            sum,
            min,
            max,
            scale,
            zero_count,
            zero_threshold,
            positive,
            negative,
            flags,
            exemplars: Range32 { start: self.batch.exemplars.len() as u32, len: 0 },
        });
        Ok(true)
    }

    /// As [`Decoder::number_in_order`] for a summary point.
    #[inline]
    pub(super) fn summary_in_order(&mut self, message: Reader, metric: u32) -> Result<bool, DecodeError> {
        let first_quantile = self.batch.quantiles.len();
        let mut rest = message.rest();
        let start_unix_nano = fixed64(&mut rest, 2).unwrap_or_default();
        let time_unix_nano = fixed64(&mut rest, 3).unwrap_or_default();
        let count = fixed64(&mut rest, 4).unwrap_or_default();
        let sum = fixed64(&mut rest, 5).map_or(0.0, f64::from_bits);
        let mut after = rest;
        while let Some(quantile) = bytes(&mut after, 6).and_then(quantile_in_order) {
            rest = after;
            self.charge(size_of::<Quantile>(), message.at(rest).pos())?;
            self.batch.quantiles.push(quantile);
        }
        let attrs = self.attributes_at(&mut rest, message, 7)?;
        let flags = varint(&mut rest, 8).unwrap_or_default();
        let len = (self.batch.quantiles.len() - first_quantile) as u32;
        if !rest.is_empty() || !message.has_depth() {
            self.batch.quantiles.truncate(first_quantile);
            return Ok(false);
        }
        self.grow(|batch| &mut batch.summaries, message)?;
        self.batch.summaries.push(SummaryPoint {
            metric,
            attrs,
            time_unix_nano,
            start_unix_nano,
            count,
            sum,
            quantiles: Range32 { start: first_quantile as u32, len },
            flags,
        });
        Ok(true)
    }

    #[inline]
    fn attributes_at<'a>(
        &mut self,
        rest: &mut &'a [u8],
        message: Reader<'a>,
        tag: u8,
    ) -> Result<AttrSetId, DecodeError> {
        let key = tag << 3 | 2;
        let Some(list) = rest.strip_prefix(&[key]) else { return Ok(AttrSetId::EMPTY) };
        if let Some((set, after)) = self.expected_run(list, key) {
            *rest = after;
            return Ok(set);
        }
        let mut reader = message.at(list);
        let set = self.other_run(&mut reader, Field { tag: u32::from(tag), wire: Wire::Bytes })?;
        *rest = reader.rest();
        Ok(set)
    }
}

/// A quantile of a summary, if it is in order, too.
#[inline]
fn quantile_in_order(mut rest: &[u8]) -> Option<Quantile> {
    let mut next = |tag| fixed64(&mut rest, tag).map_or(0.0, f64::from_bits);
    let (quantile, value) = (next(1), next(2));
    rest.is_empty().then_some(Quantile { quantile, value })
}

/// A `Buckets` message.
struct Side<'a> {
    /// All of it, if it is there.
    content: Option<&'a [u8]>,
    offset: i32,
    /// Packed.
    counts: &'a [u8],
}

impl<'a> Side<'a> {
    /// Takes it apart, if it is in order, too.
    #[inline(always)]
    fn of(content: Option<&'a [u8]>) -> Option<Side<'a>> {
        let mut rest = content.unwrap_or_default();
        let offset = varint(&mut rest, 1).map_or(0, zigzag);
        let counts = bytes(&mut rest, 2).unwrap_or_default();
        rest.is_empty().then_some(Side { content, offset, counts })
    }
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

/// The content of a field of less than 16 KiB, if that comes next.
#[inline(always)]
fn bytes<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (key, len, after) = match *rest {
        [key, len @ ..0x80, after @ ..] => (key, usize::from(*len), after),
        [key, low, high @ ..0x80, after @ ..] => (key, usize::from(low & 0x7f) | usize::from(*high) << 7, after),
        _ => return None,
    };
    if *key != tag << 3 | 2 {
        return None;
    }
    let (content, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(content)
}

/// The value of a varint field of one or two bytes, if that comes next.
#[inline(always)]
fn varint(rest: &mut &[u8], tag: u8) -> Option<u32> {
    let (value, after) = match *rest {
        [key, low @ ..0x80, after @ ..] if *key == tag << 3 => (u32::from(*low), after),
        [key, low, high @ ..0x80, after @ ..] if *key == tag << 3 => {
            (u32::from(low & 0x7f) | u32::from(*high) << 7, after)
        }
        _ => return None,
    };
    *rest = after;
    Some(value)
}
