//! One request for one page: headers, deadline, status, body within its limit. Parses nothing.

use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use reqwest::{Response, StatusCode, Url};

use super::body::{BodyError, BodyReader, BufferPool};
use super::client::HttpClient;
use super::config::{JobSettings, accept_header, format_of};
use super::request::RequestError;
use super::text::Format;

/// What is the same for all requests of a job.
pub(crate) struct Fetcher {
    headers: HeaderMap,
    fallback: super::config::Protocol,
    body_limit_bytes: u64,
    client: std::sync::Arc<HttpClient>,
    buffers: BufferPool,
}

/// A page.
pub(crate) struct Page {
    /// Its bytes, decompressed.
    pub(crate) body: Vec<u8>,
    /// How to read them.
    pub(crate) format: Format,
}

/// Why there is no page.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// There is no answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Not within `scrape_timeout`.
    #[error("no complete answer within the scrape timeout of {}s", timeout.as_secs_f64())]
    Timeout {
        /// The limit.
        timeout: Duration,
    },
    /// Not 200.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// The body was refused.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The answer is in a format that is not read.
    #[error("the target answers in protobuf although it was asked for text; protobuf is not supported")]
    Protobuf,
    /// The job has more targets than allowed, so none is asked.
    #[error("target_limit exceeded (number of targets: {targets}, limit: {limit})")]
    TargetLimit {
        /// After relabelling.
        targets: usize,
        /// `target_limit`
        limit: u64,
    },
}

impl FetchError {
    /// Word for the failure counter.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            FetchError::Request(error) => error.class(),
            FetchError::Timeout { .. } => "timeout",
            FetchError::Status(_) => "http_status",
            FetchError::Body(BodyError::TooLarge { .. }) => "body_limit",
            FetchError::Body(BodyError::Gzip(_)) => "gzip",
            FetchError::Protobuf => "content_type",
            FetchError::TargetLimit { .. } => "target_limit",
        }
    }

    /// Whether the body limit was hit, which `scrape_body_size_bytes` shows as -1.
    pub(crate) fn is_body_limit(&self) -> bool {
        matches!(self, FetchError::Body(BodyError::TooLarge { .. }))
    }
}

const SCRAPE_TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

impl Fetcher {
    /// For the targets of a job.
    pub(crate) fn new(
        job: &JobSettings,
        user_agent: &str,
        client: std::sync::Arc<HttpClient>,
        buffers: BufferPool,
    ) -> Fetcher {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).expect("it is made of plain ASCII");
        headers.insert(ACCEPT, value(&accept_header(&job.protocols, job.escaping)));
        headers.insert(ACCEPT_ENCODING, value(if job.compression { "gzip" } else { "identity" }));
        headers.insert(USER_AGENT, value(user_agent));
        Fetcher { headers, fallback: job.fallback, body_limit_bytes: job.body_limit_bytes, client, buffers }
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn fetch(&self, url: &Url, timeout: Duration) -> Result<Page, FetchError> {
        match tokio::time::timeout(timeout, self.request(url, timeout)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Timeout { timeout }),
        }
    }

    /// Gives a page's buffer back.
    pub(crate) fn recycle(&self, page: Page) {
        self.buffers.give(page.body);
    }

    async fn request(&self, url: &Url, timeout: Duration) -> Result<Page, FetchError> {
        let mut headers = self.headers.clone();
        let seconds = HeaderValue::from_str(&timeout.as_secs_f64().to_string()).expect("a number is plain ASCII");
        headers.insert(SCRAPE_TIMEOUT, seconds);
        let response = self.client.get(url, &headers).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().to_string()));
        }
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let is_gzip = header(CONTENT_ENCODING) == Some("gzip");
        let format = format_of(header(CONTENT_TYPE), self.fallback);
        let mut reader = BodyReader::new(self.buffers.take(), is_gzip, self.body_limit_bytes);
        if let Some(length) = response.content_length() {
            reader.announce(length);
        }
        match read_to_end(response, &mut reader).await {
            Ok(()) => match (reader.finish()?, format) {
                (body, Some(format)) => Ok(Page { body, format }),
                // A page without a byte is one without samples in any format.
                (body, None) if body.is_empty() => Ok(Page { body, format: Format::Prometheus }),
                (_, None) => Err(FetchError::Protobuf),
            },
            Err(error) => {
                self.buffers.give(reader.into_buffer());
                Err(error)
            }
        }
    }
}

async fn read_to_end(mut response: Response, reader: &mut BodyReader) -> Result<(), FetchError> {
    while let Some(chunk) = response.chunk().await.map_err(RequestError::from)? {
        reader.push(&chunk)?;
    }
    Ok(())
}
