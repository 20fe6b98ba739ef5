//! A scripted target and a receiver that collects its batches.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use proto::points::Point;
use proto::{Batch, BuildContext, MetricKind, Next, NumberValue, Stop};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Path and headers of a request.
type Seen = (String, BTreeMap<String, String>);

/// A target whose answers a function gives; it remembers the requests.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Seen>>>,
}

impl Target {
    /// Serves `answer` for every path.
    pub(crate) async fn serve(answer: impl Fn(usize, &str) -> Response + Send + Sync + 'static) -> Target {
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let seen = requests.clone();
        let answer = Arc::new(answer);
        let app = Router::new().fallback(move |request: Request| {
            let (seen, answer) = (seen.clone(), answer.clone());
            async move {
                let uri = request.uri().to_string();
                let headers = request.headers().iter();
                let headers = headers.map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push((uri.clone(), headers.collect()));
                    seen.len() - 1
                };
                answer(number, &uri)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Target { address, requests }
    }

    /// Serves the same page always.
    pub(crate) async fn page(text: &'static str) -> Target {
        Target::serve(move |_, _| text_page(text)).await
    }

    pub(crate) fn requests(&self) -> Vec<(String, BTreeMap<String, String>)> {
        self.requests.lock().unwrap().clone()
    }
}

pub(crate) fn text_page(text: impl Into<Body>) -> Response {
    Response::builder().header("content-type", "text/plain; version=0.0.4").body(text.into()).unwrap()
}

pub(crate) fn status(code: u16) -> Response {
    Response::builder().status(code).body(Body::empty()).unwrap()
}

/// A running receiver.
pub(crate) struct Running {
    pub(crate) batches: mpsc::Receiver<Batch>,
    pub(crate) context: BuildContext,
    stop: Stop,
    task: JoinHandle<Result<(), String>>,
}

/// Starts a receiver with the `config` subtree given as YAML, indented by nothing.
pub(crate) async fn start(config: &str) -> Running {
    start_with(config, BuildContext::for_test("prometheus")).await
}

pub(crate) async fn start_with(config: &str, context: BuildContext) -> Running {
    let text = format!("config:\n{}", config.lines().map(|line| format!("  {line}\n")).collect::<String>());
    start_section(&text, context).await
}

/// Starts a receiver with its whole section.
pub(crate) async fn start_section(text: &str, context: BuildContext) -> Running {
    let (node, found) = config::parse_yaml("test.yaml", text);
    assert!(found.is_empty(), "{found:?}");
    let (receiver, found) = (receiver::prometheus::FACTORY.build)(&node.unwrap(), &context);
    let receiver = receiver.unwrap_or_else(|| panic!("{}", found.iter().map(|d| format!("{d}\n")).collect::<String>()));
    let (sender, batches) = mpsc::channel(64);
    let next = Next::new(move |batch: Batch| -> proto::BoxFuture<'static, Result<(), proto::Refusal>> {
        let sender = sender.clone();
        Box::pin(async move { sender.send(batch).await.map_err(|_| proto::Refusal::permanent("nobody listens")) })
    });
    let stop = Stop::new();
    let task = receiver.start(next, stop.clone()).await.unwrap();
    Running { batches, context, stop, task: tokio::spawn(task) }
}

impl Running {
    /// The next batch, which has to come soon.
    pub(crate) async fn batch(&mut self) -> Batch {
        tokio::time::timeout(Duration::from_secs(10), self.batches.recv()).await.expect("a batch in time").unwrap()
    }

    /// The next batch of the target with this `service.instance.id`.
    pub(crate) async fn batch_of(&mut self, instance: &str) -> Batch {
        loop {
            let batch = self.batch().await;
            let tables = &batch.tables;
            if tables.resources.iter().any(|r| tables.string_attr(r.attrs, "service.instance.id") == Some(instance)) {
                return batch;
            }
        }
    }

    /// Value of an own metric, 0 when it is not there.
    pub(crate) fn metric(&self, name: &str, label: &str) -> u64 {
        let families = self.context.telemetry.families();
        let members = families.iter().filter(|family| family.name == name).flat_map(|family| &family.members);
        members
            .filter(|(labels, _)| label.is_empty() || labels.iter().any(|(_, value)| value == label))
            .map(|(_, instrument)| match instrument {
                proto::telemetry::Instrument::Counter(counter) => counter.get(),
                proto::telemetry::Instrument::Gauge(gauge) => u64::try_from(gauge.get()).unwrap(),
                proto::telemetry::Instrument::Histogram(histogram) => histogram.get().1.iter().sum(),
            })
            .sum()
    }

    /// Stops it; answers the batches that came until the end.
    pub(crate) async fn stop(mut self) -> Vec<Batch> {
        self.stop.cancel();
        let mut rest = Vec::new();
        let all = async {
            while let Some(batch) = self.batches.recv().await {
                rest.push(batch);
            }
            self.task.await.unwrap().unwrap();
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("the receiver stops in time");
        rest
    }
}

/// Points as lines: `name{attributes} value`, sorted; `stale` for ends. The report series only when asked for.
pub(crate) fn lines(batch: &Batch, with_report: bool) -> Vec<String> {
    let tables = &batch.tables;
    let text = |metric: u32, attrs: proto::AttrSetId, value: String| {
        let metric = &tables.metrics[metric as usize];
        let pairs = tables.attrs.pairs(attrs).iter();
        let mut pairs: Vec<String> =
            pairs.map(|(k, v)| format!("{}={}", tables.str(*k), tables.value_str(*v))).collect();
        pairs.sort();
        format!("{}{{{}}} {value}", tables.str(metric.name), pairs.join(","))
    };
    let mut out = Vec::new();
    for point in &batch.numbers {
        let kind = tables.metrics[point.metric as usize].kind;
        assert!(matches!(kind, MetricKind::Gauge | MetricKind::Sum));
        let value = match point.value {
            NumberValue::Double(value) => value.to_string(),
            _ if point.is_stale() => "stale".to_owned(),
            other => panic!("{other:?}"),
        };
        out.push(text(point.metric, point.attrs, value));
    }
    for point in &batch.histograms {
        let counts = point.counts.of(&batch.counts);
        let value = if point.is_stale() { "stale".to_owned() } else { format!("{} {counts:?}", point.count) };
        out.push(text(point.metric, point.attrs, value));
    }
    for point in &batch.summaries {
        let value = if point.is_stale() { "stale".to_owned() } else { point.count.to_string() };
        out.push(text(point.metric, point.attrs, value));
    }
    out.retain(|line| with_report || !(line.starts_with("up{") || line.starts_with("scrape_")));
    out.sort();
    out
}

/// Value of `up`.
pub(crate) fn up(batch: &Batch) -> f64 {
    let line = lines(batch, true).into_iter().find(|line| line.starts_with("up{")).expect("every batch has up");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
