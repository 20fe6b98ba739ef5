//! The books: received = written + dropped + queued, in every reading, while AWS throttles, fails, denies and
//! disappears.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};
use tests::agent::PATIENCE;
use tests::exposition::Exposition;
use tests::fake::{Behaviour, FakeAws, Fault, Target, World};
use tests::net::any_port;
use tests::story::{EAGER_RETRY, job, scrape_to_logs};
use tests::{Agent, wait_until};

/// One reading of the books of the exporter.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Books {
    received: f64,
    written: f64,
    dropped: f64,
    queued: f64,
}

impl Books {
    fn read(page: &Exposition) -> Self {
        let value = |name: &str| page.sum(name, &[("exporter", "awsemf")]).unwrap_or(0.0);
        Self {
            received: value("otelcol_ecs_received_metric_points"),
            written: value("otelcol_exporter_sent_metric_points"),
            dropped: value("otelcol_ecs_dropped_metric_points"),
            queued: value("otelcol_ecs_queued_metric_points"),
        }
    }

    fn balance(self) {
        assert_eq!(self.received, self.written + self.dropped + self.queued, "{self:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_balance_in_every_reading() {
    // Some points of each page are old and rejected, some are not numbers and not written.
    let target = Target::start(
        any_port(),
        Behaviour::moving(|scrape| {
            let gauges: String = (0..50).map(|n| format!("g{{n=\"{n}\"}} {scrape}\n")).collect();
            format!("# TYPE g gauge\n{gauges}# TYPE odd gauge\nodd NaN\n# TYPE old gauge\nold 1 1000\n")
        }),
    )
    .await;
    let aws = FakeAws::start(World::default()).await;
    let exporter = [
        "retry_on_failure: {initial_interval: 50ms, max_interval: 100ms, max_elapsed_time: 1s}",
        "sending_queue: {queue_size: 20}",
    ];
    let config = scrape_to_logs(&[job("points", &[target.addr()], &[])], &exporter);
    let mut agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    wait_until("events", PATIENCE, || (aws.accepted_events() > 10).then_some(())).await;
    let troubles = [
        Fault::throttle("PutLogEvents").every(2),
        Fault::broken("PutLogEvents", 500).always(),
        Fault::deny("PutLogEvents").always(),
        Fault::delay("PutLogEvents", Duration::from_millis(300)).always(),
        Fault::drop("PutLogEvents").always(),
    ];
    let mut readings = 0;
    for fault in troubles {
        aws.fault(fault);
        let end = Instant::now() + Duration::from_millis(2500);
        while Instant::now() < end {
            Books::read(&agent.metrics().await.unwrap()).balance();
            readings += 1;
        }
        aws.clear_faults();
    }
    assert!(readings > 50, "{readings}");
    // At rest everything is written or dropped, nothing queued; what is written is what AWS has.
    target.pause();
    let last =
        agent.wait_metrics("an empty queue", |page| Some(Books::read(page)).filter(|books| books.queued == 0.0)).await;
    last.balance();
    assert!(last.dropped > 0.0 && last.written > 0.0, "{last:?}");
    assert!(agent.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_were_taken_are_points_that_arrived() {
    let target =
        Target::start(any_port(), Behaviour::Fixed("# TYPE g gauge\ng{a=\"1\"} 1\ng{a=\"2\"} 2\n".into())).await;
    let aws = FakeAws::start(World::default()).await;
    let config = scrape_to_logs(&[job("points", &[target.addr()], &[])], &[EAGER_RETRY]);
    let mut agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    wait_until("events", PATIENCE, || (aws.accepted_events() > 10).then_some(())).await;
    target.pause();
    let books = agent
        .wait_metrics("rest", |page| {
            let books = Books::read(page);
            let accepted = page.sum("otelcol_receiver_accepted_metric_points", &[]).unwrap_or(0.0);
            (books.queued == 0.0 && accepted == books.received).then_some(books)
        })
        .await;
    books.balance();
    assert_eq!(books.dropped, 0.0);
    assert!(agent.stop().await.success());
}
