//! ECS discovery's whole loop against the scripted AWS: signatures, paging, caches, failures, hand-over and file.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use config::parse_yaml;
use extension::ecs_observer::config::{Settings, build};
use extension::ecs_observer::observer::Observer;
use proto::{BuildContext, Stop, TargetGroup};
use serde::Deserialize;
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{self, ACCESS_KEY, FakeAws, Fault, SECRET_KEY, World};
use tests::wait_until;

const DEADLINE: Duration = Duration::from_secs(20);

/// A discovery that runs against a scripted AWS.
struct Running {
    aws: FakeAws,
    context: BuildContext,
    file: PathBuf,
    folder: tempfile::TempDir,
    stop: Stop,
    task: tokio::task::JoinHandle<Result<(), String>>,
}

async fn session(aws: &FakeAws) -> SdkConfig {
    let keys = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    aws_config::defaults(BehaviorVersion::latest()).credentials_provider(keys).endpoint_url(aws.url()).load().await
}

impl Running {
    /// Starts with a round now and none for an hour.
    async fn start_once(world: World, section: &str) -> Running {
        let aws = FakeAws::start(world).await;
        let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{section}");
        Self::start_every("1h", aws, tempfile::tempdir().unwrap(), &section, None).await
    }

    /// Starts with rounds every 100 ms.
    async fn start(world: World, section: &str) -> Running {
        let aws = FakeAws::start(world).await;
        let folder = tempfile::tempdir().unwrap();
        Self::start_with(aws, folder, &format!("cluster_name: prod\ncluster_region: us-west-2\n{section}"), None).await
    }

    async fn start_with(aws: FakeAws, folder: tempfile::TempDir, section: &str, metadata: Option<String>) -> Running {
        Self::start_every("100ms", aws, folder, section, metadata).await
    }

    async fn start_every(
        interval: &str,
        aws: FakeAws,
        folder: tempfile::TempDir,
        section: &str,
        metadata: Option<String>,
    ) -> Running {
        let file = folder.path().join("targets.yaml");
        let section = format!("{section}\nrefresh_interval: {interval}\nresult_file: {}", file.display());
        let context = BuildContext::for_test("ecs_observer");
        let (settings, problems) = build(&parse_yaml("test.yaml", &section).0.unwrap(), &context);
        let settings = match metadata {
            Some(url) => Settings { metadata_endpoint: Some(url), ..settings.unwrap() },
            None => {
                assert!(!config::has_errors(&problems), "{problems:?}");
                settings.unwrap()
            }
        };
        context.targets.announce(&settings.result_file);
        let observer = Observer::new(settings, &context, Some(session(&aws).await));
        let stop = Stop::new();
        let task = tokio::spawn(observer.run(stop.clone()));
        Running { aws, context, file, folder, stop, task }
    }

    fn published(&self) -> Option<Arc<Vec<TargetGroup>>> {
        self.context.targets.subscribe(self.file.to_str().unwrap()).unwrap().borrow().clone()
    }

    fn addresses(&self) -> Option<Vec<String>> {
        Some(self.published()?.iter().flat_map(|g| g.targets.clone()).collect())
    }

    async fn until(&self, what: &str, condition: impl Fn(&Running) -> bool) {
        wait_until(what, DEADLINE, || condition(self).then_some(())).await;
    }

    async fn until_addresses(&self, expected: &[&str]) {
        self.until(&format!("targets {expected:?}"), |r| r.addresses().is_some_and(|a| a == expected)).await;
    }

    /// Waits until rounds of this outcome have ended that began after now.
    async fn rounds(&self, outcome: &str, n: u64) {
        let labels = [("extension", "ecs_observer"), ("outcome", outcome)];
        let counter = self.context.telemetry.counter("otelcol_ecs_observer_rounds_total", "", &labels);
        let start = counter.get();
        self.until(&format!("{n} rounds {outcome}"), |_| counter.get() >= start + n).await;
    }

    fn calls(&self, operation: &str, outcome: &str) -> u64 {
        let labels = [("extension", "ecs_observer"), ("operation", operation), ("outcome", outcome)];
        self.context.telemetry.counter("otelcol_ecs_observer_api_calls_total", "", &labels).get()
    }

    fn gauge(&self, name: &'static str) -> i64 {
        self.context.telemetry.gauge(name, "", &[("extension", "ecs_observer")]).get()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        drop(self.folder);
    }
}

/// Targets of a file as the comparison has them: address and labels, as a sorted list.
fn read(path: &Path) -> Option<Vec<(String, BTreeMap<String, String>)>> {
    #[derive(Deserialize)]
    struct Entry {
        targets: Vec<String>,
        labels: BTreeMap<String, String>,
    }
    let entries: Vec<Entry> = serde_yaml::from_str(&std::fs::read_to_string(path).ok()?).unwrap();
    let mut all: Vec<_> =
        entries.into_iter().flat_map(|e| e.targets.into_iter().map(move |t| (t, e.labels.clone()))).collect();
    all.sort();
    Some(all)
}

#[derive(Deserialize)]
struct Case {
    name: String,
    extension: serde_json::Value,
    world: World,
    targets: Vec<(String, BTreeMap<String, String>)>,
}

#[tokio::test]
async fn recorded_worlds_give_the_references_targets() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../golden/ecs_observer.json")).unwrap();
    assert_eq!(cases.len(), 20);
    for mut case in cases {
        // The recording side listed tasks by their last status.
        for cluster in case.world.clusters.values_mut() {
            cluster.tasks.retain(|t| t.last_status.as_deref().unwrap_or("RUNNING") == "RUNNING");
        }
        let running = Running::start(case.world, &serde_yaml::to_string(&case.extension).unwrap()).await;
        let found = wait_until(&case.name, DEADLINE, || read(&running.file)).await;
        let mut expected = case.targets;
        expected.sort();
        assert_eq!(found, expected, "{}", case.name);
        assert_eq!(running.published().unwrap().len(), expected.len(), "{}: in memory too", case.name);
        running.end().await;
    }
}

/// A world with one Fargate task per id at 10.0.0.ID, in service `web`.
fn fargate_world(ids: &[u8]) -> World {
    let mut world = World::default();
    let definition = world.define("web", 1, "awsvpc", vec![container("app", Port { container: 8080, host: 8080 })]);
    world.add_service("prod", "web", "ecs-svc/1");
    for id in ids {
        run(&mut world, &definition, *id);
    }
    world
}

fn run(world: &mut World, definition: &str, id: u8) {
    let (name, ip) = (format!("t{id}"), format!("10.0.0.{id}"));
    let service = Some(("web", "ecs-svc/1"));
    let place = Place::Fargate { ip: &ip };
    world.run(Run { cluster: "prod", id: &name, definition, container: "app", service, place });
}

const BY_DEFINITION: &str = "docker_labels: []\ntask_definitions: [{arn_pattern: '.', metrics_ports: [8080]}]";
const BY_SERVICE: &str = "docker_labels: []\nservices: [{name_pattern: web, metrics_ports: [8080]}]";

#[tokio::test]
async fn tasks_come_and_go_and_an_empty_cluster_empties_the_targets() {
    let running = Running::start(fargate_world(&[1]), BY_DEFINITION).await;
    running.until_addresses(&["10.0.0.1:8080"]).await;
    let definition = running.aws.change(|w| w.task_definitions.keys().next().unwrap().clone());
    running.aws.change(|w| run(w, &definition, 2));
    running.until_addresses(&["10.0.0.1:8080", "10.0.0.2:8080"]).await;
    running.aws.change(|w| w.stop("prod", "t1"));
    running.until_addresses(&["10.0.0.2:8080"]).await;
    running.aws.change(|w| w.stop("prod", "t2"));
    running.until_addresses(&[]).await;
    running.until("the empty file", |r| std::fs::read_to_string(&r.file).unwrap() == "[]\n").await;
    assert_eq!(running.aws.count("DescribeTaskDefinition"), 1, "a revision never changes");
    assert_eq!(running.aws.count("ListServices"), 0, "no matcher asks for services");
    assert_eq!(running.aws.count("DescribeContainerInstances") + running.aws.count("DescribeInstances"), 0);
    running.end().await;
}

#[tokio::test]
async fn an_empty_cluster_at_the_start_is_an_empty_file() {
    let mut world = World::default();
    world.cluster("prod");
    let running = Running::start(world, BY_DEFINITION).await;
    running.until_addresses(&[]).await;
    running.until("the file", |r| r.file.exists()).await;
    assert_eq!(running.aws.count("DescribeTasks"), 0);
    running.end().await;
}

#[tokio::test]
async fn an_unchanged_world_is_not_written_again() {
    let running = Running::start(fargate_world(&[1]), BY_DEFINITION).await;
    running.until("the file", |r| r.file.exists()).await;
    std::fs::write(&running.file, "changed by somebody").unwrap();
    running.rounds("ok", 3).await;
    assert_eq!(std::fs::read_to_string(&running.file).unwrap(), "changed by somebody");
    running.end().await;
}

#[tokio::test]
async fn a_round_is_told_by_the_own_metrics() {
    let mut world = fargate_world(&[1, 2]);
    let other = world.define("cache", 1, "awsvpc", vec![container("app", Port { container: 8080, host: 8080 })]);
    run(&mut world, &other, 3);
    let aws = FakeAws::start(world).await;
    aws.fault(Fault::deny("ListTasks").always());
    let section = "cluster_name: prod\ncluster_region: us-west-2\ndocker_labels: []\n\
                   task_definitions: [{arn_pattern: '/web:', metrics_ports: [8080]}]";
    let running = Running::start_with(aws, tempfile::tempdir().unwrap(), section, None).await;
    let state = |running: &Running| {
        let gauge = |name| running.gauge(name);
        (
            gauge("otelcol_ecs_observer_tasks"),
            gauge("otelcol_ecs_observer_targets"),
            gauge("otelcol_ecs_observer_last_success_seconds"),
        )
    };
    running.rounds("failed", 2).await;
    assert_eq!(state(&running), (0, 0, 0), "no round read the tasks");
    let now_s = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed();
    let before = now_s();
    running.aws.clear_faults();
    running.rounds("ok", 2).await;
    let (tasks, targets, last_success) = state(&running);
    assert_eq!((tasks, targets), (3, 2));
    assert!((before..=now_s()).contains(&last_success), "{last_success} is not after {before}");
    running.aws.change(|world| world.stop("prod", "t1"));
    running.until("the stopped task on the page", |r| state(r).0 == 2).await;
    assert_eq!(state(&running).1, 1);
    running.end().await;
}

#[tokio::test]
async fn every_call_is_counted_by_its_outcome() {
    let aws = FakeAws::start(fargate_world(&[1, 2])).await;
    aws.fault(Fault::throttle("ListTasks").times(1));
    let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{BY_DEFINITION}");
    let running = Running::start_every("1h", aws, tempfile::tempdir().unwrap(), &section, None).await;
    running.until_addresses(&["10.0.0.1:8080", "10.0.0.2:8080"]).await;
    assert_eq!((running.calls("ListTasks", "throttled"), running.calls("ListTasks", "ok")), (1, 1));
    assert_eq!(running.aws.count("ListTasks"), 2);
    for operation in ["DescribeTasks", "DescribeTaskDefinition"] {
        assert_eq!((running.calls(operation, "ok"), running.aws.count(operation)), (1, 1), "{operation}");
    }
    running.end().await;
}

#[tokio::test]
async fn a_failing_api_keeps_the_targets_until_it_answers_again() {
    for operation in ["ListTasks", "DescribeTasks"] {
        let running = Running::start(fargate_world(&[1, 2]), BY_DEFINITION).await;
        running.until_addresses(&["10.0.0.1:8080", "10.0.0.2:8080"]).await;
        running.aws.fault(Fault::deny(operation).always());
        running.aws.change(|w| w.stop("prod", "t1"));
        running.rounds("failed", 2).await;
        assert_eq!(running.addresses().unwrap().len(), 2, "{operation}");
        assert_eq!(read(&running.file).unwrap().len(), 2);
        assert!(running.calls(operation, "access_denied") >= 2);
        running.aws.clear_faults();
        running.until_addresses(&["10.0.0.2:8080"]).await;
        running.end().await;
    }
}

#[tokio::test]
async fn a_denied_start_publishes_nothing_and_goes_on() {
    let aws = FakeAws::start(fargate_world(&[1])).await;
    aws.fault(Fault::deny("ListTasks").always());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.yaml");
    std::fs::write(&file, "- targets: ['10.9.9.9:1']\n  labels: {}\n").unwrap();
    let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{BY_DEFINITION}");
    let running = Running::start_with(aws, folder, &section, None).await;
    running.rounds("failed", 2).await;
    assert!(running.published().is_none(), "a reader goes on with the file");
    assert_eq!(read(&running.file).unwrap()[0].0, "10.9.9.9:1");
    running.aws.clear_faults();
    running.until_addresses(&["10.0.0.1:8080"]).await;
    running.until("the file", |r| read(&r.file).unwrap()[0].0 == "10.0.0.1:8080").await;
    running.end().await;
}

#[tokio::test]
async fn throttling_and_dropped_connections_are_repeated_within_the_round() {
    let running = Running::start(World::default(), BY_DEFINITION).await;
    running.rounds("failed", 1).await;
    running.aws.fault(Fault::throttle("ListTasks").times(1));
    running.aws.fault(Fault::drop("DescribeTasks").times(1));
    running.aws.fault(Fault::broken("DescribeTaskDefinition", 503).times(1));
    running.aws.change(|w| *w = fargate_world(&[1]));
    running.until_addresses(&["10.0.0.1:8080"]).await;
    assert_eq!(running.calls("ListTasks", "throttled"), 1);
    assert_eq!(running.calls("DescribeTasks", "connection"), 1);
    assert_eq!(running.calls("DescribeTaskDefinition", "server_error"), 1);
    assert!(running.calls("ListTasks", "cluster_not_found") >= 1, "an unknown cluster is asked for again");
    running.end().await;
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_costs_its_tasks_only() {
    let mut world = fargate_world(&[1]);
    let other = world.define("other", 1, "awsvpc", vec![container("app", Port { container: 8080, host: 8080 })]);
    run(&mut world, &other, 2);
    world.task_definitions.remove(&other);
    let running = Running::start(world, BY_DEFINITION).await;
    running.until_addresses(&["10.0.0.1:8080"]).await;
    let labels = [("extension", "ecs_observer"), ("reason", "task_definition")];
    assert_eq!(running.context.telemetry.gauge("otelcol_ecs_observer_problems", "", &labels).get(), 1);
    running.end().await;
}

/// A task for each of so many definitions, named so that `d20` is in the middle of the order.
fn world_of_definitions(count: u8) -> World {
    let mut world = World::default();
    for n in 10..10 + count {
        let port = Port { container: 8080, host: 8080 };
        let definition = world.define(&format!("d{n}"), 1, "awsvpc", vec![container("app", port)]);
        run(&mut world, &definition, n);
    }
    world
}

#[tokio::test]
async fn one_bad_definition_costs_no_other_task_its_target() {
    for fault in [Fault::garble("DescribeTaskDefinition"), Fault::deny("DescribeTaskDefinition")] {
        let aws = FakeAws::start(world_of_definitions(44)).await;
        aws.fault(fault.containing("/d11:").always());
        let folder = tempfile::tempdir().unwrap();
        let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{BY_DEFINITION}");
        // One round only.
        let running = Running::start_every("1h", aws, folder, &section, None).await;
        running.until("43 targets", |r| r.addresses().is_some_and(|a| a.len() == 43)).await;
        assert!(!running.addresses().unwrap().contains(&"10.0.0.11:8080".to_owned()));
        assert_eq!(running.aws.count("DescribeTaskDefinition"), 44);
        running.end().await;
    }
}

#[tokio::test]
async fn when_no_definition_can_be_read_few_are_asked_for() {
    let aws = FakeAws::start(world_of_definitions(44)).await;
    aws.fault(Fault::deny("DescribeTaskDefinition").always());
    let folder = tempfile::tempdir().unwrap();
    let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{BY_DEFINITION}");
    let running = Running::start_every("1h", aws, folder, &section, None).await;
    let labels = [("extension", "ecs_observer"), ("reason", "task_definition")];
    let problems = running.context.telemetry.gauge("otelcol_ecs_observer_problems", "", &labels);
    running.until("44 problems", |_| problems.get() == 44).await;
    let asked = running.aws.count("DescribeTaskDefinition");
    assert!((4..=8).contains(&asked), "{asked} definitions were asked for");
    running.end().await;
}

#[tokio::test]
async fn many_bad_definitions_side_by_side_do_not_stand_in_the_way_for_ever() {
    let aws = FakeAws::start(world_of_definitions(44)).await;
    // `d10` to `d19`.
    aws.fault(Fault::deny("DescribeTaskDefinition").containing("/d1").always());
    let folder = tempfile::tempdir().unwrap();
    let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{BY_DEFINITION}");
    let running = Running::start_with(aws, folder, &section, None).await;
    running.until("34 targets", |r| r.addresses().is_some_and(|a| a.len() == 34)).await;
    // One that was at the end of the row of bad ones recovers.
    running.aws.clear_faults();
    running.aws.fault(Fault::deny("DescribeTaskDefinition").containing("/d12").always());
    running.until("43 targets", |r| r.addresses().is_some_and(|a| a.len() == 43)).await;
    running.end().await;
}

#[tokio::test]
async fn many_tasks_are_paged_and_described_in_batches() {
    let ids: Vec<u8> = (1..=203).collect();
    let running = Running::start(fargate_world(&ids), BY_DEFINITION).await;
    running.until("203 targets", |r| r.addresses().is_some_and(|a| a.len() == 203)).await;
    let calls = running.aws.calls_of("DescribeTasks");
    let sizes: Vec<usize> = calls[..3].iter().map(|c| c.body["tasks"].as_array().unwrap().len()).collect();
    let mut sorted = sizes.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [3, 100, 100]);
    assert!(calls.iter().all(|c| c.body["include"] == serde_json::json!(["TAGS"])));
    running.end().await;
}

#[tokio::test]
async fn the_first_round_does_not_wait_for_the_interval() {
    let running = Running::start_once(fargate_world(&[1]), BY_DEFINITION).await;
    running.until_addresses(&["10.0.0.1:8080"]).await;
    running.until("the file", |r| r.file.exists()).await;
    running.end().await;
}

#[tokio::test]
async fn a_task_that_is_not_placed_yet_is_no_target() {
    let mut world = fargate_world(&[1, 2]);
    let container_instance = world.add_instance("prod", "i-1", "10.1.0.1");
    world.cluster("prod").tasks[0].launch_type = Some("EC2".to_owned());
    let running = Running::start(world, BY_DEFINITION).await;
    running.until_addresses(&["10.0.0.2:8080"]).await;
    assert_eq!(running.aws.count("DescribeContainerInstances"), 0);
    running.aws.change(|w| w.cluster("prod").tasks[0].container_instance_arn = Some(container_instance));
    running.until_addresses(&["10.0.0.1:8080", "10.0.0.2:8080"]).await;
    running.end().await;
}

#[tokio::test]
async fn a_definition_is_read_once() {
    let port = Port { container: 8080, host: 8080 };
    let define = |w: &mut World, n: u8| w.define(&format!("d{n}"), 1, "awsvpc", vec![container("app", port)]);
    let mut world = World::default();
    for n in 0..10 {
        let definition = define(&mut world, n % 5);
        run(&mut world, &definition, n);
    }
    let running = Running::start(world, BY_DEFINITION).await;
    running.until("10 targets", |r| r.addresses().is_some_and(|a| a.len() == 10)).await;
    running.rounds("ok", 2).await;
    assert_eq!(running.aws.count("DescribeTaskDefinition"), 5);
    running.aws.change(|w| {
        let definition = define(w, 9);
        run(w, &definition, 10);
    });
    running.until("11 targets", |r| r.addresses().is_some_and(|a| a.len() == 11)).await;
    assert_eq!(running.aws.count("DescribeTaskDefinition"), 6);
    running.end().await;
}

#[tokio::test]
async fn all_deployments_of_many_services_are_known() {
    let mut world = fargate_world(&[1, 2, 3]);
    for n in 1..205 {
        world.add_service("prod", &format!("web-{n}"), &format!("ecs-svc/{}", 100 + n));
    }
    let cluster = world.cluster("prod");
    let deployments = [("INACTIVE", "d0"), ("ACTIVE", "d1"), ("PRIMARY", "d2")];
    let deployments = deployments.map(|(status, id)| serde_json::json!({"id": id, "status": status}));
    cluster.services[204].rest.insert("deployments".into(), deployments.to_vec().into());
    for (task, started_by) in cluster.tasks.iter_mut().zip(["d1", "d2", "elsewhere"]) {
        task.group = None;
        task.started_by = Some(started_by.to_owned());
    }
    let running = Running::start_once(world, BY_SERVICE).await;
    running.until_addresses(&["10.0.0.1:8080", "10.0.0.2:8080"]).await;
    let is_named =
        |group: &TargetGroup| group.labels.contains(&("__meta_ecs_service_name".to_owned(), "web-204".to_owned()));
    assert!(running.published().unwrap().iter().all(is_named));
    assert_eq!((running.aws.count("ListServices"), running.aws.count("DescribeServices")), (3, 21));
    running.end().await;
}

#[tokio::test]
async fn services_are_only_asked_for_when_a_group_does_not_tell() {
    let running = Running::start(fargate_world(&[1]), BY_SERVICE).await;
    running.until_addresses(&["10.0.0.1:8080"]).await;
    assert_eq!(running.aws.count("ListServices"), 0);
    running.aws.change(|w| {
        for n in 0..25 {
            w.add_service("prod", &format!("web-{n}"), &format!("ecs-svc/{}", 100 + n));
            w.add_service("prod", &format!("other-{n}"), &format!("ecs-svc/{}", 200 + n));
        }
        let definition = w.task_definitions.keys().next().unwrap().clone();
        run(w, &definition, 2);
        let task = w.cluster("prod").tasks.last_mut().unwrap();
        task.group = None;
        task.started_by = Some("ecs-svc/124".to_owned());
    });
    running.until_addresses(&["10.0.0.1:8080", "10.0.0.2:8080"]).await;
    let services = running.published().unwrap()[1].labels.iter().find(|(k, _)| k == "__meta_ecs_service_name").cloned();
    assert_eq!(services.unwrap().1, "web-24");
    assert_eq!(running.aws.calls_of("DescribeServices")[0].body["services"].as_array().unwrap().len(), 10);
    assert!(running.aws.calls_of("ListServices").iter().all(|c| c.body["maxResults"] == 100));
    // Task sets of an external or CodeDeploy deployment count too, and so do deployments that are being replaced.
    running.aws.change(|w| {
        let service = &mut w.cluster("prod").services[1];
        service.rest.insert("taskSets".into(), serde_json::json!([{"id": "ecs-svc/999"}]));
        w.cluster("prod").tasks.last_mut().unwrap().started_by = Some("ecs-svc/999".to_owned());
    });
    running
        .until("the task set's service", |r| {
            r.published().is_some_and(|p| p.iter().any(|g| g.labels.iter().any(|(_, v)| v == "web-0")))
        })
        .await;
    running.end().await;
}

/// A world with a bridge task on each of `n` instances.
fn ec2_world(n: u16) -> World {
    let mut world = World::default();
    let port = Port { container: 8080, host: 0 };
    let definition = world.define("web", 1, "bridge", vec![container("app", port)]);
    for i in 0..n {
        let (id, ip) = (format!("i-{i:04}"), format!("10.1.{}.{}", i / 250, i % 250));
        let container_instance = &world.add_instance("prod", &id, &ip);
        let place = Place::Bridge { container_instance, port: Port { container: 8080, host: 32768 } };
        let name = format!("t{i}");
        world.run(Run { cluster: "prod", id: &name, definition: &definition, container: "app", service: None, place });
    }
    world
}

#[tokio::test]
async fn hosts_are_read_in_batches_once() {
    let running = Running::start(ec2_world(101), BY_DEFINITION).await;
    running.until("101 targets", |r| r.addresses().is_some_and(|a| a.len() == 101)).await;
    running.rounds("ok", 2).await;
    assert_eq!(running.aws.count("DescribeContainerInstances"), 2);
    assert_eq!(running.aws.count("DescribeInstances"), 2);
    let signed = running.aws.calls_of("DescribeInstances").iter().all(|c| c.signature.is_some() && c.succeeded());
    assert!(signed);
    running.end().await;
}

#[tokio::test]
async fn a_terminated_instance_costs_its_tasks_only_and_is_asked_for_again() {
    let mut world = ec2_world(2);
    let gone = world.instances.pop().unwrap();
    let running = Running::start(world, BY_DEFINITION).await;
    running.until_addresses(&["10.1.0.0:32768"]).await;
    running.aws.change(|w| w.instances.push(gone));
    running.until_addresses(&["10.1.0.0:32768", "10.1.0.1:32768"]).await;
    running.end().await;
}

#[tokio::test]
async fn an_unknown_container_instance_costs_its_tasks_and_asks_ec2_for_nothing() {
    let mut world = ec2_world(2);
    let members = std::mem::take(&mut world.cluster("prod").container_instances);
    let running = Running::start(world, BY_DEFINITION).await;
    running.until_addresses(&[]).await;
    let labels = [("extension", "ecs_observer"), ("reason", "address")];
    assert_eq!(running.context.telemetry.gauge("otelcol_ecs_observer_problems", "", &labels).get(), 2);
    assert_eq!(running.aws.count("DescribeInstances"), 0);
    running.aws.change(|w| w.cluster("prod").container_instances = members);
    running.until_addresses(&["10.1.0.0:32768", "10.1.0.1:32768"]).await;
    running.end().await;
}

#[tokio::test]
async fn a_denied_ec2_call_keeps_what_was_known_and_says_so() {
    let running = Running::start(ec2_world(1), BY_DEFINITION).await;
    running.until_addresses(&["10.1.0.0:32768"]).await;
    running.aws.fault(Fault::refuse("DescribeInstances", 403, "UnauthorizedOperation").always());
    running.aws.change(|w| *w = ec2_world(2));
    running.rounds("partial", 2).await;
    assert_eq!(running.addresses().unwrap(), ["10.1.0.0:32768"]);
    assert!(running.calls("DescribeInstances", "access_denied") >= 2);
    running.aws.clear_faults();
    running.until_addresses(&["10.1.0.0:32768", "10.1.0.1:32768"]).await;
    running.end().await;
}

#[tokio::test]
async fn cluster_and_region_come_from_the_task_metadata() {
    let mut world = fargate_world(&[1]);
    world.metadata = Some(fake::fargate_task("prod", "agent"));
    let aws = FakeAws::start(world).await;
    let metadata = format!("{}/v4/fake-container", aws.url());
    let running = Running::start_with(aws, tempfile::tempdir().unwrap(), BY_DEFINITION, Some(metadata)).await;
    running.until_addresses(&["10.0.0.1:8080"]).await;
    let labels = &running.published().unwrap()[0].labels;
    assert!(labels.contains(&("__meta_ecs_cluster_name".to_owned(), "prod".to_owned())));
    assert_eq!(running.aws.calls_of("ListTasks")[0].body["cluster"], "prod");
    running.end().await;
}

#[tokio::test]
async fn an_unwritable_file_does_not_stop_the_hand_over() {
    let aws = FakeAws::start(fargate_world(&[1])).await;
    let folder = tempfile::tempdir().unwrap();
    // A folder where the file should be.
    std::fs::create_dir(folder.path().join("targets.yaml")).unwrap();
    let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{BY_DEFINITION}");
    let running = Running::start_with(aws, folder, &section, None).await;
    running.until_addresses(&["10.0.0.1:8080"]).await;
    let errors = running.context.telemetry.counter(
        "otelcol_ecs_observer_file_errors_total",
        "",
        &[("extension", "ecs_observer")],
    );
    running.until("two attempts", |_| errors.get() >= 2).await;
    running.end().await;
}

#[tokio::test]
async fn stopping_ends_a_call_that_hangs() {
    let aws = FakeAws::start(fargate_world(&[1])).await;
    aws.fault(Fault::hang("ListTasks").always());
    let section = format!("cluster_name: prod\ncluster_region: us-west-2\n{BY_DEFINITION}");
    let running = Running::start_with(aws, tempfile::tempdir().unwrap(), &section, None).await;
    running.until("the call", |r| r.aws.count("ListTasks") == 1).await;
    tokio::time::timeout(Duration::from_secs(5), running.end()).await.unwrap();
}
