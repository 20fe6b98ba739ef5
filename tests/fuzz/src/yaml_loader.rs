//! Any text as a configuration: loading, expansion, decoding in both modes and rendering of problems never panic.

use std::collections::BTreeMap;

use config::{ByteSize, Endpoint, Env, GoDuration, KnownComponents, Node, PromDuration, Secret, Sources, Spanned};
use serde::Deserialize;

/// One setting of each kind.
#[derive(Default, Deserialize)]
#[serde(default)]
#[allow(dead_code)]
struct Settings {
    text: String,
    number: i64,
    small: u8,
    ratio: f64,
    flag: bool,
    list: Vec<String>,
    map: BTreeMap<String, String>,
    duration: GoDuration,
    size: ByteSize,
    interval: PromDuration,
    secret: Secret,
    endpoint: Option<Endpoint>,
    node: Option<Node>,
    placed: Spanned<String>,
    nested: Option<Box<Settings>>,
}

struct Variables;

impl Env for Variables {
    fn var(&self, name: &str) -> Option<String> {
        match name {
            "A" => Some("text".to_owned()),
            "B" => Some("${env:A}-${env:B}".to_owned()),
            "C" => Some("[1, {x: ${A}}]".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        }
    }
}

/// Runs one input; panics when something does not hold.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Files are out of bounds.
    if text.contains("file:") {
        return;
    }
    let known = KnownComponents {
        receivers: vec!["prometheus", "otlp"],
        processors: vec!["batch", "resource"],
        exporters: vec!["awsemf", "debug"],
        extensions: vec!["ecs_observer", "health_check"],
    };
    let sources = Sources { configs: vec![format!("yaml:{text}")], ..Sources::default() };
    let (_, found) = config::load(&sources, &Variables, &known);
    config::render(&found, false);
    let (root, found) = config::load_tree(&sources, &Variables);
    config::render(&found, true);
    if let Some(root) = root {
        let (_, found) = config::decode::<Settings>(&root);
        config::render(&found, false);
        let (_, found) = config::decode_prometheus::<Settings>(&root);
        config::render(&found, false);
    }
}
