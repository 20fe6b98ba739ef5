//! The result file's text.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::ecs_observer::targets::Target;
use crate::ecs_observer::yaml_text::yaml;

fn target(address: &str, labels: &[(&str, &str)]) -> Target {
    let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Target { address: address.to_owned(), labels }
}

#[test]
fn entries_look_as_the_reference_writes_them() {
    let first = target(
        "172.168.1.0:2113",
        &[
            ("prometheus_job", "PROM_JOB_1"),
            ("__metrics_path__", "/metrics"),
            ("__meta_ecs_task_definition_revision", "1"),
            ("__meta_ecs_cluster_name", "ecs-sd-test-1"),
            ("__meta_ecs_health_status", ""),
        ],
    );
    let expected = r#"- targets:
    - 172.168.1.0:2113
  labels:
    __meta_ecs_cluster_name: ecs-sd-test-1
    __meta_ecs_health_status: ""
    __meta_ecs_task_definition_revision: "1"
    __metrics_path__: /metrics
    prometheus_job: PROM_JOB_1
- targets:
    - '[2001:db8::5]:80'
  labels:
    a: b
"#;
    assert_eq!(yaml(&[first, target("[2001:db8::5]:80", &[("a", "b")])]), expected);
    assert_eq!(yaml(&[]), "[]\n");
}

#[test]
fn values_are_quoted_where_the_library_quotes_them() {
    for (value, written) in [
        ("plain", "plain"),
        ("arn:aws:ecs:us-west-2:1:task/prod/b1", "arn:aws:ecs:us-west-2:1:task/prod/b1"),
        ("/metrics?a=b", "/metrics?a=b"),
        ("a b", "a b"),
        ("a,b", "a,b"),
        ("it's", "it's"),
        ("say \"x\"", "say \"x\""),
        ("a#b", "a#b"),
        ("-x", "-x"),
        ("?x", "?x"),
        (":x", ":x"),
        ("ünï", "ünï"),
        ("1e999", "1e999"),
        ("0x", "0x"),
        ("12ab", "12ab"),
        ("2026-02-30", "2026-02-30"),
        ("2026-13-01", "2026-13-01"),
        ("10:99", "10:99"),
        ("tRUE", "tRUE"),
        ("YeS", "YeS"),
        ("nan", "nan"),
        // Would be read as something else.
        ("", "\"\""),
        ("1", "\"1\""),
        ("-1", "\"-1\""),
        ("1_000", "\"1_000\""),
        ("017", "\"017\""),
        ("08", "\"08\""),
        ("0x1F", "\"0x1F\""),
        ("0b11", "\"0b11\""),
        ("1.5", "\"1.5\""),
        (".5", "\".5\""),
        ("5.", "\"5.\""),
        ("1e3", "\"1e3\""),
        ("5e12345", "5e12345"),
        ("123456789012345678901234567890", "\"123456789012345678901234567890\""),
        (".inf", "\".inf\""),
        ("-.Inf", "\"-.Inf\""),
        (".NaN", "\".NaN\""),
        ("true", "\"true\""),
        ("False", "\"False\""),
        ("NULL", "\"NULL\""),
        ("~", "\"~\""),
        ("y", "\"y\""),
        ("NO", "\"NO\""),
        ("Off", "\"Off\""),
        ("<<", "\"<<\""),
        ("10:30", "\"10:30\""),
        ("1:30:59.5", "\"1:30:59.5\""),
        ("2026-01-02", "\"2026-01-02\""),
        ("2024-2-29", "\"2024-2-29\""),
        ("2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\""),
        ("2026-01-02 03:04:05.5", "\"2026-01-02 03:04:05.5\""),
        // Would be read as structure.
        ("a: b", "'a: b'"),
        ("a:", "'a:'"),
        ("a #b", "'a #b'"),
        ("#a", "'#a'"),
        ("-", "'-'"),
        ("- a", "'- a'"),
        ("[a]", "'[a]'"),
        ("{a}", "'{a}'"),
        ("*a", "'*a'"),
        ("&a", "'&a'"),
        ("!a", "'!a'"),
        ("%a", "'%a'"),
        ("@a", "'@a'"),
        ("`a", "'`a'"),
        ("|", "'|'"),
        ("'a", "'''a'"),
        ("\"a", "'\"a'"),
        (" a", "' a'"),
        ("a ", "'a '"),
        ("---", "'---'"),
        // Only written escaped.
        ("a\tb", r#""a\tb""#),
        ("a\u{1}b", r#""a\x01b""#),
        ("a\\b\r", r#""a\\b\r""#),
        ("\u{1f600}", r#""\U0001F600""#),
        ("a\u{feff}", r#""a\uFEFF""#),
        // Several lines.
        ("a\nb", "|-\n        a\n        b"),
        ("a\nb\n", "|\n        a\n        b"),
        ("a\n\n", "|+\n        a\n"),
        (" a\nb", "|4-\n         a\n        b"),
        ("a \nb", r#""a \nb""#),
    ] {
        let text = yaml(&[target("h:1", &[("k", value)])]);
        let got = text.split_once("    k: ").unwrap().1.strip_suffix('\n').unwrap();
        assert_eq!(got, written, "{value:?}");
    }
}

#[test]
fn keys_are_in_the_librarys_order_and_quoted_too() {
    let long = "k".repeat(129);
    let text = yaml(&[target(
        "h:1",
        &[
            ("a10", "v"),
            ("a9", "v"),
            ("a1b", "v"),
            ("a_b", "v"),
            ("ab", "v"),
            ("_a", "v"),
            ("B", "v"),
            ("y", "v"),
            (&long, "v"),
        ],
    )]);
    let keys: Vec<&str> = text.lines().skip(3).map(|l| l.trim().trim_end_matches(": v")).collect();
    assert_eq!(keys, ["_a", "B", "a_b", "a1b", "a9", "a10", "ab", &format!("? {long}"), "", "\"y\""]);
}

proptest! {
    /// Whatever a tag or docker label holds, a reader gets the same text back.
    #[test]
    fn any_text_reads_back(
        value in prop_oneof![".*", "[ -~\n\t]{0,12}", "[0-9:.eExX_+-]{0,8}", "[\u{0}-\u{ffff}]{0,6}"],
        key in "[a-zA-Z_][a-zA-Z0-9_]{0,140}",
    ) {
        let text = yaml(&[target("10.0.0.1:80", &[(&key, &value)])]);
        #[derive(serde::Deserialize)]
        struct Entry { targets: Vec<String>, labels: BTreeMap<String, String> }
        let read: Vec<Entry> = serde_yaml::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}: {text:?}")))?;
        prop_assert_eq!(&read[0].targets, &["10.0.0.1:80"]);
        prop_assert_eq!(read[0].labels.get(&key), Some(&value), "{:?}", text);
    }
}
