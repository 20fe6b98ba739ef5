//! The way from arguments to one effective tree: fetch, parse, merge, expand. What the tree means is not its business.

use crate::diagnostic::{Built, Diagnostic, has_errors};
use crate::layer::{MAX_NESTED_KEYS, merge, set_text, unflatten};
use crate::node::{Node, Value};
use crate::position::{Source, Span};
use crate::service::{Config, KnownComponents};
use crate::source::{Env, Fetched, Location};
use crate::{cloudwatch_agent, expand, shell, yaml};

/// The variable whose presence replaces every `--config` and `--set` (ADOT).
pub const CONTENT_VARIABLE: &str = "AOT_CONFIG_CONTENT";

/// What the command line names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `--config` arguments, merged left to right: a path, `file:PATH`, `env:NAME`, `yaml:TEXT`. Each may hold the
    /// CloudWatch agent's JSON instead of YAML; a folder holds files with such JSON.
    pub configs: Vec<String>,
    /// Further `--config` arguments, laid over `configs` or over what is read without any. They come from elsewhere
    /// than the command line (`extracfg.txt`) and are no configuration by themselves.
    pub appended: Vec<String>,
    /// `--set key=value` arguments, applied after all of `configs`.
    pub sets: Vec<String>,
}

/// Loads and checks a configuration: [`load_tree`], then [`Config::from_tree`].
pub fn load(sources: &Sources, env: &dyn Env, known: &KnownComponents) -> Built<Config> {
    let (root, mut found) = load_tree(sources, env);
    let Some(root) = root.filter(|root| !root.entries().is_empty()) else { return (None, found) };
    let (config, more) = Config::from_tree(root, known);
    found.extend(more);
    (config, found)
}

/// Reads, merges and expands the sources into one tree with paths, `AOT_CONFIG_CONTENT` instead of them when it is set.
/// Without any of them, what the CloudWatch agent would read: the JSON files of its folder, else `CW_CONFIG_CONTENT`.
///
/// Agent JSON is translated, all of it together, and stands where the first of it was named.
///
/// All problems of all sources are returned; the tree is `None` when one of them could not be read. It is there next
/// to errors that leave a tree (a key that is there twice, broken rules of the agent's JSON), so that what comes after
/// can be checked, too.
pub fn load_tree(sources: &Sources, env: &dyn Env) -> Built<Node> {
    let mut found = Vec::new();
    let content = env
        .var(CONTENT_VARIABLE)
        .map(|_| Sources { configs: vec![format!("env:{CONTENT_VARIABLE}")], ..Sources::default() });
    if content.is_some() && *sources != Sources::default() {
        let replaced = match (&*sources.configs, &*sources.sets) {
            ([], []) => "what extracfg.txt adds",
            _ => "--config and --set",
        };
        let text = format!("environment variable {CONTENT_VARIABLE} is set and replaces {replaced}");
        found.push(Diagnostic::warning(text).help("unset it to use them"));
    }
    let sources = content.as_ref().unwrap_or(sources);
    let mut reader = Reader { env, inputs: Vec::new(), is_complete: true, found: &mut found };
    reader.configs(sources);
    sources.appended.iter().for_each(|uri| reader.config(uri));
    sources.sets.iter().for_each(|set| reader.setting(set));
    let Reader { mut inputs, is_complete, .. } = reader;
    let agent_texts: Vec<(String, String)> = inputs.iter_mut().filter_map(Input::take_agent_text).collect();
    let (mut translated, agent_found) = match agent_texts.is_empty() {
        true => (None, Vec::new()),
        false => cloudwatch_agent::load(&agent_texts, env),
    };
    let is_translated = agent_texts.is_empty() || translated.is_some();
    let mut merged: Option<Node> = None;
    for input in inputs {
        let node = match input {
            Input::Tree(node) => Some(node),
            Input::Agent(..) => translated.take(),
        };
        match (&mut merged, node) {
            (Some(base), Some(node)) => merge(base, node),
            (None, Some(node)) => merged = Some(node),
            (_, None) => {}
        }
    }
    let root = merged.filter(|_| is_complete && is_translated);
    found.extend(agent_found);
    let Some(mut root) = root else { return (None, found) };
    root.set_paths("");
    found.extend(expand::expand(&mut root, env));
    found.extend(shell::expand_external_labels(&mut root, env));
    if root.entries().is_empty() {
        let problem = Diagnostic::error("empty configuration file").at(&root.span);
        found.push(problem.help("a configuration starts with keys such as receivers: and service:"));
    }
    (Some(root), found)
}

/// What the configuration is made of, for a log line.
pub fn describe_sources(sources: &Sources, env: &dyn Env) -> String {
    if env.var(CONTENT_VARIABLE).is_some() {
        format!("environment variable {CONTENT_VARIABLE}")
    } else if !sources.configs.is_empty() {
        let configs: Vec<String> =
            sources.configs.iter().map(|uri| format!("--config {}", Location::describe(uri))).collect();
        configs.join(" ")
    } else {
        let inputs = cloudwatch_agent::default_inputs(cloudwatch_agent::DEFAULT_FOLDER, env, &mut Vec::new());
        match inputs.is_empty() {
            true => "nowhere".to_owned(),
            false => format!("the CloudWatch agent's {}", inputs.names()),
        }
    }
}

/// The texts of agent JSON that the arguments name (files, folders, variables), or the agent's own places without any.
pub fn agent_texts(sources: &Sources, env: &dyn Env) -> Built<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut reader = Reader { env, inputs: Vec::new(), is_complete: true, found: &mut found };
    reader.configs(sources);
    let Reader { mut inputs, is_complete, .. } = reader;
    for input in &inputs {
        if let Input::Tree(node) = input {
            if sources.configs.is_empty() {
                let name = node.span.source_name();
                let text = format!("{name} is laid over the translation when it runs, and is not in this text");
                found.push(Diagnostic::warning(text));
                continue;
            }
            let text = format!("{} is not the CloudWatch agent's JSON", node.span.source_name());
            found.push(Diagnostic::error(text).help("it starts with { and has a section logs, agent or metrics"));
        }
    }
    let texts = inputs.iter_mut().filter_map(Input::take_agent_text).collect();
    (is_complete.then_some(texts), found)
}

/// One source.
enum Input {
    Tree(Node),
    /// Agent JSON: name and text.
    Agent(String, String),
}

impl Input {
    fn take_agent_text(&mut self) -> Option<(String, String)> {
        match self {
            Input::Agent(name, text) => Some((std::mem::take(name), std::mem::take(text))),
            Input::Tree(_) => None,
        }
    }
}

/// Fetches and parses sources, one after the other.
struct Reader<'a> {
    env: &'a dyn Env,
    inputs: Vec<Input>,
    /// Whether every source could be read; if not, what is missing would look like mistakes elsewhere.
    is_complete: bool,
    found: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// All of `--config`, or the CloudWatch agent's places without any.
    fn configs(&mut self, sources: &Sources) {
        if sources.configs.is_empty() {
            let mut problems = Vec::new();
            let inputs = cloudwatch_agent::default_inputs(cloudwatch_agent::DEFAULT_FOLDER, self.env, &mut problems);
            if inputs.is_empty() {
                let help = format!(
                    "add --config FILE, or set {CONTENT_VARIABLE} or, with the CloudWatch agent's JSON, {}{}",
                    cloudwatch_agent::CONTENT_VARIABLE,
                    match self.env.var("USE_DEFAULT_CONFIG") {
                        Some(_) => "; the default of USE_DEFAULT_CONFIG collects no Prometheus metrics and is not here",
                        None => "",
                    }
                );
                problems.push(Diagnostic::error("at least one config flag must be provided").help(help));
            }
            return self.folder(inputs, problems);
        }
        let variable = cloudwatch_agent::CONTENT_VARIABLE;
        let own = format!("env:{variable}");
        if self.env.var(variable).is_some() && !sources.configs.contains(&own) {
            let text = format!("environment variable {variable} is not used, because a configuration is named");
            self.found.push(Diagnostic::warning(text).help(format!("use it with --config {own}, or unset it")));
        }
        sources.configs.iter().for_each(|uri| self.config(uri));
    }

    fn config(&mut self, uri: &str) {
        let location = match Location::argument(uri) {
            Ok(location) => location,
            Err(problem) => return self.add((None, vec![problem])),
        };
        if let Location::File(path) = &location
            && std::path::Path::new(path).is_dir()
        {
            let mut problems = Vec::new();
            let inputs = cloudwatch_agent::folder(path, &mut problems);
            if inputs.is_empty() {
                let text = format!("--config {uri}: there is no file in this folder");
                problems.push(Diagnostic::error(text).help("a folder holds the CloudWatch agent's JSON files"));
            }
            return self.folder(inputs, problems);
        }
        match location.fetch(self.env) {
            Ok(Fetched { unset: Some(name), .. }) => {
                let problem = Diagnostic::error(format!("--config {uri}: environment variable {name:?} is not set"));
                self.add((None, vec![problem.help(format!("set {name} to the text of the configuration"))]));
            }
            Ok(fetched) if cloudwatch_agent::is_agent_json(&fetched.text) => {
                self.inputs.push(Input::Agent(fetched.name, fetched.text));
            }
            Ok(fetched) => self.add(parse(&fetched.name, &fetched.text)),
            Err(problem) => self.add((None, vec![problem])),
        }
    }

    fn setting(&mut self, argument: &str) {
        match set_text(argument) {
            Ok(text) => self.add(parse("--set", &text)),
            Err(problem) => self.add((None, vec![problem])),
        }
    }

    /// Agent JSON, then what is laid over it.
    fn folder(&mut self, inputs: cloudwatch_agent::Inputs, problems: Vec<Diagnostic>) {
        self.is_complete &= !has_errors(&problems);
        self.found.extend(problems);
        self.inputs.extend(inputs.json.into_iter().map(|(name, text)| Input::Agent(name, text)));
        for (name, text) in &inputs.collector {
            self.add(parse(name, text));
        }
    }

    fn add(&mut self, (node, problems): Built<Node>) {
        self.is_complete &= node.is_some();
        self.inputs.extend(node.map(Input::Tree));
        self.found.extend(problems);
    }
}

/// A source as a map; nothing at all is an empty one.
fn parse(name: &str, text: &str) -> Built<Node> {
    let (node, mut found) = yaml::parse_source(&Source::new(name, text));
    let node = match node {
        Some(node) if node.is_null() => Some(Node { value: Value::Map(Vec::new()), ..node }),
        Some(node) if !matches!(node.value, Value::Map(_)) => {
            found.push(not_a_map(&node.value, &node.span, text));
            None
        }
        other => other,
    };
    if let Some((key, _)) =
        node.iter().flat_map(Node::entries).filter(|(key, _)| key.name.contains("::")).nth(MAX_NESTED_KEYS)
    {
        found.push(Diagnostic::error(format!("more than {MAX_NESTED_KEYS} keys with ::")).at(&key.span));
        return (None, found);
    }
    (node.map(unflatten), found)
}

fn not_a_map(value: &Value, span: &Span, text: &str) -> Diagnostic {
    let kind = match value {
        Value::Str(_) => "text",
        Value::Seq(_) => "a list",
        _ => "a single value",
    };
    let compact: String = text.split_whitespace().collect();
    let is_base64 = compact.len() >= 16 && compact.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let help = if is_base64 {
        "it looks like base64; put the YAML text itself there"
    } else {
        "a configuration starts with keys such as receivers: and service:"
    };
    Diagnostic::error(format!("expected a map of settings, got {kind}")).at(span).help(help)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
