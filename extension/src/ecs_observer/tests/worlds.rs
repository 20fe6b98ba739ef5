//! Worlds for tests, written briefly.

use std::sync::Arc;

use config::pattern::GoRegex;

use crate::ecs_observer::matcher::{Dialect, Matcher, Rules, Select};
use crate::ecs_observer::targets::{Discovery, Target, discover};
use crate::ecs_observer::world::{
    Binding, ContainerDefinition, Definition, Instance, Lookup, NetworkMode, PortMapping, RunningContainer, Services,
    Task, World,
};

pub(super) const ARN: &str = "arn:aws:ecs:us-west-2:123456789012";

pub(super) fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// A container with TCP mappings of (container port, host port); 0 means not set.
pub(super) fn container(name: &str, ports: &[(i32, i32)], labels: &[(&str, &str)]) -> ContainerDefinition {
    let mapping = |&(port, host): &(i32, i32)| PortMapping {
        container_ports: port..=port,
        host_port: (host > 0).then_some(host),
    };
    ContainerDefinition {
        name: name.to_owned(),
        ports: ports.iter().map(mapping).collect(),
        docker_labels: pairs(labels),
    }
}

pub(super) fn running(name: &str, bindings: &[(i32, i32)]) -> RunningContainer {
    let binding = |&(port, host): &(i32, i32)| Binding {
        container_ports: port..=port,
        first_host_port: host,
        tcp: true,
        ipv6: false,
    };
    RunningContainer { name: name.to_owned(), bindings: bindings.iter().map(binding).collect() }
}

pub(super) fn definition(family: &str, mode: &str, containers: Vec<ContainerDefinition>) -> Definition {
    Definition { family: family.to_owned(), revision: Some(4), network_mode: NetworkMode::parse(mode), containers }
}

/// A Fargate task with an interface at `ip`.
pub(super) fn fargate(id: &str, family: &str, ip: &str) -> Task {
    Task {
        arn: format!("{ARN}:task/prod/{id}"),
        definition_arn: format!("{ARN}:task-definition/{family}:4"),
        launch_type: "FARGATE".to_owned(),
        interface_ipv4: (!ip.is_empty()).then(|| ip.to_owned()),
        ..Task::default()
    }
}

/// A task on the container instance `host`.
pub(super) fn on_ec2(id: &str, family: &str, host: &str, containers: Vec<RunningContainer>) -> Task {
    Task {
        launch_type: "EC2".to_owned(),
        container_instance_arn: Some(host.to_owned()),
        containers,
        ..fargate(id, family, "")
    }
}

pub(super) fn instance(id: &str, ip: &str) -> Instance {
    Instance { id: id.to_owned(), private_ip: ip.to_owned(), ..Instance::default() }
}

/// A world of these tasks and definitions in cluster `prod`.
pub(super) fn world(tasks: Vec<Task>, definitions: Vec<Definition>) -> World {
    let arn = |d: &Definition| format!("{ARN}:task-definition/{}:4", d.family);
    World {
        cluster_name: "prod".to_owned(),
        tasks,
        definitions: definitions.into_iter().map(|d| (arn(&d), Lookup::Found(Arc::new(d)))).collect(),
        ..World::default()
    }
}

impl World {
    pub(super) fn with_instance(mut self, container_instance: &str, instance: Instance) -> World {
        self.instances.insert(container_instance.to_owned(), Lookup::Found(Arc::new(instance)));
        self
    }

    pub(super) fn with_starters(mut self, ids: &[(&str, &str)]) -> World {
        self.services = Services::Known(pairs(ids).into_iter().collect());
        self
    }
}

pub(super) fn rules(matchers: Vec<Matcher>) -> Rules {
    Rules { matchers, dialect: Dialect::Observer { job_label: "prometheus_job".to_owned() } }
}

fn matcher(select: Select, ports: &[i32]) -> Matcher {
    Matcher { select, container: None, ports: ports.to_vec(), path: String::new(), job: String::new() }
}

pub(super) fn by_service(pattern: &str, ports: &[i32]) -> Matcher {
    matcher(Select::Service { name: GoRegex::new(pattern).unwrap() }, ports)
}

pub(super) fn by_definition(pattern: &str, ports: &[i32]) -> Matcher {
    matcher(Select::TaskDefinition { arn: GoRegex::new(pattern).unwrap() }, ports)
}

pub(super) fn by_label(port: &str, path: Option<&str>, job: Option<&str>) -> Matcher {
    let owned = |t: &str| t.to_owned();
    matcher(Select::DockerLabel { port: port.to_owned(), path: path.map(owned), job: job.map(owned) }, &[])
}

impl Matcher {
    pub(super) fn container(mut self, pattern: &str) -> Matcher {
        self.container = Some(GoRegex::new(pattern).unwrap());
        self
    }
    pub(super) fn path(mut self, path: &str) -> Matcher {
        self.path = path.to_owned();
        self
    }
    pub(super) fn job(mut self, job: &str) -> Matcher {
        self.job = job.to_owned();
        self
    }
}

impl Discovery {
    pub(super) fn targets(&self) -> Vec<&Target> {
        self.tasks.iter().flat_map(|t| &t.targets).collect()
    }

    /// `address path job` of each target in order.
    pub(super) fn brief(&self) -> Vec<String> {
        let label = |t: &Target, name: &str| t.labels.get(name).cloned().unwrap_or_default();
        let job = |t: &Target| format!("{}{}", label(t, "prometheus_job"), label(t, "job"));
        let line = |t: &&Target| format!("{} {} {}", t.address, label(t, "__metrics_path__"), job(t));
        self.targets().iter().map(line).map(|l| l.trim_end().to_owned()).collect()
    }

    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.iter().map(|p| format!("{}: {}", p.reason.as_str(), p.text)).collect()
    }
}

/// Discovers and compares addresses, paths and jobs.
#[track_caller]
pub(super) fn check(world: &World, rules: &Rules, expected: &[&str]) -> Discovery {
    let found = discover(world, rules);
    assert_eq!(found.brief(), expected);
    found
}
