//! Answers ECS' read operations from a world: paging and per-call limits as the service has them. Writes nothing.

use super::world::{ACCOUNT, Cluster, REGION, World, last_segment};
use super::{Refusal, to_json};
use serde_json::{Value, json};

/// Most items of a page and of a describe call, except services.
const PAGE: usize = 100;
/// Most services of one `DescribeServices`, and the page of `ListServices` when the caller does not say.
const SERVICES: usize = 10;

/// Answers one operation.
pub(crate) fn answer(world: &World, op: &str, body: &Value) -> Result<Value, Refusal> {
    match op {
        "ListClusters" => page(world.clusters.keys().map(|name| cluster_arn(name)), body, "clusterArns", PAGE),
        "DescribeClusters" => describe_clusters(world, body),
        "ListTasks" => list_tasks(cluster(world, body)?, body),
        "DescribeTasks" => {
            let cluster = cluster(world, body)?;
            let items = cluster.tasks.iter().map(|task| (task.task_arn.as_str(), to_json(task)));
            describe(items, body, "tasks", "Tasks", PAGE)
        }
        "ListServices" => {
            let arns = cluster(world, body)?.services.iter().map(|service| service.service_arn.clone());
            let size = if body.get("maxResults").is_some() { PAGE } else { SERVICES };
            page(arns, body, "serviceArns", size)
        }
        "DescribeServices" => {
            let cluster = cluster(world, body)?;
            let items = cluster.services.iter().map(|service| (service.service_arn.as_str(), to_json(service)));
            describe(items, body, "services", "Services", SERVICES)
        }
        "ListContainerInstances" => {
            let members = cluster(world, body)?.container_instances.iter();
            page(members.map(|member| member.container_instance_arn.clone()), body, "containerInstanceArns", PAGE)
        }
        "DescribeContainerInstances" => {
            let cluster = cluster(world, body)?;
            let members = cluster.container_instances.iter();
            let items = members.map(|member| (member.container_instance_arn.as_str(), to_json(member)));
            describe(items, body, "containerInstances", "Container instance ids", PAGE)
        }
        "DescribeTaskDefinition" => describe_task_definition(world, body),
        _ => Err(Refusal::new(400, "UnknownOperationException", op)),
    }
}

fn cluster_arn(name: &str) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{name}")
}

/// The cluster a call names by name or ARN; `default` when it names none.
fn cluster<'a>(world: &'a World, body: &Value) -> Result<&'a Cluster, Refusal> {
    let name = last_segment(body["cluster"].as_str().unwrap_or("default"));
    world.clusters.get(name).ok_or_else(|| Refusal::new(400, "ClusterNotFoundException", "Cluster not found."))
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "InvalidParameterException", message)
}

/// One page of a list operation; the token is the position of the next item.
fn page(items: impl Iterator<Item = String>, body: &Value, key: &str, most: usize) -> Result<Value, Refusal> {
    let start: usize = match body["nextToken"].as_str() {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("Invalid token."))?,
    };
    let size = match body.get("maxResults").filter(|size| !size.is_null()) {
        None => most,
        Some(size) => match size.as_u64() {
            Some(size @ 1..=100) => most.min(size as usize),
            _ => return Err(invalid("maxResults must be between 1 and 100.")),
        },
    };
    let items: Vec<String> = items.collect();
    let end = items.len().min(start + size);
    let mut answer = json!({ key: items.get(start..end).ok_or_else(|| invalid("Invalid token."))? });
    if end < items.len() {
        answer["nextToken"] = json!(end.to_string());
    }
    Ok(answer)
}

fn list_tasks(cluster: &Cluster, body: &Value) -> Result<Value, Refusal> {
    let wanted = |key: &str| body[key].as_str().map(last_segment);
    let status = wanted("desiredStatus").unwrap_or("RUNNING");
    let group = wanted("serviceName").map(|name| format!("service:{name}"));
    let tasks = cluster.tasks.iter().filter(|task| {
        let desired = task.desired_status.as_deref().or(task.last_status.as_deref()).unwrap_or("RUNNING");
        let family = task.task_definition_arn.as_deref().map(|arn| last_segment(arn).split(':').next());
        let instance = task.container_instance_arn.as_deref().map(last_segment);
        desired == status
            && group.as_ref().is_none_or(|group| task.group.as_ref() == Some(group))
            && wanted("family").is_none_or(|wanted| family == Some(Some(wanted)))
            && wanted("launchType").is_none_or(|wanted| task.launch_type.as_deref() == Some(wanted))
            && wanted("containerInstance").is_none_or(|wanted| instance == Some(wanted))
            && body["startedBy"].as_str().is_none_or(|wanted| task.started_by.as_deref() == Some(wanted))
    });
    page(tasks.map(|task| task.task_arn.clone()), body, "taskArns", PAGE)
}

/// A describe operation: what is not found is reported as a failure, not as an error.
fn describe<'a>(
    items: impl Iterator<Item = (&'a str, Value)>,
    body: &Value,
    key: &str,
    name: &str,
    most: usize,
) -> Result<Value, Refusal> {
    let wanted: Vec<&str> = body[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if wanted.is_empty() {
        return Err(invalid(&format!("{name} cannot be empty.")));
    }
    if wanted.len() > most {
        return Err(invalid(&format!("{name} cannot have more than {most} elements.")));
    }
    let tags = includes_tags(body);
    let known: Vec<(&str, Value)> = items.collect();
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for wanted in wanted {
        match known.iter().find(|(arn, _)| last_segment(arn) == last_segment(wanted)) {
            Some((_, item)) => {
                let mut item = item.clone();
                if let (false, Some(item)) = (tags, item.as_object_mut()) {
                    item.remove("tags");
                }
                found.push(item);
            }
            None => failures.push(json!({"arn": wanted, "reason": "MISSING"})),
        }
    }
    Ok(json!({ key: found, "failures": failures }))
}

fn includes_tags(body: &Value) -> bool {
    body["include"].as_array().into_iter().flatten().any(|what| what == "TAGS")
}

fn describe_clusters(world: &World, body: &Value) -> Result<Value, Refusal> {
    let asked: Vec<&str> = body["clusters"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let asked = if asked.is_empty() { vec!["default"] } else { asked };
    if asked.len() > PAGE {
        return Err(invalid("Clusters cannot have more than 100 elements."));
    }
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        asked.iter().partition(|name| world.clusters.contains_key(last_segment(name)));
    let describe = |name: &&str| {
        let name = last_segment(name);
        let cluster = &world.clusters[name];
        json!({
            "clusterArn": cluster_arn(name), "clusterName": name, "status": "ACTIVE",
            "runningTasksCount": cluster.tasks.len(), "activeServicesCount": cluster.services.len(),
            "registeredContainerInstancesCount": cluster.container_instances.len(),
        })
    };
    let failures: Vec<Value> =
        unknown.iter().map(|name| json!({"arn": cluster_arn(last_segment(name)), "reason": "MISSING"})).collect();
    Ok(json!({"clusters": known.iter().map(describe).collect::<Vec<_>>(), "failures": failures}))
}

/// By ARN, by `family:revision`, or by family for its highest revision.
fn describe_task_definition(world: &World, body: &Value) -> Result<Value, Refusal> {
    let name = body["taskDefinition"].as_str().unwrap_or_default();
    let revision = |arn: &str| arn.rsplit(':').next().and_then(|number| number.parse::<u64>().ok());
    let found = world
        .task_definitions
        .iter()
        .filter(|(arn, _)| {
            let short = last_segment(arn);
            name == arn.as_str() || name == short || short.rsplit_once(':').is_some_and(|(family, _)| name == family)
        })
        .max_by_key(|(arn, _)| revision(arn));
    match found {
        Some((_, definition)) => {
            let mut definition = to_json(definition);
            let tags = definition.as_object_mut().and_then(|fields| fields.remove("tags"));
            let tags = if includes_tags(body) { tags.unwrap_or(json!([])) } else { json!([]) };
            Ok(json!({"taskDefinition": definition, "tags": tags}))
        }
        None => Err(Refusal::new(400, "ClientException", "Unable to describe task definition.")),
    }
}
