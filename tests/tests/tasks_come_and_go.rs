//! Tasks start and stop while the agent runs: new ones are scraped soon, stopped ones no longer, and an empty cluster
//! empties the list.
#![allow(clippy::unwrap_used)]

use tests::agent::PATIENCE;
use tests::guide::{CLUSTER, CONFIG, Guide, Traffic};
use tests::{Agent, wait_until};

const TARGETS: &str = "ecs_targets.yaml";

fn config() -> String {
    CONFIG
        .replace("scrape_interval: 2s", "scrape_interval: 300ms")
        .replace("scrape_timeout: 1s", "scrape_timeout: 300ms")
        .replace("refresh_interval: 5s", "refresh_interval: 500ms")
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tasks_are_scraped_and_stopped_ones_are_not() {
    let mut guide = Guide::start(Traffic::Steady).await;
    let agent = Agent::with_config(&config()).aws(&guide.aws).start().await;
    let listed = |addr: &str| agent.read_file(TARGETS).is_some_and(|file| file.contains(addr));
    let events_of =
        |guide: &Guide, task: &str| guide.aws.documents().iter().filter(|document| document["TaskId"] == task).count();

    let addr = guide.run_on_fargate("fargate-9").await.to_string();
    wait_until("events of the new task", PATIENCE, || (events_of(&guide, "fargate-9") > 2).then_some(())).await;
    assert!(listed(&addr));

    guide.stop("fargate-9");
    wait_until("the stopped task to leave the file", PATIENCE, || (!listed(&addr)).then_some(())).await;
    // What was on its way may still arrive; then a whole second of the others' events has none of it.
    let settled = guide.apps[0].target.scrapes();
    wait_until("three rounds", PATIENCE, || (guide.apps[0].target.scrapes() >= settled + 3).then_some(())).await;
    let before = (events_of(&guide, "fargate-9"), events_of(&guide, "ec2-1"));
    wait_until("three more rounds", PATIENCE, || (events_of(&guide, "ec2-1") >= before.1 + 9).then_some(())).await;
    assert_eq!(events_of(&guide, "fargate-9"), before.0);

    guide.aws.change(|world| world.cluster(CLUSTER).tasks.clear());
    wait_until("an empty list", PATIENCE, || {
        agent.read_file(TARGETS).is_some_and(|file| file.trim() == "[]").then_some(())
    })
    .await;
    let scrapes: Vec<u64> = guide.apps.iter().map(|app| app.target.scrapes()).collect();
    let rounds = guide.aws.count("ListTasks");
    wait_until("three refreshes", PATIENCE, || (guide.aws.count("ListTasks") >= rounds + 3).then_some(())).await;
    let after: Vec<u64> = guide.apps.iter().map(|app| app.target.scrapes()).collect();
    for (before, after) in scrapes.iter().zip(&after) {
        assert!(after - before <= 1, "scraped {} times after the cluster was empty", after - before);
    }
}
