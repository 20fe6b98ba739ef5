//! The settings of `ecs_observer`: the Collector's keys, checked, turned into [`Settings`]. It opens nothing.

use std::time::Duration;

use config::pattern::GoRegex;
use config::{Built, Diagnostic, GoDuration, Node, Spanned, decode};
use proto::BuildContext;
use serde::Deserialize;

use super::matcher::{Dialect, Matcher, Rules, Select};
use super::metadata::{ENDPOINT_VARIABLES, region_of_arn};

/// What discovery needs to run, whichever front end it comes from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Cluster name or ARN; from the task metadata when absent.
    pub cluster: Option<String>,
    /// Cluster to use when neither the settings nor the metadata name one.
    pub fallback_cluster: Option<String>,
    /// Region; from the task metadata when absent.
    pub region: Option<String>,
    /// Task metadata endpoint of this collector's own task.
    pub metadata_endpoint: Option<String>,
    /// Time between rounds, positive.
    pub refresh_interval: Duration,
    /// Path of the result file, as written: scrape jobs name it in the same words.
    pub result_file: String,
    /// What is looked for.
    pub rules: Rules,
}

#[derive(Deserialize)]
#[serde(default)]
struct Section {
    cluster_name: Option<Spanned<String>>,
    cluster_region: Option<Spanned<String>>,
    refresh_interval: Spanned<GoDuration>,
    result_file: Spanned<String>,
    job_label_name: Spanned<String>,
    services: Vec<Spanned<ServiceSection>>,
    task_definitions: Vec<Spanned<TaskDefinitionSection>>,
    docker_labels: Vec<Spanned<DockerLabelSection>>,
}

impl Default for Section {
    fn default() -> Self {
        let port_label = Spanned::built_in("ECS_PROMETHEUS_EXPORTER_PORT".to_owned());
        let docker_label = DockerLabelSection { port_label, ..DockerLabelSection::default() };
        Section {
            cluster_name: None,
            cluster_region: None,
            refresh_interval: Spanned::built_in(GoDuration::from_secs(30)),
            result_file: Spanned::built_in("/etc/ecs_sd_targets.yaml".to_owned()),
            job_label_name: Spanned::built_in("prometheus_job".to_owned()),
            services: Vec::new(),
            task_definitions: Vec::new(),
            docker_labels: vec![Spanned::built_in(docker_label)],
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServiceSection {
    name_pattern: Spanned<String>,
    container_name_pattern: Spanned<String>,
    job_name: String,
    metrics_path: String,
    metrics_ports: Spanned<Vec<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TaskDefinitionSection {
    arn_pattern: Spanned<String>,
    container_name_pattern: Spanned<String>,
    job_name: String,
    metrics_path: String,
    metrics_ports: Spanned<Vec<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerLabelSection {
    port_label: Spanned<String>,
    metrics_path_label: String,
    job_name_label: String,
    job_name: String,
    metrics_path: Spanned<String>,
    metrics_ports: Spanned<Vec<i64>>,
}

/// Reads and checks a section; reports everything that is wrong with it.
pub fn build(node: &Node, context: &BuildContext) -> Built<Settings> {
    let (section, mut problems) = decode::<Section>(node);
    let Some(section) = section else { return (None, problems) };
    let mut check = Check { problems: &mut problems };
    if let Some(name) = section.cluster_name.as_ref().filter(|n| n.is_empty()) {
        let error = name.error("must specify ECS cluster name directly");
        check.problems.push(error.help("leave cluster_name out to use the cluster that this task runs in"));
    }
    check.positive(&section.refresh_interval, "refresh_interval");
    check.not_empty(&section.result_file, &section.result_file, "result_file");
    check.not_empty(&section.job_label_name, &section.job_label_name, "job_label_name");
    let mut matchers = Vec::new();
    matchers.extend(section.services.iter().filter_map(|s| check.service(s)));
    matchers.extend(section.task_definitions.iter().filter_map(|t| check.task_definition(t)));
    matchers.extend(section.docker_labels.iter().filter_map(|d| check.docker_label(d)));
    if section.services.is_empty() && section.task_definitions.is_empty() && section.docker_labels.is_empty() {
        let error = Diagnostic::error("no matcher specified in config").on(node);
        check.problems.push(error.help("set services, task_definitions or docker_labels"));
    }
    let cluster = section.cluster_name.map(|n| n.value);
    let place = Place::find(cluster, section.cluster_region.map(|r| r.value), context);
    if place.region.is_none() && place.metadata_endpoint.is_none() {
        let text = "missing aws region for task fetcher";
        // On the machine that validates, the variables that ECS sets may be absent.
        let found = if context.dry_run { Diagnostic::warning(text) } else { Diagnostic::error(text) };
        problems.push(found.on(node).help("set cluster_region or the environment variable AWS_REGION"));
    }
    let settings = Settings {
        cluster: place.cluster,
        fallback_cluster: Some("default".to_owned()),
        region: place.region,
        metadata_endpoint: place.metadata_endpoint,
        refresh_interval: section.refresh_interval.to_std(),
        result_file: section.result_file.value,
        rules: Rules { matchers, dialect: Dialect::Observer { job_label: section.job_label_name.value } },
    };
    (Some(settings), problems)
}

/// Cluster, region and metadata endpoint as far as settings and environment tell.
pub(crate) struct Place {
    pub(crate) cluster: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) metadata_endpoint: Option<String>,
}

impl Place {
    /// The region is the configured one, the environment's, or the one in the cluster's ARN.
    pub(crate) fn find(cluster: Option<String>, region: Option<String>, context: &BuildContext) -> Place {
        let variable = |name: &&str| (context.env)(name).filter(|v| !v.is_empty());
        let region = region
            .filter(|r| !r.is_empty())
            .or_else(|| ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(variable))
            .or_else(|| region_of_arn(cluster.as_deref()?).map(str::to_owned));
        Place { cluster, region, metadata_endpoint: ENDPOINT_VARIABLES.iter().find_map(variable) }
    }
}

/// Collects what is wrong while matchers are made. Shared by both front ends.
pub(crate) struct Check<'a> {
    pub(crate) problems: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    fn service(&mut self, section: &Spanned<ServiceSection>) -> Option<Matcher> {
        let name = self.required_pattern(section, &section.name_pattern, "name_pattern", "name pattern");
        let container = self.container_pattern(&section.container_name_pattern);
        let ports = self.ports(section, &section.metrics_ports);
        let select = Select::Service { name: name? };
        Some(Matcher {
            select,
            container: container?,
            ports: ports?,
            path: section.metrics_path.clone(),
            job: section.job_name.clone(),
        })
    }

    fn task_definition(&mut self, section: &Spanned<TaskDefinitionSection>) -> Option<Matcher> {
        let arn = self.required_pattern(section, &section.arn_pattern, "arn_pattern", "arn pattern");
        let container = self.container_pattern(&section.container_name_pattern);
        let ports = self.ports(section, &section.metrics_ports);
        let select = Select::TaskDefinition { arn: arn? };
        Some(Matcher {
            select,
            container: container?,
            ports: ports?,
            path: section.metrics_path.clone(),
            job: section.job_name.clone(),
        })
    }

    fn docker_label(&mut self, section: &Spanned<DockerLabelSection>) -> Option<Matcher> {
        let ports = &section.metrics_ports;
        if !ports.is_empty() {
            let error = ports.error(format!("metrics_ports is not supported in docker_labels, got {:?}", ports.value));
            self.problems.push(error.help("the port is the value of the docker label that port_label names"));
        }
        if !section.metrics_path.is_empty() {
            let warning = section.metrics_path.warning("metrics_path has no effect in docker_labels");
            self.problems.push(warning.help("name the docker label that holds the path in metrics_path_label"));
        }
        if !self.not_empty(section, &section.port_label, "port_label") {
            return None;
        }
        let label = |name: &String| Some(name.clone()).filter(|n| !n.is_empty());
        let select = Select::DockerLabel {
            port: section.port_label.value.clone(),
            path: label(&section.metrics_path_label),
            job: label(&section.job_name_label),
        };
        let (container, path) = (None, String::new());
        Some(Matcher { select, container, ports: Vec::new(), path, job: section.job_name.clone() })
    }

    /// Reports an empty text at its own place, or at its owner's when nobody wrote it.
    pub(crate) fn not_empty<T>(&mut self, owner: &Spanned<T>, text: &Spanned<String>, key: &str) -> bool {
        if text.is_empty() {
            let message = format!("{key} is empty");
            let problem = if text.span.is_built_in() { owner.error(message) } else { text.error(message) };
            self.problems.push(problem.help(format!("add {key} with a value")));
        }
        !text.is_empty()
    }

    /// A pattern that must be there.
    pub(crate) fn required_pattern<T>(
        &mut self,
        owner: &Spanned<T>,
        text: &Spanned<String>,
        key: &str,
        what: &str,
    ) -> Option<GoRegex> {
        if self.not_empty(owner, text, key) { self.pattern(text, what) } else { None }
    }

    /// `Some(None)` if there is no pattern, `None` if it is wrong.
    pub(crate) fn container_pattern(&mut self, text: &Spanned<String>) -> Option<Option<GoRegex>> {
        if text.is_empty() { Some(None) } else { self.pattern(text, "container name pattern").map(Some) }
    }

    fn pattern(&mut self, text: &Spanned<String>, what: &str) -> Option<GoRegex> {
        match GoRegex::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let error = text.error(format!("invalid {what} {:?}: {error}", text.value));
                self.problems.push(error.help("patterns are Go regular expressions, searched anywhere in the text"));
                None
            }
        }
    }

    /// Zero and negative intervals.
    pub(crate) fn positive(&mut self, interval: &Spanned<GoDuration>, key: &str) -> bool {
        let positive = !interval.is_zero() && !interval.is_negative();
        if !positive {
            self.problems.push(interval.error(format!("{key} must be positive")).help("for example 30s"));
        }
        positive
    }

    fn ports<T>(&mut self, owner: &Spanned<T>, ports: &Spanned<Vec<i64>>) -> Option<Vec<i32>> {
        if ports.is_empty() {
            let message = "metrics_ports is empty, so this matcher finds no targets";
            let built_in = ports.span.is_built_in();
            self.problems.push(if built_in { owner.warning(message) } else { ports.warning(message) });
        }
        let mut good = Vec::new();
        let mut all_good = true;
        for &port in &ports.value {
            let problem = match i32::try_from(port) {
                Ok(port) if (1..=65535).contains(&port) && good.contains(&port) => {
                    Some(format!("metrics_ports has duplicated port {port}"))
                }
                Ok(port) if (1..=65535).contains(&port) => {
                    good.push(port);
                    None
                }
                _ => Some(format!("metrics_ports has {port}, which is not a port (1 to 65535)")),
            };
            if let Some(text) = problem {
                all_good = false;
                self.problems.push(ports.error(text).help("list each port once, from 1 to 65535"));
            }
        }
        all_good.then_some(good)
    }
}
