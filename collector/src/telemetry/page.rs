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
    is_shown: fn(&str) -> bool,
}

/// How a page shows the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// `level: basic`: without what a batch or a request does in detail.
    pub basic: bool,
    /// `without_type_suffix: false`: `_total` after the names of counters.
    pub type_suffix: bool,
    /// `without_scope_info: false`: labels of the instrumentation scope.
    pub scope_info: bool,
}

/// Families that the level basic has.
fn is_basic(name: &str) -> bool {
    let is_detail = name.starts_with("otelcol_processor_batch_batch_")
        || matches!(name, "otelcol_processor_batch_timeout_trigger_send" | "otelcol_ecs_api_duration_seconds");
    !is_detail
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
    pub fn new(telemetry: Telemetry, resource: Vec<(String, String)>, look: Look) -> Result<Page, String> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .scope_info_enabled(look.scope_info);
        let exporter = if look.type_suffix { exporter } else { exporter.without_counter_suffixes() };
        let exporter = exporter.build().map_err(|e| e.to_string())?;
        let is_shown: fn(&str) -> bool = if look.basic { is_basic } else { |_| true };
        let resource =
            Resource::builder_empty().with_attributes(resource.into_iter().map(|(k, v)| KeyValue::new(k, v))).build();
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_resource(resource).build();
        let reading = Reading::default();
        registry.register(Box::new(Histograms::new(reading.clone()))).map_err(|e| e.to_string())?;
        Ok(Page { registry, provider, telemetry, observed: Arc::default(), reading, is_shown })
    }

    /// Shows what `collector` knows as well.
    ///
    /// # Errors
    /// When another collector has the same description, as text.
    pub fn with(self, collector: impl Collector + 'static) -> Result<Page, String> {
        self.registry.register(Box::new(collector)).map_err(|e| e.to_string())?;
        Ok(self)
    }

    /// The page in Prometheus' text format 0.0.4.
    pub fn render(&self) -> Vec<u8> {
        let mut observed = self.observed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut families = self.telemetry.families();
        families.retain(|family| (self.is_shown)(family.name));
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
        let resource = vec![("service.name".to_owned(), "otelcol-ecs".to_owned())];
        let page = Page::new(telemetry.clone(), resource, Look::default()).unwrap();
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
        let page = Page::new(telemetry, Vec::new(), Look::default()).unwrap();
        for reading in 1..4 {
            let text = String::from_utf8(page.render()).unwrap();
            let sum = |name: &str| {
                let lines = text.lines().filter(|line| line.starts_with(name));
                lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
            };
            assert_eq!((sum("whole"), sum("part")), (2 * reading, 2 * reading), "{text}");
        }
    }

    #[test]
    fn a_reader_chooses_suffixes_scopes_and_detail() {
        let telemetry = Telemetry::default();
        telemetry.counter("otelcol_exporter_sent_metric_points", "Sent.", &[]).add(2);
        telemetry.counter("otelcol_processor_batch_timeout_trigger_send", "Timeouts.", &[]).add(1);
        telemetry.histogram("otelcol_processor_batch_batch_send_size", "Sizes.", &[], &[1.0]).record(1.0);
        let show = |look| {
            let page = Page::new(telemetry.clone(), Vec::new(), look).unwrap();
            String::from_utf8(page.render()).unwrap()
        };
        let plain = show(Look::default());
        assert!(plain.contains("\notelcol_exporter_sent_metric_points 2\n"), "{plain}");
        assert!(plain.contains("batch_send_size") && plain.contains("timeout_trigger_send"), "{plain}");
        let basic = show(Look { basic: true, ..Look::default() });
        assert!(basic.contains("\notelcol_exporter_sent_metric_points 2\n"), "{basic}");
        assert!(!basic.contains("batch_send_size") && !basic.contains("timeout_trigger_send"), "{basic}");
        let suffixed = show(Look { type_suffix: true, ..Look::default() });
        assert!(suffixed.contains("\notelcol_exporter_sent_metric_points_total 2\n"), "{suffixed}");
        let scoped = show(Look { scope_info: true, ..Look::default() });
        assert!(scoped.contains("otelcol_exporter_sent_metric_points{otel_scope_name=\"otelcol-ecs\"} 2"), "{scoped}");
    }

    #[test]
    fn the_process_is_measured_when_the_page_is_read() {
        use crate::telemetry::process::Process;
        use std::time::{Duration, Instant};
        let started = Instant::now() - Duration::from_millis(1500);
        let page = Page::new(Telemetry::default(), Vec::new(), Look::default()).unwrap();
        let text = String::from_utf8(page.with(Process::new(started)).unwrap().render()).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
        };
        assert!((1.5..60.0).contains(&value("otelcol_process_uptime")), "{text}");
        assert!(value("otelcol_process_cpu_seconds") >= 0.0);
        assert!(value("otelcol_process_memory_rss") > 1e6);
        assert!(text.contains("# TYPE otelcol_process_cpu_seconds counter"), "{text}");
    }
}
