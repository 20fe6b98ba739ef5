//! What `# TYPE`, `# HELP` and `# UNIT` lines said about metric families, remembered over scrapes, and the question
//! which family a sample name belongs to. Builds no metrics.

use hashbrown::HashMap;

use super::text::MetricType;

/// Scrapes for which a family is remembered after its last `#` line (Prometheus' `scrapeCache.metadata`).
const KEEP_SCRAPES: u32 = 10;

/// Metadata of all families of one target.
#[derive(Default)]
pub(crate) struct Families {
    by_name: HashMap<Box<str>, Family>,
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
    /// Changes whenever something that was already asked for changes: what was derived from it is to be derived again.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// A `#` line. `is_used` tells of which families and names this scrape has points already: what is said of these
    /// now holds from the next scrape on, as in the reference, so that no metric is two things in one scrape.
    pub(crate) fn say(&mut self, name: &str, saying: Saying<'_>, scrape: u32, is_used: impl Fn(FamilyId) -> bool) {
        let Some(family) = self.by_name.get_mut(name) else {
            let family = self.add(name);
            (family.declared, family.last_scrape) = (true, scrape);
            return saying.apply(&mut family.about);
        };
        family.last_scrape = scrape;
        if family.later.is_none() && family.declared && saying.is_true_of(&family.about) {
            return;
        }
        if is_used(family.id) {
            if family.later.is_none() {
                self.waiting.push(name.into());
            }
            return saying.apply(family.later.get_or_insert_with(|| Box::new(family.about.clone())));
        }
        saying.apply(&mut family.about);
        family.declared = true;
        self.generation += u32::from(family.asked);
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

    /// Forgets families that were not declared for a while; called after a scrape that brought samples.
    pub(crate) fn forget_old(&mut self, scrape: u32) {
        let mut changed = false;
        self.by_name.retain(|_, family| {
            if family.declared && scrape.saturating_sub(family.last_scrape) > KEEP_SCRAPES {
                changed |= family.asked;
                *family = Family { asked: family.asked, id: family.id, ..Family::default() };
            }
            family.declared || family.asked
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(families: &mut Families, name: &str, kind: MetricType, scrape: u32) {
        families.say(name, Saying::Type(kind), scrape, |_| false);
    }

    fn check(declared: &[(&str, MetricType)], sample: &str, name: &str, kind: MetricType, part: Part) {
        let mut families = Families::default();
        for (family, kind) in declared {
            declare(&mut families, family, *kind, 1);
        }
        let got = families.classify(sample, |_| false);
        assert_eq!((&*got.name, got.kind, got.part), (name, kind, part), "{declared:?} {sample}");
    }

    #[test]
    fn a_suffix_counts_only_where_it_means_something_for_the_type() {
        use MetricType::{Counter, Gauge, GaugeHistogram, Histogram, Info, Summary, Unknown};
        check(&[("h", Histogram)], "h_bucket", "h", Histogram, Part::Bucket);
        check(&[("h", Histogram)], "h_sum", "h", Histogram, Part::Sum);
        check(&[("h", Histogram)], "h_total", "h_total", Unknown, Part::Value);
        check(&[("h", Histogram)], "h", "h", Histogram, Part::Bare);
        check(&[("s", Summary)], "s", "s", Summary, Part::Quantile);
        check(&[("s", Summary)], "s_bucket", "s_bucket", Unknown, Part::Value);
        check(&[("c", Counter)], "c_total", "c_total", Counter, Part::Value);
        check(&[("c", Counter)], "c_created", "c_total", Counter, Part::Created);
        check(&[("c", Counter)], "c_sum", "c_sum", Unknown, Part::Value);
        check(&[("c_total", Counter)], "c_total", "c_total", Counter, Part::Value);
        check(&[("foo", Gauge)], "foo_count", "foo_count", Unknown, Part::Value);
        check(&[("build", Info)], "build_info", "build", Info, Part::Value);
        check(&[("gh", GaugeHistogram)], "gh_bucket", "gh", GaugeHistogram, Part::Value);
        check(&[("gh", GaugeHistogram)], "gh_gsum", "gh_gsum", Unknown, Part::Value);
        check(&[("foo", Gauge), ("foo_count", Counter)], "foo_count", "foo_count", Counter, Part::Value);
        check(&[], "_total", "_total", Unknown, Part::Value);
    }

    #[test]
    fn a_renamed_sample_keeps_its_family_and_its_part() {
        use MetricType::{Counter, Gauge, Summary, Unknown};
        let mut families = Families::default();
        for (name, kind) in [("c", Counter), ("g", Gauge), ("s", Summary)] {
            declare(&mut families, name, kind, 1);
        }
        for (original, new, name, kind, part) in [
            ("c_total", "x", "x", Counter, Part::Value),
            ("c_created", "x_created", "x_total", Counter, Part::Created),
            ("g", "c_total", "c_total", Gauge, Part::Value),
            ("s_sum", "x_sum", "x", Summary, Part::Sum),
            ("s", "x", "x", Summary, Part::Quantile),
            ("s_count", "observations", "observations", Unknown, Part::Value),
            ("other", "g", "g", Unknown, Part::Value),
        ] {
            let got = families.classify_renamed(original, new, |_| false);
            assert_eq!((&*got.name, got.kind, got.part), (name, kind, part), "{original} as {new}");
        }
    }

    #[test]
    fn the_generation_changes_only_for_names_that_were_asked_for() {
        let mut families = Families::default();
        declare(&mut families, "a", MetricType::Counter, 1);
        families.classify("a_total", |_| false);
        declare(&mut families, "b", MetricType::Gauge, 1);
        declare(&mut families, "a", MetricType::Counter, 2);
        assert_eq!(families.generation(), 0);
        families.say("a", Saying::Help("text"), 2, |_| false);
        assert_eq!(families.generation(), 1);
        families.classify("late", |_| false);
        declare(&mut families, "late", MetricType::Gauge, 2);
        assert_eq!(families.generation(), 2);
    }

    #[test]
    fn what_is_said_of_a_family_in_use_holds_from_the_next_scrape_on() {
        let mut families = Families::default();
        let used = families.classify("h_bucket", |_| false).id;
        // On its own so far, and so it stays; the other parts are not in use yet.
        declare(&mut families, "h", MetricType::Histogram, 1);
        assert_eq!(families.classify("h_bucket", |id| id == used).kind, MetricType::Unknown);
        let histogram = families.classify("h_count", |id| id == used).id;
        let is_used = |id| id == used || id == histogram;
        for saying in [Saying::Type(MetricType::Gauge), Saying::Help("text"), Saying::Type(MetricType::Summary)] {
            families.say("h", saying, 1, is_used);
            assert_eq!(families.classify("h_count", is_used).kind, MetricType::Histogram);
        }
        let before = families.generation();
        families.catch_up();
        assert_ne!(families.generation(), before);
        let now = families.classify("h_count", |_| false);
        assert_eq!((now.kind, now.about.map(|about| &*about.help)), (MetricType::Summary, Some("text")));
    }

    #[test]
    fn a_family_is_remembered_for_ten_scrapes() {
        let mut families = Families::default();
        declare(&mut families, "a", MetricType::Counter, 1);
        families.forget_old(11);
        assert_eq!(families.classify("a", |_| false).kind, MetricType::Counter);
        families.forget_old(12);
        assert_eq!(families.classify("a", |_| false).kind, MetricType::Unknown);
        assert_eq!(families.generation(), 1);
    }
}
