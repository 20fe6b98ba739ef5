//! The receiver over real sockets; helpers for the test files beside this one.

mod early;
mod grpc;
mod http;
mod lifetime;
mod secure;
mod settings;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use prost::Message;
use proto::{Batch, BuildContext, Next, Refusal, Stop, Task};

use super::FACTORY;

/// A running receiver, what it handed on, and what it is told next.
pub(super) struct Running {
    pub(super) grpc: u16,
    pub(super) http: u16,
    pub(super) batches: Arc<Mutex<Vec<Batch>>>,
    pub(super) answer: Arc<Mutex<Option<Refusal>>>,
    /// How long the pipeline takes for its answer.
    pub(super) delay: Arc<Mutex<Duration>>,
    pub(super) context: BuildContext,
    pub(super) stop: Stop,
    pub(super) task: tokio::task::JoinHandle<Result<(), String>>,
}

/// Starts a receiver; `GRPC` and `HTTP` in the text stand for free ports.
pub(super) async fn start(config: &str) -> Running {
    start_with(config, BuildContext::for_test("otlp")).await
}

pub(super) async fn start_with(config: &str, context: BuildContext) -> Running {
    start_before(config, context, |next| next).await
}

/// As [`start`], before a pipeline that is changed by `before`.
pub(super) async fn start_before(config: &str, context: BuildContext, before: fn(Next) -> Next) -> Running {
    let (grpc, http) = (free_port(), free_port());
    let text = config.replace("GRPC", &grpc.to_string()).replace("HTTP", &http.to_string());
    let (node, found) = config::parse_yaml("test.yaml", &text);
    assert_eq!(found, []);
    let (receiver, found) = (FACTORY.build)(&node.unwrap(), &context);
    assert_eq!(found, []);
    let (batches, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
    let delay = Arc::new(Mutex::new(Duration::ZERO));
    let (to, told, wait) = (batches.clone(), answer.clone(), delay.clone());
    let next = Next::new(move |batch: Batch| -> proto::BoxFuture<'static, Result<(), Refusal>> {
        to.lock().unwrap().push(batch);
        let answer = told.lock().unwrap().clone().map_or(Ok(()), Err);
        let wait = *wait.lock().unwrap();
        Box::pin(async move {
            // At once means without a turn of the scheduler.
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            answer
        })
    });
    let stop = Stop::new();
    let task: Task = receiver.unwrap().start(before(next), stop.clone()).await.unwrap();
    Running { grpc, http, batches, answer, delay, context, stop, task: tokio::spawn(task) }
}

impl Running {
    /// Stops it and waits until everything in progress is done.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.unwrap().unwrap().unwrap();
    }

    pub(super) fn points(&self) -> usize {
        self.batches.lock().unwrap().iter().map(Batch::points).sum()
    }

    /// Values of the accepted and refused counters.
    pub(super) fn counted(&self, transport: &str) -> (u64, u64) {
        let labels = [("receiver", "otlp"), ("transport", transport)];
        let counter = |name| self.context.telemetry.counter(name, "", &labels).get();
        (counter("otelcol_receiver_accepted_metric_points"), counter("otelcol_receiver_refused_metric_points"))
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A request with this many gauge points.
pub(super) fn request(points: usize) -> Vec<u8> {
    let point = |i: usize| NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsInt(i as i64)),
        ..NumberDataPoint::default()
    };
    let gauge = Gauge { data_points: (0..points).map(point).collect() };
    let metric = Metric { name: "temp".into(), data: Some(metric::Data::Gauge(gauge)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
}

/// The same request as JSON with one point.
pub(super) const JSON: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"temp","gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000","asInt":"0"}]}}]}]}]}"#;

/// Bytes compressed as `Content-Encoding` (`grpc-encoding` where they differ) names it.
pub(super) fn compressed(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match encoding {
        "gzip" => {
            let mut w = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            w.write_all(bytes).unwrap();
            w.finish().unwrap()
        }
        "zlib" | "deflate" => {
            let mut w = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            w.write_all(bytes).unwrap();
            w.finish().unwrap()
        }
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        "snappy" => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        "x-snappy-framed" => {
            let mut w = snap::write::FrameEncoder::new(Vec::new());
            w.write_all(bytes).unwrap();
            w.into_inner().unwrap()
        }
        "lz4" => {
            let mut w = lz4_flex::frame::FrameEncoder::new(Vec::new());
            w.write_all(bytes).unwrap();
            w.finish().unwrap()
        }
        other => panic!("{other}"),
    }
}
