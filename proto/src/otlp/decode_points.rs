//! The four kinds of data points and their exemplars off the wire into the columns of the batch.

use super::decode::Decoder;
use super::error::DecodeError;
use super::wire::{Field, Reader, Wire};
use crate::attrs::AttrSetId;
use crate::batch::Batch;
use crate::points::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, NumberPoint, NumberValue, Quantile, Range32,
    SummaryPoint,
};

/// Bytes of bucket counts that no real point has.
const MANY_COUNTS: usize = 4096;

/// The explicit bounds of the point being read: those of another point, or all from `first` on.
struct ExplicitBounds {
    first: usize,
    shared: Option<Range32>,
}

impl ExplicitBounds {
    fn range(self, batch: &Batch) -> Range32 {
        self.shared.unwrap_or_else(|| range(self.first, batch.bounds.len()))
    }
}

/// How often the list of attributes of a point began.
#[derive(Default)]
struct Attributes {
    set: AttrSetId,
    runs: u32,
}

impl Attributes {
    #[inline]
    fn read(&mut self, decoder: &mut Decoder, reader: &mut Reader, field: Field) -> Result<(), DecodeError> {
        self.set = decoder.attribute_run(reader, field)?;
        self.runs += 1;
        Ok(())
    }

    #[inline]
    fn finish(self, decoder: &mut Decoder, message: Reader, tag: u32) -> Result<AttrSetId, DecodeError> {
        if self.runs > 1 { decoder.scattered_attributes(message, tag) } else { Ok(self.set) }
    }
}

impl Decoder {
    pub(super) fn any_number(&mut self, message: Reader, metric: u32) -> Result<(), DecodeError> {
        let first_exemplar = self.batch.exemplars.len();
        let mut attributes = Attributes::default();
        let (mut start_unix_nano, mut time_unix_nano, mut flags) = (0, 0, 0);
        let mut value = NumberValue::None;
        let mut reader = message;
        while let Some(field) = reader.next()? {
            match field.tag {
                2 => start_unix_nano = reader.fixed64_of(field)?,
                3 => time_unix_nano = reader.fixed64_of(field)?,
                4 => value = NumberValue::Double(reader.double_of(field)?),
                5 => self.exemplar(reader.message_of(field)?)?,
                6 => value = NumberValue::Int(reader.fixed64_of(field)? as i64),
                7 => attributes.read(self, &mut reader, field)?,
                8 => flags = reader.varint_of(field)? as u32,
                _ => reader.skip(field)?,
            }
        }
        let attrs = attributes.finish(self, message, 7)?;
        let exemplars = range(first_exemplar, self.batch.exemplars.len());
        self.grow(|batch| &mut batch.numbers, message)?;
        self.batch.numbers.push(NumberPoint {
            metric,
            attrs,
            time_unix_nano,
            start_unix_nano,
            value,
            flags,
            exemplars,
        });
        Ok(())
    }

    pub(super) fn any_histogram(&mut self, message: Reader, metric: u32) -> Result<(), DecodeError> {
        let first_exemplar = self.batch.exemplars.len();
        let first_count = self.batch.counts.len();
        let first_bound = self.batch.bounds.len();
        let mut bounds = ExplicitBounds { first: first_bound, shared: None };
        let mut attributes = Attributes::default();
        let (mut start_unix_nano, mut time_unix_nano, mut count, mut flags) = (0, 0, 0, 0);
        let (mut sum, mut min, mut max) = (None, None, None);
        let mut reader = message;
        while let Some(field) = reader.next()? {
            match field.tag {
                2 => start_unix_nano = reader.fixed64_of(field)?,
                3 => time_unix_nano = reader.fixed64_of(field)?,
                4 => count = reader.fixed64_of(field)?,
                5 => sum = Some(reader.double_of(field)?),
                6 => reader.repeated_fixed64(field, &mut self.batch.counts, |bits| bits)?,
                7 => self.explicit_bounds(&mut reader, field, &mut bounds)?,
                8 => self.exemplar(reader.message_of(field)?)?,
                9 => attributes.read(self, &mut reader, field)?,
                10 => flags = reader.varint_of(field)? as u32,
                11 => min = Some(reader.double_of(field)?),
                12 => max = Some(reader.double_of(field)?),
                _ => reader.skip(field)?,
            }
        }
        let attrs = attributes.finish(self, message, 9)?;
        let mut bounds = bounds.range(&self.batch);
        if !self.limits.keeps_buckets {
            self.batch.counts.truncate(first_count);
            self.batch.bounds.truncate(first_bound);
            bounds = range(first_bound, first_bound);
        }
        let counts = range(first_count, self.batch.counts.len());
        let exemplars = range(first_exemplar, self.batch.exemplars.len());
        self.grow(|batch| &mut batch.histograms, message)?;
        self.batch.histograms.push(HistogramPoint {
            metric,
            attrs,
            time_unix_nano,
            start_unix_nano,
            count,
            sum,
            min,
            max,
            bounds,
            counts,
            flags,
            exemplars,
        });
        Ok(())
    }

    pub(super) fn any_exponential(&mut self, message: Reader, metric: u32) -> Result<(), DecodeError> {
        let first_exemplar = self.batch.exemplars.len();
        let first_count = self.batch.counts.len();
        let mut attributes = Attributes::default();
        let (mut positive, mut negative) = (ExponentialBuckets::default(), ExponentialBuckets::default());
        let mut scattered = false;
        let mut point = ExponentialPoint {
            metric,
            attrs: AttrSetId::EMPTY,
            time_unix_nano: 0,
            start_unix_nano: 0,
            count: 0,
            sum: None,
            min: None,
            max: None,
            scale: 0,
            zero_count: 0,
            zero_threshold: 0.0,
            positive,
            negative,
            flags: 0,
            exemplars: Range32::default(),
        };
        let mut reader = message;
        while let Some(field) = reader.next()? {
            match field.tag {
                1 => attributes.read(self, &mut reader, field)?,
                2 => point.start_unix_nano = reader.fixed64_of(field)?,
                3 => point.time_unix_nano = reader.fixed64_of(field)?,
                4 => point.count = reader.fixed64_of(field)?,
                5 => point.sum = Some(reader.double_of(field)?),
                6 => point.scale = reader.sint32_of(field)?,
                7 => point.zero_count = reader.fixed64_of(field)?,
                8 => {
                    scattered |= positive.present;
                    let buckets = reader.message_of(field)?;
                    self.make_room_for_counts(buckets)?;
                    self.buckets(buckets, &mut positive)?;
                }
                9 => {
                    scattered |= negative.present;
                    let buckets = reader.message_of(field)?;
                    self.make_room_for_counts(buckets)?;
                    self.buckets(buckets, &mut negative)?;
                }
                10 => point.flags = reader.varint_of(field)? as u32,
                11 => self.exemplar(reader.message_of(field)?)?,
                12 => point.min = Some(reader.double_of(field)?),
                13 => point.max = Some(reader.double_of(field)?),
                14 => point.zero_threshold = reader.double_of(field)?,
                _ => reader.skip(field)?,
            }
        }
        if scattered {
            self.batch.counts.truncate(first_count);
            self.scattered_buckets(message, 8, &mut positive)?;
            self.scattered_buckets(message, 9, &mut negative)?;
        }
        (point.positive, point.negative) = (positive, negative);
        point.attrs = attributes.finish(self, message, 1)?;
        point.exemplars = range(first_exemplar, self.batch.exemplars.len());
        self.grow(|batch| &mut batch.exponentials, message)?;
        self.batch.exponentials.push(point);
        Ok(())
    }

    pub(super) fn any_summary(&mut self, message: Reader, metric: u32) -> Result<(), DecodeError> {
        let first_quantile = self.batch.quantiles.len();
        let mut attributes = Attributes::default();
        let (mut start_unix_nano, mut time_unix_nano, mut count, mut sum, mut flags) = (0, 0, 0, 0.0, 0);
        let mut reader = message;
        while let Some(field) = reader.next()? {
            match field.tag {
                2 => start_unix_nano = reader.fixed64_of(field)?,
                3 => time_unix_nano = reader.fixed64_of(field)?,
                4 => count = reader.fixed64_of(field)?,
                5 => sum = reader.double_of(field)?,
                6 => {
                    self.charge(size_of::<Quantile>(), reader.pos())?;
                    self.batch.quantiles.push(quantile(reader.message_of(field)?)?);
                }
                7 => attributes.read(self, &mut reader, field)?,
                8 => flags = reader.varint_of(field)? as u32,
                _ => reader.skip(field)?,
            }
        }
        let attrs = attributes.finish(self, message, 7)?;
        let quantiles = range(first_quantile, self.batch.quantiles.len());
        self.grow(|batch| &mut batch.summaries, message)?;
        self.batch.summaries.push(SummaryPoint {
            metric,
            attrs,
            time_unix_nano,
            start_unix_nano,
            count,
            sum,
            quantiles,
            flags,
        });
        Ok(())
    }

    /// Reads explicit bounds.
    fn explicit_bounds(
        &mut self,
        reader: &mut Reader,
        field: Field,
        to: &mut ExplicitBounds,
    ) -> Result<(), DecodeError> {
        let stored = &mut self.batch.bounds;
        if let Some(shared) = to.shared.take() {
            // More of them: the point needs a range of its own.
            stored.extend_from_within(shared.start as usize..(shared.start + shared.len) as usize);
        } else if to.first == stored.len() && field.wire == Wire::Bytes {
            let mut after = *reader;
            let packed = after.bytes_of(field)?;
            if packed.len().is_multiple_of(size_of::<f64>()) {
                let place = self.last_bounds.place(packed, stored);
                to.shared = ((place.start as usize) < to.first).then_some(place);
                *reader = after;
                return Ok(());
            }
        }
        reader.repeated_fixed64(field, stored, f64::from_bits)
    }

    /// Makes room in a column: at first for a quarter of the points of this size that fit in the rest of the
    /// body, since other kinds may follow. With the capacities of an earlier request there is room already.
    #[inline]
    pub(super) fn grow<P>(
        &mut self,
        column: impl Fn(&mut Batch) -> &mut Vec<P>,
        point: Reader,
    ) -> Result<(), DecodeError> {
        self.charge(size_of::<P>(), point.pos() + point.rest().len())?;
        let column = column(&mut self.batch);
        if column.len() == column.capacity() {
            let more = self.body_bytes.saturating_sub(self.base + point.pos()) / (point.rest().len() + 2);
            column.reserve((more / 4).clamp(1, 1024));
        }
        Ok(())
    }

    /// Makes room for the counts of a `Buckets` message, which may be eight times their size on the wire. The counts
    /// and bounds of other histograms are as long there as here.
    pub(super) fn make_room_for_counts(&mut self, buckets: Reader) -> Result<(), DecodeError> {
        let bytes = buckets.rest();
        self.charge(size_of::<u64>() * bytes.len(), buckets.pos() + bytes.len())?;
        if bytes.len() > MANY_COUNTS {
            // Growing step by step would take twice as much.
            self.batch.counts.reserve(bytes.iter().filter(|&&byte| byte < 0x80).count());
        }
        Ok(())
    }

    /// Reads one `Buckets` message at the end of the counts; the offset of an earlier one stays unless given again.
    fn buckets(&mut self, mut reader: Reader, to: &mut ExponentialBuckets) -> Result<(), DecodeError> {
        let first = self.batch.counts.len();
        to.present = true;
        while let Some(field) = reader.next()? {
            match field.tag {
                1 => to.offset = reader.sint32_of(field)?,
                2 => reader.repeated_varint(field, &mut self.batch.counts)?,
                _ => reader.skip(field)?,
            }
        }
        to.counts = range(first, self.batch.counts.len());
        Ok(())
    }

    /// One side whose `Buckets` came in several parts: they merge into one.
    fn scattered_buckets(
        &mut self,
        mut message: Reader,
        tag: u32,
        to: &mut ExponentialBuckets,
    ) -> Result<(), DecodeError> {
        let first = self.batch.counts.len();
        while let Some(field) = message.next()? {
            if field.tag == tag {
                self.buckets(message.message_of(field)?, to)?;
            } else {
                message.skip(field)?;
            }
        }
        to.counts = range(first, self.batch.counts.len());
        Ok(())
    }

    fn exemplar(&mut self, message: Reader) -> Result<(), DecodeError> {
        self.charge(size_of::<Exemplar>(), message.pos() + message.rest().len())?;
        let mut attributes = Attributes::default();
        let mut exemplar = Exemplar {
            attrs: AttrSetId::EMPTY,
            time_unix_nano: 0,
            value: NumberValue::None,
            trace_id: None,
            span_id: None,
        };
        let mut reader = message;
        while let Some(field) = reader.next()? {
            match field.tag {
                2 => exemplar.time_unix_nano = reader.fixed64_of(field)?,
                3 => exemplar.value = NumberValue::Double(reader.double_of(field)?),
                4 => exemplar.span_id = id(&mut reader, field, "span id that is not 8 bytes long")?,
                5 => exemplar.trace_id = id(&mut reader, field, "trace id that is not 16 bytes long")?,
                6 => exemplar.value = NumberValue::Int(reader.fixed64_of(field)? as i64),
                7 => attributes.read(self, &mut reader, field)?,
                _ => reader.skip(field)?,
            }
        }
        exemplar.attrs = attributes.finish(self, message, 7)?;
        self.batch.exemplars.push(exemplar);
        Ok(())
    }
}

fn quantile(mut reader: Reader) -> Result<Quantile, DecodeError> {
    let mut to = Quantile { quantile: 0.0, value: 0.0 };
    while let Some(field) = reader.next()? {
        match field.tag {
            1 => to.quantile = reader.double_of(field)?,
            2 => to.value = reader.double_of(field)?,
            _ => reader.skip(field)?,
        }
    }
    Ok(to)
}

fn id<const N: usize>(
    reader: &mut Reader,
    field: Field,
    problem: &'static str,
) -> Result<Option<[u8; N]>, DecodeError> {
    let bytes = reader.bytes_of(field)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| reader.error(problem))
}

fn range(start: usize, end: usize) -> Range32 {
    Range32 { start: start as u32, len: (end - start) as u32 }
}
