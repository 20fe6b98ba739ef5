//! From a discovered target to what is scraped: labels, relabelling, checks, URL. Sends nothing.

use std::time::Duration;

use config::PromDuration;
use reqwest::Url;

use super::config::JobSettings;
use super::labels::Labels;
use super::relabel::apply_rules;
use super::resource;
use super::series::TargetIdentity;

/// A target that can be scraped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// Who it is.
    pub(crate) identity: TargetIdentity,
    /// Where its page is.
    pub(crate) url: Url,
    /// `__scrape_interval__`
    pub(crate) interval: Duration,
    /// `__scrape_timeout__`
    pub(crate) timeout: Duration,
    /// All labels that are left and the URL: targets of a job with equal keys are one.
    pub(crate) key: String,
}

/// Why a discovered target is not scraped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// `__address__` is missing or empty.
    #[error("no address: relabelling or discovery left __address__ empty")]
    NoAddress,
    /// `__address__` has a path.
    #[error("{address:?} is not a valid hostname: __address__ is host:port, the path goes into __metrics_path__")]
    BadAddress {
        /// What it is.
        address: String,
    },
    /// One of the durations is none, or nothing.
    #[error("{label} {value:?} is not a duration greater than 0")]
    BadDuration {
        /// Which.
        label: &'static str,
        /// What it is.
        value: String,
    },
    /// The timeout is the longer one.
    #[error("scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})")]
    TimeoutTooLong {
        /// `__scrape_timeout__`
        timeout: Duration,
        /// `__scrape_interval__`
        interval: Duration,
    },
    /// A label has a name that the validation scheme does not allow.
    #[error("invalid label name {name:?}")]
    BadLabelName {
        /// The name.
        name: String,
    },
    /// Scheme, address and path make no URL.
    #[error("{text:?} is not a URL: {reason}")]
    BadUrl {
        /// What was put together.
        text: String,
        /// What the parser says.
        reason: String,
    },
}

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";

/// Builds a target from its discovered labels (`__address__`, group labels). `Ok(None)` when `relabel_configs` drop it.
///
/// # Errors
/// Why it cannot be scraped.
pub(crate) fn build(discovered: &[(String, String)], job: &JobSettings) -> Result<Option<Target>, TargetError> {
    let mut labels: Labels<'_> = discovered.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let defaults = [
        ("job", job.name.clone()),
        (INTERVAL, job.interval.to_string()),
        (TIMEOUT, job.timeout.to_string()),
        (METRICS_PATH, job.metrics_path.clone()),
        (SCHEME, job.scheme.clone()),
    ];
    for (name, value) in defaults {
        if labels.value(name).is_empty() {
            labels.set(name, value);
        }
    }
    for (name, values) in &job.params {
        let label = format!("{PARAM}{name}");
        if labels.value(&label).is_empty()
            && let Some(first) = values.first()
        {
            labels.set(label, first.clone());
        }
    }
    let attributes = resource::discovered(|name| labels.get(name));
    let scheme = labels.value(SCHEME).to_owned();
    if !apply_rules(&job.relabel, &mut labels) {
        return Ok(None);
    }
    check_address(labels.value(ADDRESS))?;
    let interval = duration(&labels, INTERVAL)?;
    let timeout = duration(&labels, TIMEOUT)?;
    if timeout > interval {
        return Err(TargetError::TimeoutTooLong { timeout, interval });
    }
    labels.retain(|name, _| !name.starts_with("__meta_"));
    if labels.value("instance").is_empty() {
        let address = labels.value(ADDRESS).to_owned();
        labels.set("instance", address);
    }
    if let Some((name, _)) = labels.iter().find(|(name, _)| !job.validation.is_label_name(name)) {
        return Err(TargetError::BadLabelName { name: name.to_owned() });
    }
    // Names are unique: every label was set, none pushed.
    drop(labels.finish());
    let url = url(&labels, job)?;
    let key = format!("{labels} {url}");
    let own = |name: &str| labels.value(name).to_owned();
    let identity = TargetIdentity {
        job: own("job"),
        instance: own("instance"),
        scheme,
        discovered: attributes,
        labels: labels
            .iter()
            .filter(|(name, _)| !name.starts_with("__"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    Ok(Some(Target { identity, url, interval, timeout, key }))
}

fn check_address(address: &str) -> Result<(), TargetError> {
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::BadAddress { address: address.to_owned() });
    }
    Ok(())
}

fn duration(labels: &Labels<'_>, label: &'static str) -> Result<Duration, TargetError> {
    let value = labels.value(label);
    match PromDuration::parse(value) {
        Ok(duration) if !duration.is_zero() => Ok(duration.to_std()),
        _ => Err(TargetError::BadDuration { label, value: value.to_owned() }),
    }
}

/// A path as Go writes it into a request: everything but what may stand in a path is escaped, also `%`.
fn escaped_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// `<scheme>://<address><path>?<params>`; a `__param_` label replaces the first value of its parameter. A `?` in the
/// path is part of the path.
fn url(labels: &Labels<'_>, job: &JobSettings) -> Result<Url, TargetError> {
    let text = format!("{}://{}/", labels.value(SCHEME), labels.value(ADDRESS));
    let bad = |reason: String| TargetError::BadUrl { text: text.clone(), reason };
    let mut url = Url::parse(&text).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("the scheme is neither http nor https".to_owned()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it has no host".to_owned()));
    }
    url.set_path(&escaped_path(labels.value(METRICS_PATH)));
    let mut params: Vec<(String, Vec<String>)> = job.params.clone();
    for (name, value) in labels.iter().filter_map(|(name, value)| Some((name.strip_prefix(PARAM)?, value))) {
        match params.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) if !values.is_empty() => values[0] = value.to_owned(),
            Some((_, values)) => values.push(value.to_owned()),
            None => params.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    params.sort_by(|(a, _), (b, _)| a.cmp(b));
    if params.iter().any(|(_, values)| !values.is_empty()) {
        let mut query = url.query_pairs_mut();
        for (name, values) in &params {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
    Ok(url)
}
