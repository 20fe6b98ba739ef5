//! Which containers are wanted, and on which ports and paths: the selection rules of both config dialects in one
//! shape. It does not know addresses or labels.

use config::pattern::GoRegex;

use super::world::{ContainerDefinition, Task};

/// What discovery looks for and how it writes what it found.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Matchers in order of precedence: the first one to name a port and path wins.
    pub matchers: Vec<Matcher>,
    /// Labels and de-duplication.
    pub dialect: Dialect,
}

impl Rules {
    /// Whether the service of a task matters at all.
    pub fn match_services(&self) -> bool {
        self.matchers.iter().any(|m| matches!(m.select, Select::Service { .. }))
    }

    /// Whether some matcher wants the service of this name.
    pub fn wants_service(&self, name: &str) -> bool {
        self.matchers.iter().any(|m| matches!(&m.select, Select::Service { name: pattern } if pattern.is_match(name)))
    }
}

/// The two ways to write what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialect {
    /// The Collector's `ecs_observer`: `__meta_ecs_*` labels, targets unique per container.
    Observer {
        /// Name of the label that carries the job (`job_label_name`).
        job_label: String,
    },
    /// The CloudWatch agent's `ecs_service_discovery`: plain labels, targets unique by address and path.
    CloudWatchAgent,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Which containers.
    pub select: Select,
    /// Only containers whose name has a match; every container when absent.
    pub container: Option<GoRegex>,
    /// Wanted container ports (services and task definitions).
    pub ports: Vec<i32>,
    /// Path as configured; empty means `/metrics`.
    pub path: String,
    /// Job as configured; empty means none, or the job label's value.
    pub job: String,
}

/// How a rule finds its containers.
#[derive(Debug, Clone)]
pub enum Select {
    /// Tasks of services whose name has a match.
    Service {
        /// Searched in the service name.
        name: GoRegex,
    },
    /// Tasks whose task definition ARN has a match.
    TaskDefinition {
        /// Searched in the ARN, revision included.
        arn: GoRegex,
    },
    /// Containers with a docker label that names the port.
    DockerLabel {
        /// Label with the port.
        port: String,
        /// Label with the path.
        path: Option<String>,
        /// Label with the job.
        job: Option<String>,
    },
}

impl Select {
    /// The kind's name in logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Select::Service { .. } => "service",
            Select::TaskDefinition { .. } => "task_definition",
            Select::DockerLabel { .. } => "docker_label",
        }
    }
}

/// A wanted port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Container port.
    pub port: i32,
    /// Path as configured or labelled; empty means `/metrics`.
    pub path: &'a str,
    /// Job; empty means none.
    pub job: &'a str,
    /// Whether a service matcher asked for it (the agent names the service on such targets only).
    pub by_service: bool,
}

/// A docker label that does not hold a port.
#[derive(Debug, PartialEq, Eq)]
pub struct BadPortLabel<'a> {
    /// The label's name.
    pub label: &'a str,
    /// What it holds.
    pub value: &'a str,
}

/// Appends what `rules` want of one container, each (port, path) once: the first matcher keeps it. The path is
/// compared as configured, as the reference does: no path and `/metrics` are two. Bad labels are returned; they
/// cost only themselves.
pub fn candidates<'a>(
    rules: &'a Rules,
    task: &Task,
    service: Option<&str>,
    container: &'a ContainerDefinition,
    found: &mut Vec<Candidate<'a>>,
) -> Vec<BadPortLabel<'a>> {
    let mut bad = Vec::new();
    for matcher in &rules.matchers {
        if matcher.container.as_ref().is_some_and(|pattern| !pattern.is_match(&container.name)) {
            continue;
        }
        match &matcher.select {
            Select::Service { name } if service.is_some_and(|s| name.is_match(s)) => {
                declared_ports(matcher, container, true, found);
            }
            Select::TaskDefinition { arn } if arn.is_match(&task.definition_arn) => {
                declared_ports(matcher, container, false, found);
            }
            Select::Service { .. } | Select::TaskDefinition { .. } => {}
            Select::DockerLabel { port, path, job } => {
                let Some(value) = container.docker_label(port) else { continue };
                let Some(number) = value.parse::<i32>().ok().filter(|n| *n >= 0) else {
                    bad.push(BadPortLabel { label: port, value });
                    continue;
                };
                if !declares(container, number) {
                    continue;
                }
                let label = |name: &Option<String>| name.as_deref().and_then(|n| container.docker_label(n));
                let job = if matcher.job.is_empty() { label(job).unwrap_or("") } else { &matcher.job };
                let path = label(path).unwrap_or("");
                add(found, Candidate { port: number, path, job, by_service: false });
            }
        }
    }
    bad
}

/// The configured ports that the container declares, in the order of its port mappings.
fn declared_ports<'a>(
    matcher: &'a Matcher,
    container: &ContainerDefinition,
    by_service: bool,
    found: &mut Vec<Candidate<'a>>,
) {
    for mapping in &container.ports {
        for &port in matcher.ports.iter().filter(|p| mapping.container_ports.contains(p)) {
            add(found, Candidate { port, path: &matcher.path, job: &matcher.job, by_service });
        }
    }
}

fn declares(container: &ContainerDefinition, port: i32) -> bool {
    container.ports.iter().any(|m| m.container_ports.contains(&port))
}

fn add<'a>(found: &mut Vec<Candidate<'a>>, new: Candidate<'a>) {
    if !found.iter().any(|old| old.port == new.port && old.path == new.path) {
        found.push(new);
    }
}
