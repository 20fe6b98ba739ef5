//! A fan-out with branches that refuse or are slow, in paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporter::ExporterNode;
use proto::{Batch, BoxFuture, Consume, Next, NumberPoint, NumberValue, Refusal, Stop, Telemetry, Uses};

use super::{FanOut, PATIENCE, Target};
use crate::graph::{Inline, ToExporter};

/// A branch that refuses while `refuse` holds a refusal, answers after `delay`, and remembers the times of what it took.
#[derive(Default)]
struct Fake {
    refuse: Mutex<Option<Refusal>>,
    delay: Mutex<Duration>,
    taken: Mutex<Vec<u64>>,
    uses: Option<Uses>,
}

impl ExporterNode for Fake {
    fn uses(&self) -> Uses {
        self.uses.unwrap_or(Uses::ALL)
    }
    fn start(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn export(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let delay = *self.delay.lock().unwrap();
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if let Some(refusal) = self.refuse.lock().unwrap().clone() {
                return Err(refusal);
            }
            self.taken.lock().unwrap().extend(batch.numbers.iter().map(|p| p.time_unix_nano));
            Ok(())
        })
    }
    fn shutdown(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn batch(time: u64) -> Batch {
    let point = NumberPoint {
        metric: 0,
        attrs: proto::AttrSetId::EMPTY,
        time_unix_nano: time,
        start_unix_nano: 0,
        value: NumberValue::Int(1),
        flags: 0,
        exemplars: proto::Range32::default(),
    };
    Batch { numbers: vec![point], ..Batch::default() }
}

struct World {
    good: Arc<Fake>,
    bad: Arc<Fake>,
    fan_out: FanOut,
    telemetry: Telemetry,
    stop: Stop,
    worker: tokio::task::JoinHandle<Result<(), String>>,
}

fn world() -> World {
    let (good, bad) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
    let (telemetry, stop) = (Telemetry::default(), Stop::new());
    let branches =
        vec![("good".to_owned(), Target::Exporter(good.clone())), ("bad".to_owned(), Target::Exporter(bad.clone()))];
    let (fan_out, task) = FanOut::new(branches, &telemetry, stop.clone());
    World { good, bad, fan_out, telemetry, stop, worker: tokio::spawn(task) }
}

#[tokio::test(start_paused = true)]
async fn a_refusing_branch_gets_its_batches_later_in_order_and_the_other_one_gets_them_once() {
    let w = world();
    *w.bad.refuse.lock().unwrap() = Some(Refusal::retry("full"));
    for time in 1..=3 {
        w.fan_out.consume(batch(time)).await.unwrap();
    }
    assert_eq!(*w.good.taken.lock().unwrap(), [1, 2, 3]);
    assert!(w.bad.taken.lock().unwrap().is_empty());
    *w.bad.refuse.lock().unwrap() = None;
    while w.bad.taken.lock().unwrap().len() < 3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    w.fan_out.consume(batch(4)).await.unwrap();
    assert_eq!(*w.bad.taken.lock().unwrap(), [1, 2, 3, 4]);
    assert_eq!(*w.good.taken.lock().unwrap(), [1, 2, 3, 4]);
    w.stop.cancel();
    w.worker.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn when_every_branch_refuses_the_refusal_goes_back_and_nothing_is_kept() {
    let w = world();
    *w.bad.refuse.lock().unwrap() = Some(Refusal::permanent("no"));
    *w.good.refuse.lock().unwrap() = Some(Refusal::retry("full"));
    let refusal = w.fan_out.consume(batch(1)).await.unwrap_err();
    assert!(refusal.is_retryable());
    *w.bad.refuse.lock().unwrap() = None;
    *w.good.refuse.lock().unwrap() = None;
    w.fan_out.consume(batch(2)).await.unwrap();
    assert_eq!(*w.bad.taken.lock().unwrap(), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_a_branch_cannot_take_before_the_end_is_counted_at_that_branch() {
    let w = world();
    *w.bad.refuse.lock().unwrap() = Some(Refusal::retry("full"));
    w.fan_out.consume(batch(1)).await.unwrap();
    w.stop.cancel();
    w.worker.await.unwrap().unwrap();
    let lost = crate::graph::dropped(&w.telemetry, "branch", "bad", "branch_refused");
    assert_eq!(lost.get(), 1);
    assert_eq!(*w.good.taken.lock().unwrap(), [1]);
}

#[test]
fn what_any_branch_looks_at_is_looked_at() {
    let none = Uses::NONE;
    let (request, buckets) = (Uses { request: true, ..none }, Uses { buckets: true, ..none });
    for (exporter, behind, expected) in
        [(none, none, none), (request, none, request), (none, buckets, buckets), (request, buckets, Uses::ALL)]
    {
        let fake = |uses| Arc::new(Fake { uses: Some(uses), ..Fake::default() });
        let pipeline = Inline::new(Vec::new(), Next::new(ToExporter(fake(behind))));
        let targets = [Target::Exporter(fake(exporter)), Target::Pipeline(Next::new(pipeline))];
        let targets = targets.into_iter().map(|target| (String::new(), target)).collect();
        let (fan_out, _) = FanOut::new(targets, &Telemetry::default(), Stop::new());
        assert_eq!(Next::new(fan_out).uses(), expected);
    }
}

impl World {
    fn taken(&self) -> [Vec<u64>; 2] {
        [&self.good, &self.bad].map(|fake| fake.taken.lock().unwrap().clone())
    }

    async fn bad_has(&self, count: usize) {
        while self.bad.taken.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn lost(&self) -> u64 {
        crate::graph::dropped(&self.telemetry, "branch", "bad", "branch_refused").get()
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_branch_is_waited_for_until_patience_is_over_and_gets_everything_once_in_order() {
    let w = world();
    let set_delay = |delay| *w.bad.delay.lock().unwrap() = delay;
    let sent = async |time| {
        let started = tokio::time::Instant::now();
        w.fan_out.consume(batch(time)).await.unwrap();
        started.elapsed()
    };
    set_delay(PATIENCE / 2);
    assert_eq!(sent(1).await, PATIENCE / 2);
    set_delay(20 * PATIENCE);
    assert_eq!(sent(2).await, PATIENCE);
    set_delay(Duration::ZERO);
    // Behind the one that is under way.
    assert_eq!(sent(3).await, Duration::ZERO);
    assert_eq!(w.taken(), [vec![1, 2, 3], vec![1]]);
    w.bad_has(3).await;
    assert_eq!(sent(4).await, Duration::ZERO);
    assert_eq!(w.taken(), [[1, 2, 3, 4], [1, 2, 3, 4]]);
    w.stop.cancel();
    w.worker.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_refusal_is_kept_in_front_of_what_came_later() {
    let w = world();
    *w.bad.delay.lock().unwrap() = 2 * PATIENCE;
    *w.bad.refuse.lock().unwrap() = Some(Refusal::retry("too slow"));
    w.fan_out.consume(batch(1)).await.unwrap();
    w.fan_out.consume(batch(2)).await.unwrap();
    tokio::time::sleep(3 * PATIENCE).await;
    *w.bad.refuse.lock().unwrap() = None;
    w.bad_has(2).await;
    assert_eq!(w.taken(), [[1, 2], [1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn when_every_branch_is_slow_the_answer_is_awaited() {
    let w = world();
    for fake in [&w.good, &w.bad] {
        *fake.delay.lock().unwrap() = 5 * PATIENCE;
    }
    let started = tokio::time::Instant::now();
    w.fan_out.consume(batch(1)).await.unwrap();
    assert_eq!(started.elapsed(), 5 * PATIENCE);
    for fake in [&w.good, &w.bad] {
        *fake.refuse.lock().unwrap() = Some(Refusal::retry("full"));
    }
    assert!(w.fan_out.consume(batch(2)).await.is_err());
    assert_eq!(w.taken(), [[1], [1]]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_decide_which_branches_get_the_batch() {
    let w = world();
    *w.bad.delay.lock().unwrap() = PATIENCE / 2;
    let gone = tokio::time::timeout(PATIENCE / 10, w.fan_out.consume(batch(1))).await;
    assert!(gone.is_err());
    w.bad_has(1).await;
    assert_eq!(w.taken(), [[1], [1]]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_ended_counts_what_it_leaves_and_later_refusals() {
    let w = world();
    *w.bad.refuse.lock().unwrap() = Some(Refusal::retry("full"));
    w.fan_out.consume(batch(1)).await.unwrap();
    // The worker has the first one in its hands when it is ended, the second one waits.
    *w.bad.delay.lock().unwrap() = 10 * PATIENCE;
    tokio::time::sleep(PATIENCE).await;
    w.fan_out.consume(batch(2)).await.unwrap();
    assert_eq!(w.lost(), 0);
    w.worker.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(w.lost(), 2);
    w.fan_out.consume(batch(3)).await.unwrap();
    tokio::time::sleep(10 * PATIENCE).await;
    assert_eq!((w.lost(), w.taken()), (3, [vec![1, 2, 3], vec![]]));
}

/// A batch with that many bytes of text, and the request that it came in.
fn large(time: u64, bytes: usize) -> Batch {
    let mut large = batch(time);
    large.tables_mut().symbols.intern(&"x".repeat(bytes));
    large.meta.raw = Some(vec![0; bytes].into());
    large
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_bounded_in_bytes_and_counts_what_does_not_fit() {
    let w = world();
    *w.bad.refuse.lock().unwrap() = Some(Refusal::retry_after(Duration::from_secs(3600), "full"));
    for time in 0..10 {
        w.fan_out.consume(large(time, 10 << 20)).await.unwrap();
    }
    // Without their requests six of them fit into 64 MiB.
    assert_eq!((w.taken()[0].len(), w.lost()), (10, 4));
    *w.bad.refuse.lock().unwrap() = None;
    w.bad_has(6).await;
    assert_eq!(w.taken()[1], [0, 1, 2, 3, 4, 5]);
    // There is room again, also for a single batch that is too large.
    *w.bad.refuse.lock().unwrap() = Some(Refusal::retry("full"));
    w.fan_out.consume(large(10, 80 << 20)).await.unwrap();
    w.fan_out.consume(batch(11)).await.unwrap();
    assert_eq!(w.lost(), 5);
    *w.bad.refuse.lock().unwrap() = None;
    w.bad_has(7).await;
    assert_eq!(w.taken()[1].last(), Some(&10));
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_says_when_to_come_back_is_left_alone_until_then() {
    let w = world();
    *w.bad.refuse.lock().unwrap() = Some(Refusal::retry_after(Duration::from_secs(60), "busy"));
    w.fan_out.consume(batch(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    *w.bad.refuse.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_secs(58)).await;
    assert!(w.taken()[1].is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(w.taken()[1], [1]);
}
