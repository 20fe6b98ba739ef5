//! The page of own metrics: the registry of `proto::Telemetry` shown through OpenTelemetry's Prometheus exporter,
//! under the Collector's names (no `_total`, no units, no scope labels).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::core::{Collector, Desc};
use prometheus::proto as pb;
use prometheus::{Encoder, Registry, TextEncoder};
use proto::Telemetry;
use proto::telemetry::{Family, Instrument};

/// Renders own metrics on request.
#[derive(Clone)]
pub struct Page {
    registry: Registry,
    provider: SdkMeterProvider,
    telemetry: Telemetry,
    observed: Arc<Mutex<HashSet<&'static str>>>,
}

impl Page {
    /// A page over `telemetry`; `resource` becomes `target_info`.
    ///
    /// # Errors
    /// When the exporter refuses its set-up, as text.
    pub fn new(telemetry: Telemetry, resource: Vec<(String, String)>) -> Result<Page, String> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_counter_suffixes()
            .without_units()
            .scope_info_enabled(false)
            .build()
            .map_err(|e| e.to_string())?;
        let resource =
            Resource::builder_empty().with_attributes(resource.into_iter().map(|(k, v)| KeyValue::new(k, v))).build();
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_resource(resource).build();
        registry.register(Box::new(Histograms::new(telemetry.clone()))).map_err(|e| e.to_string())?;
        Ok(Page { registry, provider, telemetry, observed: Arc::default() })
    }

    /// The page in Prometheus' text format 0.0.4.
    pub fn render(&self) -> Vec<u8> {
        self.observe_new_families();
        let mut text = Vec::new();
        if let Err(e) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(error = %e, "cannot render own metrics");
        }
        text
    }

    /// Counters and gauges become observable instruments whose callbacks read our atomics.
    fn observe_new_families(&self) {
        let meter = self.provider.meter("otelcol-ecs");
        let mut observed = self.observed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for family in self.telemetry.families() {
            if !observed.insert(family.name) {
                continue;
            }
            let telemetry = self.telemetry.clone();
            let name = family.name;
            match family.members.first().map(|m| &m.1) {
                Some(Instrument::Counter(_)) => {
                    let observe = move |o: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
                        for (labels, instrument) in members(&telemetry, name) {
                            if let Instrument::Counter(c) = instrument {
                                o.observe(c.get(), &labels);
                            }
                        }
                    };
                    let _registered =
                        meter.u64_observable_counter(name).with_description(family.help).with_callback(observe).build();
                }
                Some(Instrument::Gauge(_)) => {
                    let observe = move |o: &dyn opentelemetry::metrics::AsyncInstrument<i64>| {
                        for (labels, instrument) in members(&telemetry, name) {
                            if let Instrument::Gauge(g) = instrument {
                                o.observe(g.get(), &labels);
                            }
                        }
                    };
                    let _registered =
                        meter.i64_observable_gauge(name).with_description(family.help).with_callback(observe).build();
                }
                Some(Instrument::Histogram(_)) => {}
                None => drop(observed.remove(family.name)),
            }
        }
    }
}

fn members(telemetry: &Telemetry, name: &str) -> Vec<(Vec<KeyValue>, Instrument)> {
    let families = telemetry.families();
    let Some(family) = families.into_iter().find(|f| f.name == name) else { return Vec::new() };
    let attributes = |labels: Vec<(&'static str, String)>| labels.into_iter().map(|(k, v)| KeyValue::new(k, v));
    family.members.into_iter().map(|(labels, i)| (attributes(labels).collect(), i)).collect()
}

/// Our histograms are already aggregated, which OpenTelemetry's API cannot take; they go to the registry directly.
struct Histograms {
    telemetry: Telemetry,
    desc: Desc,
}

impl Histograms {
    fn new(telemetry: Telemetry) -> Histograms {
        let desc = Desc::new("otelcol_histograms".into(), "Own histograms.".into(), Vec::new(), Default::default())
            .expect("a constant, valid description");
        Histograms { telemetry, desc }
    }

    fn family(family: &Family) -> pb::MetricFamily {
        let mut out = pb::MetricFamily::default();
        out.set_name(family.name.to_owned());
        out.set_help(family.help.to_owned());
        out.set_field_type(pb::MetricType::HISTOGRAM);
        let mut metrics = Vec::new();
        for (labels, instrument) in &family.members {
            let Instrument::Histogram(h) = instrument else { continue };
            let (bounds, counts, sum) = h.get();
            let mut histogram = pb::Histogram::default();
            let mut buckets = Vec::with_capacity(bounds.len());
            let mut seen = 0;
            for (bound, count) in bounds.iter().zip(&counts) {
                seen += count;
                let mut bucket = pb::Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(seen);
                buckets.push(bucket);
            }
            histogram.set_bucket(buckets);
            histogram.set_sample_count(counts.iter().sum());
            histogram.set_sample_sum(sum);
            let mut metric = pb::Metric::default();
            let pairs = labels.iter().map(|(k, v)| {
                let mut pair = pb::LabelPair::default();
                pair.set_name((*k).to_owned());
                pair.set_value(v.clone());
                pair
            });
            metric.set_label(pairs.collect());
            metric.set_histogram(histogram);
            metrics.push(metric);
        }
        out.set_metric(metrics);
        out
    }
}

impl Collector for Histograms {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<pb::MetricFamily> {
        let families = self.telemetry.families();
        families
            .iter()
            .filter(|f| matches!(f.members.first(), Some((_, Instrument::Histogram(_)))))
            .map(Histograms::family)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_gauges_and_histograms_appear_under_their_exact_names() {
        let telemetry = Telemetry::default();
        telemetry.counter("otelcol_receiver_accepted_metric_points", "Accepted.", &[("receiver", "otlp")]).add(7);
        telemetry.gauge("otelcol_exporter_queue_size", "Queue.", &[("exporter", "awsemf")]).set(3);
        telemetry.histogram("otelcol_ecs_api_duration_seconds", "Calls.", &[], &[0.1, 1.0]).record(0.5);
        let page = Page::new(telemetry.clone(), vec![("service.name".into(), "otelcol-ecs".into())]).unwrap();
        let text = String::from_utf8(page.render()).unwrap();
        for line in [
            "otelcol_receiver_accepted_metric_points{receiver=\"otlp\"} 7",
            "otelcol_exporter_queue_size{exporter=\"awsemf\"} 3",
            "otelcol_ecs_api_duration_seconds_bucket{le=\"1\"} 1",
            "otelcol_ecs_api_duration_seconds_count 1",
            "target_info{service_name=\"otelcol-ecs\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
        }
        telemetry.counter("otelcol_new", "Later.", &[]).add(1);
        assert!(String::from_utf8(page.render()).unwrap().contains("otelcol_new 1"));
    }
}
