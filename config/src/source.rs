//! Where configuration text comes from: files, environment variables, text on the command line. Reads it with limits;
//! does not parse it.

use std::collections::BTreeMap;
use std::io::Read;

use crate::diagnostic::Diagnostic;
use crate::secrets::mask_urls;
use crate::yaml::MAX_SOURCE_BYTES;

/// The environment, as a parameter: no component reads the process' own.
pub trait Env {
    /// The value of a variable, or `None` when it is not set.
    fn var(&self, name: &str) -> Option<String>;
}

/// The process' environment. For the binary only.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

impl Env for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

impl Env for &[(&str, &str)] {
    fn var(&self, name: &str) -> Option<String> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }
}

/// What to do with a parameter of the Systems Manager: ECS fetches it before the start, with the execution role.
pub(crate) const SSM_HELP: &str = "put the parameter under secrets of the task definition, as the variable \
    CW_CONFIG_CONTENT (or any other name, used with env:NAME); ECS fetches it before the start";

/// `scheme:rest`, as in `--config` and inside `${...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    File(String),
    Env { name: String, default: Option<String> },
    Yaml(String),
}

/// A text that was fetched.
pub(crate) struct Fetched {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) text: String,
    /// A variable that is not set and has no default.
    pub(crate) unset: Option<String>,
}

impl Location {
    /// A `--config` argument: without a scheme it is a file, also behind a drive letter.
    pub(crate) fn argument(uri: &str) -> Result<Location, Diagnostic> {
        let is_drive = uri.as_bytes().get(1) == Some(&b':') && uri.as_bytes()[0].is_ascii_alphabetic();
        if is_drive || !uri.contains(':') {
            return Ok(Location::File(uri.to_owned()));
        }
        match uri.split(':').next() {
            Some("file" | "env" | "yaml" | "http" | "https" | "s3" | "ssm") => Location::parse(uri),
            _ => Err(Diagnostic::error(format!("unsupported scheme on URI {:?}", without_text(uri)))
                .help("use file:PATH, env:NAME, yaml:TEXT or a plain path")),
        }
    }

    /// A `--config` argument for messages and logs: a path or the name of a variable, nothing of a text.
    pub(crate) fn describe(uri: &str) -> String {
        match Location::argument(uri) {
            Ok(Location::File(_) | Location::Env { default: None, .. }) => uri.to_owned(),
            Ok(Location::Env { name, default: Some(_) }) => format!("env:{name}:-..."),
            Ok(Location::Yaml(_)) | Err(_) => without_text(uri),
        }
    }

    /// The inside of `${...}`; a bare name is a variable.
    pub(crate) fn reference(uri: &str) -> Result<Location, Diagnostic> {
        match uri.contains(':') {
            true => Location::parse(uri),
            false => Location::env(uri),
        }
    }

    fn parse(uri: &str) -> Result<Location, Diagnostic> {
        let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
        let is_scheme = scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
        let unsupported = || {
            let uri = without_text(uri);
            Diagnostic::error(format!("scheme {scheme:?} is not supported for uri {uri:?}"))
        };
        match scheme {
            "file" => Ok(Location::File(rest.to_owned())),
            "env" => Location::env(rest),
            "yaml" => Ok(Location::Yaml(rest.to_owned())),
            "http" | "https" | "s3" => Err(unsupported().help(
                "fetch the file before the start and use file:PATH, or pass the text in an environment variable with env:NAME",
            )),
            "ssm" => Err(unsupported().help(SSM_HELP)),
            "AWS" => Err(unsupported().help(
                "this is a placeholder of CloudFormation; put the text into Fn::Sub there, or write an environment \
                 variable such as ${env:AWS_REGION}",
            )),
            _ if rest.starts_with('-') => Err(unsupported()
                .help(format!("write ${{env:{scheme}:-...}}; defaults need the env: scheme"))),
            _ if is_scheme || is_variable(scheme) => {
                Err(unsupported().help("write ${env:NAME}, ${file:PATH} or ${yaml:TEXT}; for the text itself write $${...}"))
            }
            _ => Err(Diagnostic::error(format!("invalid uri: {:?}", without_text(uri)))
                .help("write ${env:NAME}, ${file:PATH} or ${yaml:TEXT}; for the text itself write $${...}")),
        }
    }

    fn env(text: &str) -> Result<Location, Diagnostic> {
        let (name, default) = match text.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (text, None),
        };
        if is_variable(name) {
            return Ok(Location::Env { name: name.to_owned(), default });
        }
        let problem = Diagnostic::error(format!(
            "environment variable {name:?} has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$"
        ));
        let is_group = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        Err(problem
            .help("write ${env:NAME} with the name of a variable; for the text itself write $${...}")
            .maybe_help(is_group.then(|| format!("for group {name} of a regular expression write $${{{name}}}"))))
    }

    /// Fetches the text. A variable that is not set gives an empty one.
    pub(crate) fn fetch(&self, env: &dyn Env) -> Result<Fetched, Diagnostic> {
        match self {
            Location::File(path) => Ok(Fetched { name: path.clone(), text: read_file(path)?, unset: None }),
            Location::Yaml(text) => Ok(Fetched { name: "yaml:".to_owned(), text: text.clone(), unset: None }),
            Location::Env { name, default } => {
                let value = env.var(name);
                let unset = (value.is_none() && default.is_none()).then(|| name.clone());
                let text = value.or_else(|| default.clone()).unwrap_or_default();
                Ok(Fetched { name: format!("env:{name}"), text, unset })
            }
        }
    }
}

/// The scheme alone: what follows may be a whole configuration with its secrets, or a default that is one. What names
/// a place elsewhere stays, but for the secrets of a URL.
pub(crate) fn without_text(uri: &str) -> String {
    match uri.split_once(':') {
        Some(("http" | "https" | "s3" | "ssm", _)) => mask_urls(uri),
        Some((scheme, _)) => format!("{scheme}:..."),
        None => uri.to_owned(),
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn read_file(path: &str) -> Result<String, Diagnostic> {
    let failed = |why: String| Diagnostic::error(format!("cannot read the file {path:?}: {why}"));
    let file = std::fs::File::open(path).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path; in a container, check that the file is mounted",
            std::io::ErrorKind::PermissionDenied => {
                "check the owner and mode of the file; the container runs as its own user"
            }
            _ => "check the path",
        };
        failed(plain(&error)).help(help)
    })?;
    let mut bytes = Vec::new();
    let limit = MAX_SOURCE_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| failed(plain(&error)))?;
    if bytes.len() > MAX_SOURCE_BYTES {
        return Err(failed(format!("it is larger than {MAX_SOURCE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        failed(format!("line {line} is not UTF-8 text")).help("save the file in UTF-8")
    })
}

/// An I/O error in the words of the system, without Rust's error number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text.to_lowercase()
}
