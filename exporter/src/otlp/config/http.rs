//! The settings of `otlphttp` and what is wrong with them.

use std::time::Duration;

use config::{Diagnostic, GoDuration, Node, Spanned};
use proto::BuildContext;
use reqwest::Url;
use serde::Deserialize;

use super::super::compress::Compression;
use super::{CommonConfig, Middleware, OtlpSettings, refuse_middlewares};
use crate::sender::SenderSettings;

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
    /// Idle connections kept in all; absent or 0: no limit.
    pub max_idle_conns: Option<Spanned<i64>>,
    /// Idle connections kept for a host; absent or 0: no limit.
    pub max_idle_conns_per_host: Option<Spanned<i64>>,
    /// Requests under way at once, each of which has at most one connection; 0: no limit.
    pub max_conns_per_host: Spanned<i64>,
    /// Time after which an idle connection is closed; 0: never.
    pub idle_conn_timeout: Option<Spanned<GoDuration>>,
    /// A new connection for every request.
    pub disable_keep_alives: bool,
    /// Offer HTTP/2 to servers with TLS; absent: yes.
    pub force_attempt_http2: Option<bool>,
    /// Ping an HTTP/2 connection that was silent for this long; 0: never.
    pub http2_read_idle_timeout: Spanned<GoDuration>,
    /// Time for the answer to a ping.
    pub http2_ping_timeout: Spanned<GoDuration>,
    /// Refused when enabled: no cookies are kept.
    pub cookies: Spanned<Cookies>,
    /// Refused: there are none.
    pub middlewares: Spanned<Vec<Middleware>>,
    /// What both transports have.
    #[serde(rename = "<inline common>")]
    pub common: CommonConfig,
}

/// `compression_params`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CompressionParams {
    /// Level; 0 and -1: the default.
    pub level: Spanned<i64>,
}

/// `cookies`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cookies {
    /// Keep cookies of answers and send them back.
    pub enabled: bool,
}

impl HttpConfig {
    pub(crate) fn check(
        &self,
        node: &Node,
        context: &BuildContext,
        found: &mut Vec<Diagnostic>,
    ) -> Option<OtlpSettings> {
        let url = self.url(node, found);
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
        let level = match *self.compression_params.level {
            -1 => 0,
            level => level,
        };
        let compression = self.common.compression(Compression::http, level, found);
        if level != 0 && !compression.takes_level(level) {
            found.push(self.compression_params.level.error("this compression does not have that level"));
        }
        if self.cookies.enabled {
            found.push(self.cookies.error("cookies are not kept").help("remove the key; OTLP needs none"));
        }
        refuse_middlewares(&self.middlewares, found);
        let defaults = SenderSettings { timeout: Some(Duration::from_secs(30)), ..SenderSettings::default() };
        let sending = self.common.sending(defaults, found);
        let max_requests = count("max_conns_per_host", Some(&self.max_conns_per_host), found);
        let max_idle = self.max_idle(found);
        let mut transport = self.common.transport(url, false, context, found)?;
        transport.proxy = self.proxy_url.value.clone();
        transport.behind_proxy |= !transport.proxy.is_empty();
        if !transport.proxy.is_empty() && reqwest::Proxy::all(&transport.proxy).is_err() {
            found.push(self.proxy_url.error(format!("proxy_url {:?} is not a URL", transport.proxy)));
        }
        transport.max_idle = max_idle;
        // A request has at most one connection.
        transport.max_requests = max_requests;
        transport.http1_only = self.force_attempt_http2 == Some(false);
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

    fn url(&self, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Url> {
        if !self.metrics_endpoint.is_empty() {
            url(&self.metrics_endpoint, "metrics_endpoint", found)
        } else if !self.endpoint.is_empty() {
            url(&self.endpoint, "endpoint", found)
                .and_then(|base| Url::parse(&format!("{}/v1/metrics", base.as_str().trim_end_matches('/'))).ok())
        } else {
            let problem = Diagnostic::error("at least one endpoint must be specified").on(node);
            found.push(problem.help("set endpoint: https://host:4318"));
            None
        }
    }

    /// Idle connections to keep. An exporter has one host, so both limits mean the same.
    fn max_idle(&self, found: &mut Vec<Diagnostic>) -> Option<usize> {
        let all = count("max_idle_conns", self.max_idle_conns.as_ref(), found);
        let of_host = count("max_idle_conns_per_host", self.max_idle_conns_per_host.as_ref(), found);
        if self.disable_keep_alives { Some(0) } else { all.into_iter().chain(of_host).min() }
    }
}

/// A limit; 0 is none.
fn count(key: &str, value: Option<&Spanned<i64>>, found: &mut Vec<Diagnostic>) -> Option<usize> {
    let value = value?;
    if **value < 0 {
        found.push(value.error(format!("{key} must not be negative")));
    }
    usize::try_from(**value).ok().filter(|n| *n > 0)
}

fn url(text: &Spanned<String>, key: &str, found: &mut Vec<Diagnostic>) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    if url.is_none() {
        found.push(text.error(format!("{key} {:?} is not an HTTP URL", text.value)).help("write https://host:4318"));
    }
    url
}
