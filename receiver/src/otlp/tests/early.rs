//! Bodies that come in pieces: decoded while they come in where nobody sends them on, kept where somebody does; the
//! same answers either way.

use std::convert::Infallible;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics, metric,
};
use prost::Message;
use proto::{Batch, BuildContext, Uses};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Running, request, start_before};

const BOTH: &str = "protocols: {grpc: {endpoint: \"127.0.0.1:GRPC\"}, http: {endpoint: \"127.0.0.1:HTTP\"}}";

async fn both() -> [(Running, bool); 2] {
    let context = || BuildContext::for_test("otlp");
    [
        (start_before(BOTH, context(), |next| next).await, true),
        (start_before(BOTH, context(), |next| next.with_uses(Uses::NONE)).await, false),
    ]
}

/// A connection over which the head of a request and the first part of its body have gone, each by itself.
async fn begin(to: &Running, head: &str, first: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", to.http)).await.unwrap();
    client.set_nodelay(true).unwrap();
    let head =
        format!("POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n{head}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(first).await.unwrap();
    client
}

/// Status line and the last line of what comes until the connection is closed.
async fn end(mut client: TcpStream) -> String {
    client.shutdown().await.ok();
    let mut out = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut out)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&out).into_owned();
    let (status, body) = (text.lines().next().unwrap_or_default(), text.rsplit("\r\n\r\n").next().unwrap_or_default());
    format!("{status} {body:?}")
}

fn taken(to: &Running) -> Vec<Batch> {
    std::mem::take(&mut *to.batches.lock().unwrap())
}

#[tokio::test]
async fn bodies_in_pieces_have_the_same_answers_whether_or_not_they_are_sent_on() {
    let good = request(500);
    let mut damaged = good.clone();
    damaged[1] = 0xff;
    let length = |body: &[u8]| format!("content-length: {}", body.len());
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let chunked = [chunk(&good[..7]), chunk(&good[7..3000]), chunk(&good[3000..]), b"0\r\n\r\n".to_vec()].concat();
    let mut answers = Vec::new();
    for (to, forwards) in both().await {
        let mut told = Vec::new();
        for (head, body) in [
            (length(&good), good.clone()),
            (length(&damaged), damaged.clone()),
            ("transfer-encoding: chunked".to_owned(), chunked.clone()),
            // It ends early.
            (length(&good), good[..good.len() - 9].to_vec()),
        ] {
            // A large part, then small ones.
            let (first, rest) = body.split_at(2500.min(body.len()));
            let mut client = begin(&to, &head, first).await;
            for piece in rest.chunks(1700) {
                // Both ends share a thread: the other one gets turns to read.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                client.write_all(piece).await.unwrap();
            }
            let answer = end(client).await;
            let batches = taken(&to);
            let kept: Vec<_> = batches.iter().map(|batch| (batch.points(), batch.meta.raw.clone())).collect();
            let expected = answer.starts_with("HTTP/1.1 200").then(|| (500, forwards.then(|| good.clone().into())));
            assert_eq!(kept, Vec::from_iter(expected), "{head}, {answer}");
            told.push(answer);
        }
        assert_eq!(to.counted("http"), (1000, 0));
        answers.push(told);
        to.finish().await;
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0][0].starts_with("HTTP/1.1 200 OK") && answers[0][2].starts_with("HTTP/1.1 200 OK"));
    assert!(answers[0][1].starts_with("HTTP/1.1 400") && answers[0][1].contains("length beyond the end at byte"));
    assert!(!answers[0][3].starts_with("HTTP/1.1 200"), "{}", answers[0][3]);
}

#[tokio::test]
async fn many_slow_clients_and_a_large_body_get_their_answers_at_the_same_time() {
    for (to, _) in both().await {
        let body = request(2000);
        let head = format!("content-length: {}", body.len());
        let mut slow = Vec::new();
        for _ in 0..12 {
            slow.push(begin(&to, &head, &body[..body.len() / 2]).await);
        }
        let large = request(100_000);
        let mut client = begin(&to, &format!("content-length: {}", large.len()), &[]).await;
        client.write_all(&large).await.unwrap();
        assert!(end(client).await.starts_with("HTTP/1.1 200 OK"));
        for client in &mut slow {
            client.write_all(&body[body.len() / 2..]).await.unwrap();
        }
        for client in slow {
            assert!(end(client).await.starts_with("HTTP/1.1 200 OK"));
        }
        assert_eq!(to.points(), 124_000);
        to.finish().await;
    }
}

#[tokio::test]
async fn buckets_are_kept_for_whoever_looks_at_them() {
    let point = HistogramDataPoint {
        count: 3,
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.5],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point; 3], ..Histogram::default() };
    let metric = Metric { data: Some(metric::Data::Histogram(histogram)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let body = ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec();
    for (to, used) in both().await {
        let mut client = begin(&to, &format!("content-length: {}", body.len()), &body[..40]).await;
        client.write_all(&body[40..]).await.unwrap();
        assert!(end(client).await.starts_with("HTTP/1.1 200 OK"));
        let [batch] = &taken(&to)[..] else { panic!("one batch") };
        assert!(batch.histograms.iter().all(|point| point.count == 3));
        let kept = if used { (vec![1, 2, 1, 2, 1, 2], vec![0.5]) } else { Default::default() };
        assert_eq!((batch.counts.clone(), batch.bounds.clone()), kept);
        to.finish().await;
    }
}

/// Code and text of the answer to a gRPC request whose message comes in these pieces.
async fn call(to: &Running, encoding: &'static str, pieces: Vec<Bytes>) -> (Option<String>, String) {
    let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let body = StreamBody::new(stream::iter(frames));
    let body = reqwest::Body::wrap(BodyExt::boxed(body));
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = format!("http://127.0.0.1:{}/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", to.grpc);
    let headers = [("content-type", "application/grpc"), ("grpc-encoding", encoding)];
    let request = headers.into_iter().fold(client.post(url).body(body), |to, (name, value)| to.header(name, value));
    let answer = request.send().await.unwrap();
    let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    (header("grpc-status"), header("grpc-message").unwrap_or_default().replace("%20", " "))
}

#[tokio::test]
async fn messages_in_pieces_have_the_same_answers_whether_or_not_they_are_sent_on() {
    let message = request(3000);
    let framed = |message: &[u8], length: usize| {
        let mut out = BytesMut::from(&[0][..]);
        out.extend_from_slice(&(length as u32).to_be_bytes());
        out.extend_from_slice(message);
        out.freeze()
    };
    let whole = framed(&message, message.len());
    let cut = |at: &[usize]| {
        let ends = at.iter().copied().chain([whole.len()]);
        let mut start = 0;
        ends.map(|end| whole.slice(std::mem::replace(&mut start, end)..end)).collect::<Vec<_>>()
    };
    let ok = (None, "");
    let internal = |text| (Some("13"), text);
    let cases = [
        (cut(&[]), "identity", ok),
        (cut(&[5]), "identity", ok),
        (cut(&[3]), "identity", ok),
        (cut(&[5, 6, 100, 20_000]), "identity", ok),
        (cut(&[2000]), "gzip", ok),
        (cut(&[2000]), "br", (Some("12"), "grpc: Decompressor is not installed for grpc-encoding \"br\"")),
        (cut(&[2000])[..1].to_vec(), "identity", internal("the request ends within its message")),
        (cut(&[2000])[..1].to_vec(), "br", internal("the request ends within its message")),
        ([cut(&[2000]), cut(&[])].concat(), "identity", internal("a unary request has more than one message")),
        (
            vec![framed(&message[..700], 1400), Bytes::copy_from_slice(&message[700..1400])],
            "identity",
            (Some("3"), "invalid OTLP request: length beyond the end at byte 4"),
        ),
    ];
    for (to, forwards) in both().await {
        for (pieces, encoding, (code, text)) in &cases {
            let sizes: Vec<_> = pieces.iter().map(Bytes::len).collect();
            let (told, message_text) = call(&to, encoding, pieces.clone()).await;
            assert_eq!((told.as_deref(), &*message_text.replace("%22", "\"")), (*code, *text), "{sizes:?}");
            let kept: Vec<_> = taken(&to).iter().map(|batch| (batch.points(), batch.meta.raw.clone())).collect();
            let expected = code.is_none().then(|| (3000, forwards.then(|| message.clone().into())));
            assert_eq!(kept, Vec::from_iter(expected), "{sizes:?}");
        }
        to.finish().await;
    }
}
