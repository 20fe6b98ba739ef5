//! The settings of both front ends: defaults, what is refused and with which words.

use std::sync::Arc;
use std::time::Duration;

use config::{Built, Node, Severity, has_errors, parse_yaml};
use proto::BuildContext;

use crate::ecs_observer::config::Settings;
use crate::ecs_observer::matcher::{Dialect, Select};
use crate::ecs_observer::{cloudwatch_agent, config as observer};

fn context(variables: &'static [(&str, &str)]) -> BuildContext {
    let find = |name: &str| variables.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
    BuildContext { env: Arc::new(find), ..BuildContext::for_test("ecs_observer") }
}

const REGION: &[(&str, &str)] = &[("AWS_REGION", "us-west-2")];
const ON_ECS: &[(&str, &str)] = &[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/1")];

type Build = fn(&Node, &BuildContext) -> Built<Settings>;

fn build(build: Build, text: &str, context: &BuildContext) -> (Option<Settings>, Vec<String>) {
    let (node, found) = parse_yaml("test.yaml", text);
    assert!(!has_errors(&found), "{found:?}");
    let (settings, problems) = build(&node.unwrap(), context);
    let line = |d: &config::Diagnostic| {
        let position = d.span.as_ref().map_or(0, |s| s.start.line);
        let warning = if d.severity == Severity::Warning { "warning: " } else { "" };
        format!("{position}: {warning}{}", d.message)
    };
    (settings, problems.iter().map(line).collect())
}

#[track_caller]
fn good(front_end: Build, text: &str, context: &BuildContext) -> Settings {
    let (settings, problems) = build(front_end, text, context);
    assert_eq!(problems, [""; 0]);
    settings.unwrap()
}

#[test]
fn an_empty_section_has_the_documented_defaults() {
    let settings = good(observer::build, "{}", &context(REGION));
    assert_eq!(settings.cluster, None);
    assert_eq!(settings.fallback_cluster.as_deref(), Some("default"));
    assert_eq!(settings.region.as_deref(), Some("us-west-2"));
    assert_eq!(settings.refresh_interval, Duration::from_secs(30));
    assert_eq!(settings.result_file, "/etc/ecs_sd_targets.yaml");
    assert_eq!(settings.rules.dialect, Dialect::Observer { job_label: "prometheus_job".to_owned() });
    let [matcher] = &settings.rules.matchers[..] else { panic!("{:?}", settings.rules) };
    assert!(matches!(&matcher.select, Select::DockerLabel { port, path: None, job: None }
        if port == "ECS_PROMETHEUS_EXPORTER_PORT"));
    // Nothing at all is an empty section.
    good(observer::build, "", &context(REGION));
}

#[test]
fn matchers_are_in_order_of_precedence_and_the_default_one_can_be_replaced() {
    let text = "
task_definitions: [{arn_pattern: td, metrics_ports: [1], job_name: j, metrics_path: /p, container_name_pattern: c}]
services: [{name_pattern: s1, metrics_ports: [1, 2]}, {name_pattern: s2, metrics_ports: [3]}]
docker_labels: [{port_label: P, job_name_label: J, metrics_path_label: M}]
";
    let kinds = |text| -> Vec<&str> {
        let settings = good(observer::build, text, &context(REGION));
        settings.rules.matchers.iter().map(|m| m.select.kind()).collect()
    };
    assert_eq!(kinds(text), ["service", "service", "task_definition", "docker_label"]);
    assert_eq!(kinds("services: [{name_pattern: s1, metrics_ports: [1]}]"), ["service", "docker_label"]);
    assert_eq!(kinds("services: [{name_pattern: s1, metrics_ports: [1]}]\ndocker_labels: []"), ["service"]);
    let settings = good(observer::build, text, &context(REGION));
    let td = &settings.rules.matchers[2];
    assert_eq!((td.job.as_str(), td.path.as_str(), &td.ports[..]), ("j", "/p", &[1][..]));
    assert!(td.container.as_ref().unwrap().is_match("abc"));
}

#[test]
fn wrong_settings_are_refused_with_their_place() {
    for (text, expected) in [
        ("cluster_name: \"\"", &["1: must specify ECS cluster name directly"][..]),
        ("refresh_interval: 0s", &["1: refresh_interval must be positive"]),
        ("refresh_interval: -5s", &["1: refresh_interval must be positive"]),
        ("result_file: \"\"", &["1: result_file is empty"]),
        ("job_label_name: \"\"", &["1: job_label_name is empty"]),
        ("services: [{metrics_ports: [1]}]", &["1: name_pattern is empty"]),
        ("task_definitions:\n- metrics_ports: [1]", &["2: arn_pattern is empty"]),
        ("docker_labels: [{}]", &["1: port_label is empty"]),
        (
            "services: [{name_pattern: \"*\", metrics_ports: [1]}]",
            &["1: invalid name pattern \"*\": error parsing regexp: missing argument to repetition operator: `*`"],
        ),
        (
            "task_definitions: [{arn_pattern: \"*\", metrics_ports: [1]}]",
            &["1: invalid arn pattern \"*\": error parsing regexp: missing argument to repetition operator: `*`"],
        ),
        (
            "services: [{name_pattern: a, container_name_pattern: \"*\", metrics_ports: [1]}]",
            &[
                "1: invalid container name pattern \"*\": error parsing regexp: missing argument to repetition operator: `*`",
            ],
        ),
        ("services: [{name_pattern: a, metrics_ports: [8080, 8080]}]", &["1: metrics_ports has duplicated port 8080"]),
        (
            "services: [{name_pattern: a, metrics_ports: [0, 65536]}]",
            &[
                "1: metrics_ports has 0, which is not a port (1 to 65535)",
                "1: metrics_ports has 65536, which is not a port (1 to 65535)",
            ],
        ),
        (
            "docker_labels: [{port_label: P, metrics_ports: [8080]}]",
            &["1: metrics_ports is not supported in docker_labels, got [8080]"],
        ),
        ("docker_labels: []", &["1: no matcher specified in config"]),
        (
            "docker_labels: [{port_label: P, metrics_path: /x}]",
            &["1: warning: metrics_path has no effect in docker_labels"],
        ),
        ("services: [{name_pattern: a}]", &["1: warning: metrics_ports is empty, so this matcher finds no targets"]),
        // All of them in one run.
        (
            "cluster_name: \"\"\nservices:\n- {name_pattern: \"(\", metrics_ports: [1]}\ntask_definitions:\n- {}",
            &[
                "1: must specify ECS cluster name directly",
                "3: invalid name pattern \"(\": error parsing regexp: missing closing ): `(`",
                "5: arn_pattern is empty",
                "5: warning: metrics_ports is empty, so this matcher finds no targets",
            ],
        ),
    ] {
        assert_eq!(build(observer::build, text, &context(REGION)).1, expected, "{text}");
    }
    let (_, problems) = build(observer::build, "clustername: x\nservices: [{name_patern: x}]", &context(REGION));
    assert!(problems.iter().any(|p| p.starts_with("1: ") && p.contains("clustername")), "{problems:?}");
    assert!(problems.iter().any(|p| p.starts_with("2: ") && p.contains("name_patern")), "{problems:?}");
}

#[test]
fn the_region_comes_from_settings_environment_arn_or_metadata() {
    let region = |text, variables| good(observer::build, text, &context(variables)).region;
    assert_eq!(region("cluster_region: eu-west-1", REGION).as_deref(), Some("eu-west-1"));
    assert_eq!(region("{}", &[("AWS_DEFAULT_REGION", "eu-west-2")]).as_deref(), Some("eu-west-2"));
    let arn = "cluster_name: \"arn:aws:ecs:eu-west-3:1:cluster/prod\"";
    assert_eq!(region(arn, &[]).as_deref(), Some("eu-west-3"));
    assert_eq!(region("{}", ON_ECS), None, "the metadata endpoint will tell");
    let (_, problems) = build(observer::build, "{}", &context(&[]));
    assert_eq!(problems, ["1: missing aws region for task fetcher"]);
    let dry = BuildContext { dry_run: true, ..context(&[]) };
    assert_eq!(build(observer::build, "{}", &dry).1, ["1: warning: missing aws region for task fetcher"]);
}

#[test]
fn the_agents_settings_have_its_defaults_and_precedence() {
    let text = "
docker_label: {}
task_definition_list:
- {sd_task_definition_arn_pattern: td, sd_metrics_ports: '9404; 9406', sd_metrics_path: /p, sd_job_name: j}
service_name_list_for_tasks:
- {sd_service_name_pattern: s, sd_metrics_ports: '9113', sd_container_name_pattern: ^envoy$}
";
    let settings = good(cloudwatch_agent::build, text, &context(ON_ECS));
    assert_eq!(settings.refresh_interval, Duration::from_secs(60));
    assert_eq!(settings.result_file, "/tmp/cwagent_ecs_auto_sd.yaml");
    assert_eq!((settings.cluster, settings.region, settings.fallback_cluster), (None, None, None));
    assert_eq!(settings.rules.dialect, Dialect::CloudWatchAgent);
    let kinds: Vec<_> = settings.rules.matchers.iter().map(|m| m.select.kind()).collect();
    assert_eq!(kinds, ["service", "docker_label", "task_definition"]);
    let [service, label, definition] = &settings.rules.matchers[..] else { unreachable!() };
    assert!(!service.container.as_ref().unwrap().is_match("envoy_test"));
    assert!(matches!(&label.select, Select::DockerLabel { port, path: Some(path), job: Some(job) }
        if port == "ECS_PROMETHEUS_EXPORTER_PORT" && path == "ECS_PROMETHEUS_METRICS_PATH" && job == "job"));
    assert_eq!(definition.ports, [9404, 9406]);
    // Each default applies for itself.
    let partly = good(cloudwatch_agent::build, "docker_label: {sd_job_name_label: other}", &context(ON_ECS));
    assert!(matches!(&partly.rules.matchers[0].select, Select::DockerLabel { path: Some(_), job: Some(job), .. }
        if job == "other"));
}

#[test]
fn wrong_settings_of_the_agent_are_refused_in_its_words() {
    let ports_rule = r"sd_metrics_ports does not follow pattern: ^[1-9][0-9]{0,4}(;[\s]*[1-9][0-9]{0,4})*$";
    let ports = |list: &str| {
        format!("task_definition_list: [{{sd_task_definition_arn_pattern: a, sd_metrics_ports: '{list}'}}]")
    };
    let at = |line: usize, text: &str| vec![format!("{line}: {text}")];
    let mut cases = vec![
        ("{}".to_owned(), at(1, "no kind of discovery is configured")),
        (
            "task_definition_list: [{sd_metrics_ports: '1'}]".to_owned(),
            at(1, "sd_task_definition_arn_pattern is not defined."),
        ),
        (
            "service_name_list_for_tasks: [{sd_metrics_ports: '1'}]".to_owned(),
            at(1, "sd_service_name_pattern is not defined."),
        ),
        (
            "service_name_list_for_tasks: [{sd_service_name_pattern: a}]".to_owned(),
            at(1, "mandatory key: sd_metrics_ports is not defined."),
        ),
        ("docker_label: {}\nsd_frequency: 0s".to_owned(), at(2, "sd_frequency must be positive")),
        ("docker_label: {}\nsd_frequency: 500ms".to_owned(), at(2, "sd_frequency is less than 1s")),
        ("docker_label: {}\nsd_frequency: 5s".to_owned(), at(2, "warning: sd_frequency is less than 15s")),
        ("docker_label: {}\nsd_result_file: ''".to_owned(), at(2, "sd_result_file is empty")),
        ("docker_label: {sd_port_label: ''}".to_owned(), at(1, "sd_port_label is empty")),
        (
            "task_definition_list: [{sd_task_definition_arn_pattern: '*memcached.*', sd_metrics_ports: '1'}]"
                .to_owned(),
            at(
                1,
                "invalid task definition arn pattern \"*memcached.*\": \
                 error parsing regexp: missing argument to repetition operator: `*`",
            ),
        ),
        (ports("99999"), at(1, "sd_metrics_ports has 99999, which is not a port (1 to 65535)")),
    ];
    for list in ["9404;", "9404 ;9406", " 9404", "0", "09404", "123456", "a", "9404,9406", "9404;;9406"] {
        cases.push((ports(list), at(1, ports_rule)));
    }
    for (text, expected) in cases {
        assert_eq!(build(cloudwatch_agent::build, &text, &context(ON_ECS)).1, expected, "{text}");
    }
    let (_, problems) = build(cloudwatch_agent::build, "docker_label: {}", &context(&[]));
    assert_eq!(problems, ["1: ECS Target Cluster Name is not defined", "1: ECS Cluster Region is not defined"]);
    let (_, problems) = build(cloudwatch_agent::build, "docker_label: {sd_prot_label: x}", &context(ON_ECS));
    assert!(problems[0].contains("sd_prot_label"), "{problems:?}");
}
