//! Prometheus' own answers, the recorded pages, and properties.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Each character of the golden text is one byte.
fn bytes(latin: &Value) -> Vec<u8> {
    latin.as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn pairs(series: &[u8], kind: MetricType) -> Value {
    let mut all: Vec<(String, String)> = labels(series)
        .map(|(name, value)| {
            let value = canonical_label_value(kind, &name, &value).unwrap_or_else(|| value.into_owned());
            (latin(name.as_bytes()), latin(value.as_bytes()))
        })
        .collect();
    all.sort();
    json!(all)
}

/// The entries in the form of the golden file, and the error.
fn run(format: Format, body: &[u8]) -> (Vec<Value>, Option<ParseError>) {
    let mut lexer = Lexer::new(body, format);
    let mut entries = Vec::new();
    let mut current = MetricType::Unknown;
    loop {
        match lexer.next_entry() {
            Ok(None) => return (entries, None),
            Err(error) => return (entries, Some(error)),
            Ok(Some(Entry::Help { name, text })) => {
                entries.push(json!(["help", latin(name.as_bytes()), latin(text.as_bytes())]));
            }
            Ok(Some(Entry::Type { name, kind })) => {
                current = kind;
                entries.push(json!(["type", latin(name.as_bytes()), kind.as_str()]));
            }
            Ok(Some(Entry::Unit { name, unit })) => {
                entries.push(json!(["unit", latin(name.as_bytes()), latin(unit.as_bytes())]));
            }
            Ok(Some(Entry::Sample(sample))) => {
                let bits = |value: f64| format!("{:x}", value.to_bits());
                let mut entry = vec![
                    json!("sample"),
                    json!(latin(sample.series)),
                    json!(bits(sample.value)),
                    json!(sample.timestamp_ms),
                    pairs(sample.series, current),
                ];
                if let Some(exemplar) = sample.exemplar {
                    let labels = pairs(exemplar.labels, MetricType::Unknown);
                    entry.push(json!([labels, bits(exemplar.value), exemplar.timestamp_ms]));
                }
                entries.push(Value::Array(entry));
            }
        }
    }
}

/// Where ours is deliberately different: names in metadata and labels of exemplars are unescaped, too.
const UNESCAPED: [&str; 2] = ["# TYPE \"a\\\"b\" counter\n", "a 1 # {\"b c\"=\"\\n\"} 1\n# EOF\n"];

#[test]
fn prometheus_and_this_lexer_answer_the_same() {
    let golden: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/golden/exposition/vectors.json")).unwrap();
    assert!(golden.len() > 1500);
    let mut wrong = Vec::new();
    for vector in &golden {
        let format = if vector["format"] == "prometheus" { Format::Prometheus } else { Format::OpenMetrics };
        let body = bytes(&vector["body"]);
        let (entries, error) = run(format, &body);
        let expected = vector["entries"].as_array().unwrap();
        let equal = match (&error, vector.get("error")) {
            (None, None) => entries == *expected || UNESCAPED.contains(&vector["body"].as_str().unwrap()),
            (Some(error), Some(expected_error)) => {
                let expected_error = String::from_utf8_lossy(&bytes(expected_error)).into_owned();
                // Prometheus notices junk behind an OpenMetrics value only when it reads the next entry.
                let earlier = format == Format::OpenMetrics
                    && expected_error.starts_with("expected a valid start token")
                    && expected.len() == entries.len() + 1
                    && expected.starts_with(&entries);
                earlier || entries == *expected && same_words(error.message(), &expected_error, &body)
            }
            // Prometheus finds it when the labels are validated, which fails the scrape as well.
            (Some(error), None) => error.message().contains("is not valid UTF-8"),
            (None, Some(_)) => false,
        };
        if !equal {
            wrong.push(format!("{vector}\n   ours: {} {error:?}", json!(entries)));
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

/// What is said to be wrong must be the same; how much of the line is quoted may differ. NUL ends a token in
/// Prometheus' generated lexer.
fn same_words(ours: &str, theirs: &str, body: &[u8]) -> bool {
    let head = |text: &str| text.split([',', '"']).next().unwrap().to_owned();
    ours == theirs || head(ours) == head(theirs) || body.contains(&0) || ours.contains("is not valid UTF-8")
}

/// Prometheus takes leading blanks into the name, and ends a page silently at a NUL between lines or in a comment.
#[test]
fn blanks_and_nul_outside_of_values_do_no_harm() {
    let series = |body: &str| {
        let (entries, error) = run(Format::Prometheus, body.as_bytes());
        (entries.iter().map(|entry| entry[1].as_str().unwrap().to_owned()).collect::<Vec<_>>(), error.is_some())
    };
    assert_eq!(series(" \t a 1\n"), (vec!["a".to_owned()], false));
    assert_eq!(series("#x\0y\nb 2\n"), (vec!["b".to_owned()], false));
    assert_eq!(series("a 1\n\0b 2\nc 3\n"), (vec!["a".to_owned()], true));
}

#[test]
fn errors_name_line_and_column() {
    for (format, body, expected) in [
        (Format::Prometheus, "a 1\n\n# TYPE a counter \n", "line 3, column 9: invalid metric type \"counter \""),
        (
            Format::Prometheus,
            "a 1\nb{c=\"d\"} x y\n",
            "line 2, column 10: strconv.ParseFloat: parsing \"x\": invalid syntax while parsing: \"b{c=\\\"d\\\"} x\"",
        ),
        (
            Format::Prometheus,
            "<!doctype html>",
            "line 1, column 1: expected a valid start token, got \"<\" (\"INVALID\") while parsing: \"<\"",
        ),
        (
            Format::Prometheus,
            "a 1 1e3\n",
            "line 1, column 6: expected next entry after timestamp, got \"e\" (\"INVALID\") while parsing: \"a 1 1e\"",
        ),
        (Format::OpenMetrics, "a 1\n", "line 2, column 1: data does not end with # EOF"),
        (Format::OpenMetrics, "# EOF\n\n", "line 2, column 1: unexpected data after # EOF"),
        (
            Format::OpenMetrics,
            "a 1\n# UNIT foo_seconds minutes\n# EOF\n",
            "line 2, column 19: unit \"minutes\" not a suffix of metric \"foo_seconds\"",
        ),
        (Format::OpenMetrics, "a 1 nan\n# EOF\n", "line 1, column 5: invalid timestamp NaN"),
    ] {
        assert_eq!(run(format, body.as_bytes()).1.unwrap().to_string(), expected, "{body:?}");
    }
}

#[test]
fn an_error_quotes_no_more_than_200_bytes_of_the_body() {
    let body = format!("a{{b=\"{}", "x".repeat(1 << 20));
    let error = run(Format::Prometheus, body.as_bytes()).1.unwrap();
    assert!(error.to_string().len() < 600, "{}", error.to_string().len());
    assert_eq!((error.line(), error.column()), (1, 5));
}

#[test]
fn after_an_error_the_lexer_is_at_its_end() {
    let mut lexer = Lexer::new(b"!\na 1\n", Format::Prometheus);
    assert!(lexer.next_entry().is_err());
    assert_eq!(lexer.next_entry(), Ok(None));
}

#[test]
fn an_expected_series_is_recognized_only_when_it_is_the_whole_series() {
    for (format, line, expected, hit) in [
        (Format::Prometheus, "a{b=\"c\"} 1\n", "a{b=\"c\"}", true),
        (Format::Prometheus, "a{b=\"c\"}1\n", "a{b=\"c\"}", true),
        (Format::Prometheus, "a 1\n", "a", true),
        (Format::Prometheus, "  a 1\n", "a", true),
        (Format::Prometheus, "a+1\n", "a", true),
        (Format::Prometheus, "ab 1\n", "a", false),
        (Format::Prometheus, "a:b 1\n", "a", false),
        (Format::Prometheus, "a {b=\"c\"} 1\n", "a", false),
        (Format::Prometheus, "a{b=\"c\"} 1\n", "a", false),
        (Format::Prometheus, "a{b=\"d\"} 1\n", "a{b=\"c\"}", false),
        (Format::Prometheus, "{\"a\"} 1\n", "{\"a\"}", true),
        (Format::OpenMetrics, "a{b=\"c\"} 1 # {} 1\n# EOF\n", "a{b=\"c\"}", true),
        (Format::OpenMetrics, "a 1\n# EOF\n", "a", true),
        (Format::OpenMetrics, "a1 1\n# EOF\n", "a", false),
        (Format::OpenMetrics, "a{b=\"c\"} 1\n# EOF\n", "a", false),
    ] {
        let mut plain = Lexer::new(line.as_bytes(), format);
        let Ok(Some(Entry::Sample(mut sample))) = plain.next_entry() else { panic!("{line}") };
        let mut lexer = Lexer::new(line.as_bytes(), format);
        sample.expected = hit;
        assert_eq!(lexer.next_entry_expecting(expected.as_bytes()), Ok(Some(Entry::Sample(sample))), "{line}");
    }
}

#[test]
fn the_value_of_an_expected_series_is_read_alone_only_from_a_line_in_the_usual_form() {
    let expected = b"a{b=\"c\"}";
    for (line, value) in [
        ("a{b=\"c\"} 1.5\n", Some(1.5)),
        ("a{b=\"c\"} -0.25e2\n", Some(-25.0)),
        ("a{b=\"c\"} 7", None),
        ("a{b=\"c\"}  7\n", None),
        ("a{b=\"c\"} 7 \n", None),
        ("a{b=\"c\"} 7 1000\n", None),
        ("a{b=\"c\"} 7 # {} 1\n", None),
        ("a{b=\"c\"} +Inf\n", None),
        ("a{b=\"c\"} 1x\n", None),
        ("a{b=\"c\"} \n", None),
        ("a{b=\"d\"} 7\n", None),
        ("# a\n", None),
    ] {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let mut lexer = Lexer::new(line.as_bytes(), format);
            let read = lexer.next_sample_of(expected);
            assert_eq!(read, value.map(|value| (&expected[..], value)), "{line:?}");
            let rest = Lexer::new(line.as_bytes(), format).next_entry();
            if read.is_none() {
                assert_eq!(lexer.next_entry(), rest, "nothing was read of {line:?}");
            } else {
                let Ok(Some(Entry::Sample(sample))) = rest else { panic!("{rest:?}") };
                assert_eq!(read, Some((sample.series, sample.value)));
            }
            assert_eq!(Lexer::new(line.as_bytes(), format).next_sample_of(b""), None);
        }
    }
    assert_eq!(Lexer::new(b"up 1\nup{a=\"b\"} 2\n", Format::Prometheus).next_sample_of(b"up"), Some((&b"up"[..], 1.0)));
    for line in ["up {a=\"b\"} 2\n", "up{a=\"b\"} 2\n", "upper 2\n"] {
        assert_eq!(Lexer::new(line.as_bytes(), Format::Prometheus).next_sample_of(b"up"), None, "{line}");
    }
}

#[test]
fn every_recorded_page_is_read() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/golden/conformance/prometheus.json")).unwrap();
    let mut samples = 0;
    for case in &cases {
        let open_metrics = case["type"].as_str().unwrap().starts_with("application/openmetrics-text");
        let format = if open_metrics { Format::OpenMetrics } else { Format::Prometheus };
        for (page, scrape) in case["pages"].as_array().unwrap().iter().zip(case["scrapes"].as_array().unwrap()) {
            let (entries, error) = run(format, page.as_str().unwrap().as_bytes());
            let up = scrape.to_string().contains("\"name\":\"up\"").then(|| was_up(scrape));
            assert!(error.is_none() || up == Some(false), "{}: {error:?}", case["name"]);
            samples += entries.iter().filter(|entry| entry[0] == "sample").count();
        }
    }
    assert!(samples > 500, "{samples}");
}

fn was_up(scrape: &Value) -> bool {
    let text = scrape.to_string();
    let up = &text[text.find("\"name\":\"up\"").unwrap()..];
    !up[..up.find(']').unwrap_or(up.len())].contains("\"asDouble\":0")
}

#[test]
fn labels_of_unchecked_text_never_panic() {
    for text in ["", "{", "a{", "a{b", "a{b=", "a{b=\"", "a{b=\"c", "{\"", "{\"a\"", "}", "a{\u{e9}=\"\"}", "a{b\"c\""]
    {
        assert!(labels(text.as_bytes()).count() < 3, "{text}");
    }
    let decoded: Vec<_> = labels(b"a {b=\"\\\"\", \"c d\" = \"\\x\",}").collect();
    let expected = [("__name__", "a"), ("b", "\""), ("c d", "\\x")];
    assert_eq!(decoded, expected.map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))));
}

#[test]
fn numbers_are_those_of_go() {
    for (text, expected) in [
        ("0x1p-2", Some(0.25)),
        ("-0X1.8P+1", Some(-3.0)),
        ("0x_1_0p0", Some(16.0)),
        ("0x1", None),
        ("0xp1", None),
        ("0x1p", None),
        ("0x1.fffffffffffff8p0", Some(2.0)),
        ("0x1.fffffffffffff7p0", Some(1.9999999999999998)),
        ("0x1p-1074", Some(5e-324)),
        ("0x1p-1075", Some(0.0)),
        ("0x1.8p-1075", Some(5e-324)),
        ("0x1p1024", None),
        ("0x1.ffffffffffffep1023", Some(1.7976931348623155e308)),
        ("0x1p99999999999999999999", None),
        ("0x0p99999999999999999999", Some(0.0)),
        ("1_0", None),
        ("+Inf", Some(f64::INFINITY)),
        ("1e999", None),
    ] {
        assert_eq!(parse_go_float(text), expected, "{text}");
    }
}

/// A float as an exporter may print it.
fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:e}")),
        "-?[0-9]{1,20}",
        "[+-]?[0-9]{0,18}\\.[0-9]{1,10}",
        "[0-9]{1,17}(\\.[0-9]{1,4})?[eE][+-]?[0-9]{1,2}",
    ]
}

/// Name, labels, value and timestamp of a sample.
type Written = (String, Vec<(String, String)>, f64, Option<i64>);

/// Pages of the text format with their decoded content.
fn page() -> impl Strategy<Value = Vec<Written>> {
    let label = ("[a-zA-Z_][a-zA-Z0-9_]{0,8}", any::<String>());
    let sample = (
        "[a-zA-Z_:][a-zA-Z0-9_:]{0,12}",
        prop::collection::vec(label, 0..4),
        any::<f64>().prop_filter("not NaN", |value| !value.is_nan()),
        prop::option::of(0..i64::MAX),
    );
    prop::collection::vec(sample, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let (_, error) = run(format, &body);
            prop_assert!(error.is_none_or(|error| error.line() >= 1 && error.column() <= body.len() + 1));
        }
    }

    #[test]
    fn numbers_are_read_as_the_standard_library_does(text in number_text()) {
        let expected: f64 = text.parse().unwrap();
        let (value, length) = float::scan_float(text.as_bytes(), |byte| byte == b' ');
        prop_assert_eq!(length, text.len());
        match value {
            Ok(value) => prop_assert_eq!(value.to_bits(), expected.to_bits()),
            Err(error) => {
                prop_assert_eq!(error, float::FloatError::Range);
                prop_assert!(expected.is_infinite());
            }
        }
    }

    #[test]
    fn a_written_page_is_read_back_and_expected_series_change_nothing(samples in page()) {
        let mut body = String::new();
        for (name, labels, value, timestamp) in &samples {
            let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let timestamp = timestamp.map_or(String::new(), |timestamp| format!(" {timestamp}"));
            body.push_str(&format!("{name}{{{}}} {value}{timestamp}\n", labels.join(",")));
        }
        let mut lexer = Lexer::new(body.as_bytes(), Format::Prometheus);
        let mut again = lexer.clone();
        for (name, expected_labels, value, timestamp) in &samples {
            let Ok(Some(Entry::Sample(sample))) = lexer.next_entry() else { panic!("{body}") };
            prop_assert_eq!((sample.value.to_bits(), sample.timestamp_ms), (value.to_bits(), *timestamp));
            let mut decoded = labels(sample.series).map(|(name, value)| (name.into_owned(), value.into_owned()));
            prop_assert_eq!(decoded.next(), Some(("__name__".to_owned(), name.clone())));
            prop_assert_eq!(&decoded.collect::<Vec<_>>(), expected_labels);
            let Ok(Some(Entry::Sample(expected))) = again.next_entry_expecting(sample.series) else { panic!("{body}") };
            prop_assert!(expected.expected);
            prop_assert_eq!(Sample { expected: false, ..expected }, sample);
        }
        prop_assert_eq!(lexer.next_entry(), Ok(None));
    }
}
