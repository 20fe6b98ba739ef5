//! Requests on their way: attempts with a timeout and waits between them. Which request comes next is decided by
//! `queue`, what its end means by `ticket`. Requests that wait behind one in its lane go out with it where the
//! destination takes them in one; if it refuses that one for good, each goes alone, so that none suffers for another.

use std::borrow::Cow;
use std::iter;
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

impl End {
    /// The end for a request of so many points of those that had this one together. Which of them had the points that
    /// the destination left out is not known, and for the books it does not matter.
    fn share(&mut self, points: u64) -> End {
        match self {
            End::Delivered(rejected) => {
                let mut left = points;
                let take = |(reason, n): &mut (Cow<'static, str>, u64)| {
                    let taken = (*n).min(left);
                    *n -= taken;
                    left -= taken;
                    (taken > 0).then(|| (reason.clone(), taken))
                };
                End::Delivered(rejected.iter_mut().filter_map(take).collect())
            }
            End::Lost { reason, error, kind, code } => {
                End::Lost { reason: reason.clone(), error: error.clone(), kind: *kind, code: *code }
            }
        }
    }
}

/// Longest wait between attempts once the sender shuts down.
const DRAIN_WAIT: Duration = Duration::from_secs(1);

/// Takes requests and brings each to its end, until the queue is closed and empty.
pub(crate) async fn work<E: Exporter>(inner: Arc<Inner<E>>) {
    while let Some((lane, item)) = inner.queue.next().await {
        let mut items = inner.queue.more(lane, |waiting| {
            let requests = iter::once(&item).chain(waiting).map(|item| &item.request);
            <E::Encoder as Encoder>::Request::joinable(requests).saturating_sub(1)
        });
        items.insert(0, item);
        let bytes = items.iter().map(|item| item.request.size_bytes()).sum();
        inner.bring(items).await;
        inner.queue.done(lane);
        inner.pace.settled(bytes);
    }
}

impl<E: Exporter> Inner<E> {
    /// Brings requests of a lane to their end, as one when they can be.
    async fn bring(&self, items: Vec<Item<<E::Encoder as Encoder>::Request>>) {
        if items.len() > 1 {
            let requests: Vec<_> = items.iter().map(|item| &item.request).collect();
            if let Some(joint) = OutgoingRequest::join(&requests) {
                match self.end_of(&joint).await {
                    End::Lost { kind: RefusalKind::Permanent, .. } => {}
                    end => return self.settle_all(items, end),
                }
            }
        }
        for item in items {
            let end = self.end_of(&item.request).await;
            self.settle(item, end);
        }
    }

    async fn end_of(&self, request: &<E::Encoder as Encoder>::Request) -> End {
        AssertUnwindSafe(self.deliver(request)).catch_unwind().await.unwrap_or_else(|_| End::Lost {
            reason: "panic".into(),
            error: "the exporter panicked; this is a bug, please report it".to_owned(),
            kind: RefusalKind::Permanent,
            code: None,
        })
    }

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

    /// Books the end that requests had together.
    fn settle_all(&self, items: Vec<Item<<E::Encoder as Encoder>::Request>>, end: End) {
        let mut end = end;
        for item in items {
            let its_end = end.share(item.request.points());
            self.settle(item, its_end);
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
