//! A pushed request: its bytes come over a connection in memory to the `otlp` receiver; the batch is encoded as EMF, or
//! as OTLP again.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use proto::{Batch, BoxFuture, BuildContext, Next, Refusal};
use receiver::otlp::Direct;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;

use super::emf::Encoder;
use super::payload::{self, Kind};

/// Without a namespace each service has one of its own; with one they would be duplicates of each other.
const EMF: &str = "{log_group_name: /bench/metrics, log_stream_name: s, dimension_rollup_option: NoDimensionRollup}";
/// What the receiver answers to a request that it took.
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\n";
/// Of the payload's points; replaced before each round.
const TIME_NANO: u64 = 0x1122_3344_5566_7788;
/// Holds a whole request, so that none falls into pieces by chance.
const PIPE_BYTES: usize = 4 << 20;

/// Where the batch goes.
pub(crate) enum To {
    /// `PutLogEvents` bodies.
    Emf,
    /// A protobuf body. The bytes that came in are not forwarded, as behind a processor.
    Otlp,
}

/// A receiver with one connection.
pub(crate) struct Push {
    request: Vec<u8>,
    /// Places of the time in it.
    times: Vec<usize>,
    points: usize,
    kept: Arc<Mutex<u64>>,
    is_warm: bool,
    stream: DuplexStream,
    runtime: Runtime,
}

impl Push {
    pub(crate) fn new(kind: Kind, to: To) -> Push {
        let (body, points) = payload::request(kind, TIME_NANO);
        let head = "POST /v1/metrics HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";
        let mut request = format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend(body);
        let pattern = TIME_NANO.to_le_bytes();
        let times: Vec<usize> = places(&request, &pattern);
        assert_eq!(times.len(), points, "each point has one time");
        let kept = Arc::new(Mutex::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (stream, server) = tokio::io::duplex(PIPE_BYTES);
        let direct = direct(next(to, kept.clone()));
        runtime.spawn(async move { direct.http(server).await });
        Push { request, times, points, kept, is_warm: false, stream, runtime }
    }

    pub(crate) fn points(&self) -> usize {
        self.points
    }

    pub(crate) fn round(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        for at in &self.times {
            self.request[*at..*at + 8].copy_from_slice(&now.to_le_bytes());
        }
        let (stream, request) = (&mut self.stream, &self.request);
        let mut answer = [0; 1024];
        let length = self.runtime.block_on(async {
            stream.write_all(request).await.expect("the receiver reads");
            stream.read(&mut answer).await.expect("the receiver answers")
        });
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with(TAKEN) && text.ends_with("\r\n\r\n\n\0"), "{text}");
        // The first value of a cumulative series has no difference.
        let kept = std::mem::take(&mut *self.kept.lock().expect("nobody panics with the lock"));
        assert!(kept == self.points as u64 || !self.is_warm, "{kept} of {}", self.points);
        self.is_warm = true;
    }
}

fn direct(next: Next) -> Direct {
    let (node, _) = config::parse_yaml("bench.yaml", "protocols: {http: {}}");
    let (direct, found) = Direct::build(&node.expect("the section is right"), &BuildContext::for_test("otlp"), &next);
    direct.unwrap_or_else(|| panic!("{found:?}"))
}

/// Encodes what it gets, and adds up the points that are in requests.
fn next(to: To, kept: Arc<Mutex<u64>>) -> Next {
    let encoder = Mutex::new(Encoder::new(EMF));
    Next::new(move |batch: Batch| -> BoxFuture<'static, Result<(), Refusal>> {
        let points = match to {
            To::Emf => encoder.lock().expect("nobody panics with the lock").encode(&batch),
            To::Otlp => {
                let mut body = Vec::new();
                proto::otlp::encode(&batch, &mut body);
                assert!(!body.is_empty());
                batch.points() as u64
            }
        };
        *kept.lock().expect("nobody panics with the lock") += points;
        Box::pin(std::future::ready(Ok(())))
    })
}

fn places(bytes: &[u8], pattern: &[u8]) -> Vec<usize> {
    (0..bytes.len() - pattern.len()).filter(|at| bytes[*at..].starts_with(pattern)).collect()
}
