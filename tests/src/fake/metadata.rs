//! The two endpoints that ECS puts beside a container: task metadata version 4 and container credentials.

use super::Refusal;
use super::signature::Key;
use super::sts::{issue, rfc3339};
use super::world::{ACCOUNT, Metadata, REGION, World};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Path below which metadata is answered; `ECS_CONTAINER_METADATA_URI_V4` is the server's URL with it.
pub(crate) const METADATA_PATH: &str = "/v4/fake-container";
/// Path of the credentials; `AWS_CONTAINER_CREDENTIALS_FULL_URI` is the server's URL with it.
pub(crate) const CREDENTIALS_PATH: &str = "/v2/credentials/fake-role";

/// Answers a metadata document by what follows [`METADATA_PATH`].
pub(crate) fn metadata(world: &World, path: &str) -> Result<Value, Refusal> {
    let made_up;
    let documents = match &world.metadata {
        Some(documents) => documents,
        None => {
            made_up = fargate_task("default", "agent");
            &made_up
        }
    };
    let document = match path {
        "" | "/" => &documents.container,
        "/task" | "/taskWithTags" => &documents.task,
        "/stats" => &documents.stats,
        "/task/stats" => &documents.task_stats,
        _ => return Err(Refusal::new(404, "NotFound", "unknown metadata path")),
    };
    if document.is_null() {
        return Err(Refusal::new(500, "NoDocument", "the world has no such metadata document"));
    }
    Ok(document.clone())
}

/// Gives out credentials of the task role.
pub(crate) fn credentials(keys: &mut Vec<Key>) -> Value {
    let key = issue(keys, &format!("TASK{}", keys.len()), Duration::from_secs(6 * 3600));
    json!({
        "RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/task"),
        "AccessKeyId": key.id, "SecretAccessKey": key.secret, "Token": key.token,
        "Expiration": rfc3339(key.expires.unwrap_or(SystemTime::UNIX_EPOCH)),
    })
}

/// Metadata of a Fargate task with one container, this one, in the given cluster.
pub fn fargate_task(cluster: &str, family: &str) -> Metadata {
    let cluster_arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}");
    let task_arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/0123456789abcdef0123456789abcdef");
    let container = json!({
        "DockerId": "0123456789abcdef0123456789abcdef-1", "Name": family, "DockerName": family,
        "Image": "otelcol-ecs:1", "ImageID": "sha256:1",
        "Labels": {
            "com.amazonaws.ecs.cluster": cluster_arn, "com.amazonaws.ecs.container-name": family,
            "com.amazonaws.ecs.task-arn": task_arn, "com.amazonaws.ecs.task-definition-family": family,
            "com.amazonaws.ecs.task-definition-version": "1",
        },
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Limits": {"CPU": 256, "Memory": 512},
        "CreatedAt": "2026-01-01T00:00:00Z", "StartedAt": "2026-01-01T00:00:01Z", "Type": "NORMAL",
        "ContainerARN": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:container/{cluster}/1"),
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.0.9"]}],
    });
    let task = json!({
        "Cluster": cluster_arn, "TaskARN": task_arn, "Family": family, "Revision": "1",
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Limits": {"CPU": 0.25, "Memory": 512},
        "PullStartedAt": "2026-01-01T00:00:00Z", "PullStoppedAt": "2026-01-01T00:00:01Z",
        "AvailabilityZone": format!("{REGION}a"), "LaunchType": "FARGATE", "Containers": [container],
    });
    let stats = json!({
        "read": "2026-01-01T00:01:10Z", "preread": "2026-01-01T00:01:00Z",
        "cpu_stats": {
            "cpu_usage": {"total_usage": 2_000_000_000u64, "usage_in_kernelmode": 500_000_000, "usage_in_usermode": 1_500_000_000},
            "system_cpu_usage": 90_000_000_000u64, "online_cpus": 2,
        },
        "precpu_stats": {"cpu_usage": {"total_usage": 1_000_000_000}, "online_cpus": 2},
        "memory_stats": {"usage": 20_000_000, "limit": 536_870_912, "stats": {"inactive_file": 1_000_000}},
    });
    let task_stats = json!({ "0123456789abcdef0123456789abcdef-1": stats });
    Metadata { container, task, stats, task_stats }
}
