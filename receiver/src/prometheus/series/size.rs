//! What a live series costs in memory.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::conformance::{job, rules, target};
use super::{Report, SeriesCache};
use crate::prometheus::config::format_of;

/// The budget: bytes that a target's cache and tables hold for each live series.
const BYTES_A_SERIES: usize = 300;

fn page(series: usize, value: usize) -> String {
    let mut text = String::from("# HELP app_requests_total Requests served.\n# TYPE app_requests_total counter\n");
    for i in 0..series / 2 {
        let labels = format!("path=\"/api/v1/things/{i}\",method=\"GET\",code=\"200\",zone=\"us-west-2a\"");
        writeln!(text, "app_requests_total{{{labels}}} {}", i * 7 + value).unwrap();
    }
    text.push_str("# HELP app_gauge A gauge.\n# TYPE app_gauge gauge\n");
    for i in 0..series / 2 {
        writeln!(text, "app_gauge{{shard=\"{i}\",role=\"leader\"}} {}.25", i + value).unwrap();
    }
    text
}

#[test]
fn a_live_series_costs_at_most_its_budget() {
    let job = job("size", &json!({}));
    let mut cache = SeriesCache::new(Arc::new(rules(&job)), Arc::new(target("size", &Value::Null)));
    for round in 0..3 {
        let text = page(10_000, round);
        let now = 1_900_000_000_000 + 1000 * i64::try_from(round).unwrap();
        let format = format_of(Some("text/plain; version=0.0.4"), job.fallback).unwrap();
        cache.take(Some((text.as_bytes(), format)), now, now).unwrap();
        assert!(cache.finish(Report { up: true, ..Report::default() }).points() > 10_000);
    }
    assert_eq!(cache.series(), 10_000);
    let bytes = cache.size_bytes() / cache.series();
    assert!(bytes <= BYTES_A_SERIES, "{bytes} bytes a series");
}
