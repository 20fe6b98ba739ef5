//! The recorded behaviour of rules and the sentences about wrong ones.

use ::config::{decode_prometheus, parse_yaml};

use super::*;

fn decode(yaml: &str) -> Result<RelabelConfig, String> {
    let (node, _) = parse_yaml("test.yaml", yaml);
    let (config, found) = decode_prometheus::<RelabelConfig>(&node.unwrap());
    match found.first() {
        Some(diagnostic) => Err(diagnostic.message.clone()),
        None => Ok(config.unwrap()),
    }
}

fn rules(yaml: &[&str], scheme: ValidationScheme) -> Vec<RelabelRule> {
    yaml.iter().map(|yaml| decode(yaml).unwrap().compile(scheme).unwrap()).collect()
}

/// The labels as `name=value` joined by commas, sorted, or `dropped`.
fn apply(rules: &[RelabelRule], labels: &str) -> String {
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let mut labels: Labels = pairs.collect();
    if !apply_rules(rules, &mut labels) {
        return "dropped".to_owned();
    }
    labels.finish().unwrap();
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

#[test]
fn rules_rewrite_labels_as_prometheus_does() {
    for (yaml, labels, expected) in [
        (
            &["{regex: f(.*), source_labels: [foo], target_label: d, replacement: 'ch${1}-ch${1}'}"][..],
            "foo=foo",
            "d=choo-choo,foo=foo",
        ),
        (
            &[
                "{source_labels: [a, b], regex: f(.*);(.*)r, target_label: a, replacement: 'b${1}${2}m'}",
                "{source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: $1$2$2$3}",
            ],
            "a=foo,b=bar,c=baz",
            "a=boobam,b=bar,c=baz,d=boooom",
        ),
        (&["{action: drop, source_labels: [a], regex: f|o}"], "a=foo", "a=foo"),
        (
            &["{action: drop, source_labels: [a], regex: .*o.*}", "{target_label: x, replacement: y}"],
            "a=foo",
            "dropped",
        ),
        (&["{action: keep, source_labels: [a], regex: no-match}"], "a=foo", "dropped"),
        (&["{action: keep, source_labels: [a], regex: f.*}"], "a=foo", "a=foo"),
        (&["{source_labels: [a], regex: x, target_label: a, replacement: constant}"], "a=foo", "a=foo"),
        (&["{source_labels: [a], regex: f(o*), replacement: $2, target_label: a}"], "a=foo", ""),
        (&["{source_labels: [a], regex: '(f)(o)(x)?.*', target_label: '${3}', replacement: y}"], "a=foo", "a=foo"),
        (&["{source_labels: [a], regex: '(f).*', target_label: 'x_$1', replacement: y}"], "a=foo", "a=foo,x_f=y"),
        (&["{action: hashmod, source_labels: [c], target_label: d, modulus: 1000}"], "c=baz", "c=baz,d=976"),
        (&["{action: hashmod, source_labels: [c], target_label: d, modulus: 1000}"], "c=foo\nbar", "c=foo\nbar,d=734"),
        (
            &["{action: labelmap, regex: __meta_(my.*)}"],
            "__meta_my_bar=aaa,__meta_my_baz=bbb,__meta_other=ccc",
            "__meta_my_bar=aaa,__meta_my_baz=bbb,__meta_other=ccc,my_bar=aaa,my_baz=bbb",
        ),
        (
            &["{action: labelmap, regex: meta_(ng.+), replacement: 'bar_${1}'}"],
            "meta_ng_foo=1",
            "bar_ng_foo=1,meta_ng_foo=1",
        ),
        (&["{action: labelmap, regex: (a|b), replacement: '${1}${1}'}"], "a=1,aa=2,b=3", "a=1,aa=1,b=3,bb=3"),
        (&["{action: labeldrop, regex: foo.*}"], "foo=1,foobar=2,bar=3", "bar=3"),
        (&["{action: labelkeep, regex: foo.*}"], "foo=1,foobar=2,bar=3", "foo=1,foobar=2"),
        (
            &[
                "{action: lowercase, source_labels: [a], target_label: l}",
                "{action: UpperCase, source_labels: [a], target_label: u}",
            ],
            "a=bAr123Foo",
            "a=bAr123Foo,l=bar123foo,u=BAR123FOO",
        ),
        (&["{action: uppercase, source_labels: [a], target_label: u}"], "a=straßeÿᾳςı", "a=straßeÿᾳςı,u=STRAßEŸᾼΣI"),
        (&["{action: lowercase, source_labels: [a], target_label: l}"], "a=ΑΣİÄ", "a=ΑΣİÄ,l=ασiä"),
        (
            &["{action: keepequal, source_labels: [__port1], target_label: port}"],
            "port=1234,__port1=1234",
            "__port1=1234,port=1234",
        ),
        (&["{action: keepequal, source_labels: [__port1], target_label: port}"], "port=1234,__port1=5678", "dropped"),
        (&["{action: dropequal, source_labels: [__port1], target_label: port}"], "port=1234,__port1=1234", "dropped"),
        (
            &["{action: dropequal, source_labels: [__port1], target_label: port}"],
            "port=1234,__port1=5678",
            "__port1=5678,port=1234",
        ),
        (&["{source_labels: [missing], replacement: static, target_label: x}"], "a=1", "a=1,x=static"),
        (
            &["{source_labels: [a], regex: line1.*line2, target_label: x, replacement: y}"],
            "a=line1\nline2",
            "a=line1\nline2,x=y",
        ),
        (&["{source_labels: [a, b], separator: '-', target_label: x}"], "a=1,b=2", "a=1,b=2,x=1-2"),
        (&["{source_labels: [a, b], target_label: x}"], "b=2", "b=2,x=;2"),
        (&["{source_labels: [a], regex: '', target_label: x, replacement: y}"], "a=1", "a=1"),
        (&["{source_labels: [a], target_label: x, replacement: 007}"], "a=1", "a=1,x=007"),
        (&["{source_labels: [a], target_label: é.x}"], "a=1", "a=1,é.x=1"),
        // Empty texts mean the default, as in the reference.
        (&["{source_labels: [a], target_label: x, replacement: ''}"], "a=1", "a=1,x=1"),
        (&["{source_labels: [a, b], separator: '', target_label: x}"], "a=1,b=2", "a=1,b=2,x=1;2"),
    ] {
        assert_eq!(apply(&rules(yaml, ValidationScheme::Utf8), labels), expected, "{yaml:?}");
    }
}

#[test]
fn the_legacy_scheme_leaves_names_alone_that_it_forbids() {
    let rule = "{source_labels: [a], regex: '(.*)', target_label: 'x_$1', replacement: y}";
    assert_eq!(apply(&rules(&[rule], ValidationScheme::Legacy), "a=b.c"), "a=b.c");
    assert_eq!(apply(&rules(&[rule], ValidationScheme::Utf8), "a=b.c"), "a=b.c,x_b.c=y");
}

#[test]
fn wrong_rules_are_refused_in_prometheus_words() {
    let only_pair = "action requires only 'source_labels' and `target_label`, and no other fields";
    for (yaml, expected) in [
        ("{action: foo}", "unknown relabel action \"foo\"".to_owned()),
        (
            "{action: hashmod, target_label: a}",
            "relabel configuration for hashmod requires non-zero modulus".to_owned(),
        ),
        ("{}", "relabel configuration for replace action requires 'target_label' value".to_owned()),
        (
            "{action: hashmod, modulus: 1}",
            "relabel configuration for hashmod action requires 'target_label' value".to_owned(),
        ),
        ("{action: uppercase}", "relabel configuration for uppercase action requires 'target_label' value".to_owned()),
        ("{action: dropequal}", "relabel configuration for dropequal action requires 'target_label' value".to_owned()),
        (
            "{action: uppercase, target_label: a, replacement: b}",
            "'replacement' can not be set for uppercase action".to_owned(),
        ),
        (
            "{action: keepequal, target_label: a, replacement: b}",
            "'replacement' can not be set for keepequal action".to_owned(),
        ),
        (
            "{action: labeldrop, source_labels: [a]}",
            "labeldrop action requires only 'regex', and no other fields".to_owned(),
        ),
        (
            "{action: labelkeep, target_label: a}",
            "labelkeep action requires only 'regex', and no other fields".to_owned(),
        ),
        (
            "{action: labelkeep, separator: ','}",
            "labelkeep action requires only 'regex', and no other fields".to_owned(),
        ),
        ("{action: keepequal, target_label: a, regex: b}", format!("keepequal {only_pair}")),
        ("{action: dropequal, target_label: a, modulus: 3}", format!("dropequal {only_pair}")),
        ("{action: labelmap, replacement: ''}", "\"\" is invalid 'replacement' for labelmap action".to_owned()),
        ("{target_label: a, regex: '(a'}", "error parsing regexp: missing closing ): `^(?s:(a)$`".to_owned()),
        (
            "{target_label: a, regex: 'a**'}",
            "error parsing regexp: invalid nested repetition operator: `**`".to_owned(),
        ),
    ] {
        let error = decode(yaml).and_then(|config| config.compile(ValidationScheme::Utf8).map(drop)).unwrap_err();
        assert_eq!(error, expected, "{yaml}");
    }
    for (yaml, expected) in [
        ("{target_label: a.b}", "\"a.b\" is invalid 'target_label' for replace action"),
        ("{target_label: '$1.b'}", "\"$1.b\" is invalid 'target_label' for replace action"),
        ("{action: hashmod, modulus: 2, target_label: 1a}", "\"1a\" is invalid 'target_label' for hashmod action"),
        ("{action: lowercase, target_label: '$1'}", "\"$1\" is invalid 'target_label' for lowercase action"),
        ("{action: labelmap, replacement: '$1.b'}", "\"$1.b\" is invalid 'replacement' for labelmap action"),
    ] {
        let config = decode(yaml).unwrap();
        assert_eq!(config.compile(ValidationScheme::Legacy).unwrap_err(), expected, "{yaml}");
        assert!(config.compile(ValidationScheme::Utf8).is_ok(), "{yaml}");
    }
    for yaml in ["{target_label: 'x_${1}_$name'}", "{action: labelmap, replacement: 'bar_${1}'}", "{action: keep}"] {
        assert!(decode(yaml).unwrap().compile(ValidationScheme::Legacy).is_ok(), "{yaml}");
    }
    assert!(decode("{unknown_key: 1}").is_err());
}

#[test]
fn every_wrong_rule_of_a_list_is_reported_and_surprises_are_warnings() {
    let yaml = "- {target_label: a, replacement: ''}\n- {}\n- {action: keep}\n- {action: hashmod, target_label: b}\n";
    let (node, _) = parse_yaml("test.yaml", yaml);
    let (rules, found) = decode_prometheus::<Vec<::config::Spanned<RelabelConfig>>>(&node.unwrap());
    assert!(found.is_empty(), "{found:?}");
    let (compiled, found) = compile_rules(&rules.unwrap(), ValidationScheme::Utf8);
    assert_eq!(compiled.len(), 2);
    let lines: Vec<_> = found.iter().map(|d| (d.severity, d.span.as_ref().map(|span| span.start.line))).collect();
    use ::config::Severity::{Error, Warning};
    assert_eq!(lines, [(Warning, Some(1)), (Error, Some(2)), (Error, Some(4))], "{found:?}");
}
