//! Go's own answers, and the limits.

use proptest::prelude::*;
use serde_json::Value;

use super::{GoRegex, GoRegexErrorKind, GoRegexSet};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/go_regex/vectors.json")).unwrap()
}

/// Group positions flattened as Go's `FindStringSubmatchIndex` does; `None` when nothing matches.
fn submatches(regex: &GoRegex, text: &str) -> Option<Vec<i64>> {
    let mut captures = regex.captures();
    regex.captures_into(text, &mut captures).then(|| {
        (0..regex.inner.group_names.len())
            .flat_map(|index| match regex.group(&captures, index) {
                Some(range) => [range.start as i64, range.end as i64],
                None => [-1, -1],
            })
            .collect()
    })
}

#[test]
fn go_and_this_engine_accept_and_match_the_same() {
    let golden = golden();
    let texts: Vec<&str> = golden["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let mut wrong = Vec::new();
    let vectors = golden["vectors"].as_array().unwrap();
    assert!(vectors.len() > 1500);
    for vector in vectors {
        let pattern = vector["pattern"].as_str().unwrap();
        match (GoRegex::new(pattern), vector["error"].as_str()) {
            (Err(ours), Some(go)) => {
                if ours.to_string() != go {
                    wrong.push(format!("{pattern:?}: {ours} but Go: {go}"));
                }
            }
            (Err(ours), None) => wrong.push(format!("{pattern:?}: {ours} but Go accepts it")),
            (Ok(_), Some(go)) => wrong.push(format!("{pattern:?}: accepted but Go: {go}")),
            (Ok(regex), None) => {
                for (text, expected) in texts.iter().zip(vector["matches"].as_array().unwrap()) {
                    let expected: Option<Vec<i64>> =
                        expected.as_array().map(|all| all.iter().map(|n| n.as_i64().unwrap()).collect());
                    let ours = submatches(&regex, text);
                    if ours != expected || regex.is_match(text) != expected.is_some() {
                        wrong.push(format!("{pattern:?} on {text:?}: {ours:?} but Go: {expected:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn templates_expand_as_in_go() {
    for case in golden()["templates"].as_array().unwrap() {
        let [pattern, text, template, expected] = [0, 1, 2, 3].map(|i| case[i].as_str().unwrap());
        let regex = GoRegex::new(pattern).unwrap();
        let mut captures = regex.captures();
        assert!(regex.captures_into(text, &mut captures), "{case}");
        let mut out = String::new();
        regex.template(template).expand(&captures, text, &mut out);
        assert_eq!(out, expected, "{case}");
    }
}

#[test]
fn prometheus_patterns_are_anchored_and_their_dot_matches_newlines() {
    for (pattern, text, expected) in [
        ("f|o", "foo", false),
        ("f|o", "o", true),
        ("line1.*line2", "line1\nline2", true),
        ("", "", true),
        ("", "a", false),
        ("a)|(b", "xb", true),
        ("foo", "foo\n", false),
        ("foo$", "foo", true),
    ] {
        let regex = GoRegex::anchored_prometheus(pattern).unwrap();
        assert_eq!(regex.is_match(text), expected, "{pattern:?} on {text:?}");
        assert_eq!(regex.as_str(), pattern);
    }
}

#[test]
fn errors_point_into_the_pattern_as_written() {
    for (pattern, position, text) in [
        ("a(b", 1, "error parsing regexp: missing closing ): `a(b`"),
        ("ab)", 2, "error parsing regexp: unexpected ): `ab)`"),
        ("ab**", 2, "error parsing regexp: invalid nested repetition operator: `**`"),
        ("é\\Z", 2, "error parsing regexp: invalid escape sequence: `\\Z`"),
        ("a\\", 2, "error parsing regexp: trailing backslash at end of expression: ``"),
        ("x[z-a]", 2, "error parsing regexp: invalid character class range: `z-a`"),
    ] {
        let error = GoRegex::new(pattern).unwrap_err();
        assert_eq!((error.position(), error.to_string().as_str()), (position, text), "{pattern}");
    }
    let error = GoRegex::anchored_prometheus("a(b").unwrap_err();
    assert_eq!(error.position(), 1);
    assert_eq!(error.to_string(), "error parsing regexp: missing closing ): `^(?s:a(b)$`");
    assert_eq!(GoRegex::anchored_prometheus("a**").unwrap_err().position(), 1);
}

#[test]
fn limits_are_errors() {
    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(GoRegex::new(&nested(249)).is_ok());
    for pattern in [nested(250), nested(100_000), format!("{}a{}", "(?:".repeat(2000), ")*".repeat(2000))] {
        assert_eq!(GoRegex::new(&pattern).unwrap_err().kind(), GoRegexErrorKind::NestingDepth);
    }
    for pattern in ["(\\pL\\pN\\PL){1000}".to_owned(), "((a{100}){10}){5}".to_owned(), "(xx?yy?zz?){1000}".repeat(600)]
    {
        let kind = GoRegex::new(&pattern).unwrap_err().kind();
        assert!(matches!(kind, GoRegexErrorKind::TooLarge | GoRegexErrorKind::RepeatCount), "{kind:?}");
    }
    assert!(GoRegex::new(&"(?:)".repeat(10_000)).is_ok());
}

#[test]
fn a_set_answers_for_each_pattern() {
    let patterns: Vec<_> = ["^http_", "total$", "zzz", ""].map(|p| GoRegex::new(p).unwrap()).into();
    let set = GoRegexSet::new(&patterns).unwrap();
    let mut matches = set.matches();
    for (text, expected) in [("http_requests_total", vec![0, 1, 3]), ("http_x", vec![0, 3]), ("", vec![3])] {
        set.matches_into(text, &mut matches);
        assert_eq!(matches.iter().collect::<Vec<_>>(), expected, "{text}");
        assert!(matches.any() && matches.contains(3) && !matches.contains(2) && !matches.contains(9));
    }
    let none = GoRegexSet::new([]).unwrap();
    let mut matches = none.matches();
    none.matches_into("a", &mut matches);
    assert!(none.is_empty() && !matches.any());
}

#[test]
fn a_set_answers_as_its_patterns_do_alone() {
    let golden = golden();
    let texts: Vec<&str> = golden["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let vectors = golden["vectors"].as_array().unwrap().iter();
    let patterns: Vec<GoRegex> =
        vectors.filter_map(|vector| GoRegex::new(vector["pattern"].as_str().unwrap()).ok()).collect();
    for some in patterns.chunks(40) {
        let set = GoRegexSet::new(some).unwrap();
        let mut matches = set.matches();
        for text in &texts {
            set.matches_into(text, &mut matches);
            for (index, pattern) in some.iter().enumerate() {
                assert_eq!(matches.contains(index), pattern.is_match(text), "{pattern:?} on {text:?}");
            }
        }
    }
}

#[test]
fn equality_is_that_of_the_text_and_the_anchoring() {
    let a = GoRegex::new("a").unwrap();
    assert_eq!(a, a.clone());
    assert_eq!(a, GoRegex::new("a").unwrap());
    assert_ne!(a, GoRegex::new("b").unwrap());
    assert_ne!(a, GoRegex::anchored_prometheus("a").unwrap());
    assert_eq!(format!("{a:?}"), "GoRegex(\"a\")");
}

/// Text made of the pieces that the syntax cares about.
fn patterns() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "k", "é", "(", ")", "(?", "P<", "n>", ":", "i", "-", "[", "]", "^", "[:", ":]", "alpha", "\\", "p", "{",
        "}", "L", "Q", "E", "x", "4", "1", "0", ",", "*", "+", "?", "|", "$", ".", "&&", "1000", " ",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_compiles_or_is_a_clean_error(pattern in prop_oneof![patterns(), any::<String>()], text in ".{0,20}") {
        for result in [GoRegex::new(&pattern), GoRegex::anchored_prometheus(&pattern)] {
            match result {
                Ok(regex) => {
                    let found = submatches(&regex, &text);
                    prop_assert_eq!(found.is_some(), regex.is_match(&text));
                    prop_assert!(GoRegexSet::new([&regex]).is_ok());
                }
                Err(error) => {
                    prop_assert!(error.position() <= pattern.len());
                    prop_assert!(error.to_string().starts_with("error parsing regexp: "));
                }
            }
        }
    }

    #[test]
    fn quoted_text_matches_itself_only(text in any::<String>(), other in any::<String>()) {
        prop_assume!(!text.contains("\\E"));
        let regex = GoRegex::anchored_prometheus(&format!("\\Q{text}\\E")).unwrap();
        prop_assert!(regex.is_match(&text));
        prop_assert_eq!(regex.is_match(&other), text == other);
    }
}
