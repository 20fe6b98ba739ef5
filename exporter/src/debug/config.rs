//! The settings of `debug` and what is wrong with them.

use config::{Diagnostic, Optional, Spanned, hint};
use serde::Deserialize;

use crate::sender::config::{QueueConfig, SenderConfig, SenderSettings, written};

/// The section as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct DebugConfig {
    /// `basic`: a line per batch; `normal`: also a line per point; `detailed`: also everything known of it.
    pub verbosity: Spanned<String>,
    /// Equal messages that are written each second.
    pub sampling_initial: Spanned<i64>,
    /// After these, every so many-th; 1: all, 0: none.
    pub sampling_thereafter: Spanned<i64>,
    /// Write to the agent's log instead of `output_paths`.
    pub use_internal_logger: bool,
    /// `stdout`, `stderr` or files.
    pub output_paths: Spanned<Vec<String>>,
    /// Off unless written.
    #[serde(deserialize_with = "written")]
    pub sending_queue: Option<Optional<QueueConfig>>,
}

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// A line per batch.
    Basic,
    /// A line per point.
    Normal,
    /// Everything.
    Detailed,
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct DebugSettings {
    /// How much is written.
    pub verbosity: Verbosity,
    /// Equal messages a second.
    pub sampling_initial: u64,
    /// Then every so many-th.
    pub sampling_thereafter: u64,
    /// Where to; `None`: the agent's log.
    pub outputs: Option<Vec<String>>,
    /// Queue.
    pub sending: SenderSettings,
}

impl Default for DebugConfig {
    fn default() -> DebugConfig {
        DebugConfig {
            verbosity: Spanned::built_in("basic".to_owned()),
            sampling_initial: Spanned::built_in(2),
            sampling_thereafter: Spanned::built_in(1),
            use_internal_logger: true,
            output_paths: Spanned::default(),
            sending_queue: None,
        }
    }
}

const LEVELS: [(&str, Verbosity); 3] =
    [("basic", Verbosity::Basic), ("normal", Verbosity::Normal), ("detailed", Verbosity::Detailed)];

impl DebugConfig {
    /// Checks everything.
    pub fn check(&self, found: &mut Vec<Diagnostic>) -> DebugSettings {
        let level = LEVELS.iter().find(|(name, _)| self.verbosity.eq_ignore_ascii_case(name));
        if level.is_none() {
            let near = hint::nearest(&self.verbosity, LEVELS.map(|(name, _)| name));
            let help = near.map_or("write basic, normal or detailed".to_owned(), |n| format!("did you mean {n:?}?"));
            let problem = format!("verbosity level {:?} is not supported", self.verbosity.value);
            found.push(self.verbosity.error(problem).help(help));
        }
        for (name, value) in
            [("sampling_initial", &self.sampling_initial), ("sampling_thereafter", &self.sampling_thereafter)]
        {
            if **value < 0 {
                found.push(value.error(format!("{name} must not be negative")));
            }
        }
        if self.use_internal_logger && !self.output_paths.is_empty() {
            let problem = self.output_paths.error("output_paths is not supported when use_internal_logger is true");
            found.push(problem.help("add use_internal_logger: false"));
        }
        let mut defaults = SenderSettings { timeout: None, ..SenderSettings::default() };
        defaults.queue.enabled = false;
        let section = SenderConfig { sending_queue: self.sending_queue.clone(), ..SenderConfig::default() };
        let (sending, problems) = section.check(defaults);
        found.extend(problems);
        let outputs = match self.output_paths.as_slice() {
            [] => vec!["stdout".to_owned()],
            paths => paths.to_vec(),
        };
        DebugSettings {
            verbosity: level.map_or(Verbosity::Basic, |(_, level)| *level),
            sampling_initial: u64::try_from(*self.sampling_initial).unwrap_or(0),
            sampling_thereafter: u64::try_from(*self.sampling_thereafter).unwrap_or(0),
            outputs: (!self.use_internal_logger).then_some(outputs),
            sending,
        }
    }
}
