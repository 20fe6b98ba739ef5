//! The HTTP side of the scripted AWS: tells which API and operation a request is for, checks its signature, lets
//! faults strike, answers in the API's own form and keeps the record. What is answered is decided elsewhere.

use super::calls::{Call, Service};
use super::fault::{Act, Fault};
use super::server::Hangup;
use super::signature::{Signature, Signed};
use super::{Refusal, Shared, State, ec2, ecs, metadata, sts};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest body that is read, before and after decompression.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Serves every path and method: AWS APIs are told apart by headers and form fields.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |request: Request<Body>| handle(shared.clone(), request))
}

async fn handle(shared: Arc<Shared>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(raw) = to_bytes(body, MAX_BODY_BYTES).await else { return hang_up() };
    let request = match Incoming::read(&parts, &raw) {
        Ok(request) => request,
        Err(refusal) => return refuse(Service::Logs, &refusal),
    };
    let (number, fault) = {
        let state = &mut *shared.lock();
        let number = state.calls.arrive(request.record(&parts, raw.len()));
        (number, state.faults.strike(&request.op, &request.text))
    };
    if let Some(seconds) = fault.as_ref().and_then(|fault| fault.sleep) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
    let answer = match &fault {
        Some(fault) => match fault.act {
            Act::Refuse => Err(refusal_of(fault)),
            Act::Drop => return hang_up(),
            Act::Hang => std::future::pending().await,
            Act::Garble => Ok("<html>not an answer</html>".to_owned()),
            Act::Answer | Act::DropAfter => perform(&mut shared.lock(), &request, &parts, &raw),
        },
        None => perform(&mut shared.lock(), &request, &parts, &raw),
    };
    if fault.is_some_and(|fault| fault.act == Act::DropAfter) {
        return hang_up();
    }
    let (status, code, response) = match answer {
        Ok(body) => (200, None, reply(200, request.content_type(), body)),
        Err(refusal) => (refusal.status, Some(refusal.code.clone()), refuse(request.service, &refusal)),
    };
    shared.lock().calls.answer(number, status, code);
    response
}

/// A request after it was understood.
struct Incoming {
    service: Service,
    op: String,
    body: Value,
    /// The decompressed request, for faults that look into it.
    text: String,
}

impl Incoming {
    fn read(parts: &Parts, raw: &Bytes) -> Result<Self, Refusal> {
        let path = parts.uri.path();
        if path == metadata::CREDENTIALS_PATH {
            let op = "GetCredentials".to_owned();
            return Ok(Self { service: Service::Credentials, op, body: Value::Null, text: path.into() });
        }
        if let Some(rest) = path.strip_prefix(metadata::METADATA_PATH) {
            let op = format!("GetMetadata{rest}");
            return Ok(Self { service: Service::Metadata, op, body: Value::Null, text: path.into() });
        }
        let text = decompress(&parts.headers, raw)?;
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        match target.map(|target| target.split_once('.').unwrap_or((target, ""))) {
            Some((prefix, op)) => {
                let service = match prefix {
                    "AmazonEC2ContainerServiceV20141113" => Service::Ecs,
                    "Logs_20140328" => Service::Logs,
                    _ => return Err(Refusal::new(404, "UnknownOperationException", prefix)),
                };
                let body = if text.is_empty() { Ok(json!({})) } else { serde_json::from_str(&text) };
                let body = body.map_err(|error| Refusal::new(400, "SerializationException", &error.to_string()))?;
                Ok(Self { service, op: op.into(), body, text })
            }
            None => {
                let body = form(if text.is_empty() { parts.uri.query().unwrap_or_default() } else { &text });
                let service = match body["Version"].as_str() {
                    Some("2016-11-15") => Service::Ec2,
                    Some("2011-06-15") => Service::Sts,
                    _ => return Err(Refusal::new(400, "MissingParameter", "no X-Amz-Target and no known Version")),
                };
                let op = body["Action"].as_str().unwrap_or_default().to_owned();
                Ok(Self { service, op, body, text })
            }
        }
    }

    fn record(&self, parts: &Parts, wire_bytes: usize) -> Call {
        Call {
            number: 0,
            at: Instant::now(),
            service: self.service,
            op: self.op.clone(),
            path: parts.uri.path().into(),
            body: Arc::new(self.body.clone()),
            headers: parts.headers.clone(),
            wire_bytes,
            signature: Signature::parse(&parts.headers).ok(),
            status: None,
            code: None,
        }
    }

    /// The name in the scope of a signature, for calls that need one.
    fn signing_name(&self) -> Option<&'static str> {
        match self.service {
            Service::Ecs => Some("ecs"),
            Service::Ec2 => Some("ec2"),
            Service::Logs => Some("logs"),
            Service::Sts if self.op == "AssumeRoleWithWebIdentity" => None,
            Service::Sts => Some("sts"),
            Service::Metadata | Service::Credentials => None,
        }
    }

    fn content_type(&self) -> &'static str {
        match self.service {
            Service::Ecs | Service::Logs => "application/x-amz-json-1.1",
            Service::Ec2 => "text/xml;charset=UTF-8",
            Service::Sts => "text/xml",
            Service::Metadata | Service::Credentials => "application/json",
        }
    }
}

/// Carries a call out.
fn perform(state: &mut State, request: &Incoming, parts: &Parts, raw: &[u8]) -> Result<String, Refusal> {
    if let Some(service) = request.signing_name() {
        let present = parts.headers.contains_key("authorization");
        if present || !state.accept_unsigned {
            let signed = Signed { method: &parts.method, uri: &parts.uri, headers: &parts.headers, body: raw, service };
            Signature::parse(&parts.headers)?.verify(&state.keys, &signed)?;
        }
    }
    if let Some(quotas) = &mut state.quotas {
        quotas.take(&request.op, Instant::now())?;
    }
    let (op, body, path) = (request.op.as_str(), &request.body, parts.uri.path());
    match request.service {
        Service::Ecs => ecs::answer(&state.world, op, body).map(|answer| answer.to_string()),
        Service::Logs => state.logs.answer(op, path, body).map(|answer| answer.to_string()),
        Service::Ec2 => ec2::answer(&state.world, op, body),
        Service::Sts => sts::answer(&state.world, &mut state.keys, op, body),
        Service::Credentials => Ok(metadata::credentials(&mut state.keys).to_string()),
        Service::Metadata => {
            let rest = path.strip_prefix(metadata::METADATA_PATH).unwrap_or_default();
            metadata::metadata(&state.world, rest).map(|answer| answer.to_string())
        }
    }
}

fn refusal_of(fault: &Fault) -> Refusal {
    let code = fault.code.as_deref().unwrap_or("ThrottlingException");
    Refusal::new(fault.status.unwrap_or(400), code, fault.message.as_deref().unwrap_or("Rate exceeded"))
}

fn decompress(headers: &HeaderMap, raw: &Bytes) -> Result<String, Refusal> {
    let unreadable = |what: &str| Refusal::new(400, "SerializationException", what);
    let bytes = match headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes()) {
        None | Some(b"identity") => raw.to_vec(),
        Some(b"gzip") => {
            let mut bytes = Vec::new();
            let limit = MAX_BODY_BYTES as u64 + 1;
            let read = flate2::read::GzDecoder::new(raw.as_ref()).take(limit).read_to_end(&mut bytes);
            if read.is_err() || bytes.len() > MAX_BODY_BYTES {
                return Err(unreadable("the gzip body cannot be read"));
            }
            bytes
        }
        Some(_) => return Err(Refusal::new(415, "UnsupportedMediaTypeException", "unknown content encoding")),
    };
    String::from_utf8(bytes).map_err(|_| unreadable("the body is not UTF-8"))
}

/// `a=1&b=2` as an object of strings.
fn form(text: &str) -> Value {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (percent_decoded(key), Value::String(percent_decoded(value)))).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).unwrap_or_default();
                (digit() * 16 + digit()) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn refuse(service: Service, refusal: &Refusal) -> Response<Body> {
    let Refusal { status, code, message } = refusal;
    let xml_message = ec2::escape(message);
    match service {
        Service::Ecs | Service::Logs => {
            let body = json!({"__type": code, "message": message}).to_string();
            reply(*status, "application/x-amz-json-1.1", body)
        }
        Service::Metadata | Service::Credentials => {
            reply(*status, "application/json", json!({"code": code, "message": message}).to_string())
        }
        Service::Ec2 => {
            let body = format!(
                "<Response><Errors><Error><Code>{}</Code><Message>{xml_message}</Message></Error></Errors>\
                 <RequestID>fake</RequestID></Response>",
                ec2_code(code)
            );
            reply(*status, "text/xml;charset=UTF-8", body)
        }
        Service::Sts => {
            let body = format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{xml_message}</Message></Error><RequestId>fake</RequestId></ErrorResponse>"
            );
            reply(*status, "text/xml", body)
        }
    }
}

/// EC2 has names of its own for the errors that the other APIs share.
fn ec2_code(code: &str) -> &str {
    match code {
        "AccessDeniedException" => "UnauthorizedOperation",
        "ThrottlingException" => "RequestLimitExceeded",
        "UnrecognizedClientException" | "InvalidSignatureException" => "AuthFailure",
        code => code,
    }
}

fn reply(status: u16, content_type: &str, body: String) -> Response<Body> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    let response = response.header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000");
    response.body(Body::from(body)).expect("a status of three digits and plain headers")
}

fn hang_up() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Hangup);
    response
}
