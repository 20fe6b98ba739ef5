//! Settings of `health_check`.

use std::collections::BTreeMap;

use config::{Built, Diagnostic, Endpoint, Node, Spanned, decode};
use serde::Deserialize;

/// The section as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    pub(super) endpoint: Endpoint,
    pub(super) path: Spanned<String>,
    pub(super) response_body: Option<ResponseBody>,
    pub(super) response_headers: BTreeMap<String, String>,
    check_collector_pipeline: Option<Node>,
    use_v2: Spanned<bool>,
    http: Option<Node>,
    grpc: Option<Node>,
    component_health: Option<Node>,
    transport: Spanned<String>,
    tls: Option<Node>,
    cors: Option<Node>,
    auth: Option<Node>,
    max_request_body_size: Option<Node>,
    include_metadata: Option<Node>,
    compression_algorithms: Option<Node>,
    read_timeout: Option<Node>,
    read_header_timeout: Option<Node>,
    write_timeout: Option<Node>,
    idle_timeout: Option<Node>,
    keep_alives_enabled: Option<Node>,
}

/// Texts instead of the default JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ResponseBody {
    pub(super) healthy: String,
    pub(super) unhealthy: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            endpoint: Endpoint::parse("localhost:13133").expect("a constant, valid address"),
            path: Spanned::built_in("/".to_owned()),
            response_body: None,
            response_headers: BTreeMap::new(),
            check_collector_pipeline: None,
            use_v2: Spanned::built_in(false),
            http: None,
            grpc: None,
            component_health: None,
            transport: Spanned::built_in("tcp".to_owned()),
            tls: None,
            cors: None,
            auth: None,
            max_request_body_size: None,
            include_metadata: None,
            compression_algorithms: None,
            read_timeout: None,
            read_header_timeout: None,
            write_timeout: None,
            idle_timeout: None,
            keep_alives_enabled: None,
        }
    }
}

/// Decodes and checks the section.
pub(super) fn read(node: &Node) -> Built<Config> {
    let (config, mut found) = if node.is_null() { (Some(Config::default()), Vec::new()) } else { decode(node) };
    if let Some(config) = &config {
        config.check(&mut found);
    }
    (config, found)
}

impl Config {
    fn check(&self, found: &mut Vec<Diagnostic>) {
        if !self.path.starts_with('/') {
            found.push(self.path.error("path must start with /"));
        }
        if let Some(node) = &self.check_collector_pipeline {
            found.push(
                Diagnostic::warning("check_collector_pipeline has no effect, as in the Collector")
                    .on(node)
                    .help("watch otelcol_exporter_send_failed_metric_points on the page of own metrics instead"),
            );
        }
        if *self.use_v2 {
            found.push(self.use_v2.error("use_v2 is not supported").help("remove it; the classic check is used"));
        }
        if !matches!(self.transport.as_str(), "tcp" | "") {
            found.push(self.transport.error("only transport tcp is supported"));
        }
        let refused = [
            ("http", &self.http, "it belongs to use_v2"),
            ("grpc", &self.grpc, "it belongs to use_v2"),
            ("component_health", &self.component_health, "it belongs to use_v2"),
            ("tls", &self.tls, "bind to localhost and check with `otelcol-ecs health`"),
            ("cors", &self.cors, "no browser needs this page"),
            ("auth", &self.auth, "bind to localhost and check with `otelcol-ecs health`"),
            ("max_request_body_size", &self.max_request_body_size, "request bodies are never read"),
            ("include_metadata", &self.include_metadata, "nothing uses the request's headers"),
            ("compression_algorithms", &self.compression_algorithms, "request bodies are never read"),
            ("read_timeout", &self.read_timeout, "remove it"),
            ("read_header_timeout", &self.read_header_timeout, "remove it"),
            ("write_timeout", &self.write_timeout, "remove it"),
            ("idle_timeout", &self.idle_timeout, "remove it"),
            ("keep_alives_enabled", &self.keep_alives_enabled, "remove it"),
        ];
        for (key, node, why) in refused {
            if let Some(node) = node.as_ref().filter(|n| !n.is_null()) {
                found.push(Diagnostic::error(format!("health_check does not support {key}")).on(node).help(why));
            }
        }
    }
}
