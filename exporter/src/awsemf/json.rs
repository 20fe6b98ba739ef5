//! JSON text as Go's `encoding/json` writes it: strings with its escaping, and values re-encoded from JSON text.
//! Numbers are `proto::number`'s.

use std::collections::BTreeMap;
use std::fmt;

use proto::number::push_json_f64;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a quoted string: `<`, `>`, `&`, U+2028 and U+2029 escaped beside what JSON asks for.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !needs_look(byte) {
            continue;
        }
        let (escape, width): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            b'\t' => (b"\\t", 1),
            0x08 => (b"\\b", 1),
            0x0c => (b"\\f", 1),
            0xe2 => match bytes.get(at + 1..at + 3) {
                Some([0x80, 0xa8]) => (b"\\u2028", 3),
                Some([0x80, 0xa9]) => (b"\\u2029", 3),
                _ => continue,
            },
            _ => {
                out.extend_from_slice(&bytes[done..at]);
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                done = at + 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(escape);
        done = at + width;
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

fn needs_look(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2)
}

/// A value as Go's `json.Unmarshal` into `any` makes it: all numbers are floats, keys are unique and sorted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads a whole text; `None` if it is not JSON.
    pub(crate) fn parse(text: &str) -> Option<Json> {
        serde_json::from_str(text).ok()
    }

    /// Appends the value's text.
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Json::Number(value) => push_json_f64(out, *value),
            Json::Text(text) => push_string(out, text),
            Json::List(values) => push_all(out, b"[]", values, |out, value| value.push(out)),
            Json::Object(entries) => push_all(out, b"{}", entries, |out, (key, value)| {
                push_string(out, key);
                out.push(b':');
                value.push(out);
            }),
        }
    }
}

/// Appends items between brackets, separated by commas.
pub(crate) fn push_all<T>(
    out: &mut Vec<u8>,
    brackets: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(brackets[0]);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(brackets[1]);
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value as f64))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Number(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Json::List(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    entries.insert(key, value);
                }
                Ok(Json::Object(entries))
            }
        }
        deserializer.deserialize_any(V)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let all = "x<&>\u{2028}\u{2029}\u{8}\u{c}\n\r\t\u{1}\u{7f}\"\\/é漢😀\u{2030}";
        assert_eq!(
            string(all),
            "\"x\\u003c\\u0026\\u003e\\u2028\\u2029\\b\\f\\n\\r\\t\\u0001\u{7f}\\\"\\\\/é漢😀\u{2030}\""
        );
        assert_eq!(string(""), "\"\"");
    }

    #[test]
    fn json_text_is_read_and_written_through_floats_with_sorted_keys() {
        let cases = [
            (r#" {"b":[1,2.50,"x"],"a":null} "#, Some(r#"{"a":null,"b":[1,2.5,"x"]}"#)),
            ("12345678901234567890", Some("12345678901234567000")),
            ("1.50", Some("1.5")),
            ("\"<\"", Some("\"\\u003c\"")),
            ("[]", Some("[]")),
            (r#"{"a":1,"a":2}"#, Some(r#"{"a":2}"#)),
            ("007", None),
            ("{", None),
            ("", None),
            ("1 2", None),
        ];
        for (text, expected) in cases {
            let written = Json::parse(text).map(|json| {
                let mut out = Vec::new();
                json.push(&mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(written.as_deref(), expected, "{text}");
        }
    }
}
