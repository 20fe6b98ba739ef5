//! HTTP clients of scrapes and HTTP discovery: one for each distinct set of client settings, made anew when TLS files
//! change, and what is added to each request. Sends nothing itself.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use config::Secret;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use proto::context::EnvLookup;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect};

use super::config::{Auth, HttpSettings, ProxySettings, Text};
use super::tls;

/// Idle connections kept per host.
const MAX_IDLE_PER_HOST: usize = 8;
/// How often TLS files are looked at.
const TLS_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Largest file of a secret or of certificates.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// All clients of a receiver. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    list: Arc<Mutex<Vec<Arc<HttpClient>>>>,
    env: EnvLookup,
}

/// A client with what has to be added to each request.
pub(crate) struct HttpClient {
    settings: HttpSettings,
    env: EnvLookup,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    files: Vec<Option<SystemTime>>,
    checked: Instant,
}

impl Clients {
    /// None yet. `env` tells the proxies of the environment.
    pub(crate) fn new(env: EnvLookup) -> Clients {
        Clients { list: Arc::default(), env }
    }

    /// The client for these settings.
    ///
    /// # Errors
    /// What is wrong with certificates, keys or the proxy.
    pub(crate) fn get(&self, settings: &HttpSettings) -> Result<Arc<HttpClient>, String> {
        let mut list = self.list.lock().expect("no panic while the list is locked");
        if let Some(found) = list.iter().find(|client| client.settings == *settings) {
            return Ok(found.clone());
        }
        let client = build(settings, &self.env)?;
        let current = Current { client, files: tls::file_times(&settings.tls), checked: Instant::now() };
        let client =
            Arc::new(HttpClient { settings: settings.clone(), env: self.env.clone(), current: Mutex::new(current) });
        list.push(client.clone());
        Ok(client)
    }
}

impl HttpClient {
    /// The client for a request. When a TLS file has changed it is a new one; a file that cannot be used is reported
    /// and the old client stays.
    pub(crate) fn client(&self) -> Client {
        let mut current = self.current.lock().expect("no panic while the client is locked");
        if self.settings.tls.has_files() && current.checked.elapsed() >= TLS_CHECK_INTERVAL {
            current.checked = Instant::now();
            let files = tls::file_times(&self.settings.tls);
            if files != current.files {
                match build(&self.settings, &self.env) {
                    Ok(client) => current.client = client,
                    Err(error) => tracing::warn!(error, "changed TLS files cannot be used, keeping the old ones"),
                }
                current.files = files;
            }
        }
        current.client.clone()
    }

    /// `follow_redirects`
    pub(crate) fn follows_redirects(&self) -> bool {
        self.settings.follow_redirects
    }

    /// Credentials and configured headers of a request; files are read now. Without secrets, what is left are the plain
    /// values of `http_headers`.
    ///
    /// # Errors
    /// Which file cannot be read or used.
    pub(crate) fn headers(&self, has_secrets: bool) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        match &self.settings.auth {
            Auth::None => {}
            _ if !has_secrets => {}
            Auth::Basic { username, password } => {
                let pair = format!("{}:{}", read(username)?, read(password)?);
                headers.insert(AUTHORIZATION, sensitive(&format!("Basic {}", BASE64.encode(pair)))?);
            }
            Auth::Scheme { scheme, credentials } => {
                headers.insert(AUTHORIZATION, sensitive(&format!("{scheme} {}", read(credentials)?))?);
            }
        }
        for header in &self.settings.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| error.to_string())?;
            let secrets = header.secrets.iter().filter(|_| has_secrets);
            for value in header.values.iter().chain(secrets) {
                headers.append(name.clone(), sensitive(&read(value)?)?);
            }
        }
        Ok(headers)
    }
}

fn build(settings: &HttpSettings, env: &EnvLookup) -> Result<Client, String> {
    let mut builder = ClientBuilder::new()
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .pool_idle_timeout(Duration::from_secs(300))
        .connect_timeout(Duration::from_secs(30))
        .referer(false)
        .http2_keep_alive_interval(Duration::from_secs(60));
    if !settings.enable_http2 {
        builder = builder.http1_only();
    }
    builder = proxied(builder, &settings.proxy, env)?;
    tls::apply(builder, &settings.tls, settings.enable_http2)?
        .build()
        .map_err(|error| format!("cannot make an HTTP client: {}", chain(&error)))
}

fn proxied(builder: ClientBuilder, settings: &ProxySettings, env: &EnvLookup) -> Result<ClientBuilder, String> {
    let mut builder = builder.no_proxy();
    match settings {
        ProxySettings::None => {}
        ProxySettings::Environment { connect_headers } => {
            let value =
                |names: [&str; 2]| names.into_iter().find_map(|name| env(name).filter(|value| !value.is_empty()));
            let all = value(["ALL_PROXY", "all_proxy"]);
            let exceptions = but_for_own_host(&value(["NO_PROXY", "no_proxy"]).unwrap_or_default());
            for (names, scheme) in [(["HTTP_PROXY", "http_proxy"], "http"), (["HTTPS_PROXY", "https_proxy"], "https")] {
                let Some(url) = value(names).or_else(|| all.clone()) else { continue };
                let proxy = if scheme == "http" { Proxy::http(url) } else { Proxy::https(url) };
                let proxy = proxy
                    .map_err(|_| format!("the proxy that the environment names for {scheme} is no URL of a proxy"))?;
                builder = builder.proxy(with_connect_headers(proxy.no_proxy(exceptions.clone()), connect_headers)?);
            }
        }
        ProxySettings::Url { url, no_proxy, connect_headers } => {
            let mut proxy = Proxy::all(url.expose()).map_err(|_| "proxy_url cannot be used".to_owned())?;
            if !no_proxy.is_empty() {
                proxy = proxy.no_proxy(but_for_own_host(no_proxy));
            }
            builder = builder.proxy(with_connect_headers(proxy, connect_headers)?);
        }
    }
    Ok(builder)
}

/// Go, once it looks at exceptions at all, never goes through a proxy to the own host.
fn but_for_own_host(no_proxy: &str) -> Option<NoProxy> {
    NoProxy::from_string(&format!("{no_proxy},localhost,127.0.0.0/8,::1"))
}

fn with_connect_headers(proxy: Proxy, connect_headers: &[(String, Secret)]) -> Result<Proxy, String> {
    if connect_headers.is_empty() {
        return Ok(proxy);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in connect_headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        headers.append(name, sensitive(value.expose())?);
    }
    Ok(proxy.headers(headers))
}

/// The text, or the content of its file without surrounding space.
fn read(text: &Text) -> Result<String, String> {
    match text {
        Text::Inline(secret) => Ok(secret.expose().to_owned()),
        Text::File(path) => read_file(path).map(|content| content.trim().to_owned()),
    }
}

/// A small text file.
pub(crate) fn read_file(path: &str) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read {path}: {error}");
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    let read = file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if read as u64 > MAX_SECRET_BYTES {
        return Err(format!("{path} has more than {MAX_SECRET_BYTES} bytes"));
    }
    Ok(text)
}

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "a header value has characters that are not allowed".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error with its causes, innermost last.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
