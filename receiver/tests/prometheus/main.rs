//! The receiver against real HTTP servers on loopback: what is asked for, what comes out, and what bad targets cost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod http;
mod scraping;
mod support;
mod tls;
