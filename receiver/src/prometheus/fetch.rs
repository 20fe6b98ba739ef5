//! One request for one page: headers, deadline, status, body within its limit. Parses nothing.

use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use reqwest::{Response, StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::body::{BodyError, BodyReader, BufferPool};
use super::body_budget::{BodyBudget, BodyRoom};
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
    budget: BodyBudget,
}

/// A page.
pub(crate) struct Page {
    /// Its bytes, decompressed.
    pub(crate) body: Vec<u8>,
    /// How to read them.
    pub(crate) format: Format,
    /// What it takes of the memory for large pages.
    _room: BodyRoom,
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
    /// Not within `scrape_timeout`, because other large pages were in memory.
    #[error(
        "the scrape timeout of {}s passed while the page waited for memory: large pages may take {} MiB together; look for targets that send a lot and stall, or drop metrics there",
        timeout.as_secs_f64(),
        budget_bytes >> 20
    )]
    NoMemory {
        /// The limit.
        timeout: Duration,
        /// What all large pages may take.
        budget_bytes: usize,
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
            FetchError::NoMemory { .. } => "body_memory",
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
        budget: BodyBudget,
    ) -> Fetcher {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).expect("it is made of plain ASCII");
        headers.insert(ACCEPT, value(&accept_header(&job.protocols, job.escaping)));
        headers.insert(ACCEPT_ENCODING, value(if job.compression { "gzip" } else { "identity" }));
        headers.insert(USER_AGENT, value(user_agent));
        Fetcher { headers, fallback: job.fallback, body_limit_bytes: job.body_limit_bytes, client, buffers, budget }
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn fetch(&self, url: &Url, timeout: Duration) -> Result<Page, FetchError> {
        let deadline = Instant::now() + timeout;
        match timeout_at(deadline, self.request(url, timeout, deadline)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Timeout { timeout }),
        }
    }

    /// Gives a page's buffer back.
    pub(crate) fn recycle(&self, page: Page) {
        self.buffers.give(page.body);
    }

    async fn request(&self, url: &Url, timeout: Duration, deadline: Instant) -> Result<Page, FetchError> {
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
        let mut room = self.budget.room();
        match self.read_to_end(response, &mut reader, &mut room, (timeout, deadline)).await {
            Ok(()) => match (reader.finish()?, format) {
                (body, Some(format)) => Ok(Page { body, format, _room: room }),
                // A page without a byte is one without samples in any format.
                (body, None) if body.is_empty() => Ok(Page { body, format: Format::Prometheus, _room: room }),
                (_, None) => Err(FetchError::Protobuf),
            },
            Err(error) => {
                self.buffers.give(reader.into_buffer());
                Err(error)
            }
        }
    }

    /// Reads the body into its buffer. A large one waits when others have the memory.
    async fn read_to_end(
        &self,
        mut response: Response,
        reader: &mut BodyReader,
        room: &mut BodyRoom,
        (timeout, deadline): (Duration, Instant),
    ) -> Result<(), FetchError> {
        while let Some(chunk) = response.chunk().await.map_err(RequestError::from)? {
            for piece in reader.pieces(&chunk) {
                let needed = reader.len() + piece.len();
                if needed > room.bytes() && timeout_at(deadline, room.grow(needed)).await.is_err() {
                    return Err(FetchError::NoMemory { timeout, budget_bytes: self.budget.bytes() });
                }
                reader.push(piece)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::http::Uri;
    use serde_json::json;

    use super::super::client::Clients;
    use super::super::series::conformance::job;
    use super::*;

    const MIB: usize = 1 << 20;

    /// `/<MiB>` is a page of that size, `/<MiB>/stalls` one that does not end.
    async fn target() -> Url {
        let app = Router::new().fallback(|uri: Uri| async move {
            let mut parts = uri.path().split('/').skip(1);
            let pieces = 16 * parts.next().unwrap().parse::<usize>().unwrap();
            let stalls = usize::from(parts.next().is_some());
            Body::from_stream(futures_util::stream::unfold(0, move |sent| async move {
                if sent == pieces {
                    std::future::pending::<()>().await;
                }
                (sent < pieces - 1 + stalls).then(|| (Ok::<_, std::io::Error>(vec![b'x'; MIB / 16]), sent + 1))
            }))
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Url::parse(&format!("http://{address}")).unwrap()
    }

    #[tokio::test]
    async fn large_bodies_share_a_budget_and_those_that_do_not_fit_in_wait_until_the_timeout() {
        let url = target().await;
        let client = Clients::new(Arc::new(|_| None)).get(&job("j", &json!({})).http).unwrap();
        let budget = BodyBudget::of(8 * MIB as u64);
        let fetcher = Fetcher::new(&job("j", &json!({})), "agent", client, BufferPool::default(), budget.clone());
        let fetcher = Arc::new(fetcher);
        let fetch = |path: &str, seconds: f64| {
            let (fetcher, url) = (fetcher.clone(), url.join(path).unwrap());
            async move { fetcher.fetch(&url, Duration::from_secs_f64(seconds)).await }
        };
        let stalled = tokio::spawn(fetch("/5/stalls", 600.0));
        while budget.free_bytes() > 0 {
            tokio::task::yield_now().await;
        }
        let page = fetch("/1", 600.0).await.unwrap();
        assert_eq!(page.body.len(), MIB - MIB / 16, "a small page needs nothing of the budget");
        let refused = fetch("/3", 0.2).await.err().unwrap();
        assert_eq!(refused.class(), "body_memory", "{refused}");
        stalled.abort();
        let page = fetch("/3", 600.0).await.unwrap();
        assert!(page.body.len() > 2 * MIB && budget.free_bytes() < 8 * MIB, "a page that is being read has its memory");
        fetcher.recycle(page);
        assert_eq!(budget.free_bytes(), 8 * MIB);
    }
}
