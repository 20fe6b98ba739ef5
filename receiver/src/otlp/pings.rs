//! How often a client may ping a gRPC connection (grpc-go: `keepalive.EnforcementPolicy`).
//!
//! hyper answers pings and does not tell of them, so they are counted on the way in. Closing the connection is the
//! server's business.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::wrapper::passes_writes_on;

/// What a client may do.
#[derive(Clone, Debug)]
pub(super) struct PingPolicy {
    /// Shortest time between two pings.
    pub(super) min_time: Duration,
    /// Whether this also goes for connections without a request; otherwise those may ping every two hours.
    pub(super) permit_without_stream: bool,
}

/// Pings that come too early before the connection is closed.
const FORGIVEN: u32 = 2;
const WITHOUT_STREAM: Duration = Duration::from_secs(7200);

/// The pings of one connection.
pub(super) struct Pings {
    policy: PingPolicy,
    requests: AtomicUsize,
    /// Set by an answer: the ping after it is free, because clients measure their bandwidth with it.
    answered: AtomicBool,
    state: Mutex<State>,
    too_many: Notify,
}

#[derive(Default)]
struct State {
    last: Option<Instant>,
    strikes: u32,
}

impl Pings {
    pub(super) fn new(policy: PingPolicy) -> Pings {
        Pings {
            policy,
            requests: AtomicUsize::new(0),
            answered: AtomicBool::new(false),
            state: Mutex::default(),
            too_many: Notify::new(),
        }
    }

    pub(super) fn request_started(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn request_ended(&self) {
        self.requests.fetch_sub(1, Relaxed);
        self.answered.store(true, Relaxed);
    }

    /// Resolves when the client has pinged too often.
    pub(super) async fn too_many(&self) {
        self.too_many.notified().await;
    }

    fn pinged(&self) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let last = state.last.replace(now);
        if self.answered.swap(false, Relaxed) {
            state.strikes = 0;
            return;
        }
        let idle = self.requests.load(Relaxed) == 0 && !self.policy.permit_without_stream;
        let least = if idle { WITHOUT_STREAM } else { self.policy.min_time };
        if last.is_some_and(|last| now.duration_since(last) < least) {
            state.strikes += 1;
            if state.strikes > FORGIVEN {
                self.too_many.notify_one();
            }
        }
    }
}

/// A connection that counts the pings it reads.
pub(super) struct PingWatch<S> {
    stream: S,
    pings: Option<Arc<Pings>>,
    frames: Frames,
}

impl<S> PingWatch<S> {
    /// With `None` it only passes on.
    pub(super) fn new(stream: S, pings: Option<Arc<Pings>>) -> PingWatch<S> {
        PingWatch { stream, pings, frames: Frames::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PingWatch<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let (Poll::Ready(Ok(())), Some(pings)) = (&read, &this.pings) {
            this.frames.feed(&buf.filled()[before..], || pings.pinged());
        }
        read
    }
}

passes_writes_on!(PingWatch);

/// Where in the client's frames the reading is.
struct Frames {
    /// Bytes to step over: first the connection preface, then the content of frames.
    skip: usize,
    head: [u8; HEAD],
    filled: usize,
}

const PREFACE: usize = 24;
const HEAD: usize = 9;
const PING: u8 = 6;
const ACK: u8 = 1;

impl Default for Frames {
    fn default() -> Self {
        Frames { skip: PREFACE, head: [0; HEAD], filled: 0 }
    }
}

impl Frames {
    fn feed(&mut self, mut bytes: &[u8], mut ping: impl FnMut()) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len());
                self.skip -= n;
                bytes = &bytes[n..];
                continue;
            }
            let n = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
            self.filled += n;
            bytes = &bytes[n..];
            if self.filled == HEAD {
                let [a, b, c, kind, flags, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.filled = 0;
                if kind == PING && flags & ACK == 0 {
                    ping();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for (kind, flags, len) in [(4u8, 0u8, 6usize), (PING, 0, 8), (0, 1, 300), (PING, ACK, 8), (PING, 0, 8)] {
            bytes.extend([0, (len >> 8) as u8, len as u8, kind, flags, 0, 0, 0, 0]);
            bytes.extend(std::iter::repeat_n(PING, len));
        }
        for piece in [1, 2, 7, 100, bytes.len()] {
            let (mut frames, mut pings) = (Frames::default(), 0);
            bytes.chunks(piece).for_each(|chunk| frames.feed(chunk, || pings += 1));
            assert_eq!(pings, 2, "{piece}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn three_early_pings_are_too_many_and_an_answer_forgives() {
        let policy = PingPolicy { min_time: Duration::from_secs(10), permit_without_stream: true };
        let pings = Pings::new(policy.clone());
        let is_over = |pings: &Pings| {
            use futures_util::FutureExt;
            pings.too_many().now_or_never().is_some()
        };
        for seconds in [0, 10, 1, 1] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            pings.pinged();
            assert!(!is_over(&pings));
        }
        pings.request_started();
        pings.request_ended();
        for over in [false, false, false, true] {
            pings.pinged();
            assert_eq!(is_over(&pings), over);
        }
        let strict = Pings::new(PingPolicy { permit_without_stream: false, ..policy });
        for over in [false, false, false, true] {
            tokio::time::advance(Duration::from_secs(60)).await;
            strict.pinged();
            assert_eq!(is_over(&strict), over);
        }
    }
}
