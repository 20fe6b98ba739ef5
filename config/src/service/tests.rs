use super::*;
use crate::yaml::parse_yaml;

fn known() -> KnownComponents {
    KnownComponents {
        receivers: vec!["otlp", "prometheus"],
        processors: vec!["batch", "metricstransform", "resource"],
        exporters: vec!["awsemf", "debug", "otlphttp"],
        extensions: vec!["health_check", "ecs_observer"],
    }
}

fn check(text: &str) -> (Config, Vec<String>) {
    let (node, found) = parse_yaml("c.yaml", text);
    assert!(found.is_empty(), "{found:?}");
    let (config, found) = Config::from_tree(node.unwrap(), &known());
    let text = |d: &Diagnostic| format!("{}: {d}", if d.is_error() { "error" } else { "warning" });
    (config.unwrap(), found.iter().map(text).collect())
}

const GOOD: &str = "
receivers: {otlp: , prometheus/a: {x: 1}}
processors: {batch: , metrics_transform/b: {}}
exporters: {awsemf: }
extensions: {health_check: }
service:
  extensions: [health_check]
  pipelines:
    metrics: {receivers: [otlp], processors: [metrics_transform/b, batch], exporters: [awsemf]}
    metrics/two: {receivers: [otlp, prometheus/a], exporters: [awsemf]}
";

#[test]
fn a_good_configuration_is_read_without_a_word() {
    let (config, found) = check(GOOD);
    assert!(found.is_empty(), "{found:?}");
    let names: Vec<String> = config.receivers.iter().map(|c| c.id.to_string()).collect();
    assert_eq!(names, ["otlp", "prometheus/a"]);
    let transform = config.processors.iter().nth(1).unwrap();
    assert_eq!((transform.kind, transform.id.kind()), ("metricstransform", "metrics_transform"));
    let pipeline = &config.service.pipelines[1];
    assert_eq!(
        (pipeline.id.to_string().as_str(), pipeline.receivers.len(), pipeline.processors.len()),
        ("metrics/two", 2, 0)
    );
    let first = &config.service.pipelines[0];
    assert_eq!(first.processors.iter().map(|id| id.to_string()).collect::<Vec<_>>(), ["metrics_transform/b", "batch"]);
    assert_eq!(
        config.receivers.get(&pipeline.receivers[1]).unwrap().node.get("x").unwrap().path.as_ref(),
        "receivers::prometheus/a::x"
    );
}

#[test]
fn old_spellings_work_with_a_warning() {
    let (config, found) = check(&GOOD.replace("metrics_transform/b", "metricstransform"));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("\"metricstransform\" alias is deprecated; use \"metrics_transform\" instead"),
        "{found:?}"
    );
    assert_eq!(config.processors.iter().nth(1).unwrap().kind, "metricstransform");
}

#[test]
fn pipelines_of_traces_are_left_out_with_what_only_they_use() {
    let text = "
receivers: {otlp: , awsxray: {endpoint: x}}
processors: {batch/traces: }
exporters: {awsemf: , awsxray: }
extensions: {pprof: }
service:
  extensions: [pprof]
  pipelines:
    traces: {receivers: [otlp, awsxray], processors: [batch/traces], exporters: [awsxray]}
    metrics: {receivers: [otlp], exporters: [awsemf]}
";
    let (config, found) = check(text);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().all(|text| text.starts_with("warning: ")), "{found:#?}");
    assert_eq!(
        (config.service.pipelines.len(), config.service.skipped.len(), config.service.extensions.len()),
        (1, 1, 0)
    );
    assert_eq!((config.receivers.len(), config.exporters.len()), (1, 1));
    let alone = text.replace("    metrics: {receivers: [otlp], exporters: [awsemf]}\n", "");
    for nothing_to_run in [alone.clone(), alone.replace("traces: {", "logs/a: {")] {
        let (_, found) = check(&nothing_to_run);
        let errors: Vec<_> = found.iter().filter(|text| text.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{found:#?}");
        assert!(errors[0].contains("service::pipelines: no pipeline is left to run"), "{errors:?}");
    }
    let (_, found) = check(&text.replace("receivers: [otlp], exporters", "receivers: [awsxray], exporters"));
    assert!(found.iter().any(|text| text.starts_with("error: ") && text.contains("receivers::awsxray")), "{found:#?}");
}

#[test]
fn whatever_adot_has_is_known_or_explained() {
    let adot = [
        (
            "receivers",
            "otlp prometheus statsd awsecscontainermetrics awscontainerinsightreceiver kafka awsxray jaeger zipkin file_log filelog",
        ),
        (
            "processors",
            "batch memory_limiter resource resource_detection resourcedetection attributes filter metrics_transform \
             metricstransform metricsgeneration cumulativetodelta deltatorate k8s_attributes k8sattributes groupbytrace \
             tail_sampling probabilistic_sampler span",
        ),
        (
            "exporters",
            "awsemf prometheus_remote_write prometheusremotewrite otlp_http otlphttp otlp_grpc otlp prometheus debug file \
             kafka load_balancing loadbalancing datadog signalfx logzio awscloudwatchlogs awsxray",
        ),
        ("extensions", "health_check sigv4auth ecs_observer file_storage pprof zpages awsproxy"),
    ];
    for (section, kinds) in adot {
        for kind in kinds.split_whitespace() {
            let (node, _) = parse_yaml("c.yaml", &format!("{section}: {{{kind}: }}"));
            let everything_else = KnownComponents {
                receivers: vec!["otlp", "prometheus"],
                processors: vec!["batch", "memory_limiter", "metricstransform", "resource"],
                exporters: vec!["awsemf", "debug", "file", "otlp", "otlphttp"],
                extensions: vec!["ecs_observer", "health_check", "sigv4auth"],
            };
            let (_, found) = Config::from_tree(node.unwrap(), &everything_else);
            let unknown: Vec<_> = found.iter().filter(|problem| problem.message.contains("unknown type")).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
        }
    }
}

#[test]
fn telemetry_is_read_with_its_defaults_and_old_forms() {
    let (config, _) = check(GOOD);
    let telemetry = config.service.telemetry;
    assert_eq!(telemetry, Telemetry::default());
    assert_eq!((telemetry.metrics.readers[0].host.as_str(), *telemetry.metrics.readers[0].port), ("localhost", 8888));
    let with = |text: &str| check(&GOOD.replace("service:\n", &format!("service:\n  telemetry:\n{text}")));
    let (config, found) = with(
        "    metrics: {level: detailed, address: ':9999'}\n    logs: {level: WARN, encoding: json, sampling: , initial_fields: {a: [1]}}\n    resource: {service.name: x, service.instance.id: , n: 1.10}\n",
    );
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.iter().all(|text| text.starts_with("warning: ")), "{found:#?}");
    assert!(found[0].contains("level: detailed shows no more than normal does"), "{found:#?}");
    let telemetry = config.service.telemetry;
    assert_eq!((telemetry.metrics.level, *telemetry.metrics.readers[0].port), (Level::Detailed, 9999));
    assert_eq!(
        (telemetry.logs.level, telemetry.logs.encoding, &telemetry.logs.sampling),
        (LogLevel::Warn, Encoding::Json, &None)
    );
    let resource: Vec<_> = telemetry.resource.iter().map(|a| (a.name.as_str(), a.value.as_deref())).collect();
    assert_eq!(resource, [("service.name", Some("x")), ("service.instance.id", None), ("n", Some("1.10"))]);
    let (config, found) = with(
        "    metrics: {readers: [{pull: {exporter: {prometheus: {host: '0.0.0.0', port: 1}}}}]}\n    resource: {attributes: [{name: a, value: b}]}\n    traces: {level: none}\n",
    );
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(*config.service.telemetry.metrics.readers[0].port, 1);
    let (suffixed, found) = with(
        "    metrics: {readers: [{pull: {exporter: {prometheus: {port: 1, without_units: false, without_type_suffix: false}}}}]}\n",
    );
    assert!(found.len() == 1 && found[0].contains("without_units: false has no effect"), "{found:?}");
    assert!(!suffixed.service.telemetry.metrics.readers[0].without_type_suffix);
    assert_eq!(config.service.telemetry.resource.len(), 1);
    for (bad, want) in [
        ("    metrics: {readers: []}\n", "reader should exist"),
        ("    metrics: {readers: [{periodic: {exporter: {otlp: }}}]}\n", "periodic readers are not supported"),
        ("    metrics: {views: [{}]}\n", "views are not supported"),
        ("    metrics: {level: all}\n", "unknown value \"all\""),
        ("    logs: {levle: info}\n", "did you mean \"level\""),
        ("    logs: {processors: [{batch: }]}\n", "export of the agent's own logs"),
        ("    traces: {processors: [{batch: }]}\n", "of internal traces are not supported"),
        ("    resource: {attributes: [{name: a}], b: c}\n", "cannot be mixed"),
        ("    logs: {development: true}\n", "warning: c.yaml:"),
        ("    logs: {error_output_paths: [/tmp/x]}\n", "error_output_paths has no effect"),
    ] {
        let (_, found) = with(bad);
        assert!(found.len() == 1 && found[0].contains(want), "{bad}: {found:#?}");
    }
}
