//! Tests of the declaration engine.

use ::config::{Severity, decode_str};
use serde::Deserialize;

use super::*;

#[derive(Deserialize, Default)]
#[serde(default)]
struct List {
    d: Vec<::config::Spanned<DeclarationConfig>>,
}

/// Compiles `d: [...]`; the problems are text.
fn declarations(text: &str) -> (Option<Declarations>, Vec<String>, bool) {
    let (list, mut found) = decode_str::<List>(text);
    let (declarations, more) = compile(&list.unwrap().d);
    found.extend(more);
    let failed = found.iter().any(|problem| problem.severity == Severity::Error);
    (declarations, found.iter().map(ToString::to_string).collect(), failed)
}

fn compiled(text: &str) -> Declarations {
    let (declarations, found, failed) = declarations(text);
    assert!(!failed, "{found:?}");
    declarations.unwrap()
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// The dimension sets of a metric, or `None` when nothing selects it.
fn sets(d: &Declarations, name: &str, labels: Pairs<'_>, rollup: Rollup) -> Option<Vec<Vec<String>>> {
    let mut memo = SelectorMemo::default();
    let by_name = d.selecting(&mut memo, name);
    assert_eq!(d.selecting(&mut memo, name), by_name);
    let accepted = d.accepting(|wanted| labels.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value));
    let selected = memo.mask(by_name).and(&accepted);
    let mut names: Vec<&str> = labels.iter().map(|(key, _)| *key).collect();
    names.sort_unstable();
    (!selected.is_empty()).then(|| text(d.dimension_sets(&selected, &names, rollup)))
}

fn text(sets: DimensionSets) -> Vec<Vec<String>> {
    sets.sets.iter().map(|set| set.iter().map(ToString::to_string).collect()).collect()
}

fn owned(sets: &[&[&str]]) -> Vec<Vec<String>> {
    sets.iter().map(|set| set.iter().map(|name| (*name).to_owned()).collect()).collect()
}

#[test]
fn without_declarations_the_full_set_and_the_rollup_are_published() {
    use Rollup::{None, Single, ZeroAndSingle};
    type Case<'a> = (&'a [&'a str], Rollup, &'a [&'a [&'a str]]);
    let cases: &[Case<'_>] = &[
        (&[], None, &[&[]]),
        (&[], ZeroAndSingle, &[&[]]),
        (&["OTelLib"], Single, &[&["OTelLib"]]),
        (&["OTelLib"], ZeroAndSingle, &[&["OTelLib"]]),
        (&["a"], None, &[&["a"]]),
        (&["a"], Single, &[&["a"]]),
        (&["a"], ZeroAndSingle, &[&[], &["a"]]),
        (&["OTelLib", "a"], None, &[&["OTelLib", "a"]]),
        (&["OTelLib", "a"], Single, &[&["OTelLib", "a"]]),
        (&["OTelLib", "a"], ZeroAndSingle, &[&["OTelLib"], &["OTelLib", "a"]]),
        (&["a", "b", "c"], Single, &[&["a", "b", "c"], &["a"], &["b"], &["c"]]),
        (&["a", "b", "c"], ZeroAndSingle, &[&["a", "b", "c"], &[], &["a"], &["b"], &["c"]]),
        (
            &["A", "OTelLib", "b"],
            ZeroAndSingle,
            &[&["A", "OTelLib", "b"], &["OTelLib"], &["A", "OTelLib"], &["OTelLib", "b"]],
        ),
    ];
    for (labels, rollup, expected) in cases {
        assert_eq!(text(undeclared(labels, *rollup)), owned(expected), "{labels:?} {rollup:?}");
    }
}

#[test]
fn a_set_of_more_than_thirty_labels_is_left_out_and_counted() {
    let names: Vec<String> = (0..31).map(|i| format!("l{i:02}")).collect();
    let labels: Vec<&str> = names.iter().map(String::as_str).collect();
    let result = undeclared(&labels, Rollup::None);
    assert_eq!((result.sets.len(), result.too_long), (0, 1));
    let result = undeclared(&labels[..30], Rollup::None);
    assert_eq!((result.sets.len(), result.too_long), (1, 0));
    let result = undeclared(&labels, Rollup::Single);
    assert_eq!((result.sets.len(), result.too_long), (31, 1));
}

#[test]
fn declared_sets_are_published_when_all_their_labels_are_there() {
    let abc: Pairs<'_> = &[("a", "1"), ("b", "2"), ("c", "3")];
    let d = compiled("d: [{dimensions: [[a], [a, c], [b, d]], metric_name_selectors: ['metric.*']}]");
    assert_eq!(sets(&d, "metric1", abc, Rollup::None), Some(owned(&[&["a"], &["a", "c"]])));
    assert_eq!(sets(&d, "other", abc, Rollup::None), None);
    let d = compiled(
        "d: [{dimensions: [[a], [b, d]], metric_name_selectors: ['metric.*']},
             {dimensions: [[a, c], [b, d]], metric_name_selectors: [metric1]},
             {dimensions: [[a], [b], [b, d]], metric_name_selectors: ['metric(1|2)']}]",
    );
    assert_eq!(sets(&d, "metric1", abc, Rollup::None), Some(owned(&[&["a"], &["a", "c"], &["b"]])));
    assert_eq!(sets(&d, "metric2", abc, Rollup::None), Some(owned(&[&["a"], &["b"]])));
    assert_eq!(sets(&d, "metric3", abc, Rollup::None), Some(owned(&[&["a"]])));
}

#[test]
fn the_rollup_joins_declared_sets_once() {
    let zero = Rollup::ZeroAndSingle;
    let d = compiled("d: [{dimensions: [[a]], metric_name_selectors: [m]}]");
    let labels: Pairs<'_> = &[("a", ""), ("b", ""), ("OTelLib", "l")];
    let expected = owned(&[&["a"], &["OTelLib"], &["OTelLib", "a"], &["OTelLib", "b"]]);
    assert_eq!(sets(&d, "m", labels, zero), Some(expected));
    let d = compiled("d: [{dimensions: [[a, OTelLib]], metric_name_selectors: [m]}]");
    let labels: Pairs<'_> = &[("a", ""), ("OTelLib", "l")];
    assert_eq!(sets(&d, "m", labels, zero), Some(owned(&[&["OTelLib", "a"], &["OTelLib"]])));
    let d = compiled("d: [{dimensions: [[], [a]], metric_name_selectors: [m]}]");
    assert_eq!(sets(&d, "m", &[], zero), Some(owned(&[&[]])));
    let d = compiled("d: [{metric_name_selectors: [m]}]");
    assert_eq!(sets(&d, "m", &[("a", "")], zero), Some(owned(&[&[], &["a"]])));
    assert_eq!(sets(&d, "m", &[("a", "")], Rollup::None), Some(vec![]));
}

#[test]
fn label_matchers_see_joined_values() {
    let matching = |matchers: &str, labels: Pairs<'_>| {
        let d = compiled(&format!("d: [{{metric_name_selectors: ['.*'], label_matchers: {matchers}}}]"));
        sets(&d, "m", labels, Rollup::None).is_some()
    };
    let ab: Pairs<'_> = &[("a", "A"), ("b", "B")];
    assert!(!matching("[{label_names: [a, b, d], regex: 'A;B;D'}]", ab));
    assert!(matching("[{label_names: [a, b, d], regex: 'A;B;$'}]", ab));
    assert!(matching("[{label_names: [a, b], regex: 'A;B'}]", ab));
    assert!(matching("[{label_names: [b, a], separator: ',', regex: '^B,A$'}]", ab));
    assert!(!matching("[{label_names: [a, b], separator: ',', regex: 'A;B'}]", ab));
    assert!(matching("[{label_names: [a, b], separator: '', regex: 'A;B'}]", ab));
    assert!(matching("[{label_names: [a], regex: '^fo+$'}]", &[("a", "foo")]));
    assert!(!matching("[{label_names: [a], regex: '^f+$'}]", &[("a", "foo")]));
    assert!(!matching("[{label_names: [x], regex: '.+'}]", ab));
    assert!(matching("[{label_names: [a, x, b], regex: 'fo+;;b.*$'}]", &[("a", "foo"), ("b", "bar")]));
    assert!(matching("[{label_names: [a], regex: Z}, {label_names: [b], regex: B}]", ab));
}

#[test]
fn metric_names_are_searched_unanchored() {
    let selects = |selectors: &str, name: &str| {
        let d = compiled(&format!("d: [{{metric_name_selectors: {selectors}}}]"));
        sets(&d, name, &[], Rollup::None).is_some()
    };
    let selectors = "['^a+$', '^b.*$', '^ac+a$']";
    for name in ["a", "aa", "b", "ba", "aca", "accca"] {
        assert!(selects(selectors, name), "{name}");
    }
    for name in ["aaab", "c"] {
        assert!(!selects(selectors, name), "{name}");
    }
    assert!(selects("cpu", "node_cpu_total"));
}

#[test]
fn an_invalid_declaration_is_left_out_with_place_and_reason() {
    let (d, found, failed) = declarations(
        "d:
  - dimensions: [[path]]
  - metric_name_selectors: [m]
    label_matchers: [{label_names: [], regex: x}]
  - metric_name_selectors: [m]
    label_matchers: [{label_names: [path], regex: ''}]
  - metric_name_selectors: [m]
    label_matchers: [{label_names: [path], regex: '('}]
  - {dimensions: [[code]], metric_name_selectors: [m]}",
    );
    assert!(!failed);
    assert_eq!(d.unwrap().len(), 1);
    let expected = [
        "test.yaml:2:5: d[0]: metric declaration left out: no metric name selectors defined (add metric_name_selectors)",
        "test.yaml:3:5: d[1]: metric declaration left out: label matcher must have at least one label name specified (add label_names)",
        "test.yaml:5:5: d[2]: metric declaration left out: regex not specified for label matcher (add regex; `.*` accepts every value)",
        "test.yaml:7:5: d[3]: metric declaration left out: \"(\" is not a regular expression: error parsing regexp: missing closing ): `(` (give each ( its ); for the character itself put a backslash before it)",
    ];
    assert_eq!(found, expected);
}

#[test]
fn nothing_left_and_a_wrong_selector_are_errors() {
    let (_, found, failed) = declarations("d: [{dimensions: [[a]]}, {metric_name_selectors: []}]");
    assert!(failed);
    assert!(found[2].contains("all metric declarations are invalid, so no metric would be selected"), "{found:?}");
    let (_, found, failed) = declarations("d: [{metric_name_selectors: [ok, 'a(b']}]");
    assert!(failed);
    assert!(
        found[0].starts_with("test.yaml:1:34: d[0]::metric_name_selectors[1]: metric name selector \"a(b\""),
        "{found:?}"
    );
    assert!(compiled("d: []").is_empty());
}

#[test]
fn dimension_sets_are_normalised_and_limited() {
    let d = compiled("d: [{dimensions: [[a, c, b, c], [c, b, a]], metric_name_selectors: [m]}]");
    let labels: Pairs<'_> = &[("a", ""), ("b", ""), ("c", "")];
    assert_eq!(sets(&d, "m", labels, Rollup::None), Some(owned(&[&["a", "b", "c"]])));
    let names = |n: usize| (0..n).map(|i| format!("l{i:02}")).collect::<Vec<_>>().join(", ");
    let list = format!("d: [{{dimensions: [[{}], [{}, l00]], metric_name_selectors: [m]}}]", names(31), names(30));
    let (d, found, failed) = declarations(&list);
    assert!(!failed);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("dimension set left out: it has 31 names and CloudWatch takes at most 30"), "{found:?}");
    assert_eq!(d.unwrap().list[0].dimensions.iter().map(Vec::len).collect::<Vec<_>>(), [30]);
}

#[test]
fn an_explanation_says_what_every_declaration_thinks() {
    let d = compiled(
        "d:
  - {dimensions: [[a], [a, z]], metric_name_selectors: ['^http']}
  - {dimensions: [[a]], metric_name_selectors: ['^http'], label_matchers: [{label_names: [a, b], regex: '^no'}]}
  - {dimensions: [[a]], metric_name_selectors: [other]}
  - {metric_name_selectors: [requests]}",
    );
    let label = |name: &str| (name == "a").then_some("1");
    let explanation = d.explain("http_requests", label);
    assert!(explanation.is_selected());
    let expected = "http_requests is selected
  test.yaml:2:5: selected, published under [\"a\"], not under [\"a\", \"z\"]: there is no label \"z\"
  test.yaml:3:5: the name matches, but no label matcher accepts [\"1;\"]
  test.yaml:4:5: no metric name selector matches
  test.yaml:5:5: selected, but under no dimension set of its own";
    assert_eq!(explanation.to_string(), expected);
    assert!(!d.explain("nothing", label).is_selected());
}

#[test]
fn masks_hold_more_declarations_than_a_word() {
    let mask: DeclarationMask = [1, 64, 200].into_iter().collect();
    assert_eq!(mask.iter().collect::<Vec<_>>(), [1, 64, 200]);
    let other: DeclarationMask = [64, 5].into_iter().collect();
    assert_eq!(mask.and(&other).iter().collect::<Vec<_>>(), [64]);
    assert!(mask.and(&DeclarationMask::empty()).is_empty());
    let low: DeclarationMask = [1].into_iter().collect();
    assert_eq!(mask.and(&low), low);
}
