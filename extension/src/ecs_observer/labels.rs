//! The labels of a target in the two dialects, from the same facts. It decides names and values only.

use std::collections::BTreeMap;

use super::matcher::{Candidate, Dialect};
use super::world::{ContainerDefinition, Definition, Instance, Task};

/// Labels of one target, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// Path of a target that names none.
pub const DEFAULT_PATH: &str = "/metrics";

/// Everything that labels are made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Cluster name as it is written.
    pub cluster_name: &'a str,
    /// The task.
    pub task: &'a Task,
    /// Its definition.
    pub definition: &'a Definition,
    /// The container of the definition.
    pub container: &'a ContainerDefinition,
    /// The EC2 instance under it.
    pub instance: Option<&'a Instance>,
    /// Its service, if a matcher asks for that service.
    pub service: Option<&'a str>,
    /// The address chosen for the task.
    pub ip: &'a str,
    /// The wanted port.
    pub candidate: Candidate<'a>,
}

/// The labels in the given dialect.
pub fn labels(dialect: &Dialect, facts: &Facts<'_>) -> Labels {
    match dialect {
        Dialect::Observer { job_label } => observer(job_label, facts),
        Dialect::CloudWatchAgent => cloudwatch_agent(facts),
    }
}

/// `ecs_observer`'s table. Task, container and definition labels are written even when empty; service, job and EC2
/// labels are left out when empty. Of two keys that become one name, the first in byte order wins.
fn observer(job_label: &str, facts: &Facts<'_>) -> Labels {
    let Facts { task, definition, container, .. } = facts;
    let revision = definition.revision.unwrap_or(0).to_string();
    let path = if facts.candidate.path.is_empty() { DEFAULT_PATH } else { facts.candidate.path };
    let mut out = Labels::new();
    for (name, value) in [
        ("__meta_ecs_source", task.arn.as_str()),
        ("__metrics_path__", path),
        ("__meta_ecs_cluster_name", facts.cluster_name),
        ("__meta_ecs_task_definition_family", &definition.family),
        ("__meta_ecs_task_definition_revision", &revision),
        ("__meta_ecs_task_started_by", &task.started_by),
        ("__meta_ecs_task_launch_type", &task.launch_type),
        ("__meta_ecs_task_group", &task.group),
        ("__meta_ecs_container_name", &container.name),
        ("__meta_ecs_health_status", &task.health_status),
    ] {
        out.insert(name.to_owned(), value.to_owned());
    }
    put_some(&mut out, "__meta_ecs_service_name", facts.service.unwrap_or(""));
    put_some(&mut out, job_label, facts.candidate.job);
    put_keys(&mut out, "__meta_ecs_task_tags_", &task.tags);
    put_keys(&mut out, "__meta_ecs_container_labels_", &container.docker_labels);
    if let Some(host) = facts.instance {
        put_some(&mut out, "__meta_ecs_ec2_instance_id", &host.id);
        put_some(&mut out, "__meta_ecs_ec2_instance_type", &host.instance_type);
        put_some(&mut out, "__meta_ecs_ec2_vpc_id", &host.vpc_id);
        put_some(&mut out, "__meta_ecs_ec2_subnet_id", &host.subnet_id);
        // The task's address, not the instance's, also for awsvpc: dashboards depend on it.
        put_some(&mut out, "__meta_ecs_ec2_private_ip", facts.ip);
        put_some(&mut out, "__meta_ecs_ec2_public_ip", &host.public_ip);
        put_keys(&mut out, "__meta_ecs_ec2_tags_", &host.tags);
    }
    out
}

/// The CloudWatch agent's table, in its order of writing: a later label of the same name wins, empty ones are not
/// written, docker labels whose key is not a label name are left out.
fn cloudwatch_agent(facts: &Facts<'_>) -> Labels {
    let Facts { task, definition, container, candidate, .. } = facts;
    let revision = definition.revision.map(|r| r.to_string()).unwrap_or_default();
    let (cluster, id) = task_arn_parts(&task.arn);
    let mut out = Labels::new();
    put_some(&mut out, "container_name", &container.name);
    put_some(&mut out, "TaskDefinitionFamily", &definition.family);
    put_some(&mut out, "TaskRevision", &revision);
    put_some(&mut out, "TaskGroup", &task.group);
    put_some(&mut out, "StartedBy", &task.started_by);
    put_some(&mut out, "LaunchType", &task.launch_type);
    put_some(&mut out, "TaskClusterName", cluster);
    put_some(&mut out, "TaskId", id);
    if let Some(host) = facts.instance {
        put_some(&mut out, "InstanceType", &host.instance_type);
        put_some(&mut out, "VpcId", &host.vpc_id);
        put_some(&mut out, "SubnetId", &host.subnet_id);
    }
    put_some(&mut out, "__metrics_path__", candidate.path);
    for (key, value) in container.docker_labels.iter().filter(|(key, _)| is_label_name(key)) {
        put_some(&mut out, key, value);
    }
    put_some(&mut out, "job", candidate.job);
    if candidate.by_service {
        put_some(&mut out, "ServiceName", facts.service.unwrap_or(""));
    }
    out
}

fn put_some(out: &mut Labels, name: &str, value: &str) {
    if !value.is_empty() {
        out.insert(name.to_owned(), value.to_owned());
    }
}

fn put_keys(out: &mut Labels, prefix: &str, pairs: &[(String, String)]) {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort();
    for (key, value) in pairs {
        out.entry(format!("{prefix}{}", sanitise(key))).or_insert_with(|| value.clone());
    }
}

/// Every character outside `[a-zA-Z0-9_]` becomes one `_`.
fn sanitise(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// `^[a-zA-Z_][a-zA-Z0-9_]*$`.
fn is_label_name(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Cluster and id from `…:task/CLUSTER/ID`; the short form `…:task/ID` has no cluster.
fn task_arn_parts(arn: &str) -> (&str, &str) {
    let Some((_, resource)) = arn.split_once(":task/") else { return ("", "") };
    resource.split_once('/').unwrap_or(("", resource))
}
