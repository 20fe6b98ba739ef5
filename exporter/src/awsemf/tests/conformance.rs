//! The recorded cases: what the reference wrote for OTLP requests, and, where it is wrong, what is right.

use std::collections::BTreeSet;

use serde_json::Value;

use super::canon::{canon, recorded};
use super::{events, translator_in};
use crate::awsemf::Form;

const CASES: &str = include_str!("../../../../tests/golden/conformance/awsemf.json");
/// The requests are recorded, the expected results are ours.
const DEFECTS: &str = include_str!("../../../../tests/golden/conformance/awsemf-corrected.json");

/// The differences of a case, empty when there are none.
fn compare(case: &Value, form: Form) -> String {
    let mut differences = String::new();
    let mut translator = match translator_in(&case["exporter"].to_string(), form) {
        Ok(translator) => translator,
        Err(problems) => return differ(&case["refused"], &Value::from(problems)),
    };
    for (at, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let (got, dropped) = events(&mut translator, &step["request"].to_string());
        let got: BTreeSet<String> = got.iter().map(|event| canon(event).to_string()).collect();
        if step["status"] != 200 {
            // The reference failed the whole request for one number that JSON cannot hold; here that point is dropped
            // and the corrected cases say what becomes of the rest.
            assert_eq!(dropped.get("not_finite"), Some(&1));
            continue;
        }
        let want: BTreeSet<String> =
            step["events"].as_array().unwrap().iter().map(|event| recorded(event).to_string()).collect();
        for extra in got.difference(&want) {
            differences.push_str(&format!("request {at}: unexpected {extra}\n"));
        }
        for missing in want.difference(&got) {
            differences.push_str(&format!("request {at}: missing {missing}\n"));
        }
        if let Some(expected) = step.get("dropped") {
            differences.push_str(&differ(expected, &serde_json::to_value(dropped).unwrap()));
        }
    }
    differences
}

fn differ(expected: &Value, got: &Value) -> String {
    if expected == got { String::new() } else { format!("expected {expected}, got {got}\n") }
}

fn check(cases: &str, number: usize) {
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    assert_eq!(cases.len(), number);
    let wrong: Vec<String> = cases
        .iter()
        .flat_map(|case| [Form::Plain, Form::Escaped].map(|form| (&case["name"], compare(case, form))))
        .filter(|(_, differences)| !differences.is_empty())
        .map(|(name, differences)| format!("{name}:\n{differences}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {number} cases differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recorded_requests_give_the_events_of_the_reference() {
    check(CASES, 119);
}

#[test]
fn where_the_reference_is_wrong_the_events_are_right() {
    check(DEFECTS, 14);
}
