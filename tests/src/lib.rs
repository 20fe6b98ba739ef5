//! What whole-agent tests, the demo and the benches stand on: a scripted AWS, scrape targets, OTLP peers and a
//! harness that runs the real binary. It contains no part of the agent and uses none of its code, so that a test
//! never checks an idea against itself.
//!
//! Everything runs on loopback, ends with the value that owns it, and panics with a sentence when a test used it
//! wrongly.

pub mod agent;
pub mod exposition;
pub mod fake;
pub mod guide;
pub mod net;
pub mod push;
pub mod story;
pub mod wait;

pub use agent::{Agent, Signal};
pub use fake::{FakeAws, Fault, World};
pub use net::{free_ip, free_port};
pub use wait::{wait_for, wait_until};
