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
    generation: u32,
}

/// Metadata of a family. A name that was only asked for has `declared` false.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    /// From `# TYPE`; unknown without one.
    pub(crate) kind: MetricType,
    /// From `# HELP`, unescaped.
    pub(crate) help: Box<str>,
    /// From `# UNIT`, in Prometheus words.
    pub(crate) unit: Box<str>,
    declared: bool,
    asked: bool,
    last_scrape: u32,
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
    /// The bare name of a histogram: belongs to nothing.
    Stray,
}

/// The family of a sample name.
#[derive(Debug)]
pub(crate) struct Classified<'a> {
    /// The family, if one is known.
    pub(crate) family: Option<&'a Family>,
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

    /// A `# TYPE` line.
    pub(crate) fn set_type(&mut self, name: &str, kind: MetricType, scrape: u32) {
        self.update(name, scrape, |family| {
            let changed = family.kind != kind;
            family.kind = kind;
            changed
        });
    }

    /// A `# HELP` line.
    pub(crate) fn set_help(&mut self, name: &str, help: &str, scrape: u32) {
        self.update(name, scrape, |family| replace(&mut family.help, help));
    }

    /// A `# UNIT` line.
    pub(crate) fn set_unit(&mut self, name: &str, unit: &str, scrape: u32) {
        self.update(name, scrape, |family| replace(&mut family.unit, unit));
    }

    /// Forgets families that were not declared for a while; called after a scrape that brought samples.
    pub(crate) fn forget_old(&mut self, scrape: u32) {
        let mut changed = false;
        self.by_name.retain(|_, family| {
            if family.declared && scrape.saturating_sub(family.last_scrape) > KEEP_SCRAPES {
                changed |= family.asked;
                *family = Family { asked: family.asked, ..Family::default() };
            }
            family.declared || family.asked
        });
        self.generation += u32::from(changed);
    }

    /// Forgets which names were asked for; what was derived so far is about to be derived again.
    pub(crate) fn forget_questions(&mut self) {
        self.by_name.retain(|_, family| {
            family.asked = false;
            family.declared
        });
    }

    /// Bytes held, roughly.
    #[cfg(test)]
    pub(crate) fn size_bytes(&self) -> usize {
        self.by_name
            .iter()
            .map(|(name, f)| name.len() + f.help.len() + f.unit.len() + size_of::<(Box<str>, Family)>())
            .sum()
    }

    /// Which family a sample belongs to: the one of its own name, else the one of its name without a suffix that
    /// means something for that family's type, else none (type unknown).
    ///
    /// The reference folds any of its suffixes into any type and so lets `foo_count` overwrite a gauge `foo`.
    pub(crate) fn classify<'a>(&'a mut self, name: &'a str) -> Classified<'a> {
        let suffixed = SUFFIXES.iter().find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)));
        let suffixed = suffixed.filter(|(base, _)| !base.is_empty());
        self.ask(name);
        if let Some((base, _)) = suffixed {
            self.ask(base);
        }
        if let Some(family) = self.declared(name) {
            let part = match family.kind {
                MetricType::Histogram => Part::Stray,
                MetricType::Summary => Part::Quantile,
                _ => Part::Value,
            };
            return Classified { family: Some(family), kind: family.kind, name: name.into(), part };
        }
        if let Some((base, suffix)) = suffixed
            && let Some(family) = self.declared(base)
            && let Some(part) = part_of(family.kind, suffix)
        {
            let name = match (family.kind, part) {
                (MetricType::Counter, Part::Created) => format!("{base}_total").into(),
                (MetricType::Counter, _) => name.into(),
                _ => base.into(),
            };
            return Classified { family: Some(family), kind: family.kind, name, part };
        }
        Classified { family: None, kind: MetricType::Unknown, name: name.into(), part: Part::Value }
    }

    fn declared(&self, name: &str) -> Option<&Family> {
        self.by_name.get(name).filter(|family| family.declared)
    }

    fn ask(&mut self, name: &str) {
        match self.by_name.get_mut(name) {
            Some(family) => family.asked = true,
            None => {
                self.by_name.insert(name.into(), Family { asked: true, ..Family::default() });
            }
        }
    }

    fn update(&mut self, name: &str, scrape: u32, set: impl FnOnce(&mut Family) -> bool) {
        if let Some(family) = self.by_name.get_mut(name) {
            let changed = set(family) | !family.declared;
            family.declared = true;
            family.last_scrape = scrape;
            self.generation += u32::from(changed && family.asked);
        } else {
            let mut family = Family { declared: true, last_scrape: scrape, ..Family::default() };
            set(&mut family);
            self.by_name.insert(name.into(), family);
        }
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

fn replace(old: &mut Box<str>, new: &str) -> bool {
    let changed = &**old != new;
    if changed {
        *old = new.into();
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(declared: &[(&str, MetricType)], sample: &str, name: &str, kind: MetricType, part: Part) {
        let mut families = Families::default();
        for (family, kind) in declared {
            families.set_type(family, *kind, 1);
        }
        let got = families.classify(sample);
        assert_eq!((&*got.name, got.kind, got.part), (name, kind, part), "{declared:?} {sample}");
    }

    #[test]
    fn a_suffix_counts_only_where_it_means_something_for_the_type() {
        use MetricType::{Counter, Gauge, GaugeHistogram, Histogram, Info, Summary, Unknown};
        check(&[("h", Histogram)], "h_bucket", "h", Histogram, Part::Bucket);
        check(&[("h", Histogram)], "h_sum", "h", Histogram, Part::Sum);
        check(&[("h", Histogram)], "h_total", "h_total", Unknown, Part::Value);
        check(&[("h", Histogram)], "h", "h", Histogram, Part::Stray);
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
    fn the_generation_changes_only_for_names_that_were_asked_for() {
        let mut families = Families::default();
        families.set_type("a", MetricType::Counter, 1);
        families.classify("a_total");
        families.set_type("b", MetricType::Gauge, 1);
        families.set_type("a", MetricType::Counter, 2);
        assert_eq!(families.generation(), 0);
        families.set_help("a", "text", 2);
        assert_eq!(families.generation(), 1);
        families.classify("late");
        families.set_type("late", MetricType::Gauge, 2);
        assert_eq!(families.generation(), 2);
    }

    #[test]
    fn a_family_is_remembered_for_ten_scrapes() {
        let mut families = Families::default();
        families.set_type("a", MetricType::Counter, 1);
        families.forget_old(11);
        assert_eq!(families.classify("a").kind, MetricType::Counter);
        families.forget_old(12);
        assert_eq!(families.classify("a").kind, MetricType::Unknown);
        assert_eq!(families.generation(), 1);
    }
}
