//! What an OTLP server's answer means: delivered, in part, later or never. Sends nothing.

use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine;
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use proto::otlp::RpcStatus;

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
    let details = RpcStatus::decode(&answer.body).map(|s| s.message).filter(|m| !m.is_empty());
    let details = details.map(|m| format!(": {m}")).unwrap_or_default();
    let error = format!("the server answered HTTP status {}{details}", answer.status);
    match answer.status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::Retry { after: retry_after(&answer.headers, SystemTime::now()), error },
        code => Outcome::Permanent { reason: format!("http_{code}").into(), error },
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
        return match answer.status.as_u16() {
            200 | 429 | 502 | 503 | 504 => Outcome::Retry { after: None, error },
            code => Outcome::Permanent { reason: format!("http_{code}").into(), error },
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
        1 | 4 | 10 | 11 | 14 | 15 => Outcome::Retry { after, error },
        // ResourceExhausted, only when the server says that it will recover.
        8 if after.is_some() => Outcome::Retry { after, error },
        _ => Outcome::Permanent { reason: format!("grpc_{code}").into(), error },
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
        for code in [1, 4, 10, 11, 14, 15] {
            assert!(matches!(outcome(code, None), Outcome::Retry { .. }), "{code}");
        }
        for code in [2, 3, 5, 6, 7, 8, 9, 12, 13, 16] {
            assert!(matches!(outcome(code, None), Outcome::Permanent { .. }), "{code}");
        }
        let after = Some(Duration::from_secs(3));
        let Outcome::Retry { after: found, error } = outcome(8, after) else { panic!("not retried") };
        assert_eq!((found, error.as_str()), (after, "rpc error: code 8: not now"));
    }
}
