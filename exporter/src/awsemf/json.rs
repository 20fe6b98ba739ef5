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
    /// Reads a whole text; `None` if it is not JSON or nested more than 127 deep.
    pub(crate) fn parse(text: &str) -> Option<Json> {
        let json = serde_json::from_str(text);
        json.or_else(|error| without_lone_surrogates(text).map_or(Err(error), |text| serde_json::from_str(&text))).ok()
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

/// The text with `\ufffd` for every escape that is one half of a surrogate pair without the other, or `None` when it has
/// none. Backslashes are only in strings.
fn without_lone_surrogates(text: &str) -> Option<String> {
    let mut replaced = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        at += found;
        let width = match (escaped_unit(&text[at..]), escaped_unit(text.get(at + 6..).unwrap_or_default())) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                replaced.push_str(&text[done..at]);
                replaced.push_str("\\ufffd");
                done = at + 6;
                6
            }
            (Some(_), _) => 6,
            // The character behind a backslash may have any length.
            (None, _) => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        at += width;
    }
    replaced.push_str(&text[done..]);
    (done > 0).then_some(replaced)
}

/// The number in `\uXXXX` at the start of a text.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
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
            (r#""\ud83d\ude00""#, Some("\"😀\"")),
            (
                r#"["a\ud83d","\ude00\ud83d\ude00b","\uD83Dé","\ud83d\u0041"]"#,
                Some("[\"a\u{fffd}\",\"\u{fffd}😀b\",\"\u{fffd}é\",\"\u{fffd}A\"]"),
            ),
            (r#"["\\ud83d","\ud83d"]"#, Some("[\"\\\\ud83d\",\"\u{fffd}\"]")),
            (r#"{"\ud83d":1}"#, Some("{\"\u{fffd}\":1}")),
            (r#""\ud83""#, None),
            (r#""\ud83d"#, None),
            ("\"\\é\\ud83d\"", None),
        ];
        for (text, expected) in cases {
            let written = Json::parse(text).map(|json| {
                let mut out = Vec::new();
                json.push(&mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(written.as_deref(), expected, "{text}");
        }
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&nested(127)).is_some());
        assert!(Json::parse(&nested(128)).is_none());
    }
}
