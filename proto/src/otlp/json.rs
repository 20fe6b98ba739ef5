//! OTLP/JSON into opentelemetry-proto's messages, and through their bytes into a [`Batch`].
//!
//! The fields of each message are in [`super::json_messages`]; here is how JSON values are read. The serde
//! derivations of opentelemetry-proto are not used: they know only camelCase and numeric enums, and where a point
//! cannot be read they leave it out without an error. This reads what the Collector reads: camelCase and snake_case
//! names, unknown members ignored, 64-bit integers and doubles as numbers or strings, enums by number or name,
//! ids in hex, bytes in base64, `null` as absent.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric;
use prost::Message;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::decode::decode;
use super::error::{DecodeError, DecodeLimits};
use crate::batch::Batch;

/// Decodes an OTLP/JSON request with default limits.
pub fn decode_json(body: &[u8]) -> Result<Batch, DecodeError> {
    decode_json_within(body, &DecodeLimits::default())
}

/// Decodes an OTLP/JSON request. `limits.body_bytes` bounds the JSON and its protobuf form each.
pub fn decode_json_within(body: &[u8], limits: &DecodeLimits) -> Result<Batch, DecodeError> {
    if body.len() > limits.body_bytes {
        return Err(DecodeError::Limit { what: "bytes", limit: limits.body_bytes });
    }
    let request = json_to_proto(body, limits)?;
    let mut batch = decode(request.encode_to_vec().into(), limits)?;
    restore_negative_zeros(&request, &mut batch);
    // These are not the bytes that came in, and they lack what was just restored.
    batch.meta.raw = None;
    Ok(batch)
}

/// A number without presence is not encoded when it is zero, and prost takes a negative zero for one, which the
/// Collector does not. Points of a batch are in the order of the request.
fn restore_negative_zeros(request: &ExportMetricsServiceRequest, batch: &mut Batch) {
    let metrics = || request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let exponentials = metrics().filter_map(|metric| match &metric.data {
        Some(metric::Data::ExponentialHistogram(histogram)) => Some(&histogram.data_points),
        _ => None,
    });
    for (from, to) in exponentials.flatten().zip(&mut batch.exponentials) {
        to.zero_threshold = from.zero_threshold;
    }
    let summaries = metrics().filter_map(|metric| match &metric.data {
        Some(metric::Data::Summary(summary)) => Some(&summary.data_points),
        _ => None,
    });
    for (from, to) in summaries.flatten().zip(&mut batch.summaries) {
        to.sum = from.sum;
        let quantiles = batch.quantiles[to.quantiles.start as usize..].iter_mut();
        for (from, to) in from.quantile_values.iter().zip(quantiles) {
            (to.quantile, to.value) = (from.quantile, from.value);
        }
    }
}

/// Reads an OTLP/JSON request into the protobuf message.
pub fn json_to_proto(body: &[u8], limits: &DecodeLimits) -> Result<ExportMetricsServiceRequest, DecodeError> {
    let json_error = |e: serde_json::Error| DecodeError::Json(e.to_string());
    let mut request = ExportMetricsServiceRequest::default();
    let mut items = Budget { limits, read: 0, taken: 0 };
    let mut reader = serde_json::Deserializer::from_slice(body);
    Object { message: &mut request, items: &mut items }.deserialize(&mut reader).map_err(json_error)?;
    reader.end().map_err(json_error)?;
    Ok(request)
}

/// Holds the memory of list elements against what was read: an element costs far more than its two characters.
pub(super) struct Budget<'a> {
    limits: &'a DecodeLimits,
    /// Characters that were read at least: the parser does not tell where it is.
    read: usize,
    taken: usize,
}

impl Budget<'_> {
    fn read(&mut self, characters: usize) {
        self.read += characters;
    }

    /// Counts an element, which has a comma and a character at least.
    fn element<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.read += 2;
        self.taken += bytes;
        let memory = self.limits.memory(self.read);
        if self.taken > memory {
            let text = "too many elements for the size of the request: they take more than";
            return Err(E::custom(format_args!("{text} {memory} bytes of memory")));
        }
        Ok(())
    }
}

/// A message that can be read from a JSON object.
pub(super) trait JsonMessage: Default {
    /// Reads the member `key`; `false` if there is none of that name.
    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, from: &mut Members<'_, '_, A>) -> Result<bool, A::Error>;
}

/// The member whose key was just read.
pub(super) struct Members<'a, 'l, A> {
    map: &'a mut A,
    items: &'a mut Budget<'l>,
}

impl<'de, A: MapAccess<'de>> Members<'_, '_, A> {
    /// A nested message, merged into what is there.
    pub(super) fn message<M: JsonMessage>(&mut self, to: &mut M) -> Result<bool, A::Error> {
        self.map.next_value_seed(Object { message: to, items: self.items }).map(|()| true)
    }

    /// A nested message with presence; `null` leaves what is there.
    pub(super) fn optional<M: JsonMessage>(&mut self, to: &mut Option<M>) -> Result<bool, A::Error> {
        self.map.next_value_seed(Optional { to, items: self.items }).map(|()| true)
    }

    /// Messages, appended.
    pub(super) fn list<M: JsonMessage>(&mut self, to: &mut Vec<M>) -> Result<bool, A::Error> {
        self.map.next_value_seed(Messages { to, items: self.items }).map(|()| true)
    }

    /// A scalar; `null` leaves what is there.
    pub(super) fn scalar<S: Scalar>(&mut self, to: &mut S) -> Result<bool, A::Error> {
        if let Some(Read(value)) = self.map.next_value::<Option<Read<S>>>()? {
            *to = value;
        }
        Ok(true)
    }

    /// A scalar with presence.
    pub(super) fn optional_scalar<S: Scalar>(&mut self, to: &mut Option<S>) -> Result<bool, A::Error> {
        if let Some(Read(value)) = self.map.next_value::<Option<Read<S>>>()? {
            *to = Some(value);
        }
        Ok(true)
    }

    /// Scalars, appended.
    pub(super) fn scalars<S: Scalar>(&mut self, to: &mut Vec<S>) -> Result<bool, A::Error> {
        self.map.next_value_seed(Scalars { to, items: self.items }).map(|()| true)
    }

    /// An enum, by number or by one of its names.
    pub(super) fn enumeration(
        &mut self,
        to: &mut i32,
        number_of: impl Fn(&str) -> Option<i32>,
    ) -> Result<bool, A::Error> {
        match self.map.next_value::<Option<NameOrNumber>>()? {
            None => {}
            Some(NameOrNumber::Number(number)) => *to = number,
            Some(NameOrNumber::Name(name)) => {
                *to = number_of(&name).ok_or_else(|| de::Error::custom(format_args!("unknown enum value `{name}`")))?;
            }
        }
        Ok(true)
    }

    /// Bytes written in hex (trace and span ids) or base64 (everything else).
    pub(super) fn bytes(&mut self, to: &mut Vec<u8>, hex: bool) -> Result<bool, A::Error> {
        let Some(Text(text)) = self.map.next_value::<Option<Text<'de>>>()? else { return Ok(true) };
        let bytes = if hex { from_hex(&text) } else { BASE64_STANDARD.decode(text.as_bytes()).ok() };
        let form = if hex { "hex" } else { "base64" };
        *to = bytes.ok_or_else(|| de::Error::custom(format_args!("text that is not {form}")))?;
        Ok(true)
    }
}

struct Object<'a, 'l, M> {
    message: &'a mut M,
    items: &'a mut Budget<'l>,
}

impl<'de, M: JsonMessage> DeserializeSeed<'de> for Object<'_, '_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: JsonMessage> Visitor<'de> for Object<'_, '_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            // Quotes, a colon, a comma and a character of the value.
            self.items.read(key.len() + 5);
            let mut members = Members { map: &mut map, items: &mut *self.items };
            if !self.message.member(&key, &mut members)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Optional<'a, 'l, M> {
    to: &'a mut Option<M>,
    items: &'a mut Budget<'l>,
}

impl<'de, M: JsonMessage> DeserializeSeed<'de> for Optional<'_, '_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: JsonMessage> Visitor<'de> for Optional<'_, '_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Object { message: self.to.get_or_insert_default(), items: self.items }.visit_map(map)
    }
}

struct Messages<'a, 'l, M> {
    to: &'a mut Vec<M>,
    items: &'a mut Budget<'l>,
}

impl<'de, M: JsonMessage> DeserializeSeed<'de> for Messages<'_, '_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: JsonMessage> Visitor<'de> for Messages<'_, '_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut message = M::default();
        while seq.next_element_seed(Object { message: &mut message, items: &mut *self.items })?.is_some() {
            self.items.element(size_of::<M>())?;
            self.to.push(std::mem::take(&mut message));
        }
        Ok(())
    }
}

struct Scalars<'a, 'l, S> {
    to: &'a mut Vec<S>,
    items: &'a mut Budget<'l>,
}

impl<'de, S: Scalar> DeserializeSeed<'de> for Scalars<'_, '_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: Scalar> Visitor<'de> for Scalars<'_, '_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Read(value)) = seq.next_element::<Read<S>>()? {
            self.items.element(size_of::<S>())?;
            self.to.push(value);
        }
        Ok(())
    }
}

/// A value that JSON gives as a number, a string or a literal.
pub(super) trait Scalar: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Option<Self>;
    fn from_u64(_: u64) -> Option<Self> {
        None
    }
    fn from_i64(_: i64) -> Option<Self> {
        None
    }
    fn from_f64(_: f64) -> Option<Self> {
        None
    }
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
}

macro_rules! integer {
    ($($t:ty, $expected:literal;)*) => {$(
        impl Scalar for $t {
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &str) -> Option<Self> { text.parse().ok() }
            fn from_u64(value: u64) -> Option<Self> { value.try_into().ok() }
            fn from_i64(value: i64) -> Option<Self> { value.try_into().ok() }
        }
    )*};
}
integer! {
    u32, "a 32-bit count";
    i32, "a 32-bit integer";
    u64, "a 64-bit count";
    i64, "a 64-bit integer";
}

impl Scalar for f64 {
    const EXPECTED: &'static str = "a number";
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn from_u64(value: u64) -> Option<Self> {
        Some(value as f64)
    }
    fn from_i64(value: i64) -> Option<Self> {
        Some(value as f64)
    }
    fn from_f64(value: f64) -> Option<Self> {
        Some(value)
    }
}

impl Scalar for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Scalar for String {
    const EXPECTED: &'static str = "a string";
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

struct Read<S>(S);

impl<'de, S: Scalar> Deserialize<'de> for Read<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor(std::marker::PhantomData)).map(Read)
    }
}

struct ScalarVisitor<S>(std::marker::PhantomData<S>);

impl<S: Scalar> Visitor<'_> for ScalarVisitor<S> {
    type Value = S;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(S::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<S, E> {
        S::from_text(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<S, E> {
        S::from_u64(value).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<S, E> {
        S::from_i64(value).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<S, E> {
        S::from_f64(value).ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<S, E> {
        S::from_bool(value).ok_or_else(|| E::invalid_value(de::Unexpected::Bool(value), &self))
    }
}

/// A string that is borrowed from the body unless it has escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

enum NameOrNumber {
    Name(String),
    Number(i32),
}

impl Scalar for NameOrNumber {
    const EXPECTED: &'static str = "an enum's number or name";
    fn from_text(text: &str) -> Option<Self> {
        Some(NameOrNumber::Name(text.to_owned()))
    }
    fn from_u64(value: u64) -> Option<Self> {
        i32::from_u64(value).map(NameOrNumber::Number)
    }
    fn from_i64(value: i64) -> Option<Self> {
        i32::from_i64(value).map(NameOrNumber::Number)
    }
}

impl<'de> Deserialize<'de> for NameOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read::deserialize(deserializer).map(|Read(value)| value)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let bytes: Option<Vec<u8>> = pairs.iter().map(|&[a, b]| Some(digit(a)? << 4 | digit(b)?)).collect();
    bytes.filter(|_| rest.is_empty())
}
