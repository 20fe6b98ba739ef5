//! Settings of `batch`.

use std::time::Duration;

use config::{Built, GoDuration, Node, Spanned, decode};
use serde::Deserialize;

/// The section as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    pub(super) timeout: GoDuration,
    pub(super) send_batch_size: u32,
    pub(super) send_batch_max_size: Spanned<u32>,
    pub(super) metadata_keys: Vec<Spanned<String>>,
    pub(super) metadata_cardinality_limit: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            timeout: GoDuration::from_millis(200),
            send_batch_size: 8192,
            send_batch_max_size: Spanned::built_in(0),
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: 1000,
        }
    }
}

impl Config {
    /// Period of the timer; zero sends whatever arrives at once.
    pub(super) fn period(&self) -> Duration {
        self.timeout.to_std()
    }

    /// Points that trigger a send.
    pub(super) fn size(&self) -> usize {
        if self.period().is_zero() { 0 } else { self.send_batch_size as usize }
    }

    /// Most points of one send; `usize::MAX` without a limit.
    pub(super) fn max_size(&self) -> usize {
        match self.send_batch_max_size.value {
            0 => usize::MAX,
            max => max as usize,
        }
    }
}

/// Decodes and checks the section.
pub(super) fn read(node: &Node) -> Built<Config> {
    let (config, mut found) = if node.is_null() { (Some(Config::default()), Vec::new()) } else { decode(node) };
    if let Some(config) = &config {
        let max = config.send_batch_max_size.value;
        if max > 0 && max < config.send_batch_size {
            found.push(
                config
                    .send_batch_max_size
                    .error("send_batch_max_size must be greater or equal to send_batch_size")
                    .help(format!("send_batch_size is {}", config.send_batch_size)),
            );
        }
        for (i, key) in config.metadata_keys.iter().enumerate() {
            if config.metadata_keys[..i].iter().any(|other| other.eq_ignore_ascii_case(key)) {
                found.push(key.error(format!("duplicate entry in metadata_keys: {:?} (case-insensitive)", key.value)));
            }
        }
    }
    (config, found)
}
