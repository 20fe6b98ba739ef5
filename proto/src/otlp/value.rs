//! `KeyValue` and `AnyValue` off the wire into interned ids, with the text that Go's `AsString` gives a value.
//!
//! Attribute lists are memoised in [`super::decode`]; this is the path for lists not seen before.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::error::{DecodeError, DecodeLimits};
use super::text::push_json_string;
use super::wire::{Field, Reader};
use crate::attrs::{ValueId, ValueKind};
use crate::number::{push_i64, push_json_f64};
use crate::symbols::SymbolId;
use crate::tables::Tables;

/// Reads a `KeyValue`.
pub(super) fn key_value(
    mut reader: Reader,
    tables: &mut Tables,
    limits: &DecodeLimits,
) -> Result<(SymbolId, ValueId), DecodeError> {
    let mut key = SymbolId::EMPTY;
    let mut value = AnyValue::default();
    while let Some(field) = reader.next()? {
        match field.tag {
            1 => key = symbol(&mut reader, field, tables)?,
            2 => value.merge(reader.message_of(field)?, limits)?,
            // The index of a string table that metrics do not have.
            3 => drop(reader.varint_of(field)?),
            _ => reader.skip(field)?,
        }
    }
    Ok((key, value.intern(tables)))
}

/// Reads and interns a string field.
#[inline]
pub(super) fn symbol(reader: &mut Reader, field: Field, tables: &mut Tables) -> Result<SymbolId, DecodeError> {
    let bytes = reader.bytes_of(field)?;
    tables.symbols.intern_bytes(bytes).map_err(|_| reader.error("text that is not UTF-8"))
}

/// An attribute value while its message is read; fields may come several times.
#[derive(Default)]
struct AnyValue<'a> {
    node: AnyNode<'a>,
    /// Serialized content of an array or map: protobuf messages merge by concatenation.
    raw: Vec<u8>,
    elements: usize,
}

/// OTLP's `AnyValue` as a tree.
#[derive(Debug, Default)]
pub enum AnyNode<'a> {
    /// No value.
    #[default]
    Empty,
    /// `string_value`.
    Str(&'a str),
    /// `bool_value`.
    Bool(bool),
    /// `int_value`.
    Int(i64),
    /// `double_value`.
    Double(f64),
    /// `bytes_value`.
    Bytes(&'a [u8]),
    /// `array_value`.
    Array(Vec<AnyNode<'a>>),
    /// `kvlist_value`, in its order.
    Map(Vec<(&'a str, AnyNode<'a>)>),
}

impl<'a> AnyValue<'a> {
    fn merge(&mut self, mut reader: Reader<'a>, limits: &DecodeLimits) -> Result<(), DecodeError> {
        while let Some(field) = reader.next()? {
            if matches!(field.tag, 5 | 6) {
                let same = matches!((field.tag, &self.node), (5, AnyNode::Array(_)) | (6, AnyNode::Map(_)));
                if !same {
                    self.raw.clear();
                }
                let mut ahead = reader;
                self.raw.extend_from_slice(ahead.bytes_of(field)?);
            }
            merge_field(&mut self.node, &mut reader, field, &mut self.elements, limits.values_per_attribute)?;
        }
        Ok(())
    }

    fn intern(self, tables: &mut Tables) -> ValueId {
        let mut text = Vec::new();
        let (kind, bits) = match self.node {
            AnyNode::Str(text) => return ValueId::string(tables.symbols.intern(text)),
            AnyNode::Empty => (ValueKind::Empty, 0),
            AnyNode::Bool(value) => {
                text.extend_from_slice(if value { b"true" } else { b"false" });
                (ValueKind::Bool, u64::from(value))
            }
            AnyNode::Int(value) => {
                push_i64(&mut text, value);
                (ValueKind::Int, value as u64)
            }
            AnyNode::Double(value) => {
                push_json_f64(&mut text, value);
                (ValueKind::Double, value.to_bits())
            }
            AnyNode::Bytes(bytes) => {
                let text = tables.symbols.intern(&BASE64_STANDARD.encode(bytes));
                return tables.attrs.raw(ValueKind::Bytes, bytes, text);
            }
            node @ (AnyNode::Array(_) | AnyNode::Map(_)) => {
                // Go's marshaller fails as a whole on NaN and infinities, and the text is then empty.
                if push_json(&mut text, &node).is_none() {
                    text.clear();
                }
                let kind = if matches!(node, AnyNode::Array(_)) { ValueKind::Array } else { ValueKind::Map };
                let text = intern_own(tables, &text);
                return tables.attrs.raw(kind, &self.raw, text);
            }
        };
        let text = intern_own(tables, &text);
        tables.attrs.scalar(kind, bits, text)
    }
}

fn intern_own(tables: &mut Tables, text: &[u8]) -> SymbolId {
    tables.symbols.intern_bytes(text).expect("text printed here is UTF-8")
}

fn merge_field<'a>(
    node: &mut AnyNode<'a>,
    reader: &mut Reader<'a>,
    field: Field,
    elements: &mut usize,
    limit: usize,
) -> Result<(), DecodeError> {
    match field.tag {
        1 => *node = AnyNode::Str(utf8(reader, field)?),
        2 => *node = AnyNode::Bool(reader.varint_of(field)? != 0),
        3 => *node = AnyNode::Int(reader.varint_of(field)? as i64),
        4 => *node = AnyNode::Double(reader.double_of(field)?),
        5 => {
            let mut inner = reader.message_of(field)?;
            if !matches!(node, AnyNode::Array(_)) {
                *node = AnyNode::Array(Vec::new());
            }
            let AnyNode::Array(items) = node else { return Ok(()) };
            while let Some(field) = inner.next()? {
                match field.tag {
                    1 => {
                        count(elements, limit)?;
                        let mut item = AnyNode::Empty;
                        merge_node(&mut item, inner.message_of(field)?, elements, limit)?;
                        items.push(item);
                    }
                    _ => inner.skip(field)?,
                }
            }
        }
        6 => {
            let mut inner = reader.message_of(field)?;
            if !matches!(node, AnyNode::Map(_)) {
                *node = AnyNode::Map(Vec::new());
            }
            let AnyNode::Map(items) = node else { return Ok(()) };
            while let Some(field) = inner.next()? {
                match field.tag {
                    1 => {
                        count(elements, limit)?;
                        items.push(merge_pair(inner.message_of(field)?, elements, limit)?);
                    }
                    _ => inner.skip(field)?,
                }
            }
        }
        7 => *node = AnyNode::Bytes(reader.bytes_of(field)?),
        8 => {
            reader.varint_of(field)?;
            *node = AnyNode::Empty;
        }
        _ => reader.skip(field)?,
    }
    Ok(())
}

fn merge_node<'a>(
    node: &mut AnyNode<'a>,
    mut reader: Reader<'a>,
    elements: &mut usize,
    limit: usize,
) -> Result<(), DecodeError> {
    while let Some(field) = reader.next()? {
        merge_field(node, &mut reader, field, elements, limit)?;
    }
    Ok(())
}

fn merge_pair<'a>(
    mut reader: Reader<'a>,
    elements: &mut usize,
    limit: usize,
) -> Result<(&'a str, AnyNode<'a>), DecodeError> {
    let (mut key, mut value) = ("", AnyNode::Empty);
    while let Some(field) = reader.next()? {
        match field.tag {
            1 => key = utf8(&mut reader, field)?,
            2 => merge_node(&mut value, reader.message_of(field)?, elements, limit)?,
            3 => drop(reader.varint_of(field)?),
            _ => reader.skip(field)?,
        }
    }
    Ok((key, value))
}

fn count(elements: &mut usize, limit: usize) -> Result<(), DecodeError> {
    *elements += 1;
    if *elements > limit {
        return Err(DecodeError::Limit { what: "elements in one attribute value", limit });
    }
    Ok(())
}

fn utf8<'a>(reader: &mut Reader<'a>, field: Field) -> Result<&'a str, DecodeError> {
    let bytes = reader.bytes_of(field)?;
    std::str::from_utf8(bytes).map_err(|_| reader.error("text that is not UTF-8"))
}

/// JSON of a value as Go's `encoding/json` prints it; `None` for a number that JSON cannot express.
pub(super) fn push_json(out: &mut Vec<u8>, node: &AnyNode) -> Option<()> {
    match node {
        AnyNode::Empty => out.extend_from_slice(b"null"),
        AnyNode::Str(text) => push_json_string(out, text),
        AnyNode::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        AnyNode::Int(value) => push_i64(out, *value),
        AnyNode::Double(value) if value.is_finite() => push_json_f64(out, *value),
        AnyNode::Double(_) => return None,
        AnyNode::Bytes(bytes) => {
            out.push(b'"');
            out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
        AnyNode::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                push_json(out, item)?;
            }
            out.push(b']');
        }
        AnyNode::Map(items) => {
            // A Go map: sorted by the bytes of the key, and of equal keys the last one stays.
            let mut sorted: Vec<_> = items.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push(b'{');
            for (i, (key, value)) in sorted.iter().enumerate() {
                if sorted.get(i + 1).is_some_and(|(next, _)| next == key) {
                    continue;
                }
                if out.last() != Some(&b'{') {
                    out.push(b',');
                }
                push_json_string(out, key);
                out.push(b':');
                push_json(out, value)?;
            }
            out.push(b'}');
        }
    }
    Some(())
}
