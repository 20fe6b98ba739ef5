//! The agent's configuration vectors: what each JSON becomes, and what is said about a wrong one.

use super::*;
use crate::load::{Sources, load_tree};
use crate::render;

type Vars = [(&'static str, &'static str)];

const AS_PRINTED: &str = include_str!("../../../tests/golden/cloudwatch_agent/cwagent-as-printed.json");
const GUIDE: &str = include_str!("../../../tests/golden/cloudwatch_agent/cwagent.json");
const SCRAPE: &str = include_str!("../../../tests/golden/cloudwatch_agent/prometheus.yaml");

fn ecs() -> Platform {
    let task = EcsTask { cluster: "real".into(), region: "us-west-2".into() };
    Platform { container: true, task: Some(task), ..host() }
}

fn host() -> Platform {
    Platform { host_name: Some("h".into()), ..Platform::default() }
}

fn eks() -> Platform {
    Platform { container: true, ..host() }
}

/// Translates text and gives the tree, and every problem as a line.
fn translated(texts: &[&str], platform: &Platform) -> (Option<Node>, String) {
    let sources: Vec<_> = texts.iter().enumerate().map(|(i, text)| (format!("{i}.json"), (*text).to_owned())).collect();
    let env: &Vars = &[("PROMETHEUS_CONFIG_CONTENT", SCRAPE)];
    let (translation, found) = translate_tree(&sources, platform, &env);
    (translation.map(|translation| translation.root), found.iter().map(|d| format!("{d}\n")).collect())
}

/// A configuration whose `prometheus` has these keys beside the scrape configuration.
fn config(keys: &str) -> String {
    let path = "\"prometheus_config_path\":\"env:PROMETHEUS_CONFIG_CONTENT\"";
    let keys = if keys.is_empty() { path.to_owned() } else { format!("{path},{keys}") };
    format!("{{\"logs\":{{\"metrics_collected\":{{\"prometheus\":{{{keys}}}}}}}}}")
}

fn good(keys: &str, platform: &Platform) -> Node {
    let (tree, problems) = translated(&[&config(keys)], platform);
    assert!(!problems.contains("Error"), "{keys}: {problems}");
    tree.unwrap()
}

fn bad(keys: &str, platform: &Platform, expected: &str) {
    let text = match keys.contains("prometheus_config_path") {
        true => format!("{{\"logs\":{{\"metrics_collected\":{{\"prometheus\":{{{keys}}}}}}}}}"),
        false => config(keys),
    };
    let (_, problems) = translated(&[&text], platform);
    assert!(problems.contains(expected), "{keys}: {expected:?} is missing in\n{problems}");
}

fn text(tree: &Node, path: &str) -> String {
    let keys: Vec<&str> = path.split('.').collect();
    let node = tree.at(&keys).unwrap_or_else(|| panic!("no {path}"));
    plain(node)
}

fn plain(node: &Node) -> String {
    match &node.value {
        Value::Str(text) => text.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Seq(nodes) => format!("[{}]", nodes.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let parts: Vec<String> =
                entries.iter().map(|(key, node)| format!("{}: {}", key.name, plain(node))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => format!("{other:?}"),
    }
}

const NOTHING: &str = "[{metric_name_selectors: [$^]}]";

#[test]
fn agent_json_is_recognised_by_its_content() {
    for (text, is_agent) in [
        (GUIDE, true),
        (AS_PRINTED, true),
        ("\u{feff} {\"agent\":{}}", true),
        ("{\"metrics\":{}}", true),
        ("{\"receivers\":{},\"service\":{\"telemetry\":{\"metrics\":{}}}}", false),
        ("{receivers: {otlp: }, service: {}}", false),
        ("{\"other\":{\"logs\":1}}", false),
        ("logs: {}", false),
        ("", false),
    ] {
        assert_eq!(is_agent_json(text), is_agent, "{text}");
    }
}

#[test]
fn the_guides_config_as_printed_lacks_a_comma() {
    let (tree, problems) = translated(&[AS_PRINTED], &ecs());
    let expected = "0.json:5:83: Under path : /logs/metrics_collected/prometheus | Error : unable to parse json, error: a comma is missing";
    assert!(problems.starts_with(expected), "{problems}");
    assert_eq!(problems.lines().count(), 1, "the rest of it is understood: {problems}");
    assert!(tree.is_some());
}

#[test]
fn the_guides_config_is_a_pipeline_of_four_components() {
    let (tree, problems) = translated(&[GUIDE], &ecs());
    assert_eq!(problems, "");
    let tree = tree.unwrap();
    for (path, expected) in [
        ("extensions.ecs_service_discovery.sd_frequency", "1m"),
        ("extensions.ecs_service_discovery.sd_result_file", "/tmp/cwagent_ecs_auto_sd.yaml"),
        ("receivers.prometheus.config.global.scrape_interval", "30s"),
        ("processors.batch.timeout", "5s"),
        ("exporters.awsemf.region", "us-west-2"),
        ("exporters.awsemf.log_group_name", "/aws/ecs/containerinsights/{ClusterName}/prometheus"),
        ("exporters.awsemf.log_stream_name", "{JobName}"),
        ("exporters.awsemf.namespace", "ECS/ContainerInsights/Prometheus"),
        ("exporters.awsemf.event_labels", "{ClusterName: real}"),
        (
            "exporters.awsemf.metric_declarations",
            "[{label_matchers: [{label_names: [job], regex: ^backends$}], metric_name_selectors: [^http_requests_total$], dimensions: [[ClusterName, TaskGroup]]}]",
        ),
        ("service.extensions", "[ecs_service_discovery]"),
        ("service.pipelines.metrics", "{receivers: [prometheus], processors: [batch], exporters: [awsemf]}"),
    ] {
        assert_eq!(text(&tree, path), expected, "{path}");
    }
    let job = &tree.at(&["receivers", "prometheus", "config", "scrape_configs"]).unwrap().elements()[0];
    assert_eq!(plain(job.get("fallback_scrape_protocol").unwrap()), "PrometheusText0.0.4");
}

#[test]
fn what_is_printed_is_the_same_configuration_with_a_comment_at_each_line() {
    let sources = [("cw.json".to_owned(), GUIDE.to_owned())];
    let scrape = "scrape_configs:\n- job_name: x\n  relabel_configs:\n  - {regex: 'a$$', replacement: '${2}/$1', target_label: v}\n  params: {v: [1.10]}\n";
    let vars: &Vars = &[("PROMETHEUS_CONFIG_CONTENT", scrape)];
    let (text, found) = translate(&sources, &ecs(), &vars);
    let text = text.unwrap();
    assert!(found.iter().all(|d| !d.is_error()), "{found:?}");
    for line in text.lines().skip(1).filter(|line| !line.trim_end().ends_with(':')) {
        assert!(line.contains("  # "), "no comment: {line}");
    }
    for line in [
        "# translated by otelcol-ecs from cw.json",
        "    timeout: \"5s\"  # logs.force_flush_interval",
        "      - job_name: x  # env:PROMETHEUS_CONFIG_CONTENT:2",
        "    version: \"0\"  # as the CloudWatch agent does",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
    let (again, found) = load_tree(&Sources { configs: vec![format!("yaml:{text}")], ..Sources::default() }, &vars);
    assert!(found.is_empty(), "{found:?}\n{text}");
    let (direct, _) = {
        let (translation, found) = translate_tree(&sources, &ecs(), &vars);
        let mut root = translation.unwrap().root;
        let problems = crate::expand::expand(&mut root, &vars);
        assert!(problems.is_empty(), "{problems:?}");
        (root, found)
    };
    assert_eq!(plain(&again.unwrap()), plain(&direct));
    assert!(plain(&direct).contains("replacement: ${2}/$1") && plain(&direct).contains("regex: a$$"));
}

#[test]
fn defaults_follow_the_platform() {
    let discovery = "\"emf_processor\":{}";
    let tree = good(discovery, &ecs());
    assert_eq!(text(&tree, "exporters.awsemf.namespace"), "ECS/ContainerInsights/Prometheus");
    assert_eq!(text(&tree, "exporters.awsemf.log_group_name"), "/aws/ecs/containerinsights/real/prometheus");
    assert_eq!(text(&tree, "exporters.awsemf.event_labels"), "{ClusterName: real}");
    let tree = good("\"emf_processor\":{},\"cluster_name\":\"CustomClusterName\"", &ecs());
    assert_eq!(text(&tree, "exporters.awsemf.event_labels"), "{ClusterName: CustomClusterName}");
    assert_eq!(text(&tree, "exporters.awsemf.log_group_name"), "/aws/ecs/containerinsights/real/prometheus");
    let tree = good("\"emf_processor\":{},\"cluster_name\":\"k\"", &eks());
    assert_eq!(text(&tree, "exporters.awsemf.namespace"), "ContainerInsights/Prometheus");
    assert_eq!(text(&tree, "exporters.awsemf.log_group_name"), "/aws/containerinsights/k/prometheus");
    bad("", &eks(), "Under path : /logs/metrics_collected/prometheus | Error : ClusterName is not defined");
    bad("", &host(), "prometheus does not have log group name");
    let tree = good("\"emf_processor\":{},\"log_group_name\":\"/g\"", &host());
    assert_eq!(text(&tree, "exporters.awsemf.namespace"), "CWAgent/Prometheus");
    assert_eq!(text(&tree, "exporters.awsemf.event_labels"), "{host: h}", "outside of containers events name the host");
}

#[test]
fn nothing_is_extracted_without_declarations() {
    assert_eq!(text(&good("", &ecs()), "exporters.awsemf.metric_declarations"), NOTHING);
    assert!(good("", &ecs()).at(&["exporters", "awsemf", "namespace"]).is_none());
    assert_eq!(text(&good("\"emf_processor\":{}", &ecs()), "exporters.awsemf.metric_declarations"), NOTHING);
    let declaration = "{\"source_labels\":[\"a\"],\"metric_selectors\":[\"b\"],\"dimensions\":[[]]}";
    let emf = format!("\"emf_processor\":{{\"metric_declaration\":[{declaration}]}}");
    let tree = good(&emf, &ecs());
    let expected = "[{label_matchers: [{label_names: [a], regex: .*}], metric_name_selectors: [b], dimensions: [[]]}]";
    assert_eq!(text(&tree, "exporters.awsemf.metric_declarations"), expected);
    let tree = good(&format!("{emf},\"disable_metric_extraction\":true"), &ecs());
    assert_eq!(text(&tree, "exporters.awsemf.metric_declarations"), NOTHING);
}

#[test]
fn every_key_of_a_declaration_has_its_effect_or_its_message() {
    let of = |members: &str| format!("\"emf_processor\":{{\"metric_declaration\":[{{{members}}}]}}");
    let whole = "\"source_labels\":[\"a\",\"b\"],\"label_matcher\":\"^x,y$\",\"label_separator\":\",\",\"metric_selectors\":[\"m\"]";
    let tree = good(&of(whole), &ecs());
    let expected =
        "[{label_matchers: [{label_names: [a, b], regex: ^x,y$, separator: ,}], metric_name_selectors: [m]}]";
    assert_eq!(text(&tree, "exporters.awsemf.metric_declarations"), expected, "without dimensions: none");
    let path = "Under path : /logs/metrics_collected/prometheus/emf_processor/metric_declaration/0";
    for (members, expected) in [
        ("\"source_labels\":[\"a\"]", "Warning : a metric declaration without metric_selectors selects nothing"),
        ("\"metric_selectors\":[\"a\"]", "Warning : a metric declaration without source_labels selects nothing"),
        (
            "\"source_labels\":[],\"metric_selectors\":[\"a\"]",
            "label matcher must have at least one label name specified",
        ),
        ("\"source_labels\":[\"a\"],\"metric_selectors\":[]", "no metric name selectors defined"),
        (
            "\"source_labels\":[\"a\"],\"metric_selectors\":[\"a\"],\"label_matcher\":\"\"",
            "regex not specified for label matcher",
        ),
        ("\"source_labels\":[\"a\"],\"metric_selectors\":[\"*a\"]", "\"*a\" is not a regular expression"),
        (
            "\"source_labels\":[\"a\"],\"metric_selectors\":[\"a\"],\"label_matcher\":\"(\"",
            "\"(\" is not a regular expression",
        ),
        ("\"source_labels\":\"a\",\"metric_selectors\":[\"a\"]", "Invalid type. Expected: array, given: string"),
        ("\"dimension\":[[\"a\"]]", "Additional property dimension is not allowed (did you mean \"dimensions\"?)"),
        (
            "\"source_labels\":[\"a\"],\"metric_selectors\":[\"a\"],\"dimensions\":[\"a\"]",
            "dimensions is a list of lists",
        ),
    ] {
        bad(&of(members), &ecs(), expected);
        bad(&of(members), &ecs(), path);
    }
    let tree = good("\"emf_processor\":{\"metric_declaration_dedup\":false,\"metric_unit\":{\"m\":\"Count\"}}", &ecs());
    assert_eq!(text(&tree, "exporters.awsemf.metric_declaration_dedup"), "false");
    assert_eq!(text(&tree, "exporters.awsemf.metric_descriptors"), "[{metric_name: m, unit: Count}]");
    bad("\"emf_processor\":{\"metric_unit\":{\"m\":\"count\"}}", &ecs(), "Warning : CloudWatch has no unit \"count\"");
    bad("\"emf_processor\":{\"metric_namespace\":\"\"}", &ecs(), "metric_namespace is empty");
}

#[test]
fn wrong_discovery_is_an_error_and_never_a_crash() {
    let of = |members: &str| format!("\"ecs_service_discovery\":{{{members}}}");
    let item = |members: &str| of(&format!("\"task_definition_list\":[{{{members}}}]"));
    let arn = "\"sd_task_definition_arn_pattern\":\"x\"";
    for (keys, expected) in [
        (of("\"sd_frequency\":\"xyz\",\"docker_label\":{}"), "Invalid ECS service discovery frequency: xyz"),
        (of("\"sd_frequency\":\"0s\",\"docker_label\":{}"), "0s is less than 1s"),
        (of("\"sd_frequency\":\"5s\",\"docker_label\":{}"), "Warning : sd_frequency 5s is short"),
        (of("\"sd_frequency\":5,\"docker_label\":{}"), "Invalid type. Expected: string, given: integer"),
        (of(""), "none of the three kinds of discovery is enabled"),
        (item("\"sd_metrics_ports\":\"1\""), "sd_task_definition_arn_pattern is not defined."),
        (item(arn), "mandatory key: sd_metrics_ports is not defined."),
        (item(&format!("{arn},\"sd_metrics_ports\":\"1,2\"")), "sd_metrics_ports does not follow pattern"),
        (item(&format!("{arn},\"sd_metrics_ports\":\"99999\"")), "99999, which is no port"),
        (
            item("\"sd_task_definition_arn_pattern\":\"*memcached.*\",\"sd_metrics_ports\":\"1\""),
            "Under path : /logs/metrics_collected/prometheus/ecs_service_discovery/task_definition_list/0/sd_task_definition_arn_pattern | Error : \"*memcached.*\" is not a regular expression",
        ),
        (
            of("\"service_name_list_for_tasks\":[{\"sd_metrics_ports\":\"1\"}]"),
            "sd_service_name_pattern is not defined.",
        ),
        (
            of("\"docker_labels\":{}"),
            "Additional property docker_labels is not allowed (did you mean \"docker_label\"?)",
        ),
        (of("\"docker_label\":{\"other\":\"x\"}"), "Warning : other is not known here and has no effect"),
        (of("\"docker_label\":{},\"sd_result_file\":\"/other\""), "no scrape job reads \"/other\""),
    ] {
        bad(&keys, &ecs(), expected);
    }
    let keys = of(
        "\"docker_label\":{\"sd_port_label\":\"P\"},\"sd_target_cluster\":\"ecs-cluster-a\",\"sd_cluster_region\":\"us-west-1\"",
    );
    let tree = good(&keys, &ecs());
    assert_eq!(
        text(&tree, "extensions.ecs_service_discovery"),
        "{sd_target_cluster: ecs-cluster-a, sd_cluster_region: us-west-1, sd_result_file: /tmp/cwagent_ecs_auto_sd.yaml, docker_label: {sd_port_label: P}}"
    );
}

#[test]
fn the_sections_around_have_their_effect() {
    let whole = "{
      \"agent\": {\"region\": \"eu-west-1\", \"debug\": true, \"logfile\": \"/l\", \"omit_hostname\": true, \"metrics_collection_interval\": 60,
                \"credentials\": {\"role_arn\": \"arn:aws:iam::123456789012:role/agent\"}},
      \"logs\": {\"force_flush_interval\": 30, \"endpoint_override\": \"logs.example.com\",
               \"credentials\": {\"role_arn\": \"arn:aws:iam::123456789012:role/logs\"},
               \"metrics_collected\": {\"emf\": {}, \"prometheus\": {\"log_group_name\": \"/g\", \"prometheus_config_path\": \"env:PROMETHEUS_CONFIG_CONTENT\"}}},
      \"metrics\": {}, \"force_flush_interval\": 5}";
    let (tree, problems) = translated(&[whole], &host());
    let tree = tree.unwrap();
    for (path, expected) in [
        ("processors.batch.timeout", "30s"),
        ("exporters.awsemf.region", "eu-west-1"),
        ("exporters.awsemf.endpoint", "https://logs.example.com"),
        ("exporters.awsemf.role_arn", "arn:aws:iam::123456789012:role/logs"),
        ("service.telemetry.logs", "{level: debug, output_paths: [/l]}"),
    ] {
        assert_eq!(text(&tree, path), expected, "{path}");
    }
    assert!(tree.at(&["exporters", "awsemf", "event_labels"]).is_none());
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), 3, "{problems}");
    for expected in ["emf is another feature", "the section metrics is another feature", "put it into logs"] {
        assert!(problems.contains(expected), "{expected} in {problems}");
    }
}

#[test]
fn wrong_values_around_are_named() {
    let of = |agent: &str, logs: &str| {
        format!(
            "{{\"agent\":{{{agent}}},\"logs\":{{{logs}\"metrics_collected\":{{\"prometheus\":{{\"prometheus_config_path\":\"env:PROMETHEUS_CONFIG_CONTENT\"}}}}}}}}"
        )
    };
    for (agent, logs, expected) in [
        ("\"region\":\"\"", "", "/agent/region | Error : String length must be greater than or equal to 1"),
        ("\"debug\":1", "", "/agent/debug | Error : Invalid type. Expected: boolean, given: integer"),
        ("\"metrics_collection_interval\":0", "", "Must be greater than or equal to 1"),
        ("\"quiet\":true", "", "quiet has no effect here"),
        ("\"regoin\":\"x\"", "", "did you mean \"region\"?"),
        ("", "\"force_flush_interval\":172801,", "Must be less than or equal to 172800"),
        ("", "\"force_flush_interval\":\"x\",", "is no duration"),
        ("", "\"credentials\":{\"role_arn\":\"short\"},", "String length must be greater than or equal to 20"),
        ("", "\"credentials\":{\"access\":\"x\"},", "Additional property access is not allowed"),
        ("", "\"flush\":1,", "/logs | Error : Additional property flush is not allowed"),
        ("", "\"logs_collected\":{},", "Warning : logs_collected belongs to the collection of log files"),
    ] {
        let (_, problems) = translated(&[&of(agent, logs)], &ecs());
        assert!(problems.contains(expected), "{agent} {logs}: {expected:?} is missing in\n{problems}");
    }
    bad("\"log_stream_name\":\"x\"", &ecs(), "Additional property log_stream_name is not allowed");
    bad("\"log_group_name\":\"{Cluster}\"", &ecs(), "placeholder that does not exist");
    bad("\"log_group_name\":\"a b\"", &ecs(), "is no name for a log group");
    for text in ["{\"logs\":{}}", "{\"agent\":{}}", "{\"logs\":{\"metrics_collected\":{}}}"] {
        assert!(translated(&[text], &ecs()).1.contains("nothing to do"), "{text}");
    }
    assert!(translated(&["{\"logs\":{}}"], &ecs()).1.contains("neither logs_collected nor metrics_collected"));
}

#[test]
fn all_problems_of_all_parts_come_in_one_run() {
    let keys = "\"cluster\":\"x\",\"ecs_service_discovery\":{\"sd_frequency\":\"x\",\"docker_label\":{}},\"emf_processor\":{\"metric_namespace\":1}";
    let (_, problems) = translated(&[&config(keys)], &ecs());
    assert_eq!(problems.lines().filter(|line| line.contains("Error : ")).count(), 3, "{problems}");
}

#[test]
fn the_scrape_configuration_comes_from_where_the_agent_takes_it() {
    let of = |path: &str| format!("{{\"logs\":{{\"metrics_collected\":{{\"prometheus\":{{{path}}}}}}}}}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    std::fs::write(&file, SCRAPE).unwrap();
    for path in [format!("file:{}", file.display()), file.display().to_string()] {
        let (tree, problems) = translated(&[&of(&format!("\"prometheus_config_path\":\"{path}\""))], &ecs());
        assert_eq!(problems, "");
        assert!(tree.unwrap().at(&["receivers", "prometheus", "config", "scrape_configs"]).is_some());
    }
    let missing = translated(&[&of("\"prometheus_config_path\":\"env:NO\"")], &ecs()).1;
    assert!(missing.contains("Failed to download config from ENV: NO. Reason: ENV does not exist"), "{missing}");
    let missing = translated(&[&of("")], &ecs()).1;
    assert!(missing.contains("cannot read the file \"/etc/cwagentconfig/prometheus.yaml\""), "{missing}");
    let vars: &Vars = &[("P", "scrape_configs: []\nremote_write: []\nglobal:\n  external_labels: {a: b}\n")];
    let sources = [("c".to_owned(), of("\"prometheus_config_path\":\"env:P\""))];
    let (translation, found) = translate_tree(&sources, &ecs(), &vars);
    let shown = render(&found, false);
    assert!(
        shown.contains("remote_write belongs to a Prometheus server") && shown.contains("does not add external_labels")
    );
    assert_eq!(text(&translation.unwrap().root, "receivers.prometheus.config"), "{scrape_configs: [], global: {}}");
}

#[test]
fn secrets_are_not_printed_in_a_translation() {
    let scrape = "scrape_configs: [{job_name: x, basic_auth: {username: u, password: hunter2}}]";
    let vars: &Vars = &[("PROMETHEUS_CONFIG_CONTENT", scrape)];
    let (text, found) = translate(&[("c".to_owned(), config(""))], &ecs(), &vars);
    let text = text.unwrap();
    assert!(!text.contains("hunter2") && text.contains("[REDACTED]"), "{text}");
    assert!(found.iter().any(|d| d.message.contains("secrets of the Prometheus configuration")));
}

#[test]
fn several_files_are_one_configuration() {
    let first = "{\"agent\":{\"metrics_collection_interval\":10},\"logs\":{\"metrics_collected\":{\"prometheus\":{\"prometheus_config_path\":\"env:PROMETHEUS_CONFIG_CONTENT\"}}}}";
    let second = "{\"agent\":{\"metrics_collection_interval\":10},\"logs\":{\"metrics_collected\":{\"prometheus\":{\"emf_processor\":{\"metric_namespace\":\"N\"}}}}}";
    let (tree, problems) = translated(&[first, second], &ecs());
    assert_eq!(problems, "");
    assert_eq!(text(&tree.unwrap(), "exporters.awsemf.namespace"), "N");
    let other = second.replace(":10", ":20").replace("\"N\"", "\"M\"");
    let (_, problems) = translated(&[first, second, &other], &ecs());
    for (path, key) in [
        ("/agent/metrics_collection_interval", "metrics_collection_interval"),
        ("/logs/metrics_collected/prometheus/emf_processor", "emf_processor"),
    ] {
        let expected = format!("Under path : {path} | Error : Different values are specified for {key}");
        assert!(problems.contains(&expected), "{expected} in {problems}");
    }
}

#[test]
fn a_named_configuration_wins_over_the_agents_own_places() {
    let vars: &Vars =
        &[("CW_CONFIG_CONTENT", GUIDE), ("RUN_IN_CONTAINER", "True"), ("PROMETHEUS_CONFIG_CONTENT", SCRAPE)];
    let (tree, found) = load_tree(&Sources::default(), &vars);
    assert!(found.iter().any(|d| d.message.contains("ClusterName is not defined")), "{found:?}");
    assert!(tree.is_some_and(|tree| tree.at(&["exporters", "awsemf"]).is_some()), "checks go on");
    let named = Sources { configs: vec!["yaml:{receivers: {otlp: }}".to_owned()], ..Sources::default() };
    let (tree, found) = load_tree(&named, &vars);
    assert!(tree.unwrap().get("receivers").is_some());
    assert!(found[0].message.contains("CW_CONFIG_CONTENT is not used"), "{found:?}");
    // Settings and further configurations are laid over the translation.
    let both = Sources {
        configs: vec!["env:CW_CONFIG_CONTENT".to_owned(), "yaml:{exporters: {awsemf: {log_retention: 7}}}".to_owned()],
        appended: vec!["yaml:service::telemetry::logs::level: debug".to_owned()],
        sets: vec!["processors.batch.timeout=1s".to_owned()],
    };
    let (tree, _) = load_tree(&both, &vars);
    let tree = tree.unwrap();
    assert_eq!(text(&tree, "exporters.awsemf.log_retention"), "7");
    assert_eq!(text(&tree, "exporters.awsemf.layout"), "cloudwatch_agent");
    assert_eq!(text(&tree, "processors.batch.timeout"), "1s");
    assert_eq!(text(&tree, "service.telemetry.logs.level"), "debug");
    // What is appended is no configuration: the agent's own places are still read.
    let appended = Sources { configs: Vec::new(), sets: Vec::new(), ..both };
    let (tree, _) = load_tree(&appended, &vars);
    assert!(tree.unwrap().at(&["exporters", "awsemf"]).is_some());
}

/// Loads as a container of the agent would, and gives the tree and every problem.
fn loaded(vars: &[(&str, &str)]) -> (Option<Node>, String) {
    let always = [("RUN_IN_CONTAINER", "True"), ("K8S_CLUSTER_NAME", "k"), ("PROMETHEUS_CONFIG_CONTENT", SCRAPE)];
    let vars: Vec<(&str, &str)> = always.into_iter().chain(vars.iter().copied()).collect();
    let (tree, found) = load_tree(&Sources::default(), &vars.as_slice());
    (tree, found.iter().map(|d| format!("{d}\n")).collect())
}

#[test]
fn every_variable_of_the_agent_has_its_effect_or_its_word() {
    let json = "{\"logs\":{\"metrics_collected\":{\"prometheus\":{\"prometheus_config_path\":\"env:PROMETHEUS_CONFIG_CONTENT\"}}}}";
    let role =
        json.replacen('{', "{\"agent\":{\"credentials\":{\"role_arn\":\"arn:aws:iam::123456789012:role/agent\"}},", 1);
    let content = ("CW_CONFIG_CONTENT", json);
    let (tree, problems) = loaded(&[content]);
    assert_eq!(problems, "");
    let tree = tree.unwrap();
    assert_eq!(text(&tree, "exporters.awsemf.event_labels.ClusterName"), "k");
    assert_eq!(text(&tree, "exporters.awsemf.log_group_name"), "/aws/containerinsights/k/prometheus");
    let (tree, problems) = loaded(&[content, ("CWAGENT_LOG_LEVEL", "WARN"), ("AMZ_SOURCE_ACCOUNT", "1")]);
    assert_eq!((problems.as_str(), &*text(&tree.unwrap(), "service.telemetry.logs.level")), ("", "warn"));
    for (json, name, value, expected) in [
        (json, "CWAGENT_LOG_LEVEL", "loud", "CWAGENT_LOG_LEVEL is \"loud\", which is no level"),
        (json, "AWS_CA_BUNDLE", "/ca.pem", "AWS_CA_BUNDLE is not read here (set SSL_CERT_FILE"),
        (&role, "AMZ_SOURCE_ARN", "arn", "AMZ_SOURCE_ARN is set, but its header is not sent"),
        (json, "USE_DEFAULT_CONFIG", "True", "USE_DEFAULT_CONFIG of the CloudWatch agent has no effect here"),
        (json, "RUN_IN_AWS", "True", "RUN_IN_AWS of the CloudWatch agent has no effect here"),
        (json, "DEBUG", "1", "DEBUG of the CloudWatch agent has no effect here"),
        ("", "USE_DEFAULT_CONFIG", "True", "the default of USE_DEFAULT_CONFIG collects no Prometheus metrics"),
        (json, "CW_OTEL_CONFIG_CONTENT", "a: [", "env:CW_OTEL_CONFIG_CONTENT:2:1: this is not valid YAML"),
    ] {
        let (_, problems) = loaded(&[("CW_CONFIG_CONTENT", json), (name, value)]);
        assert!(problems.contains(expected), "{name}: {expected:?} is missing in\n{problems}");
    }
}

#[test]
fn a_collector_configuration_beside_the_json_is_laid_over_the_translation() {
    let more = "receivers: {otlp: }\nprocessors: {batch: {timeout: 9s}}";
    let vars: &Vars = &[("CW_CONFIG_CONTENT", GUIDE), ("CW_OTEL_CONFIG_CONTENT", more)];
    let tree = loaded(vars).0.unwrap();
    assert_eq!(text(&tree, "processors.batch.timeout"), "9s");
    assert!(tree.at(&["receivers", "otlp"]).is_some() && tree.at(&["receivers", "prometheus"]).is_some());
    let described = crate::describe_sources(&Sources::default(), &vars);
    assert_eq!(described, "the CloudWatch agent's env:CW_CONFIG_CONTENT, env:CW_OTEL_CONFIG_CONTENT");
    let (texts, found) = crate::agent_texts(&Sources::default(), &vars);
    assert_eq!((texts.unwrap().len(), crate::has_errors(&found)), (1, false));
    assert!(found[0].message.contains("env:CW_OTEL_CONFIG_CONTENT is laid over the translation"), "{found:?}");
}

#[test]
fn parameters_of_systems_manager_are_refused_with_what_to_do() {
    let named = Sources { configs: vec!["ssm:CWAgentConfig".to_owned()], ..Sources::default() };
    let (_, found) = load_tree(&named, &[].as_slice());
    let problem = found[0].to_string();
    assert!(
        problem.contains("\"ssm\" is not supported") && problem.contains("under secrets of the task definition"),
        "{problem}"
    );
    bad(
        "\"prometheus_config_path\":\"ssm:x\"",
        &ecs(),
        "\"ssm:x\" cannot be fetched here (put the parameter under secrets",
    );
}

#[test]
fn a_folder_holds_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("a.json"), GUIDE).unwrap();
    std::fs::write(folder.path().join("b"), "{\"agent\":{\"debug\":true}}").unwrap();
    std::fs::write(folder.path().join("prometheus.yaml"), SCRAPE).unwrap();
    std::fs::write(folder.path().join("c.tmp"), "no").unwrap();
    std::fs::write(folder.path().join("otel.yaml"), "processors:\n  batch: {timeout: 9s}\n").unwrap();
    std::fs::write(folder.path().join("stray.yaml"), "other: 1\n").unwrap();
    let mut found = Vec::new();
    let vars: &Vars = &[("CW_CONFIG_CONTENT", "{}")];
    let path = folder.path().display().to_string();
    let inputs = default_inputs(&path, &vars, &mut found);
    assert_eq!((inputs.json.len(), inputs.collector.len()), (2, 1));
    assert!(
        found[0].message.contains("stray.yaml\" is neither a Collector nor a Prometheus configuration"),
        "{found:?}"
    );
    assert!(found[1].message.contains("CW_CONFIG_CONTENT is not used"));
    let vars: &Vars = &[("PROMETHEUS_CONFIG_CONTENT", SCRAPE)];
    let (tree, _) = load_tree(&Sources { configs: vec![path], ..Sources::default() }, &vars);
    let tree = tree.unwrap();
    assert_eq!(text(&tree, "service.telemetry.logs.level"), "debug");
    assert_eq!(text(&tree, "processors.batch.timeout"), "9s");
    assert_eq!(default_inputs("/nonexistent", &[("CW_CONFIG_CONTENT", "{}")].as_slice(), &mut found).json.len(), 1);
    assert!(default_inputs("/nonexistent", &[].as_slice(), &mut found).is_empty());
}
