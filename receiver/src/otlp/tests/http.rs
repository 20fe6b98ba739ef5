//! OTLP over HTTP: statuses, bodies and headers.

use std::time::Duration;

use proto::Refusal;
use proto::otlp::RpcStatus;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use super::{JSON, Running, compressed, request, start};

const HTTP: &str = "protocols: {http: {endpoint: \"localhost:HTTP\"}}";
const PROTOBUF: &str = "application/x-protobuf";

struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
    headers: HeaderMap,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

async fn send(to: &Running, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}{path}", to.http);
    let mut sending = client.request(method.parse().unwrap(), url).body(body);
    for (name, value) in headers {
        sending = sending.header(*name, *value);
    }
    let answer = sending.send().await.unwrap();
    let headers = answer.headers().clone();
    Answer {
        status: answer.status().as_u16(),
        content_type: headers.get(CONTENT_TYPE).map_or("", |v| v.to_str().unwrap()).to_owned(),
        body: answer.bytes().await.unwrap().to_vec(),
        headers,
    }
}

async fn post(to: &Running, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    send(to, "POST", "/v1/metrics", &[("content-type", content_type)], body.into()).await
}

#[tokio::test]
async fn protobuf_and_json_are_taken_and_answered_in_kind() {
    let to = start(HTTP).await;
    let answer = post(&to, PROTOBUF, request(3)).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (200, PROTOBUF));
    assert_eq!(answer.body, [0x0a, 0]);
    let answer = post(&to, "application/json; charset=utf-8", JSON).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"));
    assert_eq!(answer.text(), r#"{"partialSuccess":{}}"#);
    assert_eq!(to.points(), 4);
    assert_eq!(to.counted("http"), (4, 0));
    let batch = to.batches.lock().unwrap()[0].clone();
    assert_eq!(batch.tables.str(batch.tables.metrics[0].name), "temp");
    assert!(batch.meta.received_ms > 1_600_000_000_000 && batch.meta.client.is_none());
    to.finish().await;
}

#[tokio::test]
async fn the_head_of_a_request_is_taken_up_to_a_limit() {
    let to = start(HTTP).await;
    for (bytes, status) in [(120 << 10, 200), (300 << 10, 431)] {
        let header = "x".repeat(bytes);
        let headers = [("content-type", PROTOBUF), ("x-long", header.as_str())];
        assert_eq!(send(&to, "POST", "/v1/metrics", &headers, request(1)).await.status, status, "{bytes} bytes");
    }
    assert_eq!(to.points(), 1);
    to.finish().await;
}

#[tokio::test]
async fn a_request_without_points_is_taken_without_asking_the_pipeline() {
    let to = start(HTTP).await;
    *to.answer.lock().unwrap() = Some(Refusal::permanent("never"));
    assert_eq!(post(&to, PROTOBUF, "").await.status, 200);
    assert_eq!(post(&to, PROTOBUF, request(0)).await.status, 200);
    assert_eq!(post(&to, "application/json", "{}").await.status, 200);
    let answer = post(&to, "application/json", "").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        r#"{"code":3,"message":"invalid OTLP/JSON request: EOF while parsing a value at line 1 column 0"}"#
    );
    assert!(to.batches.lock().unwrap().is_empty());
    assert_eq!(to.counted("http"), (0, 0));
}

#[tokio::test]
async fn wrong_methods_types_and_paths_have_the_collectors_answers() {
    let to = start(HTTP).await;
    for (method, path, content_type, status, answer_type, text) in [
        ("GET", "/v1/metrics", PROTOBUF, 405, "text/plain", "405 method not allowed, supported: [POST]"),
        (
            "POST",
            "/v1/metrics",
            "text/plain",
            415,
            "text/plain",
            "415 unsupported media type, supported: [application/json, application/x-protobuf]",
        ),
        ("POST", "/v1/traces", PROTOBUF, 404, "text/plain; charset=utf-8", "404 page not found\n"),
        ("POST", "/v1/logs", "application/json", 404, "text/plain; charset=utf-8", "404 page not found\n"),
        ("GET", "/", PROTOBUF, 404, "text/plain; charset=utf-8", "404 page not found\n"),
    ] {
        let answer = send(&to, method, path, &[("content-type", content_type)], Vec::new()).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (status, answer_type), "{method} {path}");
        assert_eq!(answer.text(), text);
    }
    let answer = send(&to, "POST", "/v1/metrics", &[], request(1)).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn every_listed_encoding_is_inflated_and_others_are_refused() {
    let to = start(HTTP).await;
    let encodings = ["gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"];
    let encoded = |encoding, body| {
        let headers = [("content-type", PROTOBUF), ("content-encoding", encoding)];
        let to = &to;
        async move { send(to, "POST", "/v1/metrics", &headers, body).await }
    };
    for encoding in encodings {
        let answer = encoded(encoding, compressed(encoding, &request(100))).await;
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
        let broken = encoded(encoding, b"not compressed at all".to_vec()).await;
        assert_eq!((broken.status, broken.content_type.as_str()), (400, PROTOBUF), "{encoding}");
        let status = RpcStatus::decode(&broken.body).unwrap();
        assert_eq!(status.code, 3);
        assert!(status.message.starts_with("cannot decompress the request body: "), "{}", status.message);
    }
    assert_eq!(to.points(), 100 * encodings.len());
    for encoding in ["br", "identity", "gzip, zstd"] {
        let answer = encoded(encoding, request(1)).await;
        let status = RpcStatus::decode(&answer.body).unwrap();
        assert_eq!((answer.status, status.code), (400, 3));
        assert_eq!(status.message, format!("unsupported Content-Encoding: {encoding}"));
    }
    let answer = send(&to, "POST", "/v1/metrics", &[(CONTENT_ENCODING.as_str(), "br")], Vec::new()).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (400, "application/json"));
    assert_eq!(answer.text(), r#"{"code":3,"message":"unsupported Content-Encoding: br"}"#);
    let headers = [("content-type", "text/plain"), ("content-encoding", "br")];
    let answer = send(&to, "POST", "/v1/metrics", &headers, Vec::new()).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (500, r#"{"code": 13, "message": "failed to marshal error message"}"#)
    );
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_before_and_after_inflating() {
    let to = start("protocols: {http: {endpoint: \"localhost:HTTP\", max_request_body_size: 10000}}").await;
    let too_large = |answer: &Answer| {
        assert_eq!(answer.status, 400);
        assert_eq!(RpcStatus::decode(&answer.body).unwrap().message, "http: request body too large");
    };
    assert_eq!(post(&to, PROTOBUF, request(400)).await.status, 200);
    too_large(&post(&to, PROTOBUF, request(600)).await);
    for encoding in ["gzip", "zstd", "zlib", "snappy", "x-snappy-framed", "lz4"] {
        // A bomb: far more than the limit would come out.
        let bomb = compressed(encoding, &vec![0; 100_000]);
        assert!(bomb.len() < 10_000);
        let headers = [("content-type", PROTOBUF), ("content-encoding", encoding)];
        too_large(&send(&to, "POST", "/v1/metrics", &headers, bomb).await);
    }
    // A body without a length that never ends is cut off at the limit.
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0u8; 1000]));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sending = client
        .post(format!("http://127.0.0.1:{}/v1/metrics", to.http))
        .header(CONTENT_TYPE, PROTOBUF)
        .body(reqwest::Body::wrap_stream(endless))
        .send();
    // The client may see the answer or the closed connection first.
    if let Ok(answer) = sending.await {
        assert_eq!(answer.status(), 400);
    }
    assert_eq!(post(&to, PROTOBUF, request(1)).await.status, 200);
    assert_eq!(to.points(), 401);
}

#[tokio::test]
async fn refusals_of_the_pipeline_become_statuses_with_retry_after() {
    let to = start(HTTP).await;
    let with_code = |code| Refusal { code: Some(code), ..Refusal::permanent("no") };
    for (refusal, status, code, retry_after, json) in [
        (Refusal::retry("queue is full"), 503, 14, None, r#"{"code":14,"message":"queue is full"}"#),
        (
            Refusal::retry_after(Duration::from_millis(1500), "busy"),
            503,
            14,
            Some("2"),
            r#"{"code":14,"message":"busy","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}"#,
        ),
        (Refusal::permanent("bad data"), 500, 13, None, r#"{"code":13,"message":"bad data"}"#),
        (
            Refusal { code: Some(8), ..Refusal::retry_after(Duration::from_secs(7), "slower") },
            429,
            8,
            Some("7"),
            r#"{"code":8,"message":"slower","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}"#,
        ),
        (with_code(3), 400, 3, None, r#"{"code":3,"message":"no"}"#),
        (with_code(16), 401, 16, None, r#"{"code":16,"message":"no"}"#),
        (with_code(7), 403, 7, None, r#"{"code":7,"message":"no"}"#),
        (with_code(12), 404, 12, None, r#"{"code":12,"message":"no"}"#),
        (with_code(2), 500, 2, None, r#"{"code":2,"message":"no"}"#),
    ] {
        *to.answer.lock().unwrap() = Some(refusal);
        let answer = post(&to, PROTOBUF, request(2)).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (status, PROTOBUF));
        assert_eq!(RpcStatus::decode(&answer.body).unwrap().code, code);
        assert_eq!(answer.headers.get("retry-after").map(|v| v.to_str().unwrap()), retry_after);
        let answer = post(&to, "application/json", JSON).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, json));
    }
    assert_eq!(to.counted("http"), (0, 27));
}

#[tokio::test]
async fn undecodable_bodies_are_refused_in_their_own_encoding() {
    let to = start(HTTP).await;
    let answer = post(&to, PROTOBUF, &request(2)[..10]).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (400, PROTOBUF));
    let status = RpcStatus::decode(&answer.body).unwrap();
    assert_eq!(status.code, 3);
    assert_eq!(status.message, "invalid OTLP request: length beyond the end at byte 2");
    let answer = post(&to, "application/json", "{\"resourceMetrics\":").await;
    assert_eq!((answer.status, answer.content_type.as_str()), (400, "application/json"));
    assert!(to.batches.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_large_body_is_decoded_like_a_small_one() {
    let to = start(HTTP).await;
    let body = request(300_000);
    assert!(body.len() > 5_000_000);
    assert_eq!(post(&to, PROTOBUF, body).await.status, 200);
    assert_eq!(to.points(), 300_000);
    to.finish().await;
}
