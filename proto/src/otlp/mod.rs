//! OTLP metrics on the wire: protobuf and JSON to [`Batch`](crate::Batch) and back.
//!
//! Transport (gRPC, HTTP, compression) is the receivers' and exporters' business, except for the tonic codec that
//! hands over message bytes.

mod by_metric;
mod capacities;
pub mod codec;
mod decode;
mod decode_points;
mod encode;
mod error;
mod in_order;
mod json;
mod json_messages;
mod json_writer;
mod nested;
mod pieces;
mod runs;
mod status;
mod text;
mod to_json;
mod value;
mod wire;
mod writer;

pub use capacities::Capacities;
pub use decode::{decode, decode_like};
pub use encode::encode;
pub use error::{DecodeError, DecodeLimits};
pub use json::{decode_json, decode_json_within, json_to_proto};
pub use nested::NestedValue;
pub use pieces::PieceDecoder;
pub use status::RpcStatus;
pub use text::{push_json_string, push_json_string_escaped};
pub use to_json::to_json;
pub use value::AnyNode;

#[cfg(test)]
mod tests;
