//! OTLP peers: a client that pushes metrics over HTTP (protobuf, JSON) and gRPC, and a sink that takes them over both
//! on one port and records them. The messages are those of `opentelemetry-proto`.

use super::server::Server;
use super::signature::{Signature, Signed};
use super::{FakeAws, Refusal, Shared};
use crate::net::any_port;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Request, Response};
use axum::routing::post;
use bytes::Buf;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use std::collections::VecDeque;
use std::io::Read as _;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Status, transport::Channel};

/// Path of the gRPC method.
pub const GRPC_METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// Largest message that the sink takes.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// How a request is written over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// The answer to a push over HTTP.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// Pushes one request to `{url}/v1/metrics`.
///
/// # Errors
/// When there was no HTTP answer.
pub async fn push_http(
    url: &str,
    request: &ExportMetricsServiceRequest,
    encoding: Encoding,
) -> reqwest::Result<HttpAnswer> {
    let (content_type, body) = match encoding {
        Encoding::Protobuf => ("application/x-protobuf", request.encode_to_vec()),
        Encoding::Json => ("application/json", serde_json::to_vec(request).expect("a metrics request is always JSON")),
    };
    push_body(url, &[(CONTENT_TYPE.as_str(), content_type)], body).await
}

/// Pushes any bytes with any headers to `{url}/v1/metrics`.
///
/// # Errors
/// When there was no HTTP answer.
pub async fn push_body(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Result<HttpAnswer> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
    let mut request = client.post(format!("{url}/v1/metrics")).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Ok(HttpAnswer { status, headers, body: answer.bytes().await? })
}

/// Pushes one request over gRPC to `http://HOST:PORT`.
///
/// # Errors
/// The gRPC status of a refusal; `UNAVAILABLE` when there is no connection.
pub async fn push_grpc(
    url: &str,
    request: ExportMetricsServiceRequest,
    compression: Option<CompressionEncoding>,
) -> Result<ExportMetricsServiceResponse, Status> {
    let endpoint = Channel::from_shared(url.to_owned()).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let channel = endpoint.connect().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    if let Some(compression) = compression {
        client = client.send_compressed(compression);
    }
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<ExportMetricsServiceRequest, ExportMetricsServiceResponse>::default();
    let path = PathAndQuery::from_static(GRPC_METHOD);
    client.unary(tonic::Request::new(request), path, codec).await.map(tonic::Response::into_inner)
}

/// A request that a [`Sink`] took.
#[derive(Clone, Debug)]
pub struct Received {
    /// The metrics.
    pub request: ExportMetricsServiceRequest,
    /// HTTP headers or gRPC metadata.
    pub headers: HeaderMap,
    /// `/v1/metrics` or [`GRPC_METHOD`].
    pub path: String,
    /// The host that the client asked for: `Host`, or `:authority` of HTTP/2.
    pub authority: String,
    /// The message's own bytes, inflated.
    pub body: Bytes,
}

/// What the sink answers to the next requests.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Takes it.
    Take,
    /// Takes it and says that some points were rejected.
    Partial {
        /// How many.
        rejected: i64,
        /// Why.
        message: String,
    },
    /// Refuses: an HTTP status or gRPC code, with a delay hint in seconds if any.
    Refuse {
        /// Over HTTP.
        status: u16,
        /// Over gRPC.
        code: tonic::Code,
        /// `Retry-After` over HTTP, `RetryInfo` over gRPC.
        retry_after: Option<u32>,
    },
    /// Takes it after a delay.
    Slow(Duration),
}

/// How the sink writes its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Over HTTP as the request is written, over gRPC plain.
    #[default]
    AsAsked,
    /// JSON has its 64-bit numbers as text, as the libraries of protobuf write it.
    TextNumbers,
    /// Protobuf, also as the answer to JSON.
    Protobuf,
    /// Over gRPC compressed, when the client accepts that.
    Compressed(CompressionEncoding),
}

impl Form {
    /// Content type and body over HTTP.
    fn write(self, answer: &ExportMetricsServiceResponse, json: bool) -> (&'static str, Vec<u8>) {
        let body = match (self, json) {
            (Self::Protobuf, _) | (_, false) => return ("application/x-protobuf", answer.encode_to_vec()),
            (Self::TextNumbers, true) => {
                let partial = answer.partial_success.as_ref().map(|partial| {
                    serde_json::json!({
                        "rejectedDataPoints": partial.rejected_data_points.to_string(),
                        "errorMessage": partial.error_message,
                    })
                });
                serde_json::to_vec(&serde_json::json!({ "partialSuccess": partial }))
            }
            _ => serde_json::to_vec(answer),
        };
        ("application/json", body.expect("an answer is always JSON"))
    }
}

/// An OTLP server for metrics: HTTP and gRPC on one port. It ends when this is dropped.
pub struct Sink {
    server: Server,
    state: Arc<Mutex<SinkState>>,
}

#[derive(Default)]
struct SinkState {
    received: Vec<Received>,
    refused: u64,
    next: VecDeque<Reply>,
    always: Option<Reply>,
    form: Form,
    signed_for: Option<(Arc<Shared>, &'static str)>,
}

impl Sink {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start() -> Self {
        Self::start_at(any_port()).await
    }

    /// Starts at a given address.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub async fn start_at(addr: SocketAddr) -> Self {
        let state = Arc::new(Mutex::new(SinkState::default()));
        let server = Server::start(addr, router(&state)).await.unwrap_or_else(|error| panic!("no sink: {error}"));
        Self { server, state }
    }

    /// As [`Sink::start`], over TLS.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start_tls(tls: Arc<rustls::ServerConfig>) -> Self {
        let state = Arc::new(Mutex::new(SinkState::default()));
        let server = Server::start_tls(any_port(), router(&state), tls).await;
        Self { server: server.unwrap_or_else(|error| panic!("no sink: {error}")), state }
    }

    /// From now on requests over HTTP must be signed for this service with a key of the scripted AWS.
    pub fn demand_signatures(&self, aws: &FakeAws, service: &'static str) {
        lock(&self.state).signed_for = Some((aws.shared.clone(), service));
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// What was taken so far, in order.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }

    /// How many requests were refused so far.
    pub fn refused(&self) -> u64 {
        lock(&self.state).refused
    }

    /// The next request is answered like this; several are answered in turn.
    pub fn next_reply(&self, reply: Reply) {
        lock(&self.state).next.push_back(reply);
    }

    /// Every request without a scripted reply is answered like this.
    pub fn always_reply(&self, reply: Reply) {
        lock(&self.state).always = Some(reply);
    }

    /// From now on answers are written like this.
    pub fn answer_in(&self, form: Form) {
        lock(&self.state).form = form;
    }

    /// Goes off the network.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Comes back.
    ///
    /// # Panics
    /// When its port was taken in the meantime.
    pub async fn resume(&self) {
        self.server.resume().await.unwrap_or_else(|error| panic!("cannot serve the sink again: {error}"));
    }
}

fn router(state: &Arc<Mutex<SinkState>>) -> Router {
    let (http, grpc) = (state.clone(), state.clone());
    Router::new()
        .route("/v1/metrics", post(move |request: Request<Body>| take_http(http.clone(), request)))
        .route(GRPC_METHOD, post(move |request: Request<Body>| take_grpc(grpc.clone(), request)))
        .layer(DefaultBodyLimit::max(MAX_MESSAGE_BYTES))
}

fn authority(parts: &Parts) -> String {
    let of_uri = parts.uri.authority().map(ToString::to_string);
    of_uri.or_else(|| Some(parts.headers.get(HOST)?.to_str().ok()?.to_owned())).unwrap_or_default()
}

/// Whether the request may come in: what AWS would say about its signature.
fn admit(state: &Mutex<SinkState>, parts: &Parts, body: &[u8]) -> Result<(), Refusal> {
    let Some((aws, service)) = lock(state).signed_for.clone() else { return Ok(()) };
    let Parts { method, uri, headers, .. } = parts;
    let signature = Signature::parse(headers)?;
    signature.verify(&aws.lock().keys, &Signed { method, uri, headers, body, service })
}

fn lock(state: &Mutex<SinkState>) -> MutexGuard<'_, SinkState> {
    state.lock().expect("no holder panics")
}

/// Decides about one request and records it when it is taken.
async fn decide(
    state: &Mutex<SinkState>,
    received: Received,
) -> Result<ExportMetricsServiceResponse, (u16, tonic::Code, Option<u32>)> {
    let reply = {
        let mut state = lock(state);
        state.next.pop_front().or_else(|| state.always.clone()).unwrap_or(Reply::Take)
    };
    if let Reply::Slow(delay) = reply {
        tokio::time::sleep(delay).await;
    }
    let mut state = lock(state);
    if let Reply::Refuse { status, code, retry_after } = reply {
        state.refused += 1;
        return Err((status, code, retry_after));
    }
    state.received.push(received);
    let partial_success = match reply {
        Reply::Partial { rejected, message } => {
            Some(ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message: message })
        }
        _ => None,
    };
    Ok(ExportMetricsServiceResponse { partial_success })
}

async fn take_http(state: Arc<Mutex<SinkState>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let answer = |status: u16| Response::builder().status(status);
    let Ok(body) = axum::body::to_bytes(body, MAX_MESSAGE_BYTES).await else {
        return answer(400).body(Body::from("an incomplete or endless body")).expect("a constant status");
    };
    if let Err(refusal) = admit(&state, &parts, &body) {
        lock(&state).refused += 1;
        return answer(refusal.status).body(Body::from(refusal.message)).expect("a status of AWS");
    }
    let authority = authority(&parts);
    let headers = parts.headers;
    let json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let Whole { request, body } = match decode_http(&headers, &body, json) {
        Ok(whole) => whole,
        Err(error) => return answer(400).body(Body::from(error)).expect("a constant status"),
    };
    match decide(&state, Received { request, headers, path: "/v1/metrics".into(), authority, body }).await {
        Ok(taken) => {
            let form = lock(&state).form;
            let (kind, body) = form.write(&taken, json);
            answer(200).header(CONTENT_TYPE, kind).body(Body::from(body)).expect("constant headers")
        }
        Err((status, _, retry_after)) => {
            let mut response = answer(status);
            if let Some(seconds) = retry_after {
                response = response.header(RETRY_AFTER, seconds);
            }
            response.body(Body::from("refused on purpose")).expect("a test's own status")
        }
    }
}

fn decode_http(headers: &HeaderMap, body: &Bytes, json: bool) -> Result<Whole, String> {
    let inflated = match headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes()) {
        None | Some(b"identity") => body.clone(),
        Some(b"gzip") => {
            let mut inflated = Vec::new();
            let reader = flate2::read::GzDecoder::new(body.as_ref());
            reader.take(MAX_MESSAGE_BYTES as u64).read_to_end(&mut inflated).map_err(|error| error.to_string())?;
            inflated.into()
        }
        Some(b"zstd") => {
            let mut inflated = Vec::new();
            let reader = zstd::Decoder::new(body.as_ref()).map_err(|error| error.to_string())?;
            reader.take(MAX_MESSAGE_BYTES as u64).read_to_end(&mut inflated).map_err(|error| error.to_string())?;
            inflated.into()
        }
        Some(other) => return Err(format!("unknown content encoding {}", String::from_utf8_lossy(other))),
    };
    if json {
        let mut json = serde_json::from_slice(&inflated).map_err(|error| error.to_string())?;
        complete("", &mut json);
        let request = serde_json::from_value(json).map_err(|error| error.to_string())?;
        return Ok(Whole { request, body: inflated });
    }
    Whole::read(inflated).map_err(|error| error.to_string())
}

/// Adds empty members where JSON may leave them out and `opentelemetry-proto` insists on them. `name` is the member
/// that this value is, or is a list element of.
fn complete(name: &str, json: &mut serde_json::Value) {
    use serde_json::Value;
    match json {
        Value::Array(elements) => elements.iter_mut().for_each(|element| complete(name, element)),
        Value::Object(members) => {
            let required: &[(&str, Value)] = match name {
                "attributes" | "filteredAttributes" | "metadata" | "pair" => &[("key", Value::String(String::new()))],
                "arrayValue" | "kvlistValue" => &[("values", Value::Array(Vec::new()))],
                "entityRefs" => &[
                    ("schemaUrl", Value::String(String::new())),
                    ("type", Value::String(String::new())),
                    ("idKeys", Value::Array(Vec::new())),
                    ("descriptionKeys", Value::Array(Vec::new())),
                ],
                _ => &[],
            };
            for (key, empty) in required {
                members.entry(*key).or_insert_with(|| empty.clone());
            }
            for (key, member) in members {
                complete(if name == "kvlistValue" { "pair" } else { key }, member);
            }
        }
        _ => {}
    }
}

/// A request with the bytes that it was read from.
struct Whole {
    request: ExportMetricsServiceRequest,
    body: Bytes,
}

/// What can be read from the bytes of a message.
trait Read: Sized {
    fn read(body: Bytes) -> Result<Self, prost::DecodeError>;
}

impl Read for Whole {
    fn read(body: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(Self { request: Message::decode(body.clone())?, body })
    }
}

impl Read for ExportMetricsServiceResponse {
    fn read(body: Bytes) -> Result<Self, prost::DecodeError> {
        Message::decode(body)
    }
}

async fn take_grpc(state: Arc<Mutex<SinkState>>, request: Request<Body>) -> Response<Body> {
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<ExportMetricsServiceResponse, Whole>::default())
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let form = lock(&state).form;
    if let Form::Compressed(encoding) = form {
        grpc = grpc.send_compressed(encoding);
    }
    let (parts, body) = request.into_parts();
    let export = Export { state, authority: authority(&parts) };
    grpc.unary(export, Request::from_parts(parts, body)).await.map(Body::new)
}

struct Export {
    state: Arc<Mutex<SinkState>>,
    authority: String,
}

impl tonic::server::UnaryService<Whole> for Export {
    type Response = ExportMetricsServiceResponse;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<tonic::Response<Self::Response>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Whole>) -> Self::Future {
        let (state, authority) = (self.state.clone(), self.authority.clone());
        Box::pin(async move {
            let (metadata, _, Whole { request, body }) = request.into_parts();
            let (headers, path) = (metadata.into_headers(), GRPC_METHOD.into());
            let received = Received { request, headers, path, authority, body };
            match decide(&state, received).await {
                Ok(taken) => Ok(tonic::Response::new(taken)),
                Err((_, code, None)) => Err(Status::new(code, "refused on purpose")),
                Err((_, code, Some(seconds))) => {
                    Err(Status::with_details(code, "refused on purpose", retry_info(code, seconds)))
                }
            }
        })
    }
}

/// A `google.rpc.Status` with a `RetryInfo`, as it stands in `grpc-status-details-bin`.
fn retry_info(code: tonic::Code, seconds: u32) -> Bytes {
    let field = |number: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("short messages only");
        [&[number << 3 | 2, length], content].concat()
    };
    let mut delay = vec![1 << 3];
    prost::encoding::encode_varint(seconds.into(), &mut delay);
    let any = [field(1, b"type.googleapis.com/google.rpc.RetryInfo"), field(2, &field(1, &delay))].concat();
    [&[1 << 3, code as u8][..], &field(3, &any)].concat().into()
}

/// Protobuf messages over gRPC.
struct ProstCodec<E, D>(PhantomData<(E, D)>);

impl<E, D> Default for ProstCodec<E, D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<E: Message + 'static, D: Read + Send + 'static> Codec for ProstCodec<E, D> {
    type Encode = E;
    type Decode = D;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<E: Message, D> Encoder for ProstCodec<E, D> {
    type Item = E;
    type Error = Status;

    fn encode(&mut self, item: E, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(out).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<E, D: Read> Decoder for ProstCodec<E, D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        let body = source.copy_to_bytes(source.remaining());
        D::read(body).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point::Value,
    };

    fn request(value: f64) -> ExportMetricsServiceRequest {
        let point = NumberDataPoint { value: Some(Value::AsDouble(value)), ..NumberDataPoint::default() };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        let metric = Metric { name: "g".into(), data, ..Metric::default() };
        let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }
    }

    #[tokio::test]
    async fn the_sink_takes_what_the_client_pushes_over_every_transport() {
        let sink = Sink::start().await;
        assert_eq!(push_http(&sink.url(), &request(1.0), Encoding::Protobuf).await.unwrap().status, 200);
        assert_eq!(push_http(&sink.url(), &request(2.0), Encoding::Json).await.unwrap().status, 200);
        push_grpc(&sink.url(), request(3.0), None).await.unwrap();
        push_grpc(&sink.url(), request(4.0), Some(CompressionEncoding::Gzip)).await.unwrap();
        let received: Vec<_> = sink.received().into_iter().map(|received| received.request).collect();
        assert_eq!(received, [1.0, 2.0, 3.0, 4.0].map(request));
    }

    #[tokio::test]
    async fn scripted_replies_are_given_in_turn() {
        let sink = Sink::start().await;
        let refuse = Reply::Refuse { status: 503, code: tonic::Code::Unavailable, retry_after: Some(7) };
        sink.next_reply(refuse.clone());
        sink.next_reply(refuse);
        sink.next_reply(Reply::Partial { rejected: 1, message: "one was bad".into() });
        let answer = push_http(&sink.url(), &request(1.0), Encoding::Protobuf).await.unwrap();
        assert_eq!((answer.status, answer.headers["retry-after"].as_bytes()), (503, &b"7"[..]));
        let status = push_grpc(&sink.url(), request(1.0), None).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        let taken = push_grpc(&sink.url(), request(1.0), None).await.unwrap();
        assert_eq!(taken.partial_success.unwrap().rejected_data_points, 1);
        assert_eq!((sink.refused(), sink.received().len()), (2, 1));
    }
}
