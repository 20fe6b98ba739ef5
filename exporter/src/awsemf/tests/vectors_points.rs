//! Vectors of names, points and groups. The numbers are those of the exporter's specification.

use serde_json::{Value, json};

use super::requests::*;
use super::{NOW_MS, T0_MS, events, translator};

#[test]
fn groups_and_streams_are_named_after_resource_and_labels() {
    type Case<'a> = (u32, &'a str, Pairs<'a>, &'a [Pairs<'a>], &'a [(&'a str, &'a str)]);
    const INSIGHTS: &str = "{log_group_name: '/i/{ClusterName}/performance', log_stream_name: s}";
    let cases: &[Case<'_>] = &[
        (18, "{namespace: ns}", &[], &[&[("a", "1")], &[("a", "2")]], &[("/metrics/ns", "*"), ("/metrics/ns", "*")]),
        (18, "{}", &[("service.name", "n"), ("service.namespace", "")], &[&[]], &[("/metrics//n", "*")]),
        (19, INSIGHTS, &[("aws.ecs.cluster.name", "test")], &[&[]], &[("/i/test/performance", "s")]),
        (19, INSIGHTS, &[("ClusterName", "test")], &[&[]], &[("/i/test/performance", "s")]),
        (19, INSIGHTS, &[("aws.ecs.cluster.name", "no"), ("ClusterName", "c")], &[&[]], &[("/i/c/performance", "s")]),
        (
            20,
            "{log_group_name: '{TaskDefinitionFamily}-{TaskId}', log_stream_name: 'instanceTelemetry/{ContainerInstanceId}'}",
            &[("aws.ecs.task.family", "fam"), ("aws.ecs.task.id", "id"), ("aws.ecs.container.instance.id", "c")],
            &[&[]],
            &[("fam-id", "instanceTelemetry/c")],
        ),
        (
            20,
            "{log_group_name: '{NodeName}', log_stream_name: '{PodName}{ServiceName}'}",
            &[("k8s.node.name", "n"), ("PodName", "p"), ("pod", "no"), ("service.name", "s")],
            &[&[]],
            &[("n", "ps")],
        ),
        (
            21,
            INSIGHTS,
            &[("ClusterName", ""), ("aws.ecs.cluster.name", "c")],
            &[&[]],
            &[("/i/undefined/performance", "s")],
        ),
        (
            22,
            "{log_group_name: '{WrongKey}', log_stream_name: '{{TaskId}}{taskid}{'}",
            &[("TaskId", "t")],
            &[&[]],
            &[("{WrongKey}", "{t}{taskid}{")],
        ),
        (
            23,
            "{log_group_name: '/g/{ClusterName}', log_stream_name: '{PodName}'}",
            &[("ClusterName", "c")],
            &[&[("PodName", "p"), ("ClusterName", "other")]],
            &[("/g/c", "p")],
        ),
        (24, "{log_group_name: '/g-{TaskId}', log_stream_name: s}", &[], &[&[]], &[("/g-undefined", "s")]),
        (
            25,
            "{log_group_name: '/g-{TaskId}', log_stream_name: '{PodName}'}",
            &[],
            &[&[("pod", "p")]],
            &[("/g-undefined", "p")],
        ),
        (
            26,
            "{log_group_name: /g, log_stream_name: 's-{PodName}'}",
            &[],
            &[&[("PodName", "p1")], &[("PodName", "p2")], &[], &[("PodName", "p3")]],
            &[("/g", "s-p1"), ("/g", "s-p2"), ("/g", "s-undefined"), ("/g", "s-p3")],
        ),
        (
            27,
            "{log_group_name: '/x/{ClusterName}/{PodName}', log_stream_name: s}",
            &[("ClusterName", "c")],
            &[&[("PodName", "p")]],
            &[("/x/c/p", "s")],
        ),
        // What a name happens to say changes nothing.
        (
            0,
            "{log_stream_name: '{PodName}'}",
            &[("service.name", "undefined")],
            &[&[]],
            &[("/metrics/undefined", "undefined")],
        ),
        (
            0,
            "{log_group_name: 'undefined/{ClusterName}', log_stream_name: '{PodName}'}",
            &[("ClusterName", "c")],
            &[&[("PodName", "p")]],
            &[("undefined/c", "p")],
        ),
        (
            0,
            "{log_group_name: '{TaskId}', log_stream_name: s}",
            &[("TaskId", "{ClusterName}"), ("ClusterName", "c")],
            &[&[]],
            &[("{ClusterName}", "s")],
        ),
    ];
    for (number, section, of_resource, labels, expected) in cases {
        let points = labels.iter().map(|labels| point(0, labels, json!({"asInt": "1"}))).collect();
        let metrics = vec![metric("m", "gauge", false, points)];
        let got = run(section, &[request(vec![resource(attributes(of_resource), "", metrics)])]);
        let drawn = got.iter().find(|event| event.stream.starts_with("otel-stream-")).map(|event| event.stream.clone());
        let names: Vec<(&str, &str)> = got
            .iter()
            .map(|event| (&*event.group, if drawn.as_ref() == Some(&event.stream) { "*" } else { &*event.stream }))
            .collect();
        assert_eq!(&names, expected, "{number}: {section}");
    }
}

#[test]
fn placeholders_and_namespaces_know_the_types_of_attributes() {
    let typed = json!([
        {"key": "TaskId", "value": {"intValue": "7"}},
        {"key": "PodName", "value": {"boolValue": true}},
        {"key": "NodeName", "value": {}},
        {"key": "service.name", "value": {"intValue": "5"}},
        {"key": "receiver", "value": {"arrayValue": {"values": [{"stringValue": "prometheus"}]}}},
    ]);
    let one = request(vec![resource(typed, "", vec![gauge("m", &[])])]);
    let section = "{log_group_name: '{TaskId}-{PodName}', log_stream_name: '{NodeName}'}";
    let got = &run(section, &[one])[0];
    assert_eq!((&*got.group, &*got.stream), ("7-true", "undefined"));
    assert!(
        got.text.contains("\"Namespace\":\"default\"") && !got.text.contains("prom_metric_type"),
        "17: {}",
        got.text
    );
}

#[test]
fn numbers_are_written_as_go_writes_them() {
    let cases = [
        (28, r#""asInt":"1""#, "i:1"),
        (28, r#""asDouble":0.1"#, "f:0.1"),
        (28, r#""asInt":"9007199254740993""#, "i:9007199254740992"),
        (28, r#""asInt":"-9223372036854775808""#, "i:-9223372036854776000"),
        (28, r#""asInt":"9223372036854775807""#, "i:9223372036854776000"),
        (28, r#""flags":2"#, "i:0"),
        (80, r#""asDouble":0"#, "i:0"),
        (80, r#""asDouble":-0.0"#, "i:-0"),
        (80, r#""asDouble":1e20"#, "i:100000000000000000000"),
        (80, r#""asDouble":1e21"#, "f:1e+21"),
        (80, r#""asDouble":123456789012345680000"#, "i:123456789012345680000"),
        (80, r#""asDouble":999999999999999900000"#, "i:999999999999999900000"),
        (80, r#""asDouble":0.000001"#, "f:0.000001"),
        (80, r#""asDouble":9.99e-7"#, "f:9.99e-7"),
        (80, r#""asDouble":-1e-7"#, "f:-1e-7"),
        (80, r#""asDouble":1.5e-10"#, "f:1.5e-10"),
        (80, r#""asDouble":5e-324"#, "f:5e-324"),
        (80, r#""asDouble":1.7976931348623157e308"#, "f:1.7976931348623157e+308"),
        (80, r#""asDouble":0.3333333333333333"#, "f:0.3333333333333333"),
        (80, r#""asDouble":0.30000000000000004"#, "f:0.30000000000000004"),
    ];
    for (number, member, expected) in cases {
        let text = plain(vec![gauge("m", &[])]).replace(r#""asInt":"1""#, member);
        assert_eq!(fields(&run("{}", &[text]), "m"), [expected], "{number}: {member}");
    }
}

/// One request for each point of a series.
fn series(kind: &str, cumulative: bool, points: &[Value]) -> Vec<String> {
    let point = |(at, members): (usize, &Value)| point(at as i64, &[("a", "1")], members.clone());
    points.iter().enumerate().map(|one| plain(vec![metric("m", kind, cumulative, vec![point(one)])])).collect()
}

#[test]
fn cumulative_sums_become_differences_and_others_stay() {
    type Case<'a> = (u32, bool, &'a [Value], &'a [&'a str], &'a [&'a str]);
    let (double, int) = (|value: f64| json!({"asDouble": value}), |value: i64| json!({"asInt": value.to_string()}));
    let gap = [int(10), json!({"asDouble": "NaN"}), json!({"asInt": "12", "flags": 1}), int(15)];
    // Number, cumulative, points, values, values when the first one is kept.
    let cases: &[Case<'_>] = &[
        (29, true, &[double(0.4), double(0.8)], &["f:0.4"], &["f:0.4", "f:0.4"]),
        (30, true, &[int(-17), int(1)], &["i:18"], &["i:-17", "i:18"]),
        (31, true, &[int(10), int(15), int(3), int(3)], &["i:5", "i:3", "i:0"], &["i:10", "i:5", "i:3", "i:0"]),
        (33, false, &[double(10.0), double(-3.0)], &["i:10", "i:-3"], &["i:10", "i:-3"]),
        (34, true, &gap, &["i:5"], &["i:10", "i:5"]),
    ];
    for (number, cumulative, points, expected, retained) in cases {
        let requests = series("sum", *cumulative, points);
        assert_eq!(fields(&run("{}", &requests), "m"), *expected, "{number}");
        let retain = "retain_initial_value_of_delta_metric: true";
        assert_eq!(fields(&run(retain, &requests), "m"), *retained, "{number}");
    }
    for (number, (from, to)) in [(32, ("true", "false")), (33, (":2", ":0"))] {
        let points = [int(10), int(4), int(6)];
        let requests: Vec<String> = series("sum", true, &points)
            .iter()
            .map(|text| text.replace(&format!("\"isMonotonic\":{from}"), &format!("\"isMonotonic\":{to}")))
            .map(|text| text.replace(&format!("Temporality\"{from}"), &format!("Temporality\"{to}")))
            .collect();
        assert_eq!(fields(&run("{}", &requests), "m"), ["i:10", "i:4", "i:6"], "{number}");
    }
}

#[test]
fn a_series_is_what_has_the_same_labels_in_the_end() {
    let sum = |value: i64, at: i64, labels: Pairs<'_>| {
        metric("m", "sum", true, vec![point(at, labels, json!({"asInt": value.to_string()}))])
    };
    let check = |section: &str, of_resource: Pairs<'_>, scope: &str, first: Pairs<'_>, second: Pairs<'_>| {
        let of =
            |value, at, labels| request(vec![resource(attributes(of_resource), scope, vec![sum(value, at, labels)])]);
        fields(&run(section, &[of(10, 0, first), of(15, 1, second)]), "m") == ["i:5"]
    };
    let conversion = "resource_to_telemetry_conversion: {enabled: true}";
    let excluding = "resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}";
    let of_resource: Pairs<'_> = &[("a", "r"), ("service.name", "s")];
    assert!(check("{}", &[], "", &[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")]), "37");
    assert!(!check("{}", &[], "", &[("a", "1"), ("b", "2")], &[("a", "2"), ("b", "1")]));
    // The scope name overwrites a label.
    assert!(check("{}", &[], "lib", &[("OTelLib", "x")], &[("OTelLib", "y")]));
    assert!(check("{}", &[], "lib", &[("OTelLib", "x")], &[]));
    assert!(!check("{}", &[], "", &[("OTelLib", "x")], &[]));
    // So do converted attributes of the resource.
    assert!(check(conversion, of_resource, "", &[("a", "1")], &[("a", "2"), ("service.name", "x")]));
    assert!(!check("{}", of_resource, "", &[("a", "1")], &[("a", "2")]));
    assert!(check(excluding, of_resource, "", &[("a", "1")], &[]));
    assert!(!check(excluding, of_resource, "", &[("service.name", "1")], &[]));
    // Text is what counts.
    let typed = |value: Value, at: i64, of: &str| {
        let labels = json!([{"key": "a", "value": value}]);
        let mut one = point(at, &[], json!({"asInt": of}));
        one["attributes"] = labels;
        plain(vec![metric("m", "sum", true, vec![one])])
    };
    let requests = [typed(json!({"intValue": "1"}), 0, "10"), typed(json!({"stringValue": "1"}), 1, "15")];
    assert_eq!(fields(&run("{}", &requests), "m"), ["i:5"]);
}

#[test]
fn resources_without_labels_of_their_own_keep_their_series() {
    let both = |at: i64, a: &str, b: &str| {
        let of = |task: &str, value: &str| {
            let sum = metric("m", "sum", true, vec![point(at, &[], json!({"asInt": value}))]);
            resource(attributes(&[("task", task)]), "", vec![sum])
        };
        request(vec![of("a", a), of("b", b)])
    };
    let mut one = translator("{}").unwrap();
    assert!(events(&mut one, &both(0, "10", "100")).0.is_empty(), "38");
    let (sent, dropped) = events(&mut one, &both(1, "11", "103"));
    assert_eq!((fields(&sent, "m"), dropped["duplicate"]), (vec![json!("i:1")], 1), "38");
}

#[test]
fn what_is_not_finite_costs_its_point() {
    let number = json!({"asDouble": 1});
    let set = json!({"count": "1", "sum": 1, "min": 1, "max": 1});
    let summary = json!({"count": "1", "sum": 1, "quantileValues": [{"quantile": 0.5, "value": 1}]});
    let cases: [(u32, &str, Value, &[&str]); 5] = [
        (34, "gauge", number.clone(), &["/asDouble"]),
        (34, "sum", number, &["/asDouble"]),
        (40, "histogram", set.clone(), &["/sum", "/min", "/max"]),
        (40, "exponentialHistogram", set, &["/sum", "/min", "/max"]),
        (56, "summary", summary, &["/sum", "/quantileValues/0/quantile", "/quantileValues/0/value"]),
    ];
    let dropped = |kind: &str, members: &Value| {
        let mut one = translator("{}").unwrap();
        let (sent, dropped) =
            events(&mut one, &plain(vec![metric("m", kind, false, vec![point(0, &[], members.clone())])]));
        assert_eq!(sent.len() + dropped.len(), 1);
        dropped.into_keys().next()
    };
    for (number, kind, members, places) in cases {
        assert_eq!(dropped(kind, &members), None, "{number} {kind}");
        for place in places {
            for value in ["NaN", "Infinity", "-Infinity"] {
                let mut members = members.clone();
                *members.pointer_mut(place).unwrap() = json!(value);
                assert_eq!(dropped(kind, &members).as_deref(), Some("not_finite"), "{number} {kind} {place} {value}");
            }
        }
        let mut members = members;
        members["flags"] = json!(3);
        assert_eq!(dropped(kind, &members).as_deref(), Some("no_recorded_value"), "{number} {kind}");
    }
}

#[test]
fn histograms_and_summaries_are_statistic_sets() {
    let text = |kind: &str, members: Value| {
        let text = &run("{}", &[plain(vec![metric("m", kind, false, vec![point(0, &[], members)])])])[0].text;
        text.split_once("\"m\":").unwrap().1.to_owned()
    };
    let histogram = json!({"count": "18", "sum": 35, "bucketCounts": ["5", "6", "7"], "explicitBounds": [1, 2]});
    assert_eq!(text("histogram", histogram), r#"{"Max":0,"Min":0,"Count":18,"Sum":35}}"#, "39");
    let histogram = json!({"count": "17", "sum": 17.13, "min": 10, "max": 30});
    assert_eq!(text("histogram", histogram.clone()), r#"{"Max":30,"Min":10,"Count":17,"Sum":17.13}}"#, "39");
    let empty = r#"{"Values":[],"Counts":[],"Max":30,"Min":10,"Count":17,"Sum":17.13}}"#;
    assert_eq!(text("exponentialHistogram", histogram), empty, "41");
    assert_eq!(
        text("histogram", json!({"count": "18446744073709551615"})),
        r#"{"Max":0,"Min":0,"Count":18446744073709551615,"Sum":0}}"#
    );
    let quantiles = json!([{"quantile": 1, "value": 5}, {"quantile": 0.5, "value": 9}, {"quantile": 0, "value": 1}]);
    let summary = json!({"count": "4", "sum": -0.0, "quantileValues": quantiles});
    assert_eq!(text("summary", summary), r#"{"Max":1,"Min":5,"Count":4,"Sum":-0}}"#, "53: the last and the first");
    assert_eq!(text("summary", json!({"count": "4", "sum": 2})), r#"{"Max":0,"Min":0,"Count":4,"Sum":2}}"#);
}

#[test]
fn summaries_of_prometheus_are_differences() {
    let points = [(17.3, "17"), (100.0, "25"), (120.0, "26")];
    let requests: Vec<String> = (0..3)
        .map(|at| {
            let (sum, count) = points[at as usize];
            let quantiles = json!([{"quantile": 0, "value": 1}, {"quantile": 100, "value": 5}]);
            let members = json!({"sum": sum, "count": count, "quantileValues": quantiles});
            let summary = metric("m", "summary", false, vec![point(at, &[], members)]);
            request(vec![resource(attributes(&[("receiver", "prometheus")]), "", vec![summary])])
        })
        .collect();
    let got = run("detailed_metrics: true", &requests);
    assert_eq!(
        (fields(&got, "m_sum"), fields(&got, "m_count")),
        (vec![json!("f:82.7"), json!("i:20")], vec![json!("i:8"), json!("i:1")]),
        "52"
    );
    assert_eq!(fields(&got, "quantile"), ["0", "100", "0", "100"], "52");
    assert_eq!(fields(&got, "m"), ["i:1", "i:5", "i:1", "i:5"], "52");
    let got = run("{detailed_metrics: true, retain_initial_value_of_delta_metric: true}", &requests);
    assert_eq!(
        (fields(&got, "m_sum")[0].clone(), fields(&got, "m_count")[0].clone()),
        (json!("f:17.3"), json!("i:17")),
        "52"
    );
    let set = |count: &str, sum: &str| json!({"Max": "i:5", "Min": "i:1", "Count": count, "Sum": sum});
    assert_eq!(fields(&run("{}", &requests), "m"), [set("i:8", "f:82.7"), set("i:1", "i:20")], "53");
    let others: Vec<String> = requests.iter().map(|text| text.replace("prometheus", "otlp")).collect();
    assert_eq!(
        fields(&run("{}", &others), "m"),
        [set("i:17", "f:17.3"), set("i:25", "i:100"), set("i:26", "i:120")],
        "53"
    );
}

#[test]
fn a_detailed_summary_is_an_event_for_each_number() {
    let quantiles = [0.0, 1e-5, 0.0001, 0.5, 0.99, 0.999999, 1.0, 100.0, 123456.0, 1e6, 1234567.0, 1e21, -0.0];
    let printed = [
        "0",
        "1e-05",
        "0.0001",
        "0.5",
        "0.99",
        "0.999999",
        "1",
        "100",
        "123456",
        "1e+06",
        "1.234567e+06",
        "1e+21",
        "-0",
    ];
    let values: Vec<Value> = quantiles.iter().map(|quantile| json!({"quantile": quantile, "value": 2})).collect();
    let members = json!({"count": "3", "sum": 4.5, "quantileValues": values});
    let summary = |name: &str| {
        let mut summary =
            metric(name, "summary", false, vec![point(0, &[("quantile", "of the point")], members.clone())]);
        summary["unit"] = json!("s");
        summary
    };
    let got = run("detailed_metrics: true", &[plain(vec![summary("s"), summary("t")])]);
    assert_eq!(got.len(), 2 + quantiles.len(), "55: those of two summaries share them");
    assert_eq!((fields(&got, "s_sum"), fields(&got, "t_count")), (vec![json!("f:4.5")], vec![json!("i:3")]));
    assert_eq!(measured(&got[0]), [r#"[[],["quantile"]] s_sum,t_sum"#]);
    assert_eq!(fields(&got[2..], "quantile"), printed);
    assert!(
        got.iter().all(|event| !event.text.contains("\"Unit\":\"\"") && event.text.contains("\"Unit\":\"Seconds\""))
    );
}

#[test]
fn points_share_an_event_when_all_about_them_is_equal() {
    let labels: Pairs<'_> = &[("label1", "v")];
    let int = |at, value: &str| point(at, labels, json!({"asInt": value}));
    let double = |at, value: f64| point(at, labels, json!({"asDouble": value}));
    let histogram = |at| point(at, labels, json!({"count": "1", "sum": 1}));
    let summary = |at, count: &str| point(at, labels, json!({"count": count, "sum": 1}));
    let finite = vec![
        metric("int_gauge", "gauge", false, vec![int(0, "1")]),
        metric("double_gauge", "gauge", false, vec![double(0, 0.1)]),
        metric("histogram", "histogram", false, vec![histogram(0)]),
        metric("int_sum", "sum", true, vec![int(0, "1"), int(0, "2")]),
        metric("double_sum", "sum", true, vec![double(0, 0.25), double(0, 0.75)]),
        metric("summary", "summary", false, vec![summary(0, "1"), summary(0, "2")]),
    ];
    let broken = [("gauge", "asDouble"), ("sum", "asDouble"), ("histogram", "sum"), ("summary", "sum")];
    let broken =
        broken.map(|(kind, member)| metric("broken", kind, false, vec![point(0, labels, json!({member: "NaN"}))]));
    let both: Vec<Value> = finite.iter().cloned().chain(broken).collect();
    for (number, metrics) in [(57, finite), (58, both)] {
        let one = request(vec![resource(attributes(&[("receiver", "prometheus")]), "cloudwatch-otel", metrics)]);
        let got = run("{dimension_rollup_option: NoDimensionRollup}", &[one]);
        let sets = r#"[["OTelLib","label1"]]"#;
        let expected = ["double_gauge,int_gauge", "double_sum,int_sum", "histogram", "summary"]
            .map(|names| format!("{sets} {names}"));
        assert_eq!(got.iter().flat_map(measured).collect::<Vec<_>>(), expected, "{number}");
    }
    let separate = |section: &str, first: Value, second: Value| run(section, &[request(vec![first, second])]).len();
    let of = |pairs: Pairs<'_>, metric: Value| resource(attributes(pairs), "", vec![metric]);
    let section = "{log_group_name: '/g/{TaskId}'}";
    assert_eq!(
        separate(section, of(&[("TaskId", "1")], gauge("m", &[])), of(&[("TaskId", "2")], gauge("m", &[]))),
        2,
        "59"
    );
    assert_eq!(separate("{}", of(&[("TaskId", "1")], gauge("m", &[])), of(&[("TaskId", "2")], gauge("n", &[]))), 1);
    assert_eq!(
        separate("{}", of(&[("service.name", "1")], gauge("m", &[])), of(&[], gauge("n", &[]))),
        2,
        "namespaces"
    );
    assert_eq!(
        separate("{}", of(&[], gauge("m", &[("aws.emf.storage_resolution", "1")])), of(&[], gauge("n", &[]))),
        2,
        "62"
    );
    let at = |at, name: &str| metric(name, "gauge", false, vec![int(at, "1")]);
    assert_eq!(separate("{}", of(&[], at(0, "m")), of(&[], at(1, "n"))), 2, "61");
    assert_eq!(separate("{}", of(&[], at(0, "m")), of(&[], at(0, "n"))), 1);
    assert_eq!(run("{}", &[request(vec![resource(attributes(&[("a", "b")]), "", vec![])])]), [], "64");
    assert_eq!(run("{}", &[plain(vec![json!({"name": "typeless"})])]), [], "64");
}

#[test]
fn the_first_of_equal_points_counts_and_a_point_without_time_is_of_now() {
    let value = |value: &str| point(0, &[], json!({"asInt": value}));
    let mut one = translator("{}").unwrap();
    let first = metric("m", "gauge", false, vec![value("1"), value("2")]);
    let mut second = metric("m", "gauge", false, vec![value("3")]);
    second["unit"] = json!("s");
    let (sent, dropped) = events(&mut one, &plain(vec![first, gauge("l", &[]), second]));
    assert_eq!((fields(&sent, "m"), dropped["duplicate"]), (vec![json!("i:1")], 2), "60");
    let times: Vec<Value> = ["0", "999999", "1700000000000999999", "0"]
        .iter()
        .enumerate()
        .map(|(at, time)| point(0, &[("n", &at.to_string())], json!({"timeUnixNano": time, "asInt": "1"})))
        .collect();
    let got = run("{}", &[plain(vec![metric("m", "gauge", false, times)])]);
    let times: Vec<i64> = got.iter().map(|event| event.timestamp_ms).collect();
    assert_eq!(times, [NOW_MS, NOW_MS, T0_MS, NOW_MS], "61");
}
