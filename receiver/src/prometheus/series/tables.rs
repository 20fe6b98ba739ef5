//! The tables that consecutive batches of a target share: resources, scopes and metrics, found by what they are made
//! of. Only ever grows; a rebuild starts over.

use std::sync::Arc;

use hashbrown::HashMap;
use proto::{AttrSetId, Metric, MetricKind, Resource, Scope, SymbolId, Tables, Temporality, ValueId};

use crate::prometheus::resource;
use crate::prometheus::text::MetricType;

/// Builder of a target's tables.
#[derive(Default)]
pub(crate) struct TableBuilder {
    /// Shared with the batches; copied when it has to change while one of them still lives.
    pub(crate) shared: Arc<Tables>,
    resources: HashMap<(SymbolId, SymbolId), u32>,
    /// Attributes of each resource without `target_info`.
    plain: Vec<AttrSetId>,
    scopes: HashMap<ScopeKey, u32>,
    metrics: HashMap<MetricKey, u32>,
    disordered: bool,
    pairs: Vec<(SymbolId, ValueId)>,
}

/// What makes a scope.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ScopeKey {
    pub(crate) resource: u32,
    pub(crate) name: SymbolId,
    pub(crate) version: SymbolId,
    pub(crate) schema_url: SymbolId,
    pub(crate) attrs: AttrSetId,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct MetricKey {
    scope: u32,
    name: SymbolId,
    kind: MetricType,
    description: SymbolId,
    unit: SymbolId,
}

/// Description of a metric, as text.
pub(crate) struct MetricText<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    /// In OTLP's words.
    pub(crate) unit: &'a str,
    pub(crate) kind: MetricType,
}

impl TableBuilder {
    /// The tables for changing.
    pub(crate) fn edit(&mut self) -> &mut Tables {
        Arc::make_mut(&mut self.shared)
    }

    /// Interns a set of text pairs.
    pub(crate) fn attrs<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> AttrSetId {
        let tables = Arc::make_mut(&mut self.shared);
        self.pairs.clear();
        self.pairs.extend(labels.map(|(k, v)| (tables.symbols.intern(k), ValueId::string(tables.symbols.intern(v)))));
        tables.attrs.set(&tables.symbols, &self.pairs)
    }

    /// The resource of a job and instance; `discovered` are further attributes of the target.
    pub(crate) fn resource(
        &mut self,
        job: &str,
        instance: &str,
        scheme: &str,
        discovered: &[(&'static str, String)],
    ) -> u32 {
        let tables = self.edit();
        let key = (tables.symbols.intern(job), tables.symbols.intern(instance));
        if let Some(&found) = self.resources.get(&key) {
            return found;
        }
        let attributes = resource::attributes(job, instance, scheme, discovered);
        let attrs = self.attrs(attributes.iter().map(|(k, v)| (*k, v.as_str())));
        let tables = self.edit();
        let id = index(tables.resources.len());
        tables.resources.push(Resource { attrs, present: true, ..Resource::default() });
        self.plain.push(attrs);
        self.resources.insert(key, id);
        id
    }

    /// A scope.
    pub(crate) fn scope(&mut self, key: ScopeKey) -> u32 {
        if let Some(&found) = self.scopes.get(&key) {
            return found;
        }
        let tables = Arc::make_mut(&mut self.shared);
        let id = index(tables.scopes.len());
        self.disordered |= tables.scopes.last().is_some_and(|last| last.resource > key.resource);
        tables.scopes.push(Scope {
            resource: key.resource,
            name: key.name,
            version: key.version,
            attrs: key.attrs,
            schema_url: key.schema_url,
            present: true,
            ..Scope::default()
        });
        self.scopes.insert(key, id);
        id
    }

    /// A metric of a scope.
    pub(crate) fn metric(&mut self, scope: u32, text: &MetricText<'_>) -> u32 {
        let tables = self.edit();
        let key = MetricKey {
            scope,
            name: tables.symbols.intern(text.name),
            kind: text.kind,
            description: tables.symbols.intern(text.description),
            unit: tables.symbols.intern(text.unit),
        };
        if let Some(&found) = self.metrics.get(&key) {
            return found;
        }
        let metadata = self.attrs([("prometheus.type", text.kind.as_str())].into_iter());
        let (kind, temporality, monotonic) = otlp_kind(text.kind);
        let tables = Arc::make_mut(&mut self.shared);
        let id = index(tables.metrics.len());
        self.disordered |= tables.metrics.last().is_some_and(|last| last.scope > scope);
        tables.metrics.push(Metric {
            scope,
            name: key.name,
            description: key.description,
            unit: key.unit,
            kind,
            temporality,
            monotonic,
            metadata,
        });
        self.metrics.insert(key, id);
        id
    }

    /// Gives resources the attributes of this scrape's `target_info` series (sorted by resource), and the plain ones
    /// to all others.
    pub(crate) fn set_target_info(&mut self, mut infos: &[(u32, AttrSetId)]) {
        for (id, &plain) in self.plain.iter().enumerate() {
            let mut attrs = plain;
            while let Some(((_, info), rest)) =
                infos.split_first().filter(|((resource, _), _)| *resource as usize <= id)
            {
                attrs = merged(&mut self.shared, attrs, *info, &mut self.pairs);
                infos = rest;
            }
            if self.shared.resources[id].attrs != attrs {
                Arc::make_mut(&mut self.shared).resources[id].attrs = attrs;
            }
        }
    }

    /// Sorts scopes by resource and metrics by scope when something came out of order. Answers where each metric went.
    pub(crate) fn reorder(&mut self) -> Option<Vec<u32>> {
        if !std::mem::take(&mut self.disordered) {
            return None;
        }
        let tables = Arc::make_mut(&mut self.shared);
        let scope_order = order_by(&tables.scopes, |scope| scope.resource);
        let new_scope = inverse(&scope_order);
        tables.scopes = scope_order.iter().map(|&old| tables.scopes[old as usize].clone()).collect();
        for metric in &mut tables.metrics {
            metric.scope = new_scope[metric.scope as usize];
        }
        let metric_order = order_by(&tables.metrics, |metric| metric.scope);
        let new_metric = inverse(&metric_order);
        tables.metrics = metric_order.iter().map(|&old| tables.metrics[old as usize].clone()).collect();
        for id in self.scopes.values_mut() {
            *id = new_scope[*id as usize];
        }
        let old = std::mem::take(&mut self.metrics);
        self.metrics = old
            .into_iter()
            .map(|(key, id)| (MetricKey { scope: new_scope[key.scope as usize], ..key }, new_metric[id as usize]))
            .collect();
        Some(new_metric)
    }

    /// Bytes held, roughly.
    #[cfg(test)]
    pub(crate) fn size_bytes(&self) -> usize {
        self.shared.size_bytes() + self.metrics.capacity() * 28 + self.scopes.capacity() * 28
    }
}

/// Kind, temporality and monotonicity of the OTLP metric for a Prometheus type.
fn otlp_kind(kind: MetricType) -> (MetricKind, Temporality, bool) {
    match kind {
        MetricType::Counter => (MetricKind::Sum, Temporality::Cumulative, true),
        MetricType::Info | MetricType::StateSet => (MetricKind::Sum, Temporality::Cumulative, false),
        MetricType::Histogram => (MetricKind::Histogram, Temporality::Cumulative, false),
        MetricType::Summary => (MetricKind::Summary, Temporality::Unspecified, false),
        MetricType::Gauge | MetricType::GaugeHistogram | MetricType::Unknown => {
            (MetricKind::Gauge, Temporality::Unspecified, false)
        }
    }
}

/// The pairs of `base`, with those of `over` replaced or added.
fn merged(
    shared: &mut Arc<Tables>,
    base: AttrSetId,
    over: AttrSetId,
    pairs: &mut Vec<(SymbolId, ValueId)>,
) -> AttrSetId {
    pairs.clear();
    pairs.extend_from_slice(shared.attrs.pairs(base));
    for &(key, value) in shared.attrs.pairs(over) {
        match pairs.iter_mut().find(|(k, _)| *k == key) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
    match shared.attrs.find(pairs) {
        Some(found) => found,
        None => Arc::make_mut(shared).set(pairs),
    }
}

fn order_by<T>(items: &[T], key: impl Fn(&T) -> u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..index(items.len())).collect();
    order.sort_by_key(|&i| key(&items[i as usize]));
    order
}

fn inverse(order: &[u32]) -> Vec<u32> {
    let mut inverse = vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        inverse[old as usize] = index(new);
    }
    inverse
}

fn index(len: usize) -> u32 {
    u32::try_from(len).expect("fewer than 2^32 entries of a table")
}
