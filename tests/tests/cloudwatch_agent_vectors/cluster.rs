//! Vectors of a whole cluster: one agent that discovers tasks of a scripted ECS, which then refuses, and then has none.

use serde_json::{Value, json};
use tests::agent::PATIENCE;
use tests::fake::world::{Place, Port, Run as Start, container};
use tests::fake::{Behaviour, FakeAws, LogEvent, Target, fargate_task};
use tests::net::free_ip;
use tests::{Agent, Fault, World, wait_until};

use super::Vector;

const CLUSTER: &str = "demo";
/// Tasks that nobody wants, so that lists have pages.
const OTHERS: usize = 250;

pub(crate) type Check = fn(&Run);

fn seen(number: u32, title: &'static str, check: Check) -> Vector<Check> {
    Vector::new(number, title, check)
}

pub(crate) fn vectors() -> Vec<Vector<Check>> {
    vec![
        seen(32, "tasks are asked about in batches", batches),
        seen(35, "Redis by docker label: stream and fields", redis),
        seen(36, "a task that all three kinds of discovery want", all_kinds),
        seen(39, "a docker label that is no label name", invalid_label),
        seen(41, "an error keeps the file, an empty cluster empties it", result_file),
        seen(81, "a log group named by the job", group_of_a_job),
    ]
}

/// What the run brought.
pub(crate) struct Run {
    events: Vec<LogEvent>,
    groups: Vec<String>,
    /// Task ids of each `DescribeTasks` call of the first rounds.
    described: Vec<usize>,
    file_before: String,
    file_after_errors: String,
    file_of_nobody: String,
}

fn started<'a>(id: &'a str, definition: &'a str, name: &'a str, service: &'a str, ip: &'a str) -> Start<'a> {
    let place = Place::Fargate { ip };
    Start { cluster: CLUSTER, id, definition, container: name, service: Some((service, service)), place }
}

pub(crate) async fn run() -> Run {
    let mut world = World { metadata: Some(fargate_task(CLUSTER, "agent")), ..World::default() };
    let port = Port { container: 9121, host: 9121 };
    let mut redis = container("redis-exporter-0", port);
    redis["dockerLabels"] = json!({
        "ECS_PROMETHEUS_EXPORTER_PORT": "9121", "job": "prometheus-redis", "app_x": "redis_exporter",
        "CWAgent-Usage-invalid-prometheus-label": "x"});
    let by_label = world.define("redis", 1, "awsvpc", vec![redis.clone()]);
    let by_all = world.define("wanted-by-all", 1, "awsvpc", vec![redis]);
    let other = world.define("other", 1, "awsvpc", vec![container("other", port)]);
    let (one, two) = (free_ip(), free_ip());
    for service in ["redis-service", "all-service"] {
        world.add_service(CLUSTER, service, service);
    }
    world.run(started("redis-1", &by_label, "redis-exporter-0", "redis-service", &one.to_string()));
    world.run(started("all-1", &by_all, "redis-exporter-0", "all-service", &two.to_string()));
    for number in 0..OTHERS {
        world.run(started(&format!("other-{number}"), &other, "other", "redis-service", "127.0.0.2"));
    }
    let page = || Behaviour::moving(|n| format!("# TYPE redis_connected_clients gauge\nredis_connected_clients {n}\n"));
    let targets = [Target::start((one, 9121), page()).await, Target::start((two, 9121), page()).await];
    let aws = FakeAws::start(world).await;
    let agent = Agent::with_args([""; 0]).aws_task(&aws);
    let file = agent.dir().join("sd.yaml").display().to_string();
    let agent_json = json!({"logs": {"force_flush_interval": 1, "metrics_collected": {"prometheus": {
        "prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT", "log_group_name": "{JobName}",
        "ecs_service_discovery": {
            "sd_frequency": "1s", "sd_result_file": file, "docker_label": {},
            "task_definition_list": [{"sd_task_definition_arn_pattern": "wanted-by-all", "sd_metrics_ports": "9121",
                "sd_job_name": "task-def-list-job"}],
            "service_name_list_for_tasks": [{"sd_service_name_pattern": "^all-service$", "sd_metrics_ports": "9121",
                "sd_job_name": "service-name-list-job"}]}}}}});
    let scrape = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs: [{{job_name: j, file_sd_configs: [{{files: ['{file}']}}]}}]"
    );
    let agent = agent
        .own_metrics()
        .env("CW_CONFIG_CONTENT", &agent_json.to_string())
        .env("PROMETHEUS_CONFIG_CONTENT", &scrape)
        .start()
        .await;
    wait_until("events of both tasks", PATIENCE, || {
        let streams: Vec<String> = aws.events().into_iter().map(|event| event.stream).collect();
        ["prometheus-redis", "service-name-list-job"].iter().all(|job| streams.iter().any(|s| s == job)).then_some(())
    })
    .await;
    let described = |call: &tests::fake::Call| call.body["tasks"].as_array().map_or(0, Vec::len);
    let described = aws.calls_of("DescribeTasks").iter().map(described).collect();
    let read = || agent.read_file("sd.yaml").unwrap_or_default();
    let file_before = read();
    let fault = aws.fault(Fault::deny("ListTasks").always());
    let asked = aws.count("ListTasks");
    wait_until("three rounds that fail", PATIENCE, || (aws.count("ListTasks") >= asked + 3).then_some(())).await;
    let file_after_errors = read();
    aws.clear_fault(fault);
    aws.change(|world| world.cluster(CLUSTER).tasks.clear());
    wait_until("a file without targets", PATIENCE, || (read() != file_before).then_some(())).await;
    let groups = aws.groups().into_iter().map(|group| group.name).collect();
    let run = Run { events: aws.events(), groups, described, file_before, file_after_errors, file_of_nobody: read() };
    drop(targets);
    run
}

impl Run {
    #[track_caller]
    fn of(&self, task: &str) -> Vec<(&LogEvent, Value)> {
        let all = self.events.iter().map(|event| (event, event.json()));
        let found: Vec<_> = all.filter(|(_, document)| document["TaskId"] == task).collect();
        assert!(!found.is_empty(), "no event of {task}");
        found
    }
}

fn batches(run: &Run) {
    assert!(run.described.iter().all(|tasks| (1..=100).contains(tasks)), "{:?}", run.described);
    let first_round: usize = run.described.iter().take(3).sum();
    assert_eq!(first_round, OTHERS + 2);
}

fn redis(run: &Run) {
    for (event, document) in run.of("redis-1") {
        assert_eq!(event.stream, "prometheus-redis");
        for field in [
            "ClusterName",
            "ECS_PROMETHEUS_EXPORTER_PORT",
            "LaunchType",
            "StartedBy",
            "TaskClusterName",
            "TaskDefinitionFamily",
            "TaskGroup",
            "TaskId",
            "TaskRevision",
            "Timestamp",
            "Version",
            "container_name",
            "job",
            "prom_metric_type",
        ] {
            assert!(document[field].is_string(), "{field} in {document}");
        }
    }
}

fn all_kinds(run: &Run) {
    for (event, document) in run.of("all-1") {
        assert_eq!(
            (event.stream.as_str(), &document["job"]),
            ("service-name-list-job", &json!("service-name-list-job"))
        );
        assert_eq!(document["ServiceName"], "all-service");
    }
}

fn invalid_label(run: &Run) {
    assert!(run.events.iter().all(|event| !event.message.contains("CWAgent-Usage")));
    assert!(run.of("redis-1").iter().all(|(_, document)| document["app_x"] == "redis_exporter"));
    assert!(run.file_before.contains("app_x") && !run.file_before.contains("CWAgent-Usage"));
}

fn result_file(run: &Run) {
    assert!(run.file_before.contains("job: prometheus-redis"), "{}", run.file_before);
    assert_eq!(run.file_after_errors, run.file_before);
    assert_eq!(run.file_of_nobody.trim(), "[]");
}

fn group_of_a_job(run: &Run) {
    for job in ["prometheus-redis", "service-name-list-job"] {
        assert!(run.groups.iter().any(|group| group == job), "{job} in {:?}", run.groups);
    }
    assert!(run.events.iter().all(|event| event.group == event.stream));
}
