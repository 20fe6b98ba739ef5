//! The settings of `otlp` (gRPC) and `otlphttp` and what is wrong with them. Connects to nothing.

use std::time::Duration;

use config::tls::ClientTls;
use config::{Diagnostic, GoDuration, Headers, Node, Optional, Spanned};
use proto::BuildContext;
use reqwest::Url;
use serde::Deserialize;

use super::compress::Compression;
use super::transport::Transport;
use crate::sender::{SenderConfig, SenderSettings};

/// `otlphttp` as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HttpConfig {
    /// Base URL; `/v1/metrics` is appended.
    pub endpoint: Spanned<String>,
    /// URL for metrics, as it is.
    pub metrics_endpoint: Spanned<String>,
    /// Without effect: there are no pipelines of traces.
    pub traces_endpoint: Spanned<String>,
    /// Without effect: there are no pipelines of logs.
    pub logs_endpoint: Spanned<String>,
    /// `proto` or `json`.
    pub encoding: Option<Spanned<String>>,
    /// HTTP proxy; empty: the environment's.
    pub proxy_url: Spanned<String>,
    /// `level` of the compression.
    pub compression_params: CompressionParams,
    /// Idle connections kept; absent: all.
    pub max_idle_conns_per_host: Option<Spanned<i64>>,
    /// Time after which an idle connection is closed; 0: never.
    pub idle_conn_timeout: Option<Spanned<GoDuration>>,
    /// A new connection for every request.
    pub disable_keep_alives: bool,
    /// Ping an HTTP/2 connection that was silent for this long; 0: never.
    pub http2_read_idle_timeout: Spanned<GoDuration>,
    /// Time for the answer to a ping.
    pub http2_ping_timeout: Spanned<GoDuration>,
    /// What both transports have.
    #[serde(rename = "<inline common>")]
    pub common: CommonConfig,
}

/// `compression_params`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CompressionParams {
    /// Level; 0: the default.
    pub level: Spanned<i64>,
}

/// `otlp` as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GrpcConfig {
    /// `host:port`, or a URL that says `http` or `https`.
    pub endpoint: Spanned<String>,
    /// Pings on the connection.
    pub keepalive: Optional<KeepaliveConfig>,
    /// Without effect: there is one connection.
    pub balancer_name: Spanned<String>,
    /// Without effect: a failed connection is tried again.
    pub wait_for_ready: Spanned<bool>,
    /// Instead of the agent's own.
    pub user_agent: String,
    /// What both transports have.
    #[serde(rename = "<inline common>")]
    pub common: CommonConfig,
}

/// `keepalive` of a client.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct KeepaliveConfig {
    pub time: Spanned<GoDuration>,
    pub timeout: Spanned<GoDuration>,
    pub permit_without_stream: bool,
}

impl Default for KeepaliveConfig {
    fn default() -> KeepaliveConfig {
        KeepaliveConfig {
            time: Spanned::built_in(GoDuration::from_secs(10)),
            timeout: Spanned::built_in(GoDuration::from_secs(10)),
            permit_without_stream: false,
        }
    }
}

/// What both transports have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CommonConfig {
    /// TLS.
    pub tls: ClientTls,
    /// Compression; absent: gzip.
    pub compression: Option<Spanned<String>>,
    /// Sent with every request.
    pub headers: Headers,
    /// `{authenticator: ID}` of an extension.
    pub auth: Option<AuthConfig>,
    /// Without effect: buffers are the library's.
    pub read_buffer_size: Spanned<i64>,
    /// Without effect: buffers are the library's.
    pub write_buffer_size: Spanned<i64>,
    /// `sending_queue`, `retry_on_failure`, `timeout`.
    #[serde(rename = "<inline sender>")]
    pub sender: SenderConfig,
}

/// `auth`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    /// Id of an extension that offers credentials.
    pub authenticator: Spanned<String>,
}

/// A checked exporter: how batches become requests and where they go.
#[derive(Clone)]
pub(crate) struct OtlpSettings {
    pub(crate) transport: Transport,
    pub(crate) json: bool,
    pub(crate) compression: Compression,
    pub(crate) sending: SenderSettings,
}

impl HttpConfig {
    pub(super) fn check(
        &self,
        node: &Node,
        context: &BuildContext,
        found: &mut Vec<Diagnostic>,
    ) -> Option<OtlpSettings> {
        let url = if !self.metrics_endpoint.is_empty() {
            url(&self.metrics_endpoint, "metrics_endpoint", found)
        } else if !self.endpoint.is_empty() {
            url(&self.endpoint, "endpoint", found)
                .and_then(|base| Url::parse(&format!("{}/v1/metrics", base.as_str().trim_end_matches('/'))).ok())
        } else {
            let problem = Diagnostic::error("at least one endpoint must be specified").on(node);
            found.push(problem.help("set endpoint: https://host:4318"));
            None
        };
        for (key, value) in [("traces_endpoint", &self.traces_endpoint), ("logs_endpoint", &self.logs_endpoint)] {
            if !value.is_empty() {
                found.push(value.warning(format!("{key} has no effect: this collector has metrics only")));
            }
        }
        let json = match self.encoding.as_ref().map(|e| (e, e.as_str())) {
            None | Some((_, "proto")) => false,
            Some((_, "json")) => true,
            Some((encoding, other)) => {
                let problem = encoding.error(format!("encoding {other:?} does not exist"));
                found.push(problem.help("write proto or json"));
                false
            }
        };
        let level = *self.compression_params.level;
        let compression = self.common.compression(Compression::http, level, found);
        if level != 0 && !compression.takes_level(level) {
            found.push(self.compression_params.level.error("this compression does not have that level"));
        }
        let defaults = SenderSettings { timeout: Some(Duration::from_secs(30)), ..SenderSettings::default() };
        let sending = self.common.sending(defaults, found);
        let mut transport = self.common.transport(url, false, context, found)?;
        transport.proxy = self.proxy_url.value.clone();
        if !transport.proxy.is_empty() && reqwest::Proxy::all(&transport.proxy).is_err() {
            found.push(self.proxy_url.error(format!("proxy_url {:?} is not a URL", transport.proxy)));
        }
        transport.max_idle = match (&self.max_idle_conns_per_host, self.disable_keep_alives) {
            (_, true) => Some(0),
            (Some(n), _) if **n > 0 => usize::try_from(**n).ok(),
            _ => None,
        };
        transport.idle_timeout = match &self.idle_conn_timeout {
            None => Some(Duration::from_secs(90)),
            Some(t) if t.is_zero() => None,
            Some(t) => Some(t.to_std()),
        };
        let (silence, pong) = (&self.http2_read_idle_timeout, &self.http2_ping_timeout);
        let pong_time = if pong.is_zero() { Duration::from_secs(15) } else { pong.to_std() };
        transport.keepalive = (!silence.is_zero()).then(|| (silence.to_std(), pong_time, false));
        Some(OtlpSettings { transport, json, compression, sending })
    }
}

impl GrpcConfig {
    pub(super) fn check(
        &self,
        node: &Node,
        context: &BuildContext,
        found: &mut Vec<Diagnostic>,
    ) -> Option<OtlpSettings> {
        if self.endpoint.is_empty() {
            let problem = Diagnostic::error("requires a non-empty endpoint").on(node);
            found.push(problem.help("set endpoint: host:4317"));
        }
        let compression = self.common.compression(Compression::grpc, 0, found);
        if !matches!(self.balancer_name.as_str(), "" | "round_robin" | "pick_first") {
            found.push(self.balancer_name.error(format!("invalid balancer_name: {:?}", self.balancer_name.value)));
        } else if !self.balancer_name.is_empty() {
            found.push(self.balancer_name.warning("balancer_name has no effect: there is one connection"));
        }
        if *self.wait_for_ready {
            let problem = self.wait_for_ready.warning("wait_for_ready has no effect: a failed connection is retried");
            found.push(problem.help("retry_on_failure decides for how long"));
        }
        if let Some(auth) = &self.common.auth
            && auth.authenticator.split('/').next() == Some("sigv4auth")
        {
            let problem = auth.authenticator.error("sigv4auth signs HTTP requests only");
            found.push(problem.help("use the otlphttp exporter"));
        }
        let sending = self.common.sending(SenderSettings::default(), found);
        let mut transport = self.common.transport(self.url(found), true, context, found)?;
        if !self.user_agent.is_empty() {
            transport.user_agent.clone_from(&self.user_agent);
        }
        transport.keepalive = self
            .keepalive
            .as_ref()
            .map(|k| (k.time.to_std().max(Duration::from_secs(10)), k.timeout.to_std(), k.permit_without_stream));
        Some(OtlpSettings { transport, json: false, compression, sending })
    }

    fn url(&self, found: &mut Vec<Diagnostic>) -> Option<Url> {
        let text = self.endpoint.as_str();
        let text = text.strip_prefix("dns:///").or_else(|| text.strip_prefix("dns://")).unwrap_or(text);
        if text.is_empty() {
            return None;
        }
        let scheme = if self.common.tls.insecure { "http" } else { "https" };
        let (scheme, address) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(address), _) => ("http", address),
            (_, Some(address)) => ("https", address),
            _ => (scheme, text),
        };
        let method = "opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
        let url = Url::parse(&format!("{scheme}://{}/{method}", address.trim_end_matches('/'))).ok();
        let url = url.filter(|u| u.host_str().is_some_and(|h| !h.is_empty()));
        if url.is_none() {
            let problem = self.endpoint.error(format!("endpoint {:?} is not an address", self.endpoint.value));
            found.push(problem.help("write host:4317"));
        }
        url
    }
}

impl CommonConfig {
    fn compression(
        &self,
        parse: fn(&str, i64) -> Option<Compression>,
        level: i64,
        found: &mut Vec<Diagnostic>,
    ) -> Compression {
        let name = self.compression.as_ref().map_or("gzip", |c| c.as_str());
        parse(name, level).unwrap_or_else(|| {
            if let Some(written) = &self.compression {
                found.push(written.error(format!("unsupported compression type {name:?}")));
            }
            Compression::none()
        })
    }

    fn sending(&self, defaults: SenderSettings, found: &mut Vec<Diagnostic>) -> SenderSettings {
        let (settings, problems) = self.sender.check(defaults);
        found.extend(problems);
        settings
    }

    fn transport(
        &self,
        url: Option<Url>,
        grpc: bool,
        context: &BuildContext,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Transport> {
        found.extend(self.tls.check());
        self.refuse_tls(found);
        for (key, value) in
            [("read_buffer_size", &self.read_buffer_size), ("write_buffer_size", &self.write_buffer_size)]
        {
            if **value != 0 {
                found.push(value.warning(format!("{key} has no effect: buffers are the library's")));
            }
        }
        let mut headers = http::HeaderMap::new();
        for (name, value) in self.headers.iter() {
            match (http::HeaderName::try_from(name), http::HeaderValue::try_from(value.expose())) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.append(name, value);
                }
                _ => found.push(Diagnostic::error(format!("header {name:?} cannot be sent")).path(context.id.clone())),
            }
        }
        let auth = match &self.auth {
            None => None,
            Some(auth) => {
                let client = context.auth.get(auth.authenticator.as_str()).and_then(|offer| offer.client.clone());
                if client.is_none() {
                    let problem = format!("no extension {:?} offers client credentials", auth.authenticator.value);
                    let help = "define it under extensions and list it in service::extensions";
                    found.push(auth.authenticator.error(problem).help(help));
                }
                client
            }
        };
        Some(Transport {
            url: url?,
            grpc,
            tls: self.tls.clone(),
            headers,
            auth,
            user_agent: format!(
                "otelcol-ecs/{} ({}/{})",
                context.version,
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
            proxy: String::new(),
            max_idle: None,
            idle_timeout: Some(Duration::from_secs(90)),
            keepalive: None,
        })
    }

    /// What the HTTP client cannot do.
    fn refuse_tls(&self, found: &mut Vec<Diagnostic>) {
        let common = &self.tls.common;
        let mut refuse = |problem: Diagnostic| found.push(problem.help("remove the key"));
        if let Some(first) = common.cipher_suites.first() {
            refuse(first.error("a choice of cipher suites is not available for this exporter"));
        }
        if let Some(first) = common.curve_preferences.first() {
            refuse(first.error("a choice of curves is not available for this exporter"));
        }
        if !self.tls.server_name_override.is_empty() {
            let text = "server_name_override is not available for this exporter";
            refuse(common.ca_file.error(text));
        }
        if !common.reload_interval.is_zero() {
            refuse(common.cert_file.error("reload_interval is not available for this exporter"));
        }
    }
}

fn url(text: &Spanned<String>, key: &str, found: &mut Vec<Diagnostic>) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    if url.is_none() {
        found.push(text.error(format!("{key} {:?} is not an HTTP URL", text.value)).help("write https://host:4318"));
    }
    url
}
