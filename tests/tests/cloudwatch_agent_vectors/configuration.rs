//! Vectors of the configuration: what each JSON becomes, and what is said about a wrong one.

use config::cloudwatch_agent::{Platform, translate};
use serde_yaml::Value;
use tests::Agent;

use super::support::*;
use super::{Vector, vector};

const AS_PRINTED: &str = include_str!("../../golden/cloudwatch_agent/cwagent-as-printed.json");
const GUIDE: &str = include_str!("../../golden/cloudwatch_agent/cwagent.json");
/// All keys of the section and of its neighbours, after the agent's own sample.
const EVERYTHING: &str = include_str!("../../golden/cloudwatch_agent/every-key.json");
const NOTHING: &str = "[{metric_name_selectors: [$^]}]";
const PORTS_RULE: &str = r"sd_metrics_ports does not follow pattern: ^[1-9][0-9]{0,4}(;[\s]*[1-9][0-9]{0,4})*$";

pub(crate) fn vectors() -> Vec<Vector<fn()>> {
    vec![
        vector(1, "the sample with every key", every_key),
        vector(2, "a declaration without dimensions, matcher or separator", defaults_of_declarations),
        vector(3, "no emf_processor: no namespace and a declaration that selects nothing", no_emf_processor),
        vector(4, "the default namespace of each platform", default_namespaces),
        vector(5, "disable_metric_extraction changes the extraction and nothing else", extraction_disabled),
        vector(6, "log_stream_name is rejected, the stream stays the job", log_stream_name),
        vector(7, "no log group name outside of containers", no_log_group),
        vector(8, "the flush interval is the batch timeout", flush_intervals),
        vector(9, "the forms of prometheus_config_path", scrape_paths)
            .differs("`env:NAME` in `prometheus_config_path` is used as it is and not written to a file"),
        vector(10, "port lists that are taken and that are rejected", port_lists),
        vector(11, "a port list with a bad piece", bad_piece_of_a_port_list)
            .differs("Bad regular expressions, frequencies and port lists are errors with line and column"),
        vector(12, "several files are merged", merged),
        vector(13, "logs without any section", empty_logs),
        vector(14, "the guide's JSON as printed and with its comma", the_guide),
        vector(15, "force_flush_interval at the root", flush_at_the_root),
        vector(16, "the cluster's name from an EC2 tag", cluster_from_a_tag)
            .differs("The EC2 tag `kubernetes.io/cluster/NAME` is not asked for the cluster's name"),
        vector(90, "a container without any configuration", nothing_at_all)
            .differs("Without any configuration the exit code is 1 (agent: 0)"),
    ]
}

fn every_key() {
    let tree = translated(&[EVERYTHING], &host()).good();
    let discovery = "extensions.ecs_service_discovery";
    assert_values(
        &tree,
        &[
            (&format!("{discovery}.sd_frequency"), "1m"),
            (&format!("{discovery}.sd_target_cluster"), "ecs-cluster-a"),
            (&format!("{discovery}.sd_cluster_region"), "us-west-1"),
            (
                &format!("{discovery}.docker_label"),
                "{sd_port_label: ECS_PROMETHEUS_EXPORTER_PORT_CUSTOM, sd_metrics_path_label: ECS_PROMETHEUS_METRICS_PATH, sd_job_name_label: ECS_PROMETHEUS_JOB_NAME}",
            ),
            (&format!("{discovery}.task_definition_list.0.sd_job_name"), "task_def_1"),
            (&format!("{discovery}.task_definition_list.1.sd_job_name"), "null"),
            (&format!("{discovery}.task_definition_list.1.sd_metrics_path"), "null"),
            (&format!("{discovery}.task_definition_list.2"), "null"),
            (&format!("{discovery}.service_name_list_for_tasks.1.sd_metrics_ports"), "'9152'"),
            ("processors.batch.timeout", "30s"),
            ("exporters.awsemf.endpoint", "https://fake_endpoint.example.com"),
            ("exporters.awsemf.region", "us-west-1"),
            (
                "exporters.awsemf.metric_descriptors.0",
                "{metric_name: jvm_gc_collection_seconds_sum, unit: Milliseconds}",
            ),
        ],
    );
    let Value::Sequence(declarations) = at(&tree, "exporters.awsemf.metric_declarations") else { panic!() };
    assert_eq!(declarations.len(), 4);
    assert_eq!(declarations[0]["dimensions"], Value::Null);
    for declaration in &declarations[2..] {
        assert_values(declaration, &[("label_matchers.0.regex", "'.*'")]);
    }
}

fn defaults_of_declarations() {
    let of = "\"emf_processor\":{\"metric_declaration\":[{\"source_labels\":[\"a\"],\"metric_selectors\":[\"m\"]}]}";
    let translated = prometheus(of, &ecs());
    translated.says("Warning : a metric declaration without dimensions extracts nothing");
    assert_values(
        &translated.good(),
        &[(
            "exporters.awsemf.metric_declarations",
            // The exporter's separator is ; and its dimensions are none.
            "[{label_matchers: [{label_names: [a], regex: '.*'}], metric_name_selectors: [m]}]",
        )],
    );
}

fn no_emf_processor() {
    let expected = [("exporters.awsemf.namespace", "null"), ("exporters.awsemf.metric_declarations", NOTHING)];
    assert_values(&prometheus("", &ecs()).good(), &expected);
}

fn default_namespaces() {
    let platforms: [(Platform, &str); 3] = [
        (host(), "CWAgent/Prometheus"),
        (ecs(), "ECS/ContainerInsights/Prometheus"),
        (kubernetes(), "ContainerInsights/Prometheus"),
    ];
    for (platform, expected) in platforms {
        let keys = "\"emf_processor\":{},\"log_group_name\":\"g\",\"cluster_name\":\"c\"";
        assert_values(&prometheus(keys, &platform).good(), &[("exporters.awsemf.namespace", expected)]);
    }
}

fn extraction_disabled() {
    let emf = "\"emf_processor\":{\"metric_declaration\":[{\"source_labels\":[\"a\"],\"metric_selectors\":[\"m\"],\"dimensions\":[[]]}]}";
    let plain = prometheus(emf, &ecs()).good();
    let mut disabled = prometheus(&format!("{emf},\"disable_metric_extraction\":true"), &ecs()).good();
    assert_values(&disabled, &[("exporters.awsemf.metric_declarations", NOTHING)]);
    disabled["exporters"]["awsemf"]["metric_declarations"] =
        plain["exporters"]["awsemf"]["metric_declarations"].clone();
    assert_eq!(disabled, plain);
}

fn log_stream_name() {
    let translated = prometheus("\"log_stream_name\":\"x\"", &ecs());
    translated.says(
        "Under path : /logs/metrics_collected/prometheus | Error : Additional property log_stream_name is not allowed",
    );
    assert_values(&translated.tree, &[("exporters.awsemf.log_stream_name", "'{JobName}'")]);
}

fn no_log_group() {
    let expected = "Under path : /logs/metrics_collected/prometheus | Error : prometheus does not have log group name.";
    prometheus("", &host()).says(expected);
}

fn flush_intervals() {
    let flush = |logs: &str| around("").replacen("\"metrics_collected\"", &format!("{logs}\"metrics_collected\""), 1);
    for (logs, timeout) in
        [("", "5s"), ("\"force_flush_interval\":30,", "30s"), ("\"force_flush_interval\":\"1m\",", "1m")]
    {
        assert_values(&translated(&[&flush(logs)], &ecs()).good(), &[("processors.batch.timeout", timeout)]);
    }
    // The pipelines of the section metrics, with their 60 s, are another feature.
    let metrics = around("").replacen('{', "{\"metrics\":{},", 1);
    translated(&[&metrics], &ecs()).says("the section metrics is another feature of the CloudWatch agent");
}

fn scrape_paths() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml").display().to_string();
    std::fs::write(&file, SCRAPE).unwrap();
    for path in [file.clone(), format!("file:{file}"), "env:SCRAPE".to_owned()] {
        let tree = prometheus(&format!("\"prometheus_config_path\":\"{path}\""), &ecs()).good();
        assert_values(&tree, &[("receivers.prometheus.config.scrape_configs.0.job_name", "j")]);
    }
    prometheus("\"prometheus_config_path\":\"env:X\"", &ecs())
        .says("Error : Failed to download config from ENV: X. Reason: ENV does not exist");
    translated(&["{\"logs\":{\"metrics_collected\":{\"prometheus\":{}}}}"], &ecs())
        .says("cannot read the file \"/etc/cwagentconfig/prometheus.yaml\"");
}

fn ports_of_both_lists(ports: &str) -> [Translated; 2] {
    let item = |list: &str, pattern: &str| {
        format!(
            "\"ecs_service_discovery\":{{\"{list}\":[{{\"{pattern}\":\"x\",\"sd_metrics_ports\":{}}}]}}",
            serde_json::Value::from(ports)
        )
    };
    [
        prometheus(&item("task_definition_list", "sd_task_definition_arn_pattern"), &ecs()),
        prometheus(&item("service_name_list_for_tasks", "sd_service_name_pattern"), &ecs()),
    ]
}

fn port_lists() {
    for good in ["19404", "9404; 9406;\t\t9901;   9123"] {
        ports_of_both_lists(good).into_iter().for_each(|translated| drop(translated.good()));
    }
    for bad in ["1,2,3,4", "12321321", "9901; a;123", "9901;  123;", "1; 0"] {
        ports_of_both_lists(bad).iter().for_each(|translated| translated.says(PORTS_RULE));
    }
    for translated in ports_of_both_lists("") {
        translated.says("mandatory key: sd_metrics_ports is not defined.");
    }
}

fn bad_piece_of_a_port_list() {
    ports_of_both_lists("11;12;\t 13 ;a;14  ").iter().for_each(|translated| translated.says(PORTS_RULE));
}

fn merged() {
    let first = "{\"agent\":{\"metrics_collection_interval\":10},\"logs\":{\"metrics_collected\":{\"prometheus\":{\"prometheus_config_path\":\"env:SCRAPE\"}}}}";
    let second =
        "{\"agent\":{\"metrics_collection_interval\":10,\"debug\":true},\"logs\":{\"force_flush_interval\":7}}";
    let expected = [("processors.batch.timeout", "7s"), ("service.telemetry.logs.level", "debug")];
    assert_values(&translated(&[first, second], &ecs()).good(), &expected);
    translated(&[first, &second.replace(":10", ":20")], &ecs()).says(
        "Under path : /agent/metrics_collection_interval | Error : Different values are specified for metrics_collection_interval",
    );
}

fn empty_logs() {
    translated(&["{\"logs\":{}}"], &ecs())
        .says("Under path : /logs | Error : neither logs_collected nor metrics_collected is there");
}

fn the_guide() {
    let vars: &[(&str, &str)] = &[("PROMETHEUS_CONFIG_CONTENT", SCRAPE)];
    let translate = |text: &str| {
        let (text, found) = translate(&[("agent.json".to_owned(), text.to_owned())], &ecs(), &vars);
        (text, found.iter().map(|problem| format!("{problem}\n")).collect::<String>())
    };
    let (_, problems) = translate(AS_PRINTED);
    let expected = "agent.json:5:83: Under path : /logs/metrics_collected/prometheus | Error : unable to parse json, error: a comma is missing";
    assert!(problems.starts_with(expected), "{problems}");
    let (text, problems) = translate(GUIDE);
    assert_eq!(problems, "");
    let tree: Value = serde_yaml::from_str(&text.unwrap()).unwrap();
    assert_values(
        &tree,
        &[
            ("exporters.awsemf.namespace", "ECS/ContainerInsights/Prometheus"),
            ("exporters.awsemf.region", "us-west-2"),
            ("exporters.awsemf.event_labels.ClusterName", "real"),
            // Cluster and region to look at are those of the task, which the extension asks for itself.
            ("extensions.ecs_service_discovery.sd_target_cluster", "null"),
        ],
    );
}

fn flush_at_the_root() {
    let text = around("").replacen('{', "{\"force_flush_interval\":30,", 1);
    let translated = translated(&[&text], &ecs());
    translated.says("Under path : /force_flush_interval | Warning : ");
    translated.says("put it into logs");
    assert_values(&translated.good(), &[("processors.batch.timeout", "5s")]);
}

fn cluster_from_a_tag() {
    let translated = prometheus("", &kubernetes());
    translated
        .says("Under path : /logs/metrics_collected/prometheus | Error : ClusterName is not defined (set cluster_name");
    let tree = prometheus("\"cluster_name\":\"foo\"", &kubernetes()).good();
    let expected = [("event_labels.ClusterName", "foo"), ("log_group_name", "/aws/containerinsights/foo/prometheus")];
    assert_values(at(&tree, "exporters.awsemf"), &expected);
}

fn nothing_at_all() {
    let output = block_on(async { Agent::with_args([""; 0]).env("RUN_IN_CONTAINER", "True").run().await });
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("CW_CONFIG_CONTENT"), "it says where a configuration could be: {log}");
}
