//! The settings of `ecs_service_discovery`: the CloudWatch agent's keys for the same discovery, checked, turned into
//! [`Settings`] with the agent's labels, precedence and de-duplication. It opens nothing.

use config::{Built, Diagnostic, GoDuration, Node, Spanned, decode};
use proto::BuildContext;
use serde::Deserialize;

use super::config::{Check, Place, Settings};
use super::matcher::{Dialect, Matcher, Rules, Select};

/// Shortest time between rounds.
const MIN_FREQUENCY: GoDuration = GoDuration::from_secs(1);
/// Below this, large clusters cost more calls than ECS allows.
const LOW_FREQUENCY: GoDuration = GoDuration::from_secs(15);

#[derive(Deserialize)]
#[serde(default)]
struct Section {
    sd_frequency: Spanned<GoDuration>,
    sd_target_cluster: Spanned<String>,
    sd_cluster_region: Spanned<String>,
    sd_result_file: Spanned<String>,
    docker_label: Option<Spanned<DockerLabelSection>>,
    task_definition_list: Vec<Spanned<TaskDefinitionSection>>,
    service_name_list_for_tasks: Vec<Spanned<ServiceSection>>,
}

impl Default for Section {
    fn default() -> Self {
        Section {
            sd_frequency: Spanned::built_in(GoDuration::from_secs(60)),
            sd_target_cluster: Spanned::default(),
            sd_cluster_region: Spanned::default(),
            sd_result_file: Spanned::built_in("/tmp/cwagent_ecs_auto_sd.yaml".to_owned()),
            docker_label: None,
            task_definition_list: Vec::new(),
            service_name_list_for_tasks: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct DockerLabelSection {
    sd_port_label: Spanned<String>,
    sd_metrics_path_label: String,
    sd_job_name_label: String,
}

impl Default for DockerLabelSection {
    fn default() -> Self {
        DockerLabelSection {
            sd_port_label: Spanned::built_in("ECS_PROMETHEUS_EXPORTER_PORT".to_owned()),
            sd_metrics_path_label: "ECS_PROMETHEUS_METRICS_PATH".to_owned(),
            sd_job_name_label: "job".to_owned(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TaskDefinitionSection {
    sd_task_definition_arn_pattern: Spanned<String>,
    sd_container_name_pattern: Spanned<String>,
    sd_metrics_ports: Spanned<String>,
    sd_metrics_path: String,
    sd_job_name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServiceSection {
    sd_service_name_pattern: Spanned<String>,
    sd_container_name_pattern: Spanned<String>,
    sd_metrics_ports: Spanned<String>,
    sd_metrics_path: String,
    sd_job_name: String,
}

/// Reads and checks a section; reports everything that is wrong with it.
pub fn build(node: &Node, context: &BuildContext) -> Built<Settings> {
    let (section, mut problems) = decode::<Section>(node);
    let Some(section) = section else { return (None, problems) };
    let mut check = Check { problems: &mut problems };
    check.frequency(&section.sd_frequency);
    check.not_empty(&section.sd_result_file, &section.sd_result_file, "sd_result_file");
    // Precedence: service before docker label before task definition.
    let mut matchers = Vec::new();
    matchers.extend(section.service_name_list_for_tasks.iter().filter_map(|s| check.service_item(s)));
    matchers.extend(section.docker_label.iter().filter_map(|d| check.docker_label_item(d)));
    matchers.extend(section.task_definition_list.iter().filter_map(|t| check.task_definition_item(t)));
    let no_mode = section.docker_label.is_none()
        && section.task_definition_list.is_empty()
        && section.service_name_list_for_tasks.is_empty();
    if no_mode {
        let error = Diagnostic::error("no kind of discovery is configured").on(node);
        let help = "set docker_label ({} for its defaults), task_definition_list or service_name_list_for_tasks";
        problems.push(error.help(help));
    }
    let set = |text: Spanned<String>| Some(text.value).filter(|t| !t.is_empty());
    let place = Place::find(set(section.sd_target_cluster), set(section.sd_cluster_region), context);
    for (missing, text, key) in [
        (place.cluster.is_none(), "ECS Target Cluster Name is not defined", "sd_target_cluster"),
        (place.region.is_none(), "ECS Cluster Region is not defined", "sd_cluster_region"),
    ] {
        if missing && place.metadata_endpoint.is_none() {
            let found = if context.dry_run { Diagnostic::warning(text) } else { Diagnostic::error(text) };
            problems.push(found.on(node).help(format!("set {key}; on ECS it comes from the task metadata")));
        }
    }
    let settings = Settings {
        cluster: place.cluster,
        fallback_cluster: None,
        region: place.region,
        metadata_endpoint: place.metadata_endpoint,
        refresh_interval: section.sd_frequency.to_std(),
        result_file: section.sd_result_file.value,
        rules: Rules { matchers, dialect: Dialect::CloudWatchAgent },
    };
    (Some(settings), problems)
}

impl Check<'_> {
    fn frequency(&mut self, frequency: &Spanned<GoDuration>) {
        if !self.positive(frequency, "sd_frequency") {
            return;
        }
        if frequency.value < MIN_FREQUENCY {
            self.problems.push(frequency.error("sd_frequency is less than 1s"));
        } else if frequency.value < LOW_FREQUENCY {
            let warning = frequency.warning("sd_frequency is less than 15s");
            self.problems.push(warning.help("every round lists all tasks; large clusters reach the limits of the API"));
        }
    }

    fn service_item(&mut self, item: &Spanned<ServiceSection>) -> Option<Matcher> {
        let name = self.defined_pattern(item, &item.sd_service_name_pattern, "sd_service_name_pattern", "service name");
        let container = self.container_pattern(&item.sd_container_name_pattern);
        let ports = self.port_list(item, &item.sd_metrics_ports);
        let select = Select::Service { name: name? };
        let (path, job) = (item.sd_metrics_path.clone(), item.sd_job_name.clone());
        Some(Matcher { select, container: container?, ports: ports?, path, job })
    }

    fn task_definition_item(&mut self, item: &Spanned<TaskDefinitionSection>) -> Option<Matcher> {
        let key = "sd_task_definition_arn_pattern";
        let arn = self.defined_pattern(item, &item.sd_task_definition_arn_pattern, key, "task definition arn");
        let container = self.container_pattern(&item.sd_container_name_pattern);
        let ports = self.port_list(item, &item.sd_metrics_ports);
        let select = Select::TaskDefinition { arn: arn? };
        let (path, job) = (item.sd_metrics_path.clone(), item.sd_job_name.clone());
        Some(Matcher { select, container: container?, ports: ports?, path, job })
    }

    fn docker_label_item(&mut self, item: &Spanned<DockerLabelSection>) -> Option<Matcher> {
        if !self.not_empty(item, &item.sd_port_label, "sd_port_label") {
            return None;
        }
        let label = |name: &String| Some(name.clone()).filter(|n| !n.is_empty());
        let select = Select::DockerLabel {
            port: item.sd_port_label.value.clone(),
            path: label(&item.sd_metrics_path_label),
            job: label(&item.sd_job_name_label),
        };
        Some(Matcher { select, container: None, ports: Vec::new(), path: String::new(), job: String::new() })
    }

    fn defined_pattern<T>(
        &mut self,
        item: &Spanned<T>,
        text: &Spanned<String>,
        key: &str,
        what: &str,
    ) -> Option<config::pattern::GoRegex> {
        if text.is_empty() {
            self.problems.push(item.error(format!("{key} is not defined.")));
            return None;
        }
        self.required_pattern(item, text, key, &format!("{what} pattern"))
    }

    /// `9404; 9406`: ports between semicolons, blanks only after a semicolon.
    fn port_list<T>(&mut self, item: &Spanned<T>, text: &Spanned<String>) -> Option<Vec<i32>> {
        if text.is_empty() {
            self.problems.push(item.error("mandatory key: sd_metrics_ports is not defined."));
            return None;
        }
        let mut ports = Vec::new();
        for (i, part) in text.split(';').enumerate() {
            let digits = if i == 0 { part } else { part.trim_start() };
            let shaped = (1..=5).contains(&digits.len())
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !digits.starts_with('0');
            let Some(port) = shaped.then(|| digits.parse::<i32>().ok()).flatten() else {
                let rule = r"^[1-9][0-9]{0,4}(;[\s]*[1-9][0-9]{0,4})*$";
                let error = text.error(format!("sd_metrics_ports does not follow pattern: {rule}"));
                self.problems.push(error.help("ports are separated by semicolons, for example \"9404; 9406\""));
                return None;
            };
            if port > 65535 {
                self.problems
                    .push(text.error(format!("sd_metrics_ports has {port}, which is not a port (1 to 65535)")));
                return None;
            }
            ports.push(port);
        }
        Some(ports)
    }
}
