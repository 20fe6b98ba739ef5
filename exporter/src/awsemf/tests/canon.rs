//! Events in a form that compares: the order of sets removed, numbers kept as text.

use serde_json::{Map, Value, json};

use super::{Event, T0_MS};

/// The form of the recorded cases.
pub(super) fn canon(event: &Event) -> Value {
    let mut message: Map<String, Value> = serde_json::from_str(&numbers_as_text(&event.text)).unwrap();
    let keys = top_level_keys(&event.text);
    let sorted_keys = keys.is_sorted();
    for value in message.values_mut() {
        if value.get("Values").is_some() {
            near(value);
        }
    }
    sort_directives(&mut message);
    if let Some(aws) = message.get_mut("_aws").filter(|aws| aws.is_object()) {
        let time = aws["Timestamp"].as_str().unwrap()[2..].to_owned();
        aws["Timestamp"] = Value::String(time);
    }
    let stream = match event.stream.strip_prefix("otel-stream-") {
        Some(uuid) if uuid.len() == 36 => "otel-stream-*",
        _ => &event.stream,
    };
    let timestamp = match (event.timestamp_ms - T0_MS).abs() < 10_000_000 {
        true => json!(event.timestamp_ms),
        false => json!("now"),
    };
    json!({
        "group": event.group,
        "stream": stream,
        "timestamp": timestamp,
        "sorted_keys": sorted_keys,
        "message": message,
    })
}

/// A recorded event with its measurement objects in our order.
pub(super) fn recorded(event: &Value) -> Value {
    let mut event = event.clone();
    sort_directives(event["message"].as_object_mut().unwrap());
    event
}

fn sort_directives(message: &mut Map<String, Value>) {
    if let Some(aws) = message.get_mut("_aws").filter(|aws| aws.is_object()) {
        directives(&mut aws["CloudWatchMetrics"]);
    }
    if let Some(list) = message.get_mut("CloudWatchMetrics").filter(|list| list.is_array()) {
        directives(list);
    }
}

fn directives(list: &mut Value) {
    let list = list.as_array_mut().unwrap();
    for directive in list.iter_mut() {
        let sets = directive["Dimensions"].as_array_mut().unwrap();
        for set in sets.iter_mut() {
            set.as_array_mut().unwrap().sort_by_key(|name| name.as_str().unwrap().to_owned());
        }
        let names = |set: &Value| -> Vec<String> {
            set.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        sets.sort_by_key(names);
        directive["Metrics"].as_array_mut().unwrap().sort_by_key(|metric| metric["Name"].as_str().unwrap().to_owned());
    }
    list.sort_by_key(Value::to_string);
}

/// Bucket bounds differ in the last digits between implementations.
fn near(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(near),
        Value::Array(list) => list.iter_mut().for_each(near),
        Value::String(text) => {
            if let Some(number) = text.strip_prefix("i:").or(text.strip_prefix("f:")) {
                let scientific = format!("{:.11e}", number.parse::<f64>().unwrap());
                let (mantissa, exponent) = scientific.split_once('e').unwrap();
                let exponent: i32 = exponent.parse().unwrap();
                *text = format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
            }
        }
        _ => {}
    }
}

/// `1` becomes `"i:1"` and `0.5` becomes `"f:0.5"`.
pub(super) fn numbers_as_text(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => string_len(rest),
            '-' | '0'..='9' => {
                rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        let (token, later) = rest.split_at(len);
        if matches!(first, '-' | '0'..='9') {
            let kind = if token.contains(['.', 'e', 'E']) { 'f' } else { 'i' };
            out.push_str(&format!("\"{kind}:{token}\""));
        } else {
            out.push_str(token);
        }
        rest = later;
    }
    out
}

/// The keys of an object in the order written.
pub(super) fn top_level_keys(json: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let (mut depth, mut rest) = (0, json);
    let mut key_next = false;
    while let Some(first) = rest.chars().next() {
        let mut len = first.len_utf8();
        match first {
            '{' | '[' => {
                depth += 1;
                key_next = depth == 1;
            }
            '}' | ']' => depth -= 1,
            ',' => key_next = depth == 1,
            '"' => {
                len = string_len(rest);
                if key_next {
                    keys.push(serde_json::from_str(&rest[..len]).unwrap());
                }
                key_next = false;
            }
            _ => {}
        }
        rest = &rest[len..];
    }
    keys
}

/// Length of the string that a text begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}
