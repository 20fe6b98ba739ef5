//! config.
#![cfg_attr(test, allow(clippy::unwrap_used))]

/// Regular expressions in Go's dialect.
pub mod pattern;
