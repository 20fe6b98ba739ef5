//! The CloudWatch Logs target and the sender against the scripted AWS, with plain documents.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exporter::awsemf::{Destination, EventRef, EventSink};
use exporter::cloudwatch::{Batcher, CloudWatchSettings, Request, Target};
use exporter::sender::{Counts, Sender, SenderSettings};
use exporter::{Encoded, Encoder, Exporter, ExporterNode, Outcome};
use proto::{Batch, BoxFuture, BuildContext, NumberPoint, NumberValue};
use tests::fake::{ACCESS_KEY, SECRET_KEY};
use tests::{FakeAws, Fault, World, wait_until};

/// Writes each point as a document: its value is the age in ms, its metric the number of its stream.
struct Plain {
    target: Arc<Target>,
}

struct PlainEncoder(Batcher);

impl Exporter for Plain {
    type Encoder = PlainEncoder;
    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        self.target.start()
    }
    fn encoder(&self) -> PlainEncoder {
        PlainEncoder(self.target.batcher())
    }
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Outcome> {
        self.target.send(request)
    }
}

impl Encoder for PlainEncoder {
    type Request = Request;
    fn encode(&mut self, batch: &Batch, out: &mut Vec<Request>) -> Encoded {
        let mut encoded = Encoded::default();
        self.0.begin(now_ms());
        for point in &batch.numbers {
            let NumberValue::Int(age_ms) = point.value else { panic!("an age") };
            let stream = format!("stream-{}", point.metric);
            let destination = Destination { id: point.metric, group: "/test/group".into(), stream: stream.into() };
            let document = format!("{{\"text\":\"\\\"quoted\\\"\",\"number\":{}}}", point.time_unix_nano);
            let event = EventRef {
                destination: &destination,
                timestamp_ms: now_ms() - age_ms,
                document: &self.0.form().seal(document.clone().into_bytes()),
                plain_len: document.len(),
                points: 1,
            };
            match self.0.event(event) {
                Ok(()) => encoded.kept += 1,
                Err(reason) => encoded.dropped.push((reason.into(), 1)),
            }
        }
        self.0.finish(out);
        encoded
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Points of the streams and ages given.
fn batch(points: &[(u32, i64)]) -> Arc<Batch> {
    let numbers = points.iter().enumerate().map(|(number, (stream, age_ms))| NumberPoint {
        metric: *stream,
        attrs: Default::default(),
        time_unix_nano: number as u64,
        start_unix_nano: 0,
        value: NumberValue::Int(*age_ms),
        flags: 0,
        exemplars: Default::default(),
    });
    Arc::new(Batch { numbers: numbers.collect(), ..Batch::default() })
}

struct Run {
    aws: FakeAws,
    sender: Sender<Plain>,
    context: BuildContext,
}

fn context(environment: Vec<(&'static str, String)>) -> BuildContext {
    let keys = [
        ("AWS_REGION", "us-west-2".to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ];
    let all: Vec<_> = keys.into_iter().chain(environment).collect();
    BuildContext {
        env: Arc::new(move |name| all.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.clone())),
        ..BuildContext::for_test("awsemf")
    }
}

async fn run(change: impl FnOnce(&mut CloudWatchSettings)) -> Run {
    run_sending(sending(), change).await
}

/// As [`run`], with another sender.
async fn run_sending(sending: SenderSettings, change: impl FnOnce(&mut CloudWatchSettings)) -> Run {
    let aws = FakeAws::start(World::default()).await;
    let (sender, context) = sender(&aws, sending, change).await;
    Run { aws, sender, context }
}

/// A sender that tries again soon.
fn sending() -> SenderSettings {
    let mut sending = SenderSettings::default();
    sending.retry.initial_interval = Duration::from_millis(5);
    sending.retry.max_interval = Duration::from_millis(20);
    sending
}

async fn sender(
    aws: &FakeAws,
    sending: SenderSettings,
    change: impl FnOnce(&mut CloudWatchSettings),
) -> (Sender<Plain>, BuildContext) {
    let context = context(vec![]);
    let mut settings = CloudWatchSettings {
        endpoint: aws.url(),
        user_agent: "otelcol-ecs/test (awsemf)".to_owned(),
        ..CloudWatchSettings::default()
    };
    change(&mut settings);
    let target = Arc::new(Target::cloudwatch(settings, &context));
    let sender = Sender::new(Plain { target }, sending, &context);
    sender.start().await.unwrap();
    (sender, context)
}

impl Run {
    async fn export(&self, points: &[(u32, i64)]) {
        self.sender.export(batch(points)).await.unwrap();
    }

    async fn settled(&self) -> Counts {
        let settled = || Some(self.sender.counts()).filter(|counts| counts.queued == 0);
        let counts = wait_until("all points settled", Duration::from_secs(20), settled).await;
        assert_eq!(counts.received, counts.sent + counts.dropped_total());
        assert_eq!(counts.sent, self.aws.accepted_events());
        counts
    }

    /// Goes on delivering until the group has this retention.
    async fn gets_retention(&self, days: i64) {
        for _ in 0..1000 {
            self.delivers(&[(1, 0)]).await;
            if self.aws.groups()[0].retention_days == Some(days) {
                return;
            }
        }
        panic!("the retention is {:?}", self.aws.groups()[0].retention_days);
    }

    async fn delivers(&self, points: &[(u32, i64)]) {
        let before = self.aws.accepted_events();
        self.export(points).await;
        let counts = self.settled().await;
        assert_eq!(self.aws.accepted_events() - before, points.len() as u64, "{counts:?}");
    }
}

#[tokio::test]
async fn events_arrive_as_they_are_in_groups_and_streams_made_on_demand() {
    let run = run(|s| {
        s.log_retention_days = 7;
        s.tags = [("team".to_owned(), "a".to_owned())].into();
    })
    .await;
    run.delivers(&[(1, 50), (2, 0), (1, 100), (1, 0)]).await;
    let events = run.aws.events();
    let numbers = |stream: &str| {
        let of = events.iter().filter(|e| e.stream == stream);
        of.map(|e| e.json()["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("stream-1"), [2, 0, 3], "in order of time");
    assert_eq!(numbers("stream-2"), [1]);
    assert_eq!(events[0].json()["text"], "\"quoted\"");
    let groups = run.aws.groups();
    assert_eq!((groups[0].name.as_str(), groups[0].retention_days), ("/test/group", Some(7)));
    assert_eq!(groups[0].tags["team"], "a");
    let put = run.aws.calls_of("PutLogEvents").pop().unwrap();
    assert_eq!(put.headers["x-amzn-logs-format"], "json/emf");
    let agent = put.headers["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("aws-sdk-rust") && agent.ends_with(" otelcol-ecs/test (awsemf)"), "{agent}");
    let seconds = run.context.telemetry.families();
    assert!(seconds.iter().any(|f| f.name == "otelcol_ecs_api_duration_seconds"));
}

#[tokio::test]
async fn many_streams_of_a_new_group_create_it_once() {
    let run = run(|_| {}).await;
    let points: Vec<_> = (0..20).map(|stream| (stream, 0)).collect();
    run.delivers(&points).await;
    assert_eq!(run.aws.groups()[0].streams.len(), 20);
    assert!(run.aws.calls_of("CreateLogGroup").iter().filter(|c| c.succeeded()).count() == 1);
}

#[tokio::test]
async fn a_stream_or_group_deleted_behind_our_back_is_made_again() {
    let run = run(|s| s.log_retention_days = 3).await;
    run.delivers(&[(1, 0)]).await;
    run.aws.delete_stream("/test/group", "stream-1");
    run.delivers(&[(1, 0)]).await;
    run.aws.delete_group("/test/group");
    run.delivers(&[(1, 0), (2, 0)]).await;
    assert_eq!(run.aws.groups()[0].retention_days, Some(3));
}

#[tokio::test]
async fn a_failing_retention_call_costs_no_event() {
    let run = run(|s| s.log_retention_days = 3).await;
    run.aws.fault(Fault::deny("PutRetentionPolicy").always());
    run.delivers(&[(1, 0), (2, 0)]).await;
    assert_eq!(run.aws.groups()[0].retention_days, None);
}

#[tokio::test]
async fn a_group_gets_its_retention_though_a_call_for_it_hangs_or_its_answer_is_lost() {
    for fault in [Fault::hang("PutRetentionPolicy"), Fault::drop_after("CreateLogGroup"), Fault::hang("CreateLogGroup")]
    {
        // One attempt of the SDK and several.
        for max_retries in [1, 3] {
            let sending = SenderSettings { timeout: Some(Duration::from_millis(500)), ..sending() };
            let run = run_sending(sending, |s| {
                s.log_retention_days = 3;
                s.max_retries = max_retries;
            })
            .await;
            run.aws.fault(fault.clone());
            run.gets_retention(3).await;
        }
    }
}

#[tokio::test]
async fn a_group_that_somebody_else_made_keeps_its_retention() {
    let aws = FakeAws::start(World::default()).await;
    let untimed = || SenderSettings { timeout: None, ..sending() };
    aws.fault(Fault::deny("CreateLogGroup").containing("first").always());
    let (first, _) = sender(&aws, untimed(), |s| {
        s.log_retention_days = 3;
        s.tags = [("who".to_owned(), "first".to_owned())].into();
    })
    .await;
    first.export(batch(&[(1, 0)])).await.unwrap();
    wait_until("a refused creation", Duration::from_secs(20), || (aws.count("CreateLogGroup") > 0).then_some(())).await;
    let (second, _) = sender(&aws, untimed(), |_| {}).await;
    second.export(batch(&[(2, 0)])).await.unwrap();
    wait_until("both events", Duration::from_secs(20), || (aws.accepted_events() == 2).then_some(())).await;
    first.export(batch(&[(1, 0)])).await.unwrap();
    wait_until("the third event", Duration::from_secs(20), || (aws.accepted_events() == 3).then_some(())).await;
    assert_eq!((aws.count("PutRetentionPolicy"), aws.groups()[0].retention_days), (0, None));
}

#[tokio::test]
async fn throttling_server_errors_and_lost_connections_are_retried() {
    for fault in [
        Fault::throttle("PutLogEvents").times(20),
        Fault::broken("PutLogEvents", 500).times(7),
        Fault::broken("PutLogEvents", 503).times(7),
        Fault::drop("PutLogEvents").times(4),
        Fault::refuse("PutLogEvents", 400, "ExpiredTokenException").times(3),
        Fault::refuse("PutLogEvents", 400, "SomethingNewException").times(3),
        Fault::throttle("CreateLogStream").times(3),
        Fault::broken("CreateLogGroup", 500).times(3),
        Fault::deny("PutLogEvents").times(4),
        Fault::deny("CreateLogGroup").times(4),
    ] {
        let run = run(|s| s.max_retries = 1).await;
        run.aws.fault(fault);
        run.delivers(&[(1, 0), (2, 0), (2, 5)]).await;
    }
}

#[tokio::test]
async fn an_invalid_request_is_dropped_and_counted_and_the_next_one_is_sent() {
    let run = run(|_| {}).await;
    run.delivers(&[(1, 0)]).await;
    run.aws.fault(Fault::refuse("PutLogEvents", 400, "InvalidParameterException"));
    run.export(&[(1, 0), (1, 0)]).await;
    let counts = run.settled().await;
    assert_eq!(counts.dropped.get("invalid_parameter"), Some(&2));
    assert_eq!(run.aws.count("PutLogEvents"), 3, "not tried again after: missing stream, first events, refused events");
    run.delivers(&[(1, 0)]).await;
}

#[tokio::test]
async fn events_outside_of_the_accepted_window_are_dropped_alone_and_counted() {
    let run = run(|s| s.log_retention_days = 1).await;
    let day = 86_400_000;
    run.export(&[(1, 15 * day), (1, 0), (1, -3 * 3_600_000), (1, 23 * 3_600_000)]).await;
    let counts = run.settled().await;
    assert_eq!(counts.sent, 2);
    assert_eq!((counts.dropped.get("too_old"), counts.dropped.get("too_new")), (Some(&1), Some(&1)));
    run.export(&[(1, 0), (1, day + 60_000)]).await;
    let counts = run.settled().await;
    assert_eq!(counts.dropped.get("expired"), Some(&1), "{counts:?}");
}

#[tokio::test]
async fn an_endpoint_may_have_a_path_and_a_body_may_be_compressed() {
    let run = run(|s| {
        s.endpoint.push_str("/west");
        s.gzip = true;
    })
    .await;
    run.delivers(&(0..100).map(|i| (1, i)).collect::<Vec<_>>()).await;
    assert_eq!(run.aws.events()[0].path.trim_end_matches('/'), "/west");
    let put = run.aws.calls_of("PutLogEvents").pop().unwrap();
    assert_eq!(put.headers["content-encoding"], "gzip");
    assert!(put.wire_bytes < 2000, "{}", put.wire_bytes);
}

#[tokio::test]
async fn the_services_endpoint_variable_beats_the_key() {
    let aws = FakeAws::start(World::default()).await;
    let context = context(vec![("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", aws.url())]);
    let settings = CloudWatchSettings { endpoint: "http://127.0.0.1:1".to_owned(), ..CloudWatchSettings::default() };
    let target = Arc::new(Target::cloudwatch(settings, &context));
    let sender = Sender::new(Plain { target }, SenderSettings::default(), &context);
    sender.start().await.unwrap();
    sender.export(batch(&[(1, 0)])).await.unwrap();
    sender.shutdown(Duration::from_secs(20)).await;
    assert_eq!(aws.accepted_events(), 1);
    assert_eq!(sender.counts().sent, 1);
}

#[tokio::test]
async fn a_proxy_that_is_no_url_stops_the_start_and_one_that_is_gets_the_requests() {
    let bad = CloudWatchSettings { proxy_address: "http://".to_owned(), ..CloudWatchSettings::default() };
    let error = Target::cloudwatch(bad, &context(vec![])).start().await.unwrap_err();
    assert!(error.contains("unable to obtain proxy URL"), "{error}");
    let run = run(|s| {
        // The scripted AWS answers whatever host is asked for, so it can stand in for a proxy.
        s.proxy_address = std::mem::replace(&mut s.endpoint, "http://logs.invalid".to_owned());
    })
    .await;
    run.delivers(&[(1, 0)]).await;
}

#[tokio::test]
async fn an_outage_keeps_events_in_the_queue_until_it_is_over() {
    let run = run(|s| s.max_retries = 1).await;
    run.delivers(&[(1, 0)]).await;
    run.aws.pause();
    for _ in 0..5 {
        run.export(&[(1, 0), (2, 0)]).await;
    }
    assert_eq!(run.sender.counts().queued, 10);
    run.aws.resume().await;
    assert_eq!(run.settled().await.sent, 11);
}

#[tokio::test]
async fn batches_that_waited_for_a_stream_go_out_in_one_call_in_order_of_time() {
    let run = run(|_| {}).await;
    run.delivers(&[(1, 0), (2, 0)]).await;
    let before = run.aws.calls_of("PutLogEvents").len();
    let hold = run.aws.fault(Fault::throttle("PutLogEvents").always());
    for n in 0..20 {
        run.export(&[(1, n % 3), (1, 10 - n % 2), (2, n)]).await;
    }
    let tried = || (run.aws.calls_of("PutLogEvents").len() > before + 1).then_some(());
    wait_until("both streams are tried", Duration::from_secs(20), tried).await;
    run.aws.clear_fault(hold);
    assert_eq!(run.settled().await.sent, 62);
    let calls = run.aws.calls_of("PutLogEvents").split_off(before);
    let calls = calls.iter().filter(|call| call.succeeded()).count();
    assert!(calls <= 4, "{calls} calls for 20 batches for two streams");
}

#[tokio::test]
async fn a_batch_refused_for_good_costs_none_of_those_that_it_waited_with() {
    let run = run(|_| {}).await;
    run.delivers(&[(1, 0)]).await;
    let hold = run.aws.fault(Fault::throttle("PutLogEvents").always());
    for n in 0..9 {
        run.export(&vec![(1, n); if n == 5 { 10 } else { 2 }]).await;
    }
    let refusal = Fault::refuse("PutLogEvents", 400, "InvalidParameterException").always();
    run.aws.fault(refusal.containing(r#"number\":9"#));
    run.aws.clear_fault(hold);
    let counts = run.settled().await;
    assert_eq!((counts.sent, counts.dropped.get("invalid_parameter")), (17, Some(&10)));
}

/// Whether the SDK made the call, by call of `PutLogEvents`.
fn by_sdk(run: &Run) -> Vec<bool> {
    let calls = run.aws.calls_of("PutLogEvents");
    calls.iter().map(|call| call.headers.contains_key("amz-sdk-invocation-id")).collect()
}

#[tokio::test]
async fn a_call_after_one_of_the_sdk_is_like_it_with_a_signature_of_its_own() {
    for gzip in [false, true] {
        let run = run(|s| s.gzip = gzip).await;
        for age_ms in 0..3 {
            run.delivers(&[(1, age_ms), (1, 0)]).await;
        }
        assert_eq!(by_sdk(&run), [true, true, false, false], "the first one finds no stream");
        let calls = run.aws.calls_of("PutLogEvents");
        for name in ["content-type", "content-encoding", "x-amz-target", "x-amzn-logs-format", "user-agent"] {
            assert_eq!(calls[1].headers.get(name), calls[3].headers.get(name), "{name}");
        }
        let (sdk, own) = (calls[1].signature.clone().unwrap(), calls[3].signature.clone().unwrap());
        assert_eq!((sdk.access_key, sdk.region, sdk.service), (own.access_key, own.region, own.service));
        run.aws.delete_group("/test/group");
        run.delivers(&[(1, 0)]).await;
        assert_eq!(by_sdk(&run)[4..], [false, false], "a missing stream does not speak against it");
    }
}

#[tokio::test]
async fn a_call_that_fails_is_made_by_the_sdk_in_the_attempts_that_are_left() {
    let check = async |max_retries: i64, fault: Fault, delivered: u64, expected: &[bool]| {
        let mut sending = sending();
        sending.retry.enabled = false;
        let run = run_sending(sending, |s| s.max_retries = max_retries).await;
        run.delivers(&[(1, 0)]).await;
        run.delivers(&[(1, 0)]).await;
        assert_eq!(by_sdk(&run), [true, true, false]);
        let what = format!("{max_retries} {fault:?}");
        run.aws.fault(fault);
        run.export(&[(1, 0)]).await;
        let counts = run.settled().await;
        assert_eq!(counts.sent, 2 + delivered, "{what}");
        assert_eq!(by_sdk(&run)[3..], *expected, "{what}");
        run.aws.clear_faults();
        run.delivers(&[(1, 0)]).await;
        assert_eq!(by_sdk(&run).last(), Some(&true), "{what}: the SDK makes the next call, too");
    };
    let put = "PutLogEvents";
    tokio::join!(
        check(3, Fault::throttle(put).times(2), 1, &[false, true, true]),
        check(3, Fault::throttle(put).times(3), 0, &[false, true, true]),
        check(2, Fault::broken(put, 503).times(1), 1, &[false, true]),
        check(2, Fault::drop(put).times(1), 1, &[false, true]),
        check(2, Fault::refuse(put, 400, "ExpiredTokenException").times(1), 1, &[false, true]),
        check(2, Fault::garble(put).times(1), 1, &[false, true]),
        check(1, Fault::throttle(put).times(1), 0, &[false]),
        check(3, Fault::deny(put).times(1), 0, &[false]),
    );
}
