//! `google.rpc.Status`, the body of an OTLP refusal, with `RetryInfo` as its only detail.

use std::time::Duration;

use super::json_writer::JsonWriter;
use super::wire::Reader;
use super::writer::{open, push_string, varint_field};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// A refusal as OTLP peers tell it: in `grpc-status-details-bin`, or as the body over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcStatus {
    /// gRPC status code.
    pub code: i32,
    /// Text for people.
    pub message: String,
    /// `RetryInfo.retry_delay`: when the same request may be sent again.
    pub retry_after: Option<Duration>,
}

impl RpcStatus {
    /// The protobuf form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint_field(&mut out, 1, self.code as u64);
        push_string(&mut out, 2, &self.message);
        if let Some(delay) = self.retry_after {
            let any = open(&mut out, 3, 1);
            push_string(&mut out, 1, RETRY_INFO);
            let info = open(&mut out, 2, 1);
            let duration = open(&mut out, 1, 1);
            varint_field(&mut out, 1, delay.as_secs());
            varint_field(&mut out, 2, u64::from(delay.subsec_nanos()));
            duration.close(&mut out);
            info.close(&mut out);
            any.close(&mut out);
        }
        out
    }

    /// The JSON form.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = JsonWriter::new(&mut out);
        w.begin(b'{');
        if self.code != 0 {
            w.key("code");
            w.signed(i64::from(self.code));
        }
        w.text("message", &self.message);
        if let Some(delay) = self.retry_after {
            w.key("details");
            w.begin(b'[');
            w.begin(b'{');
            w.text("@type", RETRY_INFO);
            w.text("retryDelay", &format!("{}s", delay.as_secs_f64()));
            w.end(b'}');
            w.end(b']');
        }
        w.end(b'}');
        out
    }

    /// Reads the protobuf form; `None` if it is not one. Other details are skipped.
    pub fn decode(bytes: &[u8]) -> Option<RpcStatus> {
        let mut status = RpcStatus::default();
        let mut reader = Reader::new(bytes, 10);
        while let Some(field) = reader.next().ok()? {
            match field.tag {
                1 => status.code = reader.varint_of(field).ok()? as i32,
                2 => status.message = String::from_utf8_lossy(reader.bytes_of(field).ok()?).into_owned(),
                3 => {
                    let detail = retry_info(reader.message_of(field).ok()?)?;
                    status.retry_after = detail.or(status.retry_after);
                }
                _ => reader.skip(field).ok()?,
            }
        }
        Some(status)
    }
}

/// The delay of an `Any` that holds a `RetryInfo`. The outer `None`: not readable.
fn retry_info(mut any: Reader) -> Option<Option<Duration>> {
    let (mut is_retry, mut delay) = (false, None);
    while let Some(field) = any.next().ok()? {
        match field.tag {
            1 => is_retry = any.bytes_of(field).ok()? == RETRY_INFO.as_bytes(),
            2 => {
                let mut content = any;
                any.bytes_of(field).ok()?;
                delay = content.message_of(field).ok().and_then(duration);
            }
            _ => any.skip(field).ok()?,
        }
    }
    Some(delay.filter(|_| is_retry))
}

/// `RetryInfo.retry_delay`; negative ones are none.
fn duration(mut info: Reader) -> Option<Duration> {
    let (mut seconds, mut nanos) = (0u64, 0u32);
    while let Some(field) = info.next().ok()? {
        if field.tag != 1 {
            info.skip(field).ok()?;
            continue;
        }
        let mut delay = info.message_of(field).ok()?;
        while let Some(field) = delay.next().ok()? {
            match field.tag {
                1 => seconds = delay.varint_of(field).ok()?,
                2 => nanos = delay.varint_of(field).ok()? as u32,
                _ => delay.skip(field).ok()?,
            }
        }
    }
    (i64::try_from(seconds).is_ok() && nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_back_and_has_its_json_form() {
        for (code, message, retry_after, json) in [
            (3, "bad", None, r#"{"code":3,"message":"bad"}"#),
            (0, "", None, "{}"),
            (
                14,
                "full",
                Some(Duration::from_millis(1500)),
                r#"{"code":14,"message":"full","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}"#,
            ),
        ] {
            let status = RpcStatus { code, message: message.into(), retry_after };
            assert_eq!(RpcStatus::decode(&status.encode()), Some(status.clone()));
            assert_eq!(String::from_utf8(status.to_json()).unwrap(), json);
        }
        assert_eq!(RpcStatus::decode(&[0xff]), None);
    }
}
