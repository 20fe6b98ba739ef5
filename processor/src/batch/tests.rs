//! `batch` with paused time and a destination that can refuse.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::{AttrSetId, Batch, BuildContext, Next, NumberPoint, NumberValue, Range32, Refusal, Stop, Uses};

use super::FACTORY;
use crate::AnyProcessor;

#[derive(Default)]
struct Destination {
    refuse: Mutex<Option<Refusal>>,
    /// Answers after this.
    delay: Mutex<Duration>,
    got: Mutex<Vec<Vec<u64>>>,
}

struct World {
    entry: Next,
    destination: Arc<Destination>,
    stop: Stop,
    task: tokio::task::JoinHandle<Result<(), String>>,
    context: BuildContext,
}

fn world(yaml: &str) -> World {
    world_beside(yaml, BuildContext::for_test("batch"))
}

fn world_beside(yaml: &str, context: BuildContext) -> World {
    let node = config::parse_yaml("test.yaml", yaml).0.unwrap();
    let (built, found) = (FACTORY.build)(&node, &context);
    assert!(found.is_empty(), "{found:?}");
    let Some(AnyProcessor::Stage(stage)) = built else { panic!("batch is a stage") };
    let destination = Arc::new(Destination::default());
    let end = destination.clone();
    let next = Next::new(move |batch: Batch| -> proto::BoxFuture<'static, Result<(), Refusal>> {
        let answer = end.refuse.lock().unwrap().clone().map_or(Ok(()), Err);
        if answer.is_ok() {
            end.got.lock().unwrap().push(batch.numbers.iter().map(|p| p.time_unix_nano).collect());
        }
        let delay = *end.delay.lock().unwrap();
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            answer
        })
    });
    let stop = Stop::new();
    let (entry, task) = stage.connect(next, stop.clone());
    World { entry, destination, stop, task: tokio::spawn(task), context }
}

fn batch(times: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::default();
    batch.tables_mut().metrics.push(proto::Metric::default());
    batch.tables_mut().scopes.push(proto::Scope::default());
    batch.tables_mut().resources.push(proto::Resource::default());
    batch.numbers = times
        .map(|time_unix_nano| NumberPoint {
            metric: 0,
            attrs: AttrSetId::EMPTY,
            time_unix_nano,
            start_unix_nano: 0,
            value: NumberValue::Int(1),
            flags: 0,
            exemplars: Range32::default(),
        })
        .collect();
    batch
}

impl World {
    fn got(&self) -> Vec<Vec<u64>> {
        self.destination.got.lock().unwrap().clone()
    }

    fn refuse(&self, refusal: Option<Refusal>) {
        *self.destination.refuse.lock().unwrap() = refusal;
    }

    fn lost(&self) -> u64 {
        let labels = [("processor", "batch"), ("reason", "refused_downstream")];
        self.context.telemetry.counter("otelcol_ecs_dropped_metric_points", "", &labels).get()
    }

    fn gauge(&self, name: &'static str) -> i64 {
        self.context.telemetry.gauge(name, "", &[("processor", "batch")]).get()
    }

    async fn finish(self) -> (Vec<Vec<u64>>, u64) {
        self.stop.cancel();
        let (destination, lost) = (self.destination.clone(), self.context.clone());
        self.task.await.unwrap().unwrap();
        let labels = [("processor", "batch"), ("reason", "refused_downstream")];
        let lost = lost.telemetry.counter("otelcol_ecs_dropped_metric_points", "", &labels).get();
        (destination.got.lock().unwrap().clone(), lost)
    }
}

#[tokio::test(start_paused = true)]
async fn joined_requests_are_not_what_came_in() {
    assert_eq!(world("").entry.uses(), Uses { request: false, ..Uses::ALL });
}

#[tokio::test(start_paused = true)]
async fn points_wait_for_the_timer_and_leave_together() {
    let w = world("timeout: 60s");
    w.entry.send(batch(0..2)).await.unwrap();
    w.entry.send(batch(2..3)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(w.got().is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(w.got(), [vec![0, 1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_leaves_at_once_cut_to_the_largest_size() {
    let w = world("{timeout: 60s, send_batch_size: 4, send_batch_max_size: 4}");
    w.entry.send(batch(0..10)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(w.got(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7]]);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(w.got()[2], [8, 9]);
}

#[tokio::test(start_paused = true)]
async fn twenty_refusals_in_a_row_lose_nothing() {
    let w = world("timeout: 1s");
    w.refuse(Some(Refusal::retry("throttled")));
    for i in 0..20 {
        w.entry.send(batch(i..i + 1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(w.got().is_empty());
    w.refuse(None);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(w.got().concat(), (0..20).collect::<Vec<_>>());
    assert_eq!(w.lost(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_refuses_and_takes_again_when_there_is_room() {
    let w = world("{timeout: 1s, send_batch_size: 1000}");
    w.refuse(Some(Refusal::retry("down")));
    w.entry.send(batch(0..150_000)).await.unwrap();
    let refusal = w.entry.send(batch(0..60_000)).await.unwrap_err();
    assert!(refusal.is_retryable(), "{refusal}");
    w.refuse(None);
    tokio::time::sleep(Duration::from_secs(10)).await;
    w.entry.send(batch(0..60_000)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_service_sends_what_is_held_and_then_refuses() {
    let w = world("timeout: 60s");
    w.entry.send(batch(0..3)).await.unwrap();
    let entry = w.entry.clone();
    let (got, lost) = w.finish().await;
    assert_eq!((got.concat().len(), lost), (3, 0));
    assert!(entry.send(batch(0..1)).await.unwrap_err().is_retryable());
}

#[tokio::test(start_paused = true)]
async fn the_end_has_one_deadline_and_what_is_held_then_is_counted() {
    for refusal in [Refusal::retry("down"), Refusal::retry_after(Duration::from_secs(3600), "down")] {
        let w = world("{timeout: 1s, send_batch_size: 4, send_batch_max_size: 4}");
        w.refuse(Some(refusal));
        w.entry.send(batch(0..10)).await.unwrap();
        // Into the middle of a send.
        *w.destination.delay.lock().unwrap() = Duration::from_secs(2);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let started = tokio::time::Instant::now();
        let (got, lost) = w.finish().await;
        assert_eq!((got.concat().len(), lost), (0, 10));
        let took = started.elapsed();
        assert!(
            super::DRAIN - Duration::from_secs(3) < took && took <= super::DRAIN + Duration::from_secs(2),
            "{took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_decides_who_has_the_batch() {
    for (refusal, expected) in [(None, (3, 0)), (Some(Refusal::retry("the exporter has stopped")), (0, 3))] {
        let w = world("timeout: 1s");
        *w.destination.delay.lock().unwrap() = 2 * super::DRAIN;
        w.refuse(refusal);
        w.entry.send(batch(0..3)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (got, lost) = w.finish().await;
        assert_eq!((got.concat().len(), lost), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_ended_counts_what_it_holds() {
    let w = world("{timeout: 1s, send_batch_size: 4, send_batch_max_size: 4}");
    *w.destination.delay.lock().unwrap() = Duration::from_secs(3600);
    w.refuse(Some(Refusal::retry("too late")));
    w.entry.send(batch(0..10)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    w.task.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(w.lost(), 10);
    assert!(w.entry.send(batch(0..1)).await.unwrap_err().is_retryable());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_counted_as_lost() {
    let w = world("timeout: 1s");
    w.refuse(Some(Refusal::permanent("no")));
    w.entry.send(batch(0..3)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(w.lost(), 3);
}

#[tokio::test(start_paused = true)]
async fn batches_of_different_metadata_stay_apart_up_to_the_limit() {
    let w = world("{timeout: 1s, metadata_keys: [X-Tenant], metadata_cardinality_limit: 2}");
    let of = |tenant: &str, times| {
        let mut b = batch(times);
        b.meta.client = Some(Arc::new(vec![("x-tenant".to_owned(), vec![tenant.to_owned()])]));
        b
    };
    w.entry.send(of("a", 0..1)).await.unwrap();
    w.entry.send(of("b", 1..2)).await.unwrap();
    w.entry.send(of("a", 2..3)).await.unwrap();
    let refusal = w.entry.send(of("c", 3..4)).await.unwrap_err();
    assert!(!refusal.is_retryable());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut got = w.got();
    got.sort();
    assert_eq!(got, [vec![0, 2], vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn pipelines_that_share_the_id_add_to_the_same_gauges() {
    let a = world("{timeout: 1h, metadata_keys: [X-Tenant]}");
    let b = world_beside("{timeout: 1h, metadata_keys: [X-Tenant]}", a.context.clone());
    a.entry.send(batch(0..5)).await.unwrap();
    b.entry.send(batch(0..2)).await.unwrap();
    let gauges =
        |w: &World| (w.gauge("otelcol_ecs_batch_held_points"), w.gauge("otelcol_processor_batch_metadata_cardinality"));
    assert_eq!(gauges(&a), (7, 2));
    a.finish().await;
    assert_eq!(gauges(&b), (2, 1));
}

#[test]
fn bad_settings_are_errors_with_a_position() {
    let node = config::parse_yaml("t.yaml", "send_batch_size: 10\nsend_batch_max_size: 5\nmetadata_keys: [A, a]\n");
    let (_, found) = (FACTORY.build)(&node.0.unwrap(), &BuildContext::for_test("batch"));
    let texts: Vec<_> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(found.iter().all(|d| d.span.is_some()));
}
