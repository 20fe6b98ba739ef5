//! Where a key belongs that stands at the wrong level: people leave out `config`, `global` or `scrape_configs`. Words
//! only; whether a key is known is decided elsewhere.

use config::{Diagnostic, Node, Schema};

use super::PrometheusKeys;
use super::global::GlobalKeys;
use super::job::JobKeys;

/// Keys of a Prometheus configuration that are refused or without effect, and still belong there.
const OTHER_PROMETHEUS_KEYS: [&str; 5] =
    ["alerting", "remote_read", "remote_write", "rule_files", "scrape_config_files"];

/// Adds the place to an unknown key of the receiver's own section.
pub(super) fn explain(problem: &mut Diagnostic, section: &Node) {
    let Some(key) = unknown_key(problem, section) else { return };
    let in_config = match has::<PrometheusKeys>(key) || OTHER_PROMETHEUS_KEYS.contains(&key) {
        true => Some("config"),
        false => below_config(key).map(|(full, _)| full),
    };
    if let Some(place) = in_config {
        belongs(problem, section, place);
    }
}

/// Adds the place to an unknown key of the Prometheus configuration.
pub(super) fn explain_prometheus(problem: &mut Diagnostic, section: &Node) {
    if let Some((_, place)) = unknown_key(problem, section).and_then(below_config) {
        belongs(problem, section, place);
    }
}

/// The part of the Prometheus configuration that has a key: seen from the receiver, and from `config`.
fn below_config(key: &str) -> Option<(&'static str, &'static str)> {
    match (has::<GlobalKeys>(key), has::<JobKeys>(key)) {
        (true, _) => Some(("config::global", "global")),
        (false, true) => Some(("config::scrape_configs[]", "scrape_configs[]")),
        (false, false) => None,
    }
}

fn has<T: serde::de::DeserializeOwned>(key: &str) -> bool {
    Schema::of::<T>().sections_with(key).contains(&"")
}

fn unknown_key<'a>(problem: &Diagnostic, section: &'a Node) -> Option<&'a str> {
    if problem.path != section.path {
        return None;
    }
    let is_meant = |key: &str| problem.message == format!("unknown key {key:?}");
    section.entries().iter().map(|(key, _)| &*key.name).find(|key| is_meant(key))
}

fn belongs(problem: &mut Diagnostic, section: &Node, place: &str) {
    let place = match section.path.as_ref() {
        "" => place.to_owned(),
        path => format!("{path}::{place}"),
    };
    problem.help = Some(format!("this key belongs under {place}").into_boxed_str());
}
