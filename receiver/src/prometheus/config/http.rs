//! HTTP client settings as Prometheus writes them, inline in a scrape config or in `http_sd_configs`. Makes no clients.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Diagnostic, Node, Secret, Spanned};
use serde::Deserialize;

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

/// Credentials of requests. Files are read again for each request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Auth {
    /// None.
    #[default]
    None,
    /// `Basic`.
    Basic { username: Text, password: Text },
    /// Any other scheme, usually `Bearer`.
    Scheme { scheme: String, credentials: Text },
}

/// A text, or the file that holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Text {
    /// Written in the configuration.
    Inline(Secret),
    /// Path of the file.
    File(String),
}

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TlsSettings {
    /// Authorities to trust instead of the system's.
    pub(crate) ca: Option<Text>,
    /// Own certificate chain and key.
    pub(crate) identity: Option<(Text, Text)>,
    /// Name to verify instead of the host of the URL.
    pub(crate) server_name: String,
    /// Verify nothing.
    pub(crate) insecure_skip_verify: bool,
    /// Oldest version, `TLS12` by default.
    pub(crate) min_version: Option<TlsVersion>,
    /// Newest version.
    pub(crate) max_version: Option<TlsVersion>,
}

/// A TLS version that the library speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersion {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

/// Where requests go through.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ProxySettings {
    /// Straight to the target.
    #[default]
    None,
    /// `proxy_url`, with exceptions and headers for CONNECT.
    Url { url: Secret, no_proxy: String, connect_headers: Vec<(String, Secret)> },
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the process.
    Environment,
}

/// A header of `http_headers`: values in the order values, secrets, files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeaderSettings {
    pub(crate) name: String,
    pub(crate) values: Vec<Text>,
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct BasicAuthKeys {
    username: Option<String>,
    username_file: Option<String>,
    username_ref: Option<Node>,
    password: Option<Secret>,
    password_file: Option<String>,
    password_ref: Option<Node>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthorizationKeys {
    r#type: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<Spanned<String>>,
    credentials_ref: Option<Node>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TlsKeys {
    ca: Option<Secret>,
    ca_file: Option<Spanned<String>>,
    ca_ref: Option<Node>,
    cert: Option<Spanned<Secret>>,
    cert_file: Option<Spanned<String>>,
    cert_ref: Option<Node>,
    key: Option<Spanned<Secret>>,
    key_file: Option<Spanned<String>>,
    key_ref: Option<Node>,
    server_name: String,
    insecure_skip_verify: bool,
    min_version: Option<Spanned<String>>,
    max_version: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HeaderKeys {
    values: Vec<Secret>,
    secrets: Vec<Secret>,
    files: Vec<String>,
}

const RESERVED_HEADERS: &[&str] = &[
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

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
        let auth = auth(self.basic_auth, self.authorization, self.bearer_token, self.bearer_token_file, found);
        let proxy =
            proxy(self.proxy_url, self.no_proxy, &self.proxy_from_environment, self.proxy_connect_header, found);
        let headers =
            self.http_headers.into_iter().flatten().filter_map(|(name, keys)| header(name, keys, found)).collect();
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

fn auth(
    basic: Option<Spanned<BasicAuthKeys>>,
    authorization: Option<Spanned<AuthorizationKeys>>,
    bearer_token: Option<Spanned<Secret>>,
    bearer_token_file: Option<Spanned<String>>,
    found: &mut Vec<Diagnostic>,
) -> Auth {
    let ways = [
        basic.as_ref().map(|keys| keys.error("")),
        authorization.as_ref().map(|keys| keys.error("")),
        bearer_token.as_ref().map(|keys| keys.error("")),
        bearer_token_file.as_ref().map(|keys| keys.error("")),
    ];
    let given: Vec<Diagnostic> = ways.into_iter().flatten().collect();
    if let [_, second, ..] = given.as_slice() {
        let mut diagnostic = second.clone();
        diagnostic.message = match (&bearer_token, &bearer_token_file) {
            (Some(_), Some(_)) => "at most one of bearer_token & bearer_token_file must be configured".into(),
            _ => "at most one of basic_auth, oauth2 & authorization must be configured".into(),
        };
        found.push(diagnostic);
    }
    if let Some(keys) = basic {
        return basic_auth(keys, found);
    }
    if let Some(token) = bearer_token {
        return Auth::Scheme { scheme: "Bearer".into(), credentials: Text::Inline(token.value) };
    }
    if let Some(file) = bearer_token_file {
        check_file(&file, "authorization credentials", found);
        return Auth::Scheme { scheme: "Bearer".into(), credentials: Text::File(file.value) };
    }
    let Some(keys) = authorization else { return Auth::None };
    let scheme = keys.r#type.as_deref().map_or("Bearer", str::trim);
    let scheme = if scheme.is_empty() { "Bearer" } else { scheme };
    if scheme.eq_ignore_ascii_case("basic") {
        found.push(keys.error("authorization type cannot be set to \"basic\", use \"basic_auth\" instead"));
    }
    let credentials = match (&keys.credentials, &keys.credentials_file) {
        (Some(_), Some(_)) => {
            found.push(keys.error(
                "at most one of authorization credentials, credentials_file & credentials_ref must be configured",
            ));
            return Auth::None;
        }
        (_, Some(file)) => {
            check_file(file, "authorization credentials", found);
            Text::File(file.value.clone())
        }
        (credentials, None) => Text::Inline(credentials.clone().unwrap_or_default()),
    };
    refuse_ref(keys.credentials_ref.as_ref(), found);
    Auth::Scheme { scheme: scheme.to_owned(), credentials }
}

fn basic_auth(keys: Spanned<BasicAuthKeys>, found: &mut Vec<Diagnostic>) -> Auth {
    if keys.username.is_some() && keys.username_file.is_some() {
        found.push(keys.error("at most one of basic_auth username, username_file & username_ref must be configured"));
    }
    if keys.password.is_some() && keys.password_file.is_some() {
        found.push(keys.error("at most one of basic_auth password, password_file & password_ref must be configured"));
    }
    refuse_ref(keys.username_ref.as_ref(), found);
    refuse_ref(keys.password_ref.as_ref(), found);
    let keys = keys.value;
    let pick = |inline: Option<Secret>, file: Option<String>| match file {
        Some(file) => Text::File(file),
        None => Text::Inline(inline.unwrap_or_default()),
    };
    Auth::Basic {
        username: pick(keys.username.map(Secret::new), keys.username_file),
        password: pick(keys.password, keys.password_file),
    }
}

impl TlsKeys {
    fn settings(self, found: &mut Vec<Diagnostic>) -> TlsSettings {
        for node in [&self.ca_ref, &self.cert_ref, &self.key_ref] {
            refuse_ref(node.as_ref(), found);
        }
        if let (Some(_), Some(file)) = (&self.ca, &self.ca_file) {
            found.push(file.error("at most one of ca and ca_file must be configured"));
        }
        if let (Some(_), Some(file)) = (&self.cert, &self.cert_file) {
            found.push(file.error("at most one of cert and cert_file must be configured"));
        }
        if let (Some(_), Some(file)) = (&self.key, &self.key_file) {
            found.push(file.error("at most one of key and key_file must be configured"));
        }
        for file in [&self.cert_file, &self.key_file].into_iter().flatten() {
            check_file(file, "client cert", found);
        }
        let place = |inline: &Option<Spanned<Secret>>, file: &Option<Spanned<String>>, message: &str| {
            inline.as_ref().map(|s| s.error(message)).or_else(|| file.as_ref().map(|s| s.error(message)))
        };
        let cert_place = place(
            &self.cert,
            &self.cert_file,
            "exactly one of key or key_file must be configured when a client certificate is configured",
        );
        let key_place = place(
            &self.key,
            &self.key_file,
            "exactly one of cert or cert_file must be configured when a client key is configured",
        );
        let cert = text(self.cert.map(|s| s.value), self.cert_file);
        let key = text(self.key.map(|s| s.value), self.key_file);
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (Some(_), None) => {
                found.extend(cert_place);
                None
            }
            (None, Some(_)) => {
                found.extend(key_place);
                None
            }
            (None, None) => None,
        };
        let min_version = version(self.min_version, false, found);
        let max_version = version(self.max_version, true, found);
        TlsSettings {
            ca: text(self.ca, self.ca_file),
            identity,
            server_name: self.server_name,
            insecure_skip_verify: self.insecure_skip_verify,
            min_version,
            max_version,
        }
    }
}

/// `TLS10` and `TLS11` as the oldest version mean 1.2, which is the oldest that the library has.
fn version(text: Option<Spanned<String>>, is_max: bool, found: &mut Vec<Diagnostic>) -> Option<TlsVersion> {
    let text = text?;
    match (text.as_str(), is_max) {
        ("TLS13", _) => Some(TlsVersion::Tls13),
        ("TLS12", _) => Some(TlsVersion::Tls12),
        ("TLS10" | "TLS11", false) => {
            found.push(text.warning(format!("{} is not spoken, the oldest version is TLS12", text.value)));
            Some(TlsVersion::Tls12)
        }
        ("TLS10" | "TLS11", true) => {
            found.push(text.error(format!("{} is not supported, the oldest version is TLS12", text.value)));
            None
        }
        _ => {
            found.push(text.error(format!("unknown TLS version: {}", text.value)).help("write TLS12 or TLS13"));
            None
        }
    }
}

fn proxy(
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
        if let Some(header) = &connect_header {
            found.push(header.error("proxy_connect_header needs proxy_url"));
        }
        return ProxySettings::Environment;
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
    let connect_headers = connect_header
        .map(|map| map.value)
        .into_iter()
        .flatten()
        .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
        .collect();
    ProxySettings::Url { url: url.value, no_proxy: no_proxy.map(|s| s.value).unwrap_or_default(), connect_headers }
}

fn header(name: String, keys: Spanned<HeaderKeys>, found: &mut Vec<Diagnostic>) -> Option<HeaderSettings> {
    if RESERVED_HEADERS.iter().any(|reserved| reserved.eq_ignore_ascii_case(&name)) {
        found.push(keys.error(format!("setting header {name:?} is not allowed")));
        return None;
    }
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        found.push(keys.error(format!("{name:?} is not a header name")));
        return None;
    }
    let keys = keys.value;
    let inline = keys.values.into_iter().chain(keys.secrets).map(Text::Inline);
    Some(HeaderSettings { name, values: inline.chain(keys.files.into_iter().map(Text::File)).collect() })
}

fn text(inline: Option<Secret>, file: Option<Spanned<String>>) -> Option<Text> {
    match (inline.filter(|s| !s.is_empty()), file.filter(|s| !s.is_empty())) {
        (_, Some(file)) => Some(Text::File(file.value)),
        (Some(inline), None) => Some(Text::Inline(inline)),
        (None, None) => None,
    }
}

fn check_file(path: &Spanned<String>, what: &str, found: &mut Vec<Diagnostic>) {
    if let Err(error) = std::fs::metadata(Path::new(&path.value)) {
        found.push(path.error(format!("error checking {what} file {:?}: {error}", path.value)));
    }
}

fn refuse_ref(node: Option<&Node>, found: &mut Vec<Diagnostic>) {
    if let Some(node) = node {
        found.push(
            Diagnostic::error("there is no secret manager to take this from")
                .on(node)
                .help("use the key that ends in _file"),
        );
    }
}
