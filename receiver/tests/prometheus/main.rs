//! The receiver against real HTTP servers on loopback: what is asked for, what comes out, and what bad targets cost.

mod http;
mod scraping;
mod support;
