//! Settings of `health_check`.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue};
use config::{Built, Diagnostic, Endpoint, Node, Spanned, decode, has_errors};
use serde::Deserialize;

/// What the page is made from, checked.
#[derive(Debug)]
pub(super) struct Settings {
    /// Host and port to listen on.
    pub(super) endpoint: Endpoint,
    /// `/`, or the only path that is answered.
    pub(super) path: String,
    /// Texts instead of the default JSON.
    pub(super) texts: Option<ResponseBody>,
    /// Headers of every answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The section as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    endpoint: Spanned<Endpoint>,
    path: Spanned<String>,
    response_body: Option<ResponseBody>,
    response_headers: BTreeMap<String, Spanned<String>>,
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
            endpoint: Spanned::built_in(Endpoint::parse("localhost:13133").expect("a constant, valid address")),
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
pub(super) fn read(node: &Node) -> Built<Settings> {
    let (config, mut found) = if node.is_null() { (Some(Config::default()), Vec::new()) } else { decode(node) };
    let settings = config.map(|config| config.check(&mut found));
    (settings.filter(|_| !has_errors(&found)), found)
}

impl Config {
    fn check(self, found: &mut Vec<Diagnostic>) -> Settings {
        self.check_refused(found);
        if self.endpoint.port().is_none() {
            let problem =
                self.endpoint.error(format!("{} is a path, and health_check listens on TCP only", *self.endpoint));
            found.push(problem.help("write host:port, for example localhost:13133"));
        }
        if !self.path.starts_with('/') {
            found.push(self.path.error("path must start with /"));
        }
        let headers = self.response_headers.iter().filter_map(|(name, value)| {
            let problem = match (HeaderName::try_from(name), HeaderValue::try_from(value.as_str())) {
                (Ok(name), Ok(value)) => return Some((name, value)),
                (Err(_), _) => format!("{name:?} is not a header name"),
                (_, Err(_)) => format!("the value of header {name:?} has a control character"),
            };
            found.push(value.error(problem).help("correct it or remove it from response_headers"));
            None
        });
        Settings {
            headers: headers.collect(),
            endpoint: self.endpoint.value,
            path: self.path.value,
            texts: self.response_body,
        }
    }

    fn check_refused(&self, found: &mut Vec<Diagnostic>) {
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
