//! A start that cannot succeed: which component, why, and exit code 1 with nothing left running. And what container
//! health checks see from the outside.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::Output;
use tests::agent::{PATIENCE, binary};
use tests::{Agent, Signal, free_port};

/// A configuration that receives OTLP on `otlp` and prints it; `more` goes to the top level.
fn config(otlp: &str, extensions: &str, more: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{otlp}'}}}}}}}}
exporters: {{debug: }}
{more}
service:
  extensions: [{extensions}]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [debug]}}}}
"
    )
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told_with_its_component() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let free = "127.0.0.1:0";
    let health = format!("extensions: {{health_check: {{endpoint: '{taken}'}}}}");
    let page =
        format!("readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {}}}}}}}}}]", taken.port());
    for (config, want) in [
        (
            config(&taken.to_string(), "", ""),
            format!("cannot start pipelines: failed to start \"otlp\" receiver: listen tcp {taken}: "),
        ),
        (
            config(free, "health_check", &health),
            format!("failed to start extensions: failed to start \"health_check\" extension: listen tcp {taken}: "),
        ),
        (
            config(free, "", "").replace("level: none", &page),
            format!("failed to create meter provider: binding address {taken} for Prometheus exporter: "),
        ),
    ] {
        let output = Agent::with_config(&config).run().await;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("Error: ") && last.contains(&want), "no {want:?} in\n{said}");
        assert!(last.to_lowercase().contains("address already in use"), "{last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_opened_before_the_whole_configuration_is_good() {
    let port = free_port();
    let bad = config(&format!("127.0.0.1:{port}"), "", "processors: {batch: {timeot: 1s}}");
    let output = Agent::with_config(&bad).run().await;
    assert_eq!(output.status.code(), Some(1));
    assert!(!said(&output).contains("Starting extensions"), "{}", said(&output));
    TcpListener::bind(("127.0.0.1", port)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_changes_nothing_and_the_end_is_good() {
    for signal in [Signal::Term, Signal::Int] {
        let mut agent = Agent::with_config(&config("127.0.0.1:0", "", "")).start().await;
        agent.signal(signal);
        if agent.is_running() {
            agent.signal(signal);
        }
        assert_eq!(agent.wait_exit(PATIENCE).await.code(), Some(0));
        let log = agent.log();
        let mut from = 0;
        let steps = ["Received signal from OS", "Starting shutdown...", "Stopping extensions...", "Shutdown complete."];
        for step in steps {
            from += log[from..].find(step).unwrap_or_else(|| panic!("no {step:?}, in this order, in\n{log}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_has_the_answer_of_adots_second_binary() {
    let port = free_port();
    let health = format!("extensions: {{health_check: {{endpoint: '127.0.0.1:{port}'}}}}");
    let agent = Agent::with_config(&config("127.0.0.1:0", "health_check", &health)).start().await;
    let link = agent.dir().join("healthcheck");
    symlink(binary(), &link).unwrap();
    let ask = |args: &[&str]| {
        let output = std::process::Command::new(&link).args(args).env_clear().output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    let port = port.to_string();
    assert_eq!(ask(&["--port", &port]), (Some(0), "STATUS: 200\n".to_owned()));
    let output = Agent::with_args(["health", "--port", &port, "--path", "/anything"]).run().await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"STATUS: 200\n"[..]));
    let (code, text) = ask(&["--port", &free_port().to_string()]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("unable to retrieve health status: "), "{text}");
    for bad in ["0", "65536", "x"] {
        let (code, text) = ask(&["--port", bad]);
        assert!(code == Some(1) && text.contains(bad), "{code:?} {text}");
    }
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_page_has_the_resource_and_the_fractions_of_the_process() {
    let agent = Agent::with_config(&config("127.0.0.1:0", "", "").replace("level: none", "level: basic"))
        .env("OTEL_RESOURCE_ATTRIBUTES", "team=metrics,service.name=other")
        .own_metrics()
        .start()
        .await;
    let page = agent.wait_metrics("uptime", |page| page.sum("otelcol_process_uptime", &[]).map(|_| page.clone())).await;
    let info = [("service_name", "otelcol-ecs"), ("team", "metrics")];
    assert_eq!(page.sum("target_info", &info), Some(1.0), "{page:?}");
    let uptime = page.sum("otelcol_process_uptime", &[]).unwrap();
    assert!(uptime > 0.0 && uptime.fract() > 0.0, "{uptime}");
    assert!(page.sum("otelcol_process_memory_rss", &[]).unwrap() > 1e6);
}
