//! What each fuzz target does with its input, as plain functions: the libFuzzer targets call them, and so does the
//! smoke test of the workspace.

pub mod go_regex;
pub mod otlp_grpc;
pub mod otlp_http;
mod packing;
mod peer;
pub mod text_parser;
pub mod wire_reader;
pub mod yaml_loader;
