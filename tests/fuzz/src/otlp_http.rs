//! OTLP over HTTP: bodies in every encoding and odd requests have the answers that a model of the protocol gives, and
//! nothing is acknowledged that was not handed on.
//!
//! Input: a byte that says how, a byte of oddities, then the body; or a byte with [`RAW`] and everything that the
//! connection carries.

use bytes::Bytes;
use proto::Batch;
use proto::otlp::{DecodeLimits, RpcStatus, decode, decode_json};

use super::packing::packed;
use super::peer::{BODY_BYTES, Peer};

const JSON_FORM: u8 = 1;
const ENCODING: u8 = 0b1110;
/// The body is compressed here; otherwise it is sent as it is, whatever the header says.
const PACK: u8 = 16;
const CHUNKED: u8 = 32;
const REFUSE: u8 = 64;
const RAW: u8 = 128;
const ENCODINGS: [&str; 8] = ["", "gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"];

thread_local! {
    static PEERS: [Peer; 2] = Peer::both();
}

/// Runs one input; panics when something does not hold.
pub fn run(data: &[u8]) {
    PEERS.with(|peers| match data {
        [how, bytes @ ..] if how & RAW != 0 => peers.iter().for_each(|peer| raw(peer, bytes)),
        [how, odd, body @ ..] => {
            let case = Case::new(*how, *odd, body);
            peers.iter().for_each(|peer| request(peer, &case));
        }
        _ => {}
    });
}

/// Any bytes: the connection ends, and every batch that was handed on has its answer.
fn raw(peer: &Peer, bytes: &[u8]) {
    peer.refuse(false);
    let answers = peer.http(bytes, true);
    let acknowledged = answers.windows(12).filter(|window| window == b"HTTP/1.1 200").count();
    assert!(peer.taken().len() <= acknowledged, "{}", String::from_utf8_lossy(&answers));
}

/// A request as it is sent.
struct Case {
    method: &'static str,
    path: &'static str,
    content_type: Option<&'static str>,
    encoding: &'static str,
    wire: Vec<u8>,
    /// The inflated body, where it is known without inflating.
    plain: Option<Vec<u8>>,
    chunked: bool,
    refuse: bool,
}

/// What has to come back.
#[derive(Debug, PartialEq)]
struct Expected {
    status: u16,
    /// Points that are handed on.
    points: Option<usize>,
}

impl Case {
    fn new(how: u8, odd: u8, body: &[u8]) -> Case {
        let mut encoding = ENCODINGS[usize::from((how & ENCODING) >> 1)];
        let packs = how & PACK != 0 && !encoding.is_empty();
        let wire = if packs { packed(encoding, body) } else { body.to_vec() };
        let plain = (packs || encoding.is_empty() || body.is_empty()).then(|| body.to_vec());
        let is_json = how & JSON_FORM != 0;
        let mut content_type = Some(if is_json { "application/json" } else { "application/x-protobuf" });
        match odd & 0x1c {
            0x04 => content_type = None,
            0x08 => content_type = Some("text/plain"),
            0x0c if is_json => content_type = Some("application/JSON; charset=utf-8"),
            0x10 => encoding = "br",
            _ => {}
        }
        Case {
            method: if odd & 1 != 0 { "PUT" } else { "POST" },
            path: if odd & 2 != 0 { "/v1/traces" } else { "/v1/metrics" },
            content_type,
            encoding,
            wire,
            plain,
            chunked: how & CHUNKED != 0,
            refuse: how & REFUSE != 0,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n", self.method, self.path);
        if let Some(content_type) = self.content_type {
            head += &format!("content-type: {content_type}\r\n");
        }
        if !self.encoding.is_empty() {
            head += &format!("content-encoding: {}\r\n", self.encoding);
        }
        if !self.chunked {
            head += &format!("content-length: {}\r\n\r\n", self.wire.len());
            return [head.as_bytes(), &self.wire].concat();
        }
        let mut bytes = (head + "transfer-encoding: chunked\r\n\r\n").into_bytes();
        for chunk in self.wire.chunks(1000) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }

    fn is_json(&self) -> bool {
        self.content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("application/json"))
    }

    fn decoded(&self, plain: &[u8]) -> Option<Batch> {
        match self.is_json() {
            true => decode_json(plain).ok(),
            false => decode(Bytes::copy_from_slice(plain), &DecodeLimits::default()).ok(),
        }
    }

    /// What the protocol says; nothing where the body would have to be inflated to know.
    fn expected(&self) -> Option<Expected> {
        let refused = |status| Some(Expected { status, points: None });
        let known_form = matches!(self.content_type, Some("application/x-protobuf" | "application/json") | None);
        if !ENCODINGS.contains(&self.encoding) {
            return refused(if known_form { 400 } else { 500 });
        }
        if self.path != "/v1/metrics" {
            return refused(404);
        }
        if self.method != "POST" {
            return refused(405);
        }
        if self.content_type.is_none_or(|text| text == "text/plain") {
            return refused(415);
        }
        if self.wire.len() > BODY_BYTES {
            return refused(400);
        }
        let plain = self.plain.as_ref()?;
        if plain.len() > BODY_BYTES {
            return refused(400);
        }
        match self.decoded(plain) {
            None => refused(400),
            Some(batch) if batch.is_empty() => refused(200),
            Some(batch) => Some(Expected { status: if self.refuse { 503 } else { 200 }, points: Some(batch.points()) }),
        }
    }
}

fn request(peer: &Peer, case: &Case) {
    peer.refuse(case.refuse);
    let answer = peer.http(&case.bytes(), false);
    let (status, body) = read(&answer);
    let taken = peer.taken();
    match case.expected() {
        Some(Expected { status: expected, points }) => {
            assert_eq!(status, expected, "{}", String::from_utf8_lossy(body));
            assert_eq!(taken, Vec::from_iter(points));
        }
        None => {
            assert!(matches!(status, 200 | 400 | 503), "{status}");
            assert!(taken.len() <= 1 && (status == 503) == (case.refuse && taken.len() == 1));
            assert!(status == 200 || taken.is_empty() || case.refuse);
        }
    }
    if matches!(status, 200 | 400 | 503) && case.content_type.is_some_and(|text| text != "text/plain") {
        check_body(case, status, body);
    }
}

/// Acknowledgements and refusals are messages in the form of the request.
fn check_body(case: &Case, status: u16, body: &[u8]) {
    if case.is_json() {
        let told: serde_json::Value = serde_json::from_slice(body).expect("the answer is JSON");
        assert_eq!(told.get("partialSuccess").is_some(), status == 200, "{told}");
        assert_eq!(told.get("message").is_some(), status != 200, "{told}");
    } else if status == 200 {
        assert_eq!(body, b"\x0a\x00");
    } else {
        let told = RpcStatus::decode(body).expect("the answer is a status");
        assert!(told.code > 0 && !told.message.is_empty(), "{told:?}");
    }
}

/// Status and body of the one answer.
fn read(answer: &[u8]) -> (u16, &[u8]) {
    let text = String::from_utf8_lossy(answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let head = std::str::from_utf8(&answer[..end]).expect("a head is plain text");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let body = &answer[end + 4..];
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    assert_eq!(length.unwrap_or(0), body.len(), "{text}");
    (status.unwrap_or_else(|| panic!("no status: {text}")), body)
}
