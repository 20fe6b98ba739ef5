//! One request on its way: attempts with a timeout and waits between them. Which request comes next is decided by
//! `queue`, what its end means by `ticket`.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use proto::RefusalKind;
use tokio::time::Instant;

use super::books::Lost;
use super::retry::Backoff;
use super::ticket::Ticket;
use super::{Inner, Rejections};
use crate::{Encoder, Exporter, Outcome, OutgoingRequest};

/// A queued request with its share in its batch.
pub(crate) struct Item<R> {
    pub(crate) request: R,
    pub(crate) ticket: Arc<Ticket>,
}

/// How a request ended.
enum End {
    Delivered(Rejections),
    /// Given up, with the reason for the counter, the text for people, whether another try of the batch may help (and
    /// when, if the destination said so), and the code of the destination's answer.
    Lost {
        reason: Cow<'static, str>,
        error: String,
        kind: RefusalKind,
        code: Option<i32>,
    },
}

/// Longest wait between attempts once the sender shuts down.
const DRAIN_WAIT: Duration = Duration::from_secs(1);

/// Takes requests and brings each to its end, until the queue is closed and empty.
pub(crate) async fn work<E: Exporter>(inner: Arc<Inner<E>>) {
    while let Some((lane, item)) = inner.queue.next().await {
        let end = match AssertUnwindSafe(inner.deliver(&item.request)).catch_unwind().await {
            Ok(end) => end,
            Err(_) => End::Lost {
                reason: "panic".into(),
                error: "the exporter panicked; this is a bug, please report it".to_owned(),
                kind: RefusalKind::Permanent,
                code: None,
            },
        };
        let bytes = item.request.size_bytes();
        inner.settle(item, end);
        inner.queue.done(lane);
        inner.pace.settled(bytes);
    }
}

impl<E: Exporter> Inner<E> {
    async fn deliver(&self, request: &<E::Encoder as Encoder>::Request) -> End {
        let mut backoff = Backoff::new(&self.settings.retry);
        loop {
            let outcome = tokio::select! {
                biased;
                outcome = self.attempt(request) => outcome,
                () = self.abort.cancelled() => return lost_at_shutdown("the time to drain is over"),
            };
            self.pace.attempted(matches!(outcome, Outcome::Retry { .. }));
            let (after, code, error) = match outcome {
                Outcome::Delivered { rejected } => return End::Delivered(rejected),
                Outcome::Permanent { reason, code, error } => {
                    let error = format!("not retryable error: {error}");
                    return End::Lost { reason, error, kind: RefusalKind::Permanent, code };
                }
                Outcome::Retry { after, code, error } => (after, code, error),
            };
            let Some(mut wait) = backoff.next(after, fastrand::f64()) else {
                let (reason, error) = match self.settings.retry.enabled {
                    true => ("retries_exhausted", format!("no more retries left: {error}")),
                    false => ("retry_disabled", error),
                };
                return End::Lost { reason: reason.into(), error, kind: RefusalKind::Retry(after), code };
            };
            if let Some(deadline) = self.drain_deadline() {
                wait = wait.min(DRAIN_WAIT.max(after.unwrap_or_default()));
                if Instant::now() + wait >= deadline {
                    return lost_at_shutdown(&error);
                }
            }
            tracing::info!(
                exporter = %self.books.id, %error, interval = ?wait,
                "Exporting failed. Will retry the request after interval."
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.draining.cancelled(), if !self.draining.is_cancelled() => {}
                () = self.abort.cancelled() => return lost_at_shutdown(&error),
            }
        }
    }

    async fn attempt(&self, request: &<E::Encoder as Encoder>::Request) -> Outcome {
        let send = self.exporter.send(request);
        let Some(limit) = self.settings.timeout else { return send.await };
        match tokio::time::timeout(limit, send).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let error = format!("no answer within the timeout of {limit:?}");
                Outcome::Retry { after: None, code: None, error }
            }
        }
    }

    /// Books the end of a request and tells who waits.
    fn settle(&self, item: Item<<E::Encoder as Encoder>::Request>, end: End) {
        let points = item.request.points();
        match end {
            End::Delivered(rejected) => item.ticket.delivered(points, &rejected),
            End::Lost { reason, error, kind, code } => item.ticket.lost(Lost { points, reason, error, kind, code }),
        }
    }

    /// Books a request that was never taken out of the queue.
    pub(crate) fn abandon(&self, item: Item<<E::Encoder as Encoder>::Request>) {
        self.settle(item, lost_at_shutdown("the time to drain is over"));
    }
}

fn lost_at_shutdown(error: &str) -> End {
    let error = format!("interrupted due to shutdown: {error}");
    End::Lost { reason: "shutdown".into(), error, kind: RefusalKind::Retry(None), code: None }
}
