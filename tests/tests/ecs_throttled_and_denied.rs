//! ECS refuses: targets that are known stay and are scraped on, the log says which permission is missing, and all is
//! well again when ECS is.
#![allow(clippy::unwrap_used)]

use std::time::Duration;
use tests::agent::PATIENCE;
use tests::fake::Fault;
use tests::guide::{CONFIG, Guide, Traffic};
use tests::{Agent, wait_until};

const TARGETS: &str = "ecs_targets.yaml";

async fn running(guide: &Guide) -> Agent {
    let config = CONFIG
        .replace("scrape_interval: 2s", "scrape_interval: 300ms")
        .replace("scrape_timeout: 1s", "scrape_timeout: 300ms")
        .replace("refresh_interval: 5s", "refresh_interval: 500ms");
    Agent::with_config(&config).aws(&guide.aws).start().await
}

async fn wait_scraped(guide: &Guide, times: u64) {
    let before: Vec<u64> = guide.apps.iter().map(|app| app.target.scrapes()).collect();
    wait_until("every task to be scraped", PATIENCE, || {
        let enough = guide.apps.iter().zip(&before).all(|(app, before)| app.target.scrapes() >= before + times);
        enough.then_some(())
    })
    .await;
}

/// While `fault` strikes, the known targets stay; afterwards a new task is found.
async fn check(fault: Fault, said: &str) {
    let mut guide = Guide::start(Traffic::Steady).await;
    let mut agent = running(&guide).await;
    wait_scraped(&guide, 2).await;
    let known = agent.read_file(TARGETS).unwrap();
    let op = fault.op.clone();
    let id = guide.aws.fault(fault.always());
    let calls = guide.aws.count(&op);
    wait_until("refused calls", PATIENCE, || (guide.aws.count(&op) >= calls + 3).then_some(())).await;
    agent.wait_log(said).await;
    wait_scraped(&guide, 3).await;
    assert_eq!(agent.read_file(TARGETS).unwrap(), known, "the known targets stay");
    assert!(agent.is_running());
    guide.aws.clear_fault(id);
    let addr = guide.run_on_fargate("fargate-9").await.to_string();
    wait_until("the new task after all", Duration::from_secs(60), || {
        agent.read_file(TARGETS).is_some_and(|file| file.contains(&addr)).then_some(())
    })
    .await;
    assert!(agent.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_lists_keep_the_known_targets() {
    check(Fault::throttle("ListTasks"), "ListTasks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_names_the_missing_permission_and_is_retried() {
    check(Fault::deny("ListTasks"), "ecs:ListTasks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_describe_keeps_the_known_targets() {
    check(Fault::broken("DescribeTasks", 500), "DescribeTasks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_starts_as_soon_as_it_may() {
    let guide = Guide::start(Traffic::Steady).await;
    let denied = guide.aws.fault(Fault::deny("ListTasks").always());
    let mut agent = running(&guide).await;
    agent.wait_log("ecs:ListTasks").await;
    assert!(agent.is_running(), "a denied first call does not end the agent");
    guide.aws.clear_fault(denied);
    wait_scraped(&guide, 2).await;
    assert!(agent.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_cluster_is_read_within_the_quotas() {
    let guide = Guide::start(Traffic::Steady).await;
    guide.aws.enforce_quotas();
    guide.aws.change(|world| {
        for n in 0..120 {
            let arn = world.define(&format!("Other{n}"), 1, "awsvpc", vec![]);
            let place = tests::fake::world::Place::Fargate { ip: "10.0.0.1" };
            let run = tests::fake::world::Run {
                cluster: tests::guide::CLUSTER,
                id: &format!("other-{n}"),
                definition: &arn,
                container: "c",
                service: None,
                place,
            };
            world.run(run);
        }
    });
    let mut agent = running(&guide).await;
    wait_scraped(&guide, 2).await;
    let refreshes = guide.aws.count("ListTasks");
    wait_until("three more refreshes", PATIENCE, || (guide.aws.count("ListTasks") >= refreshes + 6).then_some(()))
        .await;
    let throttled: Vec<String> = guide
        .aws
        .calls()
        .into_iter()
        .filter(|call| call.code.as_deref() == Some("ThrottlingException"))
        .map(|call| call.op)
        .collect();
    assert!(throttled.is_empty(), "ran into the quotas: {throttled:?}");
    assert!(agent.stop().await.success());
}
