//! The AWS guide's own two configurations, the CloudWatch agent's JSON and the Prometheus YAML, give the guide's event
//! on EC2 and Fargate; and what `validate` and `translate` say about them.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::agent::{AgentBuilder, PATIENCE};
use tests::fake::LogEvent;
use tests::fake::cloudwatch::extract;
use tests::guide::{CLUSTER, Guide, LOG_GROUP, NAMESPACE, STEADY_REQUESTS, Traffic};
use tests::{Agent, wait_until};

const AS_PRINTED: &str = include_str!("../golden/cloudwatch_agent/cwagent-as-printed.json");
const JSON: &str = include_str!("../golden/cloudwatch_agent/cwagent.json");
const SCRAPE: &str = include_str!("../golden/cloudwatch_agent/prometheus.yaml");
const EVENT: &str = include_str!("../golden/cloudwatch_agent/event.json");
const RESULT_FILE: &str = "/tmp/cwagent_ecs_auto_sd.yaml";

/// Labels that the agent adds today and did not when the guide was written, and those of hosts.
const SINCE: [&str; 5] = ["TaskId", "TaskClusterName", "InstanceType", "SubnetId", "VpcId"];

/// The guide's JSON at a test's pace, with the result file in a folder of the test's own.
fn fast_json(dir: &str) -> String {
    let json = JSON
        .replace("\"sd_frequency\":\"1m\"", "\"sd_frequency\":\"1s\"")
        .replace("\"force_flush_interval\":5", "\"force_flush_interval\":1")
        .replace(RESULT_FILE, &format!("{dir}/sd.yaml"));
    assert_eq!(json.matches("1s").count() + json.matches("sd.yaml").count(), 2);
    json
}

fn fast_scrape(dir: &str) -> String {
    SCRAPE
        .replace("scrape_interval: 30s", "scrape_interval: 400ms")
        .replace("scrape_timeout: 10s", "scrape_timeout: 400ms")
        .replace(RESULT_FILE, &format!("{dir}/sd.yaml"))
}

/// Sets what ECS would give to the container.
fn in_the_task(agent: AgentBuilder, guide: &Guide) -> AgentBuilder {
    guide.aws.change(|world| world.metadata = Some(tests::fake::fargate_task(CLUSTER, "agent")));
    let dir = agent.dir().display().to_string();
    agent.aws_task(&guide.aws).env("PROMETHEUS_CONFIG_CONTENT", &fast_scrape(&dir))
}

fn popular(guide: &Guide) -> Vec<Value> {
    guide.aws.documents().into_iter().filter(|document| document["path"] == "/popular/category").collect()
}

async fn wait_for_all_tasks(guide: &Guide) {
    wait_until("two events of each task", PATIENCE, || {
        let events = popular(guide);
        let enough = |task: &str| events.iter().filter(|event| event["TaskId"] == *task).count() >= 2;
        ["ec2-1", "ec2-2", "fargate-1", "fargate-2"].into_iter().all(enough).then_some(())
    })
    .await;
}

/// Checks an event of `/popular/category` against the guide's, but for what stands for time and place.
fn assert_is_the_guides(event: &Value, guide: &Guide) {
    let mut expected: Value = serde_json::from_str(EVENT).unwrap();
    let task = event["TaskId"].as_str().unwrap();
    let app = guide.apps.iter().find(|app| app.task == task).unwrap();
    let (revision, launch) = if task.starts_with("ec2") { ("4", "EC2") } else { ("5", "FARGATE") };
    expected["LaunchType"] = json!(launch);
    expected["TaskRevision"] = json!(revision);
    expected["TaskDefinitionFamily"] = json!("BackendTask");
    expected["instance"] = json!(app.target.addr().to_string());
    expected["http_requests_total"] = json!(STEADY_REQUESTS);
    expected["Timestamp"] = event["Timestamp"].clone();
    let mut actual = event.clone();
    for label in SINCE {
        let value = actual.as_object_mut().unwrap().remove(label);
        let is_of_host = ["InstanceType", "SubnetId", "VpcId"].contains(&label);
        assert_eq!(value.is_some(), !is_of_host || launch == "EC2", "{label} in {event}");
    }
    assert_eq!(actual, expected);
    assert!(event["Timestamp"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_configs_give_the_guides_event_on_ec2_and_fargate() {
    let guide = Guide::start(Traffic::Steady).await;
    let agent = in_the_task(Agent::with_args([""; 0]), &guide);
    let dir = agent.dir().display().to_string();
    let mut agent = agent.own_metrics().env("CW_CONFIG_CONTENT", &fast_json(&dir)).start().await;
    agent.wait_log("the CloudWatch agent's env:CW_CONFIG_CONTENT").await;
    wait_for_all_tasks(&guide).await;
    assert!(agent.read_file("sd.yaml").unwrap().contains("job: backends"), "the result file is written, too");
    assert!(agent.stop().await.success());

    popular(&guide).iter().for_each(|event| assert_is_the_guides(event, &guide));
    let mut metrics: BTreeMap<String, u64> = BTreeMap::new();
    for event in guide.aws.events() {
        assert_eq!((event.group.as_str(), event.stream.as_str()), (LOG_GROUP, "backends"));
        for datum in extract(&event.message).unwrap() {
            *metrics.entry(datum.metric.to_string()).or_default() += 1;
        }
        // The order of the published sample, which no parser shows.
        if event.json()["path"] == "/popular/category" {
            let start = format!(
                "{{\"CloudWatchMetrics\":[{{\"Metrics\":[{{\"Name\":\"http_requests_total\"}}],\"Dimensions\":[[\"ClusterName\",\"TaskGroup\"]],\"Namespace\":\"{NAMESPACE}\"}}],\"ClusterName\":"
            );
            assert!(event.message.starts_with(&start), "{}", event.message);
        }
    }
    assert_eq!(metrics.len(), 1, "{metrics:?}");
    // Histograms and what a scrape says about itself are no events; gauges are events without metrics.
    let documents = guide.aws.documents();
    assert!(documents.iter().any(|d| d.get("go_goroutines").is_some() && d.get("CloudWatchMetrics").is_none()));
    for name in ["up", "http_request_duration_seconds", "http_request_duration_seconds_count"] {
        assert!(documents.iter().all(|document| document.get(name).is_none()), "{name}");
    }
    assert_eq!(guide.bystander.target.scrapes(), 0);
}

/// Destination and document of every event after this number, without times and without the gauge that moves.
fn shapes(guide: &Guide, after: u64) -> BTreeSet<String> {
    let shape = |event: &LogEvent| {
        let mut document = event.json();
        for moving in ["Timestamp", "go_goroutines"] {
            if let Some(value) = document.get_mut(moving) {
                *value = Value::Null;
            }
        }
        format!("{} {} {document}", event.group, event.stream)
    };
    guide.aws.events_after(after).iter().map(shape).collect()
}

/// Runs an agent until every task gave two events, and stops it.
async fn run_to_all_tasks(agent: AgentBuilder, guide: &Guide) -> BTreeSet<String> {
    let before = guide.aws.accepted_events();
    let mut agent = agent.start().await;
    wait_until("two events of each task", PATIENCE, || {
        let events: Vec<Value> = guide.aws.events_after(before).iter().map(LogEvent::json).collect();
        let of =
            |task: &str| events.iter().filter(|e| e["TaskId"] == *task && e["path"] == "/popular/category").count();
        ["ec2-1", "ec2-2", "fargate-1", "fargate-2"].into_iter().all(|task| of(task) >= 2).then_some(())
    })
    .await;
    assert!(agent.stop().await.success());
    shapes(guide, before)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_translation_behaves_the_same() {
    let guide = Guide::start(Traffic::Steady).await;
    let agent = in_the_task(Agent::with_args([""; 0]), &guide).own_metrics();
    let dir = agent.dir().display().to_string();
    let of_json = run_to_all_tasks(agent.env("CW_CONFIG_CONTENT", &fast_json(&dir)), &guide).await;
    assert!(of_json.len() >= 4 * 4, "three paths and a gauge of four tasks: {of_json:#?}");

    let agent = Agent::with_args(["translate", "cwagent.json"]);
    let dir = agent.dir().display().to_string();
    let output = in_the_task(agent.file("cwagent.json", &fast_json(&dir)), &guide).run().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let yaml = String::from_utf8(output.stdout).unwrap();
    for line in
        ["timeout: \"1s\"  # logs.force_flush_interval", "ClusterName: ecs-sarathy-cluster  # cluster of this task"]
    {
        assert!(yaml.contains(line), "{line:?} is missing in\n{yaml}");
    }
    assert_eq!(run_to_all_tasks(Agent::with_config(&yaml).aws_task(&guide.aws), &guide).await, of_json);
    popular(&guide).iter().for_each(|event| assert_is_the_guides(event, &guide));
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_goes_through_the_proxy_of_the_environment() {
    let guide = Guide::start(Traffic::Steady).await;
    let agent = in_the_task(Agent::with_args([""; 0]), &guide).own_metrics();
    let dir = agent.dir().display().to_string();
    // Nobody knows this name; the scripted AWS is the proxy, and reachable without one for all else.
    let agent = agent
        .env("AWS_ENDPOINT_URL_ECS", "http://ecs.us-west-2.invalid")
        .env("HTTP_PROXY", &guide.aws.url())
        .env("NO_PROXY", "127.0.0.1")
        .env("CW_CONFIG_CONTENT", &fast_json(&dir))
        .start()
        .await;
    wait_for_all_tasks(&guide).await;
    let calls = guide.aws.calls_of("ListTasks");
    assert!(calls.iter().all(|call| call.headers["host"] == "ecs.us-west-2.invalid"));
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_as_printed_lacks_a_comma() {
    let guide = Guide::start(Traffic::Steady).await;
    for args in [["validate", "--config=cwagent.json"], ["translate", "cwagent.json"]] {
        let agent = Agent::with_args(args).file("cwagent.json", AS_PRINTED);
        let output = in_the_task(agent, &guide).run().await;
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        for expected in [
            "Under path : /logs/metrics_collected/prometheus | Error : unable to parse json, error: a comma is missing",
            "cwagent.json:5:83",
            "\"log_group_name\":\"/aws/ecs/containerinsights/{ClusterName}/prometheus\"\n",
            "put a comma at the end of line 5",
        ] {
            assert!(shown.contains(expected), "{expected:?} is missing in\n{shown}");
        }
    }
}
