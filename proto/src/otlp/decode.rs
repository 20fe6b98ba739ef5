//! An `ExportMetricsServiceRequest` off the wire into a [`Batch`], without message structs in between.
//!
//! Accepts, refuses and merges repeated fields as prost does; in addition bounds sizes and refuses trace and span
//! ids of a wrong length, as the Collector does. Points are read in [`super::decode_points`], values in
//! [`super::value`].

use bytes::Bytes;
use hashbrown::HashTable;

use super::capacities::{Capacities, column_lengths};
use super::error::{DecodeError, DecodeLimits};
use super::value::{key_value, symbol};
use super::wire::{Field, Reader};
use crate::attrs::{AttrSetId, ValueId};
use crate::batch::Batch;
use crate::points::Range32;
use crate::symbols::{SymbolId, hash_bytes};
use crate::tables::{Metric, MetricKind, Resource, Scope, Tables, Temporality};

/// Decodes a request body. The body stays in `meta.raw`, for exporters that forward it.
pub fn decode(body: Bytes, limits: &DecodeLimits) -> Result<Batch, DecodeError> {
    decode_like(body, limits, &Capacities::default())
}

/// As [`decode`], with room made at once for as much as an earlier request had.
pub fn decode_like(body: Bytes, limits: &DecodeLimits, earlier: &Capacities) -> Result<Batch, DecodeError> {
    let limit = limits.body_bytes.min(DecodeLimits::MAX_BODY_BYTES);
    if body.len() > limit {
        return Err(DecodeError::Limit { what: "bytes", limit });
    }
    let mut decoder = Decoder::new(limits);
    decoder.reserve(body.len());
    earlier.reserve(&mut decoder.batch, body.len());
    decoder.request(Reader::new(&body, limits.nesting))?;
    let mut batch = decoder.batch;
    batch.tables = decoder.tables.into();
    batch.meta.raw = Some(body);
    Ok(batch)
}

type Pairs = Vec<(SymbolId, ValueId)>;

/// A list of attribute fields seen in this body, by its bytes.
struct Run {
    start: u32,
    len: u32,
    set: AttrSetId,
    /// The run that followed this one last time: series come in the same order in every metric.
    next: u32,
}

/// The last explicit bounds that were stored: their bytes in the body and where they are.
#[derive(Default)]
pub(super) struct LastBounds {
    start: u32,
    len: u32,
    range: Range32,
}

impl LastBounds {
    /// The place of packed bounds of this body in their column, to which they are added unless they are the same as the
    /// last ones: nearly all histograms of a request have the same.
    #[inline]
    pub(super) fn place(&mut self, packed: &[u8], message: Reader, column: &mut Vec<f64>) -> Range32 {
        let first = Range32 { start: column.len() as u32, len: 0 };
        if packed.is_empty() {
            return first;
        }
        if message.body(self.start, self.len) != Some(packed) {
            let (words, _) = packed.as_chunks::<8>();
            column.extend(words.iter().map(|word| f64::from_le_bytes(*word)));
            let start = message.offset_of(packed) as u32;
            *self = LastBounds { start, len: packed.len() as u32, range: Range32 { len: words.len() as u32, ..first } };
        }
        self.range
    }
}

pub(super) struct Decoder<'a> {
    pub(super) limits: &'a DecodeLimits,
    pub(super) batch: Batch,
    pub(super) tables: Tables,
    /// Attributes of the message being read. Points and exemplars have no others inside while they use it.
    pairs: Pairs,
    runs: Vec<Run>,
    run_index: HashTable<u32>,
    last_run: usize,
    pub(super) last_bounds: LastBounds,
    /// Memory of the rows in the columns of the batch.
    rows_bytes: usize,
    /// Memory of the tables when they were weighed last.
    tables_bytes: usize,
}

/// Lengths of the point columns, to take back what a replaced `data` brought.
struct Mark([usize; 8]);

impl<'a> Decoder<'a> {
    fn new(limits: &'a DecodeLimits) -> Decoder<'a> {
        Decoder {
            limits,
            batch: Batch::default(),
            tables: Tables::default(),
            pairs: Vec::new(),
            runs: Vec::new(),
            run_index: HashTable::new(),
            last_run: 0,
            last_bounds: LastBounds::default(),
            rows_bytes: 0,
            tables_bytes: 0,
        }
    }

    /// Room for what a body of this length usually brings, so that the tables do not grow step by step.
    fn reserve(&mut self, body_bytes: usize) {
        let series = (body_bytes / 512).clamp(4, 512);
        self.tables.symbols.reserve(series, 16 * series);
        self.tables.attrs.reserve(series, 4 * series);
        self.tables.metrics.reserve(series / 4);
        self.runs.reserve(series);
        self.run_index = HashTable::with_capacity(series);
    }

    fn request(&mut self, mut reader: Reader) -> Result<(), DecodeError> {
        while let Some(field) = reader.next()? {
            match field.tag {
                1 => self.resource_metrics(reader.message_of(field)?)?,
                _ => reader.skip(field)?,
            }
        }
        Ok(())
    }

    fn resource_metrics(&mut self, mut reader: Reader) -> Result<(), DecodeError> {
        let index = self.tables.resources.len();
        self.tables.resources.push(Resource::default());
        let (mut resource, mut pairs) = (Resource::default(), Pairs::new());
        while let Some(field) = reader.next()? {
            match field.tag {
                1 => self.resource(reader.message_of(field)?, &mut resource, &mut pairs)?,
                2 => self.scope_metrics(reader.message_of(field)?, index as u32)?,
                3 => resource.schema_url = symbol(&mut reader, field, &mut self.tables)?,
                _ => reader.skip(field)?,
            }
        }
        resource.attrs = self.tables.set(&pairs);
        self.tables.resources[index] = resource;
        self.weigh_tables(reader.pos())
    }

    fn resource(&mut self, mut reader: Reader, to: &mut Resource, pairs: &mut Pairs) -> Result<(), DecodeError> {
        to.present = true;
        while let Some(field) = reader.next()? {
            let start = reader.pos();
            match field.tag {
                1 => self.pair(reader.message_of(field)?, pairs)?,
                2 => to.dropped_attributes = reader.varint_of(field)? as u32,
                3 => {
                    check_entity_ref(reader.message_of(field)?)?;
                    to.entity_refs.push(3 << 3 | 2);
                    to.entity_refs.extend_from_slice(reader.since(start));
                }
                _ => reader.skip(field)?,
            }
        }
        Ok(())
    }

    fn scope_metrics(&mut self, mut reader: Reader, resource: u32) -> Result<(), DecodeError> {
        let index = self.tables.scopes.len();
        self.tables.scopes.push(Scope { resource, ..Scope::default() });
        let (mut scope, mut pairs) = (Scope { resource, ..Scope::default() }, Pairs::new());
        while let Some(field) = reader.next()? {
            match field.tag {
                1 => self.scope(reader.message_of(field)?, &mut scope, &mut pairs)?,
                2 => self.metric(reader.message_of(field)?, index as u32)?,
                3 => scope.schema_url = symbol(&mut reader, field, &mut self.tables)?,
                _ => reader.skip(field)?,
            }
        }
        scope.attrs = self.tables.set(&pairs);
        self.tables.scopes[index] = scope;
        self.weigh_tables(reader.pos())
    }

    fn scope(&mut self, mut reader: Reader, to: &mut Scope, pairs: &mut Pairs) -> Result<(), DecodeError> {
        to.present = true;
        while let Some(field) = reader.next()? {
            match field.tag {
                1 => to.name = symbol(&mut reader, field, &mut self.tables)?,
                2 => to.version = symbol(&mut reader, field, &mut self.tables)?,
                3 => self.pair(reader.message_of(field)?, pairs)?,
                4 => to.dropped_attributes = reader.varint_of(field)? as u32,
                _ => reader.skip(field)?,
            }
        }
        Ok(())
    }

    fn metric(&mut self, mut reader: Reader, scope: u32) -> Result<(), DecodeError> {
        let mut metric = Metric { scope, ..Metric::default() };
        let mut metadata = Pairs::new();
        let mark = self.mark();
        while let Some(field) = reader.next()? {
            let kind = match field.tag {
                1 => {
                    metric.name = symbol(&mut reader, field, &mut self.tables)?;
                    continue;
                }
                2 => {
                    metric.description = symbol(&mut reader, field, &mut self.tables)?;
                    continue;
                }
                3 => {
                    metric.unit = symbol(&mut reader, field, &mut self.tables)?;
                    continue;
                }
                12 => {
                    self.pair(reader.message_of(field)?, &mut metadata)?;
                    continue;
                }
                5 => MetricKind::Gauge,
                7 => MetricKind::Sum,
                9 => MetricKind::Histogram,
                10 => MetricKind::ExponentialHistogram,
                11 => MetricKind::Summary,
                _ => {
                    reader.skip(field)?;
                    continue;
                }
            };
            // The same kind again merges into what is there; another kind replaces it.
            if metric.kind != kind {
                self.back_to(&mark);
                (metric.kind, metric.temporality, metric.monotonic) = (kind, Temporality::Unspecified, false);
            }
            self.data(reader.message_of(field)?, &mut metric)?;
        }
        metric.metadata = self.tables.set(&metadata);
        self.tables.metrics.push(metric);
        self.weigh_tables(reader.pos())
    }

    fn data(&mut self, mut reader: Reader, metric: &mut Metric) -> Result<(), DecodeError> {
        let index = self.tables.metrics.len() as u32;
        while let Some(field) = reader.next()? {
            match (field.tag, metric.kind) {
                (1, kind) => {
                    let point = reader.message_of(field)?;
                    let (before, charged) = (self.last_run, self.rows_bytes);
                    let taken = match kind {
                        MetricKind::Histogram => self.histogram_in_order(point, index)?,
                        MetricKind::ExponentialHistogram => self.exponential_in_order(point, index)?,
                        MetricKind::Summary => self.summary_in_order(point, index)?,
                        _ => self.number_in_order(point, index)?,
                    };
                    if !taken {
                        // It is read again: its attributes are expected again, and its rows are counted once.
                        (self.last_run, self.rows_bytes) = (before, charged);
                        self.any_point(kind, point, index)?;
                    }
                }
                (2, MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram) => {
                    metric.temporality = match reader.varint_of(field)? as i32 {
                        1 => Temporality::Delta,
                        2 => Temporality::Cumulative,
                        _ => Temporality::Unspecified,
                    };
                }
                (3, MetricKind::Sum) => metric.monotonic = reader.varint_of(field)? != 0,
                _ => reader.skip(field)?,
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn any_point(&mut self, kind: MetricKind, point: Reader, metric: u32) -> Result<(), DecodeError> {
        match kind {
            MetricKind::Histogram => self.any_histogram(point, metric),
            MetricKind::ExponentialHistogram => self.any_exponential(point, metric),
            MetricKind::Summary => self.any_summary(point, metric),
            _ => self.any_number(point, metric),
        }
    }

    /// Holds a row that is to be stored against what the message may take, of which this much is read. Rows that
    /// another `data` replaced stay counted.
    #[inline]
    pub(super) fn charge(&mut self, row_bytes: usize, read: usize) -> Result<(), DecodeError> {
        self.rows_bytes += row_bytes;
        let memory = self.limits.memory(read);
        if self.rows_bytes + self.tables_bytes > memory {
            return Err(DecodeError::TooDense { read, memory });
        }
        Ok(())
    }

    /// The same for what was added to the tables.
    fn weigh_tables(&mut self, read: usize) -> Result<(), DecodeError> {
        // A run has an entry in a hash table, too.
        self.tables_bytes = self.tables.used_bytes() + self.runs.len() * (size_of::<Run>() + 5);
        self.charge(0, read)
    }

    fn pair(&mut self, reader: Reader, pairs: &mut Pairs) -> Result<(), DecodeError> {
        let limit = self.limits.attributes_per_set;
        if pairs.len() >= limit {
            return Err(DecodeError::Limit { what: "attributes in one set", limit });
        }
        pairs.push(key_value(reader, &mut self.tables, self.limits)?);
        Ok(())
    }

    /// Reads the list of attributes that begins with `field`, whose key was just read: all directly following
    /// fields of the same number. A list whose bytes came before costs a comparison.
    pub(super) fn attribute_run(&mut self, reader: &mut Reader, field: Field) -> Result<AttrSetId, DecodeError> {
        match self.expected_run(reader.rest(), *reader, run_key(field)) {
            Some((set, after)) => {
                *reader = reader.at(after);
                Ok(set)
            }
            None => self.other_run(reader, field),
        }
    }

    /// As [`Decoder::attribute_run`] for a list that is not the expected one.
    #[inline(never)]
    pub(super) fn other_run(&mut self, reader: &mut Reader, field: Field) -> Result<AttrSetId, DecodeError> {
        let (start, key) = (reader.pos(), run_key(field));
        let mut end = *reader;
        end.bytes_of(field)?;
        while end.rest().first() == Some(&key) {
            end.next()?;
            end.bytes_of(field)?;
        }
        let len = end.pos() - start;
        let bytes = &reader.rest()[..len];
        let hash = hash_bytes(bytes);
        let found = self.run_index.find(hash, |&i| {
            let run = &self.runs[i as usize];
            reader.body(run.start, run.len) == Some(bytes)
        });
        let index = match found {
            Some(&index) => index as usize,
            None => self.new_run(*reader, field, start, len, hash)?,
        };
        if let Some(last) = self.runs.get_mut(self.last_run) {
            last.next = index as u32;
        }
        self.last_run = index;
        *reader = end;
        Ok(self.runs[index].set)
    }

    /// The list of attributes that followed the last one before, if it comes again behind the first `key`, and what is
    /// left behind it.
    #[inline]
    pub(super) fn expected_run<'b>(
        &mut self,
        rest: &'b [u8],
        message: Reader<'b>,
        key: u8,
    ) -> Option<(AttrSetId, &'b [u8])> {
        let next = self.runs.get(self.last_run)?.next;
        let run = self.runs.get(next as usize)?;
        let after = rest.strip_prefix(message.body(run.start, run.len)?)?;
        if after.first() == Some(&key) {
            return None;
        }
        self.last_run = next as usize;
        Some((run.set, after))
    }

    fn new_run(
        &mut self,
        reader: Reader,
        field: Field,
        start: usize,
        len: usize,
        hash: u64,
    ) -> Result<usize, DecodeError> {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        let mut run = reader.range(start, start + len);
        self.pair(run.message_of(field)?, &mut pairs)?;
        while let Some(field) = run.next()? {
            self.pair(run.message_of(field)?, &mut pairs)?;
        }
        let set = self.tables.set(&pairs);
        self.pairs = pairs;
        let index = self.runs.len();
        self.runs.push(Run { start: start as u32, len: len as u32, set, next: u32::MAX });
        let runs = &self.runs;
        self.run_index.insert_unique(hash, index as u32, |&i| {
            let run = &runs[i as usize];
            hash_bytes(reader.body(run.start, run.len).unwrap_or_default())
        });
        self.weigh_tables(start + len)?;
        Ok(index)
    }

    /// Attributes of a message whose attribute fields do not stand together.
    pub(super) fn scattered_attributes(&mut self, mut message: Reader, tag: u32) -> Result<AttrSetId, DecodeError> {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        while let Some(field) = message.next()? {
            if field.tag == tag {
                self.pair(message.message_of(field)?, &mut pairs)?;
            } else {
                message.skip(field)?;
            }
        }
        let set = self.tables.set(&pairs);
        self.pairs = pairs;
        self.weigh_tables(message.pos())?;
        Ok(set)
    }

    fn mark(&self) -> Mark {
        Mark(column_lengths(&self.batch))
    }

    fn back_to(&mut self, mark: &Mark) {
        self.last_bounds = LastBounds::default();
        let b = &mut self.batch;
        b.numbers.truncate(mark.0[0]);
        b.histograms.truncate(mark.0[1]);
        b.exponentials.truncate(mark.0[2]);
        b.summaries.truncate(mark.0[3]);
        b.exemplars.truncate(mark.0[4]);
        b.bounds.truncate(mark.0[5]);
        b.counts.truncate(mark.0[6]);
        b.quantiles.truncate(mark.0[7]);
    }
}

/// The key of a list's fields.
fn run_key(field: Field) -> u8 {
    (field.tag << 3 | 2) as u8
}

/// Entity references are kept as bytes; here they are only checked, so that nothing is stored that others refuse.
fn check_entity_ref(mut reader: Reader) -> Result<(), DecodeError> {
    while let Some(field) = reader.next()? {
        match field.tag {
            1..=4 => {
                if std::str::from_utf8(reader.bytes_of(field)?).is_err() {
                    return Err(reader.error("text that is not UTF-8"));
                }
            }
            _ => reader.skip(field)?,
        }
    }
    Ok(())
}
