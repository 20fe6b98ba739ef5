//! What the `metric_declaration` processor selects is what `awsemf` publishes, also when `batch` stands between them
//! and joins and cuts batches.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use std::time::Duration;
use tests::fake::{Behaviour, FakeAws, Target, World};
use tests::net::any_port;
use tests::story::{job, scrape_to_logs};
use tests::{Agent, wait_until};

const PAGE: &str = "# TYPE requests gauge
requests{path=\"/a\",code=\"200\"} 1
requests{path=\"/b\",code=\"200\"} 2
requests{path=\"/b\",code=\"500\"} 3
# TYPE other gauge
other{path=\"/a\"} 4
";

const PROCESSORS: &str = "processors:
  metric_declaration:
    declarations:
      - {dimensions: [[path]], metric_name_selectors: ['^requests$'], label_matchers: [{label_names: [code], regex: '^200$'}]}
  # Joins the batches of both targets, and cuts them between two points of one metric.
  batch: {timeout: 300ms, send_batch_size: 2, send_batch_max_size: 2}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_processor_keeps_what_declarations_selected() {
    let page = || Behaviour::Fixed(PAGE.into());
    let targets = [Target::start(any_port(), page()).await, Target::start(any_port(), page()).await];
    let aws = FakeAws::start(World::default()).await;
    let jobs = [job("one", &[targets[0].addr()], &[]), job("two", &[targets[1].addr()], &[])];
    let config = scrape_to_logs(&jobs, &["drop_unmatched: true"])
        .replace("exporters:\n  awsemf", &format!("{PROCESSORS}exporters:\n  awsemf"))
        .replace("exporters: [awsemf]}", "processors: [metric_declaration, batch], exporters: [awsemf]}");
    let mut agent = Agent::with_config(&config).aws(&aws).start().await;
    wait_until("events of several scrapes", Duration::from_secs(30), || (aws.accepted_events() >= 12).then_some(()))
        .await;
    assert!(agent.stop().await.success());
    for document in aws.documents() {
        let value = &document["requests"];
        assert!(*value == json!(1.0) || *value == json!(2.0) || *value == json!(1) || *value == json!(2), "{document}");
        assert_eq!(document["code"], "200", "{document}");
        assert_eq!(document["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["path"]]), "{document}");
    }
}
