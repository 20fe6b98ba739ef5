//! Text to checked configuration with good errors. Knows YAML, expansion, the service graph and the types that
//! settings are made of; knows no component.
#![cfg_attr(test, allow(clippy::unwrap_used))]

/// The CloudWatch agent's JSON.
pub mod cloudwatch_agent;
pub mod hint;
/// Regular expressions in Go's dialect.
pub mod pattern;
pub mod secrets;
pub mod types;

mod decode;
mod diagnostic;
mod expand;
mod id;
mod layer;
mod load;
mod node;
mod position;
mod print;
mod render;
mod scalar;
mod service;
mod shell;
mod shown_line;
mod source;
mod yaml;

pub use decode::{Optional, Schema, Spanned, decode, decode_prometheus, decode_str};
pub use diagnostic::{Built, Diagnostic, Severity, has_errors};
pub use id::ComponentId;
pub use load::{CONTENT_VARIABLE, Sources, agent_texts, describe_sources, load, load_tree};
pub use node::{Key, Node, Origin, Value};
pub use position::{Position, Source, Span};
pub use print::print;
pub use render::render;
pub use scalar::resolve as resolve_scalar;
pub use service::{
    Component, Components, Config, Encoding, KnownComponents, Level, LogLevel, LogsTelemetry, MetricsTelemetry,
    Pipeline, PipelineId, PrometheusReader, ResourceAttribute, Sampling, Section, Service, Signal, Telemetry,
};
pub use source::{Env, ProcessEnv};
pub use types::{ByteSize, CLOUDWATCH_UNITS, Endpoint, GoDuration, Headers, PromDuration, Secret, tls};
pub use yaml::{MAX_DEPTH, MAX_NODES, MAX_SOURCE_BYTES, parse_yaml};
