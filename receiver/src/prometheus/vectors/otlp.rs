//! Vectors 45 to 62: the metrics, resources and scopes that pages become, and the configuration's last words.

use config::{Env, Sources, decode_prometheus, load_tree};
use serde_json::{Value, json};

use super::{Row, includes};
use crate::prometheus::config::settings;
use crate::prometheus::labels::{Labels, ValidationScheme};
use crate::prometheus::relabel::RelabelConfig;
use crate::prometheus::series::SampleRules;
use crate::prometheus::series::conformance::resource;
use crate::prometheus::series::tests::Scrapes;
use crate::prometheus::text::Format;

pub(super) const ROWS: &[Row] = &[
    ("45", |number| {
        let page = "h_bucket{le=\"10\"} 1\nh_bucket{le=\"20\"} 2\nh_bucket{le=\"+Inf\"} 10\nh_sum 99\nh_count 10\n";
        let expected = json!({"explicitBounds": [10, 20], "bucketCounts": ["1", "1", "8"], "count": "10", "sum": 99});
        histogram(number, page, &expected);
    }),
    ("46", |number| {
        let none = json!(null);
        histogram(
            number,
            "h_bucket{le=\"+Inf\"} 3\nh_count 3\n",
            &json!({"explicitBounds": none, "bucketCounts": ["3"], "sum": none}),
        );
        histogram(
            number,
            "h_bucket{le=\"20\"} 3\nh_count 3\n",
            &json!({"explicitBounds": [20], "bucketCounts": ["3", "0"]}),
        );
        histogram(number, "h_count 10\n", &json!({"explicitBounds": none, "bucketCounts": ["10"]}));
        let page = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\n";
        assert_eq!(metric(&Page::text(page).scrape(), "h"), None, "{number}");
    }),
    ("47", |number| {
        let page = "# TYPE s summary\ns{quantile=\"0.5\"} 10\ns{quantile=\"0.9\"} 20\n";
        let quantiles = json!([{"quantile": 0.5, "value": 10}, {"quantile": 0.9, "value": 20}]);
        let with_count = Page::text(&format!("{page}s_count 2\n")).scrape();
        point(number, &with_count, "s", &json!({"quantileValues": quantiles, "sum": null, "count": "2"}));
        assert_eq!(metric(&Page::text(page).scrape(), "s"), None, "{number}");
    }),
    ("48", |number| {
        let page = "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\nfoo_seconds_total 3\n# EOF\n";
        let expected = json!({"kind": "sum", "unit": "s", "isMonotonic": true, "aggregationTemporality": 2});
        let got = metric(&Page::open_metrics(page).scrape(), "foo_seconds_total").unwrap();
        assert!(includes(&got, &expected), "{number}: {got}");
        let mut trimmed = Page::open_metrics(page);
        trimmed.change = |rules| rules.trim_metric_suffixes = true;
        assert!(metric(&trimmed.scrape(), "foo").is_some(), "{number}");
    }),
    ("49", |number| {
        let got = Page::open_metrics("# TYPE foo counter\nfoo_total 5\nfoo_created 123.456\n# EOF\n").scrape();
        point(number, &got, "foo_total", &json!({"startTimeUnixNano": "123456000000", "asDouble": 5}));
        assert_eq!(metric(&got, "foo_created"), None, "{number}");
    }),
    ("50", |number| {
        let got = Page::text("# TYPE foo_created gauge\nfoo_created 1e9\n").scrape();
        point(number, &got, "foo_created", &json!({"asDouble": 1_000_000_000, "startTimeUnixNano": null}));
    }),
    ("51", |number| {
        let got = Page::open_metrics("# TYPE build info\nbuild_info{v=\"1\"} 1\n# EOF\n").scrape();
        let build = metric(&got, "build").unwrap();
        assert!(includes(&build, &json!({"kind": "sum", "isMonotonic": null})), "{number}: {build}");
        point(number, &got, "build", &json!({"attributes": [["v", ["stringValue", "1"]]]}));
    }),
    ("52", |number| {
        let got = Page::text("target_info{env=\"prod\"} 1\n").scrape();
        let attributes = got["resource"].as_array().unwrap();
        assert!(attributes.contains(&json!(["env", ["stringValue", "prod"]])), "{number}: {got}");
        assert_eq!(metric(&got, "target_info"), None, "{number}");
        point(number, &got, "scrape_samples_scraped", &json!({"asDouble": 1}));
    }),
    ("53", |number| {
        for (instance, address, port) in
            [("127.0.0.1:8080", None, "8080"), ("0.0.0.0:1", None, "1"), ("web", Some("web"), "")]
        {
            let mut page = Page::text("a 1\n");
            page.labels = json!({"instance": instance});
            let got = page.scrape();
            let attributes = got["resource"].as_array().unwrap();
            let attribute = |key: &str| attributes.iter().find(|pair| pair[0] == key).map(|pair| pair[1][1].clone());
            assert_eq!(attribute("server.address"), address.map(Value::from), "{number} {instance}");
            assert_eq!(attribute("server.port"), Some(port.into()), "{number} {instance}");
        }
    }),
    ("54", |number| {
        let page = "m{otel_scope_name=\"s\",otel_scope_version=\"1\",otel_scope_k=\"v\"} 1\nn 1\n";
        let got = Page::text(page).scrape();
        let scope = |name: &str| got["scopes"].as_array().unwrap().iter().find(|scope| scope["scope"] == name).cloned();
        let own = scope("s").unwrap();
        let expected = json!({"scope_attributes": [["k", ["stringValue", "v"]]], "metrics": [{"name": "m", "points": [{"attributes": []}]}]});
        assert!(includes(&own, &expected), "{number}: {own}");
        let receiver = scope("receiver").unwrap();
        assert!(receiver["metrics"].as_array().unwrap().iter().any(|m| m["name"] == "n"), "{number}: {receiver}");
    }),
    ("55", |number| {
        let got = Page::text("m{a=\"\",b=\"x\"} 1\n").scrape();
        point(number, &got, "m", &json!({"attributes": [["b", ["stringValue", "x"]]]}));
    }),
    // Native histograms are refused at start, by name.
    ("56", |number| {
        let text = "{config: {scrape_configs: [{job_name: j, scrape_native_histograms: true}]}}";
        assert!(problems(text).contains("scrape_native_histograms is not supported"), "{number}");
    }),
    ("57", |number| {
        let exemplar = |labels: &str| {
            let page = format!("# TYPE c counter\nc_total 1 # {{{labels}}} 1 1\n# EOF\n");
            metric(&Page::open_metrics(&page).scrape(), "c_total").unwrap()["points"][0]["exemplars"][0].clone()
        };
        for (labels, expected) in [
            (
                "trace_id=\"0102030405060708090a0b0c0d0e0f101112\"",
                json!({"traceId": "0102030405060708090a0b0c0d0e0f10", "filteredAttributes": []}),
            ),
            ("span_id=\"0102\"", json!({"spanId": "0000000000000102", "filteredAttributes": []})),
            (
                "trace_id=\"abc\"",
                json!({"traceId": null, "filteredAttributes": [["trace_id", ["stringValue", "abc"]]]}),
            ),
        ] {
            let got = exemplar(labels);
            assert!(includes(&got, &expected), "{number} {labels}: {got}");
        }
    }),
    // With the exemplars, which the reference loses.
    ("58", |number| {
        let mut page = Page::open_metrics("# TYPE c counter\nc_total 1 # {x=\"y\"} 1\ng 2\n# EOF\n");
        page.change = |rules| rules.external_labels = vec![("env".to_owned(), "p".to_owned())];
        let got = page.scrape();
        let metrics = got["scopes"][0]["metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 7, "{number}: {got}");
        for metric in metrics {
            assert_eq!(metric["points"][0]["attributes"], json!([["env", ["stringValue", "p"]]]), "{number}: {metric}");
        }
        point(number, &got, "c_total", &json!({"exemplars": [{"asDouble": 1}]}));
    }),
    ("59", |number| histogram(number, "h_count 2.7\n", &json!({"count": "2"}))),
    ("59a", |number| {
        let got = Page::text("g 1 1000\ng 2 1000\nk 1 1000\nk 2 2000\n").scrape();
        point(number, &got, "g", &json!({"asDouble": 2, "timeUnixNano": "1000000000"}));
        point(number, &got, "k", &json!({"asDouble": 1, "timeUnixNano": "1000000000"}));
        histogram(number, "h_count 3 1000\nh_sum 1 5000\n", &json!({"count": "3", "sum": null}));
    }),
    // Two metrics, where the reference loses one.
    ("60", |number| {
        let page = "# TYPE foo gauge\nfoo{a=\"1\"} 1\nfoo{a=\"2\"} 2\nfoo_count{a=\"1\"} 7\nfoo{a=\"3\"} 3\n";
        let got = Page::text(page).scrape();
        assert_eq!(metric(&got, "foo").unwrap()["points"].as_array().unwrap().len(), 3, "{number}");
        point(number, &got, "foo_count", &json!({"asDouble": 7}));
    }),
    ("61", |number| {
        let removed = problems("{use_start_time_metric: true, config: {scrape_configs: [{job_name: j}]}}");
        assert!(removed.contains("use_start_time_metric was removed"), "{number}: {removed}");
        let server = problems("{config: {remote_write: [{url: 'http://x'}], scrape_configs: [{job_name: j}]}}");
        assert!(server.contains("unsupported features:\n\tremote_write"), "{number}: {server}");
    }),
    ("62", |number| {
        for replacement in ["$1", "$$1", "$${1}"] {
            assert_eq!(replaced(replacement).unwrap(), "x-value", "{number} {replacement}");
        }
        let error = replaced("${1}").unwrap_err();
        assert!(error.contains("for group 1 of a regular expression write $${1}"), "{number}: {error}");
    }),
];

/// One page in a fresh cache.
struct Page<'p> {
    text: &'p str,
    format: Format,
    labels: Value,
    change: fn(&mut SampleRules),
}

impl Page<'_> {
    fn text(text: &str) -> Page<'_> {
        Page { text, format: Format::Prometheus, labels: json!({}), change: |_| {} }
    }

    fn open_metrics(text: &str) -> Page<'_> {
        Page { format: Format::OpenMetrics, ..Page::text(text) }
    }

    /// The target's resource in the form of the recorded cases.
    fn scrape(&self) -> Value {
        let mut scrapes = Scrapes::of_target_with(&json!({}), &self.labels, self.change);
        let batch = scrapes.batch_of(Some((self.text, self.format)));
        assert_eq!(scrapes.error, None, "{}", self.text);
        let mut text = Vec::new();
        proto::otlp::to_json(&batch, &mut text);
        let otlp: Value = serde_json::from_slice(&text).unwrap();
        resource(&otlp["resourceMetrics"][0])
    }
}

fn metric(resource: &Value, name: &str) -> Option<Value> {
    let scopes = resource["scopes"].as_array().unwrap();
    let mut metrics = scopes.iter().flat_map(|scope| scope["metrics"].as_array().unwrap());
    metrics.find(|metric| metric["name"] == name).cloned()
}

/// The metric has one point, which has at least what is expected; `null` for what is not there.
fn point(number: &str, resource: &Value, name: &str, expected: &Value) {
    let metric = metric(resource, name).unwrap_or_else(|| panic!("{number}: no {name} in {resource}"));
    let points = metric["points"].as_array().unwrap();
    assert!(points.len() == 1 && includes(&points[0], expected), "{number}: {metric} instead of {expected}");
}

fn histogram(number: &str, page: &str, expected: &Value) {
    point(number, &Page::text(&format!("# TYPE h histogram\n{page}")).scrape(), "h", expected);
}

/// What is wrong with a receiver's section.
fn problems(section: &str) -> String {
    let (node, _) = config::parse_yaml("test.yaml", section);
    let (_, found) = settings(&node.unwrap(), &|_| None);
    found.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

/// The label that a rule with this replacement writes, from the text of a collector's configuration.
fn replaced(replacement: &str) -> Result<String, String> {
    struct NoVariables;
    impl Env for NoVariables {
        fn var(&self, _: &str) -> Option<String> {
            None
        }
    }
    let yaml = format!("yaml:{{source_labels: [a], target_label: b, replacement: 'x-{replacement}'}}");
    let (tree, found) = load_tree(&Sources { configs: vec![yaml], ..Sources::default() }, &NoVariables);
    if let Some(error) = found.iter().find(|diagnostic| diagnostic.is_error()) {
        return Err(error.to_string());
    }
    let (rule, found) = decode_prometheus::<RelabelConfig>(&tree.unwrap());
    assert!(found.is_empty(), "{found:?}");
    let mut labels: Labels<'_> = [("a", "value")].into_iter().collect();
    rule.unwrap().compile(ValidationScheme::Utf8)?.apply(&mut labels);
    Ok(labels.value("b").to_owned())
}
