//! Keys that say which proxy requests go through.

use std::collections::BTreeMap;

use config::{Diagnostic, Secret, Spanned};

/// Where requests go through.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ProxySettings {
    /// Straight to the target.
    #[default]
    None,
    /// `proxy_url`, with exceptions and headers for CONNECT.
    Url { url: Secret, no_proxy: String, connect_headers: Vec<(String, Secret)> },
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the process, with headers for CONNECT.
    Environment { connect_headers: Vec<(String, Secret)> },
}

pub(super) fn proxy(
    url: Option<Spanned<Secret>>,
    no_proxy: Option<Spanned<String>>,
    from_environment: &Spanned<bool>,
    connect_header: Option<Spanned<BTreeMap<String, Vec<Secret>>>>,
    found: &mut Vec<Diagnostic>,
) -> ProxySettings {
    let url = url.filter(|url| !url.is_empty());
    if from_environment.value {
        if url.is_some() {
            found.push(
                from_environment.error("if proxy_from_environment is configured, proxy_url must not be configured"),
            );
        }
        if no_proxy.is_some() {
            found.push(
                from_environment.error("if proxy_from_environment is configured, no_proxy must not be configured"),
            );
        }
        return ProxySettings::Environment { connect_headers: flat(connect_header) };
    }
    let Some(url) = url else {
        if let Some(no_proxy) = no_proxy.filter(|list| !list.is_empty()) {
            found.push(no_proxy.error("if no_proxy is configured, proxy_url must also be configured"));
        }
        if let Some(header) = connect_header.filter(|map| !map.is_empty()) {
            found.push(header.error(
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
            ));
        }
        return ProxySettings::None;
    };
    if reqwest::Url::parse(url.expose()).ok().is_none_or(|parsed| parsed.host_str().is_none()) {
        found.push(url.error("proxy_url is not a URL").help("write for example http://proxy.example:3128"));
    }
    let connect_headers = flat(connect_header);
    ProxySettings::Url { url: url.value, no_proxy: no_proxy.map(|s| s.value).unwrap_or_default(), connect_headers }
}

fn flat(headers: Option<Spanned<BTreeMap<String, Vec<Secret>>>>) -> Vec<(String, Secret)> {
    let all = headers.map(|map| map.value).into_iter().flatten();
    all.flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value))).collect()
}
