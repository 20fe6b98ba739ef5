//! An encoded request, as it waits in the queue.

use std::sync::Arc;

use bytes::Bytes;

use crate::OutgoingRequest;

/// A request for one of the two targets.
#[derive(Debug, Clone)]
pub enum Request {
    /// To CloudWatch Logs.
    Put(PutRequest),
    /// To standard output.
    Lines(Lines),
}

/// The body of one `PutLogEvents` call.
#[derive(Debug, Clone)]
pub struct PutRequest {
    /// Log group.
    pub group: Arc<str>,
    /// Log stream.
    pub stream: Arc<str>,
    /// The whole JSON body.
    pub body: Bytes,
    /// Points of each event, in the order of the body.
    pub event_points: Vec<u32>,
    /// Sum of `event_points`.
    pub points: u64,
    /// Number of the destination within the exporter: requests of one stream are sent in order.
    pub lane: u64,
}

/// Documents, each with a newline.
#[derive(Debug, Clone)]
pub struct Lines {
    /// The text.
    pub text: Bytes,
    /// Points in it.
    pub points: u64,
}

impl OutgoingRequest for Request {
    fn size_bytes(&self) -> usize {
        match self {
            Request::Put(put) => put.body.len() + 4 * put.event_points.capacity() + size_of::<Request>(),
            Request::Lines(lines) => lines.text.len() + size_of::<Request>(),
        }
    }

    fn points(&self) -> u64 {
        match self {
            Request::Put(put) => put.points,
            Request::Lines(lines) => lines.points,
        }
    }

    fn lane(&self) -> Option<u64> {
        match self {
            Request::Put(put) => Some(put.lane),
            Request::Lines(_) => Some(0),
        }
    }
}
