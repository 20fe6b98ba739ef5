//! The configurations that ADOT ships for ECS have a service graph that this crate reads: with the components that they
//! name, here samples of them, all but the one that has traces only load. What the agent says to
//! each is in the snapshots beside them. `EXTRA_CONFIGS` names a folder of more to try.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use config::{Diagnostic, Severity, Sources, load};

const ENV: &[(&str, &str)] = &[
    ("AWS_REGION", "eu-west-1"),
    ("AWS_PROMETHEUS_ENDPOINT", "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"),
    ("AWS_PROMETHEUS_SCRAPING_ENDPOINT", "localhost:9090"),
    ("PROMETHEUS_SAMPLE_APP", "localhost:8080"),
    ("ClusterName", "prod"),
];

#[test]
fn every_config_that_adot_ships_loads_where_its_components_are_known() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/adot-configs")];
    folders.extend(std::env::var_os("EXTRA_CONFIGS").map(PathBuf::from));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ext| ext == "yaml")).collect();
    assert!(files.len() >= 15, "{} configs", files.len());
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let sources = Sources { configs: vec![path.to_str().unwrap().to_owned()], ..Sources::default() };
        let (config, mut found) = load(&sources, &ENV, &common::known());
        let config = config.unwrap_or_else(|| panic!("{name}: {found:?}"));
        found.extend(common::check_components(&config));
        // The one receiver that the sample agent lacks.
        let expected =
            |d: &&Diagnostic| d.severity == Severity::Error && !d.path.contains("awscontainerinsightreceiver");
        let errors: Vec<String> = found.iter().filter(expected).map(ToString::to_string).collect();
        // Traces alone leave nothing to run.
        let is_refused = name == "ecs-xray";
        assert_eq!(errors.len(), usize::from(is_refused), "{name}: {errors:#?}");
        assert!(errors.iter().all(|text| text.contains("no pipeline is left to run")), "{errors:#?}");
        assert_eq!(config.service.pipelines.is_empty(), is_refused, "{name}");
        assert_eq!(config.service.skipped.is_empty(), !name.contains("xray") && !has_traces(&name), "{name}");
    }
}

fn has_traces(name: &str) -> bool {
    matches!(name, "ecs-default-config" | "otel-task-metrics-config" | "otel-config-default")
}
