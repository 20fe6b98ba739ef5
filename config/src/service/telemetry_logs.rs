//! Settings of the agent's own logs: `service::telemetry::logs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use crate::decode::Spanned;
use crate::diagnostic::Diagnostic;
use crate::node::Node;
use crate::types::GoDuration;

/// The agent's own logs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct LogsTelemetry {
    /// Least level that is logged.
    pub level: LogLevel,
    /// Form of a record.
    pub encoding: Encoding,
    /// Stack traces from warnings on, which this agent does not write.
    pub development: Spanned<bool>,
    /// Leave out where in the program the record comes from.
    pub disable_caller: bool,
    /// Leave out stack traces; there are none.
    pub disable_stacktrace: bool,
    /// Thins out repeated messages; `None` with an empty key.
    pub sampling: Option<Sampling>,
    /// Where records go: `stderr`, `stdout` or a file.
    pub output_paths: Vec<String>,
    /// Where problems of the logging itself would go.
    pub error_output_paths: Spanned<Vec<String>>,
    /// Fields of every record.
    pub initial_fields: BTreeMap<String, serde_json::Value>,
    /// Leave out the resource.
    pub disable_zap_resource: bool,
    /// Export of the agent's logs; refused.
    pub processors: Option<Node>,
}

impl Default for LogsTelemetry {
    fn default() -> LogsTelemetry {
        LogsTelemetry {
            level: LogLevel::Info,
            encoding: Encoding::Console,
            development: Spanned::built_in(false),
            disable_caller: false,
            disable_stacktrace: false,
            sampling: Some(Sampling::default()),
            output_paths: vec!["stderr".to_owned()],
            error_output_paths: Spanned::built_in(vec!["stderr".to_owned()]),
            initial_fields: BTreeMap::new(),
            disable_zap_resource: false,
            processors: None,
        }
    }
}

impl LogsTelemetry {
    pub(super) fn check(&self, found: &mut Vec<Diagnostic>) {
        if let Some(processors) = self.processors.as_ref().filter(|node| !node.elements().is_empty()) {
            let problem = Diagnostic::error("export of the agent's own logs is not supported").on(processors);
            found.push(problem.help("let the awslogs driver take them from stderr; remove processors"));
        }
        if *self.development {
            found.push(self.development.warning("development has no effect: this agent writes no stack traces"));
        }
        if self.error_output_paths.iter().any(|path| path != "stderr") {
            let text = "error_output_paths has no effect: a record that cannot be written is lost";
            found.push(self.error_output_paths.warning(text));
        }
    }
}

/// Severity of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// The usual.
    #[default]
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LogLevel, D::Error> {
        match String::deserialize(deserializer)?.to_ascii_lowercase().as_str() {
            "debug" => Ok(LogLevel::Debug),
            "info" | "" => Ok(LogLevel::Info),
            "warn" => Ok(LogLevel::Warn),
            "error" => Ok(LogLevel::Error),
            other => Err(de::Error::unknown_variant(other, &["debug", "info", "warn", "error"])),
        }
    }
}

/// Form of a log record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Tab-separated, for people.
    #[default]
    Console,
    /// One object per line.
    Json,
}

/// Thinning of equal messages: in every `tick` the first `initial`, then each `thereafter`-th.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Whether to thin out at all.
    pub enabled: bool,
    /// The time that is counted over.
    pub tick: GoDuration,
    /// Records that pass first.
    pub initial: u32,
    /// Of the rest every so many-th passes; none when 0.
    pub thereafter: u32,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { enabled: true, tick: GoDuration::from_secs(10), initial: 10, thereafter: 100 }
    }
}
