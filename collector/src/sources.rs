//! From the command line to a checked configuration: which sources, which environment.

use config::{Built, Config, ProcessEnv, Sources};

use crate::cli::Cli;
use crate::known;

/// Loads the configuration that the command line names.
pub(crate) fn load(cli: &Cli) -> Built<Config> {
    config::load(&sources(cli), &ProcessEnv, &known::components())
}

fn sources(cli: &Cli) -> Sources {
    Sources { configs: cli.config.clone(), sets: cli.set.clone() }
}
