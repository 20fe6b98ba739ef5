//! One configuration that pulls and pushes: scrape jobs with a fixed target and with discovered ones, OTLP over gRPC
//! and HTTP, two `awsemf` exporters with different declarations, and an `otlphttp` exporter. Every number arrives at
//! each of the three, once, also while branches fail, are slow or are gone.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::Delta;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use serde_json::Value;
use std::time::Duration;
use tests::agent::PATIENCE;
use tests::fake::otlp::{Encoding, Reply, Sink, push_grpc, push_http};
use tests::fake::world::{Place, Port, Run, container};
use tests::fake::{FakeAws, Fault, Target, World};
use tests::net::{any_port, free_ip};
use tests::push::{Entrance, counter, gauge, now_ns, point, request};
use tests::story::{EAGER_RETRY, numbered};
use tests::{Agent, wait_until};

/// The log groups of the two `awsemf` exporters.
const APPS: &str = "/apps";
const ALL: &str = "/all";

struct Story {
    aws: FakeAws,
    sink: Sink,
    entrance: Entrance,
    /// The fixed target and the discovered one, by job.
    targets: [(&'static str, Target); 2],
    agent: Agent,
    pushed: i64,
}

/// `otlphttp` holds further keys of that exporter in flow form.
fn config(entrance: &Entrance, fixed: &Target, sink: &Sink, otlphttp: &str) -> String {
    format!(
        "extensions:
  ecs_observer:
    cluster_name: prod
    cluster_region: us-west-2
    refresh_interval: 500ms
    result_file: '${{env:AGENT_DIR}}/targets.yaml'
    docker_labels: []
    task_definitions: [{{arn_pattern: '.*:task-definition/shop:.*', metrics_ports: [9100], job_name: tasks}}]
receivers:
  otlp: {otlp}
  prometheus:
    config:
      global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}
      scrape_configs:
        - job_name: fixed
          static_configs: [{{targets: ['{fixed}']}}]
        - job_name: tasks
          file_sd_configs: [{{files: ['${{env:AGENT_DIR}}/targets.yaml']}}]
processors:
  batch: {{timeout: 50ms}}
exporters:
  awsemf/apps:
    namespace: Apps
    log_group_name: {APPS}
    log_stream_name: s
    dimension_rollup_option: NoDimensionRollup
    resource_to_telemetry_conversion: {{enabled: true}}
    {EAGER_RETRY}
    metric_declarations:
      - {{dimensions: [[n]], metric_name_selectors: ['^pushed$']}}
      - {{dimensions: [[service.name]], metric_name_selectors: ['^scrape_number$']}}
  awsemf/all:
    namespace: All
    log_group_name: {ALL}
    log_stream_name: s
    resource_to_telemetry_conversion: {{enabled: true}}
    {EAGER_RETRY}
    metric_declarations: [{{dimensions: [[OTelLib]], metric_name_selectors: ['.*']}}]
  otlphttp:
    endpoint: '{sink}'
    {EAGER_RETRY}
    {otlphttp}
service:
  extensions: [ecs_observer]
  pipelines:
    metrics/apps: {{receivers: [otlp, prometheus], processors: [batch], exporters: [awsemf/apps]}}
    metrics/rest: {{receivers: [prometheus, otlp], exporters: [awsemf/all, otlphttp]}}
",
        otlp = entrance.receiver(),
        fixed = fixed.addr(),
        sink = sink.url(),
    )
}

impl Story {
    async fn start(otlphttp: &str) -> Self {
        let mut world = World::default();
        let definition =
            world.define("shop", 3, "awsvpc", vec![container("app", Port { container: 9100, host: 9100 })]);
        let ip = free_ip();
        let discovered = Target::start((ip, 9100), numbered()).await;
        let place = Place::Fargate { ip: &ip.to_string() };
        world.run(Run {
            cluster: "prod",
            id: "task-1",
            definition: &definition,
            container: "app",
            service: None,
            place,
        });
        let aws = FakeAws::start(world).await;
        let (sink, entrance) = (Sink::start().await, Entrance::new());
        let fixed = Target::start(any_port(), numbered()).await;
        let config = config(&entrance, &fixed, &sink, otlphttp);
        let agent = Agent::with_config(&config).aws(&aws).own_metrics().start().await;
        Self { aws, sink, entrance, targets: [("fixed", fixed), ("tasks", discovered)], agent, pushed: 0 }
    }

    /// Pushes requests, alternately over gRPC and HTTP. Each has the next number as a gauge and one count of delta.
    async fn push(&mut self, requests: i64) {
        for n in self.pushed..self.pushed + requests {
            let (time, label) = (now_ns(), n.to_string());
            let metrics = vec![
                gauge("pushed", vec![point(n, time, &[("n", &label)])]),
                counter("events", Delta, vec![point(1, time, &[])]),
            ];
            let request = request(&[("service.name", "shop")], metrics);
            if n % 2 == 0 {
                drop(push_grpc(&self.entrance.grpc_url(), request, None).await.unwrap());
            } else {
                let answer = push_http(&self.entrance.http_url(), &request, Encoding::Json).await.unwrap();
                assert_eq!(answer.status, 200);
            }
        }
        self.pushed += requests;
    }

    /// Pushes and lets the targets be scraped a few times more.
    async fn go_on(&mut self) {
        let scrapes = self.targets.each_ref().map(|(_, target)| target.scrapes());
        self.push(10).await;
        wait_until("three more scrapes", PATIENCE, || {
            let more = |(before, (_, target)): (u64, &(_, Target))| target.scrapes() >= before + 3;
            scrapes.into_iter().zip(&self.targets).all(more).then_some(())
        })
        .await;
    }

    /// The events of one log group.
    fn events(&self, group: &str) -> Vec<Value> {
        self.aws.events().iter().filter(|event| event.group == group).map(|event| event.json()).collect()
    }

    /// Whole numbers of a metric at the OTLP peer, with the job of their resource.
    fn at_sink(&self, name: &str) -> Vec<(String, i64)> {
        let mut found = Vec::new();
        for resource in self.sink.received().into_iter().flat_map(|received| received.request.resource_metrics) {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let job = attributes.iter().find(|pair| pair.key == "service.name").and_then(|pair| pair.value.clone());
            let job = format!("{:?}", job.and_then(|value| value.value));
            for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let points = match metric.data {
                    Some(metric::Data::Gauge(gauge)) if metric.name == name => gauge.data_points,
                    Some(metric::Data::Sum(sum)) if metric.name == name => sum.data_points,
                    _ => continue,
                };
                // Without a value: the end of a series.
                found.extend(points.iter().filter_map(|point| match point.value? {
                    number_data_point::Value::AsInt(value) => Some((job.clone(), value)),
                    number_data_point::Value::AsDouble(value) => Some((job.clone(), value as i64)),
                }));
            }
        }
        found
    }

    /// Everything that was pushed or scraped, as each of the three destinations has it: pushed numbers, the sum of
    /// counts, and the numbers of the scrapes of each job.
    fn books(&self) -> [(Vec<i64>, i64, [Vec<i64>; 2]); 3] {
        let sorted = |mut numbers: Vec<i64>| {
            numbers.sort_unstable();
            numbers
        };
        let of_group = |group: &str| {
            let events = self.events(group);
            let all = |name: &str| events.iter().filter_map(|event| event[name].as_i64()).collect::<Vec<_>>();
            let scraped = self.targets.each_ref().map(|(job, _)| {
                let of_job = events.iter().filter(|event| event["service.name"] == *job);
                sorted(of_job.filter_map(|event| event["scrape_number"].as_i64()).collect())
            });
            (sorted(all("pushed")), all("events").iter().sum(), scraped)
        };
        let scraped = self.targets.each_ref().map(|(job, _)| {
            let of_job = self.at_sink("scrape_number").into_iter().filter(|(of, _)| of.contains(job));
            sorted(of_job.map(|(_, number)| number).collect())
        });
        let values = |name: &str| self.at_sink(name).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        [of_group(APPS), of_group(ALL), (sorted(values("pushed")), values("events").iter().sum(), scraped)]
    }

    /// Ends the targets and then the agent, and checks that every destination has everything, once.
    async fn end(mut self) {
        let last = self.targets.each_ref().map(|(_, target)| {
            target.pause();
            target.scrapes() as i64
        });
        wait_until("everything to arrive everywhere", PATIENCE, || {
            let complete = |(pushed, _, scraped): &(Vec<i64>, i64, [Vec<i64>; 2])| {
                let scrapes = scraped.iter().zip(last).all(|(numbers, last)| numbers.last() >= Some(&(last - 1)));
                pushed.len() as i64 >= self.pushed && scrapes
            };
            self.books().iter().all(complete).then_some(())
        })
        .await;
        let page = self.agent.metrics().await.unwrap();
        assert_eq!(page.sum("otelcol_ecs_dropped_metric_points", &[("reason", "branch_refused")]), Some(0.0));
        assert!(self.agent.stop().await.success());
        for (place, (pushed, events, scraped)) in [APPS, ALL, "otlphttp"].into_iter().zip(self.books()) {
            assert_eq!(pushed, (0..self.pushed).collect::<Vec<_>>(), "{place}: pushed numbers");
            assert_eq!(events, self.pushed, "{place}: counts");
            for (numbers, (job, _)) in scraped.into_iter().zip(&self.targets) {
                let last = numbers.last().copied().unwrap_or(0);
                assert!(last >= 3, "{place}: {job} was hardly scraped");
                assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "{place}: scrapes of {job}");
            }
        }
    }
}

/// The measurement objects of an event: namespace, dimension sets and metric names, as JSON.
fn measurements(event: &Value) -> Value {
    event["_aws"]["CloudWatchMetrics"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_destination_gets_pulled_and_pushed_metrics_in_its_own_form() {
    let mut story = Story::start("compression: gzip").await;
    story.go_on().await;
    let find = |group: &str, name: &str| {
        let events = story.events(group);
        events.into_iter().find(|event| !event[name].is_null()).unwrap_or_else(|| panic!("no {name} in {group}"))
    };
    wait_until("scrapes in both groups", PATIENCE, || {
        let has = |group: &str, name: &str| story.events(group).iter().any(|event| !event[name].is_null());
        (has(APPS, "scrape_number") && has(ALL, "scrape_number") && has(APPS, "pushed") && has(ALL, "pushed"))
            .then_some(())
    })
    .await;
    let pushed = measurements(&find(APPS, "pushed"));
    assert_eq!(pushed[0]["Namespace"], "Apps");
    assert_eq!(pushed[0]["Dimensions"], serde_json::json!([["n"]]));
    assert_eq!((&pushed[0]["Metrics"][0]["Name"], &pushed[0]["Metrics"][1]), (&"pushed".into(), &Value::Null));
    // Selected by nothing: a log line without metrics.
    assert!(measurements(&find(APPS, "events")).as_array().is_none_or(Vec::is_empty));
    let pushed = measurements(&find(ALL, "pushed"));
    assert_eq!(pushed[0]["Namespace"], "All");
    assert!(pushed[0]["Dimensions"].as_array().unwrap().contains(&serde_json::json!(["OTelLib"])), "{pushed}");
    assert_eq!(find(ALL, "pushed")["OTelLib"], "story");
    let scraped = measurements(&find(ALL, "scrape_number"));
    assert!(scraped[0]["Metrics"].as_array().unwrap().iter().any(|m| m["Name"] == "scrape_number"), "{scraped}");
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_branch_neither_duplicates_nor_loses_on_the_others() {
    let mut story = Story::start("sending_queue: {queue_size: 2}").await;
    story.go_on().await;
    // The OTLP peer fails until its queue is full and its branch has a backlog; meanwhile the others go on.
    let refuse = Reply::Refuse { status: 503, code: tonic::Code::Unavailable, retry_after: None };
    story.sink.always_reply(refuse);
    story.go_on().await;
    story.go_on().await;
    let waiting = |page: &tests::exposition::Exposition| {
        page.sum("otelcol_ecs_branch_backlog_points", &[("branch", "metrics/rest to otlphttp")]).filter(|n| *n > 0.0)
    };
    story.agent.wait_metrics("a backlog of that branch", waiting).await;
    // One log group is throttled as well.
    let throttled = story.aws.fault(Fault::throttle("PutLogEvents").containing(APPS).always());
    story.go_on().await;
    let everywhere = story.pushed;
    wait_until("everything in the healthy group", PATIENCE, || {
        let arrived = story.events(ALL).iter().filter(|event| !event["pushed"].is_null()).count();
        (arrived as i64 == everywhere).then_some(())
    })
    .await;
    assert!(story.at_sink("pushed").len() < everywhere as usize);
    story.sink.always_reply(Reply::Take);
    story.aws.clear_fault(throttled);
    story.go_on().await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_branch_without_a_queue_neither_duplicates_nor_loses_on_the_others() {
    let mut story = Story::start("sending_queue: {enabled: false}").await;
    story.go_on().await;
    story.sink.always_reply(Reply::Slow(Duration::from_millis(400)));
    story.go_on().await;
    // Slower than a client waits: what the other branches took is acknowledged before.
    story.sink.always_reply(Reply::Slow(Duration::from_secs(8)));
    let started = std::time::Instant::now();
    story.push(1).await;
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    story.sink.always_reply(Reply::Take);
    story.go_on().await;
    story.end().await;
}
