//! What `# TYPE`, `# HELP` and `# UNIT` lines said about metric families, remembered over scrapes, and the question
//! which family a sample name belongs to. Builds no metrics.

#[cfg(test)]
mod tests;

use hashbrown::HashMap;

use super::series::ScrapeError;
use super::text::MetricType;

/// Scrapes for which a family is remembered after its last `#` line (Prometheus' `scrapeCache.metadata`).
const KEEP_SCRAPES: u32 = 10;

/// Metadata of all families of one target.
pub(crate) struct Families {
    by_name: HashMap<Box<str>, Family>,
    max_families: usize,
    max_bytes: usize,
    /// Families that something is said of, and the bytes of their names and texts. What a page replaces counts until it
    /// was read.
    said: (usize, usize),
    /// Names whose family has a change that waits for the next scrape.
    waiting: Vec<Box<str>>,
    /// A name stays on its own until the next scrape although a family would take it in.
    holds_back: bool,
    next_id: FamilyId,
    generation: u32,
}

/// Number of a family or name of a target, counted from 0.
pub(crate) type FamilyId = u32;

/// Metadata of a family. A name that was only asked for has `declared` false.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    /// What is said of it.
    pub(crate) about: About,
    id: FamilyId,
    declared: bool,
    asked: bool,
    last_scrape: u32,
    /// What was said after samples of this scrape had used it: true from the next scrape on.
    later: Option<Box<About>>,
}

/// What `#` lines say of a family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct About {
    /// From `# TYPE`; unknown without one.
    pub(crate) kind: MetricType,
    /// From `# HELP`, unescaped.
    pub(crate) help: Box<str>,
    /// From `# UNIT`, in Prometheus words.
    pub(crate) unit: Box<str>,
}

/// One `#` line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Saying<'a> {
    /// `# TYPE`
    Type(MetricType),
    /// `# HELP`
    Help(&'a str),
    /// `# UNIT`
    Unit(&'a str),
}

impl Saying<'_> {
    fn is_true_of(self, about: &About) -> bool {
        match self {
            Saying::Type(kind) => about.kind == kind,
            Saying::Help(help) => *about.help == *help,
            Saying::Unit(unit) => *about.unit == *unit,
        }
    }

    fn apply(self, about: &mut About) {
        match self {
            Saying::Type(kind) => about.kind = kind,
            Saying::Help(help) => about.help = help.into(),
            Saying::Unit(unit) => about.unit = unit.into(),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Saying::Type(_) => 0,
            Saying::Help(text) | Saying::Unit(text) => text.len(),
        }
    }
}

impl Family {
    fn is_said(&self) -> bool {
        self.declared || self.later.is_some()
    }

    fn bytes(&self) -> usize {
        let of = |about: &About| about.help.len() + about.unit.len();
        of(&self.about) + self.later.as_deref().map_or(0, of)
    }
}

/// What a sample is within its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A number of its own.
    Value,
    /// `_bucket` of a histogram.
    Bucket,
    /// A quantile of a summary.
    Quantile,
    /// `_sum`.
    Sum,
    /// `_count`.
    Count,
    /// `_created`: the start time of the other series.
    Created,
    /// The bare name of a histogram: a bucket if it has a bound, else nothing.
    Bare,
}

/// The family of a sample name.
#[derive(Debug)]
pub(crate) struct Classified<'a> {
    /// What is said of the family, if one is known.
    pub(crate) about: Option<&'a About>,
    /// The family, or the name itself when it has none.
    pub(crate) id: FamilyId,
    /// The name of the metric, of which a family of its own would make another metric.
    pub(crate) name_id: FamilyId,
    /// Prometheus type.
    pub(crate) kind: MetricType,
    /// Name of the metric that this sample contributes to.
    pub(crate) name: std::borrow::Cow<'a, str>,
    /// What it contributes.
    pub(crate) part: Part,
}

impl Families {
    /// Nothing is known yet. `max_families` may be declared, with `max_bytes` of names, help texts and units.
    pub(crate) fn new(max_families: usize, max_bytes: usize) -> Families {
        Families {
            by_name: HashMap::new(),
            max_families,
            max_bytes,
            said: (0, 0),
            waiting: Vec::new(),
            holds_back: false,
            next_id: 0,
            generation: 0,
        }
    }

    /// Changes whenever something that was already asked for changes: what was derived from it is to be derived again.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// A `#` line. `is_used` tells of which families and names this scrape has points already: what is said of these
    /// now holds from the next scrape on, as in the reference, so that no metric is two things in one scrape.
    ///
    /// # Errors
    /// There is more to remember than allowed.
    pub(crate) fn say(
        &mut self,
        name: &str,
        saying: Saying<'_>,
        scrape: u32,
        is_used: impl Fn(FamilyId) -> bool,
    ) -> Result<(), ScrapeError> {
        let mut is_new = true;
        if let Some(family) = self.by_name.get_mut(name) {
            family.last_scrape = scrape;
            if family.later.is_none() && family.declared && saying.is_true_of(&family.about) {
                return Ok(());
            }
            is_new = !family.is_said();
        }
        self.reserve(if is_new { name.len() } else { 0 } + saying.bytes(), is_new)?;
        let family = match self.by_name.get_mut(name) {
            Some(family) => family,
            None => self.add(name),
        };
        family.last_scrape = scrape;
        if is_used(family.id) {
            let waits = family.later.is_some();
            saying.apply(family.later.get_or_insert_with(|| Box::new(family.about.clone())));
            if !waits {
                self.waiting.push(name.into());
            }
            return Ok(());
        }
        saying.apply(&mut family.about);
        family.declared = true;
        self.generation += u32::from(family.asked);
        Ok(())
    }

    fn reserve(&mut self, bytes: usize, is_new: bool) -> Result<(), ScrapeError> {
        let said = (self.said.0 + usize::from(is_new), self.said.1 + bytes);
        if said.0 > self.max_families || said.1 > self.max_bytes {
            return Err(ScrapeError::MetadataLimit { families: self.max_families, bytes: self.max_bytes });
        }
        self.said = said;
        Ok(())
    }

    /// A new scrape, or one that starts over: what was said too late holds now.
    pub(crate) fn catch_up(&mut self) {
        self.generation += u32::from(std::mem::take(&mut self.holds_back));
        for name in std::mem::take(&mut self.waiting) {
            if let Some(family) = self.by_name.get_mut(&name)
                && let Some(later) = family.later.take()
            {
                family.about = *later;
                family.declared = true;
                self.generation += u32::from(family.asked);
            }
        }
    }

    /// Forgets families that were not declared for a while; called after each page. When there are too many
    /// (`is_full`), only those of this page stay, so that the next one has room.
    pub(crate) fn forget_old(&mut self, scrape: u32, is_full: bool) {
        let keep = if is_full { 0 } else { KEEP_SCRAPES };
        let mut changed = false;
        let mut said = (0, 0);
        self.by_name.retain(|name, family| {
            if family.declared && scrape.saturating_sub(family.last_scrape) > keep {
                changed |= family.asked;
                *family = Family { asked: family.asked, id: family.id, ..Family::default() };
            }
            if family.is_said() {
                said = (said.0 + 1, said.1 + name.len() + family.bytes());
            }
            family.declared || family.asked
        });
        self.said = said;
        self.generation += u32::from(changed);
    }

    /// Forgets which names were asked for and gives new numbers; what was derived so far is about to be derived again.
    pub(crate) fn forget_questions(&mut self) {
        self.by_name.retain(|_, family| family.declared || family.later.is_some());
        self.next_id = 0;
        for family in self.by_name.values_mut() {
            (family.asked, family.id) = (false, self.next_id);
            self.next_id += 1;
        }
    }

    /// Bytes held, roughly.
    #[cfg(test)]
    pub(crate) fn size_bytes(&self) -> usize {
        self.by_name
            .iter()
            .map(|(name, f)| name.len() + f.about.help.len() + f.about.unit.len() + size_of::<(Box<str>, Family)>())
            .sum()
    }

    /// Which family a sample belongs to: the one of its own name, else the one of its name without a suffix that
    /// means something for that family's type, else none (type unknown). A name that has points of this scrape on its
    /// own (`is_used`) stays on its own.
    ///
    /// The reference folds any of its suffixes into any type and so lets `foo_count` overwrite a gauge `foo`.
    pub(crate) fn classify<'a>(&'a mut self, name: &'a str, is_used: impl Fn(FamilyId) -> bool) -> Classified<'a> {
        let suffixed = SUFFIXES.iter().find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)));
        let suffixed = suffixed.filter(|(base, _)| !base.is_empty());
        let own = self.ask(name);
        // The name of the metric if a counter takes this in.
        let mut total = own;
        if let Some((base, suffix)) = suffixed {
            self.ask(base);
            if suffix == "_created"
                && self.declared(base).is_some_and(|family| family.about.kind == MetricType::Counter)
            {
                total = self.ask(&format!("{base}_total"));
            }
        }
        let is_alone = is_used(own) && self.declared(name).is_none();
        if is_alone {
            let takes = |(base, suffix)| part_of(self.declared(base)?.about.kind, suffix);
            self.holds_back |= suffixed.and_then(takes).is_some();
        }
        if let Some(family) = self.declared(name) {
            let kind = family.about.kind;
            let part = match kind {
                MetricType::Histogram => Part::Bare,
                MetricType::Summary => Part::Quantile,
                _ => Part::Value,
            };
            return Classified { about: Some(&family.about), id: own, name_id: own, kind, name: name.into(), part };
        }
        if let Some((base, suffix)) = suffixed
            && !is_alone
            && let Some(family) = self.declared(base)
            && let Some(part) = part_of(family.about.kind, suffix)
        {
            let kind = family.about.kind;
            let name = match (kind, part) {
                (MetricType::Counter, Part::Created) => format!("{base}_total").into(),
                (MetricType::Counter, _) => name.into(),
                _ => base.into(),
            };
            let name_id = if kind == MetricType::Counter { total } else { family.id };
            return Classified { about: Some(&family.about), id: family.id, name_id, kind, name, part };
        }
        Classified {
            about: None,
            id: own,
            name_id: own,
            kind: MetricType::Unknown,
            name: name.into(),
            part: Part::Value,
        }
    }

    /// As [`Families::classify`] for a sample whose name on the page was `original` and is `name` now: the family is the
    /// one of its original name. A part of a histogram or summary keeps being one where the new name ends alike;
    /// anywhere else it belongs to nothing that is known.
    pub(crate) fn classify_renamed<'a>(
        &'a mut self,
        original: &'a str,
        name: &'a str,
        is_used: impl Fn(FamilyId) -> bool,
    ) -> Classified<'a> {
        let found = self.classify(original, is_used);
        let suffix = match found.part {
            Part::Bucket => "_bucket",
            Part::Sum => "_sum",
            Part::Count => "_count",
            Part::Created => "_created",
            Part::Value | Part::Quantile | Part::Bare => return Classified { name: name.into(), ..found },
        };
        match name.strip_suffix(suffix).filter(|base| !base.is_empty()) {
            Some(base) if found.kind == MetricType::Counter => {
                Classified { name: format!("{base}_total").into(), ..found }
            }
            Some(base) => Classified { name: base.into(), ..found },
            None => {
                Classified { about: None, kind: MetricType::Unknown, name: name.into(), part: Part::Value, ..found }
            }
        }
    }

    fn declared(&self, name: &str) -> Option<&Family> {
        self.by_name.get(name).filter(|family| family.declared)
    }

    fn ask(&mut self, name: &str) -> FamilyId {
        let family = match self.by_name.get_mut(name) {
            Some(family) => family,
            None => self.add(name),
        };
        family.asked = true;
        family.id
    }

    fn add(&mut self, name: &str) -> &mut Family {
        let id = self.next_id;
        self.next_id += 1;
        self.by_name.entry(name.into()).or_insert(Family { id, ..Family::default() })
    }
}

const SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];

fn part_of(kind: MetricType, suffix: &str) -> Option<Part> {
    match (kind, suffix) {
        (MetricType::Histogram, "_bucket") => Some(Part::Bucket),
        (MetricType::Histogram | MetricType::Summary, "_sum") => Some(Part::Sum),
        (MetricType::Histogram | MetricType::Summary, "_count") => Some(Part::Count),
        (MetricType::Histogram | MetricType::Summary | MetricType::Counter, "_created") => Some(Part::Created),
        (MetricType::Counter, "_total") | (MetricType::Info, "_info") => Some(Part::Value),
        (MetricType::GaugeHistogram, "_bucket") => Some(Part::Value),
        _ => None,
    }
}
