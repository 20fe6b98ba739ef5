//! Vectors of events: which points share a record, which declarations select them, and the text that comes out.

use serde_json::json;

use super::emf::*;
use super::support::{ecs, prometheus};
use super::{Vector, vector};

pub(crate) fn vectors() -> Vec<Vector<fn()>> {
    vec![
        vector(56, "labels are the key of a record, labels and name that of a series", keys),
        vector(57, "two counters of one label set share a record", records),
        vector(58, "label matchers", label_matchers),
        vector(59, "a missing source label is empty in the joined text", joined_labels),
        vector(60, "name selectors", name_selectors),
        vector(61, "dimension sets as they are read", dimension_sets)
            .differs("Dimension sets may have 30 names (agent: 10)"),
        vector(62, "declarations that are refused", refused_declarations),
        vector(63, "one declaration with a set that does not exist", one_declaration),
        vector(64, "three declarations that overlap", three_declarations),
        vector(65, "two declarations that overlap", two_declarations),
        vector(66, "a declaration whose only set does not exist", partly_without_set),
        vector(67, "no set exists", without_set),
        vector(68, "the empty dimension set", empty_set),
        vector(69, "matchers over labels that are there or not", matchers_over_labels),
        vector(70, "an event of version 0 in the collector's layout", version_0),
        vector(71, "the same metric in two declarations, with and without dedup", dedup),
        vector(72, "sets and metrics that the record has not are left out", clean_up),
        vector(73, "declarations that share a metric", shared_metric)
            .differs("Declarations that share a metric give one measurement object with the union of their sets"),
        vector(74, "the guide's event, byte for byte", guide),
        vector(75, "another metric of the same record", other_metric),
        vector(77, "a label ClusterName of the series", own_cluster_name),
        vector(78, "no job", no_job),
        vector(79, "the stream of a job", streams),
        vector(80, "placeholders of log groups", groups)
            .differs("A log group name with an unknown placeholder is refused"),
        vector(89, "characters that a stream must not have", stream_characters),
    ]
}

const NOTHING: &str = "\"cluster_name\":\"c\"";
const TWO_TAGS: Labels<'static> = &[("tagA", "tagA_v"), ("tagB", "tagB_v")];

fn keys() {
    let mut emf = Emf::of(NOTHING);
    let turned = [TWO_TAGS[1], TWO_TAGS[0]];
    assert_eq!(emf.send(vec![gauge("x", TWO_TAGS, 1.0), gauge("y", &turned, 2.0)]).len(), 1);
    // Each metric name has its own previous value.
    let of = |at, x, y| vec![counter("cx", TWO_TAGS, at, x), counter("cy", &turned, at, y)];
    assert!(emf.send(of(T0_MS, 1.0, 100.0)).is_empty());
    let sent = emf.send(of(T0_MS + 1, 3.0, 107.0));
    assert_eq!((&sent[0].json()["cx"], &sent[0].json()["cy"], sent.len()), (&json!(2), &json!(7), 1));
}

fn records() {
    let mut emf = Emf::of(NOTHING);
    let other = [("tagA", "tagA_v"), ("tagB", "other")];
    let of = |at, more: f64| {
        let one = |name, labels: Labels<'_>, value: f64| counter(name, labels, at, value * more);
        vec![one("m1", TWO_TAGS, 0.1), one("m2", TWO_TAGS, 0.2), one("m1", &other, 0.1)]
    };
    emf.send(of(T0_MS, 0.0));
    let sent = emf.send(of(T0_MS + 1, 1.0));
    assert_eq!(sent.len(), 2);
    assert_eq!((&sent[0].json()["m1"], &sent[0].json()["m2"]), (&json!(0.1), &json!(0.2)));
    assert_eq!((&sent[1].json()["m1"], sent[1].json().get("m2")), (&json!(0.1), None));
}

/// Whether a declaration with this matcher selects a record with these labels.
#[track_caller]
fn selects(members: &str, labels: Labels<'_>) -> bool {
    let declaration = format!("{{{members},\"metric_selectors\":[\"^m$\"],\"dimensions\":[[]]}}");
    let sent = Emf::declared(&declaration).send(vec![gauge("m", labels, 1.0)]);
    !sent[0].elements().is_empty()
}

fn label_matchers() {
    let names = |names: &str, regex: &str| format!("\"source_labels\":{names},\"label_matcher\":\"{regex}\"");
    let one = [("label1", "foo")];
    assert!(selects(&names("[\"label1\"]", "^fo+$"), &one));
    assert!(!selects(&names("[\"label1\"]", "^f+$"), &one));
    assert!(!selects(&names("[\"label2\"]", ".+"), &one));
    let three = [("label1", "foo"), ("label2", "bar"), ("label3", "car")];
    let order = "[\"label1\",\"label3\",\"label2\"]";
    assert!(selects(&names(order, "fo+;car;b.*$"), &three));
    let comma = |regex: &str| format!("{},\"label_separator\":\",\"", names(order, regex));
    assert!(selects(&comma("fo+,car,b.*$"), &three));
    assert!(!selects(&comma("fo+;car;b.*$"), &three));
    assert!(selects(&names("[\"label1\",\"label4\",\"label2\"]", "fo+;;b.*$"), &three));
}

fn joined_labels() {
    let labels = [("label1", "a"), ("label2", "b")];
    assert!(selects("\"source_labels\":[\"label1\",\"label4\",\"label2\"],\"label_matcher\":\"^a;;b$\"", &labels));
}

fn name_selectors() {
    let mut emf = Emf::declared(&declaration("[[]]", "[\"^a+$\",\"^b.*$\",\"^ac+a$\"]"));
    let names = ["a", "aa", "aaaa", "b", "ba", "aca", "accca", "aaab", "c"];
    let sent = emf.send(names.iter().map(|name| gauge(name, &[], 1.0)).collect());
    assert_eq!(sent[0].elements(), ["a aa aaaa aca accca b ba: []"]);
}

fn dimension_sets() {
    let list = |count: usize| -> String {
        let names: Vec<String> = (10..10 + count).map(|i| format!("\"l{i}\"")).collect();
        format!("[{}]", names.join(","))
    };
    let names: Vec<String> = (10..50).map(|i| format!("l{i}")).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    for (count, sets) in [(10, 1), (11, 1), (30, 1), (31, 0)] {
        let mut emf = Emf::declared(&declaration(&format!("[{}]", list(count)), "[\"m\"]"));
        assert_eq!(emf.send(vec![gauge("m", &labels, 1.0)])[0].elements().len(), sets, "{count} names");
    }
    let mut emf = Emf::declared(&declaration("[[\"a\",\"c\",\"b\",\"c\"],[\"c\",\"b\",\"a\"]]", "[\"m\"]"));
    let labels = [("a", "1"), ("b", "2"), ("c", "3")];
    assert_eq!(emf.send(vec![gauge("m", &labels, 1.0)])[0].elements(), ["m: [a,b,c]"]);
}

fn refused_declarations() {
    let of = |members: &str| {
        prometheus(&format!("\"emf_processor\":{{\"metric_declaration\":[{{\"dimensions\":[[]],{members}}}]}}"), &ecs())
    };
    of("\"source_labels\":[\"a\"],\"metric_selectors\":[]").says("Error : no metric name selectors defined");
    of("\"source_labels\":[],\"metric_selectors\":[\"a\"]")
        .says("Error : label matcher must have at least one label name specified");
    of("\"source_labels\":[\"a\"],\"metric_selectors\":[\"a\"],\"label_matcher\":\"\"")
        .says("Error : regex not specified for label matcher");
}

const ABC: Labels<'static> = &[("a", "A"), ("b", "B"), ("c", "C")];

/// The elements of a record with labels a, b, c and metrics 1, 2, 3 under these declarations.
#[track_caller]
fn elements(declarations: &[String]) -> Vec<String> {
    let metrics = ["metric1", "metric2", "metric3"].map(|name| gauge(name, ABC, 1.0));
    let sent = Emf::declared(&declarations.join(",")).send(metrics.into());
    assert_eq!(sent.len(), 1);
    for name in ["metric1", "metric2", "metric3"] {
        assert_eq!(sent[0].json()[name], 1, "extracted or not, it is in the event");
    }
    sent[0].elements()
}

const A_AC_BD: &str = "[[\"a\"],[\"a\",\"c\"],[\"b\",\"d\"]]";
const ALL: &str = "[\"metric.*\"]";

fn one_declaration() {
    assert_eq!(elements(&[declaration(A_AC_BD, ALL)]), ["metric1 metric2 metric3: [a] [a,c]"]);
}

fn three_declarations() {
    let first = declaration("[[\"a\"],[\"b\",\"d\"]]", ALL);
    let second = declaration("[[\"a\",\"c\"],[\"b\",\"d\"]]", "[\"metric1\"]");
    let third = declaration("[[\"a\"],[\"b\"],[\"b\",\"d\"]]", "[\"metric(1|2)\"]");
    let mut found = elements(&[first, second, third]);
    found.sort();
    // Sets in the order of the declarations: the agent's are in no order.
    assert_eq!(found, ["metric1: [a] [a,c] [b]", "metric2: [a] [b]", "metric3: [a]"]);
}

fn two_declarations() {
    let first = declaration("[[\"a\"],[\"b\",\"d\"]]", ALL);
    let third = declaration("[[\"a\"],[\"b\"],[\"b\",\"d\"]]", "[\"metric(1|2)\"]");
    let mut found = elements(&[first, third]);
    found.sort();
    assert_eq!(found, ["metric1 metric2: [a] [b]", "metric3: [a]"]);
}

fn partly_without_set() {
    let first = declaration("[[\"b\",\"d\"]]", ALL);
    let second = declaration("[[\"a\"],[\"b\"],[\"b\",\"d\"]]", "[\"metric(1|2)\"]");
    assert_eq!(elements(&[first, second]), ["metric1 metric2: [a] [b]"]);
}

fn without_set() {
    assert_eq!(elements(&[declaration("[[\"b\",\"d\"]]", ALL)]), [""; 0]);
}

fn empty_set() {
    assert_eq!(elements(&[declaration("[[]]", "[\"metric(1|3)\"]")]), ["metric1 metric3: []"]);
}

fn matchers_over_labels() {
    let matched = |names: &str, regex: &str, sets: &str| {
        format!(
            "{{\"source_labels\":{names},\"label_matcher\":\"{regex}\",\"dimensions\":{sets},\"metric_selectors\":{ALL}}}"
        )
    };
    let first = matched("[\"a\",\"b\",\"d\"]", "A;B;D", "[[\"a\"]]");
    let second = matched("[\"a\",\"b\"]", "A;B", "[[\"b\"]]");
    assert_eq!(elements(&[first, second]), ["metric1 metric2 metric3: [b]"]);
    let first = matched("[\"a\",\"b\"]", "A;C", "[[\"a\"]]");
    let second = matched("[\"a\",\"b\"]", "a;B", "[[\"b\"]]");
    assert_eq!(elements(&[first, second]), [""; 0]);
}

fn version_0() {
    let section = "{namespace: n, log_group_name: g, log_stream_name: s, version: '0', dimension_rollup_option: NoDimensionRollup, metric_descriptors: [{metric_name: spanCounter, unit: Count}], metric_declarations: [{metric_name_selectors: [spanCounter], dimensions: [[OTelLib], [OTelLib, spanName]]}]}";
    let labels = [("OTelLib", "cloudwatch-otel"), ("spanName", "test")];
    let sent = Emf::of_section(section).send(vec![gauge("spanCounter", &labels, 0.0)]);
    let expected = r#"{"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[["OTelLib"],["OTelLib","spanName"]],"Metrics":[{"Name":"spanCounter","Unit":"Count","StorageResolution":60}]}],"OTelLib":"prometheusreceiver","Timestamp":"1700000000000","Version":"0","spanCounter":0,"spanName":"test"}"#;
    // The agent puts the metric behind the other fields, which no reader of JSON sees.
    assert_eq!(sent[0].text, expected);
    // Without a measurement, in the agent's layout: no CloudWatchMetrics, the metric among the other fields.
    let sent = Emf::of(NOTHING).send(vec![gauge("spanCounter", &labels, 0.0)]);
    let expected = r#"{"ClusterName":"c","OTelLib":"cloudwatch-otel","Timestamp":"1700000000000","Version":"0","instance":"10.10.100.191:3000","job":"backends","prom_metric_type":"gauge","spanCounter":0,"spanName":"test"}"#;
    assert_eq!(sent[0].text, expected);
}

fn with_dedup(dedup: bool, declarations: &[String], more: &str) -> Emf {
    Emf::of(&format!(
        "\"emf_processor\":{{\"metric_declaration_dedup\":{dedup},\"metric_declaration\":[{}]{more}}}",
        declarations.join(",")
    ))
}

fn dedup() {
    let twice = [declaration("[[\"tagA\"]]", "[\"metric_a\"]"), declaration("[[\"tagA\"]]", "[\"metric_a\"]")];
    let unit = ",\"metric_unit\":{\"metric_a\":\"Count\"}";
    for (dedup, expected) in [(true, 1), (false, 2)] {
        let sent = with_dedup(dedup, &twice, unit).send(vec![gauge("metric_a", TWO_TAGS, 1.0)]);
        assert_eq!(sent[0].elements(), vec!["metric_a: [tagA]"; expected]);
        assert_eq!(sent[0].json()["CloudWatchMetrics"][0]["Metrics"], json!([{"Name": "metric_a", "Unit": "Count"}]));
    }
}

fn clean_up() {
    let of = |sets: &str, selectors: &str| {
        let sent = with_dedup(true, &[declaration(sets, selectors)], "")
            .send(vec![gauge("fieldA", TWO_TAGS, 1.0), gauge("fieldB", TWO_TAGS, 2.0)]);
        sent[0].elements()
    };
    let sets = "[[\"tagA\",\"tagB\"],[\"tagA\"],[\"tagA\",\"tagC\"]]";
    assert_eq!(of(sets, "[\"^fieldA$\",\"^fieldC$\"]"), ["fieldA: [tagA,tagB] [tagA]"]);
    assert_eq!(of("[[\"tagC\"]]", "[\"^fieldA$\"]"), [""; 0]);
    assert_eq!(of(sets, "[\"^fieldC$\"]"), [""; 0]);
}

fn shared_metric() {
    let labels = [("A", "1"), ("B", "2"), ("C", "3"), ("D", "4")];
    let run = |rules: &[(&str, &str)]| {
        let declarations: Vec<String> = rules.iter().map(|(sets, names)| declaration(sets, names)).collect();
        let metrics = ["fieldA", "fieldB", "fieldC", "fieldD"].map(|name| gauge(name, &labels, 1.0));
        let mut found = with_dedup(true, &declarations, "").send(metrics.into())[0].elements();
        found.sort();
        found
    };
    let found = run(&[
        ("[[\"A\",\"B\"],[\"A\"],[\"A\",\"C\"]]", "[\"^field[AB]$\"]"),
        ("[[\"A\",\"C\"],[\"A\"],[\"C\",\"D\"]]", "[\"^field[AC]$\"]"),
        ("[[\"A\",\"C\"],[\"A\"],[\"B\",\"D\"]]", "[\"^field[AD]$\"]"),
    ]);
    assert_eq!(
        found,
        [
            "fieldA: [A,B] [A] [A,C] [C,D] [B,D]",
            "fieldB: [A,B] [A] [A,C]",
            "fieldC: [A,C] [A] [C,D]",
            "fieldD: [A,C] [A] [B,D]"
        ]
    );
    // Without a common set the agent leaves the metric in both; here it is in one object, under the same sets.
    let found = run(&[("[[\"A\"]]", "[\"^field[AB]$\"]"), ("[[\"B\"]]", "[\"^field[AC]$\"]")]);
    assert_eq!(found, ["fieldA: [A] [B]", "fieldB: [A]", "fieldC: [B]"]);
}

const GUIDE_EVENT: &str = r#"{"CloudWatchMetrics":[{"Metrics":[{"Name":"http_requests_total"}],"Dimensions":[["ClusterName","TaskGroup"]],"Namespace":"ECS/ContainerInsights/Prometheus"}],"ClusterName":"ecs-sarathy-cluster","LaunchType":"EC2","StartedBy":"ecs-svc/4964126209508453538","TaskDefinitionFamily":"BackendAlarmTask","TaskGroup":"service:BackendService","TaskRevision":"4","Timestamp":"1678226606712","Version":"0","container_name":"go-backend","exported_job":"storebackend","http_requests_total":36,"instance":"10.10.100.191:3000","job":"backends","path":"/popular/category","prom_metric_type":"counter"}"#;
const GUIDE_LABELS: Labels<'static> = &[
    ("LaunchType", "EC2"),
    ("StartedBy", "ecs-svc/4964126209508453538"),
    ("TaskDefinitionFamily", "BackendAlarmTask"),
    ("TaskGroup", "service:BackendService"),
    ("TaskRevision", "4"),
    ("container_name", "go-backend"),
    ("exported_job", "storebackend"),
    ("path", "/popular/category"),
];
const GUIDE_TIME_MS: i64 = 1_678_226_606_712;

/// The last event of a counter under the guide's declaration.
fn guide_event(name: &str) -> Event {
    let declaration = "{\"source_labels\":[\"job\"],\"label_matcher\":\"^backends$\",\"dimensions\":[[\"ClusterName\",\"TaskGroup\"]],\"metric_selectors\":[\"^http_requests_total$\"]}";
    let mut emf = Emf::of(&format!(
        "\"cluster_name\":\"ecs-sarathy-cluster\",\"emf_processor\":{{\"metric_declaration\":[{declaration}]}}"
    ));
    assert!(emf.send(vec![counter(name, GUIDE_LABELS, GUIDE_TIME_MS - 60_000, 100.0)]).is_empty());
    emf.send(vec![counter(name, GUIDE_LABELS, GUIDE_TIME_MS, 136.0)]).remove(0)
}

fn guide() {
    assert_eq!(guide_event("http_requests_total").text, GUIDE_EVENT);
}

fn other_metric() {
    let event = guide_event("other_total").json();
    assert_eq!((event.get("CloudWatchMetrics"), &event["other_total"]), (None, &json!(36)));
    assert_eq!((&event["Version"], &event["Timestamp"]), (&json!("0"), &json!("1678226606712")));
}

fn own_cluster_name() {
    let sent = Emf::of(NOTHING).send(vec![gauge("m", &[("ClusterName", "relabelled")], 1.0)]);
    assert_eq!(sent[0].json()["ClusterName"], "relabelled");
}

fn no_job() {
    let sent = Emf::of(NOTHING).resource(&[]).send(vec![gauge("m", &[], 1.0)]);
    assert_eq!((sent[0].stream.as_str(), &sent[0].json()["JobName"]), ("default", &json!("default")));
}

fn streams() {
    let stream =
        |labels: Labels<'_>| Emf::of(NOTHING).resource(&[]).send(vec![gauge("m", labels, 1.0)]).remove(0).stream;
    assert_eq!(stream(&[("job", "some-test-log")]), "some-test-log");
    assert_eq!(stream(&[("job", "some-test-log"), ("JobName", "takes-precedence")]), "takes-precedence");
}

fn groups() {
    let group = |name: &str, resource: Labels<'_>| {
        let section = format!("{{log_group_name: '{name}', log_stream_name: s}}");
        Emf::of_section(&section).resource(resource).send(vec![gauge("m", &[], 1.0)]).remove(0).group
    };
    let performance = "/aws/ecs/containerinsights/{ClusterName}/performance";
    for attribute in ["aws.ecs.cluster.name", "ClusterName"] {
        assert_eq!(group(performance, &[(attribute, "test")]), "/aws/ecs/containerinsights/test/performance");
    }
    for resource in [&[][..], &[("ClusterName", "")][..]] {
        assert_eq!(group(performance, resource), "/aws/ecs/containerinsights/undefined/performance");
    }
    assert_eq!(group("{PodName}", &[("PodName", "p")]), "p");
    assert_eq!(group("{PodName}", &[("pod", "p")]), "p");
    assert_eq!(group("{TaskDefinitionFamily}", &[("aws.ecs.task.family", "f")]), "f");
    // The exporter leaves what it does not know, as the agent does; in an agent JSON it is an error.
    assert_eq!(group("{WrongKey}", &[]), "{WrongKey}");
    prometheus("\"log_group_name\":\"{WrongKey}\"", &ecs()).says("has a placeholder that does not exist");
}

fn stream_characters() {
    let job = "arn:aws:ecs:us-west-2:123456789012:task/x";
    let sent = Emf::of(NOTHING).resource(&[("service.name", job)]).send(vec![gauge("m", &[], 1.0)]);
    assert_eq!(sent[0].stream, "arn_aws_ecs_us-west-2_123456789012_task/x");
}
