//! The binary as users call it. Having this test also makes `cargo test --workspace` build the binary that the
//! whole-agent tests run.

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_otelcol-ecs")).args(args).env_clear().output().expect("the binary runs")
}

#[test]
fn the_version_is_the_workspaces() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("the version is text");
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
}

#[test]
fn an_unknown_flag_is_refused_with_a_hint() {
    let output = run(&["--confg=a.yaml"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).expect("the message is text");
    assert!(text.contains("--config"), "{text}");
}

/// A configuration without anything to open, as an argument.
const CONFIG: &str = "--config=yaml:{receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}, exporters: {debug: }, \
     service: {pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}}}";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_good_configuration_validates_in_silence() {
    for args in [vec!["validate", CONFIG], vec![CONFIG, "validate"]] {
        let output = run(&args);
        assert_eq!((output.status.code(), output.stdout.len(), said(&output)), (Some(0), 0, String::new()));
    }
}

#[test]
fn drop_unmatched_wants_declarations_in_the_exporter_or_before_it() {
    let config = "--config=yaml:{receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}, processors: {}, \
        exporters: {awsemf: {region: eu-west-1, drop_unmatched: true}}, \
        service: {pipelines: {metrics: {receivers: [otlp], processors: [], exporters: [awsemf]}}}}";
    let declaration = "{dimensions: [[a]], metric_name_selectors: ['.']}";
    let in_exporter = format!("drop_unmatched: true, metric_declarations: [{declaration}]");
    let before = format!("processors: {{metric_declaration: {{declarations: [{declaration}]}}}}");
    let elsewhere = config.replace("processors: {}", &before);
    for (config, warns) in [
        (config.to_owned(), true),
        (elsewhere.clone(), true),
        (elsewhere.replace("processors: []", "processors: [metric_declaration]"), false),
        (config.replace("drop_unmatched: true", &in_exporter), false),
        (config.replace("drop_unmatched: true", "drop_unmatched: false"), false),
    ] {
        let output = run(&["validate", &config]);
        assert_eq!(output.status.code(), Some(0), "{config}\n{}", said(&output));
        assert_eq!(said(&output).contains("drop_unmatched has no effect"), warns, "{config}\n{}", said(&output));
    }
}

#[test]
fn wrong_arguments_end_the_start_with_their_reason() {
    for (args, want) in [
        (vec![], "at least one config flag must be provided"),
        (vec![CONFIG, "--set", "abc"], "invalid value \"abc\" for flag --set: missing equal sign"),
        (vec![CONFIG, "--set", "=abc"], "the key is empty"),
        (vec![CONFIG, "--feature-gates", "bogus"], "no such feature gate \"bogus\". valid gates: ["),
        (vec!["--config=foo:bar"], "unsupported scheme on URI \"foo:...\""),
        (vec!["--config=https://example.com/c.yaml"], "scheme \"https\" is not supported"),
        (
            vec!["--config=/does/not/exist.yaml"],
            "cannot read the file \"/does/not/exist.yaml\": no such file or directory",
        ),
        (vec!["--config=env:NOT_SET"], "environment variable \"NOT_SET\" is not set"),
        (vec!["-config=x.yaml"], "-c"),
        (vec!["run", CONFIG], "run"),
    ] {
        for command in [None, Some("validate")] {
            let args: Vec<&str> = args.iter().copied().chain(command).collect();
            let output = run(&args);
            assert!(output.status.code().is_some_and(|code| code != 0), "{args:?}");
            assert!(said(&output).contains(want), "{args:?} should say {want:?}:\n{}", said(&output));
        }
    }
}

#[test]
fn settings_are_laid_over_configurations_in_whatever_order_they_come() {
    let more = "--config=yaml:exporters::debug: {verbosity: detailed, sampling_initial: 7}";
    let output = run(&["--set=exporters.debug.verbosity=normal", CONFIG, more, "print-config"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said(&output));
    assert!(text.contains("verbosity: normal") && text.contains("sampling_initial: 7"), "{text}");
}

#[test]
fn gates_are_switched_by_name() {
    for gates in ["awsemf.nodimrollupdefault", "-awsemf.nodimrollupdefault", "+awsemf.nodimrollupdefault"] {
        let output = run(&["validate", CONFIG, "--feature-gates", gates]);
        assert!(output.status.success(), "{gates}: {}", said(&output));
    }
}

#[test]
fn the_content_variable_replaces_arguments_and_says_so() {
    let text = CONFIG.strip_prefix("--config=yaml:").expect("the argument is a text");
    let output = Command::new(env!("CARGO_BIN_EXE_otelcol-ecs"))
        .args(["validate", "--config=/does/not/exist"])
        .env_clear()
        .env("AOT_CONFIG_CONTENT", text)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("AOT_CONFIG_CONTENT is set and replaces --config and --set"), "{}", said(&output));
}
