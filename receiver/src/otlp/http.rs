//! OTLP over HTTP: paths, methods, content types and encodings in; statuses and bodies out, as the Collector's.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use proto::BoxFuture;
use proto::otlp::RpcStatus;
use std::sync::Arc;
use tonic::Code;

use super::body::{ReadError, Reply, read};
use super::config::Http;
use super::cors::Cors;
use super::inflate::{Encoding, InflateError};
use super::server::{Close, Handler};
use super::sink::{Failure, Form, Parcel, Sink};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// What the Collector answers when it does not know in which form to tell an error.
const NO_FORM: &[u8] = br#"{"code": 13, "message": "failed to marshal error message"}"#;
/// What Go's server says of every body over the limit.
const TOO_LARGE: &str = "http: request body too large";

/// Answers the requests of one HTTP listener.
pub(super) struct HttpHandler {
    sink: Sink,
    path: String,
    body_bytes: usize,
    encodings: Vec<Encoding>,
    plain: bool,
    request_params: Vec<String>,
    cors: Option<Cors>,
    response_headers: Vec<(HeaderName, HeaderValue)>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl HttpHandler {
    pub(super) fn new(config: &Http, sink: Sink) -> HttpHandler {
        let (encodings, plain) = config.encodings();
        // Names and values were checked when the configuration was read.
        let header = |(name, value): (&str, &config::Secret)| {
            let mut value = HeaderValue::from_str(value.expose()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        };
        let set = |d: config::GoDuration| (d.nanos() > 0).then(|| d.to_std());
        HttpHandler {
            sink,
            path: config.metrics_url_path.value.clone(),
            body_bytes: config.body_bytes(),
            encodings,
            plain,
            request_params: config.auth.as_ref().map(|a| a.request_params.clone()).unwrap_or_default(),
            cors: config.cors.as_ref().and_then(Cors::new),
            response_headers: config.response_headers.iter().filter_map(header).collect(),
            read_timeout: set(config.read_timeout),
            write_timeout: set(config.write_timeout),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Reply>, Close> {
        let answer = self.respond(request);
        let mut response = match self.write_timeout {
            Some(limit) => tokio::time::timeout(limit, answer).await.map_err(|_| Close)??,
            None => answer.await?,
        };
        for (name, value) in &self.response_headers {
            response.headers_mut().insert(name, value.clone());
        }
        Ok(response)
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Reply>, Close> {
        let Some(cors) = &self.cors else { return self.authenticated(request).await };
        if let Some(preflight) = cors.preflight(request.method(), request.headers()) {
            return Ok(preflight);
        }
        let allowed = cors.answer_headers(request.headers());
        let mut response = self.authenticated(request).await?;
        response.headers_mut().extend(allowed);
        Ok(response)
    }

    async fn authenticated(&self, request: Request<Incoming>) -> Result<Response<Reply>, Close> {
        let (mut head, body) = request.into_parts();
        let checked = if self.request_params.is_empty() {
            self.sink.authenticate(&head.headers, &mut head.extensions).await
        } else {
            let mut sources = head.headers.clone();
            add_query(&mut sources, head.uri.query().unwrap_or_default(), &self.request_params);
            self.sink.authenticate(&sources, &mut head.extensions).await
        };
        match checked {
            Ok(()) => self.routed(Request::from_parts(head, body)).await,
            Err(failure) => Ok(early(&head.headers, http_status(failure.code), failure)),
        }
    }

    async fn routed(&self, request: Request<Incoming>) -> Result<Response<Reply>, Close> {
        let encoding = match self.encoding(request.headers()) {
            Ok(encoding) => encoding,
            Err(failure) => return Ok(early(request.headers(), StatusCode::BAD_REQUEST, failure)),
        };
        if request.uri().path() != self.path {
            let mut response = reply(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n");
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            return Ok(response);
        }
        if request.method() != Method::POST {
            let text = "405 method not allowed, supported: [POST]";
            return Ok(reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", text));
        }
        let Some(form) = form_of(request.headers()) else {
            let text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
            return Ok(reply(StatusCode::UNSUPPORTED_MEDIA_TYPE, "text/plain", text));
        };
        let (head, body) = request.into_parts();
        let taken = match self.body(body, encoding, form).await? {
            Ok(parcel) => self.sink.take(parcel, form, &head, not_inflated).await,
            Err(failure) => Err(failure),
        };
        Ok(match taken {
            // A present and empty partial_success.
            Ok(()) if form == Form::Protobuf => reply(StatusCode::OK, PROTOBUF, &b"\x0a\x00"[..]),
            Ok(()) => reply(StatusCode::OK, JSON, r#"{"partialSuccess":{}}"#),
            Err(failure) => refusal(form, http_status(failure.code), &failure),
        })
    }

    /// Reads the body. The inner error is told to the client, the outer closes the connection.
    async fn body(
        &self,
        body: Incoming,
        encoding: Option<Encoding>,
        form: Form,
    ) -> Result<Result<Parcel, Failure>, Close> {
        let reading = read(body, self.body_bytes, encoding, form, &self.sink);
        let read = match self.read_timeout {
            Some(limit) => tokio::time::timeout(limit, reading).await.map_err(|_| Close)?,
            None => reading.await,
        };
        Ok(match read {
            Ok(parcel) => Ok(parcel),
            Err(ReadError::TooLarge) => Err(Failure::new(Code::InvalidArgument, TOO_LARGE)),
            Err(ReadError::Broken(error)) => {
                Err(Failure::new(Code::InvalidArgument, format!("cannot read the request body: {error}")))
            }
            Err(ReadError::Slow) => return Err(Close),
        })
    }

    fn encoding(&self, headers: &HeaderMap) -> Result<Option<Encoding>, Failure> {
        let name = headers.get(CONTENT_ENCODING).map_or(Ok(""), HeaderValue::to_str).unwrap_or("?");
        match Encoding::of_http(name) {
            Some(encoding) if self.encodings.contains(&encoding) => Ok(Some(encoding)),
            None if name.is_empty() && self.plain => Ok(None),
            _ => Err(Failure::new(Code::InvalidArgument, format!("unsupported Content-Encoding: {name}"))),
        }
    }
}

fn not_inflated(error: InflateError) -> Failure {
    match error {
        InflateError::TooLarge => Failure::new(Code::InvalidArgument, TOO_LARGE),
        InflateError::Broken(error) => {
            Failure::new(Code::InvalidArgument, format!("cannot decompress the request body: {error}"))
        }
    }
}

impl Handler for HttpHandler {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Result<Response<Reply>, Close>> {
        Box::pin(async move { self.answer(request).await })
    }
}

/// HTTP status of a gRPC code, as OTLP over HTTP wants it.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => StatusCode::SERVICE_UNAVAILABLE,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unimplemented => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The form that a content type names; parameters are ignored.
fn form_of(headers: &HeaderMap) -> Option<Form> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(PROTOBUF) {
        Some(Form::Protobuf)
    } else if media_type.eq_ignore_ascii_case(JSON) {
        Some(Form::Json)
    } else {
        None
    }
}

/// A refusal before the body is looked at. The form is that of the literal content type, JSON without one, and
/// for any other the Collector cannot tell its error.
fn early(headers: &HeaderMap, status: StatusCode, failure: Failure) -> Response<Reply> {
    match headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) {
        Some(b"application/x-protobuf") => refusal(Form::Protobuf, status, &failure),
        Some(b"application/json") | None => refusal(Form::Json, status, &failure),
        Some(_) => reply(StatusCode::INTERNAL_SERVER_ERROR, JSON, NO_FORM),
    }
}

fn refusal(form: Form, status: StatusCode, failure: &Failure) -> Response<Reply> {
    let told: RpcStatus = failure.status();
    let mut response = match form {
        Form::Protobuf => reply(status, PROTOBUF, told.encode()),
        Form::Json => reply(status, JSON, told.to_json()),
    };
    let retryable = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(delay) = failure.retry_after.filter(|_| retryable) {
        // Whole seconds; a fraction is rounded up, so that nobody comes too early.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Adds the named query parameters to what the authenticator sees, under their names as header names.
fn add_query(sources: &mut HeaderMap, query: &str, names: &[String]) {
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = names.iter().find(|n| *n == name) else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&unescaped(value))) {
            sources.append(name, value);
        }
    }
}

/// `%41` and `+` of a query.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
        match (first, tail) {
            (b'%', [a, b, after @ ..]) if digit(*a).is_some() && digit(*b).is_some() => {
                out.push(digit(*a).unwrap_or_default() << 4 | digit(*b).unwrap_or_default());
                rest = after;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*first),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
