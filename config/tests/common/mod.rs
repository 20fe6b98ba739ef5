//! Sample components for tests of the configuration crate: the shapes of real ones, without what they do.

use std::collections::BTreeMap;

use config::{
    Built, ComponentId, Config, Diagnostic, Endpoint, GoDuration, KnownComponents, Node, Optional, PromDuration,
    Secret, Spanned, decode, decode_prometheus,
    tls::{ClientTls, ServerTls},
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The types that the sample agent has.
pub(crate) fn known() -> KnownComponents {
    KnownComponents {
        receivers: vec!["awsecscontainermetrics", "otlp", "prometheus", "statsd"],
        processors: vec!["batch", "filter", "metricstransform", "resource", "resourcedetection"],
        exporters: vec!["awsemf", "debug", "otlphttp", "prometheusremotewrite"],
        extensions: vec!["ecs_observer", "health_check", "sigv4auth", "zpages"],
    }
}

/// Decodes the components that have a sample and returns what is wrong with them.
pub(crate) fn check_components(config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let sections = [&config.receivers, &config.processors, &config.exporters, &config.extensions];
    for component in sections.into_iter().flat_map(|section| section.iter()) {
        let node = &component.node;
        let problems = match component.kind {
            "otlp" => otlp(node),
            "prometheus" => prometheus(node),
            "batch" => problems::<Batch>(node),
            "awsemf" => problems::<AwsEmf>(node),
            "debug" => problems::<Debug>(node),
            _ => Vec::new(),
        };
        found.extend(problems.into_iter().map(|problem| problem.or_on(node)));
    }
    found
}

fn problems<T: DeserializeOwned>(node: &Node) -> Vec<Diagnostic> {
    let (_, found): Built<T> = decode(node);
    found
}

fn otlp(node: &Node) -> Vec<Diagnostic> {
    let (value, mut found) = decode::<Otlp>(node);
    let Some(Otlp { protocols: Protocols { grpc, http } }) = value else { return found };
    for server in [grpc.as_ref(), http.as_ref()].into_iter().flatten() {
        found.extend(server.tls.iter().flat_map(ServerTls::check));
    }
    if !grpc.is_on() && !http.is_on() && found.is_empty() {
        let problem = Diagnostic::error("must specify at least one protocol when using the OTLP receiver");
        found.push(problem.help("add grpc: or http: under protocols"));
    }
    found
}

fn prometheus(node: &Node) -> Vec<Diagnostic> {
    let (value, mut found) = decode::<Prometheus>(node);
    if let Some(Prometheus { config: Some(node) }) = value {
        let (_, problems): Built<PrometheusConfig> = decode_prometheus(&node);
        found.extend(problems);
    }
    found
}

macro_rules! settings {
    ($(struct $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        #[allow(dead_code)]
        struct $name { $($(#[$meta])* $field: $type,)* }
    )*};
}

settings! {
    struct Otlp { protocols: Protocols, }
    struct Protocols { grpc: Optional<Server>, http: Optional<Server>, }
    struct Server { endpoint: Option<Endpoint>, tls: Option<ServerTls>, max_recv_msg_size_mib: u32, }
    struct Batch { timeout: GoDuration, send_batch_size: u32, send_batch_max_size: u32, metadata_keys: Vec<String>, }
    struct Debug { verbosity: Verbosity, }
    struct AwsEmf {
        namespace: String, region: String, log_group_name: String, log_stream_name: String, log_retention: u32, version: String,
        dimension_rollup_option: String, detailed_metrics: bool, resource_to_telemetry_conversion: Conversion,
        metric_declarations: Vec<Declaration>, parse_json_encoded_attr_values: Vec<String>, tls: Option<ClientTls>,
        storage: Option<ComponentId>, output_destination: String,
    }
    struct Conversion { enabled: bool, }
    struct Declaration { dimensions: Vec<Vec<String>>, metric_name_selectors: Vec<Spanned<String>>, label_matchers: Vec<Matcher>, }
    struct Matcher { label_names: Vec<String>, separator: String, regex: Spanned<String>, }
    struct Prometheus { config: Option<Node>, }
    struct PrometheusConfig { global: Global, scrape_configs: Vec<Job>, }
    struct Global { scrape_interval: PromDuration, scrape_timeout: PromDuration, external_labels: BTreeMap<String, String>, }
    struct Job {
        job_name: String, scrape_interval: PromDuration, scrape_timeout: PromDuration, sample_limit: u32, honor_labels: bool,
        static_configs: Vec<StaticConfig>, file_sd_configs: Vec<FileConfig>, relabel_configs: Vec<Relabel>,
        #[serde(rename = "<inline>")] http: Http,
    }
    struct StaticConfig { targets: Vec<String>, labels: BTreeMap<String, String>, }
    struct FileConfig { files: Vec<String>, refresh_interval: PromDuration, }
    struct Relabel { action: String, source_labels: Vec<String>, regex: String, replacement: String, target_label: String, separator: String, }
    struct Http { basic_auth: Option<BasicAuth>, proxy_url: String, }
    struct BasicAuth { username: String, password: Secret, password_file: String, }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verbosity {
    #[default]
    Basic,
    Normal,
    Detailed,
}
