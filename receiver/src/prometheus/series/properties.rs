//! Whatever successive pages say: a batch does not contradict itself, and rebuilding the cache changes no answer.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use proto::Batch;
use serde_json::json;

use super::tests::{Scrapes, lines};
use crate::prometheus::text::Format;

/// Lines that get into each other's way: families that look alike, types that change, spellings, times.
const LINES: [&str; 44] = [
    "# TYPE a gauge",
    "# TYPE a counter",
    "# TYPE a histogram",
    "# TYPE a summary",
    "# TYPE a_total counter",
    "# TYPE a_count gauge",
    "# TYPE a_bucket gauge",
    "# TYPE h histogram",
    "# TYPE h gauge",
    "# TYPE s summary",
    "# HELP a text",
    "# HELP a other",
    "# HELP h text",
    "# HELP s text",
    "a 1",
    "a 2",
    "a{x=\"1\"} 3",
    "a{x=\"1\",y=\"2\"} 4",
    "a{y=\"2\",x=\"1\"} 5",
    "a{x=\"\"} 6",
    "a 7 1000",
    "a_total 8",
    "a_total{x=\"1\"} 9",
    "a_count 10",
    "a_sum 11",
    "a_bucket{le=\"1\"} 12",
    "a_created 13",
    "h_bucket{le=\"1\"} 1",
    "h_bucket{le=\"1.0\"} 2",
    "h_bucket{le=\"2\"} 1",
    "h_bucket{le=\"+Inf\"} 4",
    "h_bucket{le=\"x\"} 4",
    "h_bucket 4",
    "h_sum 5",
    "h_count 6",
    "h_count 6 1000",
    "h{le=\"3\"} 2",
    "h 1",
    "s{quantile=\"0.5\"} 1",
    "s{quantile=\".5\"} 2",
    "s_sum 1",
    "s_count 2",
    "target_info{v=\"1\"} 1",
    "!",
];

fn pages() -> impl Strategy<Value = Vec<String>> {
    let page = prop::collection::vec(prop::sample::select(&LINES[..]), 0..16);
    prop::collection::vec(page.prop_map(|lines| lines.join("\n")), 1..6)
}

/// What contradicts itself in a batch.
fn contradictions(batch: &Batch) -> Vec<String> {
    let tables = &batch.tables;
    let mut found = Vec::new();
    let numbers = batch.numbers.iter().map(|point| (point.metric, point.attrs));
    let histograms = batch.histograms.iter().map(|point| (point.metric, point.attrs));
    let summaries = batch.summaries.iter().map(|point| (point.metric, point.attrs));
    let points: Vec<_> = numbers.chain(histograms).chain(summaries).collect();
    let distinct: HashSet<_> = points.iter().copied().collect();
    if distinct.len() < points.len() {
        found.push("a metric has two points with the same attributes".to_owned());
    }
    let metrics: HashSet<u32> = points.iter().map(|(metric, _)| *metric).collect();
    let mut names = HashSet::new();
    for metric in metrics.iter().map(|id| &tables.metrics[*id as usize]) {
        if !names.insert((metric.scope, metric.name)) {
            found.push(format!("{} is there twice", tables.str(metric.name)));
        }
    }
    for point in &batch.histograms {
        let (bounds, counts) = (point.bounds.of(&batch.bounds), point.counts.of(&batch.counts));
        if counts.len() != bounds.len() + 1 || !bounds.iter().all(|b| b.is_finite()) {
            found.push(format!("{bounds:?} do not fit {counts:?}"));
        }
        if !bounds.is_sorted_by(|a, b| a < b) {
            found.push(format!("{bounds:?} are not in order"));
        }
    }
    found
}

proptest! {
    // The same pages in each run; PROPTEST_CASES adds more.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_batch_contradicts_itself(pages in pages()) {
        for config in [json!({}), json!({"track_timestamps_staleness": true}), json!({"sample_limit": 9})] {
            let mut scrapes = Scrapes::new(&config, |_| {});
            for page in &pages {
                prop_assert_eq!(contradictions(&scrapes.batch(page)), Vec::<String>::new());
            }
            prop_assert_eq!(contradictions(&scrapes.batch_of(None)), Vec::<String>::new());
        }
    }

    #[test]
    fn a_rebuilt_cache_gives_the_same_answers(pages in pages()) {
        let mut kept = Scrapes::new(&json!({}), |_| {});
        let mut rebuilt = Scrapes::new(&json!({}), |_| {});
        for page in pages.iter().map(|page| Some((page.as_str(), Format::Prometheus))).chain([None]) {
            let (one, other) = (kept.batch_of(page), rebuilt.batch_of(page));
            prop_assert_eq!(lines(&one), lines(&other));
            prop_assert_eq!(kept.report, rebuilt.report);
            rebuilt.rebuild();
        }
    }
}
