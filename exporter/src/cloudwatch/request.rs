//! An encoded request, as it waits in the queue. Those that wait for one stream go out in one call as far as the
//! service takes them together: an account has a quota of calls, and each call costs more than what is in it.

use std::sync::Arc;

use bytes::Bytes;

use super::load::Load;
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
    /// In the order of the body.
    pub events: Vec<Event>,
    /// What the events take of a call.
    pub load: Load,
    /// Points of all events.
    pub points: u64,
    /// Number of the destination within the exporter: requests of one stream are sent in order.
    pub lane: u64,
}

/// An event of a body.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// Unix milliseconds.
    pub timestamp_ms: i64,
    /// Where its JSON object starts in the body.
    pub start: u32,
    /// Where its JSON object ends.
    pub end: u32,
    /// Data points that are counted with it.
    pub points: u32,
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
            Request::Put(put) => put.body.len() + size_of::<Event>() * put.events.capacity() + size_of::<Request>(),
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

    fn joinable<'a>(requests: impl Iterator<Item = &'a Request>) -> usize {
        let mut sum = Load::default();
        let fit = requests.take_while(|request| match request {
            Request::Put(put) => {
                sum = sum.with(&put.load);
                sum.fits()
            }
            Request::Lines(_) => false,
        });
        fit.count().max(1)
    }

    fn join(requests: &[&Request]) -> Option<Request> {
        let puts: Option<Vec<&PutRequest>> = requests
            .iter()
            .map(|request| match request {
                Request::Put(put) => Some(put),
                Request::Lines(_) => None,
            })
            .collect();
        let puts = puts?;
        let first = *puts.first()?;
        let head = &first.body[..first.events.first()?.start as usize];
        let parts: Vec<(&[u8], &[Event])> = puts.iter().map(|put| (&*put.body, &*put.events)).collect();
        let (text, events) = arrange(head, &parts);
        Some(Request::Put(PutRequest {
            group: first.group.clone(),
            stream: first.stream.clone(),
            body: Bytes::from(text),
            events,
            load: puts.iter().fold(Load::default(), |sum, put| sum.with(&put.load)),
            points: puts.iter().map(|put| put.points).sum(),
            lane: first.lane,
        }))
    }
}

/// One body of all events of several, in order of time; those of one time keep their order. `head` is what stands
/// before the first event.
pub(super) fn arrange(head: &[u8], parts: &[(&[u8], &[Event])]) -> (Vec<u8>, Vec<Event>) {
    let mut order: Vec<(&[u8], Event)> = Vec::with_capacity(parts.iter().map(|(_, events)| events.len()).sum());
    for (text, events) in parts {
        order.extend(events.iter().map(|event| (*text, *event)));
    }
    order.sort_by_key(|(_, event)| event.timestamp_ms);
    let mut body = Vec::with_capacity(head.len() + parts.iter().map(|(text, _)| text.len()).sum::<usize>());
    body.extend_from_slice(head);
    let mut events = Vec::with_capacity(order.len());
    for (text, event) in order {
        let start = body.len() as u32;
        body.extend_from_slice(&text[event.start as usize..event.end as usize]);
        events.push(Event { start, end: body.len() as u32, ..event });
        body.push(b',');
    }
    // The last comma.
    body.pop();
    body.extend_from_slice(b"]}");
    (body, events)
}
