//! The main story: the AWS guide's tasks are found on EC2 and Fargate, scraped, selected and published as the guide's
//! event and metric.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::agent::PATIENCE;
use tests::fake::cloudwatch::extract;
use tests::guide::{CLUSTER, CONFIG, Guide, LOG_GROUP, NAMESPACE, STEADY_REQUESTS, Traffic};
use tests::{Agent, wait_until};

/// The demo's config at a test's pace.
fn config() -> String {
    let fast = CONFIG
        .replace("scrape_interval: 2s", "scrape_interval: 300ms")
        .replace("scrape_timeout: 1s", "scrape_timeout: 300ms");
    assert_ne!(fast, CONFIG);
    fast
}

/// The event of one path of one task, without what differs each time.
fn expected(task: &str, revision: &str, launch: &str) -> Value {
    json!({
        "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [["ClusterName", "TaskGroup"]],
            "Metrics": [{"Name": "http_requests_total", "Unit": "", "StorageResolution": 60}],
        }],
        "ClusterName": CLUSTER,
        "LaunchType": launch,
        "OTelLib": "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver",
        "StartedBy": "ecs-svc/4964126209508453538",
        "TaskDefinitionFamily": "BackendTask",
        "TaskGroup": "service:BackendService",
        "TaskId": task,
        "TaskRevision": revision,
        "Version": "0",
        "container_name": "go-backend",
        "exported_job": "storebackend",
        "http_requests_total": STEADY_REQUESTS,
        "job": "backends",
        "path": "/popular/category",
        "prom_metric_type": "counter",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_on_ec2_and_fargate_become_the_guides_metric() {
    let guide = Guide::start(Traffic::Steady).await;
    let mut agent = Agent::with_config(&config()).aws(&guide.aws).own_metrics().start().await;
    let popular = || -> Vec<Value> {
        guide.aws.documents().into_iter().filter(|document| document["path"] == "/popular/category").collect()
    };
    let tasks = ["ec2-1", "ec2-2", "fargate-1", "fargate-2"];
    wait_until("two events of each task", PATIENCE, || {
        let events = popular();
        let enough = |task: &&str| events.iter().filter(|event| event["TaskId"] == **task).count() >= 2;
        tasks.iter().all(enough).then_some(())
    })
    .await;
    assert!(agent.stop().await.success());

    for mut event in popular() {
        let task = event["TaskId"].as_str().unwrap().to_owned();
        let timestamp = event.as_object_mut().unwrap().remove("Timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000, "{timestamp}");
        let launch = if task.starts_with("ec2") { ("4", "EC2") } else { ("5", "FARGATE") };
        assert_eq!(event, expected(&task, launch.0, launch.1));
    }
    // Sixteen events or more, one metric: three paths of four tasks under the same dimensions.
    let mut metrics: BTreeMap<String, u64> = BTreeMap::new();
    for event in guide.aws.events() {
        assert_eq!((event.group.as_str(), event.stream.as_str()), (LOG_GROUP, "otelcol-ecs"));
        for datum in extract(&event.message).unwrap() {
            *metrics.entry(datum.metric.to_string()).or_default() += 1;
        }
    }
    let names: Vec<_> = metrics.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["ECS/ContainerInsights/Prometheus http_requests_total \
          {ClusterName=ecs-sarathy-cluster, TaskGroup=service:BackendService}"]
    );
    // What no declaration selects is logged, not published; the other family is not even scraped.
    assert!(guide.aws.documents().iter().any(|document| document.get("go_goroutines").is_some()));
    assert_eq!(guide.bystander.target.scrapes(), 0);
    let used: BTreeSet<String> = guide.aws.calls().into_iter().map(|call| call.op).collect();
    for op in ["ListTasks", "DescribeTasks", "DescribeTaskDefinition", "DescribeContainerInstances"] {
        assert!(used.contains(op), "{used:?}");
    }
    for call in guide.aws.calls() {
        let created_lazily = call.code.as_deref() == Some("ResourceNotFoundException");
        assert!(call.succeeded() || created_lazily, "{} was refused: {:?}", call.op, call.code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_task_keys_cluster_and_region_come_from_the_surroundings() {
    let guide = Guide::start(Traffic::Steady).await;
    guide.aws.change(|world| world.metadata = Some(tests::fake::fargate_task(CLUSTER, "agent")));
    // Neither the extension nor the exporter names the region, nor the extension the cluster.
    let config = config()
        .replace("    cluster_name: ecs-sarathy-cluster\n", "")
        .replace("    cluster_region: us-west-2\n", "")
        .replace("    region: us-west-2\n", "");
    let agent = Agent::with_config(&config).aws_task(&guide.aws).start().await;
    wait_until("an event", PATIENCE, || (guide.aws.accepted_events() > 0).then_some(())).await;
    assert!(guide.aws.count("GetCredentials") > 0);
    assert!(guide.aws.calls_of("ListTasks")[0].signature.as_ref().unwrap().access_key.starts_with("ASIAFAKE"));
    drop(agent);
}
