//! The `otlp` receiver at the other end of a connection in memory, and what it handed on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use proto::{Batch, BoxFuture, BuildContext, Next, Refusal, Uses};
use receiver::otlp::Direct;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;

/// Largest body over HTTP, small so that inputs reach it.
pub(crate) const BODY_BYTES: usize = 16 << 10;
/// Largest message over gRPC, the least that can be configured.
pub(crate) const MESSAGE_BYTES: usize = 1 << 20;
/// What a connection holds that nobody has read.
const PIPE_BYTES: usize = 16 << 10;

/// A receiver of one's own; cases run one after the other.
pub(crate) struct Peer {
    pub(crate) runtime: Runtime,
    direct: Arc<Direct>,
    taken: Arc<Mutex<Vec<Batch>>>,
    refuses: Arc<AtomicBool>,
}

impl Peer {
    /// One before a pipeline that looks at everything, and one before a pipeline that does not, where bodies are decoded
    /// while they come in: both have to give the same answers.
    pub(crate) fn both() -> [Peer; 2] {
        [Uses::ALL, Uses::NONE].map(Peer::new)
    }

    fn new(uses: Uses) -> Peer {
        let text =
            format!("protocols: {{grpc: {{max_recv_msg_size_mib: 1}}, http: {{max_request_body_size: {BODY_BYTES}}}}}");
        let (node, _) = config::parse_yaml("fuzz.yaml", &text);
        let (taken, refuses) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (to, refused) = (taken.clone(), refuses.clone());
        let next = Next::new(move |batch: Batch| -> BoxFuture<'static, Result<(), Refusal>> {
            to.lock().expect("nobody panics with the lock").push(batch);
            let answer = if refused.load(Ordering::Relaxed) { Err(Refusal::retry("full")) } else { Ok(()) };
            Box::pin(async move { answer })
        });
        let next = next.with_uses(uses);
        let (direct, found) =
            Direct::build(&node.expect("the section is right"), &BuildContext::for_test("otlp"), &next);
        let direct = direct.unwrap_or_else(|| panic!("{found:?}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Peer { runtime, direct: Arc::new(direct), taken, refuses }
    }

    /// Whether batches are refused from now on.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Points of the batches that were handed on since the last call.
    pub(crate) fn taken(&self) -> Vec<usize> {
        self.taken.lock().expect("nobody panics with the lock").drain(..).map(|batch| batch.points()).collect()
    }

    /// Sends bytes over an HTTP connection; gives everything that comes back until it ends. With `hang_up` the client
    /// ends its side after them.
    pub(crate) fn http(&self, bytes: &[u8], hang_up: bool) -> Vec<u8> {
        self.runtime.block_on(async {
            let (client, server) = tokio::io::duplex(PIPE_BYTES);
            let ((), answer) = tokio::join!(self.direct.http(server), talk(client, bytes, hang_up));
            answer
        })
    }

    /// Sends bytes over a gRPC connection and ends it.
    pub(crate) fn grpc(&self, bytes: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let (client, server) = tokio::io::duplex(PIPE_BYTES);
            let ((), answer) = tokio::join!(self.direct.grpc(server), talk(client, bytes, true));
            answer
        })
    }

    /// The client's end of a gRPC connection; to be used inside the runtime.
    pub(crate) fn grpc_connection(&self) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let direct = self.direct.clone();
        (client, self.runtime.spawn(async move { direct.grpc(server).await }))
    }
}

async fn talk(client: DuplexStream, bytes: &[u8], hang_up: bool) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(client);
    let mut answer = Vec::new();
    let ask = async {
        // The server may end the connection before it has read everything.
        if write.write_all(bytes).await.is_ok() && hang_up {
            write.shutdown().await.ok();
        }
    };
    let (_, read) = tokio::join!(ask, read.read_to_end(&mut answer));
    read.expect("a connection in memory does not fail");
    answer
}
