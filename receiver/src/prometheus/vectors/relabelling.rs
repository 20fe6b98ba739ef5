//! Vectors 1 to 16: rules, the labels they get and what they leave.

use crate::prometheus::labels::{Labels, ValidationScheme};
use crate::prometheus::relabel::{RelabelConfig, apply_rules, compile_rules};

/// Number, rules as a YAML list, labels, and what is left of them; `dropped` for nothing.
type RuleRow = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

pub(super) const ROWS: &[RuleRow] = &[
    (
        "1",
        "[{source_labels: [foo], regex: f(.*), target_label: d, replacement: 'ch${1}-ch${1}'}]",
        &[("foo", "foo")],
        r#"{d="choo-choo", foo="foo"}"#,
    ),
    (
        "2",
        "[{source_labels: [a, b], regex: f(.*);(.*)r, target_label: a, replacement: 'b${1}${2}m'}, \
         {source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: '$1$2$2$3'}]",
        &[("a", "foo"), ("b", "bar"), ("c", "baz")],
        r#"{a="boobam", b="bar", c="baz", d="boooom"}"#,
    ),
    ("3", "[{action: drop, source_labels: [a], regex: f|o}]", &[("a", "foo")], r#"{a="foo"}"#),
    (
        "4",
        "[{action: drop, source_labels: [a], regex: .*o.*}, {target_label: d, replacement: x}]",
        &[("a", "foo")],
        "dropped",
    ),
    ("5", "[{action: keep, source_labels: [a], regex: no-match}]", &[("a", "foo")], "dropped"),
    ("5", "[{action: keep, source_labels: [a], regex: f.*}]", &[("a", "foo")], r#"{a="foo"}"#),
    (
        "6",
        "[{source_labels: [a], regex: no-match, target_label: a, replacement: constant}]",
        &[("a", "foo")],
        r#"{a="foo"}"#,
    ),
    ("7", "[{source_labels: [a], regex: f(o*), replacement: '$2', target_label: a}]", &[("a", "foo")], "{}"),
    (
        "8",
        "[{source_labels: [a], regex: '(f)(o)(x)?.*', target_label: '${3}', replacement: y}]",
        &[("a", "foo")],
        r#"{a="foo"}"#,
    ),
    (
        "9",
        "[{action: hashmod, source_labels: [c], target_label: d, modulus: 1000}]",
        &[("c", "baz")],
        r#"{c="baz", d="976"}"#,
    ),
    (
        "9",
        "[{action: hashmod, source_labels: [c], target_label: d, modulus: 1000}]",
        &[("c", "foo\nbar")],
        r#"{c="foo\nbar", d="734"}"#,
    ),
    (
        "10",
        "[{action: labelmap, regex: __meta_(my.*)}]",
        &[("__meta_my_bar", "aaa"), ("__meta_my_baz", "bbb"), ("__meta_other", "ccc")],
        r#"{__meta_my_bar="aaa", __meta_my_baz="bbb", __meta_other="ccc", my_bar="aaa", my_baz="bbb"}"#,
    ),
    (
        "11",
        "[{action: labelmap, regex: meta_(ng.+), replacement: 'bar_${1}'}]",
        &[("meta_ng_foo", "1")],
        r#"{bar_ng_foo="1", meta_ng_foo="1"}"#,
    ),
    ("12", "[{action: labeldrop, regex: foo.*}]", &[("foo", "1"), ("foobar", "2"), ("bar", "3")], r#"{bar="3"}"#),
    (
        "12",
        "[{action: labelkeep, regex: foo.*}]",
        &[("foo", "1"), ("foobar", "2"), ("bar", "3")],
        r#"{foo="1", foobar="2"}"#,
    ),
    (
        "13",
        "[{action: lowercase, source_labels: [a], target_label: l}, {action: uppercase, source_labels: [a], target_label: u}]",
        &[("a", "bAr123Foo")],
        r#"{a="bAr123Foo", l="bar123foo", u="BAR123FOO"}"#,
    ),
    (
        "14",
        "[{action: keepequal, source_labels: [__port1], target_label: port}]",
        &[("port", "1234"), ("__port1", "1234")],
        r#"{__port1="1234", port="1234"}"#,
    ),
    (
        "14",
        "[{action: keepequal, source_labels: [__port1], target_label: port}]",
        &[("port", "1234"), ("__port1", "5678")],
        "dropped",
    ),
    (
        "14",
        "[{action: dropequal, source_labels: [__port1], target_label: port}]",
        &[("port", "1234"), ("__port1", "1234")],
        "dropped",
    ),
    (
        "14",
        "[{action: DropEqual, source_labels: [__port1], target_label: port}]",
        &[("port", "1234"), ("__port1", "5678")],
        r#"{__port1="5678", port="1234"}"#,
    ),
    (
        "15",
        "[{source_labels: [missing], replacement: static, target_label: x}]",
        &[("a", "1")],
        r#"{a="1", x="static"}"#,
    ),
    (
        "16",
        "[{source_labels: [a], regex: line1.*line2, target_label: x, replacement: y}]",
        &[("a", "line1\nline2")],
        r#"{a="line1\nline2", x="y"}"#,
    ),
];

#[test]
fn rules_rewrite_labels_as_specified() {
    for (number, yaml, labels, expected) in ROWS {
        let (node, _) = ::config::parse_yaml("test.yaml", yaml);
        let (rules, found) = ::config::decode_prometheus::<Vec<::config::Spanned<RelabelConfig>>>(&node.unwrap());
        assert!(found.is_empty(), "{number}: {found:?}");
        let (rules, found) = compile_rules(&rules.unwrap(), ValidationScheme::Utf8);
        assert!(found.is_empty(), "{number}: {found:?}");
        let mut labels: Labels<'_> = labels.iter().copied().collect();
        let got = match apply_rules(&rules, &mut labels) {
            true => {
                labels.finish().unwrap();
                labels.to_string()
            }
            false => "dropped".to_owned(),
        };
        assert_eq!(got, *expected, "{number}");
    }
}
