//! A request and the redirects that it leads to. Credentials and secret headers go to the host that they are meant for,
//! and to no other.

use http::header::{HeaderMap, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::client::{HttpClient, chain};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// Why a request has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// It could not be made: a secret file.
    #[error("{0}")]
    Setup(String),
    /// Nobody answered.
    #[error("{0}")]
    Connect(String),
    /// The connection broke or spoke no HTTP.
    #[error("{0}")]
    Transport(String),
    /// Too many redirects, or one that leads nowhere.
    #[error("error following redirect: {0}")]
    Redirect(String),
}

impl RequestError {
    /// Word for the failure counter.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            RequestError::Setup(_) => "setup",
            RequestError::Connect(_) => "connect",
            RequestError::Transport(_) => "transport",
            RequestError::Redirect(_) => "redirect",
        }
    }
}

impl From<reqwest::Error> for RequestError {
    /// The error without the URL, which the log has anyway and which may hold parameters.
    fn from(error: reqwest::Error) -> RequestError {
        let error = error.without_url();
        let text = chain(&error);
        if error.is_connect() { RequestError::Connect(text) } else { RequestError::Transport(text) }
    }
}

impl HttpClient {
    /// Asks for a URL with these headers, the configured ones and credentials, and follows redirects unless told
    /// otherwise. Once these have led to another host, the rest of the way goes without secrets.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn get(&self, url: &Url, headers: &HeaderMap) -> Result<Response, RequestError> {
        let client = self.client();
        let mut url = url.clone();
        let mut has_secrets = true;
        for _ in 0..=MAX_REDIRECTS {
            let mut all = headers.clone();
            all.extend(self.headers(has_secrets).map_err(RequestError::Setup)?);
            let response = client.get(url.clone()).headers(all).send().await?;
            if !self.follows_redirects() {
                return Ok(response);
            }
            let Some(next) = redirect(&url, &response)? else { return Ok(response) };
            has_secrets &= next.host_str() == url.host_str();
            url = next;
        }
        Err(RequestError::Redirect("too many redirects".to_owned()))
    }
}

/// Where an answer leads to, if anywhere.
fn redirect(from: &Url, response: &Response) -> Result<Option<Url>, RequestError> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else { return Ok(None) };
    let bad = |reason: &dyn std::fmt::Display| RequestError::Redirect(format!("the Location is no URL: {reason}"));
    let location = std::str::from_utf8(location.as_bytes()).map_err(|error| bad(&error))?;
    let next = from.join(location).map_err(|error| bad(&error))?;
    if !matches!(next.scheme(), "http" | "https") {
        return Err(RequestError::Redirect(format!("the scheme {:?} is neither http nor https", next.scheme())));
    }
    Ok(Some(next))
}
