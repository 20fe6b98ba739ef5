//! Events into `PutLogEvents` bodies within the service's limits (`load`), in order of time. Documents come escaped.
//! Sends nothing.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;

use super::load::{EVENT_OVERHEAD_BYTES, Load, MAX_REQUEST_BYTES};
use super::request::{Event, Lines, PutRequest, Request, arrange};
use crate::awsemf::{Destination, EventRef, EventSink, Form};
use crate::escape::escape_into;

/// The service leaves out events older than this.
pub const MAX_AGE_MS: i64 = 14 * 24 * 3_600_000;
/// The service leaves out events further in the future than this.
pub const MAX_AHEAD_MS: i64 = 2 * 3_600_000;

/// Collects the events of one batch. Use: [`Batcher::begin`], events, [`Batcher::finish`].
pub struct Batcher {
    mode: Mode,
    now_ms: i64,
    done: Vec<Request>,
}

enum Mode {
    CloudWatch {
        /// By number of the destination.
        open: HashMap<u32, usize>,
        /// In order of first appearance.
        bodies: Vec<Body>,
        /// Typical size of a body, so that it is rarely moved while it grows.
        typical_bytes: usize,
    },
    Lines {
        text: Vec<u8>,
        points: u64,
    },
}

/// A body that is being written.
struct Body {
    destination: Destination,
    text: Vec<u8>,
    /// Where the first event starts.
    head: usize,
    events: Vec<Event>,
    load: Load,
    sorted: bool,
}

impl Batcher {
    pub(super) fn cloudwatch() -> Batcher {
        let mode = Mode::CloudWatch { open: HashMap::new(), bodies: Vec::new(), typical_bytes: 4096 };
        Batcher { mode, now_ms: 0, done: Vec::new() }
    }

    pub(super) fn lines() -> Batcher {
        Batcher { mode: Mode::Lines { text: Vec::new(), points: 0 }, now_ms: 0, done: Vec::new() }
    }

    /// The form in which it takes documents: that in which they go out.
    pub fn form(&self) -> Form {
        match self.mode {
            Mode::CloudWatch { .. } => Form::Escaped,
            Mode::Lines { .. } => Form::Plain,
        }
    }

    /// Starts a batch; `now_ms` (Unix milliseconds) decides which events are too old or too new.
    pub fn begin(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// Ends the batch and appends its requests to `out`; requests of one stream are in the order of its events.
    pub fn finish(&mut self, out: &mut Vec<Request>) {
        out.append(&mut self.done);
        match &mut self.mode {
            Mode::CloudWatch { open, bodies, typical_bytes } => {
                open.clear();
                for body in bodies.drain(..).filter(|body| !body.events.is_empty()) {
                    *typical_bytes = (*typical_bytes * 7 + body.text.len()) / 8;
                    out.push(body.into_request());
                }
            }
            Mode::Lines { text, points } if !text.is_empty() => {
                out.push(lines(text, points));
            }
            Mode::Lines { .. } => {}
        }
    }
}

impl EventSink for Batcher {
    fn event(&mut self, event: EventRef<'_>) -> Result<(), &'static str> {
        match &mut self.mode {
            Mode::Lines { text, points } => {
                text.extend_from_slice(event.document);
                text.push(b'\n');
                *points += u64::from(event.points);
                if text.len() >= MAX_REQUEST_BYTES {
                    self.done.push(lines(text, points));
                }
                Ok(())
            }
            Mode::CloudWatch { open, bodies, typical_bytes } => {
                admit(&event, self.now_ms)?;
                let id = event.destination.id;
                let at = *open.entry(id).or_insert_with(|| {
                    bodies.push(Body::new(event.destination, *typical_bytes));
                    bodies.len() - 1
                });
                let body = &mut bodies[at];
                if !body.has_room(&event) {
                    let full = mem::replace(body, Body::new(event.destination, *typical_bytes));
                    *typical_bytes = (*typical_bytes * 7 + full.text.len()) / 8;
                    self.done.push(full.into_request());
                }
                bodies[at].push(&event);
                Ok(())
            }
        }
    }
}

/// Whether the service would take the event.
fn admit(event: &EventRef<'_>, now_ms: i64) -> Result<(), &'static str> {
    if event.plain_len + EVENT_OVERHEAD_BYTES > MAX_REQUEST_BYTES {
        return Err("event_too_large");
    }
    if now_ms.saturating_sub(event.timestamp_ms) > MAX_AGE_MS {
        return Err("too_old");
    }
    if event.timestamp_ms.saturating_sub(now_ms) > MAX_AHEAD_MS {
        return Err("too_new");
    }
    Ok(())
}

fn lines(text: &mut Vec<u8>, points: &mut u64) -> Request {
    Request::Lines(Lines { text: Bytes::from(mem::take(text)), points: mem::take(points) })
}

impl Body {
    fn new(destination: &Destination, expected_bytes: usize) -> Body {
        let mut text = Vec::with_capacity(expected_bytes + expected_bytes / 8);
        text.extend_from_slice(b"{\"logGroupName\":\"");
        escape_into(&mut text, destination.group.as_bytes());
        text.extend_from_slice(b"\",\"logStreamName\":\"");
        escape_into(&mut text, destination.stream.as_bytes());
        text.extend_from_slice(b"\",\"logEvents\":[");
        let head = text.len();
        Body { destination: destination.clone(), text, head, events: Vec::new(), load: Load::default(), sorted: true }
    }

    fn has_room(&self, event: &EventRef<'_>) -> bool {
        self.events.is_empty() || self.load.with(&Load::of(event)).fits()
    }

    fn push(&mut self, event: &EventRef<'_>) {
        if !self.events.is_empty() {
            self.text.push(b',');
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(b"{\"timestamp\":");
        self.text.extend_from_slice(itoa::Buffer::new().format(event.timestamp_ms).as_bytes());
        self.text.extend_from_slice(b",\"message\":\"");
        self.text.extend_from_slice(event.document);
        self.text.extend_from_slice(b"\"}");
        let t = event.timestamp_ms;
        self.sorted &= t >= self.load.last_ms;
        self.load = self.load.with(&Load::of(event));
        self.events.push(Event { timestamp_ms: t, start, end: self.text.len() as u32, points: event.points });
    }

    fn into_request(mut self) -> Request {
        if self.sorted {
            self.text.extend_from_slice(b"]}");
        } else {
            (self.text, self.events) = arrange(&self.text[..self.head], &[(&self.text, &self.events)]);
        }
        if self.text.capacity() > self.text.len() + self.text.len() / 4 {
            self.text.shrink_to_fit();
        }
        self.events.shrink_to_fit();
        Request::Put(PutRequest {
            group: Arc::clone(&self.destination.group),
            stream: Arc::clone(&self.destination.stream),
            body: Bytes::from(self.text),
            points: self.events.iter().map(|e| u64::from(e.points)).sum(),
            events: self.events,
            load: self.load,
            lane: u64::from(self.destination.id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::OutgoingRequest;

    const NOW: i64 = 1_700_000_000_000;

    fn destination(id: u32) -> Destination {
        Destination { id, group: format!("/group \"{id}\"").into(), stream: "s".into() }
    }

    fn run(events: &[(u32, i64, String)]) -> (Vec<PutRequest>, Vec<&'static str>) {
        let mut batcher = Batcher::cloudwatch();
        batcher.begin(NOW);
        let mut refused = Vec::new();
        for (id, t, document) in events {
            let destination = destination(*id);
            let document = document.as_bytes();
            let event = EventRef {
                destination: &destination,
                timestamp_ms: *t,
                document,
                plain_len: document.len(),
                points: 3,
            };
            refused.extend(batcher.event(event).err());
        }
        let mut out = Vec::new();
        batcher.finish(&mut out);
        let puts = out.into_iter().map(|r| match r {
            Request::Put(put) => put,
            Request::Lines(_) => panic!("lines for CloudWatch"),
        });
        (puts.collect(), refused)
    }

    /// Events of a body, after checking all that the service checks.
    fn events(put: &PutRequest) -> Vec<(i64, String)> {
        let body: serde_json::Value = serde_json::from_slice(&put.body).unwrap();
        assert_eq!(body["logGroupName"], *put.group);
        assert_eq!(body["logStreamName"], *put.stream);
        let events: Vec<(i64, String)> = body["logEvents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (e["timestamp"].as_i64().unwrap(), e["message"].as_str().unwrap().to_owned()))
            .collect();
        assert!(events.is_sorted_by_key(|e| e.0), "chronological");
        assert!(events.len() <= 10_000 && !events.is_empty());
        assert!(events.iter().map(|e| e.1.len() + 26).sum::<usize>() <= 1_048_576);
        assert!(events[events.len() - 1].0 - events[0].0 <= 86_400_000);
        assert_eq!(put.events.len(), events.len());
        assert_eq!(put.points, 3 * events.len() as u64);
        for (event, (t, document)) in put.events.iter().zip(&events) {
            let text = &put.body[event.start as usize..event.end as usize];
            let own: serde_json::Value = serde_json::from_slice(text).unwrap();
            assert_eq!((own["timestamp"].as_i64(), own["message"].as_str()), (Some(*t), Some(&**document)));
        }
        events
    }

    #[test]
    fn a_request_is_filled_to_the_last_byte_and_no_further() {
        let document = "x".repeat(524_288 - 26);
        let (puts, _) = run(&[(0, NOW, document.clone()), (0, NOW, document.clone()), (0, NOW, "y".into())]);
        assert_eq!(puts.iter().map(|p| events(p).len()).collect::<Vec<_>>(), [2, 1]);
        let (puts, refused) = run(&[(0, NOW, "x".repeat(1_048_550)), (0, NOW, "x".repeat(1_048_551))]);
        assert_eq!((puts.len(), refused), (1, vec!["event_too_large"]));
    }

    #[test]
    fn a_request_has_at_most_ten_thousand_events() {
        let all: Vec<_> = (0..10_001).map(|i| (0, NOW, format!("{i}"))).collect();
        let (puts, _) = run(&all);
        assert_eq!(puts.iter().map(|p| events(p).len()).collect::<Vec<_>>(), [10_000, 1]);
    }

    #[test]
    fn a_request_spans_at_most_a_day_in_both_directions() {
        let day = 86_400_000;
        let e = |t: i64| (0, t, "d".to_owned());
        let (puts, _) = run(&[e(NOW - day), e(NOW), e(NOW + 1)]);
        assert_eq!(puts.iter().map(|p| events(p).len()).collect::<Vec<_>>(), [2, 1]);
        let (puts, _) = run(&[e(NOW), e(NOW - day), e(NOW - day - 1)]);
        assert_eq!(puts.iter().map(|p| events(p).len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn events_outside_of_the_accepted_window_are_left_out_alone() {
        let e = |t: i64| (0, t, "d".to_owned());
        let (puts, refused) = run(&[
            e(NOW - MAX_AGE_MS - 1),
            e(NOW - MAX_AGE_MS),
            e(NOW + MAX_AHEAD_MS),
            e(NOW + MAX_AHEAD_MS + 1),
            e(i64::MIN),
            e(i64::MAX),
        ]);
        assert_eq!(refused, ["too_old", "too_new", "too_old", "too_new"]);
        assert_eq!(puts.len(), 2);
    }

    #[test]
    fn lines_are_the_documents_as_they_are() {
        let mut batcher = Batcher::lines();
        batcher.begin(NOW);
        let destination = destination(0);
        for document in ["{\"a\":1}", "{\"b\":\"\\n\"}"] {
            let document = document.as_bytes();
            let event =
                EventRef { destination: &destination, timestamp_ms: 0, document, plain_len: document.len(), points: 1 };
            batcher.event(event).unwrap();
        }
        let mut out = Vec::new();
        batcher.finish(&mut out);
        let [Request::Lines(lines)] = &out[..] else { panic!("{out:?}") };
        assert_eq!(lines.text, "{\"a\":1}\n{\"b\":\"\\n\"}\n");
        assert_eq!(lines.points, 2);
        batcher.finish(&mut out);
        assert_eq!(out.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn requests_are_valid_and_hold_every_event_once_in_order(
            input in proptest::collection::vec(
                (0u32..3, -200_000_000i64..5_000_000, prop_oneof![Just(20usize), Just(300_000)]), 1..30),
        ) {
            let all: Vec<_> = input
                .iter()
                .enumerate()
                .map(|(i, (id, t, len))| (*id, NOW + t, format!("{i} {}", "x".repeat(*len))))
                .collect();
            let (puts, refused) = run(&all);
            prop_assert!(refused.is_empty());
            for id in 0..3 {
                let mut got: Vec<_> =
                    puts.iter().filter(|p| p.lane == u64::from(id)).flat_map(events).collect();
                let mut want: Vec<_> =
                    all.iter().filter(|e| e.0 == id).map(|e| (e.1, e.2.clone())).collect();
                got.sort();
                want.sort();
                prop_assert_eq!(got, want);
            }
        }

        #[test]
        fn joined_requests_are_valid_and_hold_every_event_once_in_order(
            input in proptest::collection::vec(
                proptest::collection::vec(
                    (-100_000_000i64..5_000_000, prop_oneof![9 => Just(20usize), 1 => Just(300_000)]), 1..8),
                1..20),
        ) {
            let mut puts = Vec::new();
            for (i, part) in input.iter().enumerate() {
                let part: Vec<_> = part
                    .iter()
                    .enumerate()
                    .map(|(j, (t, len))| (0, NOW + t, format!("{i} {j} {}", "x".repeat(*len))))
                    .collect();
                puts.extend(run(&part).0.into_iter().map(Request::Put));
            }
            let mut left = &puts[..];
            while !left.is_empty() {
                let n = Request::joinable(left.iter());
                prop_assert!(n >= 1);
                let (parts, rest) = left.split_at(n);
                left = rest;
                let mut want = Vec::new();
                for part in parts {
                    let Request::Put(part) = part else { panic!("{part:?}") };
                    want.extend(events(part));
                }
                // Stable: what has the same time keeps its order.
                want.sort_by_key(|event| event.0);
                let joint = Request::join(&parts.iter().collect::<Vec<_>>());
                let Some(Request::Put(joint)) = joint else { panic!("{joint:?}") };
                prop_assert_eq!(events(&joint), want);
                if let Some(next) = rest.first() {
                    let longer: Vec<_> = parts.iter().chain([next]).collect();
                    let Request::Put(next) = next else { panic!("{next:?}") };
                    let load = longer.iter().fold(Load::default(), |sum, part| match part {
                        Request::Put(put) => sum.with(&put.load),
                        Request::Lines(_) => sum,
                    });
                    prop_assert!(!load.fits(), "{:?} would have fitted", next.load);
                }
            }
        }
    }
}
