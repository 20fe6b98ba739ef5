//! Where a job's targets come from, as written: static, file, HTTP and DNS. Looks nothing up.

use std::collections::BTreeMap;

use config::{Diagnostic, PromDuration, Spanned};
use serde::Deserialize;

use super::http::{HttpKeys, HttpSettings};

/// One discovery block. Equal blocks of different jobs share nothing; each job asks for itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DiscoverySettings {
    /// A `static_configs` entry.
    Static(GroupKeys),
    /// A `file_sd_configs` entry.
    File {
        /// Patterns as in Go; `*` in the last element only.
        patterns: Vec<String>,
        /// Full re-read interval.
        refresh: PromDuration,
    },
    /// An `http_sd_configs` entry.
    Http {
        /// Where to ask.
        url: String,
        /// How often, and how long to wait.
        refresh: PromDuration,
        /// How.
        http: Box<HttpSettings>,
    },
    /// A `dns_sd_configs` entry.
    Dns {
        /// Names to look up.
        names: Vec<String>,
        /// Record type.
        record: DnsRecord,
        /// Port of the targets; not for SRV.
        port: u16,
        /// How often.
        refresh: PromDuration,
    },
}

/// `type` of a DNS discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DnsRecord {
    /// Target and port from the record.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchangers.
    Mx,
    /// Name servers.
    Ns,
}

/// A target group as `static_configs` and discovery files write it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GroupKeys {
    /// `host:port` of each target.
    pub(crate) targets: Vec<String>,
    /// Labels of all of them.
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct FileKeys {
    files: Vec<Spanned<String>>,
    refresh_interval: Spanned<PromDuration>,
}

impl Default for FileKeys {
    fn default() -> FileKeys {
        FileKeys { files: Vec::new(), refresh_interval: Spanned::built_in(PromDuration::from_secs(300)) }
    }
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct HttpSdKeys {
    url: Spanned<String>,
    refresh_interval: Spanned<PromDuration>,
    #[serde(rename = "<inline>")]
    http: HttpKeys,
}

impl Default for HttpSdKeys {
    fn default() -> HttpSdKeys {
        HttpSdKeys {
            url: Spanned::default(),
            refresh_interval: Spanned::built_in(PromDuration::from_secs(60)),
            http: HttpKeys::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct DnsKeys {
    names: Vec<Spanned<String>>,
    r#type: Spanned<String>,
    port: Option<Spanned<u16>>,
    refresh_interval: Spanned<PromDuration>,
}

impl Default for DnsKeys {
    fn default() -> DnsKeys {
        DnsKeys {
            names: Vec::new(),
            r#type: Spanned::built_in("SRV".to_owned()),
            port: None,
            refresh_interval: Spanned::built_in(PromDuration::from_secs(30)),
        }
    }
}

/// Checks a static group. Without relabelling a slash in a target cannot become a valid address.
pub(super) fn static_group(
    keys: Spanned<GroupKeys>,
    is_relabelled: bool,
    found: &mut Vec<Diagnostic>,
) -> DiscoverySettings {
    if !is_relabelled {
        for target in keys.targets.iter().filter(|target| target.contains('/')) {
            found.push(
                keys.error(format!("{target:?} is not a valid hostname"))
                    .help("write host:port; the path goes into metrics_path and the scheme into scheme"),
            );
        }
    }
    DiscoverySettings::Static(keys.value)
}

/// Checks a `file_sd_configs` entry.
pub(super) fn file(keys: Spanned<FileKeys>, found: &mut Vec<Diagnostic>) -> DiscoverySettings {
    if keys.files.is_empty() {
        found.push(keys.error("file service discovery config must contain at least one path name"));
    }
    for name in &keys.files {
        if !is_file_pattern(name) {
            found.push(
                name.error(format!("path name {:?} is not valid for file discovery", name.value))
                    .help("it ends in .json, .yml or .yaml, and * is allowed in the last element only"),
            );
        } else if let Err(error) = glob::Pattern::new(&glob_pattern(name)) {
            found.push(name.warning(format!("{:?} matches no file: {error}", name.value)));
        }
    }
    check_refresh(&keys.refresh_interval, found);
    let refresh = keys.refresh_interval.value;
    DiscoverySettings::File { patterns: keys.value.files.into_iter().map(|s| s.value).collect(), refresh }
}

/// Prometheus' `^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$`.
fn is_file_pattern(name: &str) -> bool {
    let stem = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"].iter().find_map(|end| name.strip_suffix(end));
    stem.is_some_and(|stem| stem.split_once('*').is_none_or(|(_, rest)| !rest.contains('/')))
}

/// A pattern of Go's `filepath.Glob` in the words of the crate `glob`: there, `**` stands for folders and an excluding
/// set begins with `!`.
pub(crate) fn glob_pattern(name: &str) -> String {
    let mut pattern = name.replace("[^", "[!");
    while pattern.contains("**") {
        pattern = pattern.replace("**", "*");
    }
    pattern
}

/// Checks an `http_sd_configs` entry.
pub(super) fn http(keys: Spanned<HttpSdKeys>, found: &mut Vec<Diagnostic>) -> DiscoverySettings {
    let url = &keys.url;
    let missing = if url.span.is_built_in() { keys.error("URL is missing") } else { url.error("URL is missing") };
    match reqwest::Url::parse(url) {
        _ if url.is_empty() => found.push(missing),
        Ok(parsed) if !matches!(parsed.scheme(), "http" | "https") => {
            found.push(url.error("URL scheme must be 'http' or 'https'"));
        }
        Ok(parsed) if parsed.host_str().is_none_or(str::is_empty) => {
            found.push(url.error("host is missing in URL"));
        }
        Ok(_) => {}
        Err(error) => found.push(url.error(format!("{:?} is not a URL: {error}", url.value))),
    }
    check_refresh(&keys.refresh_interval, found);
    let keys = keys.value;
    DiscoverySettings::Http {
        url: keys.url.value,
        refresh: keys.refresh_interval.value,
        http: Box::new(keys.http.settings(found)),
    }
}

/// Checks a `dns_sd_configs` entry.
pub(super) fn dns(keys: Spanned<DnsKeys>, found: &mut Vec<Diagnostic>) -> DiscoverySettings {
    if keys.names.is_empty() {
        found.push(keys.error("DNS-SD config must contain at least one SRV record name"));
    }
    let record = match keys.r#type.to_ascii_uppercase().as_str() {
        "SRV" => DnsRecord::Srv,
        "A" => DnsRecord::A,
        "AAAA" => DnsRecord::Aaaa,
        "MX" => DnsRecord::Mx,
        "NS" => DnsRecord::Ns,
        other => {
            let message = format!("invalid DNS-SD records type {other}");
            found.push(keys.r#type.error(message).help("write SRV, A, AAAA, MX or NS"));
            DnsRecord::Srv
        }
    };
    let port = keys.port.as_ref().map_or(0, |port| port.value);
    if record != DnsRecord::Srv && port == 0 {
        found.push(keys.error("a port is required in DNS-SD configs for all record types except SRV"));
    }
    check_refresh(&keys.refresh_interval, found);
    let keys = keys.value;
    DiscoverySettings::Dns {
        names: keys.names.into_iter().map(|name| name.value).collect(),
        record,
        port,
        refresh: keys.refresh_interval.value,
    }
}

fn check_refresh(refresh: &Spanned<PromDuration>, found: &mut Vec<Diagnostic>) {
    if refresh.is_zero() {
        found.push(refresh.error("refresh_interval must be greater than 0"));
    }
}
