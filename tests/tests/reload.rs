//! SIGHUP: a good new config takes over, a bad one is refused and the old one keeps running, whatever is wrong with it.
#![allow(clippy::unwrap_used)]

use tests::agent::{PATIENCE, READY};
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{FakeAws, Target, World};
use tests::net::{any_port, free_ip};
use tests::story::{EAGER_RETRY, arrived, assert_each_arrived_once, job, numbered, scrape_to_logs, wait_arrived};
use tests::{Agent, Signal, wait_until};

async fn running() -> (Target, FakeAws, String, Agent) {
    let target = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let config = scrape_to_logs(&[job("numbers", &[target.addr()], &[])], &[EAGER_RETRY]);
    let agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    wait_arrived(&aws, 2).await;
    (target, aws, config, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_config_takes_over_and_loses_nothing() {
    let (_target, aws, config, mut agent) = running().await;
    agent.rewrite_config(&config.replace("log_stream_name: s", "log_stream_name: second"));
    agent.signal(Signal::Hup);
    agent.wait_log_times(READY, 2).await;
    wait_until("events in the new stream", PATIENCE, || {
        aws.events().iter().any(|event| event.stream == "second").then_some(())
    })
    .await;
    let mark = arrived(&aws).last().copied().unwrap();
    wait_arrived(&aws, mark + 3).await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
    let streams: Vec<String> = aws.events().into_iter().map(|event| event.stream).collect();
    let switch = streams.iter().position(|stream| stream == "second").unwrap();
    assert!(streams[switch..].iter().all(|stream| stream == "second"), "the old service still writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_config_is_refused_and_the_old_one_runs_on() {
    let (_target, aws, config, mut agent) = running().await;
    let bad = [
        ("not even yaml", "receivers: [".to_owned()),
        ("an unknown key", config.replace("namespace: Story", "namespac: Story")),
        ("an unknown component", config.replace("awsemf:", "awsemv:")),
        ("nothing at all", String::new()),
    ];
    for (n, (what, text)) in bad.iter().enumerate() {
        agent.rewrite_config(text);
        agent.signal(Signal::Hup);
        agent.wait_log_times("the old one keeps running", n + 1).await;
        let mark = arrived(&aws).last().copied().unwrap();
        wait_arrived(&aws, mark + 2).await;
        assert!(agent.is_running(), "{what}");
    }
    agent.rewrite_config(&config);
    agent.signal(Signal::Hup);
    agent.wait_log_times(READY, 2).await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_cannot_start_gives_way_to_the_old_one() {
    let (_target, aws, config, mut agent) = running().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let health = format!(
        "extensions:\n  health_check: {{endpoint: '{}'}}\n{}  extensions: [health_check]\n",
        taken.local_addr().unwrap(),
        config
    );
    agent.rewrite_config(&health);
    agent.signal(Signal::Hup);
    agent.wait_log("going back to the old one").await;
    let mark = arrived(&aws).last().copied().unwrap();
    wait_arrived(&aws, mark + 3).await;
    assert!(agent.stop().await.success());
    assert_each_arrived_once(&aws);
}

/// The target list that a job reads and that `ecs_observer` writes.
const LIST: &str = "targets.yaml";

/// Scrapes what is in [`LIST`].
fn listed() -> String {
    let config = scrape_to_logs(&[], &[EAGER_RETRY]);
    let job =
        format!("        - job_name: listed\n          file_sd_configs: [{{files: ['${{env:AGENT_DIR}}/{LIST}']}}]\n");
    config.replace("      scrape_configs:\n", &format!("      scrape_configs:\n{job}"))
}

/// [`listed`] with a discovery that publishes what it writes to [`LIST`].
fn discovered() -> String {
    format!(
        "extensions:
  ecs_observer:
    cluster_name: prod
    cluster_region: us-west-2
    refresh_interval: 500ms
    result_file: '${{env:AGENT_DIR}}/{LIST}'
    docker_labels: []
    task_definitions: [{{arn_pattern: '.', metrics_ports: [9100]}}]
{}  extensions: [ecs_observer]
",
        listed()
    )
}

fn list(target: &Target) -> String {
    format!("- targets: ['{}']\n", target.addr())
}

async fn wait_scraped(target: &Target) {
    let mark = target.scrapes();
    wait_until("two more scrapes", PATIENCE, || (target.scrapes() >= mark + 2).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_discovery_does_not_take_the_file_over() {
    let target = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let mut agent = Agent::with_config(&listed()).file(LIST, &list(&target)).aws(&aws).own_metrics().start().await;
    wait_scraped(&target).await;
    agent.rewrite_config(&discovered().replace("namespace: Story", "namespac: Story"));
    agent.signal(Signal::Hup);
    agent.wait_log("the old one keeps running").await;
    agent.rewrite_config(&listed());
    agent.signal(Signal::Hup);
    agent.wait_log_times(READY, 2).await;
    wait_scraped(&target).await;
    assert!(agent.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_counts_again_when_discovery_is_gone() {
    let (found, written) = (free_ip(), Target::start(any_port(), numbered()).await);
    let found = Target::start((found, 9100), numbered()).await;
    let mut world = World::default();
    let definition = world.define("shop", 1, "awsvpc", vec![container("app", Port { container: 9100, host: 9100 })]);
    let place = Place::Fargate { ip: &found.addr().ip().to_string() };
    world.run(Run { cluster: "prod", id: "t1", definition: &definition, container: "app", service: None, place });
    let aws = FakeAws::start(world).await;
    let mut agent = Agent::with_config(&discovered()).aws(&aws).own_metrics().start().await;
    wait_scraped(&found).await;
    agent.rewrite_config(&listed());
    agent.signal(Signal::Hup);
    agent.wait_log_times(READY, 2).await;
    agent.write_file(LIST, &list(&written));
    wait_scraped(&written).await;
    assert!(agent.stop().await.success());
}
