//! Where a container port is reachable: one IP address per task and one host port per container port.
//! It looks only at the answers of ECS and EC2; nothing is connected to.

use std::fmt;

use super::world::{Binding, ContainerDefinition, Definition, Instance, NetworkMode, Task};

/// Why a task has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAddress {
    /// The network mode has none.
    Mode(&'static str),
    /// An `awsvpc` task whose network interface is not attached (yet).
    NoInterface,
    /// The host is not known to EC2, or the launch type has no EC2 instance.
    NoInstance {
        /// The task's launch type.
        launch_type: String,
    },
    /// EC2 knows the host, but it has no private address.
    HostWithoutAddress(String),
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAddress::Mode(mode) => write!(f, "private ip not found: network mode {mode} cannot be reached"),
            NoAddress::NoInterface => {
                f.write_str("private ip not found: the task has no network interface with an address yet")
            }
            NoAddress::NoInstance { launch_type } => {
                write!(f, "private ip not found: EC2 info not found for the host (launch type {launch_type:?})")
            }
            NoAddress::HostWithoutAddress(id) => {
                write!(f, "private ip not found: instance {id} has no private address")
            }
        }
    }
}

/// The address of a task: its own interface (`awsvpc`) or its host. IPv4 is preferred.
pub fn task_ip<'a>(
    task: &'a Task,
    definition: &Definition,
    instance: Option<&'a Instance>,
) -> Result<&'a str, NoAddress> {
    match definition.network_mode {
        NetworkMode::None => Err(NoAddress::Mode("none")),
        NetworkMode::Awsvpc => {
            task.interface_ipv4.as_deref().or(task.interface_ipv6.as_deref()).ok_or(NoAddress::NoInterface)
        }
        NetworkMode::Bridge | NetworkMode::Host => {
            let host = instance.ok_or_else(|| NoAddress::NoInstance { launch_type: task.launch_type.clone() })?;
            [&host.private_ip, &host.ipv6]
                .into_iter()
                .map(String::as_str)
                .find(|ip| !ip.is_empty())
                .ok_or_else(|| NoAddress::HostWithoutAddress(host.id.clone()))
        }
    }
}

/// The port under which `port` of the container is reachable at the task's address, or `None` when it is not mapped.
pub fn host_port(task: &Task, definition: &Definition, container: &ContainerDefinition, port: i32) -> Option<i32> {
    match definition.network_mode {
        NetworkMode::None => None,
        NetworkMode::Awsvpc | NetworkMode::Host => {
            let mapping = container.ports.iter().find(|m| m.container_ports.contains(&port))?;
            // Without a host port these modes use the container's own (the reference writes port 0).
            Some(mapping.host_port.filter(|p| *p > 0).unwrap_or(port))
        }
        NetworkMode::Bridge => {
            let running = task.containers.iter().find(|c| c.name == container.name)?;
            let bindings = running.bindings.iter().filter(|b| b.container_ports.contains(&port));
            // One port can be bound for TCP and UDP and on IPv4 and IPv6, with different host ports.
            bindings.min_by_key(|b| (!b.tcp, b.ipv6)).map(|b| bound_port(b, port))
        }
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn join(ip: &str, port: i32) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

fn bound_port(binding: &Binding, port: i32) -> i32 {
    binding.first_host_port.saturating_add(port.saturating_sub(*binding.container_ports.start()))
}
