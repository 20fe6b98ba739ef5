//! Which family a name belongs to, and for how long what is said of one holds.

use super::*;

impl Default for Families {
    fn default() -> Families {
        Families::new(1000, 1 << 20)
    }
}

fn declare(families: &mut Families, name: &str, kind: MetricType, scrape: u32) {
    families.say(name, Saying::Type(kind), scrape, |_| false).unwrap();
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
    families.say("a", Saying::Help("text"), 2, |_| false).unwrap();
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
        families.say("h", saying, 1, is_used).unwrap();
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
    families.forget_old(11, false);
    assert_eq!(families.classify("a", |_| false).kind, MetricType::Counter);
    families.forget_old(12, false);
    assert_eq!(families.classify("a", |_| false).kind, MetricType::Unknown);
    assert_eq!(families.generation(), 1);
}

#[test]
fn what_is_said_is_limited_in_families_and_in_bytes() {
    let mut families = Families::new(2, 30);
    let say = |families: &mut Families, name: &str, help: &str, scrape: u32| {
        families.say(name, Saying::Help(help), scrape, |_| false).is_ok()
    };
    assert!(say(&mut families, "a", "ten bytes.", 1));
    assert!(say(&mut families, "b", "ten bytes.", 1));
    assert!(say(&mut families, "a", "ten bytes.", 1), "nothing new");
    assert!(!say(&mut families, "c", "", 1), "a third family");
    assert!(!say(&mut families, "a", "another ten", 1), "33 bytes");
    families.forget_old(2, false);
    assert!(!say(&mut families, "c", "", 2), "both are remembered");
    assert!(say(&mut families, "a", "ten bytes.", 2));
    families.forget_old(2, true);
    assert!(say(&mut families, "c", "", 3), "only what the last page said is");
    assert!(say(&mut families, "c", "more bytes", 3));
}
