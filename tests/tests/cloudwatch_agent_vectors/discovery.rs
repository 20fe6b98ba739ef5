//! Vectors of discovery: what an agent's `ecs_service_discovery` finds in a cluster as ECS describes it.

use extension::ecs_observer::targets::Target;
use extension::ecs_observer::world::{Instance, Lookup, Task, World};

use super::support::{ecs, host, prometheus};
use super::worlds::*;
use super::{Vector, vector};

pub(crate) fn vectors() -> Vec<Vector<fn()>> {
    vec![
        vector(19, "F by docker labels", f_by_docker_labels),
        vector(20, "F with a short task ARN", f_with_a_short_arn),
        vector(21, "F by task definition", f_by_definition),
        vector(22, "F as the task of a service", f_by_service),
        vector(23, "F by docker label and task definition with different paths", f_with_two_paths),
        vector(24, "E by docker label and task definition", e_by_both),
        vector(25, "E without a network mode and with mode none", e_in_other_modes),
        vector(26, "E with a container pattern", e_with_a_container_pattern),
        vector(27, "labels without a value are not written", empty_labels),
        vector(28, "task definition patterns over five tasks", definition_patterns),
        vector(29, "the container pattern ^envoy$", container_patterns),
        vector(30, "services with and without a container pattern", service_flags),
        vector(31, "a task is kept when any kind of discovery wants it", any_kind),
        vector(33, "discovery that cannot start", cannot_start)
            .differs("Bad regular expressions, frequencies and port lists are errors with line and column"),
        vector(34, "only tasks with the docker label", docker_label_step),
        vector(37, "a docker label beats the task definition", label_beats_definition),
        vector(38, "a job label without a value leaves the docker label job", empty_job_label),
        vector(40, "ports of host mode, ports without a mapping, labels that hold no port", ports),
    ]
}

fn f_by_docker_labels() {
    let found = find(BY_LABEL, &on_fargate("ExampleCluster/1234567890123456789"));
    assert_eq!(keys(&found), ["10.0.0.129:9404/metrics", "10.0.0.129:9406/metrics"]);
    assert_eq!(
        labels(&found[0]),
        [
            "FARGATE_PROMETHEUS_EXPORTER_PORT=9404",
            "FARGATE_PROMETHEUS_JOB_NAME=java-tomcat-fargate-awsvpc",
            "TaskClusterName=ExampleCluster",
            "TaskId=1234567890123456789",
            "TaskRevision=4",
            "container_name=bugbash-tomcat-fargate-awsvpc-with-docker-label",
            "job=java-tomcat-fargate-awsvpc",
        ]
    );
    assert_eq!(
        labels(&found[1]),
        [
            "ECS_PROMETHEUS_METRICS_PATH=/metrics",
            "FARGATE_PROMETHEUS_EXPORTER_PORT=9406",
            "TaskClusterName=ExampleCluster",
            "TaskId=1234567890123456789",
            "TaskRevision=4",
            "__metrics_path__=/metrics",
            "container_name=bugbash-jar-fargate-awsvpc-with-docker-label",
        ]
    );
}

fn f_with_a_short_arn() {
    for target in find(BY_LABEL, &on_fargate("1234567890123456789")) {
        assert_eq!(target.labels["TaskId"], "1234567890123456789");
        assert!(!target.labels.contains_key("TaskClusterName"));
    }
}

const F_PATTERN: &str = ".*:task-definition/prometheus-java-tomcat-fargate-awsvpc:[0-9]+";
const STATS: &str = ",\"sd_metrics_path\":\"/stats/metrics\"";

fn full() -> World {
    on_fargate("ExampleCluster/1234567890123456789")
}

fn f_by_definition() {
    let found = find(&by_definition(F_PATTERN, "9404;9406", STATS), &full());
    assert_eq!(keys(&found), ["10.0.0.129:9404/stats/metrics", "10.0.0.129:9406/stats/metrics"]);
    assert_eq!(found.iter().map(|t| t.labels.len()).collect::<Vec<_>>(), [7, 7]);
    assert!(!found[0].labels.contains_key("job"));
    assert_eq!(found[1].labels["ECS_PROMETHEUS_METRICS_PATH"], "/metrics");
    assert_eq!(found[1].labels["__metrics_path__"], "/stats/metrics");
}

fn f_by_service() {
    let mut world = full();
    world.services = starters(&[("ecs-svc/1", "true")]);
    world.tasks[0].started_by = "ecs-svc/1".to_owned();
    let keys_of_json = format!("\"service_name_list_for_tasks\":[{}]", service_item("true", "9404;9406", STATS));
    let found = find(&keys_of_json, &world);
    assert_eq!(found.len(), 2);
    for target in &found {
        // The agent's fixture knows no starter, without which ours would know no service.
        let known: Vec<&String> = target.labels.keys().filter(|name| *name != "StartedBy").collect();
        assert_eq!((known.len(), &*target.labels["ServiceName"]), (8, "true"), "{known:?}");
    }
}

fn f_with_two_paths() {
    let found = find(&format!("{BY_LABEL},{}", by_definition(F_PATTERN, "9404;9406", STATS)), &full());
    assert_eq!(
        keys(&found),
        [
            "10.0.0.129:9404/metrics",
            "10.0.0.129:9404/stats/metrics",
            "10.0.0.129:9406/metrics",
            "10.0.0.129:9406/stats/metrics"
        ]
    );
}

const E_PATTERN: &str = ".*:task-definition/prometheus-java-jar-ec2-bridge:[0-9]+";
const METRICS: &str = ",\"sd_metrics_path\":\"/metrics\"";

/// Labels but the launch type: the agent's fixture has the host without it, ours needs it to ask for the host.
fn without_launch_type(target: &Target) -> usize {
    assert_eq!(target.labels["LaunchType"], "EC2");
    target.labels.len() - 1
}

fn e_by_both() {
    let both = format!("{BY_EC2_LABEL},{}", by_definition(E_PATTERN, "9404;9406", METRICS));
    let found = find(&both, &on_ec2("bridge"));
    assert_eq!(keys(&found), ["10.4.0.205:9494/metrics", "10.4.0.205:32774/metrics"]);
    assert_eq!(found.iter().map(without_launch_type).collect::<Vec<_>>(), [10, 10]);
    assert_eq!(found[0].labels["job"], "bugbash-tomcat-ec2-bridge-mapped-port");
    assert!(!found[1].labels.contains_key("job"));
    for (label, value) in
        [("InstanceType", "t3.medium"), ("VpcId", "vpc-03e9f55a92516a5e4"), ("SubnetId", "subnet-0d0b0212d14b70250")]
    {
        assert!(found.iter().all(|target| target.labels[label] == value), "{label}");
    }
}

fn e_in_other_modes() {
    let both = format!("{BY_EC2_LABEL},{}", by_definition(E_PATTERN, "9404;9406", METRICS));
    assert_eq!(find(&both, &on_ec2("")), find(&both, &on_ec2("bridge")));
    assert_eq!(find(&both, &on_ec2("none")), []);
}

fn e_with_a_container_pattern() {
    let pattern = format!("{METRICS},\"sd_container_name_pattern\":\".*tomcat-prometheus-workload-java-ec2.*\"");
    let found = find(&by_definition(E_PATTERN, "9404;9406", &pattern), &on_ec2("bridge"));
    assert_eq!(keys(&found), ["10.4.0.205:9494/metrics"]);
    assert_eq!(without_launch_type(&found[0]), 10);
}

fn empty_labels() {
    let mut world = World::default();
    add_task(&mut world, 1, "x:1", vec![container("c", &[(1, 1)], &[("absent", ""), ("present", "v")])]);
    let found = find(&by_definition("x:1", "1", ""), &world);
    assert_eq!(
        labels(&found[0]),
        ["TaskClusterName=ExampleCluster", "TaskId=1", "TaskRevision=1", "container_name=c", "present=v"]
    );
}

/// Last part of the addresses that were found: the numbers of their tasks.
fn numbers(found: &[Target]) -> Vec<&str> {
    found.iter().map(|t| t.address.trim_start_matches("10.0.0.").split(':').next().unwrap()).collect()
}

fn definition_patterns() {
    let mut world = World::default();
    let one = || vec![container("c", &[(1, 1)], &[])];
    for (number, definition) in [
        "prometheus-java-jar-ec2-bridge:2",
        "prometheus-java-tomcat-fargate-awsvpc:1",
        "prometheus-java-jar-ec2-bridge:3",
        "prometheus-cwagent:12",
    ]
    .into_iter()
    .enumerate()
    {
        add_task(&mut world, number + 1, definition, one());
    }
    let nameless = Task { interface_ipv4: Some("10.0.0.5".to_owned()), ..Task::default() };
    world.tasks.push(nameless);
    let items = [
        "^.*prometheus-java-jar-ec2-bridge:2$",
        "^.*prometheus-java-tomcat-fargate-awsvpc:[1-9][0-9]*$",
        "^.*task:[0-9]+$",
    ]
    .map(|pattern| definition_item(pattern, "1", ""));
    assert_eq!(numbers(&find(&format!("\"task_definition_list\":[{}]", items.join(",")), &world)), ["1", "2"]);
}

fn container_patterns() {
    let mut world = World::default();
    let named = |name: &str| vec![container(name, &[(1, 1)], &[])];
    for (number, containers) in [vec![], named(""), named("envoy_test"), named("envoy")].into_iter().enumerate() {
        add_task(&mut world, number + 1, &format!("f{number}:1"), containers);
    }
    let found = find(&by_definition(".", "1", ",\"sd_container_name_pattern\":\"^envoy$\""), &world);
    assert_eq!(numbers(&found), ["4"]);
}

fn service_flags() {
    let mut world = World {
        services: starters(&[
            ("id1", "ServiceWithContainerNamePattern1"),
            ("id2", "ServiceWithContainerNamePattern2"),
            ("id3", "ServiceWithoutContainerNamePattern1"),
        ]),
        ..World::default()
    };
    for (number, (started_by, name)) in
        [("id1", "Other"), ("id2", "PatternMatch"), ("id3", "Other"), ("id4", "PatternMatch")].into_iter().enumerate()
    {
        add_task(&mut world, number + 1, &format!("f{number}:1"), vec![container(name, &[(1, 1)], &[])]);
        world.tasks[number].started_by = started_by.to_owned();
    }
    let with =
        service_item("ServiceWithContainerNamePattern[1-9]+", "1", ",\"sd_container_name_pattern\":\"PatternMatch\"");
    let without = service_item("ServiceWithoutContainerNamePattern[1-9]+", "1", "");
    let found = find(&format!("\"service_name_list_for_tasks\":[{with},{without}]"), &world);
    let services: Vec<&str> = found.iter().map(|t| t.labels["ServiceName"].as_str()).collect();
    assert_eq!(numbers(&found), ["2", "3"]);
    assert_eq!(services, ["ServiceWithContainerNamePattern2", "ServiceWithoutContainerNamePattern1"]);
}

fn any_kind() {
    let all = format!(
        "\"docker_label\":{{\"sd_port_label\":\"PORT\"}},{},\"service_name_list_for_tasks\":[{}]",
        by_definition("wanted", "1", ""),
        service_item("wanted", "1", "")
    );
    let mut world = World { services: starters(&[("s", "wanted")]), ..World::default() };
    assert_eq!(find(&all, &world), [], "nothing in, nothing out");
    for flags in 0..8_usize {
        let labels: &[(&str, &str)] = if flags & 1 == 1 { &[("PORT", "1")] } else { &[] };
        let family = if flags & 2 == 2 { "wanted" } else { "other" };
        add_task(&mut world, flags + 1, &format!("{family}-{flags}:1"), vec![container("c", &[(1, 1)], labels)]);
        world.tasks[flags].started_by = if flags & 4 == 4 { "s" } else { "other" }.to_owned();
    }
    assert_eq!(numbers(&find(&all, &world)), ["2", "3", "4", "5", "6", "7", "8"]);
}

fn cannot_start() {
    let of = |keys: &str| prometheus(&format!("\"ecs_service_discovery\":{{{keys}}}"), &ecs());
    of("").says("none of the three kinds of discovery is enabled");
    of("\"docker_label\":{},\"sd_frequency\":\"xyz\"").says("Invalid ECS service discovery frequency: xyz");
    // Without the section there is no discovery at all.
    assert!(prometheus("", &ecs()).good()["extensions"].is_null());
    // Where neither the keys nor a task say which cluster it is.
    let keys = "\"log_group_name\":\"g\",\"ecs_service_discovery\":{\"docker_label\":{}}";
    let tree = prometheus(keys, &host()).good();
    let section = serde_yaml::to_string(&tree["extensions"]["ecs_service_discovery"]).unwrap();
    let (node, _) = config::parse_yaml("translated.yaml", &section);
    let context = proto::BuildContext::for_test("ecs_service_discovery");
    let (_, found) = extension::ecs_observer::cloudwatch_agent::build(&node.unwrap(), &context);
    let problems: Vec<String> = found.iter().map(|problem| problem.message.to_string()).collect();
    assert_eq!(problems, ["ECS Target Cluster Name is not defined", "ECS Cluster Region is not defined"]);
}

fn docker_label_step() {
    let mut world = World::default();
    add_task(&mut world, 1, "a:1", vec![container("c", &[(1, 1)], &[("ECS_PROMETHEUS_EXPORTER_PORT", "1")])]);
    add_task(&mut world, 2, "b:1", vec![container("c", &[(1, 1)], &[("OTHER", "1")])]);
    assert_eq!(numbers(&find("\"docker_label\":{}", &world)), ["1"]);
    assert_eq!(find(&by_definition("nothing", "1", ""), &world), []);
}

const REDIS: &[(&str, &str)] = &[
    ("ECS_PROMETHEUS_EXPORTER_PORT", "9121"),
    ("job", "prometheus-redis"),
    ("other_job", "custom-docker-label-job-name"),
    ("empty", ""),
    ("CWAgent-Usage-invalid-prometheus-label", "x"),
];

fn redis(keys: &str) -> Target {
    let mut world = World::default();
    add_task(&mut world, 1, "redis:1", vec![container("redis-exporter-0", &[(9121, 9121)], REDIS)]);
    let mut found = find(keys, &world);
    assert_eq!(found.len(), 1);
    assert!(found[0].labels.keys().all(|name| !name.starts_with("CWAgent")));
    found.remove(0)
}

fn label_beats_definition() {
    let definition = by_definition("redis", "9121", ",\"sd_job_name\":\"task-def-list-job\"");
    let found = redis(&format!("\"docker_label\":{{\"sd_job_name_label\":\"other_job\"}},{definition}"));
    assert_eq!(found.labels["job"], "custom-docker-label-job-name");
}

fn empty_job_label() {
    let found = redis("\"docker_label\":{\"sd_job_name_label\":\"empty\"}");
    assert_eq!(found.labels["job"], "prometheus-redis");
    assert!(!found.labels.contains_key("empty"));
}

fn ports() {
    let on_host = |mappings: &[(i32, i32)]| {
        let mut world = World::default();
        let task = Task {
            definition_arn: definition_arn("memcached:1"),
            container_instance_arn: Some("ci".to_owned()),
            launch_type: "EC2".to_owned(),
            ..Task::default()
        };
        add(&mut world, task, "host", vec![container("c", mappings, &[])]);
        let instance = Instance { private_ip: "10.0.0.9".to_owned(), ..Instance::default() };
        world.instances.insert("ci".to_owned(), Lookup::Found(instance.into()));
        keys(&find(&by_definition("memcached", "9150", ""), &world))
    };
    assert_eq!(on_host(&[(9150, 9150)]), ["10.0.0.9:9150/metrics"]);
    assert_eq!(on_host(&[]), [""; 0]);
    for value in [" 9404", "a", "-1", "0"] {
        let mut world = World::default();
        let label = [("ECS_PROMETHEUS_EXPORTER_PORT", value)];
        add_task(&mut world, 1, "x:1", vec![container("c", &[(9404, 9404)], &label)]);
        assert_eq!(find("\"docker_label\":{}", &world), [], "{value:?}");
    }
}
