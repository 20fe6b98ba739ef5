//! What the recorded cases do not show: families that look alike, spellings, timestamps, limits, churn.

use std::sync::Arc;

use proto::{Batch, MetricKind, NumberValue, points::Point};
use serde_json::{Value, json};

use super::conformance::{job, rules, target};
use super::{Report, SampleRules, SeriesCache};
use crate::prometheus::text::Format;

const START_MS: i64 = 1_900_000_000_000;

/// A cache and the time of its next scrape.
pub(crate) struct Scrapes {
    pub(crate) cache: SeriesCache,
    /// Time of the last scrape.
    pub(crate) time_ms: i64,
    pub(crate) up: bool,
    /// Why the last page was refused.
    pub(crate) error: Option<String>,
    /// Of the last scrape: `up`, samples scraped, after relabelling, series added.
    pub(crate) report: [f64; 4],
}

impl Scrapes {
    pub(crate) fn new(config: &Value, change: impl FnOnce(&mut SampleRules)) -> Scrapes {
        Self::of_target_with(config, &Value::Null, change)
    }

    /// With further labels of the target.
    pub(crate) fn of_target(config: &Value, labels: &Value) -> Scrapes {
        Self::of_target_with(config, labels, |_| {})
    }

    pub(crate) fn of_target_with(config: &Value, labels: &Value, change: impl FnOnce(&mut SampleRules)) -> Scrapes {
        let mut rules = rules(&job("j", config));
        change(&mut rules);
        let cache = SeriesCache::new(Arc::new(rules), Arc::new(target("j", labels)));
        Scrapes { cache, time_ms: START_MS, up: false, error: None, report: [0.0; 4] }
    }

    /// As when there is too much garbage.
    pub(crate) fn rebuild(&mut self) {
        self.cache.rebuild();
    }

    pub(crate) fn text(&mut self, page: &str) -> Vec<String> {
        self.scrape(Some((page, Format::Prometheus)))
    }

    pub(crate) fn scrape(&mut self, page: Option<(&str, Format)>) -> Vec<String> {
        lines(&self.batch_of(page))
    }

    pub(crate) fn batch(&mut self, page: &str) -> Batch {
        self.batch_of(Some((page, Format::Prometheus)))
    }

    pub(crate) fn batch_of(&mut self, page: Option<(&str, Format)>) -> Batch {
        self.time_ms += 1000;
        let page = page.map(|(text, format)| (text.as_bytes(), format));
        self.error = self.cache.take(page, self.time_ms, self.time_ms).err().map(|error| error.to_string());
        self.up = page.is_some() && self.error.is_none();
        let batch = self.cache.finish(Report { up: self.up, ..Report::default() });
        let names = ["up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"];
        let is_of = |point: &&proto::NumberPoint, name: &str| {
            batch.tables.str(batch.tables.metrics[point.metric as usize].name) == name
        };
        self.report = names.map(|name| number(batch.numbers.iter().find(|point| is_of(point, name)).unwrap().value));
        batch
    }
}

fn number(value: NumberValue) -> f64 {
    match value {
        NumberValue::Double(value) => value,
        other => panic!("{other:?} is no double"),
    }
}

/// One page in a fresh cache.
fn once(page: &str) -> Vec<String> {
    Scrapes::new(&json!({}), |_| {}).text(page)
}

fn open_metrics(page: &str) -> Vec<String> {
    Scrapes::new(&json!({}), |_| {}).scrape(Some((page, Format::OpenMetrics)))
}

/// Points but those of the report series: `name{attributes} value`, sorted, with start times and exemplars.
pub(crate) fn lines(batch: &Batch) -> Vec<String> {
    let tables = &batch.tables;
    let head = |metric: u32, attrs: proto::AttrSetId, start: u64| {
        let pairs = tables.attrs.pairs(attrs).iter();
        let pairs: Vec<_> = pairs.map(|(k, v)| format!("{}={}", tables.str(*k), tables.value_str(*v))).collect();
        let start = if start == 0 { String::new() } else { format!(" since {start}") };
        format!("{}{{{}}}{start}", tables.str(tables.metrics[metric as usize].name), pairs.join(","))
    };
    let mut out = Vec::new();
    for point in &batch.numbers {
        let value = match point.value {
            NumberValue::Double(value) => value.to_string(),
            _ => "stale".to_owned(),
        };
        let exemplars = if point.exemplars.len == 0 { "" } else { " #" };
        out.push(format!("{} {value}{exemplars}", head(point.metric, point.attrs, point.start_unix_nano)));
    }
    for point in &batch.histograms {
        let head = head(point.metric, point.attrs, point.start_unix_nano);
        let (bounds, counts) = (point.bounds.of(&batch.bounds), point.counts.of(&batch.counts));
        let value = if point.is_stale() { "stale".to_owned() } else { format!("{} {:?}", point.count, point.sum) };
        out.push(format!("{head} {value} {bounds:?} {counts:?}"));
    }
    for point in &batch.summaries {
        let head = head(point.metric, point.attrs, point.start_unix_nano);
        let value = if point.is_stale() { "stale".to_owned() } else { format!("{} {}", point.count, point.sum) };
        out.push(format!("{head} {value}"));
    }
    out.retain(|line| !line.starts_with("up{") && !line.starts_with("scrape_"));
    out.sort();
    out
}

#[test]
fn names_that_look_like_parts_of_another_family_stay_metrics_of_their_own() {
    let page = "# TYPE foo gauge\nfoo{a=\"1\"} 1\nfoo{a=\"2\"} 2\nfoo_count{a=\"1\"} 7\nfoo{a=\"3\"} 3\n";
    assert_eq!(once(page), ["foo_count{a=1} 7", "foo{a=1} 1", "foo{a=2} 2", "foo{a=3} 3"]);
    let page = "# TYPE c counter\nc 4\nc_total 5\nc_sum 6\n";
    assert_eq!(once(page), ["c_sum{} 6", "c_total{} 5", "c{} 4"]);
    let page = "# TYPE h histogram\nh_count 1\nh_total 9\nh 3\n";
    assert_eq!(once(page), ["h_total{} 9", "h{} 1 None [] [1]"]);
}

#[test]
fn histograms_are_assembled_whatever_their_buckets_say() {
    for (page, expected) in [
        (
            "h_bucket{le=\"10\"} 1\nh_bucket{le=\"20\"} 2\nh_bucket{le=\"+Inf\"} 10\nh_sum 99\nh_count 10\n",
            "10 Some(99.0) [10.0, 20.0] [1, 1, 8]",
        ),
        ("h_bucket{le=\"+Inf\"} 3\nh_count 3\n", "3 None [] [3]"),
        ("h_bucket{le=\"20\"} 3\nh_count 3\n", "3 None [20.0] [3, 0]"),
        ("h_count 2.7\n", "2 None [] [2]"),
        // One boundary in two spellings is one bucket; counts that shrink are none, not 2^64.
        ("h_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_count 3\n", "3 None [1.0] [2, 1]"),
        ("h_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 3\nh_count 4\n", "4 None [1.0, 2.0] [5, 0, 1]"),
        ("h_count 3\nh_sum 1 5000\n", "3 None [] [3]"),
    ] {
        assert_eq!(once(&format!("# TYPE h histogram\n{page}")), [format!("h{{}} {expected}")], "{page}");
    }
}

#[test]
fn a_bucket_that_vanishes_leaves_the_others() {
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    scrapes.text("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_count 3\n");
    let second = scrapes.text("# TYPE h histogram\nh_bucket{le=\"2\"} 2\nh_count 3\n");
    assert_eq!(second, ["h{} 3 None [2.0] [2, 1]"]);
}

#[test]
fn start_times_come_from_created_series_in_any_order() {
    let total_first = "# TYPE a counter\na_total 5\na_created 123.5\n# EOF\n";
    let created_first = "# TYPE a counter\na_created 123.5\na_total 5\n# EOF\n";
    assert_eq!(open_metrics(total_first), ["a_total{} since 123500000000 5"]);
    assert_eq!(open_metrics(created_first), ["a_total{} since 123500000000 5"]);
    let text = "# TYPE a_total counter\na_total 5\n# TYPE a_created gauge\na_created 1e9\n";
    assert_eq!(once(text), ["a_created{} 1000000000", "a_total{} 5"]);
}

#[test]
fn exemplars_survive_external_labels() {
    let page = "# TYPE a counter\na_total 1 # {trace_id=\"abcd\"} 0.5\n# EOF\n";
    let labels = vec![("env".to_owned(), "p".to_owned())];
    let mut scrapes = Scrapes::new(&json!({}), |rules| rules.external_labels = labels);
    assert_eq!(scrapes.scrape(Some((page, Format::OpenMetrics))), ["a_total{env=p} 1 #"]);
}

#[test]
fn one_series_in_two_spellings_is_one_point() {
    assert_eq!(once("g{x=\"1\",y=\"2\"} 1\ng{y=\"2\", x=\"1\"} 5\n"), ["g{x=1,y=2} 5"]);
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    scrapes.text("g{x=\"1\",y=\"2\"} 1\n");
    assert_eq!(scrapes.text("g{y=\"2\",x=\"1\"} 5\n"), ["g{x=1,y=2} 5"], "no end beside the living point");
}

#[test]
fn explicit_timestamps_are_kept_and_have_no_end_unless_tracked() {
    assert_eq!(once("g 1 1000\ng 2 1000\nk 1 1000\nk 2 2000\n"), ["g{} 2", "k{} 1"]);
    let ends = |config: Value| {
        let mut scrapes = Scrapes::new(&config, |_| {});
        scrapes.text("a 1 1000\nb 1\n");
        scrapes.text("b 1\n")
    };
    assert_eq!(ends(json!({})), ["b{} 1"]);
    assert_eq!(ends(json!({"track_timestamps_staleness": true})), ["a{} stale", "b{} 1"]);
    let future = START_MS + 11 * 60 * 1000 + 2000;
    assert_eq!(once(&format!("a 1 {future}\nb 1\n")), ["b{} 1"]);
}

#[test]
fn a_refused_page_leaves_nothing_and_ends_only_what_it_did_not_reach() {
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    scrapes.text("a 1\nb 2\nc 3\n");
    assert_eq!(scrapes.text("a 1\nb 2\n!!!\n"), ["c{} stale"]);
    assert!(!scrapes.up);
    assert_eq!(scrapes.scrape(None), ["a{} stale", "b{} stale"]);
    assert!(scrapes.text("a{x=\"1\",x=\"2\"} 1\n").is_empty() && !scrapes.up);
    assert!(scrapes.text("").is_empty() && scrapes.up);
}

#[test]
fn conflicting_labels_move_to_exported_ones() {
    let page = "g{job=\"x\",exported_job=\"y\"} 1\n";
    assert_eq!(once(page), ["g{exported_exported_job=x,exported_job=y} 1"]);
    let mut scrapes = Scrapes::new(&json!({"honor_labels": true}), |_| {});
    assert_eq!(scrapes.text("g{job=\"x\",a=\"\"} 1\n"), ["g{} 1"]);
}

#[test]
fn what_is_said_in_the_middle_of_a_metric_holds_from_the_next_page_on() {
    let page = "g{a=\"1\"} 1\n# TYPE g counter\n# HELP g text\ng{a=\"2\"} 2\n";
    let kinds = |batch: &Batch| -> Vec<(MetricKind, String)> {
        let mut ids: Vec<u32> = batch.numbers.iter().map(|point| point.metric).collect();
        ids.dedup();
        let metrics = ids.iter().map(|id| &batch.tables.metrics[*id as usize]);
        let metrics = metrics.filter(|metric| batch.tables.str(metric.name) == "g");
        metrics.map(|metric| (metric.kind, batch.tables.str(metric.description).to_owned())).collect()
    };
    let mut fresh = Scrapes::new(&json!({}), |_| {});
    assert_eq!(kinds(&fresh.batch(page)), [(MetricKind::Gauge, String::new())]);
    assert_eq!(kinds(&fresh.batch(page)), [(MetricKind::Sum, "text".to_owned())]);
    // A refused page is taken back, so that its end counts.
    let mut refused = Scrapes::new(&json!({}), |_| {});
    refused.batch("g{a=\"1\"} 1\ng{a=\"2\"} 1\n");
    assert_eq!(kinds(&refused.batch("g{a=\"1\"} 1\n# TYPE g counter\n!!!\n")), [(MetricKind::Sum, String::new())]);
}

#[test]
fn names_that_began_on_their_own_stay_so_for_the_page() {
    let page = "h_bucket{le=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"2\"} 2\nh_count 3\n";
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    assert_eq!(scrapes.text(page), ["h_bucket{le=1} 1", "h_bucket{le=2.0} 2", "h{} 3 None [] [3]"]);
    assert_eq!(scrapes.text(page), ["h{} 3 None [1.0, 2.0] [1, 1, 1]"]);
}

#[test]
fn a_family_for_the_name_of_a_metric_in_use_comes_with_the_next_page() {
    for created in ["", "a_created 1\n"] {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        scrapes.text("# TYPE a counter\n# HELP a text\na_total{x=\"1\"} 9\n");
        let batch = scrapes.batch(&format!("{created}a_total 8\n{created}# TYPE a_total counter\n"));
        let is_it = |metric: &&proto::Metric| batch.tables.str(metric.name) == "a_total";
        assert_eq!(batch.tables.metrics.iter().filter(is_it).count(), 1);
        assert_eq!(lines(&batch).len(), 2, "one that lives and one that ends");
    }
}

#[test]
fn every_sample_brings_its_exemplar_even_one_too_many() {
    let exemplars = |page: &str| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        let batch = scrapes.batch_of(Some((page, Format::OpenMetrics)));
        let values = |range: proto::Range32| -> Vec<NumberValue> {
            range.of(&batch.exemplars).iter().map(|exemplar| exemplar.value).collect()
        };
        let numbers = batch.numbers.iter().map(|point| values(point.exemplars));
        let histograms = batch.histograms.iter().map(|point| values(point.exemplars));
        let all = numbers.chain(histograms).filter(|list| !list.is_empty());
        all.map(|list| list.iter().map(|value| number(*value)).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let page = "a 1 # {} 1\nb 1 # {} 2\na 2 # {} 3\nb 2 # {} 4\nc 1 5\nc 2 6 # {} 5\nd 1 9999999999 # {} 6\n# EOF\n";
    assert_eq!(exemplars(page), [vec![1.0, 3.0], vec![2.0, 4.0], vec![5.0]]);
    let page = "# TYPE h histogram\nh_count 1 # {} 1\nh_count 1 # {} 2\nh_bucket{le=\"1\"} 1 # {} 3\n# EOF\n";
    assert_eq!(exemplars(page), [vec![1.0, 2.0, 3.0]]);
}

#[test]
fn the_bare_name_of_a_histogram_is_a_bucket_when_it_has_a_bound() {
    let page = "# TYPE h histogram\nh{le=\"1\"} 1\nh{le=\"+Inf\"} 3\nh_count 3\nh 7\n";
    assert_eq!(once(page), ["h{} 3 None [1.0] [1, 2]"]);
}

#[test]
fn a_refused_page_does_not_end_what_it_spells_in_another_way() {
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    scrapes.text("g{a=\"1\",b=\"2\"} 1\n");
    assert!(scrapes.text("g{b=\"2\",a=\"1\"} 1\n!!!\n").is_empty());
    assert_eq!(scrapes.text("g{a=\"1\",b=\"2\"} 2\n"), ["g{a=1,b=2} 2"]);
}

#[test]
fn labels_are_read_under_the_type_that_stands_above_them() {
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    let first = "# TYPE h histogram\nh_count 1\nb{le=\"1\"} 1\n# TYPE g gauge\nc{le=\"1\"} 1\n";
    assert_eq!(scrapes.text(first), ["b{le=1.0} 1", "c{le=1} 1", "h{} 1 None [] [1]"]);
    // Their families change, which does not make them other series.
    let second =
        "# TYPE g gauge\n# HELP b text\nb{le=\"1\"} 1\n# HELP c text\n# TYPE h histogram\nh_count 1\nc{le=\"1\"} 1\n";
    assert_eq!(scrapes.text(second), ["b{le=1.0} 1", "c{le=1} 1", "h{} 1 None [] [1]"]);
}

#[test]
fn suffixes_are_trimmed_when_asked() {
    let page = "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\nfoo_seconds_total 3\n# EOF\n";
    let mut scrapes = Scrapes::new(&json!({}), |rules| rules.trim_metric_suffixes = true);
    assert_eq!(scrapes.scrape(Some((page, Format::OpenMetrics))), ["foo{} 3"]);
}

#[test]
fn a_renamed_series_has_a_type_when_asked() {
    let page = "# TYPE c counter\nc 3\n# TYPE s summary\ns_sum 4\ns_count 2\n";
    let rename = json!({"metric_relabel_configs": [
        {"source_labels": ["__name__"], "regex": "(.)(.*)", "target_label": "__name__", "replacement": "new_$1$2"}]});
    let types = |asked: bool| {
        let mut scrapes = Scrapes::new(&rename, |rules| rules.type_by_original_name = asked);
        scrapes.time_ms += 1000;
        scrapes.cache.take(Some((page.as_bytes(), Format::Prometheus)), scrapes.time_ms, scrapes.time_ms).unwrap();
        let batch = scrapes.cache.finish(Report::default());
        let tables = &batch.tables;
        let mut types: Vec<String> =
            tables.metrics.iter().map(|m| format!("{} {:?}", tables.str(m.name), m.kind)).collect();
        types.retain(|line| line.starts_with("new_"));
        types.sort();
        types
    };
    assert_eq!(types(true), ["new_c Sum", "new_s Summary"]);
    assert_eq!(types(false), ["new_c Gauge", "new_s_count Gauge", "new_s_sum Gauge"]);
}

#[test]
fn churn_does_not_grow_the_cache_and_rebuilding_changes_no_answer() {
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    let page = |round: usize| -> String {
        let pods = (0..500).map(|i| format!("pod_up{{pod=\"{round}-{i}\"}} 1\n"));
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 2\n"
            .chars()
            .chain(pods.flat_map(|l| l.chars().collect::<Vec<_>>()))
            .collect()
    };
    scrapes.text(&page(0));
    for round in 1..40 {
        let got = scrapes.text(&page(round));
        assert_eq!(got.len(), 1001, "round {round}: 500 new series, 500 ends, one histogram");
        assert_eq!(got.iter().filter(|line| line.ends_with("stale")).count(), 500);
        assert!(got.contains(&"h{} 2 None [1.0] [1, 1]".to_owned()));
        assert!(scrapes.cache.series() < 3000, "{} series are kept", scrapes.cache.series());
    }
}

#[test]
fn points_of_a_metric_are_adjacent_and_metrics_sorted_by_scope_and_resource() {
    let mut scrapes = Scrapes::new(&json!({"honor_labels": true}), |_| {});
    let page = "a{job=\"1\"} 1\nb{job=\"2\"} 1\na{job=\"1\",x=\"2\"} 1\nb{job=\"1\",otel_scope_name=\"s\"} 1\na{job=\"2\"} 3\n";
    for _ in 0..2 {
        scrapes.time_ms += 1000;
        scrapes.cache.take(Some((page.as_bytes(), Format::Prometheus)), scrapes.time_ms, scrapes.time_ms).unwrap();
        let batch = scrapes.cache.finish(Report::default());
        assert!(batch.tables.scopes.is_sorted_by_key(|scope| scope.resource));
        assert!(batch.tables.metrics.is_sorted_by_key(|metric| metric.scope));
        let mut runs: Vec<u32> = batch.numbers.iter().map(|point| point.metric).collect();
        runs.dedup();
        let mut distinct = runs.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(runs.len(), distinct.len(), "{runs:?}");
        let job = |point: &proto::NumberPoint| {
            let resource = batch.tables.resource_of(point.metric);
            batch.tables.string_attr(resource.attrs, "service.name").unwrap().to_owned()
        };
        let three = batch.numbers.iter().find(|point| point.value == NumberValue::Double(3.0)).unwrap();
        assert_eq!(job(three), "2");
    }
}

#[test]
fn labels_that_are_too_many_or_too_long_fail_the_scrape() {
    for (limit, allowed, refused, message) in [
        (
            "label_limit",
            "b{x=\"1\"} 1\n",
            "b{x=\"1\",y=\"2\"} 1\n",
            "label_limit exceeded (metric: b, number of labels: 5, limit: 4)",
        ),
        (
            "label_name_length_limit",
            "b{eight_ab=\"1\"} 1\n",
            "b{nine_abcd=\"1\"} 1\n",
            "label_name_length_limit exceeded (metric: b, label name: nine_abcd, length: 9, limit: 8)",
        ),
        (
            "label_value_length_limit",
            "b{x=\"fourteen_bytes\"} 1\n",
            "b{x=\"fifteen_bytes_x\"} 1\n",
            "label_value_length_limit exceeded (metric: b, label name: x, length: 15, limit: 14)",
        ),
    ] {
        let value: u64 = message.trim_end_matches(')').rsplit(' ').next().unwrap().parse().unwrap();
        let mut scrapes = Scrapes::new(&json!({limit: value}), |_| {});
        scrapes.text(allowed);
        assert!(scrapes.up, "{allowed}: {:?}", scrapes.error);
        scrapes.text(refused);
        assert_eq!(scrapes.error.as_deref(), Some(message));
    }
}
