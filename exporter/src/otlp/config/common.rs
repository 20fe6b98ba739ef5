//! The keys that `otlp` and `otlphttp` share, and the transport that they make.

use std::net::IpAddr;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use config::tls::ClientTls;
use config::{Diagnostic, Headers, Spanned};
use proto::BuildContext;
use reqwest::Url;
use serde::Deserialize;

use super::super::compress::Compression;
use super::super::transport::Transport;
use crate::sender::{SenderConfig, SenderSettings};

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

impl CommonConfig {
    pub(super) fn compression(
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

    pub(super) fn sending(&self, defaults: SenderSettings, found: &mut Vec<Diagnostic>) -> SenderSettings {
        let (settings, problems) = self.sender.check(defaults);
        found.extend(problems);
        settings
    }

    pub(super) fn transport(
        &self,
        url: Option<Url>,
        grpc: bool,
        context: &BuildContext,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Transport> {
        found.extend(self.tls.check());
        for (key, value) in
            [("read_buffer_size", &self.read_buffer_size), ("write_buffer_size", &self.write_buffer_size)]
        {
            if **value != 0 {
                found.push(value.warning(format!("{key} has no effect: buffers are the library's")));
            }
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter() {
            match (HeaderName::try_from(name), HeaderValue::try_from(value.expose())) {
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
                let offer = context.auth.get(auth.authenticator.as_str());
                let client = offer.and_then(|offer| offer.client.clone());
                if client.is_none() {
                    let why = match offer {
                        None => "authenticator not found",
                        Some(_) => "it has no credentials to send",
                    };
                    let problem = format!("failed to resolve authenticator {:?}: {why}", auth.authenticator.value);
                    let help = "define it under extensions and list it in service::extensions";
                    found.push(auth.authenticator.error(problem).help(help));
                }
                client
            }
        };
        let url = url?;
        Some(Transport {
            behind_proxy: proxy_of_environment(&url, context),
            url,
            grpc,
            tls: self.tls.clone(),
            headers,
            auth,
            user_agent: format!("otelcol-ecs/{} ({}/{})", context.version, std::env::consts::OS, architecture()),
            proxy: String::new(),
            http1_only: false,
            authority: None,
            spread: false,
            wait_for_ready: false,
            max_idle: None,
            max_requests: None,
            idle_timeout: Some(Duration::from_secs(90)),
            keepalive: None,
            connect_timeout: Duration::from_secs(30),
        })
    }
}

/// The architecture under Go's name, as servers know it from other collectors.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Whether the environment names a proxy for such URLs. Exceptions in `NO_PROXY` are left to the HTTP client, but for
/// the own host, which Go never reaches through a proxy.
fn proxy_of_environment(url: &Url, context: &BuildContext) -> bool {
    let names = match url.scheme() {
        "https" => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let own_host = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !own_host && names.into_iter().any(|name| (context.env)(name).is_some_and(|value| !value.is_empty()))
}
