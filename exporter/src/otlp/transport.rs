//! One attempt to send a request, over HTTP or gRPC; both on the same HTTP client. What an answer means is in `answer`.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use config::tls::{ClientTls, Version};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use proto::auth::ClientAuth;
use reqwest::{Certificate, Client, Identity, Url};

use super::answer;
use super::compress::Compression;
use crate::Outcome;

/// An answer has little to say.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Where requests go and what goes with them.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) url: Url,
    pub(crate) grpc: bool,
    pub(crate) tls: ClientTls,
    pub(crate) headers: HeaderMap,
    pub(crate) auth: Option<Arc<dyn ClientAuth>>,
    pub(crate) user_agent: String,
    pub(crate) proxy: String,
    pub(crate) max_idle: Option<usize>,
    pub(crate) idle_timeout: Option<Duration>,
    /// Silence before a ping, time for its answer, also without requests.
    pub(crate) keepalive: Option<(Duration, Duration, bool)>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: http::StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

impl Transport {
    /// The HTTP client for these settings; reads certificates.
    pub(crate) fn client(&self) -> Result<Client, String> {
        let mut builder = Client::builder()
            .user_agent(&self.user_agent)
            .pool_idle_timeout(self.idle_timeout)
            .connect_timeout(Duration::from_secs(30))
            .retry(reqwest::retry::never());
        if let Some(most) = self.max_idle {
            builder = builder.pool_max_idle_per_host(most);
        }
        if self.grpc {
            builder = builder.http2_prior_knowledge();
        }
        if let Some((silence, pong, always)) = self.keepalive {
            builder = builder
                .http2_keep_alive_interval(silence)
                .http2_keep_alive_timeout(pong)
                .http2_keep_alive_while_idle(always);
        }
        if !self.proxy.is_empty() {
            let proxy = reqwest::Proxy::all(&self.proxy).map_err(|e| format!("proxy_url cannot be used: {e}"))?;
            builder = builder.proxy(proxy);
        }
        if self.url.scheme() == "https" {
            builder = self.secured(builder)?;
        }
        builder.build().map_err(|e| format!("cannot make a client for {}: {}", self.url, chain(&e)))
    }

    fn secured(&self, mut builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, String> {
        let common = &self.tls.common;
        let version = |v| match v {
            Version::V1_2 => reqwest::tls::Version::TLS_1_2,
            Version::V1_3 => reqwest::tls::Version::TLS_1_3,
        };
        let (min, max) = common.versions();
        builder = builder.tls_version_min(version(min)).tls_version_max(version(max));
        let read = |file: &str, text: &config::Secret| match file {
            "" => Ok(text.expose().to_owned()),
            path => std::fs::read_to_string(path).map_err(|e| format!("cannot read {path:?}: {e}")),
        };
        let authorities = read(&common.ca_file, &common.ca_pem)?;
        if !authorities.is_empty() {
            let bundle = Certificate::from_pem_bundle(authorities.as_bytes());
            let bundle = bundle.map_err(|e| format!("the CA certificates cannot be used: {}", chain(&e)))?;
            builder = match common.include_system_ca_certs_pool {
                true => builder.tls_certs_merge(bundle),
                false => builder.tls_certs_only(bundle),
            };
        }
        let (cert, key) = (read(&common.cert_file, &common.cert_pem)?, read(&common.key_file, &common.key_pem)?);
        if !cert.is_empty() {
            let identity = Identity::from_pem(format!("{key}\n{cert}").as_bytes());
            let bad = |e: reqwest::Error| format!("the client certificate or key cannot be used: {}", chain(&e));
            builder = builder.identity(identity.map_err(bad)?);
        }
        Ok(builder.tls_danger_accept_invalid_certs(self.tls.insecure_skip_verify))
    }

    /// One attempt.
    pub(crate) async fn send(&self, client: &Client, body: &Bytes, compression: Compression, json: bool) -> Outcome {
        let retry = |error: String| Outcome::Retry { after: None, error };
        let mut request = reqwest::Request::new(http::Method::POST, self.url.clone());
        let body = if self.grpc { framed(body, !compression.name.is_empty()) } else { body.clone() };
        let headers = request.headers_mut();
        self.set_headers(headers, compression, json);
        if let Some(auth) = &self.auth {
            let uri = match self.url.as_str().parse() {
                Ok(uri) => uri,
                Err(e) => return retry(format!("the endpoint cannot be signed: {e}")),
            };
            if let Err(error) = auth.sign(&http::Method::POST, &uri, headers, &body).await {
                return retry(format!("no credentials for the request: {error}"));
            }
        }
        *request.body_mut() = Some(body.into());
        match self.exchange(client, request).await {
            Ok(answer) if self.grpc => answer::grpc(&answer),
            Ok(answer) => answer::http(&answer, json),
            Err(error) => retry(format!("cannot send to {}: {error}", self.url)),
        }
    }

    fn set_headers(&self, headers: &mut HeaderMap, compression: Compression, json: bool) {
        let kind = match (self.grpc, json) {
            (true, _) => "application/grpc",
            (_, true) => "application/json",
            _ => "application/x-protobuf",
        };
        headers.insert("content-type", HeaderValue::from_static(kind));
        if self.grpc {
            headers.insert("te", HeaderValue::from_static("trailers"));
        }
        if !compression.name.is_empty() {
            let name = if self.grpc { "grpc-encoding" } else { "content-encoding" };
            headers.insert(name, HeaderValue::from_static(compression.name));
        }
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }

    async fn exchange(&self, client: &Client, request: reqwest::Request) -> Result<Answer, String> {
        let response = client.execute(request).await.map_err(|e| chain(&e.without_url()))?;
        let (head, mut body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let (mut data, mut trailers) = (BytesMut::new(), HeaderMap::new());
        while let Some(frame) = body.frame().await {
            match frame.map_err(|e| chain(&e.without_url()))?.into_data() {
                Ok(chunk) if data.len() + chunk.len() > MAX_ANSWER_BYTES => {
                    return Err("the answer is larger than 4 MiB".to_owned());
                }
                Ok(chunk) => data.extend_from_slice(&chunk),
                Err(other) => trailers = other.into_trailers().unwrap_or_default(),
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: data.freeze(), trailers })
    }
}

/// A gRPC message: whether it is compressed, its length, itself.
fn framed(body: &Bytes, compressed: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + 5);
    out.extend_from_slice(&[u8::from(compressed)]);
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(body);
    out.freeze()
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
