//! Vectors of single features beside the recorded cases.

use proto::{Batch, NumberValue, Selection, SymbolId};

use super::super::{AwsEmfConfig, NO_ROLLUP_GATE};
use super::{Event, NOW_MS, T0_MS, events, events_at, translator};

/// An OTLP/JSON request of one unnamed scope.
fn request(resource: &str, metrics: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{resource}]}},"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#
    )
}

fn attribute(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

/// Points of a metric kind; `%` stands for the time.
fn metric(name: &str, kind: &str, points: &str) -> String {
    let points = points.replace('%', &format!(r#""timeUnixNano":"{T0_MS}123456""#));
    format!(r#"{{"name":"{name}","{kind}":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{points}]}}}}"#)
}

fn texts(config: &str, requests: &[String]) -> Vec<String> {
    let mut translator = translator(config).unwrap();
    requests.iter().flat_map(|request| events(&mut translator, request).0).map(|event: Event| event.text).collect()
}

/// The field `m` of every event.
fn values(config: &str, requests: &[String]) -> Vec<String> {
    let field = |text: &String| text.split_once("\"m\":").unwrap().1.trim_end_matches('}').to_owned();
    texts(config, requests).iter().map(field).collect()
}

fn sum(value: &str, time_s: u64, start_s: u64) -> String {
    let (time, start) = (T0_MS as u64 / 1000 + time_s, T0_MS as u64 / 1000 + start_s);
    let point = format!(r#"{{"timeUnixNano":"{time}000000000","startTimeUnixNano":"{start}000000000",{value}}}"#);
    request("", &metric("m", "sum", &point))
}

#[test]
fn a_whole_document_is_exact() {
    let gauge =
        request("", &metric("g", "gauge", &format!(r#"{{%,"asInt":"1","attributes":[{}]}}"#, attribute("a", "1"))));
    let expected = r#"{"Version":"1","_aws":{"CloudWatchMetrics":[{"Namespace":"default","Dimensions":[[],["a"]],"Metrics":[{"Name":"g","Unit":"","StorageResolution":60}]}],"Timestamp":1700000000000},"a":"1","g":1}"#;
    assert_eq!(texts("{}", std::slice::from_ref(&gauge)), [expected]);
    let version0 = r#"{"CloudWatchMetrics":[{"Namespace":"default","Dimensions":[["a"]],"Metrics":[{"Name":"g","Unit":"","StorageResolution":60}]}],"Timestamp":"1700000000000","Version":"0","a":"1","g":1}"#;
    assert_eq!(
        texts("{version: '0', dimension_rollup_option: NoDimensionRollup}", std::slice::from_ref(&gauge)),
        [version0]
    );
    let nothing = "metric_declarations: [{metric_name_selectors: [nothing], dimensions: [[a]]}]";
    assert_eq!(texts(&format!("{{{nothing}}}"), std::slice::from_ref(&gauge)), [r#"{"a":"1","g":1}"#]);
    assert_eq!(
        texts(&format!("{{version: '0', {nothing}}}"), std::slice::from_ref(&gauge)),
        [r#"{"Timestamp":"1700000000000","a":"1","g":1}"#]
    );
    assert!(texts(&format!("{{drop_unmatched: true, {nothing}}}"), &[gauge]).is_empty());
    let empty = request(
        &attribute("receiver", "prometheus"),
        r#"{"name":"eh","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1700000000000000000","count":"1","sum":1}]}}"#,
    );
    let text = &texts("{}", &[empty])[0];
    assert!(
        text.ends_with(r#""eh":{"Values":[],"Counts":[],"Max":0,"Min":0,"Count":1,"Sum":1},"prom_metric_type":""}"#),
        "{text}"
    );
}

#[test]
fn the_own_fields_of_a_document_win_over_labels_and_metrics() {
    let labels = [attribute("Version", "v"), attribute("_aws", "w"), attribute("prom_metric_type", "x")].join(",");
    let both = [
        metric("Version", "gauge", &format!(r#"{{%,"asInt":"1","attributes":[{labels}]}}"#)),
        metric("Timestamp", "gauge", &format!(r#"{{%,"asInt":"2","attributes":[{labels}]}}"#)),
    ]
    .join(",");
    let one = request(&attribute("receiver", "prometheus"), &both);
    let none = "dimension_rollup_option: NoDimensionRollup";
    let metrics = r#"[{"Name":"Timestamp","Unit":"","StorageResolution":60},{"Name":"Version","Unit":"","StorageResolution":60}]"#;
    let directive = format!(
        r#"[{{"Namespace":"default","Dimensions":[["Version","_aws","prom_metric_type"]],"Metrics":{metrics}}}]"#
    );
    let expected = format!(
        r#"{{"Timestamp":2,"Version":"1","_aws":{{"CloudWatchMetrics":{directive},"Timestamp":1700000000000}},"prom_metric_type":"gauge"}}"#
    );
    assert_eq!(texts(&format!("{{{none}}}"), std::slice::from_ref(&one)), [expected]);
    let expected = format!(
        r#"{{"CloudWatchMetrics":{directive},"Timestamp":"1700000000000","Version":"0","_aws":"w","prom_metric_type":"gauge"}}"#
    );
    assert_eq!(texts(&format!("{{{none}, version: '0'}}"), &[one]), [expected]);
}

#[test]
fn cumulative_sums_become_differences() {
    let run = |config: &str, points: &[(&str, u64, u64)]| {
        let requests: Vec<String> = points.iter().map(|(value, time, start)| sum(value, *time, *start)).collect();
        values(config, &requests)
    };
    let ints =
        [(r#""asInt":"10""#, 1, 0), (r#""asInt":"15""#, 2, 0), (r#""asInt":"3""#, 3, 0), (r#""asInt":"3""#, 4, 0)];
    assert_eq!(run("{}", &ints), ["5", "3", "0"]);
    assert_eq!(run("{retain_initial_value_of_delta_metric: true}", &ints), ["10", "5", "3", "0"]);
    // A later start time is a restart, also when the value went on growing.
    let restart = [(r#""asInt":"10""#, 10, 1), (r#""asInt":"12""#, 20, 15), (r#""asInt":"14""#, 30, 15)];
    assert_eq!(run("{}", &restart), ["12", "2"]);
    let max = format!(r#""asDouble":{:?}"#, f64::MAX);
    let min = format!(r#""asDouble":{:?}"#, f64::MIN);
    assert!(run("{}", &[(&min, 1, 0), (&max, 2, 0)]).is_empty());
}

#[test]
fn a_difference_that_json_cannot_hold_costs_its_point() {
    for kind in ["sum", "histogram", "exponentialHistogram"] {
        let mut translator = translator("{}").unwrap();
        let mut run = |sum: &str, time: u64| {
            let value = if kind == "sum" { "asDouble" } else { "sum" };
            let time = T0_MS as u64 + time;
            let point = format!(r#"{{"timeUnixNano":"{time}000000","count":"{time}","{value}":{sum}}}"#);
            events(&mut translator, &request("", &metric("m", kind, &point)))
        };
        let (min, max) = ("-1.7e308", "1.7e308");
        // A sum that goes down has begun anew.
        let [first, second] = if kind == "sum" { [min, max] } else { [max, min] };
        assert_eq!(run(first, 1).1["first_value"], 1);
        let (written, dropped) = run(second, 2);
        assert!(written.is_empty(), "{written:?}");
        assert_eq!(dropped["not_finite"], 1, "{kind}");
    }
}

#[test]
fn resources_have_series_of_their_own() {
    let both = |a: u64, b: u64, time: u64| {
        let of = |name: &str, value: u64| {
            format!(
                r#"{{"resource":{{"attributes":[{}]}},"scopeMetrics":[{{"metrics":[{}]}}]}}"#,
                attribute("task", name),
                metric(
                    "m",
                    "sum",
                    &format!(
                        r#"{{"timeUnixNano":"{}000000","asInt":"{value}","attributes":[{}]}}"#,
                        T0_MS as u64 + time,
                        attribute("n", name)
                    )
                )
            )
        };
        format!(r#"{{"resourceMetrics":[{},{}]}}"#, of("a", a), of("b", b))
    };
    let requests = [both(10, 100, 0), both(11, 105, 1)];
    let mut got = values("{}", &requests);
    got.iter_mut().for_each(|text| *text = text.split(',').next().unwrap().to_owned());
    assert_eq!(got, ["1", "5"]);
}

#[test]
fn summaries_of_prometheus_are_differences_and_do_not_wrap_around() {
    let summary = |count: u64, sum: f64, time: u64| {
        let point = format!(
            r#"{{"timeUnixNano":"{}000000","count":"{count}","sum":{sum},"quantileValues":[{{"quantile":0.5,"value":2}},{{"quantile":0.99,"value":7}}]}}"#,
            T0_MS as u64 + time
        );
        request(
            &attribute("receiver", "prometheus"),
            &format!(r#"{{"name":"m","summary":{{"dataPoints":[{point}]}}}}"#),
        )
    };
    let requests = [summary(7, 20.0, 0), summary(9, 24.5, 1), summary(1, 2.0, 2)];
    let got = texts("{dimension_rollup_option: NoDimensionRollup}", &requests);
    let field = |text: &str| text.split_once("\"m\":").unwrap().1.to_owned();
    assert_eq!(field(&got[0]), r#"{"Max":7,"Min":2,"Count":2,"Sum":4.5},"prom_metric_type":"summary"}"#);
    assert_eq!(field(&got[1]), r#"{"Max":7,"Min":2,"Count":1,"Sum":2},"prom_metric_type":"summary"}"#);
    let detailed = texts("{detailed_metrics: true}", &requests[..2]);
    assert_eq!(detailed.len(), 4);
    for (text, expected) in
        detailed.iter().zip([r#""m_sum":4.5"#, r#""m_count":2"#, r#""quantile":"0.5""#, r#""quantile":"0.99""#])
    {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn storage_resolution_is_read_as_go_reads_integers() {
    for (text, expected) in [("1", "1"), ("+1", "1"), ("5", "5"), ("x", "60"), ("1.5", "60"), (" 1", "60"), ("", "60")]
    {
        let labels = attribute("aws.emf.storage_resolution", text);
        let one = request("", &metric("m", "gauge", &format!(r#"{{%,"asInt":"1","attributes":[{labels}]}}"#)));
        let got = &texts("{}", &[one])[0];
        assert!(got.contains(&format!("\"StorageResolution\":{expected}}}")), "{text:?}: {got}");
        assert!(!got.contains("aws.emf"), "{got}");
    }
}

#[test]
fn a_point_without_a_time_is_of_now() {
    let points = r#"{%,"asInt":"1"},{"asInt":"2"}"#;
    let mut translator = translator("{}").unwrap();
    let (events, _) = events(&mut translator, &request("", &metric("m", "gauge", points)));
    assert_eq!(events.iter().map(|event| event.timestamp_ms).collect::<Vec<_>>(), [T0_MS, NOW_MS]);
}

#[test]
fn a_duplicate_is_dropped_and_counted_and_the_first_value_stays() {
    let mut translator = translator("{}").unwrap();
    let (events, dropped) =
        events(&mut translator, &request("", &metric("m", "gauge", r#"{%,"asInt":"1"},{%,"asInt":"2"}"#)));
    assert!(events[0].text.ends_with("\"m\":1}"));
    assert_eq!(dropped["duplicate"], 1);
}

#[test]
fn the_marks_of_the_processor_are_honoured_without_declarations() {
    let points = format!(
        r#"{{%,"asInt":"1","attributes":[{0}]}},{{%,"asInt":"2","attributes":[{1}]}}"#,
        attribute("a", "1"),
        attribute("a", "2")
    );
    let json = request("", &metric("m", "gauge", &points));
    let mut batch: Batch = proto::otlp::decode_json(json.as_bytes()).unwrap();
    assert_eq!(batch.numbers[0].value, NumberValue::Int(1));
    let a: SymbolId = batch.tables.symbols.lookup("a").unwrap();
    let selection =
        Selection { sets: vec![vec![], vec![vec![a], vec![]]], numbers: vec![1, 0], ..Selection::default() };
    batch.meta.selection = Some(selection.clone().into());
    let run = |config: &str| -> Vec<String> {
        let mut translator = translator(config).unwrap();
        events_at(&mut translator, &batch, 0).0.into_iter().map(|event| event.text).collect()
    };
    let none = "dimension_rollup_option: NoDimensionRollup";
    let got = run(&format!("{{{none}}}"));
    assert!(got[0].contains(r#""Dimensions":[["a"],[]]"#), "{got:?}");
    assert_eq!(got[1], r#"{"a":"2","m":2}"#);
    assert_eq!(run(&format!("{{{none}, drop_unmatched: true}}")).len(), 1);
    // A point that no declaration was asked for is published as if there were none.
    batch.meta.selection = Some(Selection { numbers: vec![1, Selection::NOT_EVALUATED], ..selection }.into());
    let run = |config: &str| -> Vec<String> {
        let mut translator = translator(config).unwrap();
        events_at(&mut translator, &batch, 0).0.into_iter().map(|event| event.text).collect()
    };
    let got = run(&format!("{{{none}, drop_unmatched: true}}"));
    assert!(got[0].contains(r#""Dimensions":[["a"],[]]"#), "{got:?}");
    assert!(got[1].contains(r#""Dimensions":[["a"]]"#), "{got:?}");
    let own = run(&format!("{{{none}, metric_declarations: [{{metric_name_selectors: [m], dimensions: [[a]]}}]}}"));
    assert!(own.iter().all(|text| text.contains(r#""Dimensions":[["a"]]"#)), "{own:?}");
}

#[test]
fn settings_have_the_defaults_of_the_reference() {
    let (config, found) = config::decode_str::<AwsEmfConfig>("region: us-west-2\nrole_arn: r");
    assert!(found.is_empty());
    let config = config.unwrap();
    let session = &config.session;
    assert_eq!((*session.num_workers, *session.request_timeout_seconds, *session.max_retries), (8, 30, 2));
    assert_eq!((config.version.as_str(), config.output_destination.as_str()), ("1", "cloudwatch"));
    let (config, found) = config::decode_str::<AwsEmfConfig>(
        "resource_to_telemetry_conversion: {enabled: true}\ntags: {a: b}\nlog_retention: 365",
    );
    assert!(found.is_empty());
    assert!(!config.unwrap().resource_to_telemetry_conversion.exclude_service_attributes);
}

#[test]
fn the_gate_changes_the_default_rollup_only() {
    let mut context = proto::BuildContext::for_test("awsemf");
    context.gates = std::sync::Arc::new([NO_ROLLUP_GATE.to_owned()].into());
    for (text, expected) in [("{}", "None"), ("dimension_rollup_option: SingleDimensionRollupOnly", "Single")] {
        let config = config::decode_str::<AwsEmfConfig>(text).0.unwrap();
        let settings = config.check(&context).0.unwrap();
        assert_eq!(format!("{:?}", settings.rollup), expected);
    }
}

#[test]
fn wrong_settings_are_refused_with_their_place() {
    let cases = [
        ("log_retention: 366", "1:16: log_retention: invalid value for retention policy: 366 days"),
        ("tags: {'***': a}", "\"***\" in tags has characters outside of"),
        ("tags: {a: ''}", "has 0 bytes, allowed are 1 to 256"),
        ("Region: a", "unknown key \"Region\" (did you mean \"region\"?)"),
        ("version: 0", "version: expected a text, got the number 0"),
        ("version:", "version \"\" is no EMF version"),
        ("num_workers: '4'", "num_workers: expected a whole number"),
        ("profile: x", "unknown key \"profile\""),
        ("resource_to_telemetry_conversion: true", "resource_to_telemetry_conversion: expected"),
        ("dimension_rollup_option:", "1:24: dimension_rollup_option: dimension_rollup_option \"\" does not exist"),
        ("output_destination:", "output_destination \"\" would discard every metric"),
    ];
    for (text, expected) in cases {
        let problems = translator(text).err().unwrap_or_default();
        assert!(problems.contains(expected), "{text}: {expected:?} is missing in {problems}");
    }
    let long = format!("tags: {{{}: a, b: {}}}", "k".repeat(129), "v".repeat(257));
    let problems = translator(&long).err().unwrap();
    assert!(
        problems.contains("has 129 bytes, allowed are 1 to 128") && problems.contains("has 257 bytes"),
        "{problems}"
    );
    let many: Vec<String> = (0..51).map(|i| format!("k{i}: v")).collect();
    assert!(translator(&format!("tags: {{{}}}", many.join(", "))).err().unwrap().contains("51 tags"));
}
