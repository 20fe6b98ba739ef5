//! What the README shows is what happens: its configuration finds a task, scrapes it and publishes the metric that it
//! selects; and the commands that it names exist.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use tests::agent::PATIENCE;
use tests::fake::cloudwatch::extract;
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{Behaviour, FakeAws, Target, World};
use tests::{Agent, free_ip, wait_until};

const README: &str = include_str!("../../README.md");

/// The first block of this language after a heading.
fn block(heading: &str, language: &str) -> String {
    let section = README.split_once(&format!("\n## {heading}\n")).expect("the heading is there").1;
    let inside = section.split_once(&format!("```{language}\n")).expect("the block is there").1;
    inside.split_once("```").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_configuration_publishes_what_it_selects() {
    let mut world = World::default();
    let mut app = container("web", Port { container: 9102, host: 9102 });
    app["dockerLabels"] = json!({"ECS_PROMETHEUS_EXPORTER_PORT": "9102"});
    let definition = world.define("web", 1, "awsvpc", vec![app]);
    let ip = free_ip();
    let place = Place::Fargate { ip: &ip.to_string() };
    world.run(Run { cluster: "prod", id: "web-1", definition: &definition, container: "web", service: None, place });
    let page = |n: u64| format!("# TYPE http_requests_total counter\nhttp_requests_total {}\nother 1\n", n * 5);
    let _target = Target::start((ip, 9102), Behaviour::moving(page)).await;
    let aws = FakeAws::start(world).await;

    let readme = block("A configuration", "yaml");
    assert!(readme.lines().count() <= 17, "a short configuration, please");
    let mut config = readme;
    for (usual, own) in
        [("/tmp/targets.yaml", "targets.yaml"), ("0.0.0.0:4317", "127.0.0.1:0"), ("0.0.0.0:4318", "127.0.0.1:0")]
    {
        assert!(config.contains(usual), "{usual}");
        config = config.replace(usual, own);
    }
    let pace = "--set=receivers.prometheus.config.global={scrape_interval: 300ms, scrape_timeout: 300ms}";
    let mut agent = Agent::with_config(&config).arg(pace).aws(&aws).start().await;
    let metrics = || -> Vec<String> {
        let events = aws.events();
        events.iter().flat_map(|e| extract(&e.message).unwrap()).map(|datum| datum.metric.to_string()).collect()
    };
    wait_until("a metric", PATIENCE, || (!metrics().is_empty()).then_some(())).await;
    assert!(agent.stop().await.success());
    let expected = "ECS/MyService http_requests_total {service.name=ecs}";
    assert!(metrics().iter().all(|metric| metric == expected), "{:?}", metrics());
    assert!(aws.events().iter().all(|event| event.group == "/aws/ecs/myservice/metrics"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_it_names_exist() {
    let help = Agent::with_args(["--help"]).run().await;
    let help = String::from_utf8(help.stdout).unwrap();
    for command in ["validate", "print-config", "components", "health", "translate"] {
        assert!(README.contains(&format!("`{command}`")), "{command} is not in the README");
        assert!(help.contains(&format!("\n  {command}")), "{command} is not in\n{help}");
    }
    // Every component of the binary has a row, and no row claims one that is not there.
    let components = Agent::with_args(["components"]).run().await;
    let components = String::from_utf8(components.stdout).unwrap();
    let rows: Vec<&str> = README.lines().filter(|line| line.starts_with("| ")).collect();
    for kind in components.lines().filter_map(|line| line.trim().strip_prefix("- name: ")) {
        assert!(rows.iter().any(|row| row.contains(&format!("`{kind}`"))), "{kind} has no row in the README");
    }
    for row in rows.iter().filter(|row| row.contains("| supported |") || row.contains("| partly |")) {
        let first = row.split('|').nth(1).unwrap();
        for kind in first.split('`').skip(1).step_by(2) {
            assert!(components.contains(&format!("- name: {kind}\n")), "the README claims {kind}");
        }
    }
}
