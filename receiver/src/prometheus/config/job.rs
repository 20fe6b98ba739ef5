//! A scrape config: keys, defaults taken from `global`, checks. Starts nothing.

use std::collections::BTreeMap;

use config::{ByteSize, Diagnostic, Node, PromDuration, Spanned, decode_prometheus};
use serde::Deserialize;

use super::discovery::{self, DiscoverySettings, DnsKeys, FileKeys, GroupKeys, HttpSdKeys};
use super::global::Global;
use super::http::{HttpKeys, HttpSettings};
use super::protocol::{Escaping, Protocol, validation};
use super::refuse;
use crate::prometheus::labels::ValidationScheme;
use crate::prometheus::relabel::{RelabelConfig, RelabelRule, compile_rules};

/// Limit of a page when `body_size_limit` is not set, decompressed bytes. The reference has none.
pub(crate) const DEFAULT_BODY_LIMIT_BYTES: u64 = 64 << 20;

/// One job, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct JobSettings {
    /// `job_name`.
    pub(crate) name: String,
    /// `scrape_interval`.
    pub(crate) interval: PromDuration,
    /// `scrape_timeout`.
    pub(crate) timeout: PromDuration,
    /// `metrics_path`.
    pub(crate) metrics_path: String,
    /// `scheme`.
    pub(crate) scheme: String,
    /// `params`, in the order written.
    pub(crate) params: Vec<(String, Vec<String>)>,
    /// `honor_labels`.
    pub(crate) honor_labels: bool,
    /// `honor_timestamps`.
    pub(crate) honor_timestamps: bool,
    /// `track_timestamps_staleness`.
    pub(crate) track_timestamps_staleness: bool,
    /// `scrape_protocols`.
    pub(crate) protocols: Vec<Protocol>,
    /// `fallback_scrape_protocol`.
    pub(crate) fallback: Protocol,
    /// `enable_compression`.
    pub(crate) compression: bool,
    /// `body_size_limit` or the default, decompressed bytes.
    pub(crate) body_limit_bytes: u64,
    /// Limits on samples and labels.
    pub(crate) limits: Limits,
    /// `target_limit`, 0 for none.
    pub(crate) target_limit: u64,
    /// `metric_name_validation_scheme`.
    pub(crate) validation: ValidationScheme,
    /// `metric_name_escaping_scheme`.
    pub(crate) escaping: Escaping,
    /// `extra_scrape_metrics`.
    pub(crate) extra_scrape_metrics: bool,
    /// `scrape_failure_log_file`, empty for none.
    pub(crate) failure_log: String,
    /// `relabel_configs`.
    pub(crate) relabel: Vec<RelabelRule>,
    /// `metric_relabel_configs`.
    pub(crate) metric_relabel: Vec<RelabelRule>,
    /// How targets are asked.
    pub(crate) http: HttpSettings,
    /// Where targets come from.
    pub(crate) discoveries: Vec<DiscoverySettings>,
}

/// Limits that fail a scrape; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `sample_limit`.
    pub(crate) samples: u64,
    /// `label_limit`.
    pub(crate) labels: u64,
    /// `label_name_length_limit`, bytes.
    pub(crate) label_name_bytes: u64,
    /// `label_value_length_limit`, bytes.
    pub(crate) label_value_bytes: u64,
}

/// Keys that `global` and a scrape config share.
#[derive(Default, Deserialize)]
#[serde(default, bound = "Rest: Deserialize<'de> + Default")]
pub(super) struct SharedKeys<Rest> {
    pub(super) scrape_interval: Option<Spanned<PromDuration>>,
    pub(super) scrape_timeout: Option<Spanned<PromDuration>>,
    pub(super) scrape_protocols: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) scrape_native_histograms: Option<Spanned<bool>>,
    pub(super) convert_classic_histograms_to_nhcb: Option<Spanned<bool>>,
    /// Classic histograms are always scraped here, so either value is what happens.
    pub(super) always_scrape_classic_histograms: Option<bool>,
    pub(super) extra_scrape_metrics: Option<bool>,
    pub(super) body_size_limit: ByteSize,
    pub(super) sample_limit: u64,
    pub(super) target_limit: u64,
    pub(super) label_limit: u64,
    pub(super) label_name_length_limit: u64,
    pub(super) label_value_length_limit: u64,
    /// How many dropped targets the API of a Prometheus server shows; there is no such API here.
    pub(super) keep_dropped_targets: Option<Node>,
    pub(super) metric_name_validation_scheme: Spanned<String>,
    pub(super) metric_name_escaping_scheme: Spanned<String>,
    pub(super) scrape_failure_log_file: String,
    #[serde(rename = "<inline>")]
    pub(super) rest: Rest,
}

impl<Rest> SharedKeys<Rest> {
    /// Refuses native histograms; warns of what has no effect.
    pub(super) fn check(&self, found: &mut Vec<Diagnostic>) {
        found.extend(self.keep_dropped_targets.as_ref().map(|node| refuse::no_effect(node, "keep_dropped_targets")));
        if let Some(on) = self.scrape_native_histograms.as_ref().filter(|on| on.value) {
            found.push(
                on.error("scrape_native_histograms is not supported: native histograms need the protobuf format")
                    .help("remove the key; classic histograms are scraped"),
            );
        }
        if let Some(on) = self.convert_classic_histograms_to_nhcb.as_ref().filter(|on| on.value) {
            found.push(
                on.error("convert_classic_histograms_to_nhcb is not supported")
                    .help("remove the key; classic histograms become OTLP histograms with the same buckets"),
            );
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct JobKeys {
    pub(super) job_name: Spanned<String>,
    metrics_path: String,
    scheme: Spanned<String>,
    params: BTreeMap<String, Vec<String>>,
    honor_labels: bool,
    honor_timestamps: bool,
    track_timestamps_staleness: bool,
    fallback_scrape_protocol: Spanned<String>,
    native_histogram_bucket_limit: Option<Spanned<u64>>,
    native_histogram_min_bucket_factor: Option<Spanned<f64>>,
    enable_compression: bool,
    relabel_configs: Vec<Spanned<RelabelConfig>>,
    metric_relabel_configs: Vec<Spanned<RelabelConfig>>,
    static_configs: Vec<Spanned<GroupKeys>>,
    file_sd_configs: Vec<Spanned<FileKeys>>,
    http_sd_configs: Vec<Spanned<HttpSdKeys>>,
    dns_sd_configs: Vec<Spanned<DnsKeys>>,
    #[serde(rename = "<inline>")]
    shared: SharedKeys<HttpKeys>,
}

impl Default for JobKeys {
    fn default() -> JobKeys {
        JobKeys {
            job_name: Spanned::default(),
            metrics_path: "/metrics".to_owned(),
            scheme: Spanned::built_in("http".to_owned()),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            fallback_scrape_protocol: Spanned::default(),
            native_histogram_bucket_limit: None,
            native_histogram_min_bucket_factor: None,
            enable_compression: true,
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
            static_configs: Vec::new(),
            file_sd_configs: Vec::new(),
            http_sd_configs: Vec::new(),
            dns_sd_configs: Vec::new(),
            shared: SharedKeys::default(),
        }
    }
}

/// Reads one scrape config. There is a job even when something is wrong with it, so that the rest is checked too.
pub(super) fn job(node: &Node, global: &Global, found: &mut Vec<Diagnostic>) -> Option<(JobSettings, Spanned<String>)> {
    let mut node = node.clone();
    refuse::discoveries(&mut node, found);
    let (keys, problems) = decode_prometheus::<JobKeys>(&node);
    found.extend(problems);
    let mut keys = keys?;
    let name = std::mem::take(&mut keys.job_name);
    if name.is_empty() {
        found.push(
            Diagnostic::error("job_name is empty").on(&node).help("every scrape config needs a job_name of its own"),
        );
    }
    if !matches!(keys.scheme.as_str(), "http" | "https") {
        found
            .push(keys.scheme.error(format!("unsupported scheme {:?}", keys.scheme.value)).help("write http or https"));
    }
    if keys.metrics_path.contains('?') {
        found.push(
            Diagnostic::warning("the ? in metrics_path is requested as %3F")
                .on(node.get("metrics_path").unwrap_or(&node))
                .help("write query arguments under params"),
        );
    }
    for limit in keys.native_histogram_bucket_limit.iter().filter(|limit| limit.value != 0) {
        found.push(
            limit
                .error("native_histogram_bucket_limit needs native histograms, which are not supported")
                .help("remove the key"),
        );
    }
    for factor in keys.native_histogram_min_bucket_factor.iter().filter(|factor| factor.value != 0.0) {
        found.push(
            factor
                .error("native_histogram_min_bucket_factor needs native histograms, which are not supported")
                .help("remove the key"),
        );
    }
    keys.shared.check(found);
    let before = found.len();
    let settings = settings(keys, name.value.clone(), global, found);
    // A problem of what the job inherits is one of the job.
    for problem in found.split_off(before) {
        found.push(problem.or_on(&node));
    }
    Some((settings, name))
}

fn settings(keys: JobKeys, name: String, global: &Global, found: &mut Vec<Diagnostic>) -> JobSettings {
    let shared = keys.shared;
    let (interval, timeout) = timing(&name, &shared.scrape_interval, &shared.scrape_timeout, global, found);
    let protocols = match &shared.scrape_protocols {
        Some(list) => Protocol::parse_list(list, found),
        None => global.protocols.clone(),
    };
    let fallback = Protocol::parse_fallback(&keys.fallback_scrape_protocol, found);
    let scheme = validation(&shared.metric_name_validation_scheme, found).unwrap_or(global.validation);
    let escaping = escaping(&shared.metric_name_escaping_scheme, scheme, global.escaping, found);
    let (relabel, problems) = compile_rules(&keys.relabel_configs, scheme);
    found.extend(problems);
    let (metric_relabel, problems) = compile_rules(&keys.metric_relabel_configs, scheme);
    found.extend(problems);
    let is_rename = |rule: &&Spanned<RelabelConfig>| !global.type_by_original_name && rule.target_label == "__name__";
    for rule in keys.metric_relabel_configs.iter().filter(is_rename) {
        found.push(
            rule.warning("renamed metrics lose type, unit and description")
                .help("these are looked up by the new name; type_by_original_name of the receiver keeps them"),
        );
    }
    let or_global = |own: u64, inherited: u64| if own == 0 { inherited } else { own };
    let is_relabelled = !relabel.is_empty();
    let mut discoveries: Vec<DiscoverySettings> =
        keys.static_configs.into_iter().map(|group| discovery::static_group(group, is_relabelled, found)).collect();
    discoveries.extend(keys.file_sd_configs.into_iter().map(|file| discovery::file(file, found)));
    discoveries.extend(keys.http_sd_configs.into_iter().map(|http| discovery::http(http, found)));
    discoveries.extend(keys.dns_sd_configs.into_iter().map(|dns| discovery::dns(dns, found)));
    let failure_log = shared.scrape_failure_log_file;
    JobSettings {
        name,
        interval,
        timeout,
        metrics_path: keys.metrics_path,
        scheme: keys.scheme.value,
        params: keys.params.into_iter().collect(),
        honor_labels: keys.honor_labels,
        honor_timestamps: keys.honor_timestamps,
        track_timestamps_staleness: keys.track_timestamps_staleness,
        protocols,
        fallback,
        compression: keys.enable_compression,
        body_limit_bytes: match or_global(shared.body_size_limit.bytes(), global.body_size_limit.bytes()) {
            0 => DEFAULT_BODY_LIMIT_BYTES,
            bytes => bytes,
        },
        limits: Limits {
            samples: or_global(shared.sample_limit, global.limits.samples),
            labels: or_global(shared.label_limit, global.limits.labels),
            label_name_bytes: or_global(shared.label_name_length_limit, global.limits.label_name_bytes),
            label_value_bytes: or_global(shared.label_value_length_limit, global.limits.label_value_bytes),
        },
        target_limit: or_global(shared.target_limit, global.target_limit),
        validation: scheme,
        escaping,
        extra_scrape_metrics: shared.extra_scrape_metrics.unwrap_or(global.extra_scrape_metrics),
        failure_log: if failure_log.is_empty() { global.failure_log.clone() } else { failure_log },
        relabel,
        metric_relabel,
        http: shared.rest.settings(found),
        discoveries,
    }
}

/// Interval and timeout: a timeout that is not written is the global one, cut to the interval.
fn timing(
    name: &str,
    interval: &Option<Spanned<PromDuration>>,
    timeout: &Option<Spanned<PromDuration>>,
    global: &Global,
    found: &mut Vec<Diagnostic>,
) -> (PromDuration, PromDuration) {
    let interval = interval.as_ref().map(|i| i.value).filter(|i| !i.is_zero()).unwrap_or(global.interval);
    let Some(timeout) = timeout.as_ref().filter(|timeout| !timeout.is_zero()) else {
        return (interval, global.timeout.min(interval));
    };
    if timeout.value > interval {
        found.push(
            timeout
                .error(format!("scrape timeout greater than scrape interval for scrape config with job name {name:?}"))
                .help(format!("the interval is {interval}")),
        );
    }
    (interval, timeout.value)
}

/// The escaping scheme; `legacy` validation asks for underscores unless told otherwise.
pub(super) fn escaping(
    text: &Spanned<String>,
    validation: ValidationScheme,
    inherited: Option<Escaping>,
    found: &mut Vec<Diagnostic>,
) -> Escaping {
    let chosen = Escaping::parse(text, found).or(inherited);
    match (chosen, validation) {
        (Some(Escaping::AllowUtf8), ValidationScheme::Legacy) => {
            found.push(
                text.error("allow-utf-8 names cannot be escaped under metric_name_validation_scheme legacy")
                    .help("write underscores, dots or values"),
            );
            Escaping::Underscores
        }
        (Some(chosen), _) => chosen,
        (None, ValidationScheme::Legacy) => Escaping::Underscores,
        (None, ValidationScheme::Utf8) => Escaping::AllowUtf8,
    }
}
