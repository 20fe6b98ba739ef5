//! From one round's [`World`] to targets: a function without I/O or memory. What cannot be decided costs the task
//! or port concerned and is reported; neighbours are untouched.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::address::{host_port, join, task_ip};
use super::labels::{DEFAULT_PATH, Facts, Labels, labels};
use super::matcher::{Candidate, Dialect, Rules, candidates};
use super::world::{ContainerDefinition, Definition, Instance, Lookup, Services, Task, World};

/// One thing to scrape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `ip:port`.
    pub address: String,
    /// Labels, also `__metrics_path__`.
    pub labels: Labels,
}

/// What one round found.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Per task that was found or is in doubt, in the order of the world.
    pub tasks: Vec<TaskTargets>,
    /// What went wrong, in the same order.
    pub problems: Vec<Problem>,
}

/// The targets of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskTargets {
    /// The task's ARN.
    pub task_arn: String,
    /// Its targets.
    pub targets: Vec<Target>,
    /// False if a call failed that could change them: older, complete targets of the same task are better.
    pub complete: bool,
}

/// Something that cost a task or one of its ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The task.
    pub task_arn: String,
    /// Its container, if it is about one.
    pub container: Option<String>,
    /// The kind, for counting.
    pub reason: Reason,
    /// What, why and what to do.
    pub text: String,
}

/// Kinds of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The task definition does not exist or could not be read.
    Definition,
    /// The services could not be read, so the task's service is not known.
    Service,
    /// The EC2 instance could not be read.
    Instance,
    /// The task has no address.
    Address,
    /// The port is not mapped.
    Port,
    /// A docker label does not hold a port.
    PortLabel,
}

impl Reason {
    /// All kinds, for counters that exist from the start.
    pub const ALL: [Reason; 6] =
        [Reason::Definition, Reason::Service, Reason::Instance, Reason::Address, Reason::Port, Reason::PortLabel];

    /// Name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Definition => "task_definition",
            Reason::Service => "service",
            Reason::Instance => "ec2_instance",
            Reason::Address => "address",
            Reason::Port => "port",
            Reason::PortLabel => "port_label",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.container {
            Some(container) => write!(f, "task {} container {container:?}: {}", self.task_arn, self.text),
            None => write!(f, "task {}: {}", self.task_arn, self.text),
        }
    }
}

/// Finds the targets of a world.
pub fn discover(world: &World, rules: &Rules) -> Discovery {
    let mut out = Discovery::default();
    // The agent's targets are unique by address and path over the whole round, not per container.
    let mut taken: HashSet<(String, String)> = HashSet::new();
    for task in &world.tasks {
        let mut one = TaskTargets { task_arn: task.arn.clone(), complete: true, ..TaskTargets::default() };
        let wanted = task_targets(world, rules, task, &mut one, &mut out.problems);
        if rules.dialect == Dialect::CloudWatchAgent {
            one.targets.retain(|t| taken.insert((t.address.clone(), path_of(t).to_owned())));
        }
        if wanted {
            out.tasks.push(one);
        }
    }
    out
}

/// Whether some matcher wants a port of this task, as far as the world tells.
pub fn wants(world: &World, rules: &Rules, task: &Task) -> bool {
    let Some(Lookup::Found(definition)) = world.definitions.get(&task.definition_arn) else { return false };
    let service = service_of(world, rules, task).unwrap_or(None);
    !wanted_ports(rules, task, service, definition, &mut |_, _, _| {}).is_empty()
}

/// Fills in one task; true if some matcher wants it or that cannot be known.
fn task_targets(world: &World, rules: &Rules, task: &Task, out: &mut TaskTargets, problems: &mut Vec<Problem>) -> bool {
    let mut problem = |container: Option<&str>, reason, text: String| {
        problems.push(Problem { task_arn: task.arn.clone(), container: container.map(str::to_owned), reason, text });
    };
    let definition = match world.definitions.get(&task.definition_arn) {
        Some(Lookup::Found(definition)) => definition,
        Some(Lookup::Missing(text)) => {
            problem(None, Reason::Definition, format!("task definition {:?} not found: {text}", task.definition_arn));
            return false;
        }
        Some(Lookup::Failed(text)) => {
            problem(None, Reason::Definition, text.clone());
            out.complete = false;
            return true;
        }
        None => {
            problem(None, Reason::Definition, "the task names no task definition".to_owned());
            return false;
        }
    };
    let service = match service_of(world, rules, task) {
        Ok(service) => service,
        Err(text) => {
            problem(None, Reason::Service, text.to_owned());
            out.complete = false;
            None
        }
    };
    let found = wanted_ports(rules, task, service, definition, &mut problem);
    if found.is_empty() {
        return !out.complete;
    }
    let instance = match instance_of(world, task, definition) {
        Ok(instance) => instance,
        Err(text) => {
            problem(None, Reason::Instance, text.to_owned());
            out.complete = false;
            None
        }
    };
    let ip = match task_ip(task, definition, instance) {
        Ok(ip) => ip,
        // Said above already, with the cause.
        Err(_) if !out.complete => return true,
        Err(error) => {
            problem(None, Reason::Address, error.to_string());
            return true;
        }
    };
    for (container, candidate) in found {
        let Some(port) = host_port(task, definition, container, candidate.port) else {
            let mode = definition.network_mode.as_str();
            let text = format!("mapped port not found: container port {} (network mode {mode})", candidate.port);
            problem(Some(&container.name), Reason::Port, text);
            continue;
        };
        let facts =
            Facts { cluster_name: &world.cluster_name, task, definition, container, instance, service, ip, candidate };
        out.targets.push(Target { address: join(ip, port), labels: labels(&rules.dialect, &facts) });
    }
    true
}

/// The wanted ports of all containers, in the order of the definition.
fn wanted_ports<'a>(
    rules: &'a Rules,
    task: &Task,
    service: Option<&str>,
    definition: &'a Definition,
    problem: &mut impl FnMut(Option<&str>, Reason, String),
) -> Vec<(&'a ContainerDefinition, Candidate<'a>)> {
    let mut found = Vec::new();
    let mut of_one = Vec::new();
    for container in &definition.containers {
        for bad in candidates(rules, task, service, container, &mut of_one) {
            let text = format!("docker label {} is {:?}, which is not a port number", bad.label, bad.value);
            problem(Some(&container.name), Reason::PortLabel, text);
        }
        found.extend(of_one.drain(..).map(|candidate| (container, candidate)));
    }
    found
}

/// The task's service if some matcher wants it: by deployment or task set, else by the task's group.
fn service_of<'a>(world: &'a World, rules: &Rules, task: &'a Task) -> Result<Option<&'a str>, &'a str> {
    if !rules.match_services() || task.started_by.is_empty() {
        return Ok(None);
    }
    let by_id = match &world.services {
        Services::Known(ids) => ids.get(&task.started_by).map(String::as_str),
        Services::Failed(text) if task.service_of_group().is_none() => return Err(text),
        Services::Failed(_) => None,
    };
    Ok(by_id.or_else(|| task.service_of_group()).filter(|name| rules.wants_service(name)))
}

/// The EC2 instance of a task that has one. An unknown one is an error only when the call failed.
fn instance_of<'a>(world: &'a World, task: &Task, definition: &Definition) -> Result<Option<&'a Instance>, &'a str> {
    if !task.needs_instance(Some(definition)) {
        return Ok(None);
    }
    let Some(arn) = &task.container_instance_arn else { return Ok(None) };
    match world.instances.get(arn) {
        Some(Lookup::Found(instance)) => Ok(Some(instance)),
        Some(Lookup::Failed(text)) => Err(text),
        Some(Lookup::Missing(_)) | None => Ok(None),
    }
}

fn path_of(target: &Target) -> &str {
    target.labels.get("__metrics_path__").map_or(DEFAULT_PATH, String::as_str)
}

/// What the rounds before found, by task.
#[derive(Debug, Default)]
pub struct Memory {
    tasks: HashMap<String, TaskTargets>,
}

impl Memory {
    /// Takes in a round and returns all targets, sorted, each once. A task whose answers are incomplete keeps the
    /// targets of the last complete round; a task that is not listed any more loses them.
    pub fn merge(&mut self, tasks: Vec<TaskTargets>) -> Vec<Target> {
        let mut next = HashMap::with_capacity(tasks.len());
        for new in tasks {
            let old = self.tasks.remove(&new.task_arn);
            let kept = match old {
                Some(old) if !new.complete && old.complete => old,
                // Without a complete answer ever, what is there now.
                _ => new,
            };
            next.insert(kept.task_arn.clone(), kept);
        }
        self.tasks = next;
        let mut all: Vec<Target> = self.tasks.values().flat_map(|t| t.targets.iter().cloned()).collect();
        all.sort();
        all.dedup();
        all
    }
}
