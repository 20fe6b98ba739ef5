//! What an OTLP server's answer means: delivered, in part, later or never. Sends nothing.

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

use super::transport::Answer;
use crate::Outcome;

/// An answer over HTTP.
pub(super) fn http(answer: &Answer, json: bool) -> Outcome {
    if answer.status.is_success() {
        return delivered(match json {
            true => serde_json::from_slice(&answer.body).unwrap_or_default(),
            false => ExportMetricsServiceResponse::decode(answer.body.clone()).unwrap_or_default(),
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
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let text = match kind.split(';').next().unwrap_or_default().trim() {
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

/// Characters of a server's message that are passed on.
const MAX_DETAILS: usize = 500;

/// A `google.rpc.Status` in JSON, as far as it is looked at.
#[derive(Deserialize)]
struct JsonStatus {
    message: String,
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
        let message = answer.body.get(5..).unwrap_or_default();
        return delivered(ExportMetricsServiceResponse::decode(message).unwrap_or_default());
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

fn delivered(response: ExportMetricsServiceResponse) -> Outcome {
    let Some(partial) = response.partial_success else { return Outcome::Delivered { rejected: Vec::new() } };
    let points = u64::try_from(partial.rejected_data_points).unwrap_or(0);
    if points > 0 || !partial.error_message.is_empty() {
        tracing::warn!(
            message = %partial.error_message, dropped_data_points = points,
            "Partial success response"
        );
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

    #[test]
    fn rejected_points_of_a_partial_success_are_told_apart() {
        let partial = |rejected_data_points| ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess { rejected_data_points, error_message: "why".into() }),
        };
        for (points, expected) in [(2, vec![("partial_success".into(), 2)]), (0, vec![]), (-1, vec![])] {
            let message = partial(points).encode_to_vec();
            let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
            framed.extend_from_slice(&message);
            let json = serde_json::to_vec(&partial(points)).unwrap();
            for outcome in [
                http(&answer(200, &[], &message), false),
                http(&answer(202, &[], &json), true),
                grpc(&answer(200, &[("grpc-status", "0")], &framed)),
            ] {
                let Outcome::Delivered { rejected } = outcome else { panic!("not delivered") };
                assert_eq!(rejected, expected);
            }
        }
        // A success whose body is of no use is one all the same.
        for (body, json) in [(&b""[..], false), (b"nonsense", true), (b"\xff\xff", false)] {
            let Outcome::Delivered { rejected } = http(&answer(200, &[], body), json) else { panic!("not delivered") };
            assert!(rejected.is_empty());
        }
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
