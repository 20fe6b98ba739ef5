//! Damaged, hostile and endless bodies over real sockets against the binary: each gets its error, costs bounded memory,
//! and harms no request beside it.
#![allow(clippy::unwrap_used)]

use axum::body::Bytes;
use prost::Message;
use std::io::Write;
use std::time::Duration;
use tests::agent::PATIENCE;
use tests::fake::otlp::{GRPC_METHOD, Sink, push_body, push_grpc};
use tests::push::{Entrance, gauge, now_ns, point, request};
use tests::{Agent, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
/// Far below what one of the bombs would take.
const MEMORY_BYTES: u64 = 256 << 20;

struct Story {
    entrance: Entrance,
    sink: Sink,
    agent: Agent,
    /// Good requests so far, numbered from 0.
    pushed: i64,
}

impl Story {
    async fn start() -> Self {
        let (entrance, sink) = (Entrance::new(), Sink::start().await);
        let config = format!(
            "receivers:\n  otlp: {}\nexporters:\n  otlphttp: {{endpoint: '{}'}}\nservice:\n  pipelines:\n    \
             metrics: {{receivers: [otlp], exporters: [otlphttp]}}\n",
            entrance.receiver(),
            sink.url()
        );
        let agent = Agent::with_config(&config).start().await;
        Self { entrance, sink, agent, pushed: 0 }
    }

    fn numbered(&self) -> Vec<u8> {
        let labels = [("n", &*self.pushed.to_string())];
        request(&[("service.name", "shop")], vec![gauge("number", vec![point(self.pushed, now_ns(), &labels)])])
            .encode_to_vec()
    }

    /// A good request over HTTP and one over gRPC, both taken.
    async fn good(&mut self) {
        let answer = push_body(&self.entrance.http_url(), &[PROTOBUF], self.numbered()).await.unwrap();
        assert_eq!(answer.status, 200);
        self.pushed += 1;
        let message = Message::decode(&*self.numbered()).unwrap();
        push_grpc(&self.entrance.grpc_url(), message, None).await.unwrap();
        self.pushed += 1;
    }

    /// Status and text of the answer to a body over HTTP.
    async fn http(&self, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String) {
        let answer = push_body(&self.entrance.http_url(), headers, body).await.unwrap();
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Code and text of the answer to a gRPC request with this body, as it is; -1 for success.
    async fn grpc(&self, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> (i32, String) {
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().timeout(PATIENCE).build().unwrap();
        let mut sending = client.post(format!("{}{GRPC_METHOD}", self.entrance.grpc_url())).body(body);
        for (name, value) in headers.iter().chain(&[("content-type", "application/grpc")]) {
            sending = sending.header(*name, *value);
        }
        let answer = sending.send().await.unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let code = header("grpc-status").map_or(-1, |code| code.parse().unwrap());
        (code, header("grpc-message").unwrap_or_default().replace("%20", " "))
    }

    /// Checks that every good request arrived, once, and that memory stayed bounded.
    async fn end(mut self) {
        let arrived = |sink: &Sink| {
            let text: Vec<_> = sink.received().iter().map(|received| format!("{:?}", received.request)).collect();
            let of = |n: i64| text.iter().filter(|text| text.contains(&format!("StringValue(\"{n}\")"))).count();
            (0..self.pushed).map(of).collect::<Vec<_>>()
        };
        wait_until("the good requests", PATIENCE, || arrived(&self.sink).iter().all(|&n| n > 0).then_some(())).await;
        let memory = self.agent.peak_memory_bytes().unwrap();
        assert!(memory < MEMORY_BYTES, "{} MiB", memory >> 20);
        assert!(self.agent.stop().await.success());
        assert!(arrived(&self.sink).iter().all(|&n| n == 1), "{:?}", arrived(&self.sink));
        assert!(!self.agent.log().contains("panicked"), "{}", self.agent.log());
    }
}

fn gzip(bytes: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bytes.for_each(|bytes| writer.write_all(&bytes).unwrap());
    writer.finish().unwrap()
}

fn zstd(bytes: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut writer = zstd::Encoder::new(Vec::new(), 1).unwrap();
    bytes.for_each(|bytes| writer.write_all(&bytes).unwrap());
    writer.finish().unwrap()
}

fn zeros(mebibytes: usize) -> impl Iterator<Item = Vec<u8>> {
    std::iter::repeat_n(vec![0; 1 << 20], mebibytes)
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_bombs_are_refused_at_the_limit() {
    let mut story = Story::start().await;
    // A protobuf bomb as well: small on the wire, and inflated within the limit, but with far too many elements.
    let elements = std::iter::once([0x0a, 0].repeat(10 << 20 >> 1));
    for (encoding, bomb) in [("gzip", gzip(zeros(50))), ("zstd", zstd(zeros(1000)))] {
        assert!(bomb.len() < 2 << 20);
        for _ in 0..3 {
            let headers = [PROTOBUF, ("content-encoding", encoding)];
            let (status, text) = story.http(&headers, bomb.clone()).await;
            assert!(status == 400 && text.contains("http: request body too large"), "{status} {text}");
            let (code, text) = story.grpc(&[("grpc-encoding", encoding)], frame(1, &bomb)).await;
            assert!(code == 8 && text.contains("larger than max"), "{code} {text}");
            story.good().await;
        }
    }
    let bomb = zstd(elements);
    let (status, text) = story.http(&[PROTOBUF, ("content-encoding", "zstd")], bomb).await;
    assert!(status == 400 && text.contains("too many elements for its size"), "{status} {text}");
    story.good().await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_empty_points_and_large_bodies_that_come_together_cost_little_memory() {
    let mut story = Story::start().await;
    let dense = |head: &str, point: &str, tail: &str| {
        let points = std::iter::repeat_n(point.repeat(1000).into_bytes(), 1999);
        let ends = |end: &str| std::iter::once(end.as_bytes().to_vec());
        gzip(ends(head).chain(points).chain(ends(point.trim_end_matches(','))).chain(ends(tail)))
    };
    let json = dense(
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"exponentialHistogram":{"dataPoints":["#,
        "{},",
        "]}}]}]}]}",
    );
    // Resources without anything.
    let protobuf = dense("", "\n\0", "");
    let points = (0..40_000).map(|n| point(n, 1, &[("path", "/a"), ("n", &format!("other {n}"))])).collect();
    let large =
        gzip(std::iter::once(request(&[("service.name", "other")], vec![gauge("other", points)]).encode_to_vec()));
    let gzipped = ("content-encoding", "gzip");
    let json_headers = [("content-type", "application/json"), gzipped];
    let headers = [PROTOBUF, gzipped];
    let answers = futures_util::future::join_all((0..24).map(async |n| match n % 3 {
        0 => (400, story.http(&json_headers, json.clone()).await),
        1 => (400, story.http(&headers, protobuf.clone()).await),
        _ => (200, story.http(&headers, large.clone()).await),
    }))
    .await;
    for (expected, (status, text)) in answers {
        assert_eq!(status, expected, "{text}");
        assert!(status == 200 || text.contains("too many elements for"), "{text}");
    }
    story.good().await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_and_flipped_bodies_are_refused_or_read_and_harm_nobody() {
    let mut story = Story::start().await;
    let points = (0..50).map(|n| point(n, 1, &[("path", "/a"), ("n", "other")])).collect();
    let whole = request(&[("service.name", "other")], vec![gauge("other", points)]).encode_to_vec();
    let packed = [gzip(std::iter::once(whole.clone())), zstd(std::iter::once(whole.clone()))];
    let bodies = [("", "identity", &whole), ("gzip", "gzip", &packed[0]), ("zstd", "zstd", &packed[1])];
    for (encoding, grpc_encoding, body) in bodies {
        let headers = [PROTOBUF, ("content-encoding", encoding)];
        let headers = if encoding.is_empty() { &headers[..1] } else { &headers[..] };
        let flag = u8::from(!encoding.is_empty());
        for n in 0..8 {
            // A cut anywhere but between two resources, of which there is one only.
            let cut = 1 + n * 7919 % (body.len() - 1);
            let (status, text) = story.http(headers, body[..cut].to_vec()).await;
            assert_eq!(status, 400, "{encoding} cut at {cut} of {}: {text}", body.len());
            let (code, text) = story.grpc(&[("grpc-encoding", grpc_encoding)], frame(flag, &body[..cut])).await;
            assert!(code == 3 || code == 13, "{encoding} cut at {cut} of {}: {code} {text}", body.len());
            // The frame promises more than comes.
            let short = frame(flag, body)[..5 + cut - 1].to_vec();
            assert_eq!(story.grpc(&[("grpc-encoding", grpc_encoding)], short).await.0, 13);
            let mut flipped = body.clone();
            let at = n * 104_729 % flipped.len();
            flipped[at] ^= 1 << n;
            let (status, text) = story.http(headers, flipped.clone()).await;
            assert!(status == 200 || status == 400, "{encoding} flipped at {at}: {status} {text}");
            let (code, text) = story.grpc(&[("grpc-encoding", grpc_encoding)], frame(flag, &flipped)).await;
            assert!([-1, 3, 8, 13].contains(&code), "{encoding} flipped at {at}: {code} {text}");
        }
        story.good().await;
    }
    // A connection that ends within its body.
    for _ in 0..3 {
        let mut socket = TcpStream::connect(story.entrance.http()).await.unwrap();
        let head = "POST /v1/metrics HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: 500\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&whole[..100]).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // An answer or the end of the connection, but nothing that says success.
        drop(tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap());
        assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
        story.good().await;
    }
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_bodies_are_cut_off_and_slow_ones_hold_up_nobody() {
    let mut story = Story::start().await;
    let endless = || {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0x0a; 64 << 10])));
        reqwest::Body::wrap_stream(chunks)
    };
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let sending = client.post(format!("{}/v1/metrics", story.entrance.http_url())).header(PROTOBUF.0, PROTOBUF.1);
    // The client may see the closed connection before the answer.
    match sending.body(endless()).send().await {
        Ok(answer) => assert_eq!(answer.status(), 400),
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    story.good().await;
    // 0x0a0a0a0a bytes are announced by the first chunk already.
    let (code, text) = story.grpc(&[], endless()).await;
    assert!(code == 8 && text.contains("larger than max"), "{code} {text}");
    story.good().await;
    // Bodies that never end although little comes: many at a time.
    let mut held = Vec::new();
    for n in 0..50 {
        let mut socket = TcpStream::connect(story.entrance.http()).await.unwrap();
        let head = "POST /v1/metrics HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";
        let length = if n % 2 == 0 {
            "content-length: 20000000\r\n\r\n\n"
        } else {
            "transfer-encoding: chunked\r\n\r\n1\r\n\n\r\n"
        };
        socket.write_all(format!("{head}{length}").as_bytes()).await.unwrap();
        held.push(socket);
    }
    let started = std::time::Instant::now();
    for _ in 0..20 {
        story.good().await;
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    drop(held);
    story.end().await;
}
