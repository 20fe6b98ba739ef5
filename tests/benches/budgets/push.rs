//! A pushed request: its bytes come over a connection in memory to the `otlp` receiver; the batch is encoded as EMF, or
//! as OTLP again.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use proto::{Batch, BoxFuture, BuildContext, Next, Refusal, Uses};
use receiver::otlp::Direct;
use tokio::runtime::Runtime;

use super::emf::Encoder;
use super::payload::{self, Kind};
use super::wire::Wire;

/// Without a namespace each service has one of its own; with one they would be duplicates of each other.
const EMF: &str = "{log_group_name: /bench/metrics, log_stream_name: s, dimension_rollup_option: NoDimensionRollup}";
/// Of the payload's points; replaced before each round.
const TIME_NANO: u64 = 0x1122_3344_5566_7788;
/// Holds a whole request, so that none falls into pieces by chance.
const PIPE_BYTES: usize = 4 << 20;

/// How the request comes.
#[derive(Clone, Copy)]
pub(crate) enum Over {
    /// A POST over HTTP/1.
    Http,
    /// A call over HTTP/2.
    Grpc,
}

/// Where the batch goes.
pub(crate) enum To {
    /// `PutLogEvents` bodies.
    Emf,
    /// A protobuf body. The bytes that came in are not forwarded, as behind a processor.
    Otlp,
}

/// A receiver with one connection.
pub(crate) struct Push {
    wire: Wire,
    points: usize,
    kept: Arc<Mutex<u64>>,
    is_warm: bool,
    runtime: Runtime,
}

impl Push {
    pub(crate) fn new(kind: Kind, over: Over, to: To) -> Push {
        let (body, points) = payload::request(kind, TIME_NANO);
        let kept = Arc::new(Mutex::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (stream, server) = tokio::io::duplex(PIPE_BYTES);
        let direct = direct(next(to, kept.clone()));
        runtime.spawn(async move {
            match over {
                Over::Http => direct.http(server).await,
                Over::Grpc => direct.grpc(server).await,
            }
        });
        let wire = match over {
            Over::Http => Wire::http(&body, TIME_NANO, stream),
            Over::Grpc => runtime.block_on(Wire::grpc(&body, TIME_NANO, stream)),
        };
        assert_eq!(wire.times(), points, "each point has one time");
        Push { wire, points, kept, is_warm: false, runtime }
    }

    pub(crate) fn points(&self) -> usize {
        self.points
    }

    pub(crate) fn round(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        self.runtime.block_on(self.wire.send(now));
        // The first value of a cumulative series has no difference.
        let kept = std::mem::take(&mut *self.kept.lock().expect("nobody panics with the lock"));
        assert!(kept == self.points as u64 || !self.is_warm, "{kept} of {}", self.points);
        self.is_warm = true;
    }
}

fn direct(next: Next) -> Direct {
    let (node, _) = config::parse_yaml("bench.yaml", "protocols: {grpc: {}, http: {}}");
    let (direct, found) = Direct::build(&node.expect("the section is right"), &BuildContext::for_test("otlp"), &next);
    direct.unwrap_or_else(|| panic!("{found:?}"))
}

/// Encodes what it gets, and adds up the points that are in requests.
fn next(to: To, kept: Arc<Mutex<u64>>) -> Next {
    let encoder = Mutex::new(Encoder::new(EMF));
    let uses = if matches!(to, To::Otlp) { Uses::ALL } else { Uses::NONE };
    let next = Next::new(move |batch: Batch| -> BoxFuture<'static, Result<(), Refusal>> {
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
    });
    next.with_uses(uses)
}
