//! Where the agent's JSON comes from when nobody names it: its folder and its variable. Parses nothing.

use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::source::{Env, Location};

/// The variable that holds the agent's JSON in containers.
pub const CONTENT_VARIABLE: &str = "CW_CONFIG_CONTENT";
/// The variable that holds a Collector configuration beside the agent's JSON.
pub const COLLECTOR_CONTENT_VARIABLE: &str = "CW_OTEL_CONFIG_CONTENT";
/// The folder that the agent reads in containers.
pub const DEFAULT_FOLDER: &str = "/etc/cwagentconfig";
/// Files of a folder that are read; the agent has no limit.
const MAX_FILES: usize = 200;
/// Deepest folder inside of the folder.
const MAX_DEPTH: usize = 8;
/// A Collector configuration has one of these.
const COLLECTOR_SECTIONS: &[&str] = &["receivers", "processors", "exporters", "connectors", "extensions", "service"];
/// A Prometheus configuration has one of these.
const PROMETHEUS_SECTIONS: &[&str] = &["global", "scrape_configs", "scrape_config_files"];

/// What was found without being named, or in a folder: names and texts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// The agent's JSON.
    pub(crate) json: Vec<(String, String)>,
    /// Collector configurations, which are laid over what the JSON becomes.
    pub(crate) collector: Vec<(String, String)>,
}

impl Inputs {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.json.is_empty() && self.collector.is_empty()
    }

    /// Names for a log line.
    pub(crate) fn names(&self) -> String {
        self.json.iter().chain(&self.collector).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The files of a folder, in the order of their paths. Names that end in `.tmp` are left out; those that end in `.yaml`
/// are Collector configurations, or the Prometheus configuration that the JSON may name. Links that lead nowhere are
/// skipped with a warning.
pub(crate) fn folder(path: &str, found: &mut Vec<Diagnostic>) -> Inputs {
    let mut files = Vec::new();
    collect(Path::new(path), 0, &mut files, found);
    files.sort();
    if files.len() > MAX_FILES {
        found.push(
            Diagnostic::error(format!("more than {MAX_FILES} files in {path:?}")).help("name the files with --config"),
        );
        return Inputs::default();
    }
    let mut inputs = Inputs::default();
    for file in files {
        match Location::File(file.to_string_lossy().into_owned()).fetch(&[].as_slice()) {
            Ok(fetched) if !fetched.name.ends_with(".yaml") => inputs.json.push((fetched.name, fetched.text)),
            Ok(fetched) if has_section(&fetched.text, COLLECTOR_SECTIONS) => {
                inputs.collector.push((fetched.name, fetched.text));
            }
            Ok(fetched) if has_section(&fetched.text, PROMETHEUS_SECTIONS) => {}
            Ok(fetched) => {
                let text =
                    format!("{:?} is neither a Collector nor a Prometheus configuration and is skipped", fetched.name);
                found.push(Diagnostic::warning(text).help("files of the CloudWatch agent's JSON have another ending"));
            }
            Err(problem) => found.push(problem),
        }
    }
    inputs
}

/// Whether a YAML text has one of these keys at its left edge.
fn has_section(text: &str, sections: &[&str]) -> bool {
    text.lines().any(|line| line.split_once(':').is_some_and(|(key, _)| sections.contains(&key)))
}

/// What the agent would read in a container without any argument: the files of its folder, else its variable; the
/// variable with a Collector configuration in any case.
pub(crate) fn default_inputs(default_folder: &str, env: &dyn Env, found: &mut Vec<Diagnostic>) -> Inputs {
    let variable = |name: &str| env.var(name).filter(|text| !text.trim().is_empty());
    let content = variable(CONTENT_VARIABLE);
    let mut inputs = match Path::new(default_folder).is_dir() {
        true => folder(default_folder, found),
        false => Inputs::default(),
    };
    match (inputs.json.is_empty(), content) {
        (true, Some(text)) => inputs.json.push((format!("env:{CONTENT_VARIABLE}"), text)),
        (false, Some(_)) => {
            let text =
                format!("environment variable {CONTENT_VARIABLE} is not used: there are files in {default_folder}");
            found.push(Diagnostic::warning(text).help("remove the files, or the variable"));
        }
        (_, None) => {}
    }
    if let Some(text) = variable(COLLECTOR_CONTENT_VARIABLE) {
        inputs.collector.push((format!("env:{COLLECTOR_CONTENT_VARIABLE}"), text));
    }
    inputs
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>, found: &mut Vec<Diagnostic>) {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            found.push(Diagnostic::error(format!("cannot read the folder {path:?}: {}", error.kind())));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        match std::fs::metadata(&path) {
            // Kubernetes mounts keep the files once more in folders whose names begin with two dots.
            Ok(about) if about.is_dir() && depth < MAX_DEPTH && !name.starts_with("..") => {
                collect(&path, depth + 1, files, found);
            }
            Ok(about) if about.is_file() && !name.ends_with(".tmp") => files.push(path),
            Ok(_) => {}
            Err(_) => found.push(Diagnostic::warning(format!("{path:?} leads nowhere and is skipped"))),
        }
    }
}
