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
