//! `batch` before `awsemf`, as in the configurations that ADOT ships: CloudWatch Logs refuses twenty requests in a row,
//! and every point that a client was told is taken arrives, once.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::{Cumulative, Delta};
use std::collections::BTreeMap;
use tests::agent::PATIENCE;
use tests::fake::otlp::{Encoding, push_grpc, push_http};
use tests::fake::{Call, FakeAws, Fault, World};
use tests::push::{Entrance, counter, gauge, now_ns, point, request};
use tests::story::EAGER_RETRY;
use tests::{Agent, wait_until};

/// How often PutLogEvents is refused: throttled first, then by a failing service.
const REFUSALS: u64 = 20;

/// ADOT's `ecs-default-config.yaml` without traces and statsd. `batch` and `exporter` are further keys in flow form.
fn config(entrance: &Entrance, batch: &str, exporter: &[&str]) -> String {
    let exporter: String = exporter.iter().map(|line| format!("    {line}\n")).collect();
    format!(
        "receivers:
  otlp: {otlp}
processors:
  batch/metrics: {batch}
exporters:
  awsemf:
    namespace: ECS/AWSOTel/Application
    log_group_name: '/aws/ecs/application/metrics'
{exporter}service:
  pipelines:
    metrics: {{receivers: [otlp], processors: [batch/metrics], exporters: [awsemf]}}
",
        otlp = entrance.receiver()
    )
}

fn refuse_twenty(aws: &FakeAws) {
    // Both count every call; the first one strikes while both would.
    aws.fault(Fault::throttle("PutLogEvents").times(REFUSALS / 2));
    aws.fault(Fault::broken("PutLogEvents", 503).times(REFUSALS));
}

/// Refusals so far, without those that say that group and stream are yet to be made.
fn refused(aws: &FakeAws) -> u64 {
    let refused = |call: &&Call| {
        call.status.is_some_and(|status| status != 200) && call.code.as_deref() != Some("ResourceNotFoundException")
    };
    aws.calls_of("PutLogEvents").iter().filter(refused).count() as u64
}

/// Pushes the requests of these numbers, alternately over gRPC, HTTP with protobuf and HTTP with JSON, and expects each
/// to be acknowledged. Request `n` brings a gauge of value `n`, one count of delta, and a running total of `3n`.
async fn push(entrance: &Entrance, numbers: std::ops::Range<i64>) {
    for n in numbers {
        let (time, label) = (now_ns(), n.to_string());
        let metrics = vec![
            gauge("number", vec![point(n, time, &[("n", &label)])]),
            counter("events", Delta, vec![point(1, time, &[])]),
            counter("total", Cumulative, vec![point(3 * n, time, &[])]),
        ];
        let request = request(&[("service.name", "shop")], metrics);
        match n % 3 {
            0 => drop(push_grpc(&entrance.grpc_url(), request, None).await.unwrap()),
            1 => assert_eq!(push_http(&entrance.http_url(), &request, Encoding::Protobuf).await.unwrap().status, 200),
            _ => assert_eq!(push_http(&entrance.http_url(), &request, Encoding::Json).await.unwrap().status, 200),
        }
    }
}

/// Checks that the requests 0 to `count` arrived, each once.
fn assert_each_once(aws: &FakeAws, count: i64) {
    let mut sums: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let documents = aws.documents();
    for name in ["number", "events", "total"] {
        sums.insert(name, documents.iter().filter_map(|document| document[name].as_i64()).collect());
    }
    let mut numbers = sums.remove("number").unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "a number is missing or came twice");
    assert_eq!(sums["events"].iter().sum::<i64>(), count);
    // The first value of a running total is only what later ones are compared with.
    assert_eq!(sums["total"].iter().sum::<i64>(), 3 * (count - 1), "{:?}", sums["total"]);
}

/// Pushes while the twenty refusals go on, until all of them have happened; returns how many requests were pushed.
async fn push_while_refused(aws: &FakeAws, entrance: &Entrance) -> i64 {
    let mut pushed = 0;
    while refused(aws) < REFUSALS && pushed < 3000 {
        push(entrance, pushed..pushed + 3).await;
        pushed += 3;
    }
    assert_eq!(refused(aws), REFUSALS);
    push(entrance, pushed..pushed + 3).await;
    pushed + 3
}

async fn wait_for_the_last(aws: &FakeAws, count: i64) {
    wait_until("the last number", PATIENCE, || {
        aws.documents().iter().any(|document| document["number"] == count - 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_refused_put_log_events_in_a_row_lose_none() {
    // With the queue behind it, with room for one batch only, and without a queue, so that refusals come back to
    // `batch` and wait in its own buffer.
    let retry_in_the_queue: &[&str] = &[EAGER_RETRY];
    let short_queue: &[&str] = &[EAGER_RETRY, "sending_queue: {queue_size: 1}"];
    let no_queue: &[&str] = &[EAGER_RETRY, "sending_queue: {enabled: false}"];
    for exporter in [retry_in_the_queue, short_queue, no_queue] {
        let (aws, entrance) = (FakeAws::start(World::default()).await, Entrance::new());
        let config = config(&entrance, "{timeout: 50ms}", exporter);
        let mut agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
        refuse_twenty(&aws);
        let count = push_while_refused(&aws, &entrance).await;
        wait_for_the_last(&aws, count).await;
        let page = agent.metrics().await.unwrap();
        // The first value of the running total, which later ones are compared with, and nothing else.
        let dropped = |labels: &[(&str, &str)]| page.sum("otelcol_ecs_dropped_metric_points", labels).unwrap_or(0.0);
        assert_eq!((dropped(&[]), dropped(&[("reason", "first_value")])), (1.0, 1.0), "{exporter:?}");
        assert_eq!(page.sum("otelcol_receiver_accepted_metric_points", &[]), Some(3.0 * count as f64));
        assert!(agent.stop().await.success());
        assert_each_once(&aws, count);
        assert_eq!(aws.groups()[0].name, "/aws/ecs/application/metrics");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_long_batch_leaves_at_sigterm_through_twenty_refusals() {
    let (aws, entrance) = (FakeAws::start(World::default()).await, Entrance::new());
    let config = config(&entrance, "{timeout: 60s}", &[EAGER_RETRY]);
    let mut agent = Agent::with_config(&config).aws(&aws).start().await;
    push(&entrance, 0..30).await;
    assert_eq!(aws.count("PutLogEvents"), 0);
    refuse_twenty(&aws);
    assert!(agent.stop().await.success());
    assert_eq!(refused(&aws), REFUSALS);
    assert_each_once(&aws, 30);
}
