//! The collector: reads the command line, assembles the configured components into pipelines and runs them.
//!
//! Knows every component by its factory table only; nobody knows it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod assemble;
pub mod build_info;
pub mod cli;
mod extra;
mod fanout;
pub mod gates;
pub mod graph;
mod health;
mod known;
pub mod own;
mod pages;
pub mod run;
mod sources;
pub mod telemetry;
