//! The only way to hand a batch downstream, and what the answer means.
//!
//! The answer is the future's result: who awaits [`Next::send`] learns that the batch was taken (with a sending
//! queue: enqueued; without: delivered) or refused. There is no separate acknowledgement token.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::BoxFuture;
use crate::batch::Batch;

/// What a sender may do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The same batch may succeed later; after this time if it is known.
    Retry(Option<Duration>),
    /// The same batch will never succeed.
    Permanent,
}

/// Longest wait that a refusal can ask for: what is held for a destination must not depend on a slip of its clock.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// A batch was not taken. Whoever gets this still owns the duty to count or retry it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What to do.
    pub kind: RefusalKind,
    /// Text for people.
    pub reason: Cow<'static, str>,
    /// The gRPC code of the destination that refused, which clients that push are told.
    pub code: Option<i32>,
}

impl Refusal {
    /// A refusal that may be retried.
    pub fn retry(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { kind: RefusalKind::Retry(None), reason: reason.into(), code: None }
    }

    /// A refusal that may be retried after a time.
    pub fn retry_after(after: Duration, reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { kind: RefusalKind::Retry(Some(after)), reason: reason.into(), code: None }
    }

    /// A refusal that stays.
    pub fn permanent(reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { kind: RefusalKind::Permanent, reason: reason.into(), code: None }
    }

    /// How long to wait before the batch is offered again: `pause`, or longer when the refusal says so.
    pub fn wait(&self, pause: Duration) -> Duration {
        match self.kind {
            RefusalKind::Retry(Some(after)) => after.min(LONGEST_WISH).max(pause),
            _ => pause,
        }
    }

    /// True if the same batch may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, RefusalKind::Retry(_))
    }

    /// The worse of two answers of branches: permanent refusals lose against retryable ones, because a branch
    /// that can still succeed must get its chance; of two delays the longer one wins.
    pub fn merge(self, other: Refusal) -> Refusal {
        match (self.kind, other.kind) {
            (RefusalKind::Retry(a), RefusalKind::Retry(b)) => Refusal { kind: RefusalKind::Retry(a.max(b)), ..self },
            (RefusalKind::Permanent, RefusalKind::Retry(_)) => other,
            _ => self,
        }
    }
}

/// What of a request is looked at downstream, of what a receiver may leave out when nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// The bytes that it came in (`meta.raw`): somebody may send them on as they are.
    pub request: bool,
    /// Counts and bounds of the buckets of histograms with explicit bounds.
    pub buckets: bool,
}

impl Uses {
    /// Everything.
    pub const ALL: Uses = Uses { request: true, buckets: true };
    /// Nothing of it.
    pub const NONE: Uses = Uses { request: false, buckets: false };

    /// What one of two uses.
    pub fn or(self, other: Uses) -> Uses {
        Uses { request: self.request || other.request, buckets: self.buckets || other.buckets }
    }
}

/// Takes batches: a pipeline, a fan-out, a test.
pub trait Consume: Send + Sync {
    /// Takes the batch or says why not.
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>>;
    /// What is looked at there.
    fn uses(&self) -> Uses {
        Uses::ALL
    }
}

/// Handle on what is downstream. Cheap to clone.
#[derive(Clone)]
pub struct Next(Arc<dyn Consume>);

impl Next {
    /// Wraps a consumer.
    pub fn new(consumer: impl Consume + 'static) -> Next {
        Next(Arc::new(consumer))
    }

    /// The same, of which is known that it looks at these; for tests, benches and fuzz targets. Pipelines know it of
    /// their parts.
    pub fn with_uses(self, uses: Uses) -> Next {
        struct Known(Next, Uses);
        impl Consume for Known {
            fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
                self.0.send(batch)
            }
            fn uses(&self) -> Uses {
                self.1
            }
        }
        Next::new(Known(self, uses))
    }

    /// Hands over a batch and waits until it is taken or refused.
    pub fn send(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        self.0.consume(batch)
    }

    /// What is looked at downstream. Who reads requests need not keep the rest.
    pub fn uses(&self) -> Uses {
        self.0.uses()
    }
}

/// Consumer from a function; for tests and small adapters.
impl<F> Consume for F
where
    F: Fn(Batch) -> BoxFuture<'static, Result<(), Refusal>> + Send + Sync,
{
    fn consume(&self, batch: Batch) -> BoxFuture<'_, Result<(), Refusal>> {
        self(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_granted_within_bounds() {
        let pause = Duration::from_secs(1);
        assert_eq!(Refusal::retry("busy").wait(pause), pause);
        for (wish, wait) in [(0, 1), (7, 7), (86_400, 300)] {
            let refusal = Refusal::retry_after(Duration::from_secs(wish), "busy");
            assert_eq!(refusal.wait(pause), Duration::from_secs(wait));
        }
    }
}
