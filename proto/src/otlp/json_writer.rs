//! Writer of compact JSON into a `Vec<u8>` that keeps track of commas. Names and values are its user's business.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::text::push_json_string;
use crate::number::{push_i64, push_json_f64, push_u64};

pub(super) struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> JsonWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> JsonWriter<'a> {
        JsonWriter { out }
    }

    /// Opens an object or array.
    pub(super) fn begin(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    /// Closes it.
    pub(super) fn end(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    /// Separates from the element before, if there is one.
    pub(super) fn element(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    /// Name of the next value; names are plain ASCII.
    pub(super) fn key(&mut self, key: &str) {
        self.element();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A string value.
    pub(super) fn string(&mut self, text: &str) {
        push_json_string(self.out, text);
    }

    /// A literal.
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A double; strings for the values that JSON numbers cannot express.
    pub(super) fn double(&mut self, value: f64) {
        if value.is_finite() {
            push_json_f64(self.out, value);
        } else {
            self.out.push(b'"');
            push_json_f64(self.out, value);
            self.out.push(b'"');
        }
    }

    /// An integer of up to 32 bits.
    pub(super) fn signed(&mut self, value: i64) {
        push_i64(self.out, value);
    }

    /// A 64-bit integer, which protobuf's JSON puts in quotes.
    pub(super) fn quoted(&mut self, value: impl itoa::Integer) {
        self.out.push(b'"');
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.out.push(b'"');
    }

    /// Bytes in hex.
    pub(super) fn hex(&mut self, bytes: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.out.push(b'"');
        self.out.extend(bytes.iter().flat_map(|&b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]));
        self.out.push(b'"');
    }

    /// Bytes in base64.
    pub(super) fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
        self.out.push(b'"');
    }

    /// A text member, left out when empty.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.key(key);
            self.string(text);
        }
    }

    /// A number member of up to 32 bits, left out when zero.
    pub(super) fn number(&mut self, key: &str, value: u64) {
        if value != 0 {
            self.key(key);
            push_u64(self.out, value);
        }
    }

    /// A 64-bit member, left out when zero.
    pub(super) fn word(&mut self, key: &str, value: u64) {
        if value != 0 {
            self.key(key);
            self.quoted(value);
        }
    }

    /// A double member, left out when absent.
    pub(super) fn optional(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.key(key);
            self.double(value);
        }
    }
}
