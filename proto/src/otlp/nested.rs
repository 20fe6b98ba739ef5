//! Lists and maps that somebody else than a client gives as an attribute value: a configuration, once, for many batches.

use super::value::{AnyNode, push_json};
use super::writer::{open, push_bytes, push_double, push_key, push_string, push_varint};
use crate::attrs::{ValueId, ValueKind};
use crate::tables::Tables;

/// A list or map in the form in which tables keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NestedValue {
    kind: ValueKind,
    raw: Vec<u8>,
    text: String,
}

impl NestedValue {
    /// `None` for a value that is no list and no map.
    pub fn new(node: &AnyNode<'_>) -> Option<NestedValue> {
        let kind = match node {
            AnyNode::Array(_) => ValueKind::Array,
            AnyNode::Map(_) => ValueKind::Map,
            _ => return None,
        };
        let (mut raw, mut text) = (Vec::new(), Vec::new());
        push_content(&mut raw, node);
        // As for a value that was received.
        if push_json(&mut text, node).is_none() {
            text.clear();
        }
        Some(NestedValue { kind, raw, text: String::from_utf8_lossy(&text).into_owned() })
    }

    /// The value in these tables; the same as that of a client that sent it.
    pub fn intern(&self, tables: &mut Tables) -> ValueId {
        let text = tables.symbols.intern(&self.text);
        tables.attrs.raw(self.kind, &self.raw, text)
    }
}

/// The fields of an `AnyValue`.
fn push_value(out: &mut Vec<u8>, node: &AnyNode<'_>) {
    match node {
        AnyNode::Empty => {}
        // A value that is chosen is written also when it is a default.
        AnyNode::Str(text) => push_bytes(out, 1, text.as_bytes()),
        AnyNode::Bool(value) => {
            push_key(out, 2, 0);
            push_varint(out, u64::from(*value));
        }
        AnyNode::Int(value) => {
            push_key(out, 3, 0);
            push_varint(out, value.cast_unsigned());
        }
        AnyNode::Double(value) => push_double(out, 4, *value),
        AnyNode::Bytes(bytes) => push_bytes(out, 7, bytes),
        AnyNode::Array(_) | AnyNode::Map(_) => {
            let message = open(out, if matches!(node, AnyNode::Array(_)) { 5 } else { 6 }, 1);
            push_content(out, node);
            message.close(out);
        }
    }
}

/// The fields of an `ArrayValue` or `KeyValueList`.
fn push_content(out: &mut Vec<u8>, node: &AnyNode<'_>) {
    match node {
        AnyNode::Array(items) => {
            for item in items {
                let message = open(out, 1, 1);
                push_value(out, item);
                message.close(out);
            }
        }
        AnyNode::Map(pairs) => {
            for (key, value) in pairs {
                let pair = open(out, 1, 1);
                push_string(out, 1, key);
                let message = open(out, 2, 1);
                push_value(out, value);
                message.close(out);
                pair.close(out);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a client would send it.
    const REQUEST: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":VALUE}]},
        "scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#;

    #[test]
    fn a_value_is_the_same_as_that_of_a_client_that_sent_it() {
        let list = AnyNode::Array(vec![
            AnyNode::Str(""),
            AnyNode::Bool(false),
            AnyNode::Int(-1),
            AnyNode::Double(0.5),
            AnyNode::Empty,
            AnyNode::Map(vec![("b", AnyNode::Array(vec![])), ("a", AnyNode::Str("x"))]),
        ]);
        let json = r#"{"arrayValue":{"values":[{"stringValue":""},{"boolValue":false},{"intValue":"-1"},
            {"doubleValue":0.5},{},{"kvlistValue":{"values":[{"key":"b","value":{"arrayValue":{}}},
            {"key":"a","value":{"stringValue":"x"}}]}}]}}"#;
        let map = AnyNode::Map(vec![("list", list)]);
        let json = format!(r#"{{"kvlistValue":{{"values":[{{"key":"list","value":{json}}}]}}}}"#);
        let mut batch = crate::otlp::decode_json(REQUEST.replace("VALUE", &json).as_bytes()).unwrap();
        let tables = batch.tables_mut();
        let sent = tables.attr(tables.resources[0].attrs, "k").unwrap();
        let own = NestedValue::new(&map).unwrap().intern(tables);
        assert_eq!(tables.value_str(own), r#"{"list":["",false,-1,0.5,null,{"a":"x","b":[]}]}"#);
        assert_eq!(tables.attrs.raw_of(own), tables.attrs.raw_of(sent));
        assert_eq!(own, sent);
        assert_eq!(NestedValue::new(&AnyNode::Int(1)), None);
    }
}
