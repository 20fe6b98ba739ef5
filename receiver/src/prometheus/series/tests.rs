//! What the recorded cases do not show: families that look alike, spellings, timestamps, limits, churn.

use std::sync::Arc;

use proto::{Batch, NumberValue, points::Point};
use serde_json::{Value, json};

use super::conformance::{job, rules, target};
use super::{Report, SampleRules, SeriesCache};
use crate::prometheus::text::Format;

const START_MS: i64 = 1_900_000_000_000;

/// A cache and the time of its next scrape.
struct Scrapes {
    cache: SeriesCache,
    time_ms: i64,
    up: bool,
}

impl Scrapes {
    fn new(config: &Value, change: impl FnOnce(&mut SampleRules)) -> Scrapes {
        let mut rules = rules(&job("j", config));
        change(&mut rules);
        let cache = SeriesCache::new(Arc::new(rules), Arc::new(target("j", &Value::Null)));
        Scrapes { cache, time_ms: START_MS, up: false }
    }

    fn text(&mut self, page: &str) -> Vec<String> {
        self.scrape(Some((page, Format::Prometheus)))
    }

    fn scrape(&mut self, page: Option<(&str, Format)>) -> Vec<String> {
        self.time_ms += 1000;
        let page = page.map(|(text, format)| (text.as_bytes(), format));
        let result = self.cache.take(page, self.time_ms, self.time_ms);
        self.up = page.is_some() && result.is_ok();
        lines(&self.cache.finish(Report { up: self.up, ..Report::default() }))
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
fn lines(batch: &Batch) -> Vec<String> {
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
fn suffixes_are_trimmed_when_asked() {
    let page = "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\nfoo_seconds_total 3\n# EOF\n";
    let mut scrapes = Scrapes::new(&json!({}), |rules| rules.trim_metric_suffixes = true);
    assert_eq!(scrapes.scrape(Some((page, Format::OpenMetrics))), ["foo{} 3"]);
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
