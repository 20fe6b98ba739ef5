//! Vectors of declarations and documents. The numbers are those of the exporter's specification.

use serde_json::{Value, json};

use super::requests::*;

const ABC: Pairs<'static> = &[("a", "A"), ("b", "B"), ("c", "C")];

/// Three metrics with the labels a, b and c.
fn three() -> String {
    plain(["metric1", "metric2", "metric3"].map(|name| gauge(name, ABC)).to_vec())
}

#[test]
fn declarations_make_measurement_objects() {
    let all = "metric1,metric2,metric3";
    let cases: &[(u32, &str, &[String])] = &[
        (66, "[{dimensions: [[a], [a, c], [b, d]], metric_name_selectors: ['metric.*']}]", &[format!(r#"[["a"],["a","c"]] {all}"#)]),
        (
            67,
            "[{dimensions: [[a], [b, d]], metric_name_selectors: ['metric.*']},
              {dimensions: [[a, c], [b, d]], metric_name_selectors: [metric1]},
              {dimensions: [[a], [b], [b, d]], metric_name_selectors: ['metric(1|2)']}]",
            &[
                r#"[["a"]] metric3"#.to_owned(),
                r#"[["a"],["a","c"],["b"]] metric1"#.to_owned(),
                r#"[["a"],["b"]] metric2"#.to_owned(),
            ],
        ),
        (
            68,
            "[{dimensions: [[a]], metric_name_selectors: ['metric.*']}, {dimensions: [[b]], metric_name_selectors: ['metric(1|2)']}]",
            &[r#"[["a"]] metric3"#.to_owned(), r#"[["a"],["b"]] metric1,metric2"#.to_owned()],
        ),
        (69, "[{dimensions: [[d], [a, d]], metric_name_selectors: [metric]}]", &[]),
        (70, "[{dimensions: [[]], metric_name_selectors: ['metric(1|3)']}]", &["[[]] metric1,metric3".to_owned()]),
        (
            71,
            "[{dimensions: [[a]], metric_name_selectors: [metric], label_matchers: [{label_names: [a, b, d], regex: 'A;B;D'}]},
              {dimensions: [[b]], metric_name_selectors: [metric], label_matchers: [{label_names: [a, b], regex: 'A;B'}]}]",
            &[format!(r#"[["b"]] {all}"#)],
        ),
        (76, "[{metric_name_selectors: [metric]}]", &[]),
        // Labels of the same value, declarations in any order: what is declared first stands first.
        (9, "[{dimensions: [[c, a, c], [a, c], [b]], metric_name_selectors: [metric1]}]", &[r#"[["a","c"],["b"]] metric1"#.to_owned()]),
        (0, "[{dimensions: [a, [b]], metric_name_selectors: metric1}]", &[r#"[["a"],["b"]] metric1"#.to_owned()]),
    ];
    for (number, declarations, expected) in cases {
        let section = format!("dimension_rollup_option: NoDimensionRollup\nmetric_declarations: {declarations}");
        let got = run(&section, &[three()]);
        assert_eq!(got.len(), 1, "{number}: what is not selected is logged all the same");
        assert_eq!(measured(&got[0]), *expected, "{number}: {declarations}");
        assert!(expected.is_empty() != got[0].text.contains("\"Version\":\"1\""), "{number}");
        assert!(got[0].text.ends_with(r#""metric1":1,"metric2":1,"metric3":1}"#), "{number}");
    }
    let rollup = run(
        "metric_declarations: [{metric_name_selectors: [metric1]}]",
        &[plain(vec![gauge("metric1", &[("a", "1")])])],
    );
    assert_eq!(measured(&rollup[0]), [r#"[[],["a"]] metric1"#], "76");
}

#[test]
fn names_of_detailed_summaries_are_selected_as_they_are_written() {
    let members = json!({"count": "1", "sum": 2, "quantileValues": [{"quantile": 0.5, "value": 3}]});
    let one = plain(vec![metric("m", "summary", false, vec![point(0, &[], members)])]);
    let section = "{detailed_metrics: true, dimension_rollup_option: NoDimensionRollup, metric_declarations: [
        {dimensions: [[]], metric_name_selectors: ['^m_sum$']},
        {dimensions: [[quantile]], metric_name_selectors: ['^m$'], label_matchers: [{label_names: [quantile], regex: '^0.5$'}]}]}";
    let objects: Vec<String> = run(section, &[one]).iter().flat_map(measured).collect();
    assert_eq!(objects, ["[[]] m_sum", r#"[["quantile"]] m"#]);
}

#[test]
fn a_descriptor_gives_a_unit_where_there_is_none_or_overwrites_it() {
    let of = |name: &str, unit: &str| {
        let mut gauge = gauge(name, &[]);
        gauge["unit"] = json!(unit);
        gauge
    };
    let section = "metric_descriptors: [
        {metric_name: soft, unit: Count}, {metric_name: hard, unit: Percent}, {metric_name: hard, unit: Megabytes, overwrite: true}]";
    for (name, unit, expected) in [
        ("soft", "", "Count"),
        ("soft", "1", ""),
        ("soft", "By", "Bytes"),
        ("hard", "By", "Megabytes"),
        ("hard", "", "Megabytes"),
        ("Hard", "KiBy", "KiBy"),
        ("other", "", ""),
        ("other", "{requests}<&>", r"{requests}\u003c\u0026\u003e"),
    ] {
        let text = &run(section, &[plain(vec![of(name, unit)])])[0].text;
        assert!(
            text.contains(&format!(r#"{{"Name":"{name}","Unit":"{expected}","StorageResolution":60}}"#)),
            "77: {text}"
        );
    }
}

/// A gauge `spanCounter` of value 0 with labels that hold JSON.
fn span_counter(labels: Pairs<'_>) -> String {
    let points = vec![json!({"timeUnixNano": "1596151098037000000", "asInt": "0", "attributes": attributes(labels)})];
    request(vec![resource(json!([]), "cloudwatch-lib", vec![metric("spanCounter", "gauge", false, points)])])
}

#[test]
fn a_document_with_json_labels_is_exact_in_both_versions() {
    let labels: Pairs<'_> = &[
        ("spanName", "test"),
        ("Sources", r#"["cadvisor","pod","calculated"]"#),
        ("kubernetes", r#"{"docker":{"container_id":"abc"},"container_name":"agent"}"#),
    ];
    let base = "dimension_rollup_option: NoDimensionRollup\nparse_json_encoded_attr_values: [kubernetes, Sources, missing, spanName, spanCounter]";
    let objects = r#"[{"Namespace":"default","Dimensions":[["OTelLib","Sources","kubernetes","spanName"]],"Metrics":[{"Name":"spanCounter","Unit":"","StorageResolution":60}]}]"#;
    let sources = r#""OTelLib":"cloudwatch-lib","Sources":["cadvisor","pod","calculated"]"#;
    let rest =
        r#""kubernetes":{"container_name":"agent","docker":{"container_id":"abc"}},"spanCounter":0,"spanName":"test""#;
    let nothing = "metric_declarations: [{metric_name_selectors: [other], dimensions: [[spanName]]}]";
    let time = 1_596_151_098_037u64;
    let cases = [
        (
            "version: '1'",
            format!(
                r#"{{{sources},"Version":"1","_aws":{{"CloudWatchMetrics":{objects},"Timestamp":{time}}},{rest}}}"#
            ),
        ),
        (
            "version: '0'",
            format!(r#"{{"CloudWatchMetrics":{objects},{sources},"Timestamp":"{time}","Version":"0",{rest}}}"#),
        ),
        (nothing, format!("{{{sources},{rest}}}")),
        (&format!("version: '0'\n{nothing}"), format!(r#"{{{sources},"Timestamp":"{time}",{rest}}}"#)),
    ];
    for (more, expected) in cases {
        assert_eq!(run(&format!("{base}\n{more}"), &[span_counter(labels)])[0].text, expected, "78, 79");
    }
}

#[test]
fn labels_that_are_json_are_written_as_go_reads_and_writes_them() {
    let cases = [
        (r#" {"b":[1,2.50,"<"],"a":null} "#, r#"{"a":null,"b":[1,2.5,"\u003c"]}"#),
        ("12345678901234567890", "12345678901234567000"),
        ("-0", "-0"),
        ("1e400", r#""1e400""#),
        ("007", r#""007""#),
        ("12 ", "12"),
        ("null", "null"),
        ("true", "true"),
        (r#""q""#, r#""q""#),
        ("", r#""""#),
        ("{", r#""{""#),
    ];
    for (value, expected) in cases {
        let one = run("parse_json_encoded_attr_values: [j]", &[plain(vec![gauge("m", &[("j", value)])])]);
        assert!(one[0].text.ends_with(&format!(r#","j":{expected},"m":1}}"#)), "79: {value}: {}", one[0].text);
    }
    // A metric of the name stays a number; a name listed twice is read twice.
    let metric = run("parse_json_encoded_attr_values: [m]", &[plain(vec![gauge("m", &[("m", "{}")])])]);
    assert_eq!(fields(&metric, "m"), ["i:1"]);
    for (names, expected) in [("[j]", r#""[1]""#), ("[j, j]", "[1]"), ("[j, j, j]", "[1]")] {
        let one =
            run(&format!("parse_json_encoded_attr_values: {names}"), &[plain(vec![gauge("m", &[("j", r#""[1]""#)])])]);
        assert!(one[0].text.ends_with(&format!(r#","j":{expected},"m":1}}"#)), "{names}: {}", one[0].text);
    }
}

#[test]
fn texts_are_escaped_as_go_escapes_them_keys_too() {
    let odd = "x<&>\u{2028}\u{2029}\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}\u{80}\"\\/é😀";
    let escaped = "x\\u003c\\u0026\\u003e\\u2028\\u2029\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}\u{80}\\\"\\\\/é😀";
    let one = run("{namespace: 'n<'}", &[plain(vec![gauge(odd, &[("l&", odd)])])]);
    let text = &one[0].text;
    assert!(
        text.contains(&format!(r#""l\u0026":"{escaped}""#)) && text.contains(&format!(r#""{escaped}":1"#)),
        "81: {text}"
    );
    assert!(text.contains(r#""Namespace":"n\u003c","Dimensions":[[],["l\u0026"]]"#), "81: {text}");
}

/// A gauge with one label of a type.
fn labelled(name: &str, value: Value) -> String {
    let mut one = point(0, &[], json!({"asInt": "1"}));
    one["attributes"] = json!([{"key": name, "value": value}]);
    plain(vec![metric("m", "gauge", false, vec![one])])
}

#[test]
fn attributes_of_every_type_become_text() {
    let list = |values: Value| json!({"arrayValue": {"values": values}});
    let map = |pairs: Value| json!({"kvlistValue": {"values": pairs}});
    let cases = [
        (json!({"intValue": "9007199254740993"}), "9007199254740993"),
        (json!({"intValue": -1}), "-1"),
        (json!({"doubleValue": 1e21}), "1e+21"),
        (json!({"doubleValue": 1.0}), "1"),
        (json!({"doubleValue": 1e-7}), "1e-7"),
        (json!({"doubleValue": -0.0}), "-0"),
        (json!({"doubleValue": "NaN"}), "NaN"),
        (json!({"doubleValue": "-Infinity"}), "-Infinity"),
        (json!({"boolValue": true}), "true"),
        (json!({"boolValue": false}), "false"),
        (json!({"bytesValue": "AQID"}), "AQID"),
        (json!({"bytesValue": "/+8="}), "/+8="),
        (json!({}), ""),
        (list(json!([])), "[]"),
        (
            list(json!([{"intValue": "5"}, {}, {"boolValue": true}, {"doubleValue": 1e21}, {"bytesValue": "AQ=="}])),
            r#"[5,null,true,1e+21,"AQ=="]"#,
        ),
        (list(json!([{"doubleValue": "NaN"}])), ""),
        (
            map(
                json!([{"key": "b", "value": {"stringValue": "<v>\u{2028}"}}, {"key": "a", "value": list(json!([{"stringValue": "\"" }]))}]),
            ),
            "{\"a\":[\"\\\"\"],\"b\":\"<v>\\u2028\"}",
        ),
    ];
    for (value, expected) in cases {
        let got = run("{}", &[labelled("l", value.clone())]);
        let text: Value = serde_json::from_str(&got[0].text).unwrap();
        assert_eq!(text["l"], expected, "82: {value}");
    }
}

#[test]
fn the_storage_resolution_is_an_integer_of_any_type() {
    let cases = [
        (json!({"intValue": "1"}), "1"),
        (json!({"stringValue": "1"}), "1"),
        (json!({"stringValue": "+1"}), "1"),
        (json!({"doubleValue": 1.0}), "1"),
        (json!({"intValue": "5"}), "5"),
        (json!({"stringValue": "-1"}), "-1"),
        (json!({"stringValue": "x"}), "60"),
        (json!({"doubleValue": 1.5}), "60"),
        (json!({"boolValue": true}), "60"),
        (json!({"stringValue": " 1"}), "60"),
        (json!({"stringValue": "1_0"}), "60"),
        (json!({"stringValue": "9223372036854775808"}), "60"),
        (json!({}), "60"),
    ];
    for (value, expected) in cases {
        let text = &run("{}", &[labelled("aws.emf.storage_resolution", value.clone())])[0].text;
        assert!(
            text.contains(&format!(
                r#""Dimensions":[[]],"Metrics":[{{"Name":"m","Unit":"","StorageResolution":{expected}}}]"#
            )),
            "84: {value}: {text}"
        );
        assert!(!text.contains("aws.emf"), "{text}");
    }
    // It is no label: matchers and dimensions do not know it. A resource has it by conversion.
    for (declaration, expected) in [
        ("label_matchers: [{label_names: [aws.emf.storage_resolution], regex: '^$'}], dimensions: [[]]", 1),
        ("label_matchers: [{label_names: [aws.emf.storage_resolution], regex: 1}], dimensions: [[]]", 0),
        ("dimensions: [[aws.emf.storage_resolution]]", 0),
    ] {
        let declaration = declaration.replace("regex: 1", "regex: '1'");
        let section = format!(
            "{{dimension_rollup_option: NoDimensionRollup, metric_declarations: [{{metric_name_selectors: [m], {declaration}}}]}}"
        );
        let one = run(&section, &[labelled("aws.emf.storage_resolution", json!({"intValue": "1"}))]);
        assert_eq!(measured(&one[0]).len(), expected, "{declaration}");
    }
    let of_resource = resource(attributes(&[("aws.emf.storage_resolution", "1")]), "", vec![gauge("m", &[])]);
    let text = &run("resource_to_telemetry_conversion: {enabled: true}", &[request(vec![of_resource])])[0].text;
    assert!(text.contains("\"StorageResolution\":1}"), "{text}");
}

#[test]
fn prometheus_metrics_say_their_type() {
    let all = || {
        let number = json!({"asInt": "1"});
        let set = json!({"count": "1", "sum": 1});
        vec![
            metric("g", "gauge", false, vec![point(0, &[], number.clone())]),
            metric("c", "sum", false, vec![point(0, &[], number)]),
            metric("h", "histogram", false, vec![point(0, &[], set.clone())]),
            metric("e", "exponentialHistogram", false, vec![point(0, &[], set.clone())]),
            metric("s", "summary", false, vec![point(0, &[], set)]),
        ]
    };
    let section = "{retain_initial_value_of_delta_metric: true, parse_json_encoded_attr_values: [prom_metric_type]}";
    let types = |receiver: Value| {
        let of = json!([{"key": "receiver", "value": receiver}]);
        fields(&run(section, &[request(vec![resource(of, "", all())])]), "prom_metric_type")
    };
    assert_eq!(types(json!({"stringValue": "prometheus"})), ["gauge", "counter", "histogram", "", "summary"], "85");
    for other in
        [json!({"stringValue": "otlp"}), json!({"stringValue": "Prometheus"}), json!({}), json!({"boolValue": true})]
    {
        assert_eq!(types(other), Vec::<Value>::new(), "85");
    }
    // The first data point of an event decides.
    let of = |pairs: Pairs<'_>, name: &str| resource(attributes(pairs), "", vec![gauge(name, &[])]);
    let prometheus: Pairs<'_> = &[("receiver", "prometheus")];
    assert_eq!(fields(&run("{}", &[request(vec![of(prometheus, "m"), of(&[], "n")])]), "prom_metric_type"), ["gauge"]);
    assert_eq!(
        run("{}", &[request(vec![of(&[], "m"), of(prometheus, "n")])])[0].text.matches("prom_metric_type").count(),
        0
    );
}

#[test]
fn fargate_pods_and_containers_get_their_kubernetes_object() {
    let labels = |kind: &'static str| -> [(&'static str, &'static str); 5] {
        [("Type", kind), ("container", "c"), ("container_id", "id"), ("NodeName", "n<1>"), ("PodId", "")]
    };
    let text = |kind: &'static str, more: &str| {
        let section = format!(
            "{{eks_fargate_container_insights_enabled: true, dimension_rollup_option: NoDimensionRollup{more}}}"
        );
        run(&section, &[plain(vec![gauge("m", &labels(kind))])])[0].text.clone()
    };
    let parsed = text("Container", ", parse_json_encoded_attr_values: [kubernetes]");
    assert!(
        parsed.contains(
            r#""kubernetes":{"container_name":"c","docker":{"container_id":"id"},"host":"n\u003c1\u003e"},"m":1"#
        ),
        "86: {parsed}"
    );
    assert!(parsed.contains(r#""container_id","kubernetes"]]"#), "86: {parsed}");
    let as_text = text("Pod", "");
    assert!(as_text.contains(r#""kubernetes":"{\"container_name\":\"c\",\"docker\":{\"container_id\":\"id\"},\"host\":\"n\\u003c1\\u003e\"}""#), "86: {as_text}");
    for kind in ["Node", "pod", ""] {
        assert!(!text(kind, "").contains("kubernetes"), "86");
    }
}
