//! The `prometheus` receiver: discovers targets, scrapes their pages and turns them into metrics. This file only lists
//! its parts.

pub mod labels;
pub mod relabel;
pub mod text;

mod body;
mod body_budget;
mod client;
mod config;
mod discovery;
mod failure_log;
mod families;
mod fetch;
mod job;
mod receiver;
mod request;
mod resource;
mod schedule;
mod scrape;
mod series;
mod target;
mod telemetry;
mod tls;
mod units;

#[cfg(test)]
mod vectors;

pub use receiver::FACTORY;
