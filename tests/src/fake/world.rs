//! What the scripted AWS knows: clusters, tasks, services, definitions, instances, roles. Plain data in the JSON that
//! the AWS APIs use, so that a recorded world loads as it is; fields that nobody here looks at are kept and answered.
//! How calls are answered from it is in `ecs`, `ec2` and `sts`.

use super::fault::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The account of every ARN made here.
pub const ACCOUNT: &str = "123456789012";
/// The region of every ARN made here.
pub const REGION: &str = "us-west-2";

/// Everything the scripted AWS answers from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// By short name.
    pub clusters: BTreeMap<String, Cluster>,
    /// By full ARN with revision.
    pub task_definitions: BTreeMap<String, TaskDefinition>,
    /// EC2 instances: what `DescribeInstances` answers, tags as an object.
    pub instances: Vec<Instance>,
    /// Roles that may be assumed, by ARN.
    pub roles: BTreeMap<String, Role>,
    /// What the task metadata endpoint answers; absent means that a plausible Fargate task is made up.
    pub metadata: Option<Metadata>,
    /// Faults in force from the start.
    pub faults: Vec<Fault>,
}

/// One ECS cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    /// In the order in which `ListTasks` answers them.
    pub tasks: Vec<Task>,
    /// In the order of `ListServices`.
    pub services: Vec<Service>,
    /// In the order of `ListContainerInstances`.
    pub container_instances: Vec<ContainerInstance>,
}

/// An ECS task, in ECS' own JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    /// Full ARN.
    pub task_arn: String,
    /// Full ARN of the definition with its revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition_arn: Option<String>,
    /// Absent on Fargate and before an EC2 task is placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_instance_arn: Option<String>,
    /// `RUNNING`, `PENDING`, `STOPPED`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_status: Option<String>,
    /// `RUNNING` or `STOPPED`; what `ListTasks` filters by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_status: Option<String>,
    /// `EC2`, `FARGATE`, `EXTERNAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    /// `service:NAME` or `family:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The deployment's id for a task of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// `[{"key": .., "value": ..}]`, answered only when `TAGS` are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Value>>,
    /// Everything else: attachments, containers, health, times.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An ECS service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// Full ARN; its last segment is the name.
    pub service_arn: String,
    /// Everything else: deployments, task sets, status.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An EC2 instance as a member of a cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerInstance {
    /// Full ARN.
    pub container_instance_arn: String,
    /// Everything else: `ec2InstanceId`, `status`.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A task definition with its revision.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskDefinition {
    /// Full ARN with revision.
    pub task_definition_arn: String,
    /// Everything else: family, revision, network mode, container definitions.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An EC2 instance: scalar fields become XML elements of the same name, objects and lists nest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Instance {
    /// `i-...`.
    pub instance_id: String,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
    /// `privateIpAddress`, `instanceType`, `vpcId`, ...
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A role that `AssumeRole` gives out credentials for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Demanded from the caller when present.
    pub external_id: Option<String>,
}

/// Documents of the task metadata endpoint, version 4.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// `${ECS_CONTAINER_METADATA_URI_V4}`.
    pub container: Value,
    /// `${ECS_CONTAINER_METADATA_URI_V4}/task`.
    pub task: Value,
    /// `${ECS_CONTAINER_METADATA_URI_V4}/stats`.
    pub stats: Value,
    /// `${ECS_CONTAINER_METADATA_URI_V4}/task/stats`.
    pub task_stats: Value,
}

/// Where a container listens: a port of the definition, and the host's port (0 in a definition: chosen at start).
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// Inside the container.
    pub container: u16,
    /// On the host.
    pub host: u16,
}

/// What to start with [`World::run`]: one container per task, which is what most stories need. Take the [`Task`] that
/// it returns and edit it for anything else.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Short name of the cluster.
    pub cluster: &'a str,
    /// Last segment of the task's ARN.
    pub id: &'a str,
    /// ARN that [`World::define`] returned.
    pub definition: &'a str,
    /// Container's name in the definition.
    pub container: &'a str,
    /// Name of the service it belongs to and the deployment that started it.
    pub service: Option<(&'a str, &'a str)>,
    /// Where it runs.
    pub place: Place<'a>,
}

/// Where a task runs and how it is reached.
#[derive(Clone, Debug)]
pub enum Place<'a> {
    /// On Fargate with an address of its own.
    Fargate {
        /// The task's private address.
        ip: &'a str,
    },
    /// On an instance in bridge mode: the host's port leads to the container's.
    Bridge {
        /// ARN that [`World::add_instance`] returned.
        container_instance: &'a str,
        /// The binding.
        port: Port,
    },
    /// On an instance in host mode.
    Host {
        /// ARN that [`World::add_instance`] returned.
        container_instance: &'a str,
    },
}

impl World {
    /// Reads a world from a recorded scenario.
    ///
    /// # Errors
    /// When the text is not JSON of this form.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The cluster of this name, made when missing.
    pub fn cluster(&mut self, name: &str) -> &mut Cluster {
        self.clusters.entry(name.to_owned()).or_default()
    }

    /// Registers a definition with one container per entry of `containers` (in ECS' JSON) and returns its ARN.
    pub fn define(&mut self, family: &str, revision: u32, network_mode: &str, containers: Vec<Value>) -> String {
        let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{revision}");
        let definition = json!({
            "taskDefinitionArn": arn, "family": family, "revision": revision, "networkMode": network_mode,
            "status": "ACTIVE", "containerDefinitions": containers,
        });
        let definition = serde_json::from_value(definition).expect("a definition of this module's own form");
        self.task_definitions.insert(arn.clone(), definition);
        arn
    }

    /// Adds an EC2 instance to a cluster and returns its container instance ARN.
    pub fn add_instance(&mut self, cluster: &str, instance_id: &str, private_ip: &str) -> String {
        let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/{cluster}/ci-{instance_id}");
        let member = json!({"containerInstanceArn": arn, "ec2InstanceId": instance_id, "status": "ACTIVE"});
        let member = serde_json::from_value(member).expect("a container instance of this module's own form");
        self.cluster(cluster).container_instances.push(member);
        let instance = json!({
            "instanceId": instance_id, "instanceType": "t3.small", "privateIpAddress": private_ip,
            "vpcId": "vpc-1", "subnetId": "subnet-1", "tags": {"Name": instance_id},
        });
        self.instances.push(serde_json::from_value(instance).expect("an instance of this module's own form"));
        arn
    }

    /// Adds a service whose primary deployment has this id (tasks name it in `startedBy`).
    pub fn add_service(&mut self, cluster: &str, name: &str, deployment: &str) {
        let service = json!({
            "serviceArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/{cluster}/{name}"), "serviceName": name,
            "clusterArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}"), "status": "ACTIVE",
            "deployments": [{"id": deployment, "status": "PRIMARY"}],
        });
        let service = serde_json::from_value(service).expect("a service of this module's own form");
        self.cluster(cluster).services.push(service);
    }

    /// Starts a running, healthy task and returns it for further editing.
    pub fn run(&mut self, run: Run<'_>) -> &mut Task {
        let task = running_task(&run);
        let tasks = &mut self.cluster(run.cluster).tasks;
        tasks.push(task);
        tasks.last_mut().expect("one was just pushed")
    }

    /// Stops a task: it disappears from `ListTasks`, as after its time in `STOPPED`. Unknown ids are ignored.
    pub fn stop(&mut self, cluster: &str, id: &str) {
        self.cluster(cluster).tasks.retain(|task| last_segment(&task.task_arn) != id);
    }
}

/// A container definition in ECS' JSON with one port mapping.
pub fn container(name: &str, port: Port) -> Value {
    json!({
        "name": name, "image": format!("{name}:latest"), "essential": true,
        "portMappings": [{"containerPort": port.container, "hostPort": port.host, "protocol": "tcp"}],
    })
}

/// What follows the last `/` of an ARN, or the whole text.
pub fn last_segment(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn running_task(run: &Run<'_>) -> Task {
    let mut container = json!({"name": run.container, "lastStatus": "RUNNING", "healthStatus": "HEALTHY"});
    let mut attachments = json!([]);
    let (launch_type, instance) = match run.place {
        Place::Fargate { ip } => {
            attachments = json!([{
                "id": "eni", "type": "ElasticNetworkInterface", "status": "ATTACHED",
                "details": [{"name": "subnetId", "value": "subnet-1"}, {"name": "privateIPv4Address", "value": ip}],
            }]);
            container["networkInterfaces"] = json!([{"attachmentId": "eni", "privateIpv4Address": ip}]);
            ("FARGATE", None)
        }
        Place::Bridge { container_instance, port } => {
            container["networkBindings"] = json!([{
                "bindIP": "0.0.0.0", "containerPort": port.container, "hostPort": port.host, "protocol": "tcp",
            }]);
            ("EC2", Some(container_instance))
        }
        Place::Host { container_instance } => ("EC2", Some(container_instance)),
    };
    let (group, started_by) = match run.service {
        Some((name, deployment)) => (format!("service:{name}"), Some(deployment)),
        None => (format!("family:{}", last_segment(run.definition).split(':').next().unwrap_or_default()), None),
    };
    let mut task = json!({
        "taskArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{}/{}", run.cluster, run.id),
        "clusterArn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{}", run.cluster),
        "taskDefinitionArn": run.definition, "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
        "healthStatus": "HEALTHY", "launchType": launch_type, "group": group,
        "attachments": attachments, "containers": [container],
    });
    if let Some(instance) = instance {
        task["containerInstanceArn"] = json!(instance);
    }
    if let Some(started_by) = started_by {
        task["startedBy"] = json!(started_by);
    }
    serde_json::from_value(task).expect("a task of this module's own form")
}
