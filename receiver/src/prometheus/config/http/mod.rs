//! HTTP client settings as Prometheus writes them, inline in a scrape config or in `http_sd_configs`. Makes no clients.

mod auth;
mod headers;
mod proxy;
mod text;
mod tls;

use std::collections::BTreeMap;

use config::{Diagnostic, Node, Secret, Spanned};
use serde::Deserialize;

use auth::{AuthorizationKeys, BasicAuthKeys};
use headers::HeaderKeys;
use tls::TlsKeys;

pub(crate) use auth::Auth;
pub(crate) use headers::HeaderSettings;
pub(crate) use proxy::ProxySettings;
pub(crate) use text::Text;
pub(crate) use tls::{TlsSettings, TlsVersion};

/// How requests are made. Equal settings share a client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpSettings {
    /// What goes into the `Authorization` header.
    pub(crate) auth: Auth,
    /// TLS.
    pub(crate) tls: TlsSettings,
    /// Follow 3xx answers.
    pub(crate) follow_redirects: bool,
    /// Offer HTTP/2 over TLS.
    pub(crate) enable_http2: bool,
    /// Proxy.
    pub(crate) proxy: ProxySettings,
    /// Further headers.
    pub(crate) headers: Vec<HeaderSettings>,
}

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings {
            auth: Auth::None,
            tls: TlsSettings::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy: ProxySettings::None,
            headers: Vec::new(),
        }
    }
}

/// The keys as they are written.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct HttpKeys {
    basic_auth: Option<Spanned<BasicAuthKeys>>,
    authorization: Option<Spanned<AuthorizationKeys>>,
    bearer_token: Option<Spanned<Secret>>,
    bearer_token_file: Option<Spanned<String>>,
    oauth2: Option<Node>,
    tls_config: TlsKeys,
    follow_redirects: bool,
    enable_http2: bool,
    proxy_url: Option<Spanned<Secret>>,
    no_proxy: Option<Spanned<String>>,
    proxy_from_environment: Spanned<bool>,
    proxy_connect_header: Option<Spanned<BTreeMap<String, Vec<Secret>>>>,
    http_headers: Option<BTreeMap<String, Spanned<HeaderKeys>>>,
}

impl Default for HttpKeys {
    fn default() -> HttpKeys {
        HttpKeys {
            basic_auth: None,
            authorization: None,
            bearer_token: None,
            bearer_token_file: None,
            oauth2: None,
            tls_config: TlsKeys::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy_url: None,
            no_proxy: None,
            proxy_from_environment: Spanned::default(),
            proxy_connect_header: None,
            http_headers: None,
        }
    }
}

impl HttpKeys {
    /// Checks the keys. What is wrong is reported; the default takes its place.
    pub(super) fn settings(self, found: &mut Vec<Diagnostic>) -> HttpSettings {
        if let Some(node) = &self.oauth2 {
            found.push(
                Diagnostic::error("oauth2 is not supported")
                    .on(node)
                    .help("use authorization with credentials_file, which is read again for each request"),
            );
        }
        let tls = self.tls_config.settings(found);
        let auth = auth::auth(self.basic_auth, self.authorization, self.bearer_token, self.bearer_token_file, found);
        let proxy =
            proxy::proxy(self.proxy_url, self.no_proxy, &self.proxy_from_environment, self.proxy_connect_header, found);
        let headers = self
            .http_headers
            .into_iter()
            .flatten()
            .filter_map(|(name, keys)| headers::header(name, keys, found))
            .collect();
        HttpSettings {
            auth,
            tls,
            follow_redirects: self.follow_redirects,
            enable_http2: self.enable_http2,
            proxy,
            headers,
        }
    }
}
