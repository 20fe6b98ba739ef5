//! The series that describe a scrape itself (`up`, `scrape_*`).

use crate::prometheus::text::MetricType;

/// A report series.
pub(crate) struct ReportSeries {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: MetricType,
}

const fn series(name: &'static str, unit: &'static str, description: &'static str) -> ReportSeries {
    ReportSeries { name, unit, description, kind: MetricType::Gauge }
}

const fn extra(name: &'static str) -> ReportSeries {
    ReportSeries { name, unit: "", description: "", kind: MetricType::Unknown }
}

/// All report series; the last three only with `extra_scrape_metrics`.
pub(crate) const SERIES: [ReportSeries; 8] = [
    series("up", "", "The scraping was successful"),
    series("scrape_duration_seconds", "s", "Duration of the scrape"),
    series("scrape_samples_scraped", "", "The number of samples the target exposed"),
    series(
        "scrape_samples_post_metric_relabeling",
        "",
        "The number of samples remaining after metric relabeling was applied",
    ),
    series("scrape_series_added", "", "The approximate number of new series in this scrape"),
    extra("scrape_timeout_seconds"),
    extra("scrape_sample_limit"),
    extra("scrape_body_size_bytes"),
];

/// Of [`SERIES`], those without `extra_scrape_metrics`.
pub(crate) const WITHOUT_EXTRA: usize = 5;

/// Type, unit and description that these names have even when a target exposes them.
pub(crate) fn known(name: &str) -> Option<&'static ReportSeries> {
    SERIES[..WITHOUT_EXTRA].iter().find(|series| series.name == name)
}

/// What a scrape says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// `up`.
    pub(crate) up: bool,
    /// `scrape_duration_seconds`.
    pub(crate) duration_seconds: f64,
    /// Configured timeout, for `scrape_timeout_seconds`.
    pub(crate) timeout_seconds: f64,
    /// Decompressed bytes; -1 when the limit was hit.
    pub(crate) body_bytes: f64,
}
