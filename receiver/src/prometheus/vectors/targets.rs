//! Vectors 17 to 22: from a discovered address to a target and the labels of its samples.

use proto::Batch;
use serde_json::{Value, json};

use super::Row;
use crate::prometheus::series::conformance::job;
use crate::prometheus::series::tests::Scrapes;
use crate::prometheus::target::{Target, build};

pub(super) const ROWS: &[Row] = &[
    ("17", |number| {
        let target = built("host", &[], &json!({"scheme": "https"})).unwrap();
        assert_eq!(target.url.as_str(), "https://host/metrics", "{number}");
        assert_eq!(target.identity.instance, "host", "{number}");
    }),
    ("18", |number| {
        let labels = [("__param_module", "c")];
        let target = built("host:1", &labels, &json!({"params": {"module": ["a", "b"]}})).unwrap();
        assert_eq!(target.url.query(), Some("module=c&module=b"), "{number}");
    }),
    ("19", |number| {
        let rule = json!({"relabel_configs": [{"target_label": "__address__", "regex": "(x?)", "replacement": "$1"}]});
        assert!(built("host:1", &[], &rule).unwrap_err().starts_with("no address"), "{number}");
    }),
    ("20", |number| {
        let rule = json!({
            "scrape_interval": "10s",
            "relabel_configs": [{"target_label": "__scrape_timeout__", "replacement": "20s"}],
        });
        let error = built("host:1", &[], &rule).unwrap_err();
        assert!(error.starts_with("scrape timeout cannot be greater than scrape interval"), "{number}: {error}");
    }),
    ("21", |number| {
        let once = |page: &str| Scrapes::new(&json!({}), |_| {}).text(page);
        assert_eq!(once("g{job=\"x\"} 1\n"), ["g{exported_job=x} 1"], "{number}");
        let both = "g{job=\"x\",exported_job=\"y\"} 1\n";
        assert_eq!(once(both), ["g{exported_exported_job=x,exported_job=y} 1"], "{number}");
    }),
    ("22", |number| {
        let honoring = json!({"honor_labels": true});
        let batch = Scrapes::new(&honoring, |_| {}).batch("a{job=\"x\"} 1\n");
        for (metric, service) in [("a", "x"), ("up", "j")] {
            assert_eq!(service_of(&batch, metric), service, "{number}");
        }
        let mut scrapes = Scrapes::of_target(&honoring, &json!({"t": "tv"}));
        assert_eq!(scrapes.text("b{t=\"\"} 1\nc 1\n"), ["b{} 1", "c{t=tv} 1"], "{number}");
    }),
];

fn built(address: &str, labels: &[(&str, &str)], config: &Value) -> Result<Target, String> {
    let all = [("__address__", address)].into_iter().chain(labels.iter().copied());
    let discovered: Vec<(String, String)> = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let target = build(&discovered, &job("j", config)).map_err(|error| error.to_string())?;
    Ok(target.expect("no rule drops it"))
}

/// `service.name` of the resource that a metric's first point belongs to.
fn service_of<'b>(batch: &'b Batch, metric: &str) -> &'b str {
    let tables = &batch.tables;
    let is_it = |id: u32| tables.str(tables.metrics[id as usize].name) == metric;
    let point = batch.numbers.iter().find(|point| is_it(point.metric)).unwrap();
    tables.string_attr(tables.resource_of(point.metric).attrs, "service.name").unwrap()
}
