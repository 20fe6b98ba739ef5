//! How data gets in: the receiver trait and the table of receivers this binary has.
//!
//! A receiver brings batches in and hands them to a [`Next`]; it knows nothing of pipelines or exporters.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod otlp;
pub mod prometheus;

use config::{Built, Node};
use proto::{BoxFuture, BuildContext, Next, Stop, Task};

/// Brings data in.
pub trait Receiver: Send {
    /// Opens what it needs (listeners, files) and starts taking data. The outer future resolves when the receiver
    /// is ready; the [`Task`] inside runs until `stop` fires and everything taken has been handed to `next`.
    ///
    /// # Errors
    /// A text for people: what could not be opened, where and why.
    fn start(self: Box<Self>, next: Next, stop: Stop) -> BoxFuture<'static, Result<Task, String>>;
}

/// How a receiver of one kind is made from its configuration.
pub struct ReceiverFactory {
    /// Component type (the config crate knows other spellings of it), `prometheus`.
    pub kind: &'static str,
    /// Checks the section (null when empty) and builds the receiver; reports every problem it finds.
    pub build: fn(&Node, &BuildContext) -> Built<Box<dyn Receiver>>,
}

/// The receivers of this binary.
pub static FACTORIES: &[&ReceiverFactory] = &[&otlp::FACTORY, &prometheus::FACTORY];
