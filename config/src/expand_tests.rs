use super::*;
use crate::decode;
use crate::yaml::parse_yaml;

const ENV: &[(&str, &str)] = &[
    ("NUM", "12"),
    ("OCT", "0777"),
    ("LST", "[a, b]"),
    ("EMPTY", ""),
    ("WHICH", "NUM"),
    ("LOOP", "${env:LOOP}"),
    ("GROW", "[${env:GROW},"),
    ("TEXT", "a # b"),
    ("QUOTED", "\"q\""),
    ("NESTED", "{x: '${env:OCT}', y: [1, '$$1']}"),
    ("INDIRECT", "${env:OCT}"),
    ("DOLLAR", "a$$b"),
    ("YES", "yes"),
];

fn expanded(text: &str) -> (Node, Vec<String>) {
    let (node, found) = parse_yaml("t.yaml", text);
    assert!(found.is_empty(), "{found:?}");
    let mut node = node.unwrap();
    let found = expand(&mut node, &ENV);
    (node, found.iter().map(ToString::to_string).collect())
}

#[test]
fn references_follow_the_collectors_table() {
    // text, as a string field, as an integer field
    type Case = (&'static str, Result<&'static str, &'static str>, Result<i64, &'static str>);
    let cases: &[Case] = &[
        ("${env:NUM}", Ok("12"), Ok(12)),
        ("${NUM}", Ok("12"), Ok(12)),
        ("${env:OCT}", Ok("0777"), Ok(511)),
        ("${env:INDIRECT}", Ok("0777"), Ok(511)),
        ("x${env:NUM}", Ok("x12"), Err("expected a whole number")),
        ("'${env:NUM}'", Ok("12"), Ok(12)),
        ("${env:LST}", Ok("[a, b]"), Err("expected a whole number")),
        ("${env:MISSING:-d}", Ok("d"), Err("expected a whole number")),
        ("${env:MISSING:-7}", Ok("7"), Ok(7)),
        ("${env:MISSING:-a:-b}", Ok("a:-b"), Err("expected")),
        ("${env:EMPTY:-d}", Ok(""), Ok(0)),
        ("${env:${env:WHICH}}", Ok("12"), Ok(12)),
        ("$${env:NUM}", Ok("${env:NUM}"), Err("expected")),
        ("$$${env:NUM}", Ok("$12"), Err("expected")),
        ("$$$${env:NUM}", Ok("$${env:NUM}"), Err("expected")),
        ("$NUM", Ok("$NUM"), Err("expected")),
        ("$1", Ok("$1"), Err("expected")),
        ("$$1", Ok("$1"), Err("expected")),
        ("$$$$", Ok("$$"), Err("expected")),
        ("a$", Ok("a$"), Err("expected")),
        ("a}${env:NUM}${", Ok("a}12${"), Err("expected")),
        ("${env:TEXT}", Ok("a # b"), Err("expected")),
        ("${env:QUOTED}", Ok("\"q\""), Err("expected")),
        ("${env:DOLLAR}", Ok("a$b"), Err("expected")),
        ("${yaml:1.5}", Ok("1.5"), Err("expected")),
    ];
    for (text, string, int) in cases {
        let (node, found) = expanded(&format!("v: {}", quoted(text)));
        assert!(found.is_empty(), "{text}: {found:?}");
        let node = node.get("v").unwrap();
        let (value, problems) = decode::<String>(node);
        match string {
            Ok(want) => assert_eq!(value.as_deref(), Some(*want), "{text}: {problems:?}"),
            Err(want) => assert!(problems[0].message.contains(want), "{text}: {problems:?}"),
        }
        let (value, problems) = decode::<i64>(node);
        match int {
            Ok(want) => assert_eq!(value, Some(*want), "{text}: {problems:?}"),
            Err(want) => assert!(problems[0].message.contains(want), "{text}: {problems:?}"),
        }
    }
}

/// Puts the text in quotes unless it has its own.
fn quoted(text: &str) -> String {
    if text.starts_with('\'') { text.to_owned() } else { format!("\"{text}\"") }
}

#[test]
fn whole_values_may_be_lists_and_maps_and_are_expanded_inside() {
    let (node, found) = expanded("l: ${env:LST}\nn: ${env:NESTED}\nyes: ${env:YES}\n");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(decode::<Vec<String>>(node.get("l").unwrap()).0.unwrap(), ["a", "b"]);
    let nested = node.get("n").unwrap();
    assert_eq!(decode::<i64>(nested.get("x").unwrap()).0, Some(511));
    assert_eq!(decode::<String>(&nested.get("y").unwrap().elements()[1]).0.as_deref(), Some("$1"));
    assert_eq!((&*nested.get("y").unwrap().path, nested.get("y").unwrap().span.start.line), ("n::y", 2));
    assert!(decode::<bool>(node.get("yes").unwrap()).1[0].message.contains("expected a boolean"));
    assert_eq!(decode::<String>(nested).0.as_deref(), Some("{x: '0777', y: [1, '$1']}"));
}

#[test]
fn what_cannot_be_expanded_says_why_and_what_to_write() {
    for (text, want) in [
        (
            "${NUM:-d}",
            "scheme \"NUM\" is not supported for uri \"NUM:...\" (write ${env:NUM:-...}; defaults need the env: scheme)",
        ),
        ("${1}", "must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$ (for group 1 of a regular expression write $${1})"),
        ("${env:}", "environment variable \"\" has invalid name"),
        ("${env:LOOP}", "too many recursive expansions"),
        ("a${env:LOOP}", "too many recursive expansions"),
        ("${env:a$b}", "contains unsupported characters ('$')"),
        ("${AWS::Region}", "(this is a placeholder of CloudFormation; put the text into Fn::Sub there"),
        ("${http://x}", "scheme \"http\" is not supported"),
        (
            "${foo:x}",
            "scheme \"foo\" is not supported for uri \"foo:...\" (write ${env:NAME}, ${file:PATH} or ${yaml:TEXT}",
        ),
        ("${file:/does/not/exist}", "cannot read the file \"/does/not/exist\": no such file or directory"),
    ] {
        let (_, found) = expanded(&format!("v: \"{text}\""));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(want) && found[0].starts_with("t.yaml:1:4: v: "), "{text}: {found:?}");
    }
}

#[test]
fn an_unset_variable_is_an_error_in_an_address_and_a_warning_elsewhere() {
    let (node, found) = expanded("endpoint: ${env:A}\nx: {targets: ['${env:B}:80']}\nregion: ${env:C}\n");
    let want = [
        "t.yaml:1:11: endpoint: environment variable \"A\" is not set, and this is an address (set A, or give a default: ${env:A:-host:port})",
        "t.yaml:2:15: x::targets[0]: environment variable \"B\" is not set, and this is an address (set B, or give a default: ${env:B:-host:port})",
        "t.yaml:3:9: region: configuration references unset environment variable \"C\" (set C, or give a default: ${env:C:-value})",
    ];
    assert_eq!(found, want);
    assert!(node.get("region").unwrap().is_null());
}

#[test]
fn an_unset_host_or_name_to_look_up_is_an_error_and_a_label_of_that_name_is_none() {
    let (_, found) = expanded(
        "prometheus: {host: '${env:A}'}\ndns_sd_configs: [{names: ['${env:A}']}]\nlabels: {host: '${env:A}', url: '${env:A}'}\nnames: ['${env:A}']\n",
    );
    let is_error: Vec<bool> = found.iter().map(|text| text.contains("and this is an address")).collect();
    assert_eq!(is_error, [true, true, false, false, false], "{found:?}");
    assert!(found[0].ends_with("(set A, or give a default: ${env:A:-localhost})"), "{found:?}");
}

#[test]
fn references_cannot_grow_without_bound() {
    let big: String = "x".repeat(1 << 20);
    let doubling: Vec<(String, String)> =
        (0..40).map(|i| (format!("V{i}"), format!("${{env:V{}}}${{env:V{}}}", i + 1, i + 1))).collect();
    let mut env: std::collections::BTreeMap<String, String> = doubling.into_iter().collect();
    env.insert("V40".to_owned(), big);
    let mut node = parse_yaml("t", "v: ${env:V0}").0.unwrap();
    assert_eq!(expand(&mut node, &env).len(), 1);
    let lists: std::collections::BTreeMap<String, String> =
        (0..60).map(|i| (format!("L{i}"), format!("['${{env:L{}}}', '${{env:L{}}}']", i + 1, i + 1))).collect();
    let mut node = parse_yaml("t", "v: ${env:L0}").0.unwrap();
    assert!(!expand(&mut node, &lists).is_empty());
}
