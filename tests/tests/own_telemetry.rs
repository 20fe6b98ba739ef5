//! What the agent tells about itself: every own metric under its exact name and labels, and log records that a machine
//! can read. Dashboards and alarms depend on both.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tests::exposition::Exposition;
use tests::fake::otlp::push_body;
use tests::fake::{FakeAws, Target, World};
use tests::net::any_port;
use tests::story::{job, numbered, scrape_to_logs, wait_arrived};
use tests::{Agent, free_port};

const PUSHED: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
    {"name":"pushed","gauge":{"dataPoints":[{"asInt":"1","timeUnixNano":"@"}]}}]}]}]}"#;

/// One line for each metric: its name and the names of its labels; the parts of a histogram are one.
fn shape(page: &Exposition) -> String {
    let histograms: BTreeSet<&str> =
        page.samples().iter().filter_map(|sample| sample.name.strip_suffix("_bucket")).collect();
    let mut shape: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for sample in page.samples() {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.name.strip_suffix(suffix));
        let name = match base.filter(|base| histograms.contains(base)) {
            Some(base) => format!("{base} (histogram)"),
            None => sample.name.clone(),
        };
        let labels = sample.labels.keys().map(String::as_str).filter(|label| *label != "le");
        shape.entry(name).or_default().extend(labels);
    }
    let line = |(name, labels): (String, BTreeSet<&str>)| {
        let labels: Vec<&str> = labels.into_iter().collect();
        format!("{name} {{{}}}\n", labels.join(", "))
    };
    shape.into_iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_own_metric_has_its_name_and_labels() {
    let target = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let port = free_port();
    let config = scrape_to_logs(&[job("numbers", &[target.addr()], &[])], &[])
        .replace(
            "receivers:\n",
            &format!("receivers:\n  otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}\n"),
        )
        .replace(
            "service:\n",
            "processors:\n  memory_limiter: {check_interval: 1s, limit_percentage: 80}\n  batch: {timeout: 100ms}\n  \
             resource: {attributes: [{key: a, value: b, action: insert}]}\nservice:\n",
        )
        .replace("[prometheus], ", "[prometheus, otlp], processors: [memory_limiter, resource, batch], ");
    let agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    for text in ["Using percentage memory limiter", "\"total_memory_mib\":"] {
        assert!(agent.log().contains(text), "{text} is missing in\n{}", agent.log());
    }
    wait_arrived(&aws, 2).await;
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos().to_string();
    let url = format!("http://127.0.0.1:{port}");
    let json = [("content-type", "application/json")];
    assert_eq!(push_body(&url, &json, PUSHED.replace('@', &now).into_bytes()).await.unwrap().status, 200);
    let old = [("receiver", "otlp")];
    let page = agent
        .wait_metrics("the pushed point on the page", |page| {
            let accepted = page.sum("otelcol_receiver_accepted_metric_points", &old)? >= 1.0;
            let sent = page.sum("otelcol_exporter_sent_metric_points", &[])? >= 1.0;
            (accepted && sent).then(|| page.clone())
        })
        .await;
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/own-telemetry");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("metrics", shape(&page)));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_json_have_the_collectors_keys() {
    let aws = FakeAws::start(World::default()).await;
    let dead = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let config = scrape_to_logs(&[job("dead", &[dead], &[])], &[]).replace(
        "service:\n",
        "service:\n  telemetry:\n    logs: {encoding: json, initial_fields: {team: a}}\n    resource: {attributes: [{name: zone, value: z}]}\n",
    );
    let mut agent = Agent::with_config(&config).aws(&aws).start().await;
    agent.wait_log("Failed to scrape").await;
    assert!(agent.stop().await.success());
    let log = agent.log();
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect();
    assert!(records.len() > 5, "{log}");
    for record in &records {
        for key in ["level", "ts", "caller", "msg"] {
            assert!(record[key].is_string(), "no {key} in {record}");
        }
        assert_eq!((&record["team"], &record["resource"]["zone"]), (&"a".into(), &"z".into()), "{record}");
        assert!(record["resource"]["service.instance.id"].is_string(), "{record}");
    }
    let warning = records.iter().find(|record| record["msg"] == "Failed to scrape Prometheus endpoint").unwrap();
    assert_eq!(warning["level"], "warn");
    assert_eq!((&warning["job"], warning["target"].is_string()), (&"dead".into(), true), "{warning}");
}
