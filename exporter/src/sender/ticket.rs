//! What the requests of a batch share, and what their ends come to for a caller that waits.
//!
//! A batch whose caller waits is the caller's until the answer: refused so that it may be tried again, it was never
//! received here, and the caller has to send or count it. Only when the caller has gone away, or part of the batch is
//! delivered, is the rest lost here.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use proto::Refusal;
use tokio::sync::oneshot;

use super::Rejections;
use super::books::{Books, Lost};
use super::space::Reservation;

/// The room that the requests of a batch take, and who waits for them. The last one to drop it frees the room and
/// gives the answer.
pub(crate) struct Ticket {
    reservation: Option<Reservation>,
    books: Arc<Books>,
    waiter: Option<Waiter>,
    delivered_some: AtomicBool,
    /// Of a batch that is waited for.
    lost: Mutex<Vec<Lost>>,
}

/// A caller that waits for the result.
pub(crate) struct Waiter {
    pub(crate) tell: oneshot::Sender<Result<(), Refusal>>,
    /// What the encoder left out; booked when the batch is not given back.
    pub(crate) left_out: Rejections,
}

impl Ticket {
    pub(crate) fn new(reservation: Reservation, books: Arc<Books>, waiter: Option<Waiter>) -> Ticket {
        Ticket {
            reservation: Some(reservation),
            books,
            waiter,
            delivered_some: AtomicBool::new(false),
            lost: Mutex::default(),
        }
    }

    /// The destination has a request, but for what it rejected.
    pub(crate) fn delivered(&self, points: u64, rejected: &Rejections) {
        if self.waiter.is_some() {
            self.books.ledger.taken(points, &[]);
        }
        self.books.ledger.delivered(points, rejected);
        self.delivered_some.store(true, Relaxed);
    }

    /// A request was given up.
    pub(crate) fn lost(&self, lost: Lost) {
        match self.waiter {
            Some(_) => self.lost.lock().expect("no panic while locked").push(lost),
            None => self.books.dropped(lost),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.reservation = None;
        let Some(Waiter { tell, left_out }) = self.waiter.take() else { return };
        let lost = std::mem::take(&mut *self.lost.lock().expect("no panic while locked"));
        let refusals =
            lost.iter().map(|lost| Refusal { kind: lost.kind, reason: lost.error.clone().into(), code: lost.code });
        let (tell, answer) = match refusals.reduce(Refusal::merge) {
            None => (Some(tell), Ok(())),
            // Sending the batch again would write the delivered part twice.
            Some(refusal) if *self.delivered_some.get_mut() => (Some(tell), Err(Refusal::permanent(refusal.reason))),
            Some(refusal) if refusal.is_retryable() => match tell.send(Err(refusal)) {
                Ok(()) => return self.books.given_back(&lost),
                Err(answer) => (None, answer),
            },
            Some(refusal) => (Some(tell), Err(refusal)),
        };
        self.books.kept(&left_out, lost);
        if let Some(tell) = tell {
            // Nobody waits any more when the caller was cancelled.
            drop(tell.send(answer));
        }
    }
}
