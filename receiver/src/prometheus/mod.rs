//! The `prometheus` receiver. This file only lists its parts.

pub mod text;
