//! Vectors of publishing: how events are put into requests, and what the client does about the service's answers.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use exporter::Outcome;
use exporter::awsemf::{Destination, EventRef, EventSink, MAX_DOCUMENT_BYTES};
use exporter::cloudwatch::{CloudWatchSettings, PutRequest, Request, Target};
use proto::BuildContext;
use tests::fake::{ACCESS_KEY, SECRET_KEY};
use tests::{FakeAws, Fault, World};

use super::support::block_on;
use super::{Vector, vector};

const HOUR_MS: i64 = 3_600_000;

pub(crate) fn vectors() -> Vec<Vector<fn()>> {
    vec![
        vector(82, "the size of an event", sizes)
            .differs("Events are never cut; requests use the API's limits (1 MiB)"),
        vector(83, "events that are too old or too new", accepted_window),
        vector(84, "events a day apart, events out of order", spans),
        vector(85, "a missing stream and a missing group are made", missing_stream),
        vector(86, "one put for each kind of refusal", refusals)
            .differs("throttling and outages are ridden out by a queue with retries"),
        vector(87, "10,001 small events", many_events),
    ]
}

fn context() -> BuildContext {
    let environment =
        [("AWS_REGION", "us-west-2"), ("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let find = move |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    BuildContext { env: Arc::new(find), ..BuildContext::for_test("awsemf") }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The requests for these events (age in ms, message), and why others were left out.
fn requests(events: &[(i64, &[u8])]) -> (Vec<PutRequest>, Vec<&'static str>) {
    let now = now_ms();
    let mut batcher = Target::cloudwatch(CloudWatchSettings::default(), &context()).batcher();
    let destination = Destination { id: 0, group: "/g".into(), stream: "s".into() };
    batcher.begin(now);
    let mut refused = Vec::new();
    for (age_ms, document) in events {
        let event = EventRef {
            destination: &destination,
            timestamp_ms: now - age_ms,
            document: &batcher.form().seal(document.to_vec()),
            plain_len: document.len(),
            points: 1,
        };
        refused.extend(batcher.event(event).err());
    }
    let mut out = Vec::new();
    batcher.finish(&mut out);
    let puts = out.into_iter().map(|request| match request {
        Request::Put(put) => put,
        Request::Lines(_) => panic!("lines for CloudWatch"),
    });
    (puts.collect(), refused)
}

/// Events of each request, as lengths of their messages.
fn lengths(requests: &[PutRequest]) -> Vec<Vec<usize>> {
    let of = |put: &PutRequest| {
        let body: serde_json::Value = serde_json::from_slice(&put.body).unwrap();
        let events = body["logEvents"].as_array().unwrap();
        events.iter().map(|event| event["message"].as_str().unwrap().len()).collect()
    };
    requests.iter().map(of).collect()
}

fn sizes() {
    // What the agent would cut stays whole.
    let (puts, refused) = requests(&[(0, &vec![b'x'; 262_144])]);
    assert_eq!((lengths(&puts), refused), (vec![vec![262_144]], vec![]));
    // An event counts as its message and 26 bytes: two that fill a request to the last byte, and one byte more.
    let (one, rest) = (vec![b'x'; 1000], vec![b'x'; 1_048_576 - 26 - 1000 - 26]);
    let (puts, _) = requests(&[(0, &one), (0, &rest)]);
    assert_eq!(lengths(&puts), [[1000, rest.len()]]);
    let (puts, _) = requests(&[(0, &one), (0, &[&rest[..], b"x"].concat())]);
    assert_eq!(puts.len(), 2);
    let (puts, refused) = requests(&[(0, &vec![b'x'; MAX_DOCUMENT_BYTES + 1])]);
    assert_eq!((puts.len(), refused), (0, vec!["event_too_large"]));
}

fn accepted_window() {
    let (puts, refused) = requests(&[(15 * 24 * HOUR_MS, b"{}"), (-3 * HOUR_MS, b"{}"), (13 * 24 * HOUR_MS, b"{}")]);
    assert_eq!(refused, ["too_old", "too_new"]);
    assert_eq!(lengths(&puts), [[2]]);
}

fn spans() {
    let (puts, _) = requests(&[(25 * HOUR_MS, b"{}"), (0, b"{}")]);
    assert_eq!(puts.len(), 2);
    let (puts, _) = requests(&[(0, b"aaa"), (HOUR_MS, b"bb"), (2 * HOUR_MS, b"c")]);
    assert_eq!(lengths(&puts), [[1, 2, 3]]);
}

fn many_events() {
    let (puts, refused) = requests(&vec![(0, &b"{}"[..]); 10_001]);
    assert_eq!(lengths(&puts).iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 1]);
    assert!(refused.is_empty());
}

/// A client of a scripted CloudWatch Logs and a request for it.
async fn client() -> (FakeAws, Target, Request) {
    let aws = FakeAws::start(World::default()).await;
    // One attempt per call, as the sender makes them: repeating is the queue's business.
    let settings = CloudWatchSettings { endpoint: aws.url(), max_retries: 1, ..CloudWatchSettings::default() };
    let target = Target::cloudwatch(settings, &context());
    target.start().await.unwrap();
    let (mut puts, _) = requests(&[(0, b"{}")]);
    (aws, target, Request::Put(puts.remove(0)))
}

fn missing_stream() {
    block_on(async {
        let (aws, target, request) = client().await;
        let calls = || ["PutLogEvents", "CreateLogGroup", "CreateLogStream"].map(|op| aws.count(op));
        let succeeded = |op: &str| aws.calls_of(op).iter().filter(|call| call.succeeded()).count();
        assert!(matches!(target.send(&request).await, Outcome::Delivered { .. }));
        assert_eq!(["PutLogEvents", "CreateLogGroup", "CreateLogStream"].map(succeeded), [1, 1, 1]);
        let made = calls();
        assert!(matches!(target.send(&request).await, Outcome::Delivered { .. }));
        assert_eq!(calls(), [made[0] + 1, made[1], made[2]], "nothing is made again");
        aws.delete_stream("/g", "s");
        assert!(matches!(target.send(&request).await, Outcome::Delivered { .. }));
        assert_eq!(["PutLogEvents", "CreateLogGroup", "CreateLogStream"].map(succeeded), [3, 1, 2]);
    });
}

fn refusals() {
    block_on(async {
        let (aws, target, request) = client().await;
        assert!(matches!(target.send(&request).await, Outcome::Delivered { .. }));
        for (status, code, is_repeated) in [
            (400, "InvalidParameterException", false),
            (400, "OperationAbortedException", true),
            (503, "ServiceUnavailableException", true),
            (400, "ThrottlingException", true),
            (400, "SomethingNewException", true),
        ] {
            let before = aws.count("PutLogEvents");
            let fault = aws.fault(Fault::refuse("PutLogEvents", status, code).always());
            let outcome = target.send(&request).await;
            aws.clear_fault(fault);
            assert_eq!(aws.count("PutLogEvents") - before, 1, "{code}: exactly one put");
            assert_eq!(matches!(outcome, Outcome::Retry { .. }), is_repeated, "{code}: {outcome:?}");
            assert!(!matches!(outcome, Outcome::Delivered { .. }), "{code}");
        }
        aws.delete_stream("/g", "s");
        assert!(matches!(target.send(&request).await, Outcome::Delivered { .. }));
    });
}
