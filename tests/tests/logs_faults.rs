//! CloudWatch Logs misbehaves: throttles, fails, cuts connections, loses streams, denies, disappears. What is
//! retryable costs nothing; what is not costs itself and is counted.
#![allow(clippy::unwrap_used)]

use std::time::Duration;
use tests::fake::{FakeAws, Fault, Target, World};
use tests::net::any_port;
use tests::story::{
    EAGER_RETRY, LOG_GROUP, LOG_STREAM, arrived, assert_each_arrived_once, assert_none_lost, job, numbered,
    scrape_to_logs, wait_arrived,
};
use tests::{Agent, wait_until};

/// A target, AWS and an agent between them.
async fn running(exporter: &[&str]) -> (Target, FakeAws, Agent) {
    let target = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let config = scrape_to_logs(&[job("numbers", &[target.addr()], &[])], exporter);
    let agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    (target, aws, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_delays_and_loses_nothing() {
    let (_target, aws, mut agent) = running(&[EAGER_RETRY]).await;
    wait_arrived(&aws, 2).await;
    aws.fault(Fault::throttle("PutLogEvents").times(8));
    wait_until("the throttled calls", Duration::from_secs(30), || {
        let throttled = |call: &&tests::fake::Call| call.code.as_deref() == Some("ThrottlingException");
        (aws.calls_of("PutLogEvents").iter().filter(throttled).count() == 8).then_some(())
    })
    .await;
    aws.fault(Fault::throttle("PutLogEvents").every(2));
    let mark = arrived(&aws).last().copied().unwrap_or(0);
    wait_arrived(&aws, mark + 5).await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_and_cut_connections_lose_nothing() {
    let (_target, aws, mut agent) = running(&[EAGER_RETRY]).await;
    wait_arrived(&aws, 2).await;
    for fault in [Fault::broken("PutLogEvents", 500), Fault::broken("PutLogEvents", 503), Fault::drop("PutLogEvents")] {
        let mark = arrived(&aws).last().copied().unwrap_or(0);
        aws.fault(fault.times(4));
        wait_arrived(&aws, mark + 5).await;
        aws.clear_faults();
    }
    // Carried out but not answered: it has to be sent again, and AWS cannot know that it is the same.
    let mark = arrived(&aws).last().copied().unwrap_or(0);
    assert_each_arrived_once(&aws);
    aws.fault(Fault::drop_after("PutLogEvents"));
    wait_arrived(&aws, mark + 5).await;
    assert!(agent.stop().await.success());
    assert_none_lost(&aws);
    // What is tried again is told by the sender, and is no error.
    let errors: Vec<String> =
        agent.log().lines().filter(|line| line.contains("\terror\t")).map(str::to_owned).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_and_a_deleted_group_are_made_again() {
    let (_target, aws, mut agent) = running(&[EAGER_RETRY, "log_retention: 7", "tags: {team: a}"]).await;
    wait_arrived(&aws, 2).await;
    aws.delete_stream(LOG_GROUP, LOG_STREAM);
    let mark = arrived(&aws).last().copied().unwrap_or(0);
    wait_arrived(&aws, mark + 3).await;
    aws.delete_group(LOG_GROUP);
    let mark = arrived(&aws).last().copied().unwrap_or(0);
    wait_arrived(&aws, mark + 3).await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
    let group = &aws.groups()[0];
    assert_eq!((group.retention_days, group.tags["team"].as_str()), (Some(7), "a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_retention_call_does_not_lose_data() {
    let target = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    aws.fault(Fault::deny("PutRetentionPolicy").always());
    let config = scrape_to_logs(&[job("numbers", &[target.addr()], &[])], &[EAGER_RETRY, "log_retention: 7"]);
    let mut agent = Agent::with_config(&config).aws(&aws).start().await;
    wait_arrived(&aws, 3).await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
    assert!(agent.log().contains("logs:PutRetentionPolicy"), "the missing permission is not named");
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_access_is_said_with_its_permission_and_ends_when_it_is_granted() {
    let (_target, aws, mut agent) = running(&[EAGER_RETRY]).await;
    wait_arrived(&aws, 2).await;
    let denied = aws.fault(Fault::deny("PutLogEvents").always());
    agent.wait_log("access denied for logs:PutLogEvents on log group").await;
    aws.clear_fault(denied);
    let mark = arrived(&aws).last().copied().unwrap_or(0);
    wait_arrived(&aws, mark + 5).await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_bridged_by_the_queue() {
    let (target, aws, mut agent) = running(&[EAGER_RETRY, "sending_queue: {queue_size: 1000}"]).await;
    wait_arrived(&aws, 2).await;
    aws.pause();
    let scraped = target.scrapes();
    wait_until("12 scrapes without AWS", Duration::from_secs(60), || (target.scrapes() >= scraped + 12).then_some(()))
        .await;
    aws.resume().await;
    wait_arrived(&aws, scraped + 12).await;
    assert!(agent.stop().await.success());
    // A request may have been carried out just before the connection was closed.
    assert_none_lost(&aws);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_outside_the_accepted_window_cost_only_themselves() {
    let old = tests::fake::Behaviour::moving(|scrape| {
        let fifteen_days_ms = 15 * 24 * 3_600_000u128;
        let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_millis();
        format!("# TYPE scrape_number gauge\nscrape_number {scrape}\nold_value 1 {}\n", now - fifteen_days_ms)
    });
    let target = Target::start(any_port(), old).await;
    let aws = FakeAws::start(World::default()).await;
    let config = scrape_to_logs(&[job("numbers", &[target.addr()], &[])], &[EAGER_RETRY]);
    let mut agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    wait_arrived(&aws, 5).await;
    let dropped = agent
        .wait_metrics("dropped points", |page| page.sum("otelcol_ecs_dropped_metric_points", &[]).filter(|n| *n >= 5.0))
        .await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
    assert!(dropped >= 5.0);
    assert!(aws.documents().iter().all(|document| document.get("old_value").is_none()));
}
