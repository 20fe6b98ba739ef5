//! The `global` section: what scrape configs inherit.

use std::collections::BTreeMap;

use config::{ByteSize, Diagnostic, Node, PromDuration, Spanned, decode_prometheus};
use serde::Deserialize;

use super::job::{Limits, SharedKeys, escaping};
use super::protocol::{DEFAULT_PROTOCOLS, Escaping, Protocol, validation};
use super::refuse;
use crate::prometheus::labels::ValidationScheme;

/// What scrape configs inherit.
#[derive(Clone, Debug)]
pub(super) struct Global {
    /// The receiver's own `type_by_original_name`.
    pub(super) type_by_original_name: bool,
    pub(super) interval: PromDuration,
    pub(super) timeout: PromDuration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) external_labels: Vec<(String, String)>,
    pub(super) body_size_limit: ByteSize,
    pub(super) limits: Limits,
    pub(super) target_limit: u64,
    pub(super) validation: ValidationScheme,
    pub(super) escaping: Option<Escaping>,
    pub(super) extra_scrape_metrics: bool,
    pub(super) failure_log: String,
}

/// No further keys.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Nothing {}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct GlobalKeys {
    evaluation_interval: Option<Node>,
    rule_query_offset: Option<Node>,
    query_log_file: Option<Node>,
    external_labels: BTreeMap<String, Spanned<String>>,
    #[serde(rename = "<inline>")]
    shared: SharedKeys<Nothing>,
}

const DEFAULT_INTERVAL: PromDuration = PromDuration::from_secs(60);
const DEFAULT_TIMEOUT: PromDuration = PromDuration::from_secs(10);

/// Reads the section; `None` stands for one that is not there. `env` looks up variables in external labels.
pub(super) fn global(node: Option<&Node>, env: &dyn Fn(&str) -> Option<String>, found: &mut Vec<Diagnostic>) -> Global {
    let keys = match node {
        Some(node) => {
            let (keys, problems) = decode_prometheus::<GlobalKeys>(node);
            found.extend(problems);
            keys.unwrap_or_default()
        }
        None => GlobalKeys::default(),
    };
    let unused = [
        ("evaluation_interval", &keys.evaluation_interval),
        ("rule_query_offset", &keys.rule_query_offset),
        ("query_log_file", &keys.query_log_file),
    ];
    for (key, node) in unused {
        found.extend(node.as_ref().map(|node| refuse::no_effect(node, key)));
    }
    let shared = keys.shared;
    shared.check(found);
    let interval =
        shared.scrape_interval.as_ref().map(|i| i.value).filter(|i| !i.is_zero()).unwrap_or(DEFAULT_INTERVAL);
    let timeout = match shared.scrape_timeout.as_ref().filter(|timeout| !timeout.is_zero()) {
        None => DEFAULT_TIMEOUT.min(interval),
        Some(timeout) => {
            if timeout.value > interval {
                found.push(
                    timeout
                        .error("global scrape timeout greater than scrape interval")
                        .help(format!("the interval is {interval}")),
                );
            }
            timeout.value
        }
    };
    let scheme = validation(&shared.metric_name_validation_scheme, found).unwrap_or_default();
    let written = !shared.metric_name_escaping_scheme.is_empty();
    let escaping = escaping(&shared.metric_name_escaping_scheme, scheme, None, found);
    for (name, value) in &keys.external_labels {
        if !scheme.is_label_name(name) {
            found.push(value.error(format!("{name:?} is not a valid label name")));
        }
    }
    Global {
        type_by_original_name: false,
        interval,
        timeout,
        protocols: match &shared.scrape_protocols {
            Some(list) => Protocol::parse_list(list, found),
            None => DEFAULT_PROTOCOLS.to_vec(),
        },
        external_labels: keys.external_labels.into_iter().map(|(name, value)| (name, expand(&value, env))).collect(),
        body_size_limit: shared.body_size_limit,
        limits: Limits {
            samples: shared.sample_limit,
            labels: shared.label_limit,
            label_name_bytes: shared.label_name_length_limit,
            label_value_bytes: shared.label_value_length_limit,
        },
        target_limit: shared.target_limit,
        validation: scheme,
        escaping: written.then_some(escaping),
        extra_scrape_metrics: shared.extra_scrape_metrics.unwrap_or_default(),
        failure_log: shared.scrape_failure_log_file,
    }
}

/// Prometheus expands `$NAME` and `${NAME}` in external labels from the environment, `$$` is a dollar; once, where the
/// reference does it twice.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            out.push_str(&env(name).unwrap_or_default());
            rest = after;
        } else {
            let length = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let (name, after) = after.split_at(length);
            if name.is_empty() {
                out.push('$');
            }
            out.push_str(&env(name).unwrap_or_default());
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_labels_are_expanded_once() {
        let env = |name: &str| (name == "HOME").then(|| "/root$HOME".to_owned());
        for (text, expanded) in [
            ("plain", "plain"),
            ("$HOME", "/root$HOME"),
            ("a${HOME}b", "a/root$HOMEb"),
            ("$$HOME", "$HOME"),
            ("x$MISSING-y", "x-y"),
            ("cost 5$", "cost 5$"),
            ("a$.b", "a$.b"),
        ] {
            assert_eq!(expand(text, &env), expanded, "{text}");
        }
    }
}
