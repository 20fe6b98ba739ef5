//! The series of one target over its scrapes: from the raw bytes `name{labels}` of a page straight to a point in the
//! batch. In the steady state no label is decoded and nothing is allocated per sample; consecutive batches share their
//! tables. Does no I/O and keeps no clock.

mod again;
mod assemble;
mod capacity;
mod columns;
mod entries;
mod error;
mod exemplar;
mod group;
mod layout;
mod rebuild;
mod report;
mod resolve;
mod stale;
mod tables;

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod size;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use hashbrown::HashMap;
use proto::{AttrSetId, Batch};

use super::config::Limits;
use super::families::{Families, Saying};
use super::labels::ValidationScheme;
use super::relabel::RelabelRule;
use super::text::{Entry as Line, Format, Lexer, MetricType, Sample as PageSample};
pub(crate) use capacity::Capacity;
use columns::Columns;
use entries::{Entries, ScrapeNumber};
pub(crate) use error::ScrapeError;
use group::{Created, Distribution, DistributionKind, DistributionPart, NONE, NumberGroup, Role, Sample};
use layout::Layouts;
pub(crate) use report::Report;
use tables::TableBuilder;

/// Samples further in the future than this are dropped.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// What a job says about samples; shared by its targets.
#[derive(Clone, Debug)]
pub(crate) struct SampleRules {
    /// `honor_labels`
    pub(crate) honor_labels: bool,
    /// `honor_timestamps`
    pub(crate) honor_timestamps: bool,
    /// `track_timestamps_staleness`
    pub(crate) track_timestamps_staleness: bool,
    /// `trim_metric_suffixes`
    pub(crate) trim_metric_suffixes: bool,
    /// `type_by_original_name`
    pub(crate) type_by_original_name: bool,
    /// `extra_scrape_metrics`
    pub(crate) extra_scrape_metrics: bool,
    /// Limits that fail a scrape.
    pub(crate) limits: Limits,
    /// What is kept of a target at most.
    pub(crate) capacity: Capacity,
    /// Which names are valid.
    pub(crate) validation: ValidationScheme,
    /// `metric_relabel_configs`
    pub(crate) metric_relabel: Vec<RelabelRule>,
    /// `global.external_labels`
    pub(crate) external_labels: Vec<(String, String)>,
    /// Version of the collector, that of the scope.
    pub(crate) version: &'static str,
}

/// Who a target is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetIdentity {
    /// Labels that its samples get, sorted by name: all but those that start with `__`.
    pub(crate) labels: Vec<(String, String)>,
    /// Of the labels.
    pub(crate) job: String,
    /// Of the labels.
    pub(crate) instance: String,
    /// `__scheme__` before relabelling.
    pub(crate) scheme: String,
    /// Resource attributes from discovery.
    pub(crate) discovered: Vec<(&'static str, String)>,
}

/// What a page had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Sample lines.
    pub(crate) scraped: u64,
    /// Those that `metric_relabel_configs` left.
    pub(crate) post_relabel: u64,
    /// Series that were not there before.
    pub(crate) added: u64,
    /// Samples dropped because the same series came twice.
    pub(crate) duplicates: u64,
    /// Samples dropped because they are from the future.
    pub(crate) out_of_bounds: u64,
    /// Samples that fit into no point.
    pub(crate) rejected: u64,
}

/// The cache of one target.
pub(crate) struct SeriesCache {
    rules: Arc<SampleRules>,
    target: Arc<TargetIdentity>,
    entries: Entries,
    families: Families,
    tables: TableBuilder,
    numbers: Vec<NumberGroup>,
    number_index: HashMap<(u32, AttrSetId), u32>,
    created: Vec<Created>,
    distributions: Vec<Distribution>,
    distribution_index: HashMap<(u32, AttrSetId), u32>,
    values: Vec<u64>,
    layouts: Layouts,
    report_groups: Vec<u32>,

    /// Number of this scrape.
    scrape: ScrapeNumber,
    /// Last scrape after which series that it did not have were forgotten.
    flushed: ScrapeNumber,
    /// Spellings of series that were cached after the last good page.
    cached_when_good: usize,
    /// Number of cached spellings up to which this page surely has not too many.
    may_grow_to: usize,
    /// Marks what was touched; changes when a page is taken back.
    round: u32,
    time_ms: i64,
    max_time_ms: i64,
    /// Type of the last `# TYPE` line, as far as it matters for reading labels: histogram, summary or another.
    current_type: MetricType,
    /// The series that the next line is expected to have.
    cursor: u32,
    /// Samples counted against `sample_limit`.
    appended: u64,
    limit_hit: bool,
    tracked_now: usize,
    tracked_before: usize,
    seen_again: usize,
    counts: Counts,
    rejection: Option<(String, &'static str)>,
    columns: Columns,
    touched: Vec<u32>,
    infos: Vec<(u32, AttrSetId)>,
    exemplars_interned: usize,
    series_at_last_shrink: usize,
}

impl SeriesCache {
    /// An empty cache.
    pub(crate) fn new(rules: Arc<SampleRules>, target: Arc<TargetIdentity>) -> SeriesCache {
        SeriesCache {
            families: Families::new(rules.capacity.families, rules.capacity.metadata_bytes),
            rules,
            target,
            entries: Entries::default(),
            tables: TableBuilder::default(),
            numbers: Vec::new(),
            number_index: HashMap::new(),
            created: Vec::new(),
            distributions: Vec::new(),
            distribution_index: HashMap::new(),
            values: Vec::new(),
            layouts: Layouts::default(),
            report_groups: Vec::new(),
            scrape: 1,
            flushed: 1,
            cached_when_good: 0,
            may_grow_to: 0,
            round: 0,
            time_ms: 0,
            max_time_ms: 0,
            current_type: MetricType::Unknown,
            cursor: 0,
            appended: 0,
            limit_hit: false,
            tracked_now: 0,
            tracked_before: 0,
            seen_again: 0,
            counts: Counts::default(),
            rejection: None,
            columns: Columns::default(),
            touched: Vec::new(),
            infos: Vec::new(),
            exemplars_interned: 0,
            series_at_last_shrink: 0,
        }
    }

    /// Takes a page, or notes that there was none. `time_ms` is the time of samples that have none, `now_ms` the wall
    /// clock. Has to be followed by [`SeriesCache::finish`].
    ///
    /// # Errors
    /// Why the page was refused; nothing of it is in the batch then.
    pub(crate) fn take(&mut self, page: Option<(&[u8], Format)>, time_ms: i64, now_ms: i64) -> Result<(), ScrapeError> {
        self.begin(time_ms, now_ms);
        let result = match page {
            Some((body, format)) if !body.is_empty() => self.read(body, format),
            _ => Ok(()),
        };
        if result.is_err() {
            self.round += 1;
            self.columns.clear();
            self.touched.clear();
            self.infos.clear();
            self.families.catch_up();
        }
        self.mark_ended(result.is_err());
        if page.is_some_and(|(body, _)| !body.is_empty()) {
            self.forget_gone(&result);
        }
        result
    }

    /// What the page had, up to the failing line when it was refused.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The first series of the page that fits into no point, and why.
    pub(crate) fn rejection(&self) -> Option<(&str, &'static str)> {
        self.rejection.as_ref().map(|(series, reason)| (series.as_str(), *reason))
    }

    /// Adds the report series and hands out the batch of this scrape.
    pub(crate) fn finish(&mut self, report: Report) -> Batch {
        self.add_report(report);
        self.build_batch()
    }

    /// The target is gone: a batch that ends all its series and the report series, at `time_ms`.
    pub(crate) fn end(&mut self, time_ms: i64) -> Batch {
        self.begin(time_ms, time_ms);
        self.mark_ended(false);
        for i in 0..self.report_groups.len() {
            self.add_number(self.report_groups[i], Sample { value: None, time_ms });
        }
        self.build_batch()
    }

    /// Bytes held between scrapes, roughly.
    #[cfg(test)]
    pub(crate) fn size_bytes(&self) -> usize {
        self.entries.size_bytes()
            + self.families.size_bytes()
            + self.tables.size_bytes()
            + self.numbers.capacity() * size_of::<NumberGroup>()
            + (self.number_index.capacity() + self.distribution_index.capacity()) * 14
            + self.created.capacity() * size_of::<Created>()
            + self.distributions.capacity() * size_of::<Distribution>()
            + self.values.capacity() * 8
            + self.layouts.size_bytes()
    }

    /// Spellings of series that are cached.
    #[cfg(test)]
    pub(crate) fn series(&self) -> usize {
        self.entries.len()
    }

    fn begin(&mut self, time_ms: i64, now_ms: i64) {
        self.scrape += 1;
        self.round += 1;
        self.time_ms = time_ms;
        self.max_time_ms = now_ms.saturating_add(MAX_AHEAD_MS);
        self.current_type = MetricType::Unknown;
        self.cursor = 0;
        self.appended = 0;
        self.may_grow_to = self.rules.capacity.series;
        self.limit_hit = false;
        self.tracked_before = std::mem::take(&mut self.tracked_now);
        self.seen_again = 0;
        self.counts = Counts::default();
        self.rejection = None;
        self.columns.clear();
        self.touched.clear();
        self.infos.clear();
        self.families.catch_up();
    }

    fn read(&mut self, body: &[u8], format: Format) -> Result<(), ScrapeError> {
        let mut lexer = Lexer::new(body, format);
        loop {
            self.read_again(&mut lexer);
            let Some(line) = lexer.next_entry_expecting(self.entries.expected(self.cursor))? else { break };
            match line {
                Line::Sample(sample) => self.sample(&sample)?,
                Line::Type { name, kind } => {
                    let has_numbers_in_labels = matches!(kind, MetricType::Histogram | MetricType::Summary);
                    self.current_type = if has_numbers_in_labels { kind } else { MetricType::Unknown };
                    self.say(&name, Saying::Type(kind))?;
                }
                Line::Help { name, text } => self.say(&name, Saying::Help(&text))?,
                Line::Unit { name, unit } => self.say(&name, Saying::Unit(&unit))?,
            }
        }
        if self.limit_hit {
            return Err(ScrapeError::SampleLimit { limit: self.rules.limits.samples });
        }
        Ok(())
    }

    fn say(&mut self, name: &str, saying: Saying<'_>) -> Result<(), ScrapeError> {
        self.families.say(name, saying, self.scrape, |name| self.columns.is_named(name))
    }

    fn sample(&mut self, page: &PageSample<'_>) -> Result<(), ScrapeError> {
        self.counts.scraped += 1;
        let id = self.series_of(page)?;
        self.cursor = id + 1;
        let entry = *self.entries.get(id);
        self.entries.get_mut(id).seen = self.scrape;
        if entry.role == Role::Dropped {
            return Ok(());
        }
        self.counts.post_relabel += 1;
        let explicit = page.timestamp_ms.filter(|_| self.rules.honor_timestamps);
        let sample = Sample { value: Some(page.value), time_ms: explicit.unwrap_or(self.time_ms) };
        let is_known = entry.is_kept && entry.seen >= self.flushed;
        if is_known && entry.seen == self.scrape && explicit.is_none() {
            self.counts.duplicates += 1;
            self.add_exemplar(entry.role, page, sample.time_ms);
            return Ok(());
        }
        if !is_known {
            self.entries.get_mut(id).is_kept = false;
        }
        let limit = self.rules.limits.samples;
        if limit != 0 {
            self.appended += 1;
            if self.appended > limit {
                self.limit_hit = true;
                return Ok(());
            }
        }
        if sample.time_ms > self.max_time_ms {
            self.counts.out_of_bounds += 1;
            self.add_exemplar(entry.role, page, sample.time_ms);
            return Ok(());
        }
        if !is_known && !self.limit_hit {
            self.counts.added += 1;
        }
        let is_in = self.add(entry.role, sample, page.series);
        self.add_exemplar(entry.role, page, sample.time_ms);
        if !is_in && !is_known {
            return Ok(());
        }
        let track = explicit.is_none() || self.rules.track_timestamps_staleness;
        let (scrape, before) = (self.scrape, self.scrape - 1);
        let kept = self.entries.get_mut(id);
        kept.is_kept = true;
        if track && kept.tracked != scrape {
            self.seen_again += usize::from(kept.tracked == before);
            self.tracked_now += 1;
            kept.tracked = scrape;
        }
        Ok(())
    }

    /// The cached series of a line, resolved anew when it is unknown or the family metadata has changed.
    fn series_of(&mut self, page: &PageSample<'_>) -> Result<u32, ScrapeError> {
        let found = if page.expected { Some(self.cursor) } else { self.entries.find(page.series) };
        let generation = self.families.generation();
        match found {
            Some(id) => {
                let known = self.entries.get(id);
                let is_current = known.generation == generation;
                if is_current && known.read_as == self.current_type {
                    return Ok(id);
                }
                // Prometheus reads labels again only of series that it has forgotten.
                let is_kept = known.is_kept || known.role == Role::Dropped;
                let is_remembered = is_kept && known.seen >= self.flushed;
                let read_as = if is_remembered { known.read_as } else { self.current_type };
                if is_current && known.read_as == read_as {
                    return Ok(id);
                }
                let role = self.resolve(page.series, read_as)?;
                let entry = self.entries.get_mut(id);
                entry.role = role;
                entry.read_as = read_as;
                entry.generation = generation;
                Ok(id)
            }
            None => {
                self.reserve(page.series)?;
                let role = self.resolve(page.series, self.current_type)?;
                Ok(self.entries.add(page.series, role, self.current_type, generation))
            }
        }
    }

    /// Puts a sample where it belongs. False when it fits into no point.
    #[inline]
    fn add(&mut self, role: Role, sample: Sample, series: &[u8]) -> bool {
        let is_in = match role {
            Role::Number { group } => self.add_number(group, sample),
            Role::NumberCreated { group } => self.add_created(group, sample),
            Role::Part { distribution, part } => self.add_part(distribution, part, sample),
            Role::TargetInfo { resource, attrs } => {
                self.infos.push((resource, attrs));
                return false;
            }
            Role::Dropped => return true,
            Role::Rejected(_) => false,
        };
        if !is_in {
            self.counts.rejected += 1;
            if self.rejection.is_none() {
                let reason = match role {
                    Role::Rejected(rejection) => rejection.reason(),
                    _ => "inconsistent timestamps on metric points",
                };
                self.rejection = Some((String::from_utf8_lossy(series).into_owned(), reason));
            }
        }
        is_in
    }

    #[inline]
    fn add_number(&mut self, group: u32, sample: Sample) -> bool {
        let state = &mut self.numbers[group as usize];
        let time_unix_nano = sample.time_unix_nano();
        let mut start_unix_nano = 0;
        if state.round == self.round && state.point != NONE {
            return self.columns.replace_number(state.point, time_unix_nano, sample.value);
        }
        if state.created != NONE {
            let created = self.created[state.created as usize];
            if created.round == self.round {
                if created.time_ms != sample.time_ms {
                    return false;
                }
                start_unix_nano = created.start_unix_nano;
            }
        }
        state.round = self.round;
        state.point =
            self.columns.push_number(state.metric, state.attrs, time_unix_nano, start_unix_nano, sample.value);
        true
    }

    fn add_created(&mut self, group: u32, sample: Sample) -> bool {
        let state = &mut self.numbers[group as usize];
        let start_unix_nano = sample.value.map_or(sample.time_unix_nano(), group::seconds_to_nano);
        if state.round == self.round && state.point != NONE {
            return self.columns.set_start(state.point, sample.time_unix_nano(), start_unix_nano);
        }
        let created = Created { round: self.round, time_ms: sample.time_ms, start_unix_nano };
        if state.created == NONE {
            state.created = u32::try_from(self.created.len()).expect("fewer start times than series");
            self.created.push(created);
        } else {
            self.created[state.created as usize] = created;
        }
        state.round = self.round;
        state.point = NONE;
        true
    }

    fn add_report(&mut self, report: Report) {
        let count = if self.rules.extra_scrape_metrics { report::SERIES.len() } else { report::WITHOUT_EXTRA };
        while self.report_groups.len() < count {
            let series = &report::SERIES[self.report_groups.len()];
            let group = self.report_group(series.name, series.unit, series.description, series.kind);
            self.report_groups.push(group);
        }
        let values = [
            f64::from(u8::from(report.up)),
            report.duration_seconds,
            self.counts.scraped as f64,
            self.counts.post_relabel as f64,
            self.counts.added as f64,
            report.timeout_seconds,
            self.rules.limits.samples as f64,
            report.body_bytes,
        ];
        for (i, value) in values.into_iter().take(count).enumerate() {
            self.add_number(self.report_groups[i], Sample { value: Some(value), time_ms: self.time_ms });
        }
    }
}
