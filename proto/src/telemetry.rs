//! The agent's own metrics: plain atomics that components hold, listed in one registry.
//!
//! Exposition (OpenTelemetry, the Prometheus page) is the collector's business; here is no formatting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Labels of an instrument, in the order they were given.
pub type Labels = Vec<(&'static str, String)>;

/// Monotonic count. Cloning shares it; adding is one relaxed atomic operation.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
    /// Current value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A value that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, v: i64) {
        self.0.store(v, Relaxed);
    }
    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }
    /// Current value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// What one component adds to a gauge that others feed as well: pipelines that share a processor's id, a service and
/// the one that takes over from it. Taken back when it is dropped.
#[derive(Debug)]
pub struct Share {
    gauge: Gauge,
    part: AtomicI64,
}

impl Share {
    /// A share of nothing.
    pub fn of(gauge: Gauge) -> Share {
        Share { gauge, part: AtomicI64::new(0) }
    }
    /// Replaces this part of the gauge's value.
    pub fn set(&self, v: i64) {
        let before = self.part.swap(v, Relaxed);
        self.gauge.add(v - before);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Counts of observations in fixed buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<HistogramInner>);

#[derive(Debug)]
struct HistogramInner {
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    sum_micro: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Histogram {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(HistogramInner { bounds, buckets, sum_micro: AtomicU64::new(0) }))
    }

    /// Records a non-negative value (seconds, items, bytes). Sums are kept to a millionth.
    pub fn record(&self, v: f64) {
        let i = self.0.bounds.partition_point(|b| *b < v);
        self.0.buckets[i].fetch_add(1, Relaxed);
        self.0.sum_micro.fetch_add((v.max(0.0) * 1e6) as u64, Relaxed);
    }

    /// Upper bounds, counts per bucket (one more than bounds, not cumulative), and the sum.
    pub fn get(&self) -> (&'static [f64], Vec<u64>, f64) {
        let counts = self.0.buckets.iter().map(|b| b.load(Relaxed)).collect();
        (self.0.bounds, counts, self.0.sum_micro.load(Relaxed) as f64 / 1e6)
    }
}

/// One registered instrument.
#[derive(Clone, Debug)]
pub enum Instrument {
    /// Monotonic.
    Counter(Counter),
    /// Up and down.
    Gauge(Gauge),
    /// Distribution.
    Histogram(Histogram),
}

/// All instruments of one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// Name on the page, exactly: `otelcol_receiver_accepted_metric_points` (the Collector shows no `_total`).
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
    /// Label values and their instruments.
    pub members: Vec<(Labels, Instrument)>,
}

/// Registry of the process. Cheap to clone; the same name and labels always give the same instrument.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Arc<Mutex<BTreeMap<&'static str, Family>>>, Hooks);

/// What runs before a reading.
#[derive(Clone, Default)]
struct Hooks(Arc<Mutex<Vec<Hook>>>);

type Hook = Arc<dyn Fn() -> bool + Send + Sync>;

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

impl Telemetry {
    /// Calls `hook` before every reading of all families, so that instruments that belong together can be set from
    /// one consistent state. The hook says whether it wants to be called again.
    pub fn on_read(&self, hook: impl Fn() -> bool + Send + Sync + 'static) {
        self.1.0.lock().expect("no panic while locked").push(Arc::new(hook));
    }

    /// The counter of that name and labels.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        match self.instrument(name, help, labels, || Instrument::Counter(Counter::default())) {
            Instrument::Counter(c) => c,
            other => panic!("{name} is registered as {other:?}, not as a counter"),
        }
    }

    /// The gauge of that name and labels.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        match self.instrument(name, help, labels, || Instrument::Gauge(Gauge::default())) {
            Instrument::Gauge(g) => g,
            other => panic!("{name} is registered as {other:?}, not as a gauge"),
        }
    }

    /// The histogram of that name and labels.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        bounds: &'static [f64],
    ) -> Histogram {
        match self.instrument(name, help, labels, || Instrument::Histogram(Histogram::new(bounds))) {
            Instrument::Histogram(h) => h,
            other => panic!("{name} is registered as {other:?}, not as a histogram"),
        }
    }

    /// Takes an instrument off the page: a target that is gone, a component that a reload removed.
    pub fn remove(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        if let Some(family) = self.0.lock().expect("no panic while locked").get_mut(name) {
            family.members.retain(|(l, _)| !same(l, labels));
        }
    }

    /// All families, by name.
    pub fn families(&self) -> Vec<Family> {
        let hooks = self.1.0.lock().expect("no panic while locked").clone();
        let gone: Vec<Hook> = hooks.into_iter().filter(|hook| !hook()).collect();
        if !gone.is_empty() {
            let mut hooks = self.1.0.lock().expect("no panic while locked");
            hooks.retain(|hook| !gone.iter().any(|g| Arc::ptr_eq(g, hook)));
        }
        self.0.lock().expect("no panic while locked").values().cloned().collect()
    }

    fn instrument(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        new: impl FnOnce() -> Instrument,
    ) -> Instrument {
        let mut map = self.0.lock().expect("no panic while locked");
        let family = map.entry(name).or_insert_with(|| Family { name, help, members: Vec::new() });
        if let Some((_, found)) = family.members.iter().find(|(l, _)| same(l, labels)) {
            return found.clone();
        }
        let made = new();
        family.members.push((labels.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(), made.clone()));
        made
    }
}

fn same(a: &Labels, b: &[(&'static str, &str)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.0 == y.0 && x.1 == y.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_labels_give_the_same_counter() {
        let t = Telemetry::default();
        t.counter("a_total", "help", &[("x", "1")]).add(2);
        t.counter("a_total", "help", &[("x", "1")]).add(3);
        t.counter("a_total", "help", &[("x", "2")]).add(1);
        assert_eq!(t.counter("a_total", "help", &[("x", "1")]).get(), 5);
        assert_eq!(t.families()[0].members.len(), 2);
        t.remove("a_total", &[("x", "2")]);
        assert_eq!(t.families()[0].members.len(), 1);
    }

    #[test]
    fn a_hook_sets_instruments_before_a_reading_until_it_says_no() {
        let t = Telemetry::default();
        let (gauge, reader) = (t.gauge("g", "help", &[]), t.clone());
        t.on_read(move || {
            gauge.add(1);
            reader.gauge("made_by_the_hook", "help", &[]);
            let Instrument::Gauge(g) = &gauge_of(&reader) else { return false };
            g.get() < 2
        });
        fn gauge_of(t: &Telemetry) -> Instrument {
            Instrument::Gauge(t.gauge("g", "help", &[]))
        }
        for expected in [1, 2, 2] {
            t.families();
            assert_eq!(t.gauge("g", "help", &[]).get(), expected);
        }
    }

    #[test]
    fn a_gauge_is_the_sum_of_its_shares() {
        let gauge = Gauge::default();
        let (a, b) = (Share::of(gauge.clone()), Share::of(gauge.clone()));
        a.set(5);
        b.set(2);
        a.set(3);
        assert_eq!(gauge.get(), 5);
        drop(a);
        assert_eq!(gauge.get(), 2);
    }

    #[test]
    fn a_histogram_counts_a_value_on_its_bound_below_it() {
        let t = Telemetry::default();
        let h = t.histogram("h", "help", &[], &[1.0, 5.0]);
        for v in [0.5, 1.0, 1.5, 9.0] {
            h.record(v);
        }
        let (_, counts, sum) = h.get();
        assert_eq!(counts, [2, 1, 1]);
        assert!((sum - 12.0).abs() < 1e-6);
    }
}
