//! An `ExportMetricsServiceRequest` off the wire into a [`Batch`], without message structs in between.
//!
//! Accepts, refuses and merges repeated fields as prost does; in addition bounds sizes and refuses trace and span
//! ids of a wrong length, as the Collector does. Points are read in [`super::decode_points`], their attributes in
//! [`super::runs`], values in [`super::value`].

use bytes::Bytes;
use hashbrown::HashTable;

use super::capacities::{Capacities, column_lengths};
use super::error::{DecodeError, DecodeLimits};
use super::runs::{LIST_BYTES, LastBounds, Run};
use super::value::{key_value, symbol};
use super::wire::{Field, Reader};
use crate::attrs::ValueId;
use crate::batch::Batch;
use crate::symbols::SymbolId;
use crate::tables::{Metric, MetricKind, Resource, Scope, Tables, Temporality};

/// Decodes a request body. The body stays in `meta.raw`, for exporters that forward it.
pub fn decode(body: Bytes, limits: &DecodeLimits) -> Result<Batch, DecodeError> {
    decode_like(body, limits, &Capacities::default())
}

/// As [`decode`], with room made at once for as much as an earlier request had.
pub fn decode_like(body: Bytes, limits: &DecodeLimits, earlier: &Capacities) -> Result<Batch, DecodeError> {
    limits.check_length(body.len())?;
    let mut decoder = Decoder::new(limits, body.len(), earlier);
    decoder.request(Reader::new(&body, limits.nesting))?;
    let mut batch = decoder.finish();
    batch.meta.raw = Some(body);
    Ok(batch)
}

type Pairs = Vec<(SymbolId, ValueId)>;

/// Room that is made for the attributes of a set.
const USUAL_ATTRIBUTES: usize = 8;

pub(super) struct Decoder {
    pub(super) limits: DecodeLimits,
    /// Length of the body, and where in it the bytes that are read now begin: offsets of readers count from there.
    pub(super) body_bytes: usize,
    pub(super) base: usize,
    pub(super) batch: Batch,
    pub(super) tables: Tables,
    /// Attributes of the message being read. Points and exemplars have no others inside while they use it.
    pub(super) pairs: Pairs,
    pub(super) runs: Vec<Run>,
    /// The bytes of the runs.
    pub(super) lists: Vec<u8>,
    pub(super) run_index: HashTable<u32>,
    pub(super) last_run: usize,
    pub(super) last_bounds: LastBounds,
    /// Memory of the rows in the columns of the batch.
    rows_bytes: usize,
    /// Memory of the tables when they were weighed last.
    tables_bytes: usize,
}

/// Lengths of the point columns, to take back what a replaced `data` brought.
struct Mark([usize; 8]);

/// A `ResourceMetrics` while it is read.
#[derive(Default)]
pub(super) struct OpenResource {
    resource: Resource,
    pairs: Pairs,
}

/// A `ScopeMetrics` while it is read.
pub(super) struct OpenScope {
    scope: Scope,
    pairs: Pairs,
}

/// A `Metric` while it is read.
pub(super) struct OpenMetric {
    metric: Metric,
    metadata: Pairs,
    /// Where its points begin.
    mark: Mark,
}

impl Decoder {
    /// For a body of this length, with room for what such a body usually brings and for as much as an earlier one had.
    pub(super) fn new(limits: &DecodeLimits, body_bytes: usize, earlier: &Capacities) -> Decoder {
        let series = (body_bytes / 512).clamp(4, 512);
        let (mut batch, mut tables) = (Batch::default(), Tables::default());
        tables.symbols.reserve(series, 16 * series);
        tables.attrs.reserve(series, 4 * series);
        tables.metrics.reserve(series / 4);
        earlier.reserve(&mut batch, body_bytes);
        Decoder {
            limits: limits.clone(),
            body_bytes,
            base: 0,
            batch,
            tables,
            pairs: Vec::new(),
            runs: Vec::with_capacity(series),
            lists: Vec::with_capacity(LIST_BYTES * series),
            run_index: HashTable::with_capacity(series),
            last_run: 0,
            last_bounds: LastBounds::default(),
            rows_bytes: 0,
            tables_bytes: 0,
        }
    }

    /// What was read.
    pub(super) fn finish(self) -> Batch {
        let mut batch = self.batch;
        batch.tables = self.tables.into();
        batch
    }

    fn request(&mut self, mut reader: Reader) -> Result<(), DecodeError> {
        while let Some(field) = reader.next()? {
            self.request_field(&mut reader, field)?;
        }
        Ok(())
    }

    pub(super) fn request_field(&mut self, reader: &mut Reader, field: Field) -> Result<(), DecodeError> {
        if field.tag != 1 {
            return reader.skip(field);
        }
        let mut reader = reader.message_of(field)?;
        let mut open = OpenResource::default();
        while let Some(field) = reader.next()? {
            self.resource_field(&mut reader, field, &mut open)?;
        }
        self.close_resource(open, reader.pos())
    }

    /// A field of a `ResourceMetrics`.
    pub(super) fn resource_field(
        &mut self,
        reader: &mut Reader,
        field: Field,
        open: &mut OpenResource,
    ) -> Result<(), DecodeError> {
        match field.tag {
            1 => self.resource(reader.message_of(field)?, &mut open.resource, &mut open.pairs),
            2 => {
                let mut reader = reader.message_of(field)?;
                let mut scope = self.open_scope();
                while let Some(field) = reader.next()? {
                    self.scope_field(&mut reader, field, &mut scope)?;
                }
                self.close_scope(scope, reader.pos())
            }
            3 => {
                open.resource.schema_url = symbol(reader, field, &mut self.tables)?;
                Ok(())
            }
            _ => reader.skip(field),
        }
    }

    pub(super) fn close_resource(&mut self, open: OpenResource, read: usize) -> Result<(), DecodeError> {
        let attrs = self.tables.set(&open.pairs);
        self.tables.resources.push(Resource { attrs, ..open.resource });
        self.weigh_tables(read)
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

    /// A message is put in its table when it ends, behind all that it holds: the open ones are next there.
    pub(super) fn open_scope(&self) -> OpenScope {
        let resource = self.tables.resources.len() as u32;
        OpenScope { scope: Scope { resource, ..Scope::default() }, pairs: Pairs::new() }
    }

    /// A field of a `ScopeMetrics`.
    pub(super) fn scope_field(
        &mut self,
        reader: &mut Reader,
        field: Field,
        open: &mut OpenScope,
    ) -> Result<(), DecodeError> {
        match field.tag {
            1 => self.scope(reader.message_of(field)?, &mut open.scope, &mut open.pairs),
            2 => {
                let mut reader = reader.message_of(field)?;
                let mut metric = self.open_metric();
                while let Some(field) = reader.next()? {
                    self.metric_field(&mut reader, field, &mut metric)?;
                }
                self.close_metric(metric, reader.pos())
            }
            3 => {
                open.scope.schema_url = symbol(reader, field, &mut self.tables)?;
                Ok(())
            }
            _ => reader.skip(field),
        }
    }

    pub(super) fn close_scope(&mut self, open: OpenScope, read: usize) -> Result<(), DecodeError> {
        let attrs = self.tables.set(&open.pairs);
        self.tables.scopes.push(Scope { attrs, ..open.scope });
        self.weigh_tables(read)
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

    pub(super) fn open_metric(&self) -> OpenMetric {
        let metric = Metric { scope: self.tables.scopes.len() as u32, ..Metric::default() };
        OpenMetric { metric, metadata: Pairs::new(), mark: self.mark() }
    }

    /// A field of a `Metric`.
    pub(super) fn metric_field(
        &mut self,
        reader: &mut Reader,
        field: Field,
        open: &mut OpenMetric,
    ) -> Result<(), DecodeError> {
        match field.tag {
            1 => open.metric.name = symbol(reader, field, &mut self.tables)?,
            2 => open.metric.description = symbol(reader, field, &mut self.tables)?,
            3 => open.metric.unit = symbol(reader, field, &mut self.tables)?,
            12 => self.pair(reader.message_of(field)?, &mut open.metadata)?,
            tag => {
                let Some(kind) = data_kind(tag) else { return reader.skip(field) };
                // Also when the message cannot be read: nothing comes of the request then.
                self.open_data(kind, open);
                let mut reader = reader.message_of(field)?;
                while let Some(field) = reader.next()? {
                    self.data_field(&mut reader, field, open)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn close_metric(&mut self, open: OpenMetric, read: usize) -> Result<(), DecodeError> {
        let metadata = self.tables.set(&open.metadata);
        self.tables.metrics.push(Metric { metadata, ..open.metric });
        self.weigh_tables(read)
    }

    /// The same kind again merges into what is there; another kind replaces it.
    pub(super) fn open_data(&mut self, kind: MetricKind, open: &mut OpenMetric) {
        let metric = &mut open.metric;
        if metric.kind != kind {
            self.back_to(&open.mark);
            (metric.kind, metric.temporality, metric.monotonic) = (kind, Temporality::Unspecified, false);
        }
    }

    /// A field of a metric's data.
    #[inline]
    pub(super) fn data_field(
        &mut self,
        reader: &mut Reader,
        field: Field,
        open: &mut OpenMetric,
    ) -> Result<(), DecodeError> {
        let metric = &mut open.metric;
        match (field.tag, metric.kind) {
            (1, kind) => {
                let index = self.tables.metrics.len() as u32;
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
        let read = self.base + read;
        let memory = self.limits.memory(read);
        if self.rows_bytes + self.tables_bytes > memory {
            return Err(DecodeError::TooDense { read, memory });
        }
        Ok(())
    }

    /// The same for what was added to the tables.
    pub(super) fn weigh_tables(&mut self, read: usize) -> Result<(), DecodeError> {
        // A run has an entry in a hash table, too.
        self.tables_bytes = self.tables.used_bytes() + self.runs.len() * (size_of::<Run>() + 5) + self.lists.len();
        self.charge(0, read)
    }

    pub(super) fn pair(&mut self, reader: Reader, pairs: &mut Pairs) -> Result<(), DecodeError> {
        let limit = self.limits.attributes_per_set;
        if pairs.len() >= limit {
            return Err(DecodeError::Limit { what: "attributes in one set", limit });
        }
        if pairs.capacity() == 0 {
            pairs.reserve(USUAL_ATTRIBUTES);
        }
        pairs.push(key_value(reader, &mut self.tables, &self.limits)?);
        Ok(())
    }

    fn mark(&self) -> Mark {
        Mark(column_lengths(&self.batch))
    }

    fn back_to(&mut self, mark: &Mark) {
        if column_lengths(&self.batch) == mark.0 {
            return;
        }
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

/// The kind of points in a field of a `Metric`, if it holds points.
pub(super) fn data_kind(tag: u32) -> Option<MetricKind> {
    Some(match tag {
        5 => MetricKind::Gauge,
        7 => MetricKind::Sum,
        9 => MetricKind::Histogram,
        10 => MetricKind::ExponentialHistogram,
        11 => MetricKind::Summary,
        _ => return None,
    })
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
