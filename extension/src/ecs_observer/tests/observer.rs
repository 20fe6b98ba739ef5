//! `ecs_observer`'s rules on hand-made worlds.

use super::worlds::*;
use crate::ecs_observer::matcher::Dialect;
use crate::ecs_observer::targets::{Memory, discover};
use crate::ecs_observer::world::{Binding, Lookup, Services};

const LABEL: &str = "ECS_PROMETHEUS_EXPORTER_PORT";

/// The labels of the only target.
#[track_caller]
fn labels(found: &crate::ecs_observer::targets::Discovery) -> Vec<(&str, &str)> {
    let targets = found.targets();
    assert_eq!(targets.len(), 1, "{:?}", found.problems());
    targets[0].labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

#[track_caller]
fn label(found: &crate::ecs_observer::targets::Discovery, name: &str) -> Option<String> {
    labels(found).into_iter().find(|(k, _)| *k == name).map(|(_, v)| v.to_owned())
}

#[test]
fn service_matchers_take_tasks_by_deployment_or_by_group() {
    let app = || container("app", &[(2112, 2112), (8080, 8080)], &[]);
    let mut of_deployment = fargate("1", "web", "10.0.0.1");
    of_deployment.started_by = "ecs-svc/1".to_owned();
    let mut of_group = fargate("2", "web", "10.0.0.2");
    of_group.started_by = "ecs-svc/77".to_owned();
    of_group.group = "service:retail-api".to_owned();
    let mut run_by_hand = fargate("3", "web", "10.0.0.3");
    run_by_hand.group = "service:retail-api".to_owned();
    let mut of_other = fargate("4", "web", "10.0.0.4");
    of_other.started_by = "ecs-svc/4".to_owned();
    let world =
        world(vec![of_deployment, of_group, run_by_hand, of_other], vec![definition("web", "awsvpc", vec![app()])])
            .with_starters(&[("ecs-svc/1", "retail-api"), ("ecs-svc/4", "wholesale")]);
    let found = check(
        &world,
        &rules(vec![by_service("^retail-.*$", &[2112])]),
        &["10.0.0.1:2112 /metrics", "10.0.0.2:2112 /metrics"],
    );
    assert!(found.targets().iter().all(|t| t.labels["__meta_ecs_service_name"] == "retail-api"));
    // The same tasks found by definition carry no service: no matcher asks for one.
    let found = discover(&world, &rules(vec![by_definition("web", &[2112])]));
    assert!(found.targets().iter().all(|t| !t.labels.contains_key("__meta_ecs_service_name")));
    check(&world, &rules(vec![by_service("^retail-.*$", &[2112]).container("^prom$")]), &[]);
}

#[test]
fn task_definitions_match_anywhere_in_the_arn() {
    let one = |family| definition(family, "awsvpc", vec![container("nginx", &[(9113, 9113), (9090, 9090)], &[])]);
    let world = world(
        vec![fargate("1", "nginx", "10.0.0.1"), fargate("2", "nginx-2", "10.0.0.2")],
        vec![one("nginx"), one("nginx-2")],
    );
    check(
        &world,
        &rules(vec![by_definition(".*:task-definition/nginx:[0-9]+", &[9113, 9090])]),
        &["10.0.0.1:9113 /metrics", "10.0.0.1:9090 /metrics"],
    );
    check(&world, &rules(vec![by_definition("nginx", &[12345])]), &[]);
}

#[test]
fn docker_labels_give_port_path_and_job() {
    let with = |labels: &[(&str, &str)], ports: &[(i32, i32)]| {
        world(vec![fargate("1", "a", "10.0.0.1")], vec![definition("a", "awsvpc", vec![container("c", ports, labels)])])
    };
    let plain = rules(vec![by_label(LABEL, None, None)]);
    check(&with(&[(LABEL, "2114")], &[(2114, 2114)]), &plain, &["10.0.0.1:2114 /metrics"]);
    let found = check(&with(&[(LABEL, "2114")], &[(2115, 2115)]), &plain, &[]);
    assert_eq!(found.problems(), [""; 0], "a port that is not mapped is silently not matched");
    let full = [(LABEL, "2114"), ("PATH", "/new/metrics"), ("JOB", "PROM_JOB_1")];
    let matcher = || by_label(LABEL, Some("PATH"), Some("JOB"));
    check(&with(&full, &[(2114, 2114)]), &rules(vec![matcher()]), &["10.0.0.1:2114 /new/metrics PROM_JOB_1"]);
    let fixed = rules(vec![matcher().job("override")]);
    check(&with(&full, &[(2114, 2114)]), &fixed, &["10.0.0.1:2114 /new/metrics override"]);
}

#[test]
fn a_bad_port_label_costs_its_container_only() {
    for bad in ["not-a-port", "99999999999", " 2114", "", "-1"] {
        let bad_one = container("bad", &[(2114, 2114)], &[(LABEL, bad)]);
        let good = container("good", &[(2115, 2115)], &[(LABEL, "2115")]);
        let world = world(vec![fargate("1", "a", "10.0.0.1")], vec![definition("a", "awsvpc", vec![bad_one, good])]);
        let found = check(&world, &rules(vec![by_label(LABEL, None, None)]), &["10.0.0.1:2115 /metrics"]);
        let text = format!("port_label: docker label {LABEL} is {bad:?}, which is not a port number");
        assert_eq!(found.problems(), [text]);
        assert_eq!(found.problems[0].container.as_deref(), Some("bad"));
    }
}

#[test]
fn the_first_matcher_keeps_a_port_and_path() {
    let labels = [("PORT", "2113"), ("PATH", "/new/metrics"), ("JOB", "J")];
    let world = world(
        vec![fargate("1", "a", "10.0.0.1")],
        vec![definition("a", "awsvpc", vec![container("c", &[(2113, 2113), (8080, 8080), (9090, 9090)], &labels)])],
    );
    let by_td = |port| by_definition("a:4", &[port]);
    // Services before definitions before labels is the front end's order; here it is the order of the list.
    let found = check(
        &world,
        &rules(vec![by_td(2113).job("first"), by_td(2113).job("second"), by_label("PORT", None, Some("JOB"))]),
        &["10.0.0.1:2113 /metrics first"],
    );
    assert!(found.problems.is_empty());
    check(
        &world,
        &rules(vec![by_td(2113), by_label("PORT", Some("PATH"), Some("JOB"))]),
        &["10.0.0.1:2113 /metrics", "10.0.0.1:2113 /new/metrics J"],
    );
    check(
        &world,
        &rules(vec![by_td(8080).path("/metrics"), by_td(8080).path("/metrics"), by_td(8080).path("/m2"), by_td(9090)]),
        &["10.0.0.1:8080 /metrics", "10.0.0.1:8080 /m2", "10.0.0.1:9090 /metrics"],
    );
    // As the reference does: no path and "/metrics" are two rules, hence two targets.
    check(
        &world,
        &rules(vec![by_td(8080).path("/metrics").job("j"), by_td(8080)]),
        &["10.0.0.1:8080 /metrics j", "10.0.0.1:8080 /metrics"],
    );
}

#[test]
fn a_port_mapped_for_tcp_and_udp_is_one_target() {
    let mut task = on_ec2("1", "dns", "ci1", vec![running("c", &[(53, 32769), (53, 32768)])]);
    task.containers[0].bindings[0].tcp = false;
    let mapped_twice = || container("c", &[(53, 53), (53, 53)], &[]);
    let world = world(
        vec![task, fargate("2", "dns-vpc", "10.0.0.2")],
        vec![definition("dns", "bridge", vec![mapped_twice()]), definition("dns-vpc", "awsvpc", vec![mapped_twice()])],
    )
    .with_instance("ci1", instance("i-1", "10.0.0.1"));
    // The TCP binding is the one that can be scraped.
    check(&world, &rules(vec![by_definition("dns", &[53])]), &["10.0.0.1:32768 /metrics", "10.0.0.2:53 /metrics"]);
}

#[test]
fn every_network_mode_has_its_address() {
    for (mode, expected) in [
        ("awsvpc", "172.168.1.0:2113 /metrics"),
        ("bridge", "172.168.2.1:2117 /metrics"),
        ("", "172.168.2.1:2117 /metrics"),
        ("default", "172.168.2.1:2117 /metrics"),
        ("host", "172.168.2.1:2113 /metrics"),
    ] {
        let mut task = on_ec2("1", "a", "ci1", vec![running("c", &[(2113, 2117)])]);
        task.interface_ipv4 = Some("172.168.1.0".to_owned());
        let world = world(vec![task], vec![definition("a", mode, vec![container("c", &[(2113, 2113)], &[])])])
            .with_instance("ci1", instance("i-1", "172.168.2.1"));
        let found = check(&world, &rules(vec![by_definition("a:4", &[2113])]), &[expected]);
        // The label carries the address in use, also for awsvpc.
        let ip = expected.split(':').next().unwrap();
        assert_eq!(label(&found, "__meta_ecs_ec2_private_ip").as_deref(), Some(ip), "{mode}");
    }
}

#[test]
fn a_missing_host_port_is_the_container_port() {
    for mode in ["awsvpc", "host"] {
        let task = on_ec2("1", "a", "ci1", vec![]);
        let task = crate::ecs_observer::world::Task { interface_ipv4: Some("10.0.0.5".into()), ..task };
        let world = world(vec![task], vec![definition("a", mode, vec![container("c", &[(8080, 0)], &[])])])
            .with_instance("ci1", instance("i-1", "10.0.0.5"));
        check(&world, &rules(vec![by_definition("a:4", &[8080])]), &["10.0.0.5:8080 /metrics"]);
    }
}

#[test]
fn ipv6_addresses_get_brackets_and_ipv4_goes_first() {
    let mut only_v6 = fargate("1", "a", "");
    only_v6.interface_ipv6 = Some("2001:db8::5".to_owned());
    let mut both = fargate("2", "a", "10.0.0.5");
    both.interface_ipv6 = Some("2001:db8::6".to_owned());
    let on_host = on_ec2("3", "b", "ci1", vec![running("c", &[(80, 32768)])]);
    let host = crate::ecs_observer::world::Instance { ipv6: "2001:db8::7".into(), ..instance("i-1", "") };
    let one = |family, mode| definition(family, mode, vec![container("c", &[(80, 80)], &[])]);
    let world =
        world(vec![only_v6, both, on_host], vec![one("a", "awsvpc"), one("b", "bridge")]).with_instance("ci1", host);
    check(
        &world,
        &rules(vec![by_definition(".", &[80])]),
        &["[2001:db8::5]:80 /metrics", "10.0.0.5:80 /metrics", "[2001:db8::7]:32768 /metrics"],
    );
}

#[test]
fn an_ipv4_binding_is_preferred_to_an_ipv6_one() {
    let mut task = on_ec2("1", "a", "ci1", vec![running("c", &[(80, 32769), (80, 32768)])]);
    task.containers[0].bindings[0].ipv6 = true;
    let world = world(vec![task], vec![definition("a", "bridge", vec![container("c", &[(80, 0)], &[])])])
        .with_instance("ci1", instance("i-1", "10.0.0.1"));
    check(&world, &rules(vec![by_definition("a:4", &[80])]), &["10.0.0.1:32768 /metrics"]);
}

#[test]
fn a_port_inside_a_mapped_range_is_found() {
    let mut bridged = on_ec2("1", "a", "ci1", vec![running("c", &[])]);
    let binding = Binding { container_ports: 9000..=9010, first_host_port: 40000, tcp: true, ipv6: false };
    bridged.containers[0].bindings.push(binding);
    let mut range = container("c", &[(1, 1)], &[]);
    range.ports[0].container_ports = 9000..=9010;
    range.ports[0].host_port = None;
    let world = world(
        vec![bridged, fargate("2", "b", "10.0.0.2")],
        vec![definition("a", "bridge", vec![range.clone()]), definition("b", "awsvpc", vec![range])],
    )
    .with_instance("ci1", instance("i-1", "10.0.0.1"));
    check(&world, &rules(vec![by_definition(".", &[9003])]), &["10.0.0.1:40003 /metrics", "10.0.0.2:9003 /metrics"]);
}

#[test]
fn a_task_without_address_is_reported_and_its_neighbours_stay() {
    let one = |family, mode| definition(family, mode, vec![container("c", &[(1, 1)], &[])]);
    let bridge_on = |launch_type: &str| {
        let mut task = fargate(launch_type, "bridge", "");
        task.launch_type = launch_type.to_owned();
        task
    };
    let tasks = vec![
        fargate("none", "none", "10.0.0.1"),
        fargate("no-eni", "vpc", ""),
        bridge_on("FARGATE"),
        bridge_on("EXTERNAL"),
        on_ec2("gone", "bridge", "ci-unknown", vec![]),
        fargate("good", "vpc", "10.0.0.9"),
    ];
    let world = world(tasks, vec![one("none", "none"), one("vpc", "awsvpc"), one("bridge", "bridge")]);
    let found = check(&world, &rules(vec![by_definition(".", &[1])]), &["10.0.0.9:1 /metrics"]);
    let no_ec2 = |launch_type: &str| {
        format!("address: private ip not found: EC2 info not found for the host (launch type {launch_type:?})")
    };
    assert_eq!(
        found.problems(),
        [
            "address: private ip not found: network mode none cannot be reached".to_owned(),
            "address: private ip not found: the task has no network interface with an address yet".to_owned(),
            no_ec2("FARGATE"),
            no_ec2("EXTERNAL"),
            no_ec2("EC2"),
        ]
    );
}

#[test]
fn a_port_without_binding_costs_itself() {
    let task = on_ec2("1", "a", "ci1", vec![running("c", &[(2112, 32112), (2114, 32114)])]);
    let ports = [(2112, 0), (404, 0), (2114, 0)];
    let world = world(vec![task], vec![definition("a", "bridge", vec![container("c", &ports, &[])])])
        .with_instance("ci1", instance("i-1", "10.0.0.1"));
    let found = check(
        &world,
        &rules(vec![by_definition("a:4", &[2112, 404, 2114])]),
        &["10.0.0.1:32112 /metrics", "10.0.0.1:32114 /metrics"],
    );
    assert_eq!(found.problems(), ["port: mapped port not found: container port 404 (network mode bridge)"]);
}

#[test]
fn a_managed_instance_gives_the_address_where_the_task_has_none() {
    let managed = |id, family, ip| {
        let mut task = on_ec2(id, family, "ci1", vec![]);
        task.launch_type = "MANAGED_INSTANCES".to_owned();
        task.interface_ipv4 = Some(ip).filter(|ip: &&str| !ip.is_empty()).map(str::to_owned);
        task
    };
    let one = |family, mode| definition(family, mode, vec![container("c", &[(1, 1)], &[])]);
    let world = world(
        vec![managed("1", "host", ""), managed("2", "vpc", "10.0.0.2")],
        vec![one("host", "host"), one("vpc", "awsvpc")],
    )
    .with_instance("ci1", instance("i-1", "10.0.0.1"));
    let found = check(&world, &rules(vec![by_definition(".", &[1])]), &["10.0.0.1:1 /metrics", "10.0.0.2:1 /metrics"]);
    let has_instance = |i: usize| found.targets()[i].labels.contains_key("__meta_ecs_ec2_instance_id");
    assert!(has_instance(0));
    assert!(!has_instance(1), "where the reference finds the address, the labels are the reference's");
}

#[test]
fn every_label_is_written() {
    let mut task = on_ec2("b1", "web", "ci1", vec![running("nginx", &[(9113, 32768)])]);
    task.group = "service:web-service".to_owned();
    task.started_by = "ecs-svc/11".to_owned();
    task.health_status = "HEALTHY".to_owned();
    task.tags = pairs(&[("a:b", "sanitized"), ("empty", "")]);
    let docker_labels = [("ECS_PROMETHEUS_JOB_NAME", "x"), ("x.y/z", "1"), ("ünï", "u")];
    let mut host = instance("i-1", "10.0.0.1");
    host.instance_type = "t3.small".to_owned();
    host.vpc_id = "vpc-1".to_owned();
    host.subnet_id = "subnet-1".to_owned();
    host.public_ip = "54.0.0.1".to_owned();
    host.tags = pairs(&[("aws:cloudformation:instance", "c"), ("aws.cloudformation.instance", "b")]);
    let world =
        world(vec![task], vec![definition("web", "bridge", vec![container("nginx", &[(9113, 0)], &docker_labels)])])
            .with_instance("ci1", host);
    let found = discover(&world, &rules(vec![by_service("web", &[9113]).path("/m").job("J")]));
    assert_eq!(
        labels(&found),
        [
            ("__meta_ecs_cluster_name", "prod"),
            ("__meta_ecs_container_labels_ECS_PROMETHEUS_JOB_NAME", "x"),
            ("__meta_ecs_container_labels__n_", "u"),
            ("__meta_ecs_container_labels_x_y_z", "1"),
            ("__meta_ecs_container_name", "nginx"),
            ("__meta_ecs_ec2_instance_id", "i-1"),
            ("__meta_ecs_ec2_instance_type", "t3.small"),
            ("__meta_ecs_ec2_private_ip", "10.0.0.1"),
            ("__meta_ecs_ec2_public_ip", "54.0.0.1"),
            ("__meta_ecs_ec2_subnet_id", "subnet-1"),
            // Of two tags that become one name, the first in byte order.
            ("__meta_ecs_ec2_tags_aws_cloudformation_instance", "b"),
            ("__meta_ecs_ec2_vpc_id", "vpc-1"),
            ("__meta_ecs_health_status", "HEALTHY"),
            ("__meta_ecs_service_name", "web-service"),
            ("__meta_ecs_source", "arn:aws:ecs:us-west-2:123456789012:task/prod/b1"),
            ("__meta_ecs_task_definition_family", "web"),
            ("__meta_ecs_task_definition_revision", "4"),
            ("__meta_ecs_task_group", "service:web-service"),
            ("__meta_ecs_task_launch_type", "EC2"),
            ("__meta_ecs_task_started_by", "ecs-svc/11"),
            ("__meta_ecs_task_tags_a_b", "sanitized"),
            ("__meta_ecs_task_tags_empty", ""),
            ("__metrics_path__", "/m"),
            ("prometheus_job", "J"),
        ]
    );
}

#[test]
fn an_empty_fargate_task_has_its_labels_but_none_of_ec2() {
    let world = world(
        vec![fargate("1", "a", "10.0.0.1")],
        vec![definition("a", "awsvpc", vec![container("c", &[(1, 1)], &[])])],
    );
    let mut rules = rules(vec![by_definition("a:4", &[1])]);
    let found = discover(&world, &rules);
    assert_eq!(label(&found, "__meta_ecs_health_status").as_deref(), Some(""));
    assert_eq!(label(&found, "__meta_ecs_task_group").as_deref(), Some(""));
    assert!(labels(&found).iter().all(|(k, _)| !k.contains("ec2") && !k.contains("job") && !k.contains("service")));
    rules.matchers[0].job = "J".to_owned();
    rules.dialect = Dialect::Observer { job_label: "job".to_owned() };
    let found = discover(&world, &rules);
    assert_eq!(label(&found, "job").as_deref(), Some("J"));
}

#[test]
fn a_rolling_deployment_keeps_the_tasks_of_both_sides() {
    let started_by = |id: &str, ip: &str, by: &str| {
        let mut task = fargate(id, "web", ip);
        task.started_by = by.to_owned();
        task
    };
    let labels = [("JOB", "jj"), ("PORT", "2112"), ("x.y/z", "1")];
    let world = world(
        vec![started_by("1", "10.0.0.5", "ecs-svc/1"), started_by("2", "10.0.0.6", "ecs-svc/2")],
        vec![definition("web", "awsvpc", vec![container("app", &[(2112, 2112), (8080, 0)], &labels)])],
    )
    .with_starters(&[("ecs-svc/1", "web"), ("ecs-svc/2", "web")]);
    let rules = rules(vec![by_service("web", &[2112, 8080]), by_label("PORT", Some("MPATH"), Some("JOB"))]);
    let found = check(
        &world,
        &rules,
        &["10.0.0.5:2112 /metrics", "10.0.0.5:8080 /metrics", "10.0.0.6:2112 /metrics", "10.0.0.6:8080 /metrics"],
    );
    assert!(found.targets().iter().all(|t| t.labels["__meta_ecs_container_labels_x_y_z"] == "1"));
}

#[test]
fn what_could_not_be_read_keeps_the_targets_of_its_task_only() {
    let one = |family| definition(family, "awsvpc", vec![container("c", &[(1, 1)], &[])]);
    let tasks = || vec![fargate("1", "a", "10.0.0.1"), fargate("2", "b", "10.0.0.2"), fargate("3", "c", "10.0.0.3")];
    let rules = rules(vec![by_definition(".", &[1])]);
    let addresses = |targets: Vec<crate::ecs_observer::targets::Target>| -> Vec<String> {
        targets.into_iter().map(|t| t.address).collect()
    };
    let mut memory = Memory::default();
    let good = world(tasks(), vec![one("a"), one("b"), one("c")]);
    assert_eq!(addresses(memory.merge(discover(&good, &rules).tasks)), ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    // Task 1 is gone, definition b cannot be read, definition c does not exist any more.
    let mut bad = world(tasks()[1..].to_vec(), vec![one("b"), one("c")]);
    bad.definitions.insert(format!("{ARN}:task-definition/b:4"), Lookup::Failed("throttled".to_owned()));
    bad.definitions.insert(format!("{ARN}:task-definition/c:4"), Lookup::Missing("deleted".to_owned()));
    let found = discover(&bad, &rules);
    assert_eq!(found.problems().len(), 2, "{:?}", found.problems());
    assert_eq!(addresses(memory.merge(found.tasks)), ["10.0.0.2:1"]);
    // An empty cluster has no targets.
    assert!(memory.merge(discover(&world(vec![], vec![]), &rules).tasks).is_empty());
    // Nothing is remembered of a task that was gone.
    assert!(memory.merge(discover(&bad, &rules).tasks).is_empty());
}

#[test]
fn an_unreadable_host_keeps_what_was_known_and_else_gives_what_needs_no_host() {
    let on_host = on_ec2("1", "bridge", "ci1", vec![running("c", &[(1, 32768)])]);
    let mut own_address = on_ec2("2", "vpc", "ci1", vec![]);
    own_address.interface_ipv4 = Some("10.0.0.2".to_owned());
    let one = |family, mode| definition(family, mode, vec![container("c", &[(1, 1)], &[])]);
    let world = |tasks| world(tasks, vec![one("bridge", "bridge"), one("vpc", "awsvpc")]);
    let tasks = vec![on_host, own_address];
    let rules = rules(vec![by_definition(".", &[1])]);
    let mut failing = world(tasks.clone());
    failing.instances.insert("ci1".to_owned(), Lookup::Failed("access denied".to_owned()));

    let mut memory = Memory::default();
    let first = memory.merge(discover(&failing, &rules).tasks);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].address, "10.0.0.2:1");
    let good = memory.merge(discover(&world(tasks).with_instance("ci1", instance("i-1", "10.0.0.1")), &rules).tasks);
    assert_eq!(good.len(), 2);
    assert_eq!(memory.merge(discover(&failing, &rules).tasks), good, "the complete answers stay");
}

#[test]
fn unreadable_services_keep_the_targets_of_tasks_that_need_them() {
    let mut of_service = fargate("1", "web", "10.0.0.1");
    of_service.started_by = "ecs-svc/1".to_owned();
    let mut of_group = fargate("2", "web", "10.0.0.2");
    of_group.started_by = "ecs-svc/2".to_owned();
    of_group.group = "service:web".to_owned();
    let world = || {
        let one = definition("web", "awsvpc", vec![container("c", &[(1, 1)], &[])]);
        world(vec![of_service.clone(), of_group.clone()], vec![one])
    };
    let rules = rules(vec![by_service("web", &[1])]);
    let mut memory = Memory::default();
    let good = memory.merge(discover(&world().with_starters(&[("ecs-svc/1", "web")]), &rules).tasks);
    assert_eq!(good.len(), 2);
    let mut failing = world();
    failing.services = Services::Failed("access denied".to_owned());
    let found = discover(&failing, &rules);
    assert_eq!(found.problems(), ["service: access denied"]);
    assert_eq!(memory.merge(found.tasks), good);
}
