//! What the end of a request means for the counters and the log. Decides nothing about requests.

use std::borrow::Cow;

use proto::{BuildContext, Refusal, RefusalKind};

use super::Rejections;
use super::ledger::Ledger;
use super::space::Space;

/// The ledger of an exporter with its words in the log.
pub(crate) struct Books {
    /// The exporter.
    pub(crate) id: String,
    /// What to try, appended to failures.
    advice: &'static str,
    pub(crate) ledger: Ledger,
}

/// A request that could not be delivered.
pub(crate) struct Lost {
    pub(crate) points: u64,
    /// For the counter.
    pub(crate) reason: Cow<'static, str>,
    /// For people.
    pub(crate) error: String,
    /// Whether another try of the batch may help, and when if the destination said so.
    pub(crate) kind: RefusalKind,
    /// The status that the destination gave.
    pub(crate) code: Option<i32>,
}

impl Books {
    pub(crate) fn new(context: &BuildContext, space: Space, advice: &'static str) -> Books {
        Books { id: context.id.clone(), advice, ledger: Ledger::new(context, space) }
    }

    /// A batch did not come in.
    pub(crate) fn turned_away(&self, points: u64, refusal: &Refusal) {
        self.ledger.refused(points);
        self.say_rejected(points, &refusal.reason);
    }

    /// Requests of a batch failed, and the caller keeps the batch.
    pub(crate) fn given_back(&self, lost: &[Lost]) {
        for Lost { points, error, .. } in lost {
            self.ledger.given_back(*points);
            self.say_rejected(*points, error);
        }
    }

    /// Requests of a batch whose caller waited failed, and nobody keeps the batch. `left_out` is what the encoder
    /// left out of it.
    pub(crate) fn kept(&self, left_out: &Rejections, lost: Vec<Lost>) {
        let points = lost.iter().map(|lost| lost.points).sum();
        self.ledger.taken(points, left_out);
        lost.into_iter().for_each(|lost| self.dropped(lost));
    }

    /// A request was given up.
    pub(crate) fn dropped(&self, lost: Lost) {
        let Lost { points, reason, error, .. } = lost;
        tracing::error!(
            exporter = %self.id, %error, dropped_items = points, reason = &*reason,
            "Exporting failed. Dropping data.{}", self.advice
        );
        self.ledger.lost(points, reason);
    }

    fn say_rejected(&self, points: u64, error: &str) {
        tracing::error!(
            exporter = %self.id, error, rejected_items = points,
            "Exporting failed. Rejecting data.{}", self.advice
        );
    }
}
