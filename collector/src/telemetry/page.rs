//! The page of own metrics: the registry of `proto::Telemetry` shown through OpenTelemetry's Prometheus exporter,
//! under the Collector's names (no `_total`, no units, no scope labels).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::core::{Collector, Desc};
use prometheus::proto as pb;
use prometheus::{Encoder, Registry, TextEncoder};
use proto::Telemetry;
use proto::telemetry::{Family, Instrument, Labels};

/// Renders own metrics on request.
#[derive(Clone)]
pub struct Page {
    registry: Registry,
    provider: SdkMeterProvider,
    telemetry: Telemetry,
    /// Names that OpenTelemetry knows already; locked while a page is made, so that each has a reading of its own.
    observed: Arc<Mutex<HashSet<&'static str>>>,
    reading: Reading,
}

/// All families as they were when the page was asked for: the callbacks of one page tell one state.
#[derive(Clone, Default)]
struct Reading(Arc<Mutex<HashMap<&'static str, Taken>>>);

/// The values of one family.
enum Taken {
    Counter(Vec<(Vec<KeyValue>, u64)>),
    Gauge(Vec<(Vec<KeyValue>, i64)>),
    Histogram(pb::MetricFamily),
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
        let reading = Reading::default();
        registry.register(Box::new(Histograms::new(reading.clone()))).map_err(|e| e.to_string())?;
        Ok(Page { registry, provider, telemetry, observed: Arc::default(), reading })
    }

    /// The page in Prometheus' text format 0.0.4.
    pub fn render(&self) -> Vec<u8> {
        let mut observed = self.observed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let families = self.telemetry.families();
        self.observe_new(&families, &mut observed);
        self.reading.take(&families);
        let mut text = Vec::new();
        if let Err(e) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(error = %e, "cannot render own metrics");
        }
        text
    }

    /// Counters and gauges become observable instruments whose callbacks tell what was read.
    fn observe_new(&self, families: &[Family], observed: &mut HashSet<&'static str>) {
        let meter = self.provider.meter("otelcol-ecs");
        for family in families {
            let Some((_, first)) = family.members.first() else { continue };
            if !observed.insert(family.name) {
                continue;
            }
            let (name, reading) = (family.name, self.reading.clone());
            match first {
                Instrument::Counter(_) => {
                    let observe = move |o: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
                        if let Some(Taken::Counter(values)) = reading.lock().get(name) {
                            values.iter().for_each(|(labels, value)| o.observe(*value, labels));
                        }
                    };
                    let _registered =
                        meter.u64_observable_counter(name).with_description(family.help).with_callback(observe).build();
                }
                Instrument::Gauge(_) => {
                    let observe = move |o: &dyn opentelemetry::metrics::AsyncInstrument<i64>| {
                        if let Some(Taken::Gauge(values)) = reading.lock().get(name) {
                            values.iter().for_each(|(labels, value)| o.observe(*value, labels));
                        }
                    };
                    let _registered =
                        meter.i64_observable_gauge(name).with_description(family.help).with_callback(observe).build();
                }
                Instrument::Histogram(_) => {}
            }
        }
    }
}

impl Reading {
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Taken>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn take(&self, families: &[Family]) {
        let taken = families.iter().filter_map(|family| Some((family.name, Taken::of(family)?)));
        *self.lock() = taken.collect();
    }
}

impl Taken {
    fn of(family: &Family) -> Option<Taken> {
        let attributes = |labels: &Labels| labels.iter().map(|(k, v)| KeyValue::new(*k, v.clone())).collect();
        // A family has one kind of instrument.
        let members = family.members.iter();
        Some(match family.members.first()?.1 {
            Instrument::Counter(_) => Taken::Counter(
                members
                    .filter_map(|(labels, i)| match i {
                        Instrument::Counter(counter) => Some((attributes(labels), counter.get())),
                        _ => None,
                    })
                    .collect(),
            ),
            Instrument::Gauge(_) => Taken::Gauge(
                members
                    .filter_map(|(labels, i)| match i {
                        Instrument::Gauge(gauge) => Some((attributes(labels), gauge.get())),
                        _ => None,
                    })
                    .collect(),
            ),
            Instrument::Histogram(_) => Taken::Histogram(Histograms::family(family)),
        })
    }
}

/// Our histograms are already aggregated, which OpenTelemetry's API cannot take; they go to the registry directly.
struct Histograms {
    reading: Reading,
    desc: Desc,
}

impl Histograms {
    fn new(reading: Reading) -> Histograms {
        let desc = Desc::new("otelcol_histograms".into(), "Own histograms.".into(), Vec::new(), Default::default())
            .expect("a constant, valid description");
        Histograms { reading, desc }
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
        let reading = self.reading.lock();
        let mut families: Vec<_> = reading
            .values()
            .filter_map(|taken| match taken {
                Taken::Histogram(family) => Some(family.clone()),
                _ => None,
            })
            .collect();
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families
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
    #[test]
    fn a_page_tells_one_state_of_instruments_that_belong_together() {
        let telemetry = Telemetry::default();
        let (whole, registry) = (telemetry.counter("whole", "All.", &[]), telemetry.clone());
        telemetry.gauge("size", "A gauge between them.", &[]).set(1);
        telemetry.on_read(move || {
            whole.add(2);
            registry.counter("part", "Half, with a new member each time.", &[("n", &whole.get().to_string())]).add(2);
            true
        });
        let page = Page::new(telemetry, Vec::new()).unwrap();
        for reading in 1..4 {
            let text = String::from_utf8(page.render()).unwrap();
            let sum = |name: &str| {
                let lines = text.lines().filter(|line| line.starts_with(name));
                lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
            };
            assert_eq!((sum("whole"), sum("part")), (2 * reading, 2 * reading), "{text}");
        }
    }
}
