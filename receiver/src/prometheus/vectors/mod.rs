//! The numbered vectors of the receiver's specification: relabelling, targets, scrapes, parsing, OTLP. Each is a row of
//! one of the tables here, or names the test that has it; a number without either fails.

mod otlp;
mod pages;
mod parsing;
mod relabelling;
mod targets;

use serde_json::Value;

/// Number of the specification and the check, which gets the number for its messages.
type Row = (&'static str, fn(&str));

/// Numbers whose test is elsewhere, with its name and the text of its file.
const ELSEWHERE: [(&str, &str, &str); 2] = [
    ("23", "a_job_over_its_target_limit_asks_nobody", include_str!("../../../tests/prometheus/scraping.rs")),
    ("35", "the_limit_is_one_more_than_what_is_allowed", include_str!("../body.rs")),
];

const TABLES: [&[Row]; 4] = [targets::ROWS, pages::ROWS, parsing::ROWS, otlp::ROWS];

#[test]
fn every_vector_has_a_row() {
    for (number, test, file) in ELSEWHERE {
        assert!(file.contains(&format!("fn {test}()")), "{number}: no test {test}");
    }
    let mut rows: Vec<&str> = ELSEWHERE.iter().map(|(number, ..)| *number).collect();
    rows.extend(relabelling::ROWS.iter().map(|(number, ..)| *number));
    rows.extend(TABLES.iter().copied().flatten().map(|(number, _)| *number));
    let expected = (1..=62).map(|number| number.to_string()).chain(["59a".to_owned()]);
    let missing: Vec<String> = expected.filter(|number| !rows.contains(&number.as_str())).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    assert!(rows.iter().all(|number| number.trim_end_matches('a').parse::<u8>().is_ok_and(|n| n <= 62)), "{rows:?}");
}

#[test]
fn targets_are_built_as_specified() {
    targets::ROWS.iter().for_each(|(number, check)| check(number));
}

#[test]
fn scrapes_end_as_specified() {
    pages::ROWS.iter().for_each(|(number, check)| check(number));
}

#[test]
fn pages_are_read_as_specified() {
    parsing::ROWS.iter().for_each(|(number, check)| check(number));
}

#[test]
fn metrics_are_converted_as_specified() {
    otlp::ROWS.iter().for_each(|(number, check)| check(number));
}

/// Whether everything in `expected` is in `got`: of objects only the keys that are expected, `null` for absent ones.
fn includes(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| includes(got.get(key).unwrap_or(&Value::Null), value))
        }
        (Value::Array(got), Value::Array(expected)) => {
            got.len() == expected.len() && got.iter().zip(expected).all(|(got, expected)| includes(got, expected))
        }
        _ => got == expected,
    }
}
