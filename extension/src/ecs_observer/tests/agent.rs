//! The CloudWatch agent's dialect on hand-made worlds: labels, precedence and de-duplication.

use super::worlds::*;
use crate::ecs_observer::matcher::{Dialect, Matcher, Rules};
use crate::ecs_observer::targets::discover;
use crate::ecs_observer::world::{Definition, Task, World};

const ID: &str = "1234567890123456789";
const JAR_PATH: (&str, &str) = ("ECS_PROMETHEUS_METRICS_PATH", "/metrics");

fn agent(matchers: Vec<Matcher>) -> Rules {
    Rules { matchers, dialect: Dialect::CloudWatchAgent }
}

fn labels_matcher(port: &str) -> Matcher {
    by_label(port, Some("ECS_PROMETHEUS_METRICS_PATH"), Some("FARGATE_PROMETHEUS_JOB_NAME"))
}

/// Two Java containers on Fargate, without family, group, starter and launch type.
fn on_fargate(arn: &str) -> World {
    let port = "FARGATE_PROMETHEUS_EXPORTER_PORT";
    let tomcat = [(port, "9404"), ("FARGATE_PROMETHEUS_JOB_NAME", "java-tomcat-fargate-awsvpc")];
    let containers = vec![
        container("bugbash-tomcat-fargate-awsvpc-with-docker-label", &[(9404, 9404)], &tomcat),
        container("bugbash-jar-fargate-awsvpc-with-docker-label", &[(9406, 9406)], &[JAR_PATH, (port, "9406")]),
    ];
    let task = Task {
        arn: arn.to_owned(),
        definition_arn: format!("{ARN}:task-definition/:4"),
        interface_ipv4: Some("10.0.0.129".to_owned()),
        ..Task::default()
    };
    world(vec![task], vec![definition("", "awsvpc", containers)])
}

fn full_arn() -> String {
    format!("{ARN}:task/ExampleCluster/{ID}")
}

#[track_caller]
fn labels_of(world: &World, rules: &Rules) -> Vec<(String, Vec<String>)> {
    let line = |(k, v): (&String, &String)| format!("{k}={v}");
    let found = discover(world, rules);
    found.targets().iter().map(|t| (t.address.clone(), t.labels.iter().map(line).collect())).collect()
}

#[test]
fn docker_labels_on_fargate() {
    let found = labels_of(&on_fargate(&full_arn()), &agent(vec![labels_matcher("FARGATE_PROMETHEUS_EXPORTER_PORT")]));
    let expected: [(&str, &[&str]); 2] = [
        (
            "10.0.0.129:9404",
            &[
                "FARGATE_PROMETHEUS_EXPORTER_PORT=9404",
                "FARGATE_PROMETHEUS_JOB_NAME=java-tomcat-fargate-awsvpc",
                "TaskClusterName=ExampleCluster",
                "TaskId=1234567890123456789",
                "TaskRevision=4",
                "container_name=bugbash-tomcat-fargate-awsvpc-with-docker-label",
                "job=java-tomcat-fargate-awsvpc",
            ],
        ),
        (
            "10.0.0.129:9406",
            &[
                "ECS_PROMETHEUS_METRICS_PATH=/metrics",
                "FARGATE_PROMETHEUS_EXPORTER_PORT=9406",
                "TaskClusterName=ExampleCluster",
                "TaskId=1234567890123456789",
                "TaskRevision=4",
                "__metrics_path__=/metrics",
                "container_name=bugbash-jar-fargate-awsvpc-with-docker-label",
            ],
        ),
    ];
    let expected = expected.map(|(a, l)| (a.to_owned(), l.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()));
    assert_eq!(found, expected);
}

#[test]
fn a_short_task_arn_has_no_cluster() {
    let world = on_fargate(&format!("{ARN}:task/{ID}"));
    let found = labels_of(&world, &agent(vec![labels_matcher("FARGATE_PROMETHEUS_EXPORTER_PORT")]));
    assert!(found[0].1.contains(&format!("TaskId={ID}")));
    assert!(found[0].1.iter().all(|l| !l.starts_with("TaskClusterName")));
}

#[test]
fn task_definitions_on_fargate() {
    let rules = agent(vec![by_definition(":task-definition/:[0-9]+", &[9404, 9406]).path("/stats/metrics")]);
    let found = labels_of(&on_fargate(&full_arn()), &rules);
    assert_eq!(found.len(), 2);
    for (_, labels) in &found {
        assert_eq!(labels.len(), 7, "{labels:?}");
        assert!(labels.contains(&"__metrics_path__=/stats/metrics".to_owned()));
    }
    assert!(found[0].1.iter().all(|l| !l.starts_with("job=")));
    assert!(found[1].1.contains(&"ECS_PROMETHEUS_METRICS_PATH=/metrics".to_owned()));
}

#[test]
fn services_name_themselves_on_their_targets_only() {
    let mut world = on_fargate(&full_arn()).with_starters(&[("ecs-svc/1", "true")]);
    world.tasks[0].started_by = "ecs-svc/1".to_owned();
    let found = labels_of(&world, &agent(vec![by_service("^true$", &[9404, 9406])]));
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|(_, labels)| labels.contains(&"ServiceName=true".to_owned())));
    let both = agent(vec![by_service("^true$", &[9404]), by_definition(".", &[9404, 9406])]);
    let found = labels_of(&world, &both);
    assert!(found[0].1.contains(&"ServiceName=true".to_owned()));
    assert!(found[1].1.iter().all(|l| !l.starts_with("ServiceName")));
}

#[test]
fn the_same_port_with_two_paths_is_two_targets() {
    let rules = agent(vec![
        labels_matcher("FARGATE_PROMETHEUS_EXPORTER_PORT"),
        by_definition(":task-definition/:4", &[9404, 9406]).path("/stats/metrics"),
    ]);
    assert_eq!(labels_of(&on_fargate(&full_arn()), &rules).len(), 4);
}

/// The same containers on a host, with two bound ports.
fn on_host(mode: &str) -> World {
    let port = "EC2_PROMETHEUS_EXPORTER_PORT";
    let job = ("EC2_PROMETHEUS_JOB_NAME", "bugbash-tomcat-ec2-bridge-mapped-port");
    let tomcat = "bugbash-tomcat-prometheus-workload-java-ec2-bridge-mapped-port";
    let jar = "bugbash-jar-prometheus-workload-java-ec2-bridge";
    let containers = vec![
        container(tomcat, &[(9404, 9494)], &[job, (port, "9404")]),
        container(jar, &[(9404, 0), (9406, 0)], &[(port, "9406")]),
    ];
    let running = vec![running(tomcat, &[(9404, 9494)]), running(jar, &[(9404, 32774)])];
    let mut task = on_ec2(ID, "demo", "ci1", running);
    task.arn = full_arn();
    let mut host = instance("i-1", "10.4.0.205");
    host.instance_type = "t3.medium".to_owned();
    host.vpc_id = "vpc-1".to_owned();
    host.subnet_id = "subnet-1".to_owned();
    let definition =
        Definition { network_mode: definition("", mode, vec![]).network_mode, ..definition("demo", mode, containers) };
    world(vec![task], vec![definition]).with_instance("ci1", host)
}

fn host_rules() -> Rules {
    let by_label =
        by_label("EC2_PROMETHEUS_EXPORTER_PORT", Some("ECS_PROMETHEUS_METRICS_PATH"), Some("EC2_PROMETHEUS_JOB_NAME"));
    agent(vec![by_label, by_definition(":task-definition/demo:4", &[9404, 9406]).path("/metrics")])
}

#[test]
fn bound_ports_on_a_host_come_once_and_the_docker_label_first() {
    for mode in ["bridge", ""] {
        let found = labels_of(&on_host(mode), &host_rules());
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].0, "10.4.0.205:9494");
        // The docker label named no path, so the label is not written.
        assert!(found[0].1.contains(&"job=bugbash-tomcat-ec2-bridge-mapped-port".to_owned()));
        assert!(found[0].1.iter().all(|l| !l.starts_with("__metrics_path__")));
        assert_eq!(found[1].0, "10.4.0.205:32774");
        assert!(found[1].1.contains(&"__metrics_path__=/metrics".to_owned()));
        for label in ["InstanceType=t3.medium", "VpcId=vpc-1", "SubnetId=subnet-1", "LaunchType=EC2"] {
            assert!(found.iter().all(|(_, labels)| labels.contains(&label.to_owned())), "{label}");
        }
    }
    assert!(labels_of(&on_host("none"), &host_rules()).is_empty());
}

#[test]
fn a_container_pattern_limits_a_rule_to_its_containers() {
    let rule = by_definition("demo", &[9404, 9406]).container(".*tomcat-prometheus-workload-java-ec2.*");
    let found = labels_of(&on_host("bridge"), &agent(vec![rule]));
    assert_eq!(found.iter().map(|(a, _)| a.as_str()).collect::<Vec<_>>(), ["10.4.0.205:9494"]);
}

#[test]
fn targets_are_unique_across_tasks() {
    let one = definition("a", "host", vec![container("c", &[(9100, 9100)], &[])]);
    let world = world(vec![on_ec2("1", "a", "ci1", vec![]), on_ec2("2", "a", "ci1", vec![])], vec![one])
        .with_instance("ci1", instance("i-1", "10.0.0.1"));
    let found = labels_of(&world, &agent(vec![by_definition("a:4", &[9100])]));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains(&"TaskId=1".to_owned()), "the first task keeps it");
}

#[test]
fn the_job_is_the_docker_label_job_when_the_named_one_is_empty() {
    let labels = [("PORT", "1"), ("empty", ""), ("job", "prometheus-redis"), ("CWAgent-invalid-label", "x")];
    let world = world(
        vec![fargate("1", "a", "10.0.0.1")],
        vec![definition("a", "awsvpc", vec![container("c", &[(1, 1)], &labels)])],
    );
    let found = labels_of(&world, &agent(vec![by_label("PORT", None, Some("empty"))]));
    assert!(found[0].1.contains(&"job=prometheus-redis".to_owned()));
    assert!(found[0].1.iter().all(|l| !l.starts_with("empty") && !l.starts_with("CWAgent")));
    let explicit = labels_of(&world, &agent(vec![by_definition("a:4", &[1]).job("from-the-rule")]));
    assert!(explicit[0].1.contains(&"job=from-the-rule".to_owned()));
}

#[test]
fn ports_that_are_no_ports_or_not_mapped_give_nothing() {
    for value in [" 9404", "a", "-1", "0", "9405"] {
        let labelled = container("c", &[(9404, 9404)], &[("PORT", value)]);
        let world = world(vec![fargate("1", "a", "10.0.0.1")], vec![definition("a", "awsvpc", vec![labelled])]);
        assert!(labels_of(&world, &agent(vec![by_label("PORT", None, None)])).is_empty(), "{value}");
    }
}
