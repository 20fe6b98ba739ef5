//! Random runs of the sender: at every step no point is lost from the books, bounds hold, and lanes keep their order.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use proptest::prelude::*;

use super::tests::{Scripted, Step, batch, permanent, retry};
use super::*;
use crate::Outcome;

#[derive(Clone, Debug)]
enum Action {
    Export(usize),
    Pass(u64),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let one = prop_oneof![
        3 => (0usize..40).prop_map(Action::Export),
        2 => (1u64..40_000).prop_map(Action::Pass),
    ];
    proptest::collection::vec(one, 1..60)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let delivered = Step::Answer(Outcome::Delivered { rejected: vec![] });
    let partly = Step::Answer(Outcome::Delivered { rejected: vec![("too_old".into(), 3)] });
    let one = prop_oneof![
        6 => Just(delivered),
        2 => Just(partly),
        4 => Just(retry()),
        1 => Just(permanent()),
        1 => Just(Step::Hang),
        1 => Just(Step::Panic),
    ];
    proptest::collection::vec(one, 0..80)
}

fn settings() -> impl Strategy<Value = SenderSettings> {
    (1usize..5, 1u64..60, any::<bool>(), any::<bool>(), 0u64..40, any::<bool>()).prop_map(
        |(consumers, size, items, retry, elapsed, wait)| {
            let mut s = SenderSettings::default();
            s.queue.num_consumers = consumers;
            s.queue.queue_size = size;
            s.queue.sizer = if items { Sizer::Items } else { Sizer::Requests };
            s.queue.wait_for_result = wait;
            s.retry.enabled = retry;
            s.retry.max_elapsed_time = Duration::from_secs(elapsed);
            s
        },
    )
}

/// Refusals before encoding.
const TURNED_AWAY: [&str; 2] = ["sending queue is full", "element size too large"];

struct Model {
    sender: Sender<Arc<Scripted>>,
    exporter: Arc<Scripted>,
    consumers: usize,
    capacity: u64,
    taken: u64,
    refused: u64,
}

impl Model {
    /// What holds at every step.
    fn check(&self) {
        let counts = self.sender.counts();
        assert_eq!(counts.received, counts.sent + counts.dropped_total() + counts.queued, "{counts:?}");
        assert_eq!(counts.received, self.taken, "every accepted point is received");
        assert_eq!(counts.enqueue_failed, self.refused);
        assert!(self.sender.inner.space.used() <= self.capacity);
        assert!(self.exporter.most_in_flight.load(SeqCst) <= self.consumers);
        let mut last: HashMap<Option<u64>, u64> = HashMap::new();
        for r in self.exporter.delivered.lock().unwrap().iter().filter(|r| r.lane.is_some()) {
            assert!(last.insert(r.lane, r.number).is_none_or(|before| before < r.number), "order within a lane");
        }
    }

    async fn act(&mut self, action: &Action) {
        match action {
            Action::Export(points) => match self.sender.export(batch(*points)).await {
                Ok(()) => self.taken += *points as u64,
                Err(refusal) if TURNED_AWAY.iter().any(|text| refusal.reason.starts_with(text)) => {
                    self.refused += *points as u64;
                }
                // Waited for and refused for good; what may be tried again is the caller's.
                Err(refusal) if !refusal.is_retryable() => self.taken += *points as u64,
                Err(_) => {}
            },
            Action::Pass(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        }
        self.check();
    }
}

async fn run(
    actions: Vec<Action>,
    steps: Vec<Step>,
    settings: SenderSettings,
    (lanes, joins): (u64, usize),
    drain: u64,
) {
    let exporter = Arc::new(Scripted {
        lanes,
        joins,
        script: Mutex::new(steps.into()),
        took: Duration::from_millis(700),
        ..Scripted::default()
    });
    let (consumers, capacity) = (settings.queue.num_consumers, settings.queue.queue_size);
    let sender = Sender::new(exporter.clone(), settings, &BuildContext::for_test("model"));
    sender.start().await.unwrap();
    let mut model = Model { sender, exporter, consumers, capacity, taken: 0, refused: 0 };
    for action in &actions {
        model.act(action).await;
    }
    let started = Instant::now();
    model.sender.shutdown(Duration::from_secs(drain)).await;
    assert!(started.elapsed() <= Duration::from_secs(drain) + Duration::from_millis(1));
    model.check();
    let counts = model.sender.counts();
    assert_eq!(counts.queued, 0);
    assert_eq!(model.sender.inner.space.used(), 0);
    let rejected = counts.dropped.get("too_old").copied().unwrap_or(0);
    let delivered: u64 = model.exporter.delivered.lock().unwrap().iter().map(|r| r.points).sum();
    assert_eq!(counts.sent + rejected, delivered, "sent is what the destination has");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn no_point_is_lost_from_the_books_and_bounds_and_order_hold(
        actions in actions(), steps in steps(), settings in settings(), lanes in (0u64..4, 0usize..4), drain in 0u64..30,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(actions, steps, settings, lanes, drain));
    }
}
