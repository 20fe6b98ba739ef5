//! Bad configurations: each is refused with every problem named, by place, reason and remedy; odd ones are accepted
//! with a warning. The messages are snapshots beside the configurations: read them as who made the mistake. So are the
//! answers to the configurations that ADOT ships.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use tests::Agent;

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder)
}

/// Name and text of every configuration of a folder, sorted.
fn configs(folder: &str) -> Vec<(String, String)> {
    let mut configs: Vec<_> = std::fs::read_dir(golden(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    configs.sort();
    configs
}

/// The list of known components grows; the snapshots need not.
fn without_component_lists(message: &str) -> String {
    let mut parts = message.split("(valid values: [");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (list, rest) = part.split_once(']').unwrap_or(("", part));
        assert!(!list.is_empty(), "an empty list of known components helps nobody: {message}");
        text.push_str("(valid values: [...]");
        text.push_str(rest);
    }
    text
}

/// What is said about each error.
fn errors(message: &str) -> impl Iterator<Item = &str> {
    message.split("\n\n").filter(|problem| problem.starts_with("error: "))
}

/// Validates every configuration of a folder; each ends with this exit code and the words of its snapshot.
async fn check(folder: &str, exit_code: i32, at_least: usize) {
    let configs = configs(folder);
    assert!(configs.len() >= at_least, "{}", configs.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(golden(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (name, text) in configs {
        let output = Agent::with_config(&text).arg("validate").run().await;
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit_code), "{name}; it said:\n{message}");
        assert!(message.contains("config.yaml:"), "{name} does not say where:\n{message}");
        for problem in errors(&message) {
            assert!(problem.contains(" help: "), "{name} does not say what to do:\n{problem}");
        }
        settings.bind(|| insta::assert_snapshot!(name.as_str(), without_component_lists(&message)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_config_is_refused_with_every_problem_named() {
    check("refused-configs", 1, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_odd_config_is_accepted_with_a_warning() {
    check("warned-configs", 0, 5).await;
}

/// Most of what ADOT ships for ECS needs a component that is not built in; each then gets one error that says what to do
/// instead.
#[tokio::test(flavor = "multi_thread")]
async fn each_config_that_adot_ships_gets_the_recorded_answer() {
    let configs = configs("adot-configs");
    assert!(configs.len() >= 15, "{}", configs.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(golden("adot-configs"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut accepted = Vec::new();
    for (name, text) in configs {
        let mut agent = Agent::with_config(&text).arg("validate");
        for (variable, value) in [
            ("AWS_REGION", "eu-west-1"),
            (
                "AWS_PROMETHEUS_ENDPOINT",
                "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
            ),
            ("AWS_PROMETHEUS_SCRAPING_ENDPOINT", "localhost:9090"),
            ("PROMETHEUS_SAMPLE_APP", "localhost:8080"),
            ("ClusterName", "prod"),
        ] {
            agent = agent.env(variable, value);
        }
        let output = agent.run().await;
        let message = String::from_utf8(output.stderr).unwrap();
        let is_accepted = output.status.code() == Some(0);
        let is_explained =
            |problem: &str| problem.contains(" is not available: ") || problem.contains("no pipeline is left to run");
        for problem in errors(&message) {
            assert!(is_explained(problem) && problem.contains(" help: "), "{name}:\n{problem}");
        }
        assert_eq!(errors(&message).count() == 0, is_accepted, "{name}:\n{message}");
        let verdict = if is_accepted { "accepted" } else { "refused" };
        settings.bind(|| insta::assert_snapshot!(name.as_str(), format!("{verdict}\n{message}")));
        accepted.extend(is_accepted.then_some(name));
    }
    assert_eq!(
        accepted,
        ["cfn-container-insights-prometheus", "example-container-insights-prometheus", "otel-config-default"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_refuses_with_the_same_words() {
    for name in ["everything_wrong_at_once", "not_yaml", "unknown_exporter", "awsemf_unknown_key"] {
        let text = std::fs::read_to_string(golden("refused-configs").join(name).with_extension("yaml")).unwrap();
        let validated = Agent::with_config(&text).arg("validate").run().await;
        let started = Agent::with_config(&text).run().await;
        assert_eq!(started.status.code(), Some(1), "{name}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (validated, started) = (text(validated.stderr), text(started.stderr));
        for line in validated.lines().filter(|line| line.starts_with("error: ")) {
            assert!(started.contains(line), "{name}: the start does not say: {line}\n{started}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_message() {
    for folder in ["refused-configs", "warned-configs"] {
        for (name, text) in configs(folder) {
            let text = text.replace("password: p", "password: hidden-word").replace("secret: b", "secret: hidden-word");
            let output = Agent::with_config(&text).arg("validate").run().await;
            let message = String::from_utf8(output.stderr).unwrap();
            for secret in ["hidden-word", "hunter2", "987654321"] {
                assert!(!message.contains(secret), "{name} shows a secret:\n{message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_on_the_command_line_is_in_no_log() {
    let text = "yaml:{exporters: {otlphttp: {endpoint: 'http://localhost:1', headers: {x: hunter2}, nope: 1}}}";
    let output = Agent::with_args(["--config", text, "--set", "exporters.x.token:hunter2"]).run().await;
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("--config yaml:...") && message.contains("flag --set"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_own_metrics_is_not_opened_to_all_because_a_variable_is_missing() {
    let text = std::fs::read_to_string(golden("refused-configs").join("unset_host_of_own_metrics.yaml")).unwrap();
    let started = Agent::with_config(&text).run().await;
    let message = String::from_utf8(started.stderr).unwrap();
    assert_eq!(started.status.code(), Some(1), "{message}");
    assert!(message.contains("\"NOPE\" is not set, and this is an address"), "{message}");
}
