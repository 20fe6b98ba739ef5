//! What is worked out once per distinct (resource, scope, attributes, kind) and used for every further point: the
//! series, and the event it belongs to with its ready-made JSON. Bounded; what is not used is forgotten.

use std::sync::Arc;

use hashbrown::HashTable;
use processor::metric_declaration::{DeclarationMask, SCOPE_LABEL};
use proto::attrs::mix;
use proto::symbols::hash_bytes;
use proto::{AttrSetId, MetricKind, Tables};
use smallvec::SmallVec;

use super::config::TranslationSettings;
use super::delta::FORGET_AFTER_S;
use super::destination::Destinations;
use super::document::Chosen;
use super::event::{Destination, MAX_BATCH_BYTES};
use super::json::{Json, push_string};
use super::labels::{self, Labels};
use super::names::{NameId, Names};
use super::resource::{AttributeKey, ResourceContext};
use super::selection::Measured;
use super::shape::Remembered;
use super::slab::Slab;

/// Plans kept beyond a batch; a batch may add to them before the next one cleans up.
const MAX_PLANS: usize = 250_000;
/// Bytes of them, which are those of 100,000 plans with labels of a usual length.
const MAX_PLAN_BYTES: usize = 128 << 20;
/// Slots looked at per batch for plans that are no longer used.
const LOOK_PER_BATCH: u32 = 512;
/// Quantiles of a detailed summary kept from batch to batch; real ones have a handful.
const MAX_QUANTILES: usize = 256;
/// Index of no event.
pub(crate) const NO_EVENT: u32 = u32::MAX;

/// Points with the same attributes under the same resource and scope, of one kind.
pub(crate) struct SeriesPlan {
    /// Number of the labels that its points come to, for the state of cumulative series.
    pub(crate) uid: u64,
    /// The event without a `quantile`; [`NO_EVENT`] until it is asked for.
    pub(crate) event: u32,
    /// Events with a `quantile`, by the bits of the quantile.
    quantiles: SmallVec<[(u64, u32); 0]>,
    pub(crate) resource: Arc<ResourceContext>,
    scope: NameId,
    kind: MetricKind,
    attributes: AttributeKey,
    hash: u64,
    seen_s: u32,
}

impl SeriesPlan {
    fn bytes(&self) -> usize {
        size_of::<SeriesPlan>() + self.attributes.bytes()
    }
}

/// What all points of an event share, as text in the form of the documents. Several series may share an event.
pub(crate) struct EventPlan {
    /// JSON string.
    pub(crate) namespace: Box<[u8]>,
    pub(crate) destination: Arc<Destination>,
    pub(crate) kind: MetricKind,
    /// Label names in byte order, each with the end of its `"key":"value",` in `fields`.
    pub(crate) labels: Box<[(NameId, u32)]>,
    pub(crate) fields: Box<[u8]>,
    pub(crate) storage_resolution: i64,
    /// Declarations whose label matchers accept the labels.
    pub(crate) accepted: DeclarationMask,
    /// Measurement objects found out so far.
    pub(crate) directives: Vec<Directive>,
    /// Measurement object by selection.
    pub(crate) by_selection: SmallVec<[(u32, u32); 2]>,
    /// What its documents looked like last.
    pub(crate) shapes: Remembered,
    /// Whether a measurement object has dimension sets that are left out.
    pub(crate) leaves_out_sets: bool,
    /// Series plans that refer to it.
    users: u32,
    /// Memory it takes.
    bytes: usize,
    /// Hashes of the labels before they were made into text, so that equal text means equal labels.
    identity: (u64, u64),
}

/// A measurement object without its metrics.
pub(crate) struct Directive {
    /// Which selection it stands for; the order of measurement objects in the document.
    pub(crate) order: Vec<u32>,
    /// `[["a"],["a","b"]]`; several when each declaration has a measurement object of its own.
    pub(crate) dimensions: Vec<Box<[u8]>>,
    /// Dimension sets left out because they have more than 30 names.
    pub(crate) too_long: u32,
}

/// The caches.
pub(crate) struct Plans {
    pub(crate) series: Slab<SeriesPlan>,
    series_index: HashTable<u32>,
    pub(crate) events: Slab<EventPlan>,
    event_index: HashTable<u32>,
    destinations: Destinations,
    /// Where the next series is expected.
    expected: u32,
    hand: u32,
    pub(crate) limit: usize,
    /// Memory of all plans and of what they share.
    pub(crate) bytes: usize,
    pub(crate) byte_limit: usize,
    /// Text of the events that are new in this batch. It is a part of their documents, so it may be as long as these.
    new_text: usize,
    pub(crate) max_new_text: usize,
    /// Series whose quantiles are to be forgotten before the next batch.
    too_many_quantiles: Vec<u32>,
}

/// What a series is looked up by.
pub(crate) struct SeriesRef<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) resource: &'a Arc<ResourceContext>,
    pub(crate) scope: NameId,
    pub(crate) kind: MetricKind,
    pub(crate) attributes: AttrSetId,
}

impl SeriesRef<'_> {
    /// A number for the resource, the kind and the labels: attributes as text, without those that the scope name or
    /// a resource attribute overwrites. As in the reference, labels are told apart by a 64-bit hash.
    fn uid(&self) -> u64 {
        let (tables, has_scope) = (self.tables, self.scope != NameId::EMPTY);
        let is_overwritten = |key: &str| has_scope && key == SCOPE_LABEL || self.resource.converts(key);
        let labels = tables.attrs.pairs(self.attributes).iter().filter(|(key, _)| !is_overwritten(tables.str(*key)));
        let hash = |symbol| tables.symbols.hash(symbol);
        let content =
            labels.fold(0u64, |sum, (key, value)| sum.wrapping_add(mix(hash(*key), hash(tables.attrs.text(*value)))));
        mix(mix(self.resource.id, self.variant()), content)
    }

    fn variant(&self) -> u64 {
        u64::from(self.scope.number()) << 8 | self.kind as u64
    }
}

impl Plans {
    /// `default_stream` stands in for an empty stream name.
    pub(crate) fn new(default_stream: Arc<str>) -> Plans {
        Plans {
            series: Slab::new(),
            series_index: HashTable::new(),
            events: Slab::new(),
            event_index: HashTable::new(),
            destinations: Destinations::new(default_stream),
            expected: 0,
            hand: 0,
            limit: MAX_PLANS,
            bytes: 0,
            byte_limit: MAX_PLAN_BYTES,
            new_text: 0,
            max_new_text: MAX_BATCH_BYTES,
            too_many_quantiles: Vec::new(),
        }
    }

    /// The series of a point, known or new.
    pub(crate) fn series(&mut self, wanted: &SeriesRef<'_>, now_s: u32) -> u32 {
        let content = wanted.tables.attrs.content_hash(wanted.attributes);
        let hash = mix(mix(wanted.resource.id, wanted.variant()), content);
        let is = |plan: &SeriesPlan| {
            plan.hash == hash
                && plan.resource.id == wanted.resource.id
                && plan.scope == wanted.scope
                && plan.kind == wanted.kind
                && plan.attributes.is(wanted.tables, wanted.attributes)
        };
        // Batches repeat the order in which series first came.
        let found = match self.series.get(self.expected) {
            Some(plan) if is(plan) => Some(self.expected),
            _ => self.series_index.find(hash, |index| is(self.series.at(*index))).copied(),
        };
        if let Some(index) = found {
            self.expected = index + 1;
            self.series.at_mut(index).seen_s = now_s;
            return index;
        }
        let plan = SeriesPlan {
            uid: wanted.uid(),
            event: NO_EVENT,
            quantiles: SmallVec::new(),
            resource: wanted.resource.clone(),
            scope: wanted.scope,
            kind: wanted.kind,
            attributes: AttributeKey::of(wanted.tables, wanted.attributes),
            hash,
            seen_s: now_s,
        };
        self.bytes += plan.bytes() + plan.resource.bytes_of_new_user();
        let index = self.series.insert(plan);
        self.expected = index + 1;
        let series = &self.series;
        self.series_index.insert_unique(hash, index, |index| series.at(*index).hash);
        index
    }

    /// The event of a series, with a `quantile` label when there is one (its bits and its text). [`NO_EVENT`] when the
    /// events that are new in the batch make it too long already.
    pub(crate) fn event(
        &mut self,
        series: u32,
        wanted: &SeriesRef<'_>,
        quantile: Option<(u64, &str)>,
        settings: &TranslationSettings,
        names: &mut Names,
    ) -> u32 {
        let plan = self.series.at(series);
        let known = match quantile {
            None => plan.event,
            Some((bits, _)) => {
                plan.quantiles.iter().find(|(known, _)| *known == bits).map_or(NO_EVENT, |found| found.1)
            }
        };
        if known != NO_EVENT || self.new_text >= self.max_new_text {
            return known;
        }
        let scope = names.text(wanted.scope).to_owned();
        let mut labels =
            labels::labels(settings, wanted.resource, &scope, wanted.tables, wanted.attributes, wanted.kind);
        // Names are resolved before the quantile joins, from the point's own labels.
        let destination = self.destinations.get(settings, wanted.resource, &labels);
        if let Some((_, text)) = quantile {
            labels.insert("quantile".to_owned(), text.to_owned());
        }
        let event = self.intern_event(EventPlan::new(wanted, destination, &labels, settings, names));
        let plan = self.series.at_mut(series);
        match quantile {
            None => plan.event = event,
            Some((bits, _)) => {
                plan.quantiles.push((bits, event));
                if plan.quantiles.len() == MAX_QUANTILES + 1 {
                    self.too_many_quantiles.push(series);
                }
            }
        }
        event
    }

    /// Forgets plans that were not used for long, and some more when there are too many or they are too large; tells
    /// whether they were. Not within a batch: the batch refers to plans by index.
    pub(crate) fn expire(&mut self, now_s: u32) -> bool {
        self.new_text = 0;
        for series in std::mem::take(&mut self.too_many_quantiles) {
            for (_, event) in std::mem::take(&mut self.series.at_mut(series).quantiles) {
                self.release(event);
            }
        }
        let over = self.series.len() > self.limit || self.bytes > self.byte_limit;
        let look = if over { self.series.slots() } else { LOOK_PER_BATCH.min(self.series.slots()) };
        for _ in 0..look {
            self.hand = if self.hand + 1 < self.series.slots() { self.hand + 1 } else { 0 };
            let idle = |plan: &SeriesPlan| now_s.saturating_sub(plan.seen_s);
            let Some(idle_s) = self.series.get(self.hand).map(idle) else { continue };
            let crowded = over && (self.series.len() > self.limit * 9 / 10 || self.bytes > self.byte_limit / 10 * 9);
            if idle_s >= FORGET_AFTER_S || crowded {
                self.forget(self.hand);
            }
        }
        if over {
            self.destinations.purge();
        }
        over
    }

    /// Counts memory that an event has come to take since it was made.
    pub(crate) fn grow(&mut self, event: u32, bytes: usize) {
        self.events.at_mut(event).bytes += bytes;
        self.bytes += bytes;
    }

    fn forget(&mut self, index: u32) {
        let Some(plan) = self.series.take(index) else { return };
        self.bytes -= plan.bytes() + plan.resource.bytes_of_lost_user();
        if let Ok(entry) = self.series_index.find_entry(plan.hash, |known| *known == index) {
            entry.remove();
        }
        let events = plan.quantiles.into_iter().map(|(_, event)| event).chain([plan.event]);
        for event in events.filter(|event| *event != NO_EVENT) {
            self.release(event);
        }
    }

    /// Forgets an event when this was its last user.
    fn release(&mut self, event: u32) {
        let shared = self.events.at_mut(event);
        shared.users -= 1;
        if shared.users == 0 {
            let hash = shared.identity.0;
            self.bytes -= shared.bytes;
            self.events.take(event);
            if let Ok(entry) = self.event_index.find_entry(hash, |known| *known == event) {
                entry.remove();
            }
        }
    }

    fn intern_event(&mut self, plan: EventPlan) -> u32 {
        let hash = plan.identity.0;
        if let Some(&index) = self.event_index.find(hash, |index| self.events.at(*index).is(&plan)) {
            self.events.at_mut(index).users += 1;
            return index;
        }
        self.bytes += plan.bytes;
        self.new_text += plan.fields.len();
        let index = self.events.insert(plan);
        let events = &self.events;
        self.event_index.insert_unique(hash, index, |index| events.at(*index).identity.0);
        index
    }
}

impl EventPlan {
    fn new(
        wanted: &SeriesRef<'_>,
        destination: Arc<Destination>,
        labels: &Labels,
        settings: &TranslationSettings,
        names: &mut Names,
    ) -> EventPlan {
        let label = |name: &str| labels.get(name).map(String::as_str);
        let accepted =
            settings.declarations.accepting(|name| label(name).filter(|_| name != labels::STORAGE_RESOLUTION));
        let mut fields = Vec::new();
        let mut ends = Vec::with_capacity(labels.len());
        let mut identity = (wanted.kind as u64, u64::from(destination.id));
        identity.0 = mix(identity.0, hash_bytes(wanted.resource.namespace.as_bytes()));
        for (name, value) in labels {
            identity.0 = mix(identity.0, mix(hash_bytes(name.as_bytes()), hash_bytes(value.as_bytes())));
            identity.1 = mix(hash_bytes(value.as_bytes()), mix(identity.1, name.len() as u64));
            if name == labels::STORAGE_RESOLUTION {
                continue;
            }
            let id = names.intern(name);
            fields.extend_from_slice(names.field(id));
            let mut text = Vec::new();
            push_value(&mut text, name, value, &settings.json_labels);
            text.push(b',');
            fields.extend_from_slice(&names.form.seal(text));
            ends.push((id, fields.len() as u32));
        }
        let mut namespace = Vec::new();
        push_string(&mut namespace, &wanted.resource.namespace);
        let texts = namespace.len() + fields.len() + destination.group.len() + destination.stream.len();
        EventPlan {
            bytes: size_of::<EventPlan>() + size_of_val(&*ends) + texts,
            namespace: names.form.seal(namespace),
            destination,
            kind: wanted.kind,
            labels: ends.into_boxed_slice(),
            // A copy, because an allocator seldom takes back the rest of a vector.
            fields: Box::from(&*fields),
            storage_resolution: label(labels::STORAGE_RESOLUTION).and_then(|text| text.parse().ok()).unwrap_or(60),
            accepted,
            directives: Vec::new(),
            by_selection: SmallVec::new(),
            shapes: Remembered::new(),
            leaves_out_sets: false,
            users: 1,
            identity,
        }
    }

    /// The measurement objects that rows use, in the order of the document.
    pub(crate) fn directives_of(&self, rows: &[Chosen], directives: &mut Vec<u32>) {
        directives.clear();
        for one in rows {
            if let Measured::In(directive) = one.measured
                && !directives.contains(&directive)
            {
                directives.push(directive);
            }
        }
        let order = |directive: &u32| &self.directives[*directive as usize].order;
        directives.sort_unstable_by(|a, b| order(a).cmp(order(b)));
    }

    /// The text of labels from one position to before another, each with a comma behind it.
    pub(crate) fn label_text(&self, from: u32, to: u32) -> &[u8] {
        let end = |labels: u32| labels.checked_sub(1).map_or(0, |last| self.labels[last as usize].1 as usize);
        &self.fields[end(from)..end(to)]
    }

    /// Dimension sets that an event of these rows lacks because they are too long.
    pub(crate) fn left_out_sets(&self, rows: &[Chosen]) -> u64 {
        let is_used = |index: usize| {
            let index = index as u32;
            rows.iter().any(|row| matches!(row.measured, Measured::In(at) | Measured::Nowhere(at) if at == index))
        };
        let used = self.directives.iter().enumerate().filter(|(index, _)| is_used(*index));
        used.map(|(_, directive)| u64::from(directive.too_long)).sum()
    }

    fn is(&self, other: &EventPlan) -> bool {
        self.identity == other.identity
            && self.kind == other.kind
            && self.destination.id == other.destination.id
            && self.namespace == other.namespace
            && self.storage_resolution == other.storage_resolution
            && self.fields == other.fields
    }
}

/// A label's value: a string, or what its text says in JSON when the configuration asks for it. A name listed twice
/// is decoded twice.
fn push_value(out: &mut Vec<u8>, name: &str, value: &str, json_labels: &[String]) {
    let mut decoded: Option<Json> = None;
    for _ in json_labels.iter().filter(|listed| *listed == name) {
        let text = match &decoded {
            None => value,
            Some(Json::Text(text)) => text,
            Some(_) => break,
        };
        match Json::parse(text) {
            Some(json) => decoded = Some(json),
            None => break,
        }
    }
    match decoded {
        Some(json) => json.push(out),
        None => push_string(out, value),
    }
}
