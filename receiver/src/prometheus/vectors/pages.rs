//! Vectors 24 to 36: what successive pages leave, and what the report series say of them.

use serde_json::json;

use super::Row;
use crate::prometheus::config::{Protocol, format_of};
use crate::prometheus::series::tests::Scrapes;
use crate::prometheus::text::Format;

pub(super) const ROWS: &[Row] = &[
    ("24", |number| {
        let mut scrapes = Scrapes::new(&json!({"sample_limit": 3}), |_| {});
        assert!(scrapes.text("a 1\nb 1\nc 1\nd 1\n").is_empty(), "{number}");
        let [up, scraped, post, _] = scrapes.report;
        assert_eq!([up, scraped, post], [0.0, 4.0, 4.0], "{number}");
    }),
    ("25", |number| {
        let mut scrapes = Scrapes::new(&json!({"label_limit": 4}), |_| {});
        assert!(scrapes.text("b{x=\"1\",y=\"2\"} 1\n").is_empty(), "{number}");
        assert_eq!(scrapes.report[0], 0.0, "{number}");
        let expected = "label_limit exceeded (metric: b, number of labels: 5, limit: 4)";
        assert_eq!(scrapes.error.unwrap(), expected, "{number}");
    }),
    ("26", |number| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        scrapes.text("a 1\nb 2\n");
        let time = scrapes.time_ms + 1000;
        let batch = scrapes.batch("a 1\n");
        let end = batch.numbers.iter().find(|point| point.flags != 0).unwrap();
        assert_eq!(end.time_unix_nano, u64::try_from(time).unwrap() * 1_000_000, "{number}");
        assert_eq!(scrapes.text("a 1\n"), ["a{} 1"], "{number}");
    }),
    ("27", |number| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        scrapes.text("a 1\nb 2\n");
        assert_eq!(scrapes.scrape(None), ["a{} stale", "b{} stale"], "{number}");
        assert_eq!(scrapes.report, [0.0, 0.0, 0.0, 0.0], "{number}");
        assert!(scrapes.scrape(None).is_empty(), "{number}");
    }),
    ("28", |number| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        scrapes.text("a 1\nb 2\n");
        assert!(scrapes.text("a 1\nb 2\n!!!\n").is_empty(), "{number}");
        assert_eq!(scrapes.report, [0.0, 2.0, 2.0, 0.0], "{number}");
    }),
    ("29", |number| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        assert_eq!(scrapes.text("a 1\na 2\n"), ["a{} 1"], "{number}");
        assert_eq!(scrapes.report, [1.0, 2.0, 2.0, 1.0], "{number}");
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        assert_eq!(scrapes.text("g{x=\"1\",y=\"2\"} 1\ng{y=\"2\",x=\"1\"} 5\n"), ["g{x=1,y=2} 5"], "{number}");
        assert_eq!(scrapes.report, [1.0, 2.0, 2.0, 2.0], "{number}");
    }),
    ("30", |number| {
        for (config, expected) in [(json!({}), &[][..]), (json!({"track_timestamps_staleness": true}), &["a{} stale"])]
        {
            let mut scrapes = Scrapes::new(&config, |_| {});
            assert_eq!(scrapes.text("a 1 1000\n"), ["a{} 1"], "{number}");
            assert_eq!(scrapes.text("\n"), expected, "{number} {config}");
        }
    }),
    ("31", |number| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        let future = scrapes.time_ms + 1000 + 11 * 60 * 1000;
        assert!(scrapes.text(&format!("a 1 {future}\n")).is_empty(), "{number}");
        assert_eq!(scrapes.report[..3], [1.0, 1.0, 1.0], "{number}");
    }),
    ("32", |number| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        scrapes.text("a 1\n");
        assert_eq!(scrapes.text(""), ["a{} stale"], "{number}");
        assert_eq!(scrapes.report, [1.0, 0.0, 0.0, 0.0], "{number}");
    }),
    ("33", |number| {
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        assert!(scrapes.text("a{x=\"1\",x=\"2\"} 1\n").is_empty(), "{number}");
        assert_eq!(scrapes.report[0], 0.0, "{number}");
        assert!(scrapes.error.unwrap().contains("non-unique label names"), "{number}");
    }),
    ("34", |number| {
        let rule = json!({"source_labels": ["__name__"], "regex": "b", "action": "drop"});
        let mut scrapes = Scrapes::new(&json!({"metric_relabel_configs": [rule]}), |_| {});
        assert_eq!(scrapes.text("a 1\nb 1\n"), ["a{} 1"], "{number}");
        assert_eq!(scrapes.report, [1.0, 2.0, 1.0, 1.0], "{number}");
    }),
    ("36", |number| {
        assert_eq!(format_of(Some("text/html"), Protocol::Text0), Some(Format::Prometheus), "{number}");
        let fallback = crate::prometheus::series::conformance::job("j", &json!({})).fallback;
        assert_eq!(fallback, Protocol::Text0, "{number}: inline jobs have a fallback");
    }),
];
