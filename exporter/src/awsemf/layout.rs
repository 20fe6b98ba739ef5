//! What `layout: cloudwatch_agent` changes: which metrics are taken, the labels that the CloudWatch agent adds, and how
//! it names log streams. The order of fields is `document`'s.

use std::borrow::Cow;

use proto::{Metric, MetricKind, Tables};

use super::config::TranslationSettings;
use super::drops::Reason;
use super::labels::Labels;
use super::resource::ResourceContext;

/// Whose events ours look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// The Collector's.
    #[default]
    Collector,
    /// The CloudWatch agent's for Prometheus metrics: the order of its published sample, `job`, `instance` and
    /// `prom_metric_type` as labels, gauges, counters and summaries only.
    CloudWatchAgent,
}

/// Series that a scrape says about itself; the agent drops them, because no target gives them a type.
const ABOUT_SCRAPES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// Longest log stream name.
const MAX_STREAM_CHARS: usize = 512;

/// Why the agent drops a metric. Scraped metrics carry their Prometheus type; others are judged by their kind.
pub(crate) fn refusal(tables: &Tables, metric: &Metric) -> Option<Reason> {
    let of_prometheus = tables.string_attr(metric.metadata, "prometheus.type");
    if of_prometheus.is_some() && ABOUT_SCRAPES.contains(&tables.str(metric.name)) {
        return Some(Reason::AboutScrapes);
    }
    let is_taken = match of_prometheus {
        Some(kind) => matches!(kind, "gauge" | "counter" | "summary"),
        None => matches!(metric.kind, MetricKind::Gauge | MetricKind::Sum | MetricKind::Summary),
    };
    (!is_taken).then_some(Reason::UnsupportedType)
}

/// Adds the labels that the agent's records have beside those of the data point.
pub(crate) fn add_labels(
    settings: &TranslationSettings,
    resource: &ResourceContext,
    kind: MetricKind,
    labels: &mut Labels,
) {
    labels.retain(|name, _| !name.starts_with("__"));
    for (label, attribute) in [("job", "service.name"), ("instance", "service.instance.id")] {
        let value = resource.attribute(attribute).filter(|value| !value.is_empty());
        if let Some(value) = value.filter(|_| !labels.contains_key(label)) {
            labels.insert(label.to_owned(), value.to_owned());
        }
    }
    let kind = match kind {
        MetricKind::Sum => "counter",
        MetricKind::Summary => "summary",
        _ => "gauge",
    };
    labels.insert("prom_metric_type".to_owned(), kind.to_owned());
    add_event_labels(settings, labels);
    if !labels.contains_key("job") {
        labels.insert("JobName".to_owned(), "default".to_owned());
    }
}

/// Adds `event_labels` where there is no label of the name.
pub(crate) fn add_event_labels(settings: &TranslationSettings, labels: &mut Labels) {
    for (name, value) in &settings.event_labels {
        if !labels.contains_key(name) {
            labels.insert(name.clone(), value.clone());
        }
    }
}

/// A name that CloudWatch Logs takes for a stream: the agent lets `:` and `*` through and then fails for ever.
pub(crate) fn stream_name(name: &str) -> Cow<'_, str> {
    if name.chars().count() <= MAX_STREAM_CHARS && !name.contains([':', '*']) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace([':', '*'], "_").chars().take(MAX_STREAM_CHARS).collect())
}
