//! What points refer to: strings, attribute sets, resources, scopes and metrics of a batch.
//!
//! Consecutive batches of a scrape target share one `Tables` by `Arc`; a pushed batch has its own.

use crate::attrs::{AttrSetId, Attrs, ValueId, ValueKind};
use crate::symbols::{SymbolId, Symbols};

/// `AggregationTemporality`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// 0 (or a value that OTLP does not define).
    #[default]
    Unspecified,
    /// 1.
    Delta,
    /// 2.
    Cumulative,
}

/// Which `data` a metric carries, and so which column of the batch holds its points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// The oneof was absent; there are no points.
    #[default]
    None,
    /// Points in `Batch::numbers`.
    Gauge,
    /// Points in `Batch::numbers`.
    Sum,
    /// Points in `Batch::histograms`.
    Histogram,
    /// Points in `Batch::exponentials`.
    ExponentialHistogram,
    /// Points in `Batch::summaries`.
    Summary,
}

/// `Resource` with its `ResourceMetrics` envelope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Attributes.
    pub attrs: AttrSetId,
    /// `dropped_attributes_count`.
    pub dropped_attributes: u32,
    /// `ResourceMetrics.schema_url`.
    pub schema_url: SymbolId,
    /// False when the `resource` field was absent on the wire.
    pub present: bool,
    /// Serialized `entity_refs` fields of the resource, forwarded as they came; usually empty.
    pub entity_refs: Vec<u8>,
}

/// `InstrumentationScope` with its `ScopeMetrics` envelope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Index in `Tables::resources`.
    pub resource: u32,
    /// Name.
    pub name: SymbolId,
    /// Version.
    pub version: SymbolId,
    /// Attributes.
    pub attrs: AttrSetId,
    /// `dropped_attributes_count`.
    pub dropped_attributes: u32,
    /// `ScopeMetrics.schema_url`.
    pub schema_url: SymbolId,
    /// False when the `scope` field was absent on the wire.
    pub present: bool,
}

/// A metric: everything but its points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    /// Index in `Tables::scopes`.
    pub scope: u32,
    /// Name.
    pub name: SymbolId,
    /// Description.
    pub description: SymbolId,
    /// Unit.
    pub unit: SymbolId,
    /// Kind of its points.
    pub kind: MetricKind,
    /// For sums and histograms.
    pub temporality: Temporality,
    /// `Sum.is_monotonic`.
    pub monotonic: bool,
    /// `metadata` (the receiver puts `prometheus.type` here).
    pub metadata: AttrSetId,
}

/// The tables of a batch. Cloning is a handful of `memcpy`s.
#[derive(Clone, Default)]
pub struct Tables {
    /// Strings.
    pub symbols: Symbols,
    /// Values and attribute sets.
    pub attrs: Attrs,
    /// Resources, usually 1 to 50.
    pub resources: Vec<Resource>,
    /// Scopes, ordered by resource.
    pub scopes: Vec<Scope>,
    /// Metrics, ordered by scope.
    pub metrics: Vec<Metric>,
}

impl Tables {
    /// The text of a symbol.
    pub fn str(&self, id: SymbolId) -> &str {
        self.symbols.get(id)
    }

    /// The text form of a value (Go's `AsString`).
    pub fn value_str(&self, value: ValueId) -> &str {
        self.symbols.get(self.attrs.text(value))
    }

    /// Interns a string value.
    pub fn string_value(&mut self, text: &str) -> ValueId {
        ValueId::string(self.symbols.intern(text))
    }

    /// Interns a set of string pairs in the given order.
    pub fn string_set(&mut self, pairs: &[(&str, &str)]) -> AttrSetId {
        let ids: Vec<_> =
            pairs.iter().map(|(k, v)| (self.symbols.intern(k), ValueId::string(self.symbols.intern(v)))).collect();
        self.attrs.set(&self.symbols, &ids)
    }

    /// Interns a set.
    pub fn set(&mut self, pairs: &[(SymbolId, ValueId)]) -> AttrSetId {
        self.attrs.set(&self.symbols, pairs)
    }

    /// Value of an attribute by key text.
    pub fn attr(&self, set: AttrSetId, key: &str) -> Option<ValueId> {
        self.attrs.get(set, self.symbols.lookup(key)?)
    }

    /// Text of an attribute that is a string.
    pub fn string_attr(&self, set: AttrSetId, key: &str) -> Option<&str> {
        let value = self.attr(set, key)?;
        (self.attrs.kind(value) == ValueKind::Str).then(|| self.value_str(value))
    }

    /// Resource of a metric.
    pub fn resource_of(&self, metric: u32) -> &Resource {
        &self.resources[self.scopes[self.metrics[metric as usize].scope as usize].resource as usize]
    }

    /// Bytes in use, without room to grow: what the entries so far have to take.
    pub fn used_bytes(&self) -> usize {
        self.symbols.used_bytes()
            + self.attrs.used_bytes()
            + self.resources.len() * size_of::<Resource>()
            + self.scopes.len() * size_of::<Scope>()
            + self.metrics.len() * size_of::<Metric>()
    }

    /// Bytes held, for accounting.
    pub fn size_bytes(&self) -> usize {
        self.symbols.size_bytes()
            + self.attrs.size_bytes()
            + self.resources.capacity() * size_of::<Resource>()
            + self.scopes.capacity() * size_of::<Scope>()
            + self.metrics.capacity() * size_of::<Metric>()
    }
}
