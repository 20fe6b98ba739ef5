//! OTLP over gRPC: messages in every encoding and framing have the statuses that a model of the protocol gives, and
//! nothing is acknowledged that was not handed on.
//!
//! Input: a byte that says how, a byte of piece size and oddities, then the message; or a byte with [`RAW`] and
//! everything that the connection carries after the client's preface.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::otlp::{DecodeLimits, decode};

use super::packing::packed;
use super::peer::{MESSAGE_BYTES, Peer};

const ENCODING: u8 = 0b111;
/// The message is compressed here; otherwise it is sent as it is, whatever the header says.
const PACK: u8 = 8;
/// The flag of the message says that it is compressed.
const FLAG: u8 = 16;
const REFUSE: u8 = 32;
/// The input has the prefix of the message, too.
const FRAMED: u8 = 64;
const RAW: u8 = 128;
/// Names in the header and the encodings they stand for.
const ENCODINGS: [Option<(&str, &str)>; 8] = [
    None,
    Some(("identity", "")),
    Some(("gzip", "gzip")),
    Some(("zstd", "zstd")),
    Some(("snappy", "x-snappy-framed")),
    Some(("lz4", "lz4")),
    Some(("deflate", "deflate")),
    Some(("GZIP", "gzip")),
];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const OK: u16 = 0;
const INVALID_ARGUMENT: u16 = 3;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;

thread_local! {
    static PEERS: [Peer; 2] = Peer::both();
}

/// Runs one input; panics when something does not hold.
pub fn run(data: &[u8]) {
    PEERS.with(|peers| match data {
        [how, bytes @ ..] if how & RAW != 0 => peers.iter().for_each(|peer| raw(peer, bytes)),
        [how, odd, body @ ..] => {
            let case = Case::new(*how, *odd, body);
            peers.iter().for_each(|peer| call(peer, &case));
        }
        _ => {}
    });
}

/// Any bytes: the connection ends, and what comes back are whole HTTP/2 frames.
fn raw(peer: &Peer, bytes: &[u8]) {
    peer.refuse(false);
    let answer = peer.grpc(&[PREFACE, bytes].concat());
    peer.taken();
    let mut rest = &answer[..];
    while let [a, b, c, _, _, _, _, _, _, after @ ..] = rest {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        assert!(length <= after.len(), "a frame of {length} bytes has {}", after.len());
        rest = &after[length..];
    }
    assert!(rest.is_empty(), "{rest:?}");
}

/// A call as it is sent.
struct Case {
    path: &'static str,
    content_type: &'static str,
    encoding: Option<(&'static str, &'static str)>,
    /// Prefix and message.
    wire: Vec<u8>,
    /// The message itself, where it is known without inflating.
    plain: Option<Vec<u8>>,
    piece: usize,
    refuse: bool,
}

impl Case {
    fn new(how: u8, odd: u8, body: &[u8]) -> Case {
        let encoding = ENCODINGS[usize::from(how & ENCODING)];
        let name = encoding.map_or("", |(_, name)| name);
        let (mut wire, mut plain) = (Vec::new(), None);
        if how & FRAMED != 0 {
            wire.extend(body);
            if let [0, _, _, _, _, message @ ..] = body {
                plain = Some(message.to_vec());
            }
        } else {
            let (packs, flag) = (how & PACK != 0 && !name.is_empty(), u8::from(how & FLAG != 0));
            let message = if packs { packed(name, body) } else { body.to_vec() };
            if flag == 0 {
                plain = Some(message.clone());
            } else if packs {
                plain = Some(body.to_vec());
            }
            wire.push(flag);
            wire.extend(u32::try_from(message.len()).expect("inputs are small").to_be_bytes());
            wire.extend(message);
        }
        Case {
            path: if odd & 64 != 0 { "/opentelemetry.proto.collector.trace.v1.TraceService/Export" } else { METHOD },
            content_type: if odd & 128 != 0 { "application/json" } else { "application/grpc+proto" },
            encoding,
            wire,
            plain,
            piece: usize::from(odd & 63) * 16,
            refuse: how & REFUSE != 0,
        }
    }

    /// Status and points handed on, as the protocol says; nothing where the message would have to be inflated to know.
    fn expected(&self) -> Option<(u16, Option<usize>)> {
        if self.path != METHOD {
            return Some((UNIMPLEMENTED, None));
        }
        let [flag, a, b, c, d, message @ ..] = &self.wire[..] else { return Some((INTERNAL, None)) };
        let announced = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if announced > MESSAGE_BYTES {
            return Some((RESOURCE_EXHAUSTED, None));
        }
        if announced != message.len() {
            return Some((INTERNAL, None));
        }
        let known = match self.encoding {
            None | Some(("identity", _)) => false,
            Some(("gzip" | "zstd" | "snappy", _)) => true,
            Some(_) => return Some((UNIMPLEMENTED, None)),
        };
        if *flag > 1 || *flag == 1 && !known {
            return Some((INTERNAL, None));
        }
        let plain = self.plain.as_ref()?;
        if plain.len() > MESSAGE_BYTES {
            return Some((RESOURCE_EXHAUSTED, None));
        }
        Some(match decode(Bytes::copy_from_slice(plain), &DecodeLimits::default()) {
            Err(_) => (INVALID_ARGUMENT, None),
            Ok(batch) if batch.is_empty() => (OK, None),
            Ok(batch) => (if self.refuse { UNAVAILABLE } else { OK }, Some(batch.points())),
        })
    }

    fn request(&self) -> http::Request<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>> {
        let mut request =
            http::Request::post(format!("http://a{}", self.path)).header("content-type", self.content_type);
        if let Some((name, _)) = self.encoding {
            request = request.header("grpc-encoding", name);
        }
        let wire = Bytes::from(self.wire.clone());
        let size = if self.piece == 0 { wire.len().max(1) } else { self.piece };
        let pieces: Vec<_> = (0..wire.len().div_ceil(size))
            .map(|i| Ok(Frame::data(wire.slice(i * size..wire.len().min((i + 1) * size)))))
            .collect();
        request.body(StreamBody::new(stream::iter(pieces))).expect("the request is valid")
    }
}

fn call(peer: &Peer, case: &Case) {
    peer.refuse(case.refuse);
    let (http, status) = peer.runtime.block_on(answer(peer, case));
    let taken = peer.taken();
    if case.content_type == "application/json" {
        assert_eq!((http, status, taken.len()), (415, None, 0));
        return;
    }
    assert_eq!(http, 200);
    let status = status.expect("a call has a status");
    match case.expected() {
        Some((expected, points)) => {
            assert_eq!(status, expected);
            assert_eq!(taken, Vec::from_iter(points));
        }
        None => {
            let known = [OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE];
            assert!(known.contains(&status), "{status}");
            assert!(taken.len() <= 1 && (status == UNAVAILABLE) == (case.refuse && taken.len() == 1));
            assert!(status == OK || taken.is_empty() || case.refuse);
        }
    }
}

/// HTTP status, and gRPC status from headers or trailers.
async fn answer(peer: &Peer, case: &Case) -> (u16, Option<u16>) {
    let (client, server) = peer.grpc_connection();
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await;
    let (mut sender, connection) = shaken.expect("the connection is there");
    let client = tokio::spawn(connection);
    let response = sender.send_request(case.request()).await.expect("every call is answered");
    let (head, body) = response.into_parts();
    let collected = body.collect().await.expect("the answer ends");
    let status = head.headers.get("grpc-status").or_else(|| collected.trailers()?.get("grpc-status"));
    let status = status.map(|value| value.to_str().ok().and_then(|text| text.parse().ok()).expect("a number"));
    drop(sender);
    client.await.expect("the client does not panic").ok();
    server.await.expect("the server does not panic");
    (head.status.as_u16(), status)
}
