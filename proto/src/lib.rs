//! Vocabulary of the agent: wire formats in, [`Batch`] inside, and the few handles that components share.
//!
//! Knows nothing of components or of configuration text. The traits of receivers, processors, exporters and
//! extensions are at the roots of their own crates; what they exchange is here.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod attrs;
pub mod auth;
pub mod batch;
pub mod context;
pub mod listen;
pub mod merge;
pub mod next;
pub mod number;
pub mod otlp;
pub mod points;
pub mod symbols;
pub mod tables;
pub mod targets;
pub mod telemetry;

pub use attrs::{AttrSetId, ValueId, ValueKind};
pub use batch::{Batch, Meta, Peer, Selection};
pub use context::BuildContext;
pub use next::{Consume, Next, Refusal, RefusalKind, Uses};
pub use points::{
    Exemplar, ExponentialPoint, HistogramPoint, NumberPoint, NumberValue, Quantile, Range32, SummaryPoint,
};
pub use symbols::{SymbolId, Symbols};
pub use tables::{Metric, MetricKind, Resource, Scope, Tables, Temporality};
pub use targets::{TargetGroup, TargetHub};
pub use telemetry::{Counter, Gauge, Histogram, Share, Telemetry};

/// Fires when a component has to stop; cloned into every task.
pub type Stop = tokio_util::sync::CancellationToken;

/// A boxed future at the rim of a component (a few per batch, never per point).
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a started component leaves running: resolves when it has stopped, with an error text if it failed.
pub type Task = BoxFuture<'static, Result<(), String>>;
