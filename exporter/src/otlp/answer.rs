//! What an OTLP server's answer means: delivered, in part, later or never. Sends nothing.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use proto::otlp::RpcStatus;
use serde::Deserialize;
use tonic::Code;

use super::compress::inflate;
use super::transport::{Answer, MAX_ANSWER_BYTES};
use crate::Outcome;

/// An answer over HTTP; `json` is how the request was written.
pub(super) fn http(answer: &Answer, json: bool) -> Outcome {
    if answer.status.is_success() {
        let json = match media_type(answer) {
            "application/json" => true,
            "application/x-protobuf" | "application/protobuf" => false,
            _ => json,
        };
        return delivered(match json {
            true => serde_json::from_slice::<JsonResponse>(&answer.body).unwrap_or_default().partial_success,
            false => Partial::decode(&answer.body),
        });
    }
    let details = details(answer).map(|m| format!(": {m}")).unwrap_or_default();
    let error = format!("the server answered HTTP status {}{details}", answer.status);
    let code = Some(code_of(answer.status));
    match answer.status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::Retry { after: retry_after(&answer.headers, SystemTime::now()), code, error },
        status => Outcome::Permanent { reason: format!("http_{status}").into(), code, error },
    }
}

/// The gRPC code that the Collector's exporter gives an HTTP status.
fn code_of(status: StatusCode) -> i32 {
    let code = match status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 => Code::ResourceExhausted,
        502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    code as i32
}

/// What the server says about an error: the message of a `google.rpc.Status`, or a line of text.
fn details(answer: &Answer) -> Option<String> {
    let text = match media_type(answer) {
        "application/json" => {
            let status: JsonStatus = serde_json::from_slice(&answer.body).ok()?;
            status.message
        }
        "text/plain" => String::from_utf8_lossy(&answer.body).lines().next().unwrap_or_default().to_owned(),
        _ => RpcStatus::decode(&answer.body)?.message,
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_DETAILS).collect();
    (!text.is_empty()).then_some(text)
}

/// `content-type` without parameters.
fn media_type(answer: &Answer) -> &str {
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

/// Characters of a server's message that are passed on.
const MAX_DETAILS: usize = 500;

/// A `google.rpc.Status` in JSON, as far as it is looked at.
#[derive(Deserialize)]
struct JsonStatus {
    message: String,
}

/// An `ExportMetricsServiceResponse` in JSON.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonResponse {
    partial_success: Option<Partial>,
}

/// What a server says about a request that it did not take whole.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    rejected_data_points: Integer,
    error_message: String,
}

/// JSON of protobuf writes 64 bits as text, and reads numbers as well.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer {
    Number(i64),
    Text(String),
}

impl Default for Integer {
    fn default() -> Integer {
        Integer::Number(0)
    }
}

impl Partial {
    fn decode(message: &[u8]) -> Option<Partial> {
        let partial = ExportMetricsServiceResponse::decode(message).unwrap_or_default().partial_success?;
        let rejected_data_points = Integer::Number(partial.rejected_data_points);
        Some(Partial { rejected_data_points, error_message: partial.error_message })
    }

    fn rejected(&self) -> u64 {
        match &self.rejected_data_points {
            Integer::Number(number) => u64::try_from(*number).unwrap_or(0),
            Integer::Text(text) => text.parse().unwrap_or(0),
        }
    }
}

/// An answer over gRPC.
pub(super) fn grpc(answer: &Answer) -> Outcome {
    let header = |name: &str| {
        let value = answer.trailers.get(name).or_else(|| answer.headers.get(name))?;
        value.to_str().ok()
    };
    let Some(code) = header("grpc-status").and_then(|code| code.parse::<i32>().ok()) else {
        let error = format!("the answer has no gRPC status (HTTP status {})", answer.status);
        let http_code = Some(code_of(answer.status));
        return match answer.status.as_u16() {
            200 | 429 | 502 | 503 | 504 => Outcome::Retry { after: None, code: http_code, error },
            status => Outcome::Permanent { reason: format!("http_{status}").into(), code: http_code, error },
        };
    };
    if code == 0 {
        return delivered(message(answer).and_then(|message| Partial::decode(&message)));
    }
    let details = header("grpc-status-details-bin").and_then(|text| {
        let text = text.trim_end_matches('=');
        RpcStatus::decode(&base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok()?)
    });
    let after = details.and_then(|d| d.retry_after);
    let message = percent_decoded(header("grpc-message").unwrap_or_default());
    let error = format!("rpc error: code {code}: {message}");
    match code {
        // Canceled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss.
        1 | 4 | 10 | 11 | 14 | 15 => Outcome::Retry { after, code: Some(code), error },
        // ResourceExhausted, only when the server says that it will recover.
        8 if after.is_some() => Outcome::Retry { after, code: Some(code), error },
        _ => Outcome::Permanent { reason: format!("grpc_{code}").into(), code: Some(code), error },
    }
}

/// The message of an answer over gRPC, inflated. One that cannot be read is no reason to send the points again.
fn message(answer: &Answer) -> Option<Cow<'_, [u8]>> {
    let (head, rest) = answer.body.split_first_chunk::<5>()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let message = rest.get(..usize::try_from(length).ok()?)?;
    if head[0] == 0 {
        return Some(Cow::Borrowed(message));
    }
    let encoding = answer.headers.get("grpc-encoding").and_then(|name| name.to_str().ok()).unwrap_or_default();
    match inflate(encoding, message, MAX_ANSWER_BYTES) {
        Ok(message) => Some(Cow::Owned(message)),
        Err(error) => {
            tracing::warn!(
                encoding, %error,
                "The server took the request, but its answer cannot be inflated; rejected points in it are not counted"
            );
            None
        }
    }
}

fn delivered(partial: Option<Partial>) -> Outcome {
    let Some(partial) = partial else { return Outcome::Delivered { rejected: Vec::new() } };
    let points = partial.rejected();
    if points > 0 || !partial.error_message.is_empty() {
        tracing::warn!(error_message = partial.error_message, dropped_data_points = points, "Partial success response");
    }
    let rejected = if points > 0 { vec![("partial_success".into(), points)] } else { Vec::new() };
    Outcome::Delivered { rejected }
}

/// Seconds, or the date of HTTP.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    Some(SystemTime::try_from(date).ok()?.duration_since(now).unwrap_or_default())
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).filter(|_| bytes[i] == b'%').and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let check = |text: &'static str| {
            let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, http::HeaderValue::from_static(text))]);
            retry_after(&headers, now)
        };
        assert_eq!(check("7"), Some(Duration::from_secs(7)));
        assert_eq!(check("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(check("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(check("soon"), None);
    }

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        Answer {
            status: http::StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: bytes::Bytes::copy_from_slice(body),
            trailers: HeaderMap::new(),
        }
    }

    #[test]
    fn http_statuses_are_retried_as_the_collector_does() {
        for status in [429, 502, 503, 504] {
            for (headers, expected) in [
                (&[][..], None),
                (&[("retry-after", "3")], Some(Duration::from_secs(3))),
                (&[("retry-after", "x")], None),
            ] {
                let Outcome::Retry { after, code, .. } = http(&answer(status, headers, b""), false) else {
                    panic!("{status} is not retried")
                };
                assert_eq!((after, code), (expected, Some(if status == 429 { 8 } else { 14 })), "{status}");
            }
        }
        let coded = [(400, 3), (401, 16), (403, 7), (404, 12)];
        let others = [301, 405, 408, 413, 415, 422, 431, 500, 501, 505, 507].map(|status| (status, 2));
        for (status, expected) in coded.into_iter().chain(others) {
            let Outcome::Permanent { reason, code, .. } = http(&answer(status, &[("retry-after", "3")], b""), false)
            else {
                panic!("{status} is retried")
            };
            assert_eq!((&*reason, code), (&*format!("http_{status}"), Some(expected)));
        }
    }

    #[test]
    fn what_the_server_says_is_in_the_error() {
        let status = RpcStatus { code: 3, message: "point 7 is bad".into(), retry_after: None }.encode();
        let long = "x".repeat(2 * MAX_DETAILS);
        for (kind, body, expected) in [
            ("application/x-protobuf", &status[..], ": point 7 is bad"),
            ("application/json", br#"{"code":3,"message":"point 7 is bad","details":[]}"#, ": point 7 is bad"),
            ("application/json; charset=utf-8", br#"{"message":"a\nb"}"#, ": ab"),
            ("application/json", b"[]", ""),
            ("text/plain; charset=utf-8", b"404 page not found\nmore", ": 404 page not found"),
            ("text/html", b"<html>", ""),
            ("text/plain", long.as_bytes(), &format!(": {}", &long[..MAX_DETAILS])),
        ] {
            let Outcome::Permanent { error, .. } = http(&answer(400, &[("content-type", kind)], body), false) else {
                panic!("400 is retried")
            };
            assert_eq!(error, format!("the server answered HTTP status 400 Bad Request{expected}"), "{kind}");
        }
    }

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        [&[flag][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    }

    fn rejected(outcome: Outcome) -> Vec<(Cow<'static, str>, u64)> {
        let Outcome::Delivered { rejected } = outcome else { panic!("not delivered") };
        rejected
    }

    #[test]
    fn rejected_points_of_a_partial_success_are_told_apart() {
        let partial = |rejected_data_points| ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess { rejected_data_points, error_message: "why".into() }),
        };
        for (points, expected) in [(2, vec![("partial_success".into(), 2)]), (0, vec![]), (-1, vec![])] {
            let message = partial(points).encode_to_vec();
            let json = serde_json::to_vec(&partial(points)).unwrap();
            let text = format!(r#"{{"partialSuccess":{{"rejectedDataPoints":"{points}","errorMessage":"why"}}}}"#);
            let (json_kind, proto_kind) =
                ([("content-type", "application/json; charset=utf-8")], [("content-type", "application/x-protobuf")]);
            for outcome in [
                http(&answer(200, &[], &message), false),
                http(&answer(202, &[], &json), true),
                // The answer says how it is written, whatever the request was.
                http(&answer(200, &proto_kind, &message), true),
                http(&answer(200, &json_kind, &json), false),
                http(&answer(200, &json_kind, text.as_bytes()), true),
                grpc(&answer(200, &[("grpc-status", "0")], &framed(0, &message))),
            ] {
                assert_eq!(rejected(outcome), expected);
            }
        }
        // A success whose body is of no use is one all the same.
        let body = br#"{"partialSuccess":{"rejectedDataPoints":"many"}}"#;
        for (body, json) in [
            (&b""[..], false),
            (b"nonsense", true),
            (b"{\"partialSuccess\":null}", true),
            (body, true),
            (b"\xff\xff", false),
        ] {
            assert!(rejected(http(&answer(200, &[], body), json)).is_empty());
        }
    }

    #[test]
    fn a_compressed_answer_over_grpc_is_read() {
        let why = "x".repeat(1000);
        let partial = ExportMetricsPartialSuccess { rejected_data_points: 3, error_message: why };
        let message = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        for name in ["gzip", "zstd", "snappy"] {
            let packed = super::super::compress::Compression::grpc(name, 0).unwrap().compress(&message).unwrap();
            let headers = [("grpc-status", "0"), ("grpc-encoding", name)];
            let outcome = grpc(&answer(200, &headers, &framed(1, &packed)));
            assert_eq!(rejected(outcome), [("partial_success".into(), 3)], "{name}");
            // Flag and length decide what is read.
            for body in [framed(1, &packed[..packed.len() / 2]), framed(1, &message), framed(0, &message)[..9].to_vec()]
            {
                assert!(rejected(grpc(&answer(200, &headers, &body))).is_empty(), "{name}");
            }
        }
        let headers = [("grpc-status", "0"), ("grpc-encoding", "rot13")];
        assert!(rejected(grpc(&answer(200, &headers, &framed(1, &message)))).is_empty());
    }

    #[test]
    fn an_answer_without_a_grpc_status_is_judged_by_its_http_status() {
        for (status, retried) in
            [(200, true), (429, true), (502, true), (503, true), (504, true), (401, false), (404, false)]
        {
            let outcome = grpc(&answer(status, &[("content-type", "text/html")], b""));
            assert_eq!(matches!(outcome, Outcome::Retry { .. }), retried, "{status}");
        }
    }

    #[test]
    fn grpc_codes_are_retried_as_the_collector_does() {
        let outcome = |code: i32, after: Option<Duration>| {
            let status = RpcStatus { code, message: "m".into(), retry_after: after };
            let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(status.encode());
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", code.to_string().parse().unwrap());
            trailers.insert("grpc-message", "not%20now".parse().unwrap());
            trailers.insert("grpc-status-details-bin", details.parse().unwrap());
            let (headers, body) = (HeaderMap::new(), bytes::Bytes::new());
            grpc(&Answer { status: http::StatusCode::OK, headers, body, trailers })
        };
        let wish = Some(Duration::from_secs(3));
        for code in [1, 4, 10, 11, 14, 15] {
            for wish in [None, wish] {
                let Outcome::Retry { after, code: kept, .. } = outcome(code, wish) else {
                    panic!("{code} is not retried")
                };
                assert_eq!((after, kept), (wish, Some(code)));
            }
        }
        for code in [2, 3, 5, 6, 7, 8, 9, 12, 13, 16] {
            let Outcome::Permanent { reason, code: kept, .. } = outcome(code, None) else {
                panic!("{code} is retried")
            };
            assert_eq!((&*reason, kept), (&*format!("grpc_{code}"), Some(code)));
        }
        let Outcome::Retry { after, error, .. } = outcome(8, wish) else { panic!("not retried") };
        assert_eq!((after, error.as_str()), (wish, "rpc error: code 8: not now"));
    }
}
