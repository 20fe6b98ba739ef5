//! OTLP over gRPC: codes, messages and details, with a real gRPC client and with raw frames.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::uri::PathAndQuery;
use proto::otlp::RpcStatus;
use proto::otlp::codec::RawCodec;
use proto::{Peer, Refusal};
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::{Running, compressed, request, start};

const GRPC: &str = "protocols: {grpc: {endpoint: \"localhost:GRPC\"}}";
const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

async fn channel(to: &Running) -> Channel {
    Endpoint::from_shared(format!("http://127.0.0.1:{}", to.grpc)).unwrap().connect().await.unwrap()
}

async fn call(
    channel: Channel,
    path: &'static str,
    body: Vec<u8>,
    compression: Option<CompressionEncoding>,
) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    if let Some(encoding) = compression {
        client = client.send_compressed(encoding);
    }
    client.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
    let request = tonic::Request::new(Bytes::from(body));
    client.unary(request, PathAndQuery::from_static(path), RawCodec).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn requests_are_taken_plain_and_compressed() {
    let to = start(GRPC).await;
    let channel = channel(&to).await;
    for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let answer = call(channel.clone(), EXPORT, request(1000), compression).await.unwrap();
        assert_eq!(&answer[..], [0x0a, 0]);
    }
    assert_eq!(&call(channel, EXPORT, Vec::new(), None).await.unwrap()[..], [0x0a, 0]);
    assert_eq!(to.points(), 3000);
    assert_eq!(to.counted("grpc"), (3000, 0));
    to.finish().await;
}

#[tokio::test]
async fn other_services_and_methods_are_unimplemented() {
    let to = start(GRPC).await;
    let channel = channel(&to).await;
    for (path, message) in [
        (
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "unknown service opentelemetry.proto.collector.trace.v1.TraceService",
        ),
        (
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Import",
            "unknown method Import for service opentelemetry.proto.collector.metrics.v1.MetricsService",
        ),
    ] {
        let status = call(channel.clone(), path, request(1), None).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, message));
    }
    assert!(to.batches.lock().unwrap().is_empty());
}

#[tokio::test]
async fn refusals_have_the_codes_of_the_collector_and_retry_info() {
    let to = start(GRPC).await;
    let channel = channel(&to).await;
    let delay = Duration::from_millis(2500);
    for (refusal, code, retry_after) in [
        (Refusal::retry("queue is full"), Code::Unavailable, None),
        (Refusal::retry_after(delay, "busy"), Code::Unavailable, Some(delay)),
        (Refusal::permanent("bad data"), Code::Internal, None),
        (Refusal { code: Some(8), ..Refusal::retry_after(delay, "slower") }, Code::ResourceExhausted, Some(delay)),
        (Refusal { code: Some(7), ..Refusal::permanent("not you") }, Code::PermissionDenied, None),
        (Refusal { code: Some(0), ..Refusal::permanent("strange") }, Code::Internal, None),
    ] {
        *to.answer.lock().unwrap() = Some(refusal.clone());
        let status = call(channel.clone(), EXPORT, request(2), None).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, refusal.reason.as_ref()));
        assert_eq!(RpcStatus::decode(status.details()).and_then(|s| s.retry_after), retry_after);
    }
    assert_eq!(to.counted("grpc"), (0, 12));
    let status = call(channel, EXPORT, request(2)[..9].to_vec(), None).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn messages_over_the_limit_are_refused_before_and_after_inflating() {
    let to = start("protocols: {grpc: {endpoint: \"localhost:GRPC\", max_recv_msg_size_mib: 1}}").await;
    let channel = channel(&to).await;
    let status = call(channel.clone(), EXPORT, request(60_000), None).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().starts_with("grpc: received message larger than max ("), "{}", status.message());
    let bomb = vec![0; 3 << 20];
    let status = call(channel.clone(), EXPORT, bomb, Some(CompressionEncoding::Gzip)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "grpc: received message after decompression larger than max 1048576")
    );
    assert!(call(channel, EXPORT, request(10), None).await.is_ok());
    assert_eq!(to.points(), 10);
}

/// Sends one request body as it is; status and message of the answer.
async fn raw(to: &Running, headers: &[(&str, &str)], body: Bytes) -> (u16, Option<i32>, String) {
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let mut sending = client.post(format!("http://127.0.0.1:{}{EXPORT}", to.grpc)).body(body);
    for (name, value) in headers {
        sending = sending.header(*name, *value);
    }
    let answer = sending.send().await.unwrap();
    let header = |name| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let code = header("grpc-status").map(|v| v.parse().unwrap());
    (answer.status().as_u16(), code, header("grpc-message").unwrap_or_default().replace("%20", " "))
}

fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(flag);
    out.put_u32(message.len() as u32);
    out.put_slice(message);
    out.freeze()
}

#[tokio::test]
async fn snappy_is_understood_and_broken_frames_are_refused() {
    let to = start(GRPC).await;
    let grpc = ("content-type", "application/grpc+proto");
    let good = request(5);
    let snappy = compressed("x-snappy-framed", &good);
    let (status, code, message) = raw(&to, &[grpc, ("grpc-encoding", "snappy")], frame(1, &snappy)).await;
    assert_eq!((status, code), (200, None), "{message}");
    assert_eq!(to.points(), 5);
    for (headers, body, status, code, message) in [
        (vec![("content-type", "text/plain")], frame(0, &good), 415, None, ""),
        (vec![grpc], Bytes::new(), 200, Some(13), "the request ends within its message"),
        (vec![grpc], frame(0, &good).slice(..9), 200, Some(13), "the request ends within its message"),
        (vec![grpc], frame(2, &good), 200, Some(13), "the message has an unknown compression flag"),
        (vec![grpc], frame(1, &good), 200, Some(13), "compressed message without a grpc-encoding"),
        (
            vec![grpc, ("grpc-encoding", "br")],
            frame(1, &good),
            200,
            Some(12),
            "grpc: Decompressor is not installed for grpc-encoding \"br\"",
        ),
        (
            vec![grpc],
            [frame(0, &good), frame(0, &good)].concat().into(),
            200,
            Some(13),
            "a unary request has more than one message",
        ),
        (
            vec![grpc],
            Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]),
            200,
            Some(8),
            "grpc: received message larger than max (4294967295 vs. 4194304)",
        ),
    ] {
        let answer = raw(&to, &headers, body).await;
        assert_eq!((answer.0, answer.1), (status, code), "{}", answer.2);
        assert_eq!(answer.2.replace("%22", "\""), message);
    }
    assert_eq!(to.points(), 5);
}

#[tokio::test]
async fn headers_may_be_as_large_as_tokens_and_baggage_get() {
    let to = start(GRPC).await;
    let large = "x".repeat(90_000);
    let headers = [("content-type", "application/grpc"), ("x-baggage", &*large)];
    assert_eq!(raw(&to, &headers, frame(0, &request(1))).await, (200, None, String::new()));
    assert_eq!(to.points(), 1);
}

#[tokio::test]
async fn the_clients_timeout_ends_the_wait_and_the_points_count_once() {
    let to = start(GRPC).await;
    let message = frame(0, &request(3));
    let sent = async |timeout: &str| {
        let headers = [("content-type", "application/grpc"), ("grpc-timeout", timeout)];
        let (_, code, text) = raw(&to, &headers, message.clone()).await;
        (code, text.replace("%22", "\""))
    };
    for timeout in ["1H", "99999999M", "20S", "60000m", "99999999u"] {
        assert_eq!(sent(timeout).await, (None, String::new()), "{timeout}");
    }
    assert_eq!(to.counted("grpc"), (15, 0));
    *to.delay.lock().unwrap() = Duration::from_secs(600);
    for timeout in ["50m", "50000u", "99999999n"] {
        assert_eq!(sent(timeout).await, (Some(4), "context deadline exceeded".to_owned()), "{timeout}");
    }
    assert_eq!(to.counted("grpc"), (15, 9));
    for timeout in ["", "S", "5", "5h", "-5S", "123456789S", "5.5S"] {
        assert_eq!(sent(timeout).await, (Some(13), format!("malformed grpc-timeout: \"{timeout}\"")), "{timeout}");
    }
    assert_eq!(to.counted("grpc"), (15, 9));
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_once_as_refused() {
    let to = start(GRPC).await;
    *to.delay.lock().unwrap() = Duration::from_secs(600);
    let call = call(channel(&to).await, EXPORT, request(3), None);
    assert!(tokio::time::timeout(Duration::from_millis(500), call).await.is_err());
    tokio::time::timeout(Duration::from_secs(20), async {
        while to.counted("grpc") != (0, 3) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_address_of_a_client_is_kept_with_its_port_over_grpc_and_without_over_http() {
    let to = start("protocols: {grpc: {endpoint: \"localhost:GRPC\"}, http: {endpoint: \"localhost:HTTP\"}}").await;
    let peer = || to.batches.lock().unwrap().pop().unwrap().meta.peer.unwrap();
    raw(&to, &[("content-type", "application/grpc")], frame(0, &request(1))).await;
    let Peer::Socket(address) = peer() else { panic!("with a port") };
    assert!(address.ip().is_loopback() && address.port() > 0, "{address}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/metrics", to.http);
    client.post(url).header("content-type", "application/x-protobuf").body(request(1)).send().await.unwrap();
    assert_eq!(peer().to_string(), "127.0.0.1");
    to.finish().await;
}
