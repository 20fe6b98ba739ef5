//! `http_headers`: what a request carries beside its credentials, and what it may not.

use config::{Diagnostic, Secret, Spanned};
use serde::Deserialize;

use super::text::Text;

/// A header of `http_headers`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeaderSettings {
    pub(crate) name: String,
    /// `values`, which may be sent to anyone.
    pub(crate) values: Vec<Text>,
    /// `secrets`, then `files`.
    pub(crate) secrets: Vec<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct HeaderKeys {
    values: Vec<Secret>,
    secrets: Vec<Secret>,
    files: Vec<String>,
}

const RESERVED_HEADERS: &[&str] = &[
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

pub(super) fn header(name: String, keys: Spanned<HeaderKeys>, found: &mut Vec<Diagnostic>) -> Option<HeaderSettings> {
    if RESERVED_HEADERS.iter().any(|reserved| reserved.eq_ignore_ascii_case(&name)) {
        found.push(keys.error(format!("setting header {name:?} is not allowed")));
        return None;
    }
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        found.push(keys.error(format!("{name:?} is not a header name")));
        return None;
    }
    let keys = keys.value;
    let values = keys.values.into_iter().map(Text::Inline).collect();
    let secrets = keys.secrets.into_iter().map(Text::Inline).chain(keys.files.into_iter().map(Text::File)).collect();
    Some(HeaderSettings { name, values, secrets })
}
