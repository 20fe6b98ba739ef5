//! Vectors of scraping: one agent with the two configurations of a container, one job for each vector, and the events
//! that arrive. The pages are counted by the target, so each vector says what each scrape sees.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tests::fake::cloudwatch::extract;
use tests::fake::{Behaviour, FakeAws, Target, fargate_task};
use tests::net::any_port;
use tests::{Agent, World, wait_until};

use super::Vector;
use super::support::{assert_values, ecs, prometheus};

/// Scrapes of each target after which the run ends: more than the longest sequence has.
const SCRAPES: u64 = 10;
/// Longest time for them on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) type Check = fn(&Run);

fn seen(number: u32, title: &'static str, check: Check) -> Vector<Check> {
    Vector::new(number, title, check)
}

pub(crate) fn vectors() -> Vec<Vector<Check>> {
    vec![
        seen(17, "cluster_name is on the events, the log group keeps the real cluster", cluster_name),
        seen(18, "both configurations from variables, with an emf section beside", from_variables),
        seen(42, "a page with a sample without a name is rolled back, its neighbours are whole", rolled_back),
        seen(43, "no helper labels on events; job, instance and name as relabelled", no_helper_labels),
        seen(44, "a job and instance that no target has", unknown_target)
            .differs("A metric's type is kept with its sample and not looked up by job and instance"),
        seen(45, "types by name and by name without a suffix", types_by_name)
            .differs("A suffix counts only where it means something for the type"),
        seen(46, "types of renamed metrics and of relabelled jobs", renamed),
        seen(47, "what is dropped for its type", dropped_types)
            .differs("metrics of other types are counted as `unsupported_type`"),
        seen(48, "up and scrape_ series are internal", internal_series),
        seen(49, "a page of all types on a host", all_types),
        seen(50, "a counter with a reset and a gap", counter),
        seen(51, "two samples of the same time", same_time)
            .differs("A counter's second sample of the same time is dropped"),
        seen(52, "gauges that are no numbers, and ended series", gauges),
        seen(53, "histograms", histograms),
        seen(54, "a summary without quantiles", summary),
        seen(55, "dollars of relabelling reach the scraper", relabelling),
        seen(76, "150 gauges of one label set", many_gauges).differs("Events with more than 100 metrics are split"),
        seen(88, "a job with characters that a stream must not have", odd_job)
            .differs("`:` and `*` in a job name become `_`"),
    ]
}

/// What a run brought.
pub(crate) struct Run {
    events: Vec<(String, String, Value, String)>,
    log: String,
}

type Page = fn(u64, i64) -> String;

/// Job, further settings of it, and its page by number of the scrape and time of the start.
const JOBS: &[(&str, &str, Page)] = &[
    ("v42", "", |n, _| match n % 2 {
        1 => format!("# TYPE a gauge\na {n}\n# TYPE b gauge\nb {n}\n"),
        _ => format!("# TYPE a gauge\na {n}\n# TYPE b gauge\nb {n}\n{{x=\"y\"}} 1\n"),
    }),
    (
        "v44",
        "metric_relabel_configs: [{target_label: job, replacement: nobody}, {target_label: instance, replacement: nowhere}]",
        |n, _| format!("# TYPE v44_total counter\nv44_total {n}\n"),
    ),
    ("v45", "", |n, _| {
        let names = ["m3", "m1", "m2", "m3_sum", "m1_sum", "m2_count", "m4_total"];
        let samples: String = names.iter().map(|name| format!("{name} {n}\n")).collect();
        format!("# TYPE m1 counter\n# TYPE m2 counter\n# TYPE m4 counter\n{samples}")
    }),
    (
        "v46",
        "relabel_configs: [{target_label: job, replacement: v46_replaced}, {target_label: instance, replacement: i}]
  metric_relabel_configs: [{source_labels: [__name__], regex: m2, target_label: __name__, replacement: m2_changed}]",
        |n, _| format!("# TYPE m2 counter\nm2 {n}\n# TYPE m1 gauge\nm1 {n}\n"),
    ),
    ("v47", "", |n, _| format!("untyped_1 {n}\nuntyped_2 {n}\n# TYPE u untyped\nu 1\n# TYPE kept gauge\nkept {n}\n")),
    ("v48", "", |_, _| "scrape_internal 1\ninternal 1\n".to_owned()),
    ("v49", "", |n, _| {
        format!(
            "prometheus_test_untyped{{include=\"yes\"}} 1
# TYPE prometheus_test_counter counter
prometheus_test_counter{{a=\"1\"}} {n}
prometheus_test_counter{{a=\"2\"}} {n}
# TYPE prometheus_test_gauge gauge
prometheus_test_gauge 500
# TYPE prometheus_test_summary summary
prometheus_test_summary_sum 200
prometheus_test_summary_count 50
prometheus_test_summary{{quantile=\"0\"}} 0.1
prometheus_test_summary{{quantile=\"0.5\"}} 0.5
prometheus_test_summary{{quantile=\"1\"}} 1
"
        )
    }),
    ("v50", "", |n, _| {
        let values = ["10", "15", "15", "3", "NaN", "7", "9"];
        format!("# TYPE c counter\nc {}\n", values[(n as usize - 1).min(values.len() - 1)])
    }),
    ("v51", "", |n, start| match n {
        1 => format!("# TYPE c counter\nc 10 {start}\n"),
        2 => format!("# TYPE c counter\nc 20 {start}\n"),
        _ => format!("# TYPE c counter\nc 30 {}\n", start + 500),
    }),
    ("v52", "", |n, _| {
        let gone = if n == 1 { "# TYPE gone gauge\ngone 1\n" } else { "" };
        format!(
            "# TYPE g_nan gauge\ng_nan NaN\n# TYPE g_inf gauge\ng_inf +Inf\n# TYPE g_ninf gauge\ng_ninf -Inf\n# TYPE g gauge\ng -0.5\n{gone}"
        )
    }),
    ("v53", "", |n, _| {
        format!("# TYPE h histogram\nh_bucket{{le=\"1\"}} {n}\nh_bucket{{le=\"+Inf\"}} {n}\nh_sum {n}\nh_count {n}\n")
    }),
    ("v54", "", |n, _| {
        let (count, sum) = (2 * n, 3 * n);
        format!("# TYPE jvm_gc summary\njvm_gc_count{{gc=\"Copy\"}} {count}\njvm_gc_sum{{gc=\"Copy\"}} {sum}\n")
    }),
    (
        "v55",
        "metric_relabel_configs:
  - {source_labels: [prom_type, include], separator: '@', regex: '(.*)@(.*)', replacement: '${2}/$1', target_label: both}
  - {source_labels: [__name__], target_label: my_name}",
        |_, _| "# TYPE m gauge\nm{prom_type=\"counter\",include=\"yes\"} 1\n".to_owned(),
    ),
    ("v76", "", |n, _| (0..150).map(|i| format!("# TYPE g_{i} gauge\ng_{i} {n}\n")).collect()),
    ("a:b*c", "", |n, _| format!("# TYPE v88 gauge\nv88 {n}\n")),
];

/// Runs the agent until every target was scraped often enough, and stops it.
pub(crate) async fn run() -> Run {
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut targets = Vec::new();
    let mut scrape = "global: {scrape_interval: 800ms, scrape_timeout: 800ms}\nscrape_configs:\n".to_owned();
    for (job, settings, page) in JOBS {
        let page = *page;
        let target = Target::start(any_port(), Behaviour::moving(move |n| page(n, start))).await;
        scrape.push_str(&format!("- job_name: '{job}'\n  static_configs: [{{targets: ['{}']}}]\n", target.addr()));
        if !settings.is_empty() {
            scrape.push_str(&format!("  {settings}\n"));
        }
        targets.push(target);
    }
    let agent_json = json!({
        "agent": {"omit_hostname": false},
        "logs": {"force_flush_interval": 1, "metrics_collected": {"emf": {}, "prometheus": {
            "prometheus_config_path": "env:PROMETHEUS_CONFIG_CONTENT",
            "cluster_name": "CustomClusterName",
            "emf_processor": {"metric_declaration": [{
                "source_labels": ["job"], "label_matcher": "^v76$", "dimensions": [["ClusterName"]],
                "metric_selectors": ["^g_[0-9]+$"]}]}}}}});
    let world = World { metadata: Some(fargate_task("real", "agent")), ..World::default() };
    let aws = FakeAws::start(world).await;
    let mut agent = Agent::with_args([""; 0])
        .aws_task(&aws)
        .own_metrics()
        .env("RUN_IN_CONTAINER", "True")
        .env("HOST_NAME", "lab-host")
        .env("CW_CONFIG_CONTENT", &agent_json.to_string())
        .env("PROMETHEUS_CONFIG_CONTENT", &scrape)
        .start()
        .await;
    wait_until("ten scrapes of every target", PATIENCE, || {
        targets.iter().all(|target| target.scrapes() >= SCRAPES).then_some(())
    })
    .await;
    assert!(agent.stop().await.success());
    let mut events = aws.events();
    events.sort_by_key(|event| event.timestamp_ms);
    let event = |event: tests::fake::LogEvent| {
        let document = event.json();
        (event.group, event.stream, document, event.message)
    };
    Run { events: events.into_iter().map(event).collect(), log: agent.log() }
}

impl Run {
    /// Documents of a stream in the order of time.
    #[track_caller]
    fn of(&self, stream: &str) -> Vec<&Value> {
        let found: Vec<&Value> = self.events.iter().filter(|event| event.1 == stream).map(|event| &event.2).collect();
        assert!(!found.is_empty(), "no event in the stream {stream}; there are {:?}", self.streams());
        found
    }

    fn streams(&self) -> Vec<&str> {
        let mut streams: Vec<&str> = self.events.iter().map(|event| event.1.as_str()).collect();
        streams.sort_unstable();
        streams.dedup();
        streams
    }

    /// Values of a field in the order of time.
    fn values(&self, stream: &str, field: &str) -> Vec<f64> {
        self.of(stream).iter().filter_map(|document| document.get(field)?.as_f64()).collect()
    }

    /// Whether any event has a field.
    fn is_anywhere(&self, field: &str) -> bool {
        self.events.iter().any(|event| event.2.get(field).is_some())
    }
}

fn cluster_name(run: &Run) {
    for (group, _, document, _) in &run.events {
        assert_eq!(group, "/aws/ecs/containerinsights/real/prometheus");
        assert_eq!(document["ClusterName"], "CustomClusterName");
    }
}

fn from_variables(run: &Run) {
    assert!(run.log.contains("the CloudWatch agent's env:CW_CONFIG_CONTENT"));
    assert!(run.log.contains("emf is another feature") && !run.events.is_empty());
}

fn rolled_back(run: &Run) {
    let documents = run.of("v42");
    let expected: Vec<Value> = (0..documents.len()).map(|i| json!(2 * i + 1)).collect();
    for field in ["a", "b"] {
        assert_eq!(documents.iter().map(|document| document[field].clone()).collect::<Vec<_>>(), expected);
    }
}

fn no_helper_labels(run: &Run) {
    assert!(!run.events.iter().any(|event| event.3.contains("cwagent_saved_scrape") || event.3.contains("\"__")));
    let document = run.of("v46_replaced")[0];
    assert_eq!((&document["job"], &document["instance"]), (&json!("v46_replaced"), &json!("i")));
}

fn unknown_target(run: &Run) {
    let documents = run.of("nobody");
    assert!(documents.iter().all(|d| d["instance"] == "nowhere" && d["prom_metric_type"] == "counter"));
    assert!(run.values("nobody", "v44_total").iter().all(|value| *value == 1.0), "a counter's differences");
}

fn types_by_name(run: &Run) {
    for document in run.of("v45") {
        assert_eq!(document["prom_metric_type"], "counter");
        // As the target wrote it, one has no type of its own: a counter has no sum and no count.
        for (name, is_there) in [
            ("m1", true),
            ("m2", true),
            ("m4_total", true),
            ("m3", false),
            ("m3_sum", false),
            ("m1_sum", false),
            ("m2_count", false),
        ] {
            assert_eq!(document.get(name).is_some(), is_there, "{name} in {document}");
        }
    }
}

fn renamed(run: &Run) {
    let documents = run.of("v46_replaced");
    let of_type = |kind: &str| documents.iter().filter(|d| d["prom_metric_type"] == kind).copied().collect::<Vec<_>>();
    assert!(of_type("counter").iter().all(|d| d["m2_changed"] == 1 && d.get("m1").is_none()));
    assert!(of_type("gauge").iter().all(|d| d.get("m1").is_some() && d.get("m2_changed").is_none()));
    assert!(!of_type("counter").is_empty() && !of_type("gauge").is_empty());
    assert!(documents.iter().all(|document| document.get("m2").is_none()));
}

fn dropped_types(run: &Run) {
    assert!(run.of("v47").iter().all(|document| document.get("kept").is_some()));
    assert!(!["untyped_1", "untyped_2", "u"].iter().any(|name| run.is_anywhere(name)));
    let line = "Drop Prometheus metrics with unsupported types. Only Gauge, Counter and Summary are supported.";
    assert!(run.log.contains(line) && run.log.contains("reason unsupported_type"));
}

fn internal_series(run: &Run) {
    assert!(!run.streams().contains(&"v48"), "without a type neither is sent");
    for name in ["up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_internal", "internal"] {
        assert!(!run.is_anywhere(name), "{name}");
    }
}

fn all_types(run: &Run) {
    let documents = run.of("v49");
    assert!(!run.is_anywhere("prometheus_test_untyped"));
    for kind in ["counter", "gauge", "summary"] {
        assert!(documents.iter().any(|document| document["prom_metric_type"] == kind), "{kind}");
    }
    for document in documents {
        assert_eq!((&document["host"], &document["job"]), (&json!("lab-host"), &json!("v49")));
        assert!(document["instance"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    // In this container it was asked for; on a host the field is there by itself.
    let tree = prometheus("\"log_group_name\":\"g\"", &super::support::host()).good();
    assert_values(&tree, &[("exporters.awsemf.event_labels.host", "h")]);
    assert!(prometheus("", &ecs()).good()["exporters"]["awsemf"]["event_labels"]["host"].is_null());
}

fn counter(run: &Run) {
    let values = run.values("v50", "c");
    let (sequence, rest) = values.split_at(4);
    assert_eq!(sequence, [5.0, 0.0, 3.0, 2.0], "baseline, then 5, 0, a reset, a gap with its baseline, 2");
    assert!(rest.iter().all(|value| *value == 0.0));
}

fn same_time(run: &Run) {
    assert_eq!(run.values("v51", "c"), [20.0], "30 at the later time is 20 more than 10");
}

fn gauges(run: &Run) {
    assert!(!["g_nan", "g_inf", "g_ninf"].iter().any(|name| run.is_anywhere(name)));
    assert!(run.values("v52", "g").iter().all(|value| *value == -0.5));
    assert_eq!(run.values("v52", "gone"), [1.0]);
}

fn histograms(run: &Run) {
    assert!(!run.streams().contains(&"v53"));
    assert!(!["h_bucket", "h_sum", "h_count", "h"].iter().any(|name| run.is_anywhere(name)));
}

fn summary(run: &Run) {
    for document in run.of("v54") {
        assert_eq!((&document["jvm_gc_count"], &document["jvm_gc_sum"]), (&json!(2), &json!(3)));
        assert_eq!((document.get("jvm_gc"), document.get("quantile")), (None, None));
    }
}

fn relabelling(run: &Run) {
    for document in run.of("v55") {
        assert_eq!((&document["both"], &document["my_name"]), (&json!("yes/counter"), &json!("m")));
    }
}

fn many_gauges(run: &Run) {
    let mut names = Vec::new();
    for event in run.events.iter().filter(|event| event.1 == "v76") {
        let found = extract(&event.3).unwrap();
        assert!(!found.is_empty() && found.len() <= 100, "{}", found.len());
        names.extend(found.into_iter().map(|datum| datum.metric.name));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 150);
}

fn odd_job(run: &Run) {
    assert!(run.of("a_b_c").iter().all(|document| document["job"] == "a:b*c"));
}
