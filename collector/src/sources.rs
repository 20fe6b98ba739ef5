//! From the command line to a checked configuration: which sources, which environment.

use config::{Built, Config, Diagnostic, ProcessEnv, Sources};

use crate::cli::Cli;
use crate::known;

/// Loads the configuration that the command line names.
pub(crate) fn load(cli: &Cli) -> Built<Config> {
    let (config, found) = config::load(&sources(cli), &ProcessEnv, &known::components());
    (config, cli.extra.problems.iter().cloned().chain(found).collect())
}

/// The effective configuration as YAML, secrets redacted.
pub(crate) fn print(cli: &Cli) -> (Option<String>, Vec<Diagnostic>) {
    let (root, found) = config::load_tree(&sources(cli), &ProcessEnv);
    (root.map(|root| config::print(&root)), cli.extra.problems.iter().cloned().chain(found).collect())
}

/// The CloudWatch agent's JSON in these files (or where the agent would look) as YAML.
pub(crate) fn translate(files: &[String]) -> Built<String> {
    let sources = Sources { configs: files.to_vec(), ..Sources::default() };
    let (texts, mut problems) = config::agent_texts(&sources, &ProcessEnv);
    let Some(texts) = texts.filter(|_| !config::has_errors(&problems)) else { return (None, problems) };
    let platform = config::cloudwatch_agent::Platform::detect(&ProcessEnv);
    let (text, found) = config::cloudwatch_agent::translate(&texts, &platform, &ProcessEnv);
    problems.extend(found);
    (text, problems)
}

/// Which sources are used, for the log.
pub(crate) fn describe(cli: &Cli) -> String {
    config::describe_sources(&sources(cli), &ProcessEnv)
}

fn sources(cli: &Cli) -> Sources {
    Sources { configs: cli.config.clone(), appended: cli.extra.config().into_iter().collect(), sets: cli.set.clone() }
}
