//! What ECS and EC2 said in one round, in our own words: the input of [`super::targets::discover`].
//! It knows nothing of how the answers were fetched and decides nothing about targets.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// One cluster as it looked in one round.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Cluster name as it is written to labels: as configured, or the short name from the task metadata.
    pub cluster_name: String,
    /// The cluster's tasks in the order in which ECS listed them.
    pub tasks: Vec<Task>,
    /// Task definitions by ARN with revision.
    pub definitions: HashMap<String, Lookup<Definition>>,
    /// EC2 instances by container instance ARN.
    pub instances: HashMap<String, Lookup<Instance>>,
    /// Ids of deployments and task sets by which services start tasks.
    pub services: Services,
}

/// The answer to one question: there, not there, or the question could not be asked.
#[derive(Debug, Clone)]
pub enum Lookup<T> {
    /// The service answered.
    Found(Arc<T>),
    /// The service answered that it does not exist, with its words.
    Missing(String),
    /// The call failed, so nothing is known this time.
    Failed(String),
}

/// Which service started a task, by the id in the task's `startedBy`.
#[derive(Debug, Clone)]
pub enum Services {
    /// Deployment id or task set id to service name.
    Known(HashMap<String, String>),
    /// The services could not be read, for this reason.
    Failed(String),
}

impl Default for Services {
    fn default() -> Self {
        Services::Known(HashMap::new())
    }
}

/// A task from `DescribeTasks`.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// `taskArn`.
    pub arn: String,
    /// `taskDefinitionArn`, with revision.
    pub definition_arn: String,
    /// `containerInstanceArn`, absent on Fargate.
    pub container_instance_arn: Option<String>,
    /// `launchType`: `EC2`, `FARGATE`, `EXTERNAL`, `MANAGED_INSTANCES` or empty.
    pub launch_type: String,
    /// `group`: `service:NAME`, `family:NAME` or what the caller of `RunTask` chose.
    pub group: String,
    /// `startedBy`: a deployment id, a task set id or the caller's text.
    pub started_by: String,
    /// `healthStatus`: `HEALTHY`, `UNHEALTHY`, `UNKNOWN` or empty.
    pub health_status: String,
    /// Tags in the order of the answer.
    pub tags: Vec<(String, String)>,
    /// Private IPv4 address of the task's own network interface (`awsvpc`).
    pub interface_ipv4: Option<String>,
    /// IPv6 address of the task's own network interface.
    pub interface_ipv6: Option<String>,
    /// Running containers.
    pub containers: Vec<RunningContainer>,
}

/// A container of a running task.
#[derive(Debug, Clone, Default)]
pub struct RunningContainer {
    /// `name`, the same as in the definition.
    pub name: String,
    /// `networkBindings`.
    pub bindings: Vec<Binding>,
}

/// A port of the host that leads to a container port (bridge networking).
#[derive(Debug, Clone)]
pub struct Binding {
    /// Container ports; one port unless the task definition maps a range.
    pub container_ports: RangeInclusive<i32>,
    /// Host port of the first container port.
    pub first_host_port: i32,
    /// Whether this is a TCP binding; nobody serves metrics over UDP.
    pub tcp: bool,
    /// Whether the host side listens on an IPv6 address.
    pub ipv6: bool,
}

/// A task definition revision; it never changes.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// `family`.
    pub family: String,
    /// `revision`.
    pub revision: Option<i32>,
    /// How its tasks reach the network.
    pub network_mode: NetworkMode,
    /// Container definitions in their order.
    pub containers: Vec<ContainerDefinition>,
}

/// A container of a task definition.
#[derive(Debug, Clone, Default)]
pub struct ContainerDefinition {
    /// `name`.
    pub name: String,
    /// `portMappings` in their order.
    pub ports: Vec<PortMapping>,
    /// `dockerLabels`, sorted by key.
    pub docker_labels: Vec<(String, String)>,
}

impl ContainerDefinition {
    /// The value of a docker label.
    pub fn docker_label(&self, key: &str) -> Option<&str> {
        self.docker_labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// A declared port of a container.
#[derive(Debug, Clone)]
pub struct PortMapping {
    /// Container ports; one port unless a `containerPortRange` is declared.
    pub container_ports: RangeInclusive<i32>,
    /// `hostPort`; absent or 0 means "same" (awsvpc, host) or "any" (bridge).
    pub host_port: Option<i32>,
}

/// `networkMode` of a task definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkMode {
    /// `bridge`, not set, or `default` (Windows NAT): the host's address and a bound port.
    #[default]
    Bridge,
    /// `host`: the host's address and the container's port.
    Host,
    /// `awsvpc`: the task's own address and the container's port.
    Awsvpc,
    /// `none` or a mode that we do not know: unreachable.
    None,
}

impl NetworkMode {
    /// Reads ECS's text.
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "bridge" | "default" => NetworkMode::Bridge,
            "host" => NetworkMode::Host,
            "awsvpc" => NetworkMode::Awsvpc,
            _ => NetworkMode::None,
        }
    }

    /// ECS's text, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkMode::Bridge => "bridge",
            NetworkMode::Host => "host",
            NetworkMode::Awsvpc => "awsvpc",
            NetworkMode::None => "none",
        }
    }
}

/// An EC2 instance from `DescribeInstances`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instance {
    /// `instanceId`.
    pub id: String,
    /// `instanceType`.
    pub instance_type: String,
    /// `vpcId`.
    pub vpc_id: String,
    /// `subnetId`.
    pub subnet_id: String,
    /// `privateIpAddress`; empty on an IPv6-only instance.
    pub private_ip: String,
    /// `ipv6Address`, or the first one of its network interfaces.
    pub ipv6: String,
    /// `ipAddress`, the public address.
    pub public_ip: String,
    /// Tags in the order of the answer.
    pub tags: Vec<(String, String)>,
}

impl Task {
    /// Whether the host of this task is an EC2 instance that EC2 can be asked about. The reference asks for launch
    /// type `EC2` only; a managed instance is asked about when nothing else can give the address.
    pub fn needs_instance(&self, definition: Option<&Definition>) -> bool {
        if self.container_instance_arn.is_none() {
            return false;
        }
        match self.launch_type.as_str() {
            "EC2" => true,
            "MANAGED_INSTANCES" => {
                definition.is_some_and(|d| matches!(d.network_mode, NetworkMode::Bridge | NetworkMode::Host))
            }
            _ => false,
        }
    }

    /// The service of a task by its group, `service:NAME`. ECS sets it on every task that a service starts,
    /// whichever deployment controller does it.
    pub fn service_of_group(&self) -> Option<&str> {
        if self.started_by.is_empty() {
            return None;
        }
        self.group.strip_prefix("service:").filter(|name| !name.is_empty())
    }
}
