//! How data leaves: the exporter traits and the table of exporters this binary has.
//!
//! Encoding and sending are split. An [`Encoder`] is ordered and stateful and has a single owner, hence no lock; an
//! [`Exporter`] sends encoded requests, concurrently and without state. `sender` puts the queue between them: it
//! keeps encoded requests, so a retry encodes nothing twice and loses no delta state.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod awsemf;
pub mod cloudwatch;
pub mod debug;
mod escape;
pub mod file;
pub mod otlp;
pub mod sender;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use config::{Built, Diagnostic, Node};
use proto::{Batch, BoxFuture, BuildContext, Refusal, Uses};

/// An encoded request: what is queued, retried and sent.
pub trait OutgoingRequest: Send + Sync + 'static {
    /// Bytes it holds in the queue.
    fn size_bytes(&self) -> usize;
    /// Metric points in it: what is counted as sent or lost with it.
    fn points(&self) -> u64;
    /// Requests of one lane are sent one after the other, in the order of their batches; `None` is no order.
    fn lane(&self) -> Option<u64> {
        None
    }
    /// How many of these requests of one lane, from the first on, one request can stand for; at least one.
    fn joinable<'a>(_requests: impl Iterator<Item = &'a Self>) -> usize
    where
        Self: Sized,
    {
        1
    }
    /// One request with the contents of all of these, which [`OutgoingRequest::joinable`] allowed; `None` sends each
    /// alone.
    fn join(_requests: &[&Self]) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// What encoding a batch came to. `kept` plus all of `dropped` is the number of points of the batch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Points that are in requests.
    pub kept: u64,
    /// Points left out, by reason.
    pub dropped: Vec<(Cow<'static, str>, u64)>,
}

/// Turns batches into requests; keeps what it needs between batches (deltas, plans).
pub trait Encoder: Send + 'static {
    /// Type of its requests.
    type Request: OutgoingRequest;
    /// Encodes a batch, appending requests to `out`.
    fn encode(&mut self, batch: &Batch, out: &mut Vec<Self::Request>) -> Encoded;
}

/// What became of one attempt to send a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it. `rejected` points of it were refused by the destination for a reason.
    Delivered {
        /// Points that the destination left out, by reason.
        rejected: Vec<(Cow<'static, str>, u64)>,
    },
    /// It may succeed later.
    Retry {
        /// The destination asked to wait this long.
        after: Option<Duration>,
        /// gRPC code of the destination's answer, for a destination that has such.
        code: Option<i32>,
        /// Text for people.
        error: String,
    },
    /// It will never succeed; the request is dropped and counted under `reason`.
    Permanent {
        /// Short reason for the counter, `invalid_parameter`.
        reason: Cow<'static, str>,
        /// gRPC code of the destination's answer, for a destination that has such.
        code: Option<i32>,
        /// Text for people.
        error: String,
    },
}

/// What of an exporter's settings does nothing unless a processor stands before it.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Component type of the processor, `metric_declaration`.
    pub processor: &'static str,
    /// What to say when no pipeline that leads to the exporter has one.
    pub otherwise: Diagnostic,
}

/// Sends encoded requests; called concurrently.
pub trait Exporter: Send + Sync + 'static {
    /// The encoder that makes its requests.
    type Encoder: Encoder;
    /// What it expects before it; asked once, when the pipelines are known.
    fn expects(&self) -> Option<Expectation> {
        None
    }
    /// Checks that it can send and prepares for it; called once, before anything else.
    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    /// A new encoder; called once, and again only if the encoder panicked.
    fn encoder(&self) -> Self::Encoder;
    /// What of requests its encoder looks at.
    fn uses(&self) -> Uses {
        Uses { request: false, ..Uses::ALL }
    }
    /// One attempt.
    fn send<'a>(&'a self, request: &'a <Self::Encoder as Encoder>::Request) -> BoxFuture<'a, Outcome>;
    /// Lets go of what it holds (files); called once, after the last request.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// An exporter as the pipelines see it: queue, retry and everything behind.
pub trait ExporterNode: Send + Sync {
    /// What it expects before it in its pipelines.
    fn expects(&self) -> Option<Expectation> {
        None
    }
    /// What of requests it looks at.
    fn uses(&self) -> Uses {
        Uses::ALL
    }
    /// Checks that it can run and starts its tasks. Called once, before any batch.
    fn start(&self) -> BoxFuture<'_, Result<(), String>>;
    /// Takes a batch: resolves when it is queued, or, without a queue or with `wait_for_result`, when the
    /// destination has answered.
    fn export(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Sends what is queued, for at most `deadline`, then stops; what is left is counted as lost and logged.
    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()>;
}

/// How an exporter of one kind is made from its configuration.
pub struct ExporterFactory {
    /// Component type (the config crate knows other spellings of it), `awsemf`.
    pub kind: &'static str,
    /// Checks the section (null when empty) and builds; reports every problem it finds.
    pub build: fn(&Node, &BuildContext) -> Built<Box<dyn ExporterNode>>,
}

/// The exporters of this binary.
pub static FACTORIES: &[&ExporterFactory] =
    &[&awsemf::FACTORY, &debug::FACTORY, &file::FACTORY, &otlp::FACTORY, &otlp::HTTP_FACTORY];
