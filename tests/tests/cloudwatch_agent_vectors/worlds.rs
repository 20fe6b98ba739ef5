//! What ECS says in the discovery vectors, written briefly: tasks, definitions and hosts, and the rules of an agent
//! JSON applied to them.

use std::sync::Arc;

use config::parse_yaml;
use extension::ecs_observer::cloudwatch_agent;
use extension::ecs_observer::targets::{Target, discover};
use extension::ecs_observer::world::{
    Binding, ContainerDefinition, Definition, Instance, Lookup, NetworkMode, PortMapping, RunningContainer, Services,
    Task, World,
};
use proto::BuildContext;

use super::support::{ecs, prometheus};

const ARN: &str = "arn:aws:ecs:us-east-2:211220956907";
const PORT_LABEL: &str = "FARGATE_PROMETHEUS_EXPORTER_PORT";

/// The targets that an agent's `ecs_service_discovery` with these keys finds.
#[track_caller]
pub(crate) fn find(keys: &str, world: &World) -> Vec<Target> {
    let tree = prometheus(&format!("\"ecs_service_discovery\":{{{keys}}}"), &ecs()).good();
    let section = serde_yaml::to_string(&tree["extensions"]["ecs_service_discovery"]).unwrap();
    let (node, found) = parse_yaml("translated.yaml", &section);
    assert!(found.is_empty(), "{found:?}");
    let context = BuildContext {
        env: Arc::new(|name| (name == "ECS_CONTAINER_METADATA_URI_V4").then(|| "http://127.0.0.1:1".to_owned())),
        ..BuildContext::for_test("ecs_service_discovery")
    };
    let (settings, found) = cloudwatch_agent::build(&node.unwrap(), &context);
    assert!(!config::has_errors(&found), "{found:?}");
    let found = discover(world, &settings.unwrap().rules);
    found.tasks.into_iter().flat_map(|task| task.targets).collect()
}

/// `ip:port/path` of each target, the agent's key for it.
pub(crate) fn keys(targets: &[Target]) -> Vec<String> {
    let path = |t: &Target| t.labels.get("__metrics_path__").map_or("/metrics", String::as_str).to_owned();
    targets.iter().map(|t| format!("{}{}", t.address, path(t))).collect()
}

/// Labels as `name=value`.
pub(crate) fn labels(target: &Target) -> Vec<String> {
    target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// A container with mappings of container port to host port (0: none) and docker labels.
pub(crate) fn container(name: &str, ports: &[(i32, i32)], docker_labels: &[(&str, &str)]) -> ContainerDefinition {
    let mapping = |&(port, host): &(i32, i32)| PortMapping {
        container_ports: port..=port,
        host_port: (host > 0).then_some(host),
    };
    ContainerDefinition {
        name: name.to_owned(),
        ports: ports.iter().map(mapping).collect(),
        docker_labels: pairs(docker_labels),
    }
}

fn running(name: &str, port: i32, host_port: i32) -> RunningContainer {
    let binding = Binding { container_ports: port..=port, first_host_port: host_port, tcp: true, ipv6: false };
    RunningContainer { name: name.to_owned(), bindings: vec![binding] }
}

/// Full ARN of a task definition.
pub(crate) fn definition_arn(family_and_revision: &str) -> String {
    format!("{ARN}:task-definition/{family_and_revision}")
}

/// An awsvpc task with its definition, which has no family; numbers count the addresses.
pub(crate) fn add_task(world: &mut World, number: usize, definition: &str, containers: Vec<ContainerDefinition>) {
    let task = Task {
        arn: format!("{ARN}:task/ExampleCluster/{number}"),
        definition_arn: definition_arn(definition),
        interface_ipv4: Some(format!("10.0.0.{number}")),
        ..Task::default()
    };
    add(world, task, "awsvpc", containers);
}

/// A task and what its definition says.
pub(crate) fn add(world: &mut World, task: Task, mode: &str, containers: Vec<ContainerDefinition>) {
    let revision = task.definition_arn.rsplit(':').next().and_then(|r| r.parse().ok());
    let definition = Definition { family: String::new(), revision, network_mode: NetworkMode::parse(mode), containers };
    world.definitions.insert(task.definition_arn.clone(), Lookup::Found(Arc::new(definition)));
    world.tasks.push(task);
}

/// Ids of deployments and the services that they belong to.
pub(crate) fn starters(ids: &[(&str, &str)]) -> Services {
    Services::Known(pairs(ids).into_iter().collect())
}

/// Fixture F: two Java containers on Fargate; neither family, group, starter nor launch type is known.
pub(crate) fn on_fargate(task_arn_tail: &str) -> World {
    let job = ("FARGATE_PROMETHEUS_JOB_NAME", "java-tomcat-fargate-awsvpc");
    let path = ("ECS_PROMETHEUS_METRICS_PATH", "/metrics");
    let containers = vec![
        container("bugbash-tomcat-fargate-awsvpc-with-docker-label", &[(9404, 9404)], &[(PORT_LABEL, "9404"), job]),
        container("bugbash-jar-fargate-awsvpc-with-docker-label", &[(9406, 9406)], &[path, (PORT_LABEL, "9406")]),
    ];
    let mut world = World::default();
    let task = Task {
        arn: format!("{ARN}:task/{task_arn_tail}"),
        definition_arn: definition_arn("prometheus-java-tomcat-fargate-awsvpc:4"),
        interface_ipv4: Some("10.0.0.129".to_owned()),
        ..Task::default()
    };
    add(&mut world, task, "awsvpc", containers);
    world
}

/// The discovery of fixture F by docker labels.
pub(crate) const BY_LABEL: &str = "\"docker_label\":{\"sd_port_label\":\"FARGATE_PROMETHEUS_EXPORTER_PORT\",\"sd_job_name_label\":\"FARGATE_PROMETHEUS_JOB_NAME\"}";

/// Fixture E: two Java containers on an EC2 host with bound ports.
pub(crate) fn on_ec2(mode: &str) -> World {
    let tomcat = "bugbash-tomcat-prometheus-workload-java-ec2-bridge-mapped-port";
    let jar = "bugbash-jar-prometheus-workload-java-ec2-bridge";
    let job = ("EC2_PROMETHEUS_JOB_NAME", "bugbash-tomcat-ec2-bridge-mapped-port");
    let path = ("ECS_PROMETHEUS_METRICS_PATH", "/metrics");
    let port = "EC2_PROMETHEUS_EXPORTER_PORT";
    let containers = vec![
        container(tomcat, &[(9404, 9494)], &[(port, "9404"), job]),
        container(jar, &[(9404, 0), (9406, 0)], &[path, (port, "9406")]),
    ];
    let task = Task {
        arn: format!("{ARN}:task/ExampleCluster/1234567890123456789"),
        definition_arn: definition_arn("prometheus-java-jar-ec2-bridge:4"),
        container_instance_arn: Some("ci".to_owned()),
        launch_type: "EC2".to_owned(),
        containers: vec![running(tomcat, 9404, 9494), running(jar, 9404, 32774)],
        ..Task::default()
    };
    let host = Instance {
        private_ip: "10.4.0.205".to_owned(),
        instance_type: "t3.medium".to_owned(),
        vpc_id: "vpc-03e9f55a92516a5e4".to_owned(),
        subnet_id: "subnet-0d0b0212d14b70250".to_owned(),
        ..Instance::default()
    };
    let mut world = World::default();
    add(&mut world, task, mode, containers);
    world.instances.insert("ci".to_owned(), Lookup::Found(Arc::new(host)));
    world
}

/// The discovery of fixture E by docker labels.
pub(crate) const BY_EC2_LABEL: &str = "\"docker_label\":{\"sd_port_label\":\"EC2_PROMETHEUS_EXPORTER_PORT\",\"sd_job_name_label\":\"EC2_PROMETHEUS_JOB_NAME\"}";

/// A `task_definition_list` of one item.
pub(crate) fn by_definition(pattern: &str, ports: &str, more: &str) -> String {
    format!("\"task_definition_list\":[{}]", definition_item(pattern, ports, more))
}

/// An item of `task_definition_list`; `more` are further members with their comma.
pub(crate) fn definition_item(pattern: &str, ports: &str, more: &str) -> String {
    format!("{{\"sd_task_definition_arn_pattern\":\"{pattern}\",\"sd_metrics_ports\":\"{ports}\"{more}}}")
}

/// An item of `service_name_list_for_tasks`.
pub(crate) fn service_item(pattern: &str, ports: &str, more: &str) -> String {
    format!("{{\"sd_service_name_pattern\":\"{pattern}\",\"sd_metrics_ports\":\"{ports}\"{more}}}")
}
