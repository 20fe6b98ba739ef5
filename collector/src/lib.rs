//! The collector: reads the command line, assembles the configured components into pipelines and runs them.
//!
//! Knows every component by its factory table only; nobody knows it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod build_info;
pub mod graph;
pub mod telemetry;
