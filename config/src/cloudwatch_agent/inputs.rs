//! Where the agent's JSON comes from when nobody names it: its folder and its variable. Parses nothing.

use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::source::{Env, Location};

/// The variable that holds the agent's JSON in containers.
pub const CONTENT_VARIABLE: &str = "CW_CONFIG_CONTENT";
/// The folder that the agent reads in containers.
pub const DEFAULT_FOLDER: &str = "/etc/cwagentconfig";
/// Files of a folder that are read; the agent has no limit.
const MAX_FILES: usize = 200;
/// Deepest folder inside of the folder.
const MAX_DEPTH: usize = 8;

/// The files of a folder with their texts, in the order of their paths. Names that end in `.tmp` and `.yaml` are no
/// agent JSON; links that lead nowhere are skipped with a warning.
pub(crate) fn folder(path: &str, found: &mut Vec<Diagnostic>) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(Path::new(path), 0, &mut files, found);
    files.sort();
    if files.len() > MAX_FILES {
        found.push(
            Diagnostic::error(format!("more than {MAX_FILES} files in {path:?}")).help("name the files with --config"),
        );
        return Vec::new();
    }
    let mut texts = Vec::new();
    for file in files {
        match Location::File(file.to_string_lossy().into_owned()).fetch(&[].as_slice()) {
            Ok(fetched) => texts.push((fetched.name, fetched.text)),
            Err(problem) => found.push(problem),
        }
    }
    texts
}

/// What the agent would read in a container without any argument: the files of its folder, else its variable.
pub(crate) fn default_inputs(
    default_folder: &str,
    env: &dyn Env,
    found: &mut Vec<Diagnostic>,
) -> Vec<(String, String)> {
    let content = env.var(CONTENT_VARIABLE).filter(|text| !text.trim().is_empty());
    let files = match Path::new(default_folder).is_dir() {
        true => folder(default_folder, found),
        false => Vec::new(),
    };
    match (files.is_empty(), content) {
        (true, Some(text)) => vec![(format!("env:{CONTENT_VARIABLE}"), text)],
        (true, None) => Vec::new(),
        (false, content) => {
            if content.is_some() {
                let text =
                    format!("environment variable {CONTENT_VARIABLE} is not used: there are files in {default_folder}");
                found.push(Diagnostic::warning(text).help("remove the files, or the variable"));
            }
            files
        }
    }
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
            Ok(about) if about.is_file() && !name.ends_with(".tmp") && !name.ends_with(".yaml") => files.push(path),
            Ok(_) => {}
            Err(_) => found.push(Diagnostic::warning(format!("{path:?} leads nowhere and is skipped"))),
        }
    }
}
