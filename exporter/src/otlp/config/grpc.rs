//! The settings of `otlp` (gRPC) and what is wrong with them.

use std::time::Duration;

use config::{Diagnostic, GoDuration, Node, Optional, Spanned};
use proto::BuildContext;
use reqwest::Url;
use serde::Deserialize;

use super::super::compress::Compression;
use super::super::transport::Transport;
use super::{CommonConfig, Middleware, OtlpSettings, refuse_middlewares};
use crate::sender::SenderSettings;

/// `otlp` as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GrpcConfig {
    /// `host:port`, or a URL that says `http` or `https`.
    pub endpoint: Spanned<String>,
    /// Pings on the connection.
    pub keepalive: Optional<KeepaliveConfig>,
    /// `round_robin` (empty too): requests take turns between all addresses of the host; `pick_first`: one connection.
    pub balancer_name: Spanned<String>,
    /// Wait for a connection until the attempt's time is over, instead of failing at once.
    pub wait_for_ready: bool,
    /// Instead of the agent's own.
    pub user_agent: String,
    /// What requests say instead of the endpoint (`:authority`); also the name in the server's certificate.
    pub authority: Spanned<String>,
    /// Refused: there are none.
    pub middlewares: Spanned<Vec<Middleware>>,
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

impl GrpcConfig {
    pub(crate) fn check(
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
            let problem = self.balancer_name.error(format!("invalid balancer_name: {:?}", self.balancer_name.value));
            found.push(problem.help("write round_robin or pick_first"));
        }
        if let Some(auth) = &self.common.auth
            && auth.authenticator.split('/').next() == Some("sigv4auth")
        {
            let problem = auth.authenticator.error("sigv4auth signs HTTP requests only");
            found.push(problem.help("use the otlphttp exporter"));
        }
        refuse_middlewares(&self.middlewares, found);
        let sending = self.common.sending(SenderSettings::default(), found);
        let mut transport = self.common.transport(self.url(found), true, context, found)?;
        if !self.user_agent.is_empty() {
            transport.user_agent.clone_from(&self.user_agent);
        }
        transport.keepalive = self
            .keepalive
            .as_ref()
            .map(|k| (k.time.to_std().max(Duration::from_secs(10)), k.timeout.to_std(), k.permit_without_stream));
        transport.wait_for_ready = self.wait_for_ready;
        transport.spread = self.balancer_name.as_str() != "pick_first";
        if let Some(attempt) = sending.timeout.filter(|_| transport.spread) {
            // Time for another address in the same attempt.
            transport.connect_timeout = transport.connect_timeout.min(attempt / 2);
        }
        self.check_authority(&mut transport, found);
        Some(OtlpSettings { transport, json: false, compression, sending })
    }

    fn url(&self, found: &mut Vec<Diagnostic>) -> Option<Url> {
        let text = self.endpoint.as_str();
        let schemes = ["dns:///", "dns://", "passthrough:///"];
        let text = schemes.into_iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
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

    /// Without `authority` the name is that of the certificate, when one is given, as in grpc-go.
    fn check_authority(&self, transport: &mut Transport, found: &mut Vec<Diagnostic>) {
        let secure = transport.url.scheme() == "https";
        let certificate = self.common.tls.server_name_override.as_str();
        if self.authority.is_empty() {
            return;
        }
        let mut refuse = |problem: String, help: &str| found.push(self.authority.error(problem).help(help));
        let said = Url::parse(&format!("{}://{}/", transport.url.scheme(), self.authority.as_str())).ok();
        let Some(said) = said.filter(|url| url.path() == "/" && url.domain().is_some()) else {
            return refuse(
                format!("authority {:?} is not a host name", self.authority.value),
                "write name or name:port",
            );
        };
        if said.port().is_some_and(|port| Some(port) != transport.url.port_or_known_default()) {
            refuse("authority names another port than endpoint".to_owned(), "leave the port out");
        }
        if secure && !certificate.is_empty() && Some(certificate) != said.host_str() {
            refuse("authority and tls::server_name_override are different names".to_owned(), "set only one of them");
        }
        if transport.behind_proxy {
            refuse("authority cannot be set behind a proxy".to_owned(), "remove it, or the proxy of the environment");
        }
        transport.authority = Some(self.authority.value.clone());
    }
}
