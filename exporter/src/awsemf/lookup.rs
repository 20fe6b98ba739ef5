//! What the metrics and attribute sets of a batch come to, so that a point costs one lookup of two small numbers. Made
//! per batch, or once for all batches of the same tables (`kept`).

use std::sync::Arc;

use hashbrown::HashTable;
use proto::attrs::mix;
use proto::{AttrSetId, Batch, MetricKind, Scope, Tables, Temporality};

use super::config::TranslationSettings;
use super::document::Words;
use super::drops::Reason;
use super::fields::{FieldId, Fields};
use super::form::Form;
use super::layout;
use super::names::{NameId, Names};
use super::plan::{NO_EVENT, Plans, SeriesRef};
use super::resource::{ResourceContext, Resources};
use super::selection::Selections;
use super::shape::Shapes;

/// A metric of the batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricInfo {
    pub(crate) scope: u32,
    pub(crate) kind: MetricKind,
    pub(crate) temporality: Temporality,
    pub(crate) monotonic: bool,
    pub(crate) name: NameId,
    pub(crate) field: FieldId,
    /// Why none of its points is taken.
    pub(crate) refusal: Option<Reason>,
    /// `_sum` and `_count` of a detailed summary.
    pub(crate) detailed: Option<(FieldId, FieldId)>,
}

/// A series that occurs in the batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slot {
    key: u64,
    pub(crate) uid: u64,
    pub(crate) series: u32,
    /// Its event without a quantile; [`NO_EVENT`] before it was asked for.
    pub(crate) event: u32,
    pub(crate) prometheus: bool,
    /// Batch, time and group of its last point without a part or quantile.
    round: u32,
    group: u32,
    time_ms: i64,
}

/// The lookup tables.
#[derive(Default)]
pub(crate) struct Lookup {
    pub(crate) metrics: Vec<MetricInfo>,
    pub(crate) slots: Vec<Slot>,
    index: HashTable<u32>,
    /// Where the next series is expected.
    expected: usize,
    /// Number of the batch.
    round: u32,
    /// When it was made, in seconds since the translator began.
    pub(crate) made_s: u32,
    resources: Vec<Arc<ResourceContext>>,
    scopes: Vec<NameId>,
}

/// The caches that outlive the batch.
pub(crate) struct Caches {
    pub(crate) words: Words,
    pub(crate) names: Names,
    pub(crate) fields: Fields,
    pub(crate) resources: Resources,
    pub(crate) selections: Selections,
    pub(crate) plans: Plans,
    pub(crate) shapes: Shapes,
}

impl Caches {
    pub(crate) fn new(default_stream: Arc<str>, form: Form) -> Caches {
        Caches {
            words: Words::new(form),
            names: Names::new(form),
            fields: Fields::default(),
            resources: Resources::default(),
            selections: Selections::default(),
            plans: Plans::new(default_stream),
            shapes: Shapes::default(),
        }
    }

    /// Whether a cache without expiry of its own has grown over its limit.
    pub(crate) fn is_full(&self) -> bool {
        self.names.is_full() || self.fields.is_full() || self.selections.is_full()
    }
}

impl Lookup {
    /// Begins another batch with the same tables.
    pub(crate) fn begin_again(&mut self) {
        self.expected = 0;
        self.round += 1;
    }

    /// Looks at the tables of a batch. Cleared, not freed, before that.
    pub(crate) fn begin(&mut self, batch: &Batch, settings: &TranslationSettings, caches: &mut Caches, now_s: u32) {
        let tables = &*batch.tables;
        self.made_s = now_s;
        self.slots.clear();
        self.index.clear();
        self.begin_again();
        self.resources.clear();
        let (namespace, conversion) = (&settings.namespace, settings.resource_conversion);
        let resources = tables.resources.iter();
        self.resources.extend(resources.map(|r| caches.resources.get(tables, r.attrs, namespace, conversion)));
        self.scopes.clear();
        // Without a label of its own, a scope tells nothing apart.
        let name = |scope: &Scope| if settings.is_agent() { "" } else { tables.str(scope.name) };
        self.scopes.extend(tables.scopes.iter().map(|scope| caches.names.intern(name(scope))));
        self.metrics.clear();
        let mut text = String::new();
        for metric in &tables.metrics {
            let name = tables.str(metric.name);
            let unit = settings.descriptors.unit(name, tables.str(metric.unit));
            let mut field = |suffix: &str| {
                text.clear();
                text.push_str(name);
                text.push_str(suffix);
                let id = caches.names.intern(&text);
                caches.fields.get(id, unit, settings, &caches.names, &mut caches.selections)
            };
            let detailed = (settings.detailed_metrics || settings.is_agent()) && metric.kind == MetricKind::Summary;
            let info = MetricInfo {
                scope: metric.scope,
                kind: metric.kind,
                temporality: metric.temporality,
                monotonic: metric.monotonic,
                refusal: if settings.is_agent() { layout::refusal(tables, metric) } else { None },
                field: field(""),
                detailed: detailed.then(|| (field("_sum"), field("_count"))),
                name: caches.names.intern(name),
            };
            self.metrics.push(info);
        }
    }

    /// Lets go of the resources of the last batch.
    pub(crate) fn release(&mut self) {
        self.resources.clear();
    }

    /// The slot of a point's series.
    pub(crate) fn slot(
        &mut self,
        tables: &Tables,
        metric: &MetricInfo,
        attributes: AttrSetId,
        plans: &mut Plans,
        now_s: u32,
    ) -> usize {
        let key = u64::from(metric.scope) << 35 | (metric.kind as u64) << 32 | u64::from(attributes.0);
        // Metrics repeat the order in which their series first came.
        if self.slots.get(self.expected).is_some_and(|slot| slot.key == key) {
            self.expected += 1;
            return self.expected - 1;
        }
        let hash = mix(key, 0);
        if let Some(slot) = self.index.find(hash, |slot| self.slots[*slot as usize].key == key) {
            self.expected = *slot as usize + 1;
            return *slot as usize;
        }
        let series = plans.series(&self.reference(tables, metric, attributes), now_s);
        let plan = plans.series.at(series);
        let prometheus = plan.resource.prometheus;
        let slot = Slot { key, uid: plan.uid, series, event: NO_EVENT, prometheus, ..Slot::default() };
        let at = self.slots.len();
        self.slots.push(slot);
        self.expected = at + 1;
        let slots = &self.slots;
        self.index.insert_unique(hash, at as u32, |slot| mix(slots[*slot as usize].key, 0));
        at
    }

    /// The group of a slot's event at this time, if this batch has one.
    pub(crate) fn group(&self, slot: usize, time_ms: i64) -> Option<u32> {
        let slot = &self.slots[slot];
        (slot.round == self.round && slot.time_ms == time_ms).then_some(slot.group)
    }

    /// Notes a slot's event and the group of it at this time.
    pub(crate) fn set_group(&mut self, slot: usize, event: u32, time_ms: i64, group: u32) {
        let round = self.round;
        let slot = &mut self.slots[slot];
        *slot = Slot { event, round, time_ms, group, ..*slot };
    }

    /// What the plans are asked with.
    pub(crate) fn reference<'a>(
        &'a self,
        tables: &'a Tables,
        metric: &MetricInfo,
        attributes: AttrSetId,
    ) -> SeriesRef<'a> {
        let resource = tables.scopes[metric.scope as usize].resource;
        SeriesRef {
            tables,
            resource: &self.resources[resource as usize],
            scope: self.scopes[metric.scope as usize],
            kind: metric.kind,
            attributes,
        }
    }
}
