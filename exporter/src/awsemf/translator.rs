//! The translation of batches into events: reads points into rows, groups them, writes documents. Single owner; keeps
//! plans and the previous values of cumulative series from batch to batch.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use proto::{Batch, Counter, Selection};

use super::bounds::Bounds;
use super::config::TranslationSettings;
use super::cumulative::{BucketDifference, Buckets, Totals};
use super::delta::{Deltas, MAX_SERIES};
use super::document::{Chosen, Document};
use super::drops::{Drops, Notice, Quiet, Reason};
use super::event::{EventRef, EventSink, MAX_BATCH_BYTES, MAX_DOCUMENT_BYTES};
use super::form::Form;
use super::group::{Group, Row, Rows};
use super::kept::Kept;
use super::lookup::{Caches, Lookup};
use super::number_texts::NumberTexts;
use super::plan::NO_EVENT;
use super::points::Marks;
use super::selection::Measured;
use super::shape::Filling;
use crate::Encoded;

/// Metric definitions that CloudWatch takes in one measurement object; an event that has more yields no metric.
pub(crate) const MAX_METRICS: usize = 100;

/// The time as the translation uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Wall clock, for points without a time.
    pub(crate) unix_ms: i64,
    /// Seconds since the translator began, for expiry.
    pub(crate) seconds: u32,
}

/// Translates batches; one per exporter.
pub struct Translator {
    pub(crate) settings: Arc<TranslationSettings>,
    exporter: String,
    pub(crate) caches: Caches,
    pub(crate) lookup: Lookup,
    pub(crate) kept: Kept,
    /// For its memory, while a kept one is in use.
    spare: Lookup,
    pub(crate) rows: Rows,
    pub(crate) sums: Deltas<f64>,
    pub(crate) totals: Deltas<Totals>,
    pub(crate) buckets: Deltas<Buckets>,
    pub(crate) bucket_difference: BucketDifference,
    pub(crate) bounds: Bounds,
    pub(crate) drops: Drops,
    quiet: Quiet,
    pub(crate) too_long_sets: Counter,
    began: Instant,
    default_stream: Arc<str>,
    form: Form,
    // Kept for their memory.
    chosen: Vec<Chosen>,
    directives: Vec<u32>,
    document: Vec<u8>,
    texts: NumberTexts,
    /// Dimension sets left out of the events of this batch.
    too_long: u64,
    /// Bytes of the documents of this batch.
    batch_bytes: usize,
    pub(crate) max_batch_bytes: usize,
}

impl Translator {
    /// A translator for the exporter of this id that writes documents in this form. `too_long_sets` counts dimension
    /// sets that are left out.
    pub fn new(settings: Arc<TranslationSettings>, exporter: &str, too_long_sets: Counter, form: Form) -> Translator {
        // The CloudWatch agent's rule for equal times is to take the second value raw, which ours drops.
        let strict = settings.is_agent();
        let default_stream: Arc<str> = format!("otel-stream-{}", uuid::Uuid::new_v4()).into();
        Translator {
            settings,
            exporter: exporter.to_owned(),
            caches: Caches::new(default_stream.clone(), form),
            lookup: Lookup::default(),
            kept: Kept::default(),
            spare: Lookup::default(),
            rows: Rows::default(),
            sums: Deltas::new(MAX_SERIES).strict(strict),
            totals: Deltas::new(MAX_SERIES).strict(strict),
            buckets: Deltas::new(MAX_SERIES / 10),
            bucket_difference: BucketDifference::default(),
            bounds: Bounds::default(),
            drops: Drops::default(),
            quiet: Quiet::default(),
            too_long_sets,
            began: Instant::now(),
            default_stream,
            form,
            chosen: Vec::new(),
            directives: Vec::new(),
            document: Vec::new(),
            texts: NumberTexts::default(),
            too_long: 0,
            batch_bytes: 0,
            max_batch_bytes: MAX_BATCH_BYTES,
        }
    }

    /// Translates a batch. Every point of it is either in an event that the sink took, or counted as dropped.
    pub fn translate(&mut self, batch: &Batch, sink: &mut dyn EventSink) -> Encoded {
        let unix_ms = match batch.meta.received_ms {
            0 => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64),
            received => received,
        };
        let seconds = u32::try_from(self.began.elapsed().as_secs()).unwrap_or(u32::MAX);
        self.translate_at(batch, Now { unix_ms: unix_ms as i64, seconds }, sink)
    }

    /// As [`Translator::translate`] at a given time.
    pub(crate) fn translate_at(&mut self, batch: &Batch, now: Now, sink: &mut dyn EventSink) -> Encoded {
        self.expire(now);
        self.drops.clear();
        self.rows.clear();
        self.look_up(batch, now);
        self.read(batch, now);
        self.caches.names.settle();
        self.caches.shapes.begin();
        self.rows.arrange(&self.caches.fields, &self.caches.names);
        self.explain_unsupported(now);
        self.batch_bytes = 0;
        let mut kept = 0;
        for group in 0..self.rows.groups() {
            kept += self.write_group(group, now, sink);
        }
        self.explain_batch_too_large(now);
        let lookup = std::mem::take(&mut self.lookup);
        self.lookup = self.kept.give(batch, lookup).unwrap_or_else(|| std::mem::take(&mut self.spare));
        let too_long = std::mem::take(&mut self.too_long);
        if too_long > 0 {
            self.too_long_sets.add(too_long);
            if self.quiet.may_say(Notice::TooManyDimensions, now.seconds) {
                tracing::warn!(
                    exporter = %self.exporter,
                    "dimension sets with more than 30 labels are left out, CloudWatch does not take them; \
                     select dimensions with metric_declarations"
                );
            }
        }
        Encoded { kept, dropped: self.drops.counts() }
    }

    /// Begins the batch with the lookup of its tables, known or new.
    fn look_up(&mut self, batch: &Batch, now: Now) {
        match self.kept.take(batch, now.seconds) {
            Some(known) => {
                self.spare = std::mem::replace(&mut self.lookup, known);
                self.lookup.begin_again();
            }
            None => self.lookup.begin(batch, &self.settings, &mut self.caches, now.seconds),
        }
    }

    /// Says at most once a minute that metrics are left out for their type.
    fn explain_unsupported(&mut self, now: Now) {
        let points = self.drops.of(Reason::UnsupportedType);
        if points > 0 && self.quiet.may_say(Notice::UnsupportedType, now.seconds) {
            tracing::info!(
                exporter = %self.exporter,
                points,
                "Drop Prometheus metrics with unsupported types. Only Gauge, Counter and Summary are supported. \
                 They are counted as dropped with reason unsupported_type"
            );
        }
    }

    /// Says at most once a minute that events would have been too long together.
    fn explain_batch_too_large(&mut self, now: Now) {
        let points = self.drops.of(Reason::BatchTooLarge);
        if points > 0 && self.quiet.may_say(Notice::BatchTooLarge, now.seconds) {
            tracing::warn!(
                exporter = %self.exporter,
                points,
                "the events of one batch would be longer than {} MiB together; the points beyond are counted as dropped \
                 with reason batch_too_large. Send smaller requests (send_batch_max_size of the batch processor), or \
                 leave out long attributes, which every event repeats",
                self.max_batch_bytes >> 20
            );
        }
    }

    fn expire(&mut self, now: Now) {
        if self.caches.is_full() {
            if self.quiet.may_say(Notice::CacheFull, now.seconds) {
                tracing::warn!(
                    exporter = %self.exporter,
                    "more than 200000 distinct metric names, units and label names were received, or 32 MiB of them; \
                     all caches start over, cumulative series lose a value"
                );
            }
            let strict = self.settings.is_agent();
            self.kept.clear();
            self.caches = Caches::new(self.default_stream.clone(), self.form);
            self.sums = Deltas::new(MAX_SERIES).strict(strict);
            self.totals = Deltas::new(MAX_SERIES).strict(strict);
            self.buckets = Deltas::new(MAX_SERIES / 10);
        }
        if self.caches.plans.expire(now.seconds) {
            self.lookup.release();
            self.kept.clear();
            self.caches.resources.purge();
        }
        self.sums.expire(self.sums.slots() / 1024, now.seconds);
        self.totals.expire(self.totals.slots() / 1024, now.seconds);
        self.buckets.expire(self.buckets.slots() / 1024, now.seconds);
    }

    fn read(&mut self, batch: &Batch, now: Now) {
        // Declarations of our own win over the marks of a processor.
        let marked = batch.meta.selection.as_deref().filter(|_| self.settings.declarations.is_empty());
        let selections = marked.map(|marks| self.caches.selections.of_marks(&batch.tables, marks)).unwrap_or_default();
        let column = |points: fn(&Selection) -> &Vec<u32>| Marks {
            points: marked.map_or(&[], |marks| points(marks)),
            selections: &selections,
        };
        self.read_numbers(batch, &column(|marks| &marks.numbers), now);
        self.read_histograms(batch, &column(|marks| &marks.histograms), now);
        self.read_exponentials(batch, &column(|marks| &marks.exponentials), now);
        self.read_summaries(batch, &column(|marks| &marks.summaries), now);
    }

    /// Writes the events of a group, usually one; returns the number of points that were taken.
    fn write_group(&mut self, index: usize, now: Now, sink: &mut dyn EventSink) -> u64 {
        if self.rows.rows_of(index).0.event == NO_EVENT {
            let (_, rows) = self.rows.rows_of(index);
            rows.for_each(|row| self.drops.add(Reason::BatchTooLarge, row.points));
            return 0;
        }
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        let event = self.choose(index, now, &mut chosen);
        let mut kept = 0;
        let mut rest = &chosen[..];
        while !rest.is_empty() {
            let (now_written, later) = rest.split_at(self.fitting(rest));
            kept += self.write_event(index, event, now_written, now, sink);
            rest = later;
        }
        self.chosen = chosen;
        kept
    }

    /// Takes the rows of a group that are written: the first of each name, and with `drop_unmatched` only selected ones.
    fn choose(&mut self, index: usize, now: Now, chosen: &mut Vec<Chosen>) -> u32 {
        let (group, rows) = self.rows.rows_of(index);
        let caches = &mut self.caches;
        let plan = caches.plans.events.at_mut(group.event);
        let mut last: Option<(&Row, Measured)> = None;
        let mut grown = 0;
        for row in rows {
            let name = caches.fields.at(row.field).name;
            if last.is_some_and(|(last, _)| caches.fields.at(last.field).name == name) {
                self.drops.add(Reason::Duplicate, row.points);
                if self.quiet.may_say(Notice::Duplicate, now.seconds) {
                    tracing::warn!(
                        exporter = %self.exporter,
                        metric = caches.names.text(name),
                        labels = %String::from_utf8_lossy(&plan.fields),
                        "Duplicate metric found: another data point has the same name, labels and time; \
                         further ones are counted as dropped with reason duplicate"
                    );
                }
                continue;
            }
            let measured = match last {
                Some((last, measured)) if last.selection == row.selection => measured,
                _ => caches.selections.measured(plan, row.selection, &self.settings, &caches.names, &mut grown),
            };
            last = Some((row, measured));
            if measured == Measured::Unmatched && self.settings.drop_unmatched {
                self.drops.add(Reason::Unmatched, row.points);
            } else {
                chosen.push(Chosen { row: *row, measured });
            }
        }
        if grown > 0 {
            caches.plans.grow(group.event, grown);
        }
        group.event
    }

    /// How many rows from the front fit an event by number: at most 100 in any measurement object.
    fn fitting(&self, rows: &[Chosen]) -> usize {
        if rows.len() <= MAX_METRICS {
            return rows.len();
        }
        let mut used: Vec<(u32, usize)> = Vec::new();
        for (at, one) in rows.iter().enumerate() {
            let Measured::In(directive) = one.measured else { continue };
            match used.iter_mut().find(|(known, _)| *known == directive) {
                Some((_, count)) if *count == MAX_METRICS => return at,
                Some((_, count)) => *count += 1,
                None => used.push((directive, 1)),
            }
        }
        rows.len()
    }

    /// Writes rows as one event, or as several when it would be too long.
    fn write_event(&mut self, index: usize, event: u32, rows: &[Chosen], now: Now, sink: &mut dyn EventSink) -> u64 {
        let points = rows.iter().map(|one| one.row.points).sum();
        if self.batch_bytes >= self.max_batch_bytes {
            self.drops.add(Reason::BatchTooLarge, points);
            return 0;
        }
        let (group, _) = self.rows.rows_of(index);
        let plain_len = self.write_document(event, group, rows);
        let plan = self.caches.plans.events.at(event);
        if plain_len > MAX_DOCUMENT_BYTES {
            if rows.len() > 1 {
                let (first, second) = rows.split_at(rows.len() / 2);
                return self.write_event(index, event, first, now, sink)
                    + self.write_event(index, event, second, now, sink);
            }
            self.drops.add(Reason::TooLarge, points);
            if self.quiet.may_say(Notice::TooLarge, now.seconds) {
                tracing::warn!(
                    exporter = %self.exporter,
                    log_group = %plan.destination.group,
                    bytes = plain_len,
                    "an event with a single metric is longer than the 1 MB that CloudWatch Logs takes; it is dropped"
                );
            }
            return 0;
        }
        let event = EventRef {
            destination: &plan.destination,
            timestamp_ms: group.time_ms,
            document: &self.document,
            plain_len,
            points,
        };
        match sink.event(event) {
            Ok(()) => {
                self.batch_bytes += self.document.len();
                if plan.leaves_out_sets {
                    self.too_long += plan.left_out_sets(rows);
                }
                u64::from(points)
            }
            Err(reason) => {
                self.drops.add_refused(reason, points);
                0
            }
        }
    }

    /// Fills `document` with rows of an event, in a shape that the event remembers if there is one; gives its length in
    /// plain JSON.
    fn write_document(&mut self, event: u32, group: Group, rows: &[Chosen]) -> usize {
        let is_prometheus = group.prometheus && !self.settings.is_agent();
        let caches = &mut self.caches;
        let mut remembered = std::mem::take(&mut caches.plans.events.at_mut(event).shapes);
        let plan = caches.plans.events.at(event);
        let shape = match caches.shapes.find(&remembered, rows, is_prometheus) {
            Some(known) => caches.shapes.at(known),
            None => {
                let document = Document {
                    version: self.settings.version,
                    layout: self.settings.layout,
                    names: &caches.names,
                    fields: &caches.fields,
                    words: &caches.words,
                    plan,
                    prometheus: is_prometheus,
                };
                let directives = &mut self.directives;
                caches.shapes.make(&mut remembered, rows, is_prometheus, self.form, |shape| {
                    plan.directives_of(rows, directives);
                    document.outline(shape, rows, directives);
                })
            }
        };
        self.document.clear();
        let filling = Filling {
            plan,
            chosen: rows,
            rows: &self.rows,
            words: &caches.words,
            time_ms: group.time_ms,
            form: self.form,
        };
        let plain_len = shape.write(&mut self.document, &filling, &mut self.texts);
        caches.plans.events.at_mut(event).shapes = remembered;
        plain_len
    }
}
