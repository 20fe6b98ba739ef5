//! OTLP over gRPC: the one unary method, its framing, compression and statuses. HTTP/2 itself is hyper's.
//!
//! The framing is written out here rather than taken from tonic's server, because a message is to be refused by
//! its announced length before it is read, snappy is to be understood, and the bytes go to our own decoder.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use proto::BoxFuture;
use tonic::{Code, Status};

use super::body::{Frames, Pieces, ReadError, Reply};
use super::early::Early;
use super::inflate::{Encoding, InflateError};
use super::server::{Close, Handler};
use super::sink::{Failure, Form, Parcel, Sink};

const SERVICE: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ACCEPTED_ENCODINGS: HeaderValue = HeaderValue::from_static("gzip,zstd,snappy");
/// Flag and length before a message.
const PREFIX_BYTES: usize = 5;
/// A frame around a response with a present and empty partial_success.
const SUCCESS: &[u8] = b"\x00\x00\x00\x00\x02\x0a\x00";

/// Answers the requests of one gRPC listener.
pub(super) struct GrpcHandler {
    sink: Sink,
    message_bytes: usize,
}

impl GrpcHandler {
    pub(super) fn new(sink: Sink, message_bytes: usize) -> GrpcHandler {
        GrpcHandler { sink, message_bytes }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let headers = request.headers();
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !headers.get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc")) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        match self.export(request).await {
            Ok(()) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let mut response = Response::new(Reply::with_trailers(Bytes::from_static(SUCCESS), trailers));
                response.headers_mut().insert(CONTENT_TYPE, GRPC);
                response.headers_mut().insert("grpc-accept-encoding", ACCEPTED_ENCODINGS);
                response
            }
            Err(failure) => refusal(&failure),
        }
    }

    /// Takes the request within the time that its client gives it.
    async fn export(&self, request: Request<Incoming>) -> Result<(), Failure> {
        let limit = time_limit(request.headers())?;
        let taking = self.take(request);
        let Some(limit) = limit else { return taking.await };
        let over = |_| Err(Failure::new(Code::DeadlineExceeded, "context deadline exceeded"));
        tokio::time::timeout(limit, taking).await.unwrap_or_else(over)
    }

    async fn take(&self, request: Request<Incoming>) -> Result<(), Failure> {
        let (mut head, body) = request.into_parts();
        known_method(head.uri.path())?;
        self.sink.authenticate(&head.headers, &mut head.extensions).await?;
        let message = self.message(body, &head.headers).await?;
        self.sink.take(message, Form::Protobuf, &head, |error| self.not_inflated(error)).await
    }

    /// Reads the one message of the request.
    async fn message(&self, body: Incoming, headers: &HeaderMap) -> Result<Parcel, Failure> {
        let mut buffer = Pieces::new(self.sink.room().buffers());
        let mut length = None;
        let mut frames = Frames::new(body);
        while let Some(data) = frames.next().await.map_err(not_read)? {
            if buffer.bytes().is_empty()
                && let Some(mut early) = self.early(&data)
            {
                early.read(data.slice(PREFIX_BYTES..), frames).await.map_err(not_read)?;
                return match early.length() {
                    Ordering::Less => Err(cut_off()),
                    Ordering::Greater => Err(more_than_one()),
                    Ordering::Equal => encoding(headers).map(|_| Parcel::Decoded(early)),
                };
            }
            let known = length.or_else(|| announced(&data).filter(|_| buffer.bytes().is_empty()));
            buffer.push(data, known.map_or(0, |length| PREFIX_BYTES + length));
            if length.is_none() {
                length = announced(buffer.bytes());
                if let Some(length) = length.filter(|&length| length > self.message_bytes) {
                    return Err(self.too_large("received message larger than max", Some(length)));
                }
            }
            if length.is_some_and(|length| buffer.bytes().len() > PREFIX_BYTES + length) {
                return Err(more_than_one());
            }
            // A compressed message may become as large as one can be.
            let needed = length.filter(|_| buffer.bytes().first() == Some(&0)).unwrap_or(self.message_bytes);
            frames.make_room(buffer.bytes().len(), needed, self.sink.room()).await;
        }
        let Some(length) = length.filter(|&length| buffer.bytes().len() == PREFIX_BYTES + length) else {
            return Err(cut_off());
        };
        let mut bytes = buffer.into_bytes();
        let flag = bytes.get_u8();
        bytes.advance(PREFIX_BYTES - 1);
        debug_assert_eq!(bytes.len(), length);
        let encoding = encoding(headers)?;
        let encoding = match (flag, encoding) {
            (0, _) => None,
            (1, Some(encoding)) => Some(encoding),
            (1, None) => return Err(Failure::new(Code::Internal, "compressed message without a grpc-encoding")),
            _ => return Err(Failure::new(Code::Internal, "the message has an unknown compression flag")),
        };
        Ok(Parcel::Whole { bytes, encoding, held: frames.into_held() })
    }

    /// Begins to decode the message that these bytes begin, if there is more of it and nothing speaks against it.
    fn early(&self, first: &[u8]) -> Option<Box<Early>> {
        let length = announced(first).filter(|&length| first[0] == 0 && first.len() < PREFIX_BYTES + length)?;
        self.sink.early(length)
    }

    fn not_inflated(&self, error: InflateError) -> Failure {
        match error {
            InflateError::TooLarge => self.too_large("received message after decompression larger than max", None),
            InflateError::Broken(error) => {
                Failure::new(Code::Internal, format!("grpc: failed to decompress the received message: {error}"))
            }
        }
    }

    fn too_large(&self, what: &str, length: Option<usize>) -> Failure {
        let max = self.message_bytes;
        let text = match length {
            Some(length) => format!("grpc: {what} ({length} vs. {max})"),
            None => format!("grpc: {what} {max}"),
        };
        Failure::new(Code::ResourceExhausted, text)
    }
}

fn more_than_one() -> Failure {
    Failure::new(Code::Internal, "a unary request has more than one message")
}

fn cut_off() -> Failure {
    Failure::new(Code::Internal, "the request ends within its message")
}

/// The compression that the headers name.
fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Failure> {
    let name = headers.get("grpc-encoding").map_or(b"identity".as_slice(), |v| v.as_bytes());
    if name == b"identity" {
        return Ok(None);
    }
    let name = String::from_utf8_lossy(name);
    let missing = || format!("grpc: Decompressor is not installed for grpc-encoding \"{name}\"");
    Encoding::of_grpc(&name).map(Some).ok_or_else(|| Failure::new(Code::Unimplemented, missing()))
}

fn not_read(error: ReadError) -> Failure {
    match error {
        ReadError::Broken(error) => Failure::new(Code::Cancelled, format!("cannot read the request: {error}")),
        ReadError::TooLarge | ReadError::Slow => {
            Failure::new(Code::DeadlineExceeded, "the message did not come in time")
        }
    }
}

impl Handler for GrpcHandler {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Result<Response<Reply>, Close>> {
        Box::pin(async move { Ok(self.answer(request).await) })
    }
}

/// Length of the message that these bytes begin, once its prefix is there.
fn announced(bytes: &[u8]) -> Option<usize> {
    let prefix: [u8; 4] = bytes.get(1..PREFIX_BYTES)?.try_into().ok()?;
    Some(u32::from_be_bytes(prefix) as usize)
}

/// `grpc-timeout`: up to eight digits and a unit.
fn time_limit(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let malformed = || Failure::new(Code::Internal, format!("malformed grpc-timeout: {value:?}"));
    let (digits, unit) = value.as_bytes().split_at(value.len().saturating_sub(1));
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let number = digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0'));
    let limit = match unit {
        b"H" => Duration::from_secs(3600 * number),
        b"M" => Duration::from_secs(60 * number),
        b"S" => Duration::from_secs(number),
        b"m" => Duration::from_millis(number),
        b"u" => Duration::from_micros(number),
        b"n" => Duration::from_nanos(number),
        _ => return Err(malformed()),
    };
    Ok(Some(limit))
}

fn known_method(path: &str) -> Result<(), Failure> {
    let unknown = |text: String| Err(Failure::new(Code::Unimplemented, text));
    match path.strip_prefix('/').and_then(|p| p.rsplit_once('/')) {
        Some((SERVICE, "Export")) => Ok(()),
        Some((SERVICE, method)) => unknown(format!("unknown method {method} for service {SERVICE}")),
        Some((service, _)) => unknown(format!("unknown service {service}")),
        None => unknown(format!("malformed method name: {path:?}")),
    }
}

fn refusal(failure: &Failure) -> Response<Reply> {
    // Only a refusal with more to say than its code and text has details.
    let details = failure.retry_after.map(|_| failure.status().encode().into()).unwrap_or_default();
    let status = Status::with_details(failure.code, &*failure.message, details);
    let mut response = Response::new(Reply::default());
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    if status.add_header(response.headers_mut()).is_err() {
        // The text does not fit in a header: the code alone does.
        let code = HeaderValue::from(failure.code as i32);
        response.headers_mut().insert("grpc-status", code);
    }
    if failure.code == Code::Unimplemented {
        response.headers_mut().insert("grpc-accept-encoding", ACCEPTED_ENCODINGS);
    }
    response
}

fn plain(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.status_mut() = status;
    response
}
