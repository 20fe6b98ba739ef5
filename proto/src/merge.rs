//! Joining and cutting batches, for processors that buffer. Order of points is kept; nothing is merged or regrouped.
//! The marks of `metric_declaration` stay with their points.

use std::ops::Range;
use std::sync::Arc;

use crate::attrs::{AttrSetId, Attrs, ValueId, ValueKind};
use crate::batch::{Batch, Selection};
use crate::points::{Exemplar, ExponentialBuckets, Point, Range32};
use crate::symbols::{SymbolId, Symbols};
use crate::tables::{Metric, Resource, Scope, Tables};

impl Batch {
    /// Appends a copy of all of `other`: its resources, scopes and metrics stay apart from those that are there, as
    /// the Collector's `batch` keeps each `ResourceMetrics` whole.
    pub fn append(&mut self, other: &Batch) {
        let marks = self.meta.selection.take();
        self.edited();
        (self.meta.client, self.meta.peer, self.meta.username) = (None, None, None);
        self.meta.shared_tables |= other.meta.shared_tables;
        let (bounds, counts) = (self.bounds.len() as u32, self.counts.len() as u32);
        let (quantiles, exemplars) = (self.quantiles.len() as u32, self.exemplars.len() as u32);
        let tables = Arc::make_mut(&mut self.tables);
        let metrics = tables.metrics.len() as u32;
        let mut map = Mapping::new(&other.tables);
        map.tables(tables);
        if marks.is_some() || other.meta.selection.is_some() {
            let theirs = other.meta.selection.as_deref();
            let mut marks = marks.map(Arc::unwrap_or_clone).unwrap_or_default();
            let sets = map.sets(&mut tables.symbols, theirs, &mut marks);
            macro_rules! column {
                ($column:ident) => {
                    marks.$column.resize(self.$column.len(), Selection::NOT_EVALUATED);
                    let new = theirs.iter().flat_map(|theirs| &theirs.$column);
                    marks.$column.extend(new.map(|mark| sets.get(*mark as usize).unwrap_or(&Selection::NOT_EVALUATED)));
                    marks.$column.resize(self.$column.len() + other.$column.len(), Selection::NOT_EVALUATED);
                };
            }
            column!(numbers);
            column!(histograms);
            column!(exponentials);
            column!(summaries);
            self.meta.selection = Some(Arc::new(marks));
        }
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
        let marks = self.meta.selection.take();
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
        let marked = marks.is_some();
        let mut rest = marks.map(Arc::unwrap_or_clone).unwrap_or_default();
        let mut taken = Selection { sets: rest.sets.clone(), ..Selection::default() };
        // All of the metrics before, then what is still missing of this one.
        let mut left = points;
        for wanted in [0..metric, metric..metric.saturating_add(1)] {
            macro_rules! column {
                ($column:ident) => {
                    let marks = (&mut rest.$column, &mut taken.$column);
                    left -= move_points(&mut self.$column, &mut first.$column, marks, &wanted, left);
                };
            }
            column!(numbers);
            column!(histograms);
            column!(exponentials);
            column!(summaries);
        }
        if marked {
            self.meta.selection = Some(Arc::new(rest));
            first.meta.selection = Some(Arc::new(taken));
        }
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

/// Moves at most so many points of the wanted metrics, with their marks if there are any; returns how many.
fn move_points<P: Point + Copy>(
    from: &mut Vec<P>,
    to: &mut Vec<P>,
    marks: (&mut Vec<u32>, &mut Vec<u32>),
    wanted: &Range<u32>,
    at_most: usize,
) -> usize {
    let takes = || {
        let mut left = at_most;
        move |point: &P| {
            let take = left > 0 && wanted.contains(&point.metric());
            left -= usize::from(take);
            take
        }
    };
    let (mut take, mut point) = (takes(), from.iter());
    marks.0.retain(|mark| {
        let take = point.next().is_some_and(&mut take);
        if take {
            marks.1.push(*mark);
        }
        !take
    });
    let (mut take, before) = (takes(), to.len());
    from.retain(|point| {
        let take = take(point);
        if take {
            to.push(*point);
        }
        !take
    });
    to.len() - before
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

    /// Adds the dimension sets of marks to those of others; returns the new index by old index.
    fn sets(&mut self, to: &mut Symbols, theirs: Option<&Selection>, marks: &mut Selection) -> Vec<u32> {
        if marks.sets.is_empty() {
            marks.sets.push(Vec::new());
        }
        let mut index = Vec::new();
        for (at, sets) in theirs.map_or(&[][..], |theirs| &theirs.sets).iter().enumerate() {
            let sets: Vec<Vec<SymbolId>> =
                sets.iter().map(|set| set.iter().map(|name| self.symbol(to, *name)).collect()).collect();
            // The first one is "selected by nothing"; another empty one is "selected, without dimensions".
            let known = match at {
                0 => Some(0),
                _ => marks.sets.iter().skip(1).position(|known| *known == sets).map(|known| known + 1),
            };
            index.push(known.unwrap_or_else(|| {
                marks.sets.push(sets);
                marks.sets.len() - 1
            }) as u32);
        }
        index
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
