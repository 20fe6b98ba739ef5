//! Joining and cutting batches, for processors that buffer. Order of points is kept; nothing is merged or regrouped.

use crate::attrs::{AttrSetId, Attrs, ValueId, ValueKind};
use crate::batch::Batch;
use crate::points::{Exemplar, ExponentialBuckets, Point, Range32};
use crate::symbols::{SymbolId, Symbols};
use crate::tables::{Metric, Resource, Scope, Tables};

impl Batch {
    /// Appends a copy of all of `other`: its resources, scopes and metrics stay apart from those that are there, as
    /// the Collector's `batch` keeps each `ResourceMetrics` whole.
    pub fn append(&mut self, other: &Batch) {
        self.edited();
        self.meta.client = None;
        self.meta.shared_tables |= other.meta.shared_tables;
        let (bounds, counts) = (self.bounds.len() as u32, self.counts.len() as u32);
        let (quantiles, exemplars) = (self.quantiles.len() as u32, self.exemplars.len() as u32);
        let tables = std::sync::Arc::make_mut(&mut self.tables);
        let metrics = tables.metrics.len() as u32;
        let mut map = Mapping::new(&other.tables);
        map.tables(tables);
        let mut attrs = |id| map.attrs(tables, id);
        let shift = |range: Range32, by: u32| Range32 { start: range.start + by, ..range };
        let side = |b: ExponentialBuckets| ExponentialBuckets { counts: shift(b.counts, counts), ..b };
        self.numbers.reserve(other.numbers.len());
        for p in &other.numbers {
            let mut p = *p;
            (p.metric, p.attrs, p.exemplars) = (p.metric + metrics, attrs(p.attrs), shift(p.exemplars, exemplars));
            self.numbers.push(p);
        }
        for p in &other.histograms {
            let mut p = *p;
            (p.metric, p.attrs, p.exemplars) = (p.metric + metrics, attrs(p.attrs), shift(p.exemplars, exemplars));
            (p.bounds, p.counts) = (shift(p.bounds, bounds), shift(p.counts, counts));
            self.histograms.push(p);
        }
        for p in &other.exponentials {
            let mut p = *p;
            (p.metric, p.attrs, p.exemplars) = (p.metric + metrics, attrs(p.attrs), shift(p.exemplars, exemplars));
            (p.positive, p.negative) = (side(p.positive), side(p.negative));
            self.exponentials.push(p);
        }
        for p in &other.summaries {
            let mut p = *p;
            (p.metric, p.attrs, p.quantiles) = (p.metric + metrics, attrs(p.attrs), shift(p.quantiles, quantiles));
            self.summaries.push(p);
        }
        self.exemplars.extend(other.exemplars.iter().map(|e| Exemplar { attrs: attrs(e.attrs), ..*e }));
        self.bounds.extend_from_slice(&other.bounds);
        self.counts.extend_from_slice(&other.counts);
        self.quantiles.extend_from_slice(&other.quantiles);
    }

    /// Takes the first `points` points, in the order of their metrics, and leaves the rest. Both halves share the
    /// tables, so metrics without points in a half are left out when it is encoded as OTLP.
    pub fn split_first(&mut self, points: usize) -> Batch {
        self.edited();
        self.meta.shared_tables = true;
        let metric = self.metric_at(points);
        let mut first = Batch {
            tables: self.tables.clone(),
            exemplars: self.exemplars.clone(),
            bounds: self.bounds.clone(),
            counts: self.counts.clone(),
            quantiles: self.quantiles.clone(),
            meta: self.meta.clone(),
            ..Batch::default()
        };
        let mut left = points;
        left -= move_below(&mut self.numbers, &mut first.numbers, metric);
        left -= move_below(&mut self.histograms, &mut first.histograms, metric);
        left -= move_below(&mut self.exponentials, &mut first.exponentials, metric);
        left -= move_below(&mut self.summaries, &mut first.summaries, metric);
        left -= move_some(&mut self.numbers, &mut first.numbers, metric, left);
        left -= move_some(&mut self.histograms, &mut first.histograms, metric, left);
        left -= move_some(&mut self.exponentials, &mut first.exponentials, metric, left);
        move_some(&mut self.summaries, &mut first.summaries, metric, left);
        first
    }

    /// The metric in which the point with this index lies, counting points in the order of their metrics.
    fn metric_at(&self, index: usize) -> u32 {
        let mut per_metric = vec![0usize; self.tables.metrics.len()];
        fn count<P: Point>(points: &[P], per_metric: &mut [usize]) {
            points.iter().for_each(|p| per_metric[p.metric() as usize] += 1);
        }
        count(&self.numbers, &mut per_metric);
        count(&self.histograms, &mut per_metric);
        count(&self.exponentials, &mut per_metric);
        count(&self.summaries, &mut per_metric);
        let mut seen = 0;
        for (metric, points) in per_metric.iter().enumerate() {
            seen += points;
            if seen > index {
                return metric as u32;
            }
        }
        per_metric.len() as u32
    }
}

fn move_below<P: Point + Copy>(from: &mut Vec<P>, to: &mut Vec<P>, metric: u32) -> usize {
    let before = to.len();
    to.extend(from.iter().copied().filter(|p| p.metric() < metric));
    from.retain(|p| p.metric() >= metric);
    to.len() - before
}

fn move_some<P: Point + Copy>(from: &mut Vec<P>, to: &mut Vec<P>, metric: u32, at_most: usize) -> usize {
    let mut moved = 0;
    from.retain(|p| {
        let take = p.metric() == metric && moved < at_most;
        if take {
            to.push(*p);
            moved += 1;
        }
        !take
    });
    moved
}

/// Ids of one batch as ids of another, found when first needed.
struct Mapping<'a> {
    from: &'a Tables,
    symbols: Vec<Option<SymbolId>>,
    sets: Vec<Option<AttrSetId>>,
    pairs: Vec<(SymbolId, ValueId)>,
}

impl<'a> Mapping<'a> {
    fn new(from: &'a Tables) -> Mapping<'a> {
        let (symbols, sets) = (vec![None; from.symbols.len()], vec![None; from.attrs.len()]);
        Mapping { from, symbols, sets, pairs: Vec::new() }
    }

    /// Appends resources, scopes and metrics.
    fn tables(&mut self, to: &mut Tables) {
        let (resources, scopes) = (to.resources.len() as u32, to.scopes.len() as u32);
        for r in &self.from.resources {
            let attrs = self.attrs(to, r.attrs);
            let schema_url = self.symbol(&mut to.symbols, r.schema_url);
            to.resources.push(Resource { attrs, schema_url, ..r.clone() });
        }
        for s in &self.from.scopes {
            let attrs = self.attrs(to, s.attrs);
            let [name, version, schema_url] =
                [s.name, s.version, s.schema_url].map(|id| self.symbol(&mut to.symbols, id));
            to.scopes.push(Scope { resource: s.resource + resources, name, version, attrs, schema_url, ..s.clone() });
        }
        for m in &self.from.metrics {
            let metadata = self.attrs(to, m.metadata);
            let [name, description, unit] = [m.name, m.description, m.unit].map(|id| self.symbol(&mut to.symbols, id));
            to.metrics.push(Metric { scope: m.scope + scopes, name, description, unit, metadata, ..m.clone() });
        }
    }

    fn attrs(&mut self, to: &mut Tables, id: AttrSetId) -> AttrSetId {
        if let Some(known) = self.sets[id.0 as usize] {
            return known;
        }
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        for &(key, value) in self.from.attrs.pairs(id) {
            let key = self.symbol(&mut to.symbols, key);
            pairs.push((key, self.value(&mut to.symbols, &mut to.attrs, value)));
        }
        let new = to.attrs.set(&to.symbols, &pairs);
        self.pairs = pairs;
        self.sets[id.0 as usize] = Some(new);
        new
    }

    fn symbol(&mut self, to: &mut Symbols, id: SymbolId) -> SymbolId {
        let from = &self.from.symbols;
        *self.symbols[id.0 as usize].get_or_insert_with(|| to.intern(from.get(id)))
    }

    fn value(&mut self, symbols: &mut Symbols, attrs: &mut Attrs, value: ValueId) -> ValueId {
        let Some(typed) = self.from.attrs.typed(value) else {
            return ValueId::string(self.symbol(symbols, self.from.attrs.text(value)));
        };
        let text = self.symbol(symbols, typed.text);
        match typed.kind {
            ValueKind::Bytes | ValueKind::Array | ValueKind::Map => {
                attrs.raw(typed.kind, self.from.attrs.raw_of(value), text)
            }
            kind => attrs.scalar(kind, typed.bits, text),
        }
    }
}
