//! Properties of the loader over made-up texts: it never panics, and it agrees with the maintained serde_yaml wherever
//! Go's rules and that crate's are the same.
#![allow(clippy::unwrap_used)]

mod common;

use config::{Node, Sources, Value, load, load_tree, parse_yaml, print, render, resolve_scalar};
use proptest::prelude::*;
use serde_yaml::Value as Yaml;

const ENV: &[(&str, &str)] = &[("A", "1"), ("B", "[x, ${env:A}]"), ("C", "{a: '${B}'}"), ("L", "${L}${L}")];

fn all_the_way(text: &str) {
    let sources =
        Sources { configs: vec![format!("yaml:{text}")], sets: vec!["a.b=${C}".to_owned()], ..Sources::default() };
    let (config, mut found) = load(&sources, &ENV, &common::known());
    if let Some(config) = config {
        found.extend(common::check_components(&config));
        print(&config.root);
    }
    render(&found, false);
    render(&found, true);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_text_makes_the_loader_panic(text in "[-a-cé0-9:{}\\[\\],&*!|>'\"#%@`$\\\\ \n\r\t.~<?_]{0,160}") {
        all_the_way(&text);
    }

    #[test]
    fn no_arrangement_of_tokens_makes_the_loader_panic(tokens in prop::collection::vec(token(), 0..60)) {
        all_the_way(&tokens.concat());
    }

    #[test]
    fn a_printed_tree_is_read_the_same_by_both(tree in tree()) {
        let text = serde_yaml::to_string(&tree).unwrap();
        let (node, found) = parse_yaml("t", &text);
        prop_assert!(found.is_empty(), "{found:?}\n{text}");
        prop_assert_eq!(to_yaml(&node.unwrap()), tree);
    }

    #[test]
    fn what_is_printed_is_the_tree_again(tree in tree()) {
        let mut root = serde_yaml::Mapping::new();
        root.insert(Yaml::from("a"), tree.clone());
        let (node, _) = parse_yaml("t", &serde_yaml::to_string(&root).unwrap());
        let printed = print(&node.unwrap());
        let sources = Sources { configs: vec![format!("yaml:{printed}")], ..Sources::default() };
        let (again, found) = load_tree(&sources, &ENV);
        let again = again.unwrap_or_else(|| panic!("{found:?}\n{printed}"));
        prop_assert_eq!(to_yaml(again.get("a").unwrap()), tree, "{}", printed);
    }

    #[test]
    fn any_text_that_both_accept_means_the_same(text in "[ab1 \n:,'\"\\[\\]{}#-]{0,40}") {
        let Ok(theirs) = serde_yaml::from_str::<Yaml>(&text) else { return Ok(()) };
        let (node, found) = parse_yaml("t", &text);
        let Some(node) = node.filter(|_| found.is_empty()) else { return Ok(()) };
        prop_assert_eq!(to_yaml(&node), text_keys(theirs), "{}", text);
    }
}

fn token() -> impl Strategy<Value = String> {
    let words = [
        "receivers",
        "service",
        "pipelines",
        "metrics",
        "otlp",
        "awsemf",
        "exporters",
        "config",
        "scrape_configs",
        "job_name",
        "- ",
        ": ",
        ":\n",
        "\n",
        "  ",
        "    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "<<: *a",
        "${env:A}",
        "${C}",
        "$${",
        "}",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "!!int ",
        "!!str ",
        "? ",
        "---\n",
        "...\n",
        "#",
        "\t",
        "0777",
        "1e999",
        "~",
        "5s",
        "true",
        "\u{feff}",
        "\r\n",
        "é",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

/// Trees that both can hold: text keys, no text that the two read differently when plain, no URL, whose secrets would
/// be printed as `[REDACTED]`.
fn tree() -> impl Strategy<Value = Yaml> {
    let text = "[ -~é\n]{0,12}"
        .prop_filter("plain text that only Go reads as something else", |text| {
            matches!(resolve_scalar(text), Value::Str(_)) && text != "<<"
        })
        .prop_filter("text that may hold a secret", |text| !text.contains("://"));
    let key =
        "[a-z$:# ]{1,6}".prop_filter("words for null and booleans", |key| matches!(resolve_scalar(key), Value::Str(_)));
    let leaf = prop_oneof![
        Just(Yaml::Null),
        any::<bool>().prop_map(Yaml::from),
        any::<i64>().prop_map(Yaml::from),
        any::<u64>().prop_map(Yaml::from),
        any::<f64>().prop_filter("not a number is never equal", |x| x.is_finite()).prop_map(Yaml::from),
        text.prop_map(Yaml::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Yaml::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Yaml::Mapping(map.into_iter().map(|(key, value)| (Yaml::from(key), value)).collect())),
        ]
    })
}

fn to_yaml(node: &Node) -> Yaml {
    match &node.value {
        Value::Null => Yaml::Null,
        Value::Bool(value) => Yaml::from(*value),
        Value::Int(value) => {
            i64::try_from(*value).map(Yaml::from).unwrap_or_else(|_| Yaml::from(u64::try_from(*value).unwrap()))
        }
        Value::Float(value) => Yaml::from(*value),
        Value::Str(text) => Yaml::from(text.as_ref()),
        Value::Seq(nodes) => Yaml::Sequence(nodes.iter().map(to_yaml).collect()),
        Value::Map(entries) => {
            Yaml::Mapping(entries.iter().map(|(key, node)| (Yaml::from(key.name.as_ref()), to_yaml(node))).collect())
        }
    }
}

/// Keys as text, as the Collector has them.
fn text_keys(value: Yaml) -> Yaml {
    match value {
        Yaml::Sequence(list) => Yaml::Sequence(list.into_iter().map(text_keys).collect()),
        Yaml::Mapping(map) => Yaml::Mapping(
            map.into_iter()
                .map(|(key, value)| {
                    let key = match key {
                        Yaml::Number(number) => Yaml::from(number.to_string()),
                        other => other,
                    };
                    (key, text_keys(value))
                })
                .collect(),
        ),
        other => other,
    }
}
