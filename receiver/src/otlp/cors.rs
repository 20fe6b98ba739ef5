//! Cross-origin requests: which web pages may send, and how a browser is told (as Go's `rs/cors` does).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Response, StatusCode};

use super::body::Reply;
use super::config;

/// Headers that pages may send without being listed.
const ALWAYS_ALLOWED: [&str; 3] = ["accept", "content-type", "x-requested-with"];
/// The methods that pages may use.
const METHODS: [&str; 3] = ["GET", "POST", "HEAD"];
const VARY_PREFLIGHT: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The rules of one listener.
pub(super) struct Cors {
    origins: Vec<Origin>,
    any_origin: bool,
    headers: Vec<String>,
    any_header: bool,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// An allowed origin: what comes before and after its `*`, or the whole.
struct Origin {
    start: String,
    end: Option<String>,
}

impl Cors {
    /// `None` when no origin is allowed: then there are no CORS headers at all.
    pub(super) fn new(config: &config::Cors) -> Option<Cors> {
        if config.allowed_origins.is_empty() {
            return None;
        }
        let origin = |text: &String| {
            let text = text.to_ascii_lowercase();
            match text.split_once('*') {
                Some((start, end)) => Origin { start: start.to_owned(), end: Some(end.to_owned()) },
                None => Origin { start: text, end: None },
            }
        };
        let seconds = u32::try_from(*config.max_age).unwrap_or_default();
        Some(Cors {
            origins: config.allowed_origins.iter().map(origin).collect(),
            any_origin: config.allowed_origins.iter().any(|o| o == "*"),
            headers: config.allowed_headers.iter().map(|h| h.to_ascii_lowercase()).collect(),
            any_header: config.allowed_headers.iter().any(|h| h == "*"),
            exposed: HeaderValue::from_str(&config.exposed_headers.join(", ")).ok().filter(|v| !v.is_empty()),
            max_age: (seconds > 0).then(|| HeaderValue::from(seconds)),
        })
    }

    /// The answer to a browser's question before its real request; `None` if this is not one.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Reply>> {
        let wanted_method = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if *method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let out = response.headers_mut();
        out.insert(VARY, HeaderValue::from_static(VARY_PREFLIGHT));
        let wanted_headers = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(origin) = self.origin(headers)
            && METHODS.iter().any(|m| m.as_bytes() == wanted_method.as_bytes())
            && wanted_headers.is_none_or(|h| self.allows_headers(h))
        {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            out.insert(ACCESS_CONTROL_ALLOW_METHODS, wanted_method.clone());
            if let Some(headers) = wanted_headers.filter(|h| !h.is_empty()) {
                out.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
            }
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            if let Some(max_age) = &self.max_age {
                out.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
            }
        }
        Some(response)
    }

    /// Headers of the answer to a real request.
    pub(super) fn answer_headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut out = HeaderMap::new();
        out.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.origin(headers) {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if let Some(exposed) = &self.exposed {
                out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        out
    }

    /// What the origin of this request is told, if it is allowed.
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        if self.any_origin {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        self.origins.iter().any(|o| o.matches(&text)).then(|| origin.clone())
    }

    fn allows_headers(&self, wanted: &HeaderValue) -> bool {
        let Ok(wanted) = wanted.to_str() else { return false };
        self.any_header
            || wanted
                .split(',')
                .map(|h| h.trim().to_ascii_lowercase())
                .filter(|h| !h.is_empty())
                .all(|h| ALWAYS_ALLOWED.contains(&h.as_str()) || self.headers.contains(&h))
    }
}

impl Origin {
    fn matches(&self, origin: &str) -> bool {
        match &self.end {
            None => self.start == origin,
            Some(end) => {
                origin.len() >= self.start.len() + end.len()
                    && origin.starts_with(&self.start)
                    && origin.ends_with(end.as_str())
            }
        }
    }
}
