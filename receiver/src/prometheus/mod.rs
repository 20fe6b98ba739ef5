//! The `prometheus` receiver. This file only lists its parts.

pub mod labels;
pub mod relabel;
pub mod text;

mod config;
mod families;
mod resource;
mod series;
mod units;
