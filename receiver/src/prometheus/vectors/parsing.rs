//! Vectors 37 to 44: lines of pages and what they say, or why they are refused.

use serde_json::json;

use super::Row;
use crate::prometheus::series::tests::Scrapes;
use crate::prometheus::text::Format;

pub(super) const ROWS: &[Row] = &[
    ("37", |number| {
        refused(number, Format::Prometheus, "# TYPE a counter \n", "invalid metric type \"counter \"");
    }),
    ("38", |number| {
        refused(number, Format::Prometheus, "a 1 1e3\n", "expected next entry after timestamp");
        let mut scrapes = Scrapes::new(&json!({}), |_| {});
        let batch = scrapes.batch_of(Some(("a 1 1e3\n# EOF\n", Format::OpenMetrics)));
        assert_eq!(batch.numbers[0].time_unix_nano, 1_000_000 * 1_000_000, "{number}");
    }),
    ("39", |number| {
        refused(number, Format::OpenMetrics, "a 1\n", "data does not end with # EOF");
        refused(number, Format::OpenMetrics, "a 1\n# EOF\na 2\n", "unexpected data after # EOF");
        read(number, Format::OpenMetrics, "a 1\n# EOF", "a{} 1");
    }),
    ("40", |number| {
        let page = "{\"my.metric\",\"quoted label\"=\"x\"} 1\n";
        read(number, Format::Prometheus, page, "my.metric{quoted label=x} 1");
    }),
    ("41", |number| read(number, Format::Prometheus, "a{b=\"x\\ty\"} 1\n", "a{b=x\\ty} 1")),
    ("42", |number| {
        let page = "# UNIT foo_seconds minutes\n# EOF\n";
        refused(number, Format::OpenMetrics, page, "unit \"minutes\" not a suffix of metric \"foo_seconds\"");
    }),
    ("43", |number| {
        refused(number, Format::Prometheus, "a 0x1p-2\n", "unsupported character in float");
        refused(number, Format::Prometheus, "a 1_000\n", "unsupported character in float");
        read(number, Format::Prometheus, "a +iNf\n", "a{} inf");
    }),
    // One bucket, where the reference writes the boundary twice.
    ("44", |number| {
        let page =
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_count 3\n";
        read(number, Format::Prometheus, page, "h{} 3 None [1.0] [2, 1]");
    }),
];

fn read(number: &str, format: Format, page: &str, expected: &str) {
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    assert_eq!(scrapes.scrape(Some((page, format))), [expected], "{number} {page:?}: {:?}", scrapes.error);
}

fn refused(number: &str, format: Format, page: &str, message: &str) {
    let mut scrapes = Scrapes::new(&json!({}), |_| {});
    assert!(scrapes.scrape(Some((page, format))).is_empty(), "{number} {page:?}");
    let error = scrapes.error.unwrap_or_default();
    assert!(error.contains(message), "{number} {page:?}: {error}");
}
