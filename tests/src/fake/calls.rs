//! The record of every call that reached the scripted AWS.

use super::signature::Signature;
use axum::http::HeaderMap;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Calls that are kept; older ones are forgotten so that a demo can run for days.
const KEPT_CALLS: usize = 20_000;

/// Which API a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// `AmazonEC2ContainerServiceV20141113`, JSON 1.1.
    Ecs,
    /// The Query API, XML.
    Ec2,
    /// `Logs_20140328`, JSON 1.1.
    Logs,
    /// The Query API, XML.
    Sts,
    /// The task metadata endpoint, version 4.
    Metadata,
    /// The container credentials endpoint.
    Credentials,
}

/// One call as it arrived, and what became of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts from 1 over all calls.
    pub number: u64,
    /// When it arrived.
    pub at: Instant,
    /// Which API.
    pub service: Service,
    /// The operation as AWS names it.
    pub op: String,
    /// Path of the request: an endpoint with a path keeps its own log groups.
    pub path: String,
    /// The request; form fields as an object of strings.
    pub body: Arc<Value>,
    /// Headers as they came.
    pub headers: HeaderMap,
    /// Bytes on the wire, before decompression.
    pub wire_bytes: usize,
    /// The signature, parsed; absent on calls that need none.
    pub signature: Option<Signature>,
    /// HTTP status of the answer; absent while it is being answered and for good when the connection was dropped or
    /// the client gave up.
    pub status: Option<u16>,
    /// Error code of a refusal.
    pub code: Option<String>,
}

impl Call {
    /// Whether it was answered with success.
    pub fn succeeded(&self) -> bool {
        self.status == Some(200)
    }
}

#[derive(Default)]
pub(crate) struct Calls {
    next: u64,
    kept: VecDeque<Call>,
}

impl Calls {
    /// Records the arrival of a call and returns its number.
    pub(crate) fn arrive(&mut self, mut call: Call) -> u64 {
        self.next += 1;
        call.number = self.next;
        if self.kept.len() == KEPT_CALLS {
            self.kept.pop_front();
        }
        self.kept.push_back(call);
        self.next
    }

    /// Completes the record of a call.
    pub(crate) fn answer(&mut self, number: u64, status: u16, code: Option<String>) {
        if let Some(call) = self.kept.iter_mut().rev().find(|call| call.number == number) {
            call.status = Some(status);
            call.code = code;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.kept.iter()
    }
}
