//! SIGTERM: what was scraped is delivered before the end, a dead AWS does not hold the end up, and what could not be
//! delivered is said.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};
use tests::fake::otlp::{Encoding, Reply, Sink, push_http};
use tests::fake::{FakeAws, Fault, Target, World};
use tests::net::any_port;
use tests::push::{Entrance, gauge, now_ns, point, request};
use tests::story::{EAGER_RETRY, arrived, assert_each_arrived_once, job, numbered, scrape_to_logs, wait_arrived};
use tests::{Agent, Signal, wait_until};

/// ECS kills a task 30 s after SIGTERM; the agent has to be done before.
const END: Duration = Duration::from_secs(29);

async fn running(exporter: &[&str]) -> (Target, FakeAws, Agent) {
    let target = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let config = scrape_to_logs(&[job("numbers", &[target.addr()], &[])], exporter);
    let agent = Agent::with_config(&config).aws(&aws).start().await;
    wait_arrived(&aws, 2).await;
    (target, aws, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_is_delivered_before_the_end() {
    for signal in [Signal::Term, Signal::Int] {
        let (target, aws, mut agent) = running(&[EAGER_RETRY]).await;
        aws.fault(Fault::delay("PutLogEvents", Duration::from_millis(700)).always());
        let scraped = target.scrapes();
        wait_until("some scrapes while AWS is slow", END, || (target.scrapes() >= scraped + 4).then_some(())).await;
        let at_signal = target.scrapes();
        agent.signal(signal);
        assert!(agent.wait_exit(END).await.success(), "{signal:?}");
        assert!(agent.log().contains("Shutdown complete"));
        assert_each_arrived_once(&aws);
        // The scrape that was under way at the signal may have been given up.
        assert!(*arrived(&aws).last().unwrap() + 1 >= at_signal, "{:?} of {at_signal}", arrived(&aws).last());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_queue_is_still_drained() {
    let (target, aws, mut agent) = running(&[EAGER_RETRY]).await;
    aws.fault(Fault::throttle("PutLogEvents").always());
    let scraped = target.scrapes();
    wait_until("some scrapes while throttled", END, || (target.scrapes() >= scraped + 4).then_some(())).await;
    let at_signal = target.scrapes();
    agent.signal(Signal::Term);
    agent.wait_log("Starting shutdown").await;
    aws.clear_faults();
    assert!(agent.wait_exit(END).await.success());
    assert_each_arrived_once(&aws);
    assert!(*arrived(&aws).last().unwrap() + 1 >= at_signal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_aws_does_not_hold_the_end_up_and_the_loss_is_said() {
    let (target, aws, mut agent) = running(&[EAGER_RETRY]).await;
    aws.fault(Fault::hang("PutLogEvents").always());
    let scraped = target.scrapes();
    wait_until("some scrapes while AWS hangs", END, || (target.scrapes() >= scraped + 3).then_some(())).await;
    let started = Instant::now();
    agent.signal(Signal::Term);
    agent.wait_exit(END).await;
    assert!(started.elapsed() < END);
    let log = agent.log();
    let last = log.lines().rev().take(12).collect::<Vec<_>>().join("\n");
    assert!(last.contains("dropp") || last.contains("lost"), "the end does not say what was lost:\n{last}");
}

/// Points that the log says are lost, by the message.
fn lost(log: &str, message: &str, field: &str) -> u64 {
    let fields = log.lines().filter(|line| line.contains(message)).filter_map(|line| line.rsplit('\t').next());
    fields.map(|json| serde_json::from_str::<serde_json::Value>(json).unwrap()[field].as_u64().unwrap()).sum()
}

/// Points that clients were told are taken, while the destination is down until the end.
async fn every_acknowledged_point_is_accounted_for(exporter: &str) {
    let (sink, entrance) = (Sink::start().await, Entrance::new());
    sink.always_reply(Reply::Refuse { status: 503, code: tonic::Code::Unavailable, retry_after: None });
    let config = format!(
        "receivers: {{otlp: {otlp}}}
processors: {{batch: {{timeout: 50ms}}}}
exporters: {{otlphttp: {{endpoint: '{url}', {EAGER_RETRY}, {exporter}}}}}
service: {{pipelines: {{metrics: {{receivers: [otlp], processors: [batch], exporters: [otlphttp]}}}}}}
",
        otlp = entrance.receiver(),
        url = sink.url(),
    );
    let mut agent = Agent::with_config(&config).start().await;
    for _ in 0..20 {
        let points = (0..10).map(|n| point(n, now_ns(), &[("n", &n.to_string())])).collect();
        let request = request(&[], vec![gauge("number", points)]);
        assert_eq!(push_http(&entrance.http_url(), &request, Encoding::Protobuf).await.unwrap().status, 200);
    }
    wait_until("a refusal", END, || (sink.refused() > 0).then_some(())).await;
    let started = Instant::now();
    agent.signal(Signal::Term);
    assert!(agent.wait_exit(END).await.success());
    assert!(started.elapsed() < END);
    let log = agent.log();
    let by_batch = lost(&log, "Sender failed; the points are lost", "points");
    let by_exporter = lost(&log, "Exporting failed. Dropping data.", "dropped_items");
    assert_eq!(by_batch + by_exporter, 200, "{exporter}: {by_batch} of batch, {by_exporter} of the exporter\n{log}");
    assert!(!log.contains("did not stop in time"), "{exporter}:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_batch_acknowledged_is_counted_when_the_destination_stays_down() {
    tokio::join!(
        every_acknowledged_point_is_accounted_for("sending_queue: {enabled: false}"),
        every_acknowledged_point_is_accounted_for("sending_queue: {queue_size: 1}"),
    );
}
