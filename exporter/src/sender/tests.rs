//! The sender against an exporter whose answers are scripted, in paused time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proto::{NumberPoint, NumberValue, Range32};

use super::*;
use crate::Outcome;

/// A request of the tests: its lane, its number within the run, its points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) lane: Option<u64>,
    pub(super) number: u64,
    pub(super) points: u64,
    pub(super) bytes: usize,
    /// How many may go out as one, and how many went out as this one.
    pub(super) joins: usize,
    pub(super) parts: usize,
}

impl OutgoingRequest for Request {
    fn size_bytes(&self) -> usize {
        self.bytes
    }
    fn points(&self) -> u64 {
        self.points
    }
    fn lane(&self) -> Option<u64> {
        self.lane
    }
    fn joinable<'a>(mut requests: impl Iterator<Item = &'a Request>) -> usize {
        let first = requests.next().unwrap();
        1 + requests.take(first.joins).count()
    }
    fn join(requests: &[&Request]) -> Option<Request> {
        assert!(requests.is_sorted_by(|a, b| a.lane == b.lane && a.number < b.number));
        let points = requests.iter().map(|r| r.points).sum();
        Some(Request { points, parts: requests.len(), ..requests[0].clone() })
    }
}

/// Makes one request of each batch; a batch of 13 points is left out, one of 66 panics.
pub(super) struct Numbering {
    pub(super) lanes: u64,
    joins: usize,
    next: u64,
}

impl Encoder for Numbering {
    type Request = Request;
    fn encode(&mut self, batch: &Batch, out: &mut Vec<Request>) -> Encoded {
        let points = batch.points() as u64;
        match points {
            13 => return Encoded { kept: 0, dropped: vec![("unlucky".into(), 13)] },
            66 => panic!("the test wants it"),
            _ => {}
        }
        let lane = (self.lanes > 0).then(|| self.next % self.lanes);
        out.push(Request {
            lane,
            number: self.next,
            points,
            bytes: points as usize * 100,
            joins: self.joins,
            parts: 1,
        });
        self.next += 1;
        Encoded { kept: points, dropped: vec![] }
    }
}

/// Answers from a script, then delivers everything.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) lanes: u64,
    pub(super) joins: usize,
    pub(super) script: Mutex<VecDeque<Step>>,
    pub(super) delivered: Mutex<Vec<Request>>,
    pub(super) in_flight: AtomicUsize,
    pub(super) most_in_flight: AtomicUsize,
    pub(super) attempts: AtomicUsize,
    pub(super) took: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Answer(Outcome),
    Hang,
    Panic,
}

pub(super) fn retry() -> Step {
    Step::Answer(Outcome::Retry { after: None, code: None, error: "busy".into() })
}

pub(super) fn permanent() -> Step {
    Step::Answer(Outcome::Permanent { reason: "invalid".into(), code: Some(3), error: "no".into() })
}

impl Exporter for Arc<Scripted> {
    type Encoder = Numbering;
    fn encoder(&self) -> Numbering {
        Numbering { lanes: self.lanes, joins: self.joins, next: 0 }
    }
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.attempts.fetch_add(1, SeqCst);
            let now = self.in_flight.fetch_add(1, SeqCst) + 1;
            self.most_in_flight.fetch_max(now, SeqCst);
            let leave = Leave(&self.in_flight);
            tokio::time::sleep(self.took).await;
            let step = self.script.lock().unwrap().pop_front();
            let outcome = match step {
                Some(Step::Hang) => std::future::pending().await,
                Some(Step::Panic) => panic!("the test wants it"),
                Some(Step::Answer(outcome)) => outcome,
                None => Outcome::Delivered { rejected: vec![] },
            };
            if matches!(outcome, Outcome::Delivered { .. }) {
                self.delivered.lock().unwrap().push(request.clone());
            }
            drop(leave);
            outcome
        })
    }
}

/// Counts down also when an attempt is cut off.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

pub(super) fn batch(points: usize) -> Arc<Batch> {
    let point = NumberPoint {
        metric: 0,
        attrs: Default::default(),
        time_unix_nano: 0,
        start_unix_nano: 0,
        value: NumberValue::Int(1),
        flags: 0,
        exemplars: Range32::default(),
    };
    Arc::new(Batch { numbers: vec![point; points], ..Batch::default() })
}

struct Run {
    exporter: Arc<Scripted>,
    sender: Arc<Sender<Arc<Scripted>>>,
    context: BuildContext,
}

async fn start(exporter: Scripted, change: impl FnOnce(&mut SenderSettings)) -> Run {
    let exporter = Arc::new(exporter);
    let mut settings = SenderSettings::default();
    change(&mut settings);
    let context = BuildContext::for_test("test");
    let sender = Arc::new(Sender::new(exporter.clone(), settings, &context));
    sender.start().await.unwrap();
    Run { exporter, sender, context }
}

fn script(steps: impl IntoIterator<Item = Step>) -> Scripted {
    Scripted { script: Mutex::new(steps.into_iter().collect()), ..Scripted::default() }
}

impl Run {
    async fn settled(&self) -> Counts {
        for _ in 0..10_000 {
            let counts = self.sender.counts();
            if counts.queued == 0 && self.sender.inner.space.used() == 0 {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never settled: {:?}", self.sender.counts());
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.sender.counts().dropped.get(reason).copied().unwrap_or(0)
    }

    fn value(&self, name: &str) -> i64 {
        value(&self.context, name)
    }

    fn balance(&self) {
        let sum = self.value("otelcol_exporter_sent_metric_points")
            + self.value("otelcol_ecs_dropped_metric_points")
            + self.value("otelcol_ecs_queued_metric_points");
        assert_eq!(self.value("otelcol_ecs_received_metric_points"), sum);
    }
}

/// A reading of one of the own metrics, all labels together.
fn value(context: &BuildContext, name: &str) -> i64 {
    let families = context.telemetry.families();
    let members = families.iter().filter(|f| f.name == name).flat_map(|f| f.members.clone());
    members
        .map(|(_, i)| match i {
            proto::telemetry::Instrument::Counter(c) => c.get() as i64,
            proto::telemetry::Instrument::Gauge(g) => g.get(),
            proto::telemetry::Instrument::Histogram(_) => 0,
        })
        .sum()
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_taken_before_it_is_sent_and_is_sent_after_retries() {
    let run = start(script([retry(), retry(), Step::Hang]), |_| {}).await;
    run.sender.export(batch(5)).await.unwrap();
    assert_eq!(run.sender.counts().queued, 5);
    let started = Instant::now();
    let counts = run.settled().await;
    assert_eq!((counts.received, counts.sent, counts.dropped_total()), (5, 5, 0));
    assert_eq!(run.exporter.attempts.load(SeqCst), 4);
    // Three waits of 5 s, 7.5 s and 11.25 s, each ± half, and one timeout of 5 s.
    let took = started.elapsed().as_secs_f64();
    assert!((16.8..41.0).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_a_lane_goes_out_together_and_shares_what_the_destination_leaves_out() {
    let rejected = Step::Answer(Outcome::Delivered { rejected: vec![("too_old".into(), 5), ("too_new".into(), 2)] });
    let delivered = Step::Answer(Outcome::Delivered { rejected: vec![] });
    let exporter =
        Scripted { lanes: 1, joins: 2, took: Duration::from_secs(1), ..script([delivered, retry(), rejected]) };
    let run = start(exporter, |s| s.queue.num_consumers = 2).await;
    for points in [1, 2, 3, 4, 5] {
        run.sender.export(batch(points)).await.unwrap();
        tokio::task::yield_now().await;
    }
    let counts = run.settled().await;
    let sent: Vec<_> = run.exporter.delivered.lock().unwrap().iter().map(|r| (r.number, r.parts, r.points)).collect();
    assert_eq!(sent, [(0, 1, 1), (1, 3, 9), (4, 1, 5)]);
    assert_eq!((counts.received, counts.sent), (15, 8));
    assert_eq!((run.dropped("too_old"), run.dropped("too_new")), (5, 2));
    run.balance();
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_refused_or_panic_together_go_alone() {
    for step in [permanent(), Step::Panic] {
        let delivered = Step::Answer(Outcome::Delivered { rejected: vec![] });
        let exporter = Scripted {
            lanes: 1,
            joins: 9,
            took: Duration::from_secs(1),
            ..script([delivered.clone(), step.clone(), delivered, step])
        };
        let run = start(exporter, |_| {}).await;
        for points in [1, 2, 3, 4] {
            run.sender.export(batch(points)).await.unwrap();
            tokio::task::yield_now().await;
        }
        let counts = run.settled().await;
        assert_eq!((counts.received, counts.sent, counts.dropped_total()), (10, 7, 3), "{counts:?}");
        run.balance();
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_drops_the_request_under_its_reason() {
    let run = start(script([permanent()]), |_| {}).await;
    run.sender.export(batch(5)).await.unwrap();
    run.sender.export(batch(2)).await.unwrap();
    let counts = run.settled().await;
    assert_eq!((counts.sent, run.dropped("invalid"), counts.send_failed), (2, 5, 5));
}

#[tokio::test(start_paused = true)]
async fn retries_end_after_the_maximum_elapsed_time_or_never() {
    let run = start(script(std::iter::repeat_n(retry(), 100)), |_| {}).await;
    let started = Instant::now();
    run.sender.export(batch(5)).await.unwrap();
    run.settled().await;
    assert_eq!(run.dropped("retries_exhausted"), 5);
    assert!(started.elapsed() <= Duration::from_secs(301), "{:?}", started.elapsed());

    let run = start(script(std::iter::repeat_n(retry(), 25)), |s| s.retry.max_elapsed_time = Duration::ZERO).await;
    run.sender.export(batch(5)).await.unwrap();
    assert_eq!(run.settled().await.sent, 5);

    let run = start(script([retry()]), |s| s.retry.enabled = false).await;
    run.sender.export(batch(5)).await.unwrap();
    run.settled().await;
    assert_eq!(run.dropped("retry_disabled"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_before_encoding_and_counts_what_is_in_flight() {
    let exporter = Scripted { took: Duration::from_secs(1), ..Scripted::default() };
    let run = start(exporter, |s| s.queue.queue_size = 2).await;
    run.sender.export(batch(1)).await.unwrap();
    run.sender.export(batch(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let refused = run.sender.export(batch(3)).await.unwrap_err();
    assert!(refused.is_retryable());
    assert_eq!(refused.reason, "sending queue is full");
    assert_eq!(run.sender.counts().enqueue_failed, 3);
    run.settled().await;
    run.sender.export(batch(1)).await.unwrap();
    run.settled().await;
    let numbers: Vec<u64> = run.exporter.delivered.lock().unwrap().iter().map(|r| r.number).collect();
    assert_eq!(numbers, [0, 1, 2], "the refused batch was not encoded");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_blocks_when_asked_to_and_shutdown_ends_the_wait() {
    let exporter = Scripted { took: Duration::from_secs(3), ..Scripted::default() };
    let block = |s: &mut SenderSettings| {
        s.queue.queue_size = 10;
        s.queue.sizer = Sizer::Items;
        s.queue.block_on_overflow = true;
    };
    let run = start(exporter, block).await;
    run.sender.export(batch(10)).await.unwrap();
    let started = Instant::now();
    run.sender.export(batch(10)).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(3));
    let too_large = run.sender.export(batch(11)).await.unwrap_err();
    assert!(!too_large.is_retryable());
    let waiting = tokio::spawn({
        let sender = run.sender.clone();
        async move { sender.export(batch(10)).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    run.sender.shutdown(Duration::from_secs(30)).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().reason, "the exporter is shutting down");
    assert_eq!(run.sender.counts().sent, 20);
}

#[tokio::test(start_paused = true)]
async fn a_queue_in_bytes_learns_the_size_of_encoded_points() {
    let exporter = Scripted { took: Duration::from_secs(1), ..Scripted::default() };
    let bytes = |s: &mut SenderSettings| {
        s.queue.queue_size = 10_000;
        s.queue.sizer = Sizer::Bytes;
    };
    let run = start(exporter, bytes).await;
    run.sender.export(batch(20)).await.unwrap();
    assert_eq!(run.sender.inner.space.used(), 2000);
    run.sender.export(batch(80)).await.unwrap();
    assert_eq!(run.sender.inner.space.used(), 10_000);
    assert!(run.sender.export(batch(1)).await.is_err());
    run.settled().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_caller_learns_the_result() {
    let off = |s: &mut SenderSettings| s.queue.enabled = false;
    let run = start(script([retry(), permanent()]), off).await;
    let answer = run.sender.export(batch(5)).await.unwrap_err();
    assert!(!answer.is_retryable());
    assert_eq!(answer.reason, "not retryable error: no");
    run.sender.export(batch(5)).await.unwrap();
    assert_eq!(run.sender.counts().sent, 5);
    let run = start(script(std::iter::repeat_n(retry(), 100)), off).await;
    assert!(run.sender.export(batch(5)).await.unwrap_err().is_retryable());
    // What the destination asked for is told to the caller, whose clients may be told in turn.
    let after = Some(Duration::from_secs(7));
    let busy = Step::Answer(Outcome::Retry { after, code: Some(8), error: "busy".into() });
    let one_attempt = |s: &mut SenderSettings| (s.queue.enabled, s.retry.enabled) = (false, false);
    let run = start(script([busy]), one_attempt).await;
    let refusal = run.sender.export(batch(5)).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.code), (proto::RefusalKind::Retry(after), Some(8)));
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_keeps_is_not_dropped_here() {
    let one_attempt = |s: &mut SenderSettings| (s.queue.enabled, s.retry.enabled) = (false, false);
    let run = start(script([retry(), retry(), permanent()]), one_attempt).await;
    for _ in 0..2 {
        assert!(run.sender.export(batch(5)).await.unwrap_err().is_retryable());
        let counts = run.sender.counts();
        assert_eq!((counts.received, counts.dropped_total(), counts.queued), (0, 0, 0), "the caller has it");
    }
    assert!(!run.sender.export(batch(5)).await.unwrap_err().is_retryable());
    run.sender.export(batch(5)).await.unwrap();
    let counts = run.sender.counts();
    assert_eq!((counts.received, counts.sent, run.dropped("invalid"), counts.send_failed), (10, 5, 5, 15));
    assert_eq!(counts.dropped_total(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_left_behind_is_dropped_here() {
    let one_attempt = |s: &mut SenderSettings| (s.queue.enabled, s.retry.enabled) = (false, false);
    let busy = Scripted { took: Duration::from_secs(1), ..script([retry()]) };
    let run = start(busy, one_attempt).await;
    assert!(tokio::time::timeout(Duration::from_millis(1), run.sender.export(batch(5))).await.is_err());
    let counts = run.settled().await;
    assert_eq!((counts.received, run.dropped("retry_disabled")), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn shutdown_answers_who_waits_and_the_points_are_theirs() {
    let off = |s: &mut SenderSettings| s.queue.enabled = false;
    let run = start(script(std::iter::repeat_n(Step::Hang, 100)), off).await;
    let waiting = tokio::spawn({
        let sender = run.sender.clone();
        async move { sender.export(batch(5)).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.sender.shutdown(Duration::from_secs(3)).await;
    assert!(waiting.await.unwrap().unwrap_err().is_retryable());
    let counts = run.sender.counts();
    assert_eq!((counts.received, counts.dropped_total(), counts.send_failed), (0, 0, 5));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_take_its_data_with_it() {
    let exporter = Scripted { took: Duration::from_secs(1), ..Scripted::default() };
    let run = start(exporter, |s| s.queue.wait_for_result = true).await;
    assert!(tokio::time::timeout(Duration::from_millis(1), run.sender.export(batch(5))).await.is_err());
    assert_eq!(run.settled().await.sent, 5);
}

#[tokio::test(start_paused = true)]
async fn consumers_send_at_the_same_time_up_to_their_number() {
    let exporter = Scripted { took: Duration::from_secs(1), ..Scripted::default() };
    let run = start(exporter, |s| s.queue.num_consumers = 3).await;
    for _ in 0..9 {
        run.sender.export(batch(1)).await.unwrap();
    }
    let started = Instant::now();
    run.settled().await;
    assert_eq!(run.exporter.most_in_flight.load(SeqCst), 3);
    assert!(started.elapsed() < Duration::from_secs(4));
}

/// Points whose request is as large as those of a busy client.
const LARGE: usize = 8700;

/// So many clients that each hand in some large batches, one after the other; gives the longest time one took.
async fn push(run: &Run, clients: usize, batches: usize, after_each: impl Fn()) -> Duration {
    let client = || async {
        let mut longest = Duration::ZERO;
        for _ in 0..batches {
            let began = Instant::now();
            run.sender.export(batch(LARGE)).await.unwrap();
            longest = longest.max(began.elapsed());
            after_each();
        }
        longest
    };
    join_all((0..clients).map(|_| client())).await.into_iter().max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn slow_streams_are_sent_to_at_the_same_time() {
    let exporter = Scripted { lanes: 10, took: Duration::from_millis(1500), ..Scripted::default() };
    let run = start(exporter, |_| {}).await;
    let started = Instant::now();
    push(&run, 10, 3, || {}).await;
    run.settled().await;
    assert_eq!(run.exporter.most_in_flight.load(SeqCst), 10);
    assert!(started.elapsed() < Duration::from_secs(5), "three rounds: {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_batch_for_a_slow_stream_waits_for_a_limited_time_and_is_queued() {
    let exporter = Scripted { lanes: 1, took: Duration::from_millis(1500), ..Scripted::default() };
    let run = start(exporter, |_| {}).await;
    assert_eq!(push(&run, 12, 4, || {}).await, pace::PATIENCE);
    assert!(run.sender.inner.space.used() > 40);
    assert_eq!(run.settled().await.sent, 48 * LARGE as u64);
}

#[tokio::test(start_paused = true)]
async fn a_fast_client_does_not_fill_the_queue_while_requests_get_through() {
    let exporter = Scripted { lanes: 1, took: Duration::from_millis(20), ..Scripted::default() };
    let run = start(exporter, |_| {}).await;
    let most = (2 << 20) + LARGE as u64 * 100;
    push(&run, 4, 50, || assert!(run.sender.counts().queued * 100 <= most)).await;
    assert_eq!(run.settled().await.sent, 200 * LARGE as u64);
}

#[tokio::test(start_paused = true)]
async fn points_that_the_encoder_or_the_destination_leaves_out_are_counted() {
    let rejected = Outcome::Delivered { rejected: vec![("too_old".into(), 2)] };
    let run = start(script([Step::Answer(rejected)]), |_| {}).await;
    run.sender.export(batch(13)).await.unwrap();
    run.sender.export(batch(5)).await.unwrap();
    let counts = run.settled().await;
    assert_eq!((counts.received, counts.sent), (18, 3));
    assert_eq!((run.dropped("unlucky"), run.dropped("too_old")), (13, 2));
    assert_eq!(counts.send_failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_own_request_or_batch() {
    let run = start(script([Step::Panic]), |s| s.queue.num_consumers = 1).await;
    run.sender.export(batch(5)).await.unwrap();
    run.sender.export(batch(66)).await.unwrap();
    run.sender.export(batch(2)).await.unwrap();
    let counts = run.settled().await;
    assert_eq!((counts.sent, run.dropped("panic"), run.dropped("encoder_panic")), (2, 5, 66));
}

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_is_queued_and_wakes_what_waits_for_its_retry() {
    let long = |s: &mut SenderSettings| {
        s.retry.initial_interval = Duration::from_secs(100);
        s.retry.max_interval = Duration::from_secs(100);
        s.queue.num_consumers = 1;
    };
    let run = start(script([retry(), retry()]), long).await;
    for _ in 0..5 {
        run.sender.export(batch(1)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    run.sender.shutdown(Duration::from_secs(20)).await;
    assert!(started.elapsed() <= Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(run.sender.counts().sent, 5);
    assert!(run.sender.export(batch(1)).await.unwrap_err().is_retryable());
}

#[tokio::test(start_paused = true)]
async fn shutdown_keeps_its_deadline_and_counts_what_is_lost() {
    let run = start(script(std::iter::repeat_n(Step::Hang, 100)), |s| s.queue.num_consumers = 2).await;
    for _ in 0..5 {
        run.sender.export(batch(2)).await.unwrap();
    }
    let started = Instant::now();
    run.sender.shutdown(Duration::from_secs(12)).await;
    assert!(started.elapsed() <= Duration::from_secs(12) + Duration::from_millis(1));
    assert_eq!(run.dropped("shutdown"), 10);
    assert_eq!(run.sender.counts().queued, 0);
    assert_eq!(run.sender.inner.space.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_reading_of_the_own_metrics_adds_up() {
    let run = start(script([permanent()]), |s| s.queue.num_consumers = 1).await;
    for n in [13, 5, 7, 2] {
        run.sender.export(batch(n)).await.unwrap();
        run.balance();
        assert_eq!(run.value("otelcol_exporter_queue_capacity"), 1000);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(run.settled().await.received, 27);
}

#[tokio::test(start_paused = true)]
async fn a_sender_beside_another_of_its_id_keeps_both_in_the_books() {
    let run = start(script(std::iter::repeat_n(Step::Hang, 100)), |_| {}).await;
    run.sender.export(batch(5)).await.unwrap();
    let another = |size| {
        let mut settings = SenderSettings::default();
        settings.queue.queue_size = size;
        Sender::new(Arc::new(Scripted::default()), settings, &run.context)
    };
    let queue = || {
        run.balance();
        let queued = run.value("otelcol_ecs_queued_metric_points");
        (queued, run.value("otelcol_exporter_queue_size"), run.value("otelcol_exporter_queue_capacity"))
    };
    // A configuration that is built and then rejected.
    let rejected = another(7);
    assert_eq!(queue(), (5, 1, 1000));
    drop(rejected);
    assert_eq!(queue(), (5, 1, 1000));
    // One that takes over.
    let next = another(8);
    run.sender.shutdown(Duration::from_secs(1)).await;
    next.start().await.unwrap();
    assert_eq!(queue(), (0, 0, 8));
    assert_eq!(run.value("otelcol_ecs_dropped_metric_points"), 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_sender_had_when_it_was_dropped_is_lost_and_not_queued() {
    let run = start(Scripted::default(), |s| s.queue.num_consumers = 0).await;
    run.sender.export(batch(5)).await.unwrap();
    assert_eq!(run.value("otelcol_ecs_queued_metric_points"), 5);
    let Run { sender, context, .. } = run;
    drop(sender);
    let queued = value(&context, "otelcol_ecs_queued_metric_points");
    let size = value(&context, "otelcol_exporter_queue_size");
    assert_eq!((queued, size, value(&context, "otelcol_ecs_dropped_metric_points")), (0, 0, 5));
}
