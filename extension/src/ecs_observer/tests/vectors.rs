//! The numbered vectors of the discovery's specification: those about matching, addresses and labels are rows here, the
//! others name their test. A number without either fails.

use super::worlds::*;
use crate::ecs_observer::matcher::{Dialect, Matcher};
use crate::ecs_observer::targets::{Discovery, discover};
use crate::ecs_observer::world::{Definition, Instance, Task, World};

const LABEL: &str = "ECS_PROMETHEUS_EXPORTER_PORT";

const SETTINGS: &str = include_str!("settings.rs");
const FILE: &str = include_str!("../file.rs");
const WHOLE: &str = include_str!("../../../../tests/tests/ecs_discovery.rs");
const AGENT: &str = include_str!("../../../../tests/tests/ecs_throttled_and_denied.rs");

/// Number, test, and the text of its file.
const ELSEWHERE: [(u8, &str, &str); 24] = [
    (1, "wrong_settings_are_refused_with_their_place", SETTINGS),
    (2, "an_empty_section_has_the_documented_defaults", SETTINGS),
    (3, "wrong_settings_are_refused_with_their_place", SETTINGS),
    (4, "wrong_settings_are_refused_with_their_place", SETTINGS),
    (5, "wrong_settings_are_refused_with_their_place", SETTINGS),
    (6, "wrong_settings_are_refused_with_their_place", SETTINGS),
    (7, "wrong_settings_are_refused_with_their_place", SETTINGS),
    (8, "the_region_comes_from_settings_environment_arn_or_metadata", SETTINGS),
    (9, "many_tasks_are_paged_and_described_in_batches", WHOLE),
    (10, "a_task_that_is_not_placed_yet_is_no_target", WHOLE),
    (11, "a_definition_is_read_once", WHOLE),
    (12, "hosts_are_read_in_batches_once", WHOLE),
    (13, "tasks_come_and_go_and_an_empty_cluster_empties_the_targets", WHOLE),
    (14, "tasks_come_and_go_and_an_empty_cluster_empties_the_targets", WHOLE),
    (15, "all_deployments_of_many_services_are_known", WHOLE),
    (16, "all_deployments_of_many_services_are_known", WHOLE),
    (18, "throttling_and_dropped_connections_are_repeated_within_the_round", WHOLE),
    (45, "an_empty_cluster_at_the_start_is_an_empty_file", WHOLE),
    (46, "throttled_lists_keep_the_known_targets", AGENT),
    // Where the reference ends, the folder is made.
    (47, "a_new_file_is_private_and_its_folder_is_made", FILE),
    // Where the reference waits, there are targets.
    (48, "the_first_round_does_not_wait_for_the_interval", WHOLE),
    (51, "an_unknown_container_instance_costs_its_tasks_and_asks_ec2_for_nothing", WHOLE),
    (52, "throttling_and_dropped_connections_are_repeated_within_the_round", WHOLE),
    (52, "a_failing_api_keeps_the_targets_until_it_answers_again", WHOLE),
];

/// Number, matchers, tasks and definitions, and the targets (`address path job`) and problems that they give.
struct Row(u8, Vec<Matcher>, World, &'static [&'static str], &'static [&'static str]);

fn rows() -> Vec<Row> {
    let retail = || by_service("^retail-.*$", &[2112]);
    let nginx = || by_definition(".*:task-definition/nginx:[0-9]+", &[9113, 9090]);
    let by_labels = || by_label(LABEL, Some("PATH"), Some("JOB"));
    let labelled = [(LABEL, "2114"), ("PATH", "/new/metrics"), ("JOB", "PROM_JOB_1")];
    let port_of = |value: &'static str| of_fargate("a", &[(2114, 2114)], &[(LABEL, value)]);
    let by_td = |port: i32| by_definition("a:4", &[port]);
    let twice = |labels: &[(&str, &str)]| of_fargate("a", &[(2113, 2113)], labels);
    vec![
        Row(17, vec![retail()], in_service("", &[(2112, 2112)]), &[], &[]),
        Row(
            19,
            vec![retail()],
            in_service("ecs-svc/1", &[(2112, 2112), (8080, 8080)]),
            &["10.0.0.1:2112 /metrics"],
            &[],
        ),
        Row(20, vec![retail().container("^prom$")], in_service("ecs-svc/1", &[(2112, 2112)]), &[], &[]),
        Row(
            21,
            vec![nginx()],
            of_fargate("nginx", &[(9113, 9113), (9090, 9090)], &[]),
            &["10.0.0.1:9113 /metrics", "10.0.0.1:9090 /metrics"],
            &[],
        ),
        Row(21, vec![nginx()], of_fargate("nginx-2", &[(9113, 9113)], &[]), &[], &[]),
        Row(22, vec![by_label(LABEL, None, None)], port_of("2114"), &["10.0.0.1:2114 /metrics"], &[]),
        Row(22, vec![by_label(LABEL, None, None)], port_of("2115"), &[], &[]),
        Row(
            23,
            vec![by_labels()],
            of_fargate("a", &[(2114, 2114)], &labelled),
            &["10.0.0.1:2114 /new/metrics PROM_JOB_1"],
            &[],
        ),
        Row(
            23,
            vec![by_labels().job("override")],
            of_fargate("a", &[(2114, 2114)], &labelled),
            &["10.0.0.1:2114 /new/metrics override"],
            &[],
        ),
        // Only that container is without a target, where the reference has none at all.
        Row(
            24,
            vec![by_label(LABEL, None, None)],
            port_of("not-a-port"),
            &[],
            &["port_label: docker label ECS_PROMETHEUS_EXPORTER_PORT is \"not-a-port\", which is not a port number"],
        ),
        Row(
            25,
            vec![by_label(LABEL, None, None)],
            port_of("99999999999"),
            &[],
            &["port_label: docker label ECS_PROMETHEUS_EXPORTER_PORT is \"99999999999\", which is not a port number"],
        ),
        Row(
            26,
            vec![by_td(8080).path("/metrics"), by_td(8080).path("/metrics"), by_td(8080).path("/m2"), by_td(9090)],
            of_fargate("a", &[(8080, 8080), (9090, 9090)], &[]),
            &["10.0.0.1:8080 /metrics", "10.0.0.1:8080 /m2", "10.0.0.1:9090 /metrics"],
            &[],
        ),
        Row(
            27,
            vec![by_td(2113), by_labels()],
            twice(&[(LABEL, "2113"), ("PATH", "/new/metrics"), ("JOB", "J")]),
            &["10.0.0.1:2113 /metrics", "10.0.0.1:2113 /new/metrics J"],
            &[],
        ),
        Row(
            27,
            vec![by_td(2113), by_labels()],
            twice(&[(LABEL, "2113"), ("JOB", "J")]),
            &["10.0.0.1:2113 /metrics"],
            &[],
        ),
        Row(
            28,
            vec![by_service("retail", &[2112]).job("service"), by_definition("retail", &[2112]).job("definition")],
            in_service("ecs-svc/1", &[(2112, 2112)]),
            &["10.0.0.1:2112 /metrics service"],
            &[],
        ),
        // Once, where the reference has it twice.
        Row(29, vec![by_td(53)], of_fargate("a", &[(53, 53), (53, 53)], &[]), &["10.0.0.1:53 /metrics"], &[]),
        Row(30, vec![by_td(2113)], of_fargate("a", &[(2113, 2113)], &[]), &["10.0.0.1:2113 /metrics"], &[]),
        Row(31, vec![by_td(2113)], on_host("bridge", &[(2113, 2117)]), &["172.168.2.1:2117 /metrics"], &[]),
        Row(32, vec![by_td(2113)], on_host("", &[(2113, 2117)]), &["172.168.2.1:2117 /metrics"], &[]),
        Row(33, vec![by_td(2113)], on_host("host", &[]), &["172.168.2.1:2113 /metrics"], &[]),
        Row(
            34,
            vec![by_td(2113)],
            on_host("none", &[]),
            &[],
            &["address: private ip not found: network mode none cannot be reached"],
        ),
        Row(
            35,
            vec![by_td(2113)],
            on_host("awsvpc", &[]),
            &[],
            &["address: private ip not found: the task has no network interface with an address yet"],
        ),
        Row(
            36,
            vec![by_definition("a:4", &[2113])],
            without_host("FARGATE"),
            &[],
            &["address: private ip not found: EC2 info not found for the host (launch type \"FARGATE\")"],
        ),
        Row(
            36,
            vec![by_definition("a:4", &[2113])],
            without_host("EXTERNAL"),
            &[],
            &["address: private ip not found: EC2 info not found for the host (launch type \"EXTERNAL\")"],
        ),
        Row(
            37,
            vec![by_definition("a:4", &[2112, 404, 2114])],
            three_ports(&["1"], &[]),
            &["172.168.2.1:32112 /metrics", "172.168.2.1:32114 /metrics"],
            &["port: mapped port not found: container port 404 (network mode bridge)"],
        ),
        Row(
            38,
            vec![by_definition("a:4", &[1, 2, 3]), by_label(LABEL, None, None)],
            three_ports(&["1", "2"], &[(LABEL, "x")]),
            &[],
            &[
                "port_label: docker label ECS_PROMETHEUS_EXPORTER_PORT is \"x\", which is not a port number",
                "port: mapped port not found: container port 1 (network mode bridge)",
                "port: mapped port not found: container port 2 (network mode bridge)",
                "port: mapped port not found: container port 3 (network mode bridge)",
                "port_label: docker label ECS_PROMETHEUS_EXPORTER_PORT is \"x\", which is not a port number",
                "port: mapped port not found: container port 1 (network mode bridge)",
                "port: mapped port not found: container port 2 (network mode bridge)",
                "port: mapped port not found: container port 3 (network mode bridge)",
            ],
        ),
        // Both sides of the deployment with their service, and the container port where there is no host port.
        Row(
            49,
            vec![by_service("web", &[2112, 8080]), by_label("PORT", Some("MPATH"), Some("JOB"))],
            rolling(),
            &["10.0.0.5:2112 /metrics", "10.0.0.5:8080 /metrics", "10.0.0.6:2112 /metrics", "10.0.0.6:8080 /metrics"],
            &[],
        ),
        Row(50, vec![by_definition("a:4", &[2112])], mapped_twice(), &["10.1.0.1:32768 /metrics"], &[]),
    ]
}

/// Number, the world, and labels of its only target; `None` for those that must not be there.
type LabelRow = (u8, World, Option<&'static str>, &'static [(&'static str, Option<&'static str>)]);

fn label_rows() -> Vec<LabelRow> {
    let tagged = |tags: &[(&str, &str)]| {
        let mut world = of_fargate("a", &[(2113, 2113)], &[("ECS_PROMETHEUS_JOB_NAME", "x")]);
        world.tasks[0].tags = pairs(tags);
        world
    };
    let mut host = instance("i-1", "172.168.2.1");
    host.tags = pairs(&[("aws:cloudformation:instance", "c")]);
    vec![
        (39, tagged(&[("a:b", "sanitized")]), None, &[("__meta_ecs_task_tags_a_b", Some("sanitized"))]),
        (
            39,
            on_host("bridge", &[(2113, 2117)]).with_instance("ci1", host),
            None,
            &[("__meta_ecs_ec2_tags_aws_cloudformation_instance", Some("c"))],
        ),
        (40, tagged(&[]), None, &[("__meta_ecs_container_labels_ECS_PROMETHEUS_JOB_NAME", Some("x"))]),
        (
            41,
            tagged(&[]),
            None,
            &[
                ("__meta_ecs_ec2_instance_id", None),
                ("__meta_ecs_ec2_private_ip", None),
                ("__meta_ecs_ec2_vpc_id", None),
            ],
        ),
        (
            41,
            on_host("bridge", &[(2113, 2117)]),
            None,
            &[("__meta_ecs_ec2_instance_id", Some("i-1")), ("__meta_ecs_ec2_public_ip", None)],
        ),
        (42, tagged(&[]), None, &[("__meta_ecs_health_status", Some(""))]),
        (43, tagged(&[]), None, &[("job", None), ("prometheus_job", None)]),
        (43, tagged(&[]), Some("prometheus_job"), &[("job", None), ("prometheus_job", Some("J"))]),
        (43, tagged(&[]), Some("job"), &[("job", Some("J")), ("prometheus_job", None)]),
        (44, tagged(&[]), None, &[("__meta_ecs_task_definition_revision", Some("4"))]),
        (
            50,
            mapped_twice(),
            None,
            &[
                ("__meta_ecs_task_group", Some("")),
                ("__meta_ecs_task_started_by", Some("")),
                ("__meta_ecs_ec2_public_ip", None),
                ("__meta_ecs_ec2_vpc_id", None),
                ("__meta_ecs_ec2_subnet_id", None),
                ("__meta_ecs_ec2_tags_aws_x", Some("1")),
            ],
        ),
    ]
}

#[test]
fn every_vector_has_a_row_or_a_test() {
    for (number, test, file) in ELSEWHERE {
        assert!(file.contains(&format!("fn {test}()")), "{number}: no test {test}");
    }
    let elsewhere = ELSEWHERE.iter().map(|(number, ..)| *number);
    let rows = rows().into_iter().map(|row| row.0).chain(label_rows().into_iter().map(|row| row.0));
    let all: Vec<u8> = elsewhere.chain(rows).collect();
    let missing: Vec<u8> = (1..=52).filter(|number| !all.contains(number)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    assert!(all.iter().all(|number| (1..=52).contains(number)), "{all:?}");
}

#[test]
fn containers_become_targets_as_specified() {
    for Row(number, matchers, world, targets, problems) in rows() {
        let found = discover(&world, &rules(matchers));
        assert_eq!(found.brief(), targets, "{number}");
        assert_eq!(found.problems(), problems, "{number}");
    }
}

#[test]
fn targets_are_labelled_as_specified() {
    for (number, world, job_label, expected) in label_rows() {
        let mut rules = rules(vec![by_definition("a:4", &[2112, 2113])]);
        if let Some(label) = job_label {
            rules.matchers[0].job = "J".to_owned();
            rules.dialect = Dialect::Observer { job_label: label.to_owned() };
        }
        let found: Discovery = discover(&world, &rules);
        let [target] = found.targets()[..] else { panic!("{number}: {:?}", found.problems()) };
        for (name, value) in expected {
            assert_eq!(target.labels.get(*name).map(String::as_str), *value, "{number} {name}");
        }
    }
}

/// A Fargate task of a definition with one container.
fn of_fargate(family: &str, ports: &[(i32, i32)], labels: &[(&str, &str)]) -> World {
    let definition = definition(family, "awsvpc", vec![container("app", ports, labels)]);
    world(vec![fargate("1", family, "10.0.0.1")], vec![definition])
}

/// The same, of a service if something started it.
fn in_service(started_by: &str, ports: &[(i32, i32)]) -> World {
    let mut world = of_fargate("retail", ports, &[]).with_starters(&[("ecs-svc/1", "retail-api")]);
    world.tasks[0].started_by = started_by.to_owned();
    world
}

/// A task on an EC2 instance with container port 2113 and these bindings.
fn on_host(mode: &str, bindings: &[(i32, i32)]) -> World {
    let task = on_ec2("1", "a", "ci1", vec![running("app", bindings)]);
    world(vec![task], vec![one_port(mode)]).with_instance("ci1", instance("i-1", "172.168.2.1"))
}

fn one_port(mode: &str) -> Definition {
    definition("a", mode, vec![container("app", &[(2113, 2113)], &[])])
}

fn without_host(launch_type: &str) -> World {
    let task = Task { launch_type: launch_type.to_owned(), ..fargate("1", "a", "") };
    world(vec![task], vec![one_port("bridge")])
}

/// Bridge tasks that declare six ports and bind two of them.
fn three_ports(ids: &[&str], labels: &[(&str, &str)]) -> World {
    let bound = || vec![running("app", &[(2112, 32112), (2114, 32114)])];
    let tasks = ids.iter().map(|id| on_ec2(id, "a", "ci1", bound())).collect();
    let ports = [(2112, 0), (404, 0), (2114, 0), (1, 0), (2, 0), (3, 0)];
    let definition = definition("a", "bridge", vec![container("app", &ports, labels)]);
    world(tasks, vec![definition]).with_instance("ci1", instance("i-1", "172.168.2.1"))
}

fn rolling() -> World {
    let labels = [("JOB", "jj"), ("PORT", "2112"), ("x.y/z", "1")];
    let started = |id: &str, ip: &str, by: &str| Task { started_by: by.to_owned(), ..fargate(id, "web", ip) };
    let definition = definition("web", "awsvpc", vec![container("app", &[(2112, 2112), (8080, 0)], &labels)]);
    world(vec![started("1", "10.0.0.5", "ecs-svc/1"), started("2", "10.0.0.6", "ecs-svc/2")], vec![definition])
        .with_starters(&[("ecs-svc/1", "web"), ("ecs-svc/2", "web")])
}

fn mapped_twice() -> World {
    let task = on_ec2("1", "a", "ci1", vec![running("app", &[(2112, 32768)])]);
    let definition = definition("a", "", vec![container("app", &[(2112, 0), (2112, 0)], &[])]);
    let host = Instance { tags: pairs(&[("aws:x", "1")]), ..instance("i-1", "10.1.0.1") };
    world(vec![task], vec![definition]).with_instance("ci1", host)
}
