//! From the command line to a checked configuration: which sources, which environment.

use config::{Built, Config, Diagnostic, ProcessEnv, Sources};

use crate::cli::Cli;
use crate::known;

/// Loads the configuration that the command line names.
pub(crate) fn load(cli: &Cli) -> Built<Config> {
    config::load(&sources(cli), &ProcessEnv, &known::components())
}

/// The effective configuration as YAML, secrets redacted.
pub(crate) fn print(cli: &Cli) -> (Option<String>, Vec<Diagnostic>) {
    let (root, problems) = config::load_tree(&sources(cli), &ProcessEnv);
    (root.map(|root| config::print(&root)), problems)
}

fn sources(cli: &Cli) -> Sources {
    Sources { configs: cli.config.clone(), sets: cli.set.clone() }
}
