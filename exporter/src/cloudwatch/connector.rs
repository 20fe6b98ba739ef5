//! The SDK's requests over our HTTP client: proxy, certificates, connection pool and timeout as `awsemf` has them, and
//! the headers that the reference adds. Signs nothing and retries nothing.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};

use super::settings::CloudWatchSettings;
use super::template::Templates;

/// An answer of the Logs API is far smaller.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The body of a request without a copy: put beside it by who made it.
#[derive(Clone)]
pub(super) struct OriginalBody(pub(super) Bytes);

/// Sends requests of the SDK and our own.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    http: reqwest::Client,
    user_agent: String,
    /// Models for our own requests, taken from those of the SDK that succeed with a body of ours.
    pub(super) templates: Arc<Templates>,
}

/// A connector with these settings.
pub(super) fn connector(settings: &CloudWatchSettings) -> Result<Connector, String> {
    let mut builder = reqwest::Client::builder()
        .pool_max_idle_per_host(settings.num_workers)
        .pool_idle_timeout(Duration::from_secs(90))
        .connect_timeout(Duration::from_secs(30))
        .tls_danger_accept_invalid_certs(settings.no_verify_ssl)
        .redirect(reqwest::redirect::Policy::none())
        // Whether to try again is decided above.
        .retry(reqwest::retry::never());
    if !settings.request_timeout.is_zero() {
        builder = builder.timeout(settings.request_timeout);
    }
    if !settings.proxy_address.is_empty() {
        let proxy = reqwest::Proxy::all(&settings.proxy_address)
            .map_err(|e| format!("unable to obtain proxy URL: proxy_address is not a proxy: {}", chain(&e)))?;
        builder = builder.proxy(proxy);
    }
    let http = builder.build().map_err(|e| format!("cannot make an HTTP client: {}", chain(&e)))?;
    Ok(Connector { http, user_agent: settings.user_agent.clone(), templates: Arc::default() })
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let is_ours = request.extension::<OriginalBody>().is_some();
            let request = this.convert(request)?;
            let model = if is_ours { request.try_clone() } else { None };
            let answer = this.send(request).await?;
            if let Some(model) = model.filter(|_| answer.status().is_success()) {
                this.templates.learn(&model);
            }
            Ok(answer)
        })
    }
}

impl Connector {
    /// The SDK's HTTP client.
    pub(super) fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// Sends a signed request and reads the answer, whatever its status.
    pub(super) async fn send(&self, request: reqwest::Request) -> Result<HttpResponse, ConnectorError> {
        let answer = self.http.execute(request).await.map_err(connector_error)?;
        read(answer).await
    }

    fn convert(&self, mut request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
        let user = |e: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(e);
        let method = request.method().parse().map_err(|e: http::method::InvalidMethod| user(e.into()))?;
        let url = request.uri().parse().map_err(|_| user("the endpoint is not a URL".into()))?;
        let body = match request.extension::<OriginalBody>() {
            Some(body) => body.0.clone(),
            None => Bytes::copy_from_slice(request.body().bytes().unwrap_or_default()),
        };
        let mut converted = reqwest::Request::new(method, url);
        for (name, value) in request.headers_mut().iter() {
            let name = http::HeaderName::try_from(name).map_err(|e| user(e.into()))?;
            let mut value = value.to_owned();
            // Not signed, so it may still change.
            if name == http::header::USER_AGENT && !self.user_agent.is_empty() {
                value = format!("{value} {}", self.user_agent);
            }
            let value = http::HeaderValue::try_from(value).map_err(|e| user(e.into()))?;
            converted.headers_mut().append(name, value);
        }
        *converted.body_mut() = Some(body.into());
        Ok(converted)
    }
}

async fn read(mut answer: reqwest::Response) -> Result<HttpResponse, ConnectorError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(connector_error)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(ConnectorError::other("the answer is larger than 4 MiB".into(), None));
        }
        body.extend_from_slice(&chunk);
    }
    let status = StatusCode::try_from(answer.status().as_u16()).map_err(|e| ConnectorError::other(e.into(), None))?;
    let mut converted = HttpResponse::new(status, SdkBody::from(body.freeze()));
    for (name, value) in answer.headers() {
        if let Ok(value) = value.to_str() {
            converted.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(converted)
}

fn connector_error(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    let text = chain(&error);
    if error.is_timeout() {
        ConnectorError::timeout(text.into())
    } else if error.is_builder() {
        ConnectorError::user(text.into())
    } else {
        ConnectorError::io(text.into())
    }
}

/// An error with its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = cause.source();
    }
    text
}
