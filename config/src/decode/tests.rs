use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::types::{GoDuration, PromDuration, Secret};
use crate::{ComponentId, Node, Origin, Value};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Config {
    b: bool,
    i: i32,
    u: u8,
    f: f64,
    s: String,
    d: GoDuration,
    l: Vec<String>,
    m: BTreeMap<String, String>,
    p: Option<Inner>,
    n: Inner,
    o: Optional<Inner>,
    e: Choice,
    id: Option<ComponentId>,
    at: Spanned<i32>,
    rest: Option<Node>,
    secret: Secret,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Inner {
    a: i32,
    region: String,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner { a: 7, region: "x".to_owned() }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    #[default]
    Basic,
    Normal,
    Pull(Inner),
}

fn good(text: &str) -> Config {
    let (value, found) = decode_str::<Config>(text);
    assert!(found.is_empty(), "{text}: {found:?}");
    value.unwrap()
}

fn bad(text: &str) -> Vec<String> {
    let (_, found) = decode_str::<Config>(text);
    assert!(!found.is_empty(), "{text} was accepted");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn scalars_are_decoded_as_strictly_as_the_collector_does() {
    assert!(good("b: true").b);
    assert_eq!(good("i: 1.0").i, 1);
    assert_eq!(good("i: 0777").i, 511);
    assert_eq!(good("f: 3").f, 3.0);
    assert_eq!(good("s: '12'").s, "12");
    assert_eq!(good("d: 5s").d, GoDuration::from_secs(5));
    assert_eq!(good("d: 0").d, GoDuration::default());
    assert_eq!(good("l: a,b").l, ["a", "b"]);
    assert_eq!(good("m: {1: a}").m["1"], "a");
    assert_eq!(good("e: normal").e, Choice::Normal);
    assert_eq!(good("e: {pull: {a: 1}}").e, Choice::Pull(Inner { a: 1, ..Inner::default() }));
    for (text, want) in [
        ("b: yes", "b: expected a boolean, got the text \"yes\" (write true)"),
        ("b: 'true'", "b: expected a boolean, got the text \"true\" (write true)"),
        ("i: '12'", "i: expected a whole number, got the text \"12\" (write 12 without quotes)"),
        ("i: 1.5", "i: expected a whole number, got the number 1.5 (write 1 or 2)"),
        ("u: 300", "u: 300 is out of range (it must be between 0 and 255)"),
        ("u: -1", "u: -1 is out of range (it cannot be negative)"),
        ("s: 12", "s: expected a text, got the number 12 (put it in quotes: \"12\")"),
        ("s: 1.50", "s: expected a text, got the number 1.5 (put it in quotes: \"1.50\")"),
        ("s: [a]", "s: expected a text, got a list (write one text; in quotes when it has colons, brackets or braces)"),
        ("secret: 12", "secret: expected a text, got something else (put it in quotes)"),
        ("d: 5", "d: a duration needs a unit; the Collector would take 5 as nanoseconds (write 5s for 5 seconds)"),
        ("d: '5'", "d: missing unit in duration \"5\" (write 5s for 5 seconds)"),
        ("l: [a, 1]", "l[1]: expected a text, got the number 1 (put it in quotes: \"1\")"),
        ("m: {a: 1}", "m::a: expected a text, got the number 1 (put it in quotes: \"1\")"),
        ("m: []", "m: expected a map, got a list (write key: value lines without \"- \" before them)"),
        ("e: norml", "e: unknown value \"norml\", valid values are: basic, normal, pull (did you mean \"normal\"?)"),
    ] {
        let got = bad(text);
        assert_eq!(got.len(), 1, "{got:?}");
        assert_eq!(got[0].split_once(": ").unwrap().1, want, "{text}");
    }
}

#[test]
fn null_resets_scalars_and_keeps_lists_and_sections() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    struct Defaults {
        b: bool,
        i: i32,
        s: String,
        d: GoDuration,
        l: Vec<String>,
        n: Inner,
        p: Option<Inner>,
    }
    impl Default for Defaults {
        fn default() -> Defaults {
            let inner = || Inner { a: 1, region: "r".to_owned() };
            let l = vec!["x".to_owned()];
            Defaults { b: true, i: 5, s: "s".to_owned(), d: GoDuration::from_secs(1), l, n: inner(), p: Some(inner()) }
        }
    }
    let (value, found) = decode_str::<Defaults>("{b: , i: ~, s: null, d: , l: , n: , p: }");
    assert!(found.is_empty(), "{found:?}");
    let want = Defaults { b: false, i: 0, s: String::new(), d: GoDuration::default(), p: None, ..Defaults::default() };
    assert_eq!(value, Some(want));
    assert_eq!(decode_str::<Defaults>("").0, Some(Defaults::default()));
    assert_eq!(good("p: {}").p, Some(Inner::default()));
}

#[test]
fn optional_sections_are_on_when_written_and_off_when_disabled() {
    assert_eq!(good("").o, Optional::Off);
    assert_eq!(good("o:").o, Optional::On(Inner::default()));
    assert_eq!(good("o: {a: 1, enabled: true}").o, Optional::On(Inner { a: 1, ..Inner::default() }));
    assert_eq!(good("o: {a: 1, enabled: false}").o, Optional::Off);
    let got = bad("o: {enabled: 1, b: 2, a: x}");
    assert_eq!(got.len(), 3, "{got:?}");
}

#[test]
fn every_problem_is_found_in_one_run_and_the_rest_is_decoded() {
    let text = "b: 1\ni: x\nzz: 1\nn: {a: y, regoin: q}\nl: [1, a, 2]\np: {b: 1}\ns: fine\nd: 5\n";
    let (value, found) = decode_str::<Config>(text);
    let got: Vec<String> =
        found.iter().map(|d| format!("{} {}", d.span.as_ref().unwrap().start.line, d.message)).collect();
    assert_eq!(
        got,
        [
            "1 expected a boolean, got the number 1",
            "2 expected a whole number, got the text \"x\"",
            "3 unknown key \"zz\"",
            "4 expected a whole number, got the text \"y\"",
            "4 unknown key \"regoin\"",
            "5 expected a text, got the number 1",
            "5 expected a text, got the number 2",
            "6 unknown key \"b\"",
            "8 a duration needs a unit; the Collector would take 5 as nanoseconds",
        ]
    );
    let value = value.unwrap();
    assert_eq!((value.s.as_str(), value.n.a, value.l), ("fine", 7, vec!["a".to_owned()]));
}

#[test]
fn a_missing_required_key_is_reported_once_and_not_when_it_is_wrong() {
    #[derive(Debug, Deserialize)]
    struct Required {
        #[allow(dead_code)]
        name: String,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        all: Vec<Required>,
    }
    let (value, found) = decode_str::<Outer>("all: [{name: a}, {}, {name: 1}]");
    let got: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got[0], "test.yaml:1:18: all[1]: the key \"name\" is missing (add name: with its value)");
    assert_eq!(value.unwrap().all.len(), 1);
}

#[test]
fn inlined_structs_share_one_map() {
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Job {
        job_name: String,
        #[serde(rename = "<inline>")]
        http: Http,
    }
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Http {
        proxy_url: String,
        #[serde(rename = "<inline>")]
        auth: Auth,
    }
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Auth {
        user: String,
    }
    let (value, found) = decode_str::<Job>("{job_name: a, user: u, proxy_url: p}");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(value.unwrap().http, Http { proxy_url: "p".to_owned(), auth: Auth { user: "u".to_owned() } });
    let (_, found) = decode_str::<Job>("{job_nam: a, usr: u, proxy_url: 1}");
    let got: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(got.len(), 3, "{got:?}");
    assert!(got[0].ends_with("unknown key \"job_nam\" (did you mean \"job_name\"?)"), "{got:?}");
    assert!(got[1].ends_with("unknown key \"usr\" (did you mean \"user\"?)"), "{got:?}");
}

#[test]
fn values_can_keep_their_place_and_parts_their_nodes() {
    let value = good("s: a\nat: 5\nrest: {x: [1]}\n");
    assert_eq!((value.at.value, value.at.span.start.line, &*value.at.path), (5, 2, "at"));
    let rest = value.rest.unwrap();
    assert_eq!(&*rest.get("x").unwrap().elements()[0].path, "rest::x[0]");
}

#[test]
fn expanded_values_hand_their_text_to_string_fields() {
    let mut node = parse_yaml("t", "{i: 0777, s: 0777, l: [a, b]}").0.unwrap();
    if let Value::Map(entries) = &mut node.value {
        for (_, node) in entries.iter_mut() {
            node.origin = Origin::Expanded;
        }
        entries[2].1.raw = Some("[a, b]".into());
    }
    let (value, found) = decode::<Config>(&node);
    assert!(found.is_empty(), "{found:?}");
    let value = value.unwrap();
    assert_eq!((value.i, value.s.as_str(), value.l.len()), (511, "0777", 2));
}

#[test]
fn prometheus_mode_keeps_the_spelling_of_plain_scalars() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    struct Job {
        job_name: String,
        interval: PromDuration,
        honor: bool,
        limit: u32,
        labels: BTreeMap<String, String>,
        list: Vec<String>,
    }
    impl Default for Job {
        fn default() -> Job {
            let interval = PromDuration::from_secs(60);
            Job { job_name: "x".into(), interval, honor: true, limit: 1, labels: BTreeMap::new(), list: Vec::new() }
        }
    }
    let decode = |text: &str| decode_prometheus::<Job>(&parse_yaml("t", text).0.unwrap());
    let (job, found) =
        decode("{job_name: 0123, interval: 1m30s, labels: {v: 1.10, d: 2024-01-02, t: true}, honor: , limit: ~}");
    assert!(found.is_empty(), "{found:?}");
    let job = job.unwrap();
    assert_eq!((job.job_name.as_str(), job.interval.millis(), job.honor, job.limit), ("0123", 90_000, true, 1));
    assert_eq!((&*job.labels["v"], &*job.labels["d"], &*job.labels["t"]), ("1.10", "2024-01-02", "true"));
    for bad in ["interval: 30", "honor: yes", "limit: '1'", "list: 'a,b'", "foo: 1", "interval: 1.5s"] {
        assert_eq!(decode(bad).1.len(), 1, "{bad}");
    }
}

#[test]
fn values_of_secrets_are_not_repeated() {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    #[allow(dead_code)]
    struct Secrets {
        headers: crate::Headers,
        tokens: Vec<Secret>,
        api_key: u8,
        password: f64,
        token: bool,
        client_secret: Choice,
    }
    let text = "{headers: {api-key: 987654321}, tokens: [987654321], api_key: 987654321, password: '987654321', token: 987654321, client_secret: [987654321]}";
    let (_, found) = decode_str::<Secrets>(text);
    assert_eq!(found.len(), 6, "{found:?}");
    for problem in found {
        assert!(!problem.to_string().contains("98765") && problem.help.is_some(), "{problem}");
    }
    let (_, found) = decode_str::<Secrets>("headers: 987654321");
    assert!(!found[0].to_string().contains("98765"), "{found:?}");
}

#[test]
fn a_scalar_is_a_list_of_one_also_in_a_list_of_lists() {
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Lists {
        l: Vec<Vec<String>>,
    }
    for (text, want) in [
        ("l: a", vec![vec!["a"]]),
        ("l: [a, [b, c]]", vec![vec!["a"], vec!["b", "c"]]),
        ("l: 'a,b'", vec![vec!["a"], vec!["b"]]),
        ("l: [[a]]", vec![vec!["a"]]),
    ] {
        let (value, found) = decode_str::<Lists>(text);
        assert!(found.is_empty(), "{text}: {found:?}");
        assert_eq!(value.unwrap().l, want, "{text}");
    }
    assert_eq!(decode_str::<Lists>("l: {a: b}").1.len(), 1);
}

#[test]
fn prometheus_refuses_a_section_of_a_list_that_is_nothing() {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Job {
        groups: Vec<Spanned<Inner>>,
        names: Vec<String>,
    }
    let node = parse_yaml("t", "{groups: [{a: 1}, null, ], names: [null]}").0.unwrap();
    let (job, found) = decode_prometheus::<Job>(&node);
    let got: Vec<String> = found.iter().map(ToString::to_string).collect();
    let want = "t:1:19: groups[1]: empty or null element in a list of sections (fill it in, or remove it)";
    assert_eq!(got, [want]);
    let job = job.unwrap();
    assert_eq!((job.groups.len(), job.names.len()), (1, 1));
    assert!(decode::<Job>(&node).1.is_empty());
}
