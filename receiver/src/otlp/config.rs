//! Settings of the `otlp` receiver (Go: `otlpreceiver`, `configgrpc`, `confighttp`), their defaults and checks.

use config::types::tls::ServerTls;
use config::{Built, Diagnostic, Endpoint, GoDuration, Headers, Node, Optional, Spanned, decode};
use serde::Deserialize;

use super::inflate::Encoding;

/// The section `otlp`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which protocols to listen for; at least one.
    pub protocols: Spanned<Protocols>,
}

/// The section `protocols`. A protocol that is not mentioned is off; `grpc:` without a value is on with defaults.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Protocols {
    /// OTLP over gRPC.
    pub grpc: Optional<Grpc>,
    /// OTLP over HTTP.
    pub http: Optional<Http>,
}

/// The section `protocols.grpc`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Grpc {
    /// Address to listen on, or the path of a Unix socket.
    pub endpoint: Spanned<Endpoint>,
    /// `tcp`, `tcp4`, `tcp6` or `unix`.
    pub transport: Spanned<String>,
    /// TLS; cleartext when absent.
    pub tls: Optional<ServerTls>,
    /// Largest message in MiB, on the wire and inflated; 0 means 4.
    pub max_recv_msg_size_mib: Spanned<i64>,
    /// Requests in progress on one connection; 0 means no limit.
    pub max_concurrent_streams: u32,
    /// Bytes read from a connection at once; 0 leaves it to the library.
    pub read_buffer_size: Spanned<i64>,
    /// Bytes gathered before they are written; 0 leaves it to the library.
    pub write_buffer_size: Spanned<i64>,
    /// Ages, idle times and pings of connections.
    pub keepalive: Optional<Keepalive>,
    /// Who may send.
    pub auth: Option<Auth>,
    /// Keep the request's headers with the data.
    pub include_metadata: bool,
    /// Extensions in front of the service; there are none in this binary.
    pub middlewares: Spanned<Vec<Middleware>>,
}

/// The section `keepalive`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Keepalive {
    /// What this side does.
    pub server_parameters: Optional<ServerParameters>,
    /// What the other side may do.
    pub enforcement_policy: Optional<EnforcementPolicy>,
}

/// The section `keepalive.server_parameters`. Zero means the default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServerParameters {
    /// Close a connection without requests after this time; never by default.
    pub max_connection_idle: GoDuration,
    /// Close a connection after this time, give or take 10%; never by default.
    pub max_connection_age: GoDuration,
    /// How long requests may still run after that; forever by default.
    pub max_connection_age_grace: GoDuration,
    /// Ping a silent client after this time; 2h by default.
    pub time: GoDuration,
    /// Close the connection if it does not answer within this time; 20s by default.
    pub timeout: GoDuration,
}

/// The section `keepalive.enforcement_policy`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct EnforcementPolicy {
    /// Shortest time between pings of a client.
    pub min_time: GoDuration,
    /// Whether pings without a request in progress are fine.
    pub permit_without_stream: bool,
}

/// The section `protocols.http`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Http {
    /// Address to listen on.
    pub endpoint: Spanned<Endpoint>,
    /// TLS; cleartext when absent.
    pub tls: Optional<ServerTls>,
    /// Which web pages may send.
    pub cors: Optional<Cors>,
    /// Who may send.
    pub auth: Option<HttpAuth>,
    /// Keep the request's headers with the data.
    pub include_metadata: bool,
    /// Headers of every answer.
    pub response_headers: Headers,
    /// Extensions in front of the service; there are none in this binary.
    pub middlewares: Spanned<Vec<Middleware>>,
    /// Largest body in bytes, on the wire and inflated; 0 means 20 MiB.
    pub max_request_body_size: Spanned<i64>,
    /// Accepted values of `Content-Encoding`; `""` stands for none.
    pub compression_algorithms: Spanned<Vec<String>>,
    /// For a whole request; 0 means no limit.
    pub read_timeout: GoDuration,
    /// For the head of a request; 0 means `read_timeout`.
    pub read_header_timeout: GoDuration,
    /// From the head of a request to the end of the answer; 0 means no limit.
    pub write_timeout: GoDuration,
    /// Between requests on one connection; 0 means `read_timeout`.
    pub idle_timeout: GoDuration,
    /// Whether a connection may carry more than one request.
    pub keep_alives_enabled: bool,
    /// Path of traces, which are not taken: it answers 404 as every other path.
    pub traces_url_path: Spanned<String>,
    /// Path of metrics.
    pub metrics_url_path: Spanned<String>,
    /// Path of logs, which are not taken: it answers 404 as every other path.
    pub logs_url_path: Spanned<String>,
}

/// The section `auth`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// Id of an extension.
    pub authenticator: Spanned<String>,
}

/// The section `auth` of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HttpAuth {
    /// Id of an extension.
    pub authenticator: Spanned<String>,
    /// Query parameters that are shown to it beside the headers.
    pub request_params: Vec<String>,
}

/// The section `cors`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Cors {
    /// Origins with at most one `*` each.
    pub allowed_origins: Spanned<Vec<String>>,
    /// Headers that pages may send beside the safe ones; `*` for all.
    pub allowed_headers: Spanned<Vec<String>>,
    /// Headers of answers that pages may read.
    pub exposed_headers: Vec<String>,
    /// Seconds that a browser may keep an answer to its question; 0 leaves it to the browser.
    pub max_age: Spanned<i64>,
}

/// An entry of `middlewares`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Middleware {
    /// Id of an extension.
    pub id: String,
}

/// 20 MiB, of the Collector's HTTP servers.
const DEFAULT_BODY_BYTES: usize = 20 << 20;
/// 4 MiB, of grpc-go.
const DEFAULT_MESSAGE_BYTES: usize = 4 << 20;

impl Default for Grpc {
    fn default() -> Self {
        Grpc {
            endpoint: Spanned::built_in(Endpoint::parse("localhost:4317").expect("a host and a port")),
            transport: Spanned::built_in("tcp".to_owned()),
            tls: Optional::Off,
            max_recv_msg_size_mib: Spanned::default(),
            max_concurrent_streams: 0,
            read_buffer_size: Spanned::default(),
            write_buffer_size: Spanned::default(),
            keepalive: Optional::Off,
            auth: None,
            include_metadata: false,
            middlewares: Spanned::default(),
        }
    }
}

impl Default for EnforcementPolicy {
    fn default() -> Self {
        EnforcementPolicy { min_time: GoDuration::from_secs(300), permit_without_stream: false }
    }
}

impl Default for Http {
    fn default() -> Self {
        let algorithms = ["", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4", "x-snappy-framed"];
        Http {
            endpoint: Spanned::built_in(Endpoint::parse("localhost:4318").expect("a host and a port")),
            tls: Optional::Off,
            cors: Optional::Off,
            auth: None,
            include_metadata: false,
            response_headers: Headers::default(),
            middlewares: Spanned::default(),
            max_request_body_size: Spanned::default(),
            compression_algorithms: Spanned::built_in(algorithms.map(str::to_owned).to_vec()),
            read_timeout: GoDuration::default(),
            read_header_timeout: GoDuration::default(),
            write_timeout: GoDuration::default(),
            idle_timeout: GoDuration::default(),
            keep_alives_enabled: true,
            traces_url_path: Spanned::built_in("/v1/traces".to_owned()),
            metrics_url_path: Spanned::built_in("/v1/metrics".to_owned()),
            logs_url_path: Spanned::built_in("/v1/logs".to_owned()),
        }
    }
}

impl Grpc {
    /// Largest message in bytes.
    pub fn message_bytes(&self) -> usize {
        match usize::try_from(*self.max_recv_msg_size_mib) {
            Ok(mib @ 1..) => mib << 20,
            _ => DEFAULT_MESSAGE_BYTES,
        }
    }
}

impl Http {
    /// Largest body in bytes.
    pub fn body_bytes(&self) -> usize {
        match usize::try_from(*self.max_request_body_size) {
            Ok(bytes @ 1..) => bytes,
            _ => DEFAULT_BODY_BYTES,
        }
    }

    /// Accepted encodings, and whether bodies may come without one.
    pub fn encodings(&self) -> (Vec<Encoding>, bool) {
        let names = &self.compression_algorithms;
        (names.iter().filter_map(|n| Encoding::of_http(n)).collect(), names.iter().any(String::is_empty))
    }
}

/// Decodes the section and reports every problem.
pub fn read(node: &Node) -> Built<Config> {
    let (config, mut found) = decode::<Config>(node);
    if let Some(config) = &config {
        found.extend(config.check().into_iter().map(|d| d.or_on(node)));
    }
    (config, found)
}

impl Config {
    fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if let Some(grpc) = self.protocols.grpc.as_ref() {
            check_grpc(grpc, &mut found);
        }
        if let Some(http) = self.protocols.http.as_ref() {
            check_http(http, &mut found);
        }
        if !self.protocols.grpc.is_on() && !self.protocols.http.is_on() {
            let problem = self.protocols.error("must specify at least one protocol when using the OTLP receiver");
            found.push(problem.help("write protocols: {grpc: , http: } with one of them or both"));
        }
        found
    }
}

fn check_grpc(grpc: &Grpc, found: &mut Vec<Diagnostic>) {
    let unix = grpc.endpoint.port().is_none();
    match (grpc.transport.as_str(), unix) {
        ("tcp" | "tcp4" | "tcp6", false) | ("unix", true) => {}
        ("tcp" | "tcp4" | "tcp6", true) => {
            found.push(grpc.endpoint.error("a path needs `transport: unix`"));
        }
        ("unix", false) => found.push(grpc.endpoint.error("with `transport: unix` the endpoint is a path")),
        (other, _) => {
            let problem = grpc.transport.error(format!("unknown transport {other:?}"));
            found.push(problem.help("write tcp, tcp4, tcp6 or unix"));
        }
    }
    if let Some(tls) = grpc.tls.as_ref() {
        found.extend(tls.check());
    }
    let limit = (proto::otlp::DecodeLimits::MAX_BODY_BYTES >> 20) as i64;
    between(&grpc.max_recv_msg_size_mib, limit, "MiB", found);
    between(&grpc.read_buffer_size, 64 << 20, "bytes", found);
    between(&grpc.write_buffer_size, 64 << 20, "bytes", found);
    authenticator(grpc.auth.as_ref().map(|auth| &auth.authenticator), found);
    middlewares(&grpc.middlewares, found);
}

fn check_http(http: &Http, found: &mut Vec<Diagnostic>) {
    if http.endpoint.port().is_none() {
        found.push(http.endpoint.error("OTLP over HTTP listens on host:port only"));
    }
    if let Some(tls) = http.tls.as_ref() {
        found.extend(tls.check());
    }
    between(&http.max_request_body_size, proto::otlp::DecodeLimits::MAX_BODY_BYTES as i64, "bytes", found);
    for name in http.compression_algorithms.iter().filter(|n| !n.is_empty() && Encoding::of_http(n).is_none()) {
        let problem = http.compression_algorithms.error(format!("unsupported compression algorithm {name:?}"));
        found.push(problem.help("known are gzip, zstd, zlib, snappy, deflate, lz4, x-snappy-framed and \"\" for none"));
    }
    let paths = [&http.traces_url_path, &http.metrics_url_path, &http.logs_url_path];
    for path in paths.into_iter().filter(|p| !p.starts_with('/')) {
        found.push(path.error(format!("{:?} is not a path", path.value)).help("a path begins with /"));
    }
    if let Some(cors) = http.cors.as_ref() {
        for origin in cors.allowed_origins.iter().filter(|o| o.matches('*').count() > 1) {
            found.push(cors.allowed_origins.error(format!("origin {origin:?} has more than one *")));
        }
        if cors.allowed_origins.is_empty() && !cors.allowed_headers.is_empty() {
            let problem = cors.allowed_headers.warning("allowed_headers has no effect without allowed_origins");
            found.push(problem.help("add allowed_origins"));
        }
        between(&cors.max_age, i64::from(u32::MAX), "seconds", found);
    }
    authenticator(http.auth.as_ref().map(|auth| &auth.authenticator), found);
    middlewares(&http.middlewares, found);
}

fn between(value: &Spanned<i64>, most: i64, unit: &str, found: &mut Vec<Diagnostic>) {
    if !(0..=most).contains(&value.value) {
        found.push(value.error(format!("{} is not between 0 and {most} {unit}", value.value)));
    }
}

fn authenticator(id: Option<&Spanned<String>>, found: &mut Vec<Diagnostic>) {
    if let Some(id) = id.filter(|id| id.is_empty()) {
        found.push(id.error("auth has no authenticator").help("write the id of an extension, as basicauth"));
    }
}

fn middlewares(list: &Spanned<Vec<Middleware>>, found: &mut Vec<Diagnostic>) {
    if let Some(first) = list.first() {
        let problem = list.error(format!("middleware {:?} does not exist, this binary has none", first.id));
        found.push(problem.help("remove the key"));
    }
}
