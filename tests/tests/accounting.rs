//! The books: received = written + dropped + queued, in every reading, while AWS throttles, fails, denies and
//! disappears.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};
use tests::agent::{PATIENCE, READY};
use tests::exposition::Exposition;
use tests::fake::otlp::{Encoding, Reply, Sink, push_http};
use tests::fake::{Behaviour, FakeAws, Fault, Target, World};
use tests::net::any_port;
use tests::push::{Entrance, gauge, now_ns, point, request};
use tests::story::{EAGER_RETRY, LOG_GROUP, LOG_STREAM, job, numbered, scrape_to_logs};
use tests::{Agent, Signal, wait_until};

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
        Self::of("awsemf", page)
    }

    fn of(exporter: &str, page: &Exposition) -> Self {
        let value = |name: &str| page.sum(name, &[("exporter", exporter)]).unwrap_or(0.0);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_queue_in_the_books() {
    let target = Target::start(any_port(), numbered()).await;
    let aws = FakeAws::start(World::default()).await;
    let exporter = [EAGER_RETRY, "sending_queue: {queue_size: 20}"];
    let config = scrape_to_logs(&[job("points", &[target.addr()], &[])], &exporter);
    let mut agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    let capacity = |page: &Exposition| page.sum("otelcol_exporter_queue_capacity", &[]).unwrap();
    aws.fault(Fault::broken("PutLogEvents", 500).always());
    agent.wait_metrics("a queue", |page| (Books::read(page).queued > 0.0).then_some(())).await;

    // A configuration whose exporter is built before something else in it is refused.
    let bad =
        config.replace("queue_size: 20", "queue_size: 7").replace("scrape_interval: 500ms", "scrape_interval: -1s");
    agent.rewrite_config(&bad);
    agent.signal(Signal::Hup);
    agent.wait_log("the old one keeps running").await;
    let page = agent.metrics().await.unwrap();
    let books = Books::read(&page);
    books.balance();
    assert!(books.queued > 0.0 && page.sum("otelcol_exporter_queue_size", &[]) > Some(0.0), "{books:?}");
    assert_eq!(capacity(&page), 20.0);

    // The old service drains while the new one is there already.
    agent.rewrite_config(&config.replace("queue_size: 20", "queue_size: 21"));
    agent.signal(Signal::Hup);
    let (mut both, mut draining) = (0, books);
    agent
        .wait_metrics("readings while the old service drains", |page| {
            draining = Books::read(page);
            draining.balance();
            both += i32::from(agent.log().contains("Config updated"));
            (both > 20).then_some(())
        })
        .await;
    assert!(draining.queued > 0.0, "{draining:?}");
    aws.clear_faults();
    agent.wait_log_times(READY, 2).await;
    target.pause();
    let (last, page) = agent
        .wait_metrics("an empty queue", |page| {
            let books = Books::read(page);
            books.balance();
            (books.queued == 0.0 && books.written > draining.received).then_some((books, page.clone()))
        })
        .await;
    assert_eq!((last.dropped, capacity(&page)), (0.0, 21.0), "{last:?}");
    assert!(agent.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_both_exporters_balance_behind_a_push_and_a_batch() {
    let aws = FakeAws::start(World::default()).await;
    let sink = Sink::start().await;
    let entrance = Entrance::new();
    let config = format!(
        "receivers: {{otlp: {otlp}}}
processors: {{batch: {{timeout: 50ms}}}}
exporters:
  awsemf:
    region: us-west-2
    log_group_name: {LOG_GROUP}
    log_stream_name: {LOG_STREAM}
    {EAGER_RETRY}
  otlphttp:
    endpoint: '{sink}'
    {EAGER_RETRY}
service:
  pipelines: {{metrics: {{receivers: [otlp], processors: [batch], exporters: [awsemf, otlphttp]}}}}
",
        otlp = entrance.receiver(),
        sink = sink.url(),
    );
    let mut agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
    let read = |page: &Exposition| ["awsemf", "otlphttp"].map(|exporter| Books::of(exporter, page));
    aws.fault(Fault::throttle("PutLogEvents").every(2));
    let mut pushed = 0.0;
    for n in 0..40 {
        if n % 4 == 0 {
            sink.next_reply(Reply::Refuse { status: 503, code: tonic::Code::Unavailable, retry_after: None });
        }
        let points = (0..10).map(|id| point(n, now_ns(), &[("id", &format!("{n}-{id}"))])).collect();
        let request = request(&[], vec![gauge("pushed", points)]);
        let answer = push_http(&entrance.http_url(), &request, Encoding::Protobuf).await;
        assert_eq!(answer.unwrap().status, 200);
        pushed += 10.0;
        read(&agent.metrics().await.unwrap()).into_iter().for_each(Books::balance);
    }
    let books = agent
        .wait_metrics("rest", |page| {
            let books = read(page);
            books.into_iter().for_each(Books::balance);
            let held = page.sum("otelcol_ecs_batch_held_points", &[])?;
            (held == 0.0 && books.iter().all(|b| b.received == pushed && b.queued == 0.0)).then_some(books)
        })
        .await;
    for books in books {
        assert_eq!((books.written, books.dropped), (pushed, 0.0), "{books:?}");
    }
    let accepted = agent.metrics().await.unwrap().sum("otelcol_receiver_accepted_metric_points", &[]);
    assert_eq!(accepted, Some(pushed));
    assert!(agent.stop().await.success());
}
