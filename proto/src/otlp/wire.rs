//! Bounds-checked reader of the protobuf wire format: keys, varints, fixed words, lengths, skipping.
//!
//! Knows no message types. Accepts and refuses exactly what prost does, without panics on any input.

use super::error::DecodeError;

/// Wire type of a field, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Bytes,
    StartGroup,
    EndGroup,
    Fixed32,
}

impl Wire {
    /// By the last three bits of a key.
    #[inline]
    fn of(key: u64) -> Option<Wire> {
        Some(match key & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            3 => Wire::StartGroup,
            4 => Wire::EndGroup,
            5 => Wire::Fixed32,
            _ => return None,
        })
    }
}

/// A field whose value comes next in the reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) tag: u32,
    pub(super) wire: Wire,
}

/// The number that a `sint32` field writes as this varint.
#[inline]
pub(super) fn zigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Position in one message of a body. Offsets are those of the body, so errors and memos need no translation.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    body: &'a [u8],
    /// What is left of the message: a part of `body`.
    rest: &'a [u8],
    /// How many more levels of messages may be entered.
    depth: u32,
}

impl<'a> Reader<'a> {
    /// The whole body as the outermost message.
    pub(super) fn new(body: &'a [u8], depth: u32) -> Reader<'a> {
        Reader { body, rest: body, depth }
    }

    /// The rest of this message from one of its later bytes on.
    #[inline]
    pub(super) fn at(self, rest: &'a [u8]) -> Reader<'a> {
        Reader { rest, ..self }
    }

    /// Offset of the next byte.
    #[inline]
    pub(super) fn pos(&self) -> usize {
        self.offset_of(self.rest)
    }

    /// Offset of some bytes of the body.
    #[inline]
    pub(super) fn offset_of(&self, bytes: &[u8]) -> usize {
        bytes.as_ptr().addr() - self.body.as_ptr().addr()
    }

    /// Bytes between an earlier position of this message and the current one.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.body[start..self.pos()]
    }

    /// Steps over bytes that were seen to be well-formed fields.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        self.rest = &self.rest[len..];
    }

    /// Bytes left in this message.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether a message inside may be entered.
    pub(super) fn has_depth(&self) -> bool {
        self.depth > 0
    }

    /// An error at the current position.
    #[cold]
    pub(super) fn error(&self, problem: &'static str) -> DecodeError {
        DecodeError::Malformed { problem, offset: self.pos() }
    }

    /// Key of the next field, or `None` at the end of the message.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Field>, DecodeError> {
        match self.rest {
            [] => Ok(None),
            // Every field of OTLP with a number below 16, which are nearly all.
            [key @ 8..0x80, rest @ ..] if key & 7 <= Wire::Fixed32 as u8 => {
                self.rest = rest;
                Ok(Wire::of(u64::from(*key)).map(|wire| Field { tag: u32::from(key >> 3), wire }))
            }
            _ => self.other_key().map(Some),
        }
    }

    #[inline(never)]
    fn other_key(&mut self) -> Result<Field, DecodeError> {
        let key = self.varint()?;
        let Some(wire) = Wire::of(key) else { return Err(self.error("unknown wire type")) };
        match u32::try_from(key) {
            Ok(key) if key >> 3 != 0 => Ok(Field { tag: key >> 3, wire }),
            _ => Err(self.error("invalid field number")),
        }
    }

    /// A varint of up to 64 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    break;
                }
                self.advance(i + 1);
                return Ok(value);
            }
        }
        Err(self.error("invalid or cut off varint"))
    }

    /// Value of a varint field.
    #[inline]
    pub(super) fn varint_of(&mut self, field: Field) -> Result<u64, DecodeError> {
        self.check(field, Wire::Varint)?;
        self.varint()
    }

    /// Value of a `sint32` field.
    pub(super) fn sint32_of(&mut self, field: Field) -> Result<i32, DecodeError> {
        self.varint_of(field).map(|value| zigzag(value as u32))
    }

    /// Value of a `fixed64`, `sfixed64` or (by its bits) `double` field.
    #[inline]
    pub(super) fn fixed64_of(&mut self, field: Field) -> Result<u64, DecodeError> {
        self.check(field, Wire::Fixed64)?;
        self.fixed64()
    }

    /// Value of a `double` field.
    #[inline]
    pub(super) fn double_of(&mut self, field: Field) -> Result<f64, DecodeError> {
        self.fixed64_of(field).map(f64::from_bits)
    }

    #[inline]
    fn fixed64(&mut self) -> Result<u64, DecodeError> {
        let Some((word, rest)) = self.rest.split_first_chunk::<8>() else { return Err(self.error("cut off fixed64")) };
        self.rest = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// Bytes of a length-delimited field.
    #[inline]
    pub(super) fn bytes_of(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        self.length_of(field)
    }

    /// A nested message, one level deeper.
    #[inline]
    pub(super) fn message_of(&mut self, field: Field) -> Result<Reader<'a>, DecodeError> {
        let Some(depth) = self.depth.checked_sub(1) else { return Err(self.error("messages nested too deeply")) };
        Ok(Reader { rest: self.length_of(field)?, body: self.body, depth })
    }

    /// Elements of a repeated `fixed64`-like field, packed or single, appended as made from their bits.
    pub(super) fn repeated_fixed64<T>(
        &mut self,
        field: Field,
        to: &mut Vec<T>,
        from_bits: impl Fn(u64) -> T,
    ) -> Result<(), DecodeError> {
        if field.wire != Wire::Bytes {
            to.push(from_bits(self.fixed64_of(field)?));
            return Ok(());
        }
        let packed = self.bytes_of(field)?;
        let (words, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(self.error("cut off fixed64"));
        }
        to.extend(words.iter().map(|word| from_bits(u64::from_le_bytes(*word))));
        Ok(())
    }

    /// Elements of a repeated varint field, packed or single, appended.
    pub(super) fn repeated_varint(&mut self, field: Field, to: &mut Vec<u64>) -> Result<(), DecodeError> {
        if field.wire != Wire::Bytes {
            to.push(self.varint_of(field)?);
            return Ok(());
        }
        let packed = self.length_of(field)?;
        self.at(packed).varints(to)
    }

    /// All that is left as varints, appended.
    #[inline]
    pub(super) fn varints(mut self, to: &mut Vec<u64>) -> Result<(), DecodeError> {
        // Small numbers, one byte each.
        if self.rest.is_ascii() {
            to.extend(self.rest.iter().map(|&byte| u64::from(byte)));
            return Ok(());
        }
        while !self.rest.is_empty() {
            to.push(self.varint()?);
        }
        Ok(())
    }

    /// Steps over a field that is not known.
    pub(super) fn skip(&mut self, field: Field) -> Result<(), DecodeError> {
        let depth = self.depth;
        self.skip_at(field, depth)
    }

    fn skip_at(&mut self, field: Field, depth: u32) -> Result<(), DecodeError> {
        let Some(inner_depth) = depth.checked_sub(1) else { return Err(self.error("messages nested too deeply")) };
        match field.wire {
            Wire::Varint => self.varint().map(drop),
            Wire::Fixed64 => self.fixed64().map(drop),
            Wire::Bytes => self.length_of(field).map(drop),
            Wire::Fixed32 => {
                let Some((_, rest)) = self.rest.split_first_chunk::<4>() else {
                    return Err(self.error("cut off fixed32"));
                };
                self.rest = rest;
                Ok(())
            }
            Wire::EndGroup => Err(self.error("end of a group that was not begun")),
            Wire::StartGroup => loop {
                match self.next()? {
                    None => return Err(self.error("cut off group")),
                    Some(Field { tag, wire: Wire::EndGroup }) if tag == field.tag => return Ok(()),
                    Some(inner) => self.skip_at(inner, inner_depth)?,
                }
            },
        }
    }

    /// Reads the length and steps over the content.
    #[inline]
    fn length_of(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        self.check(field, Wire::Bytes)?;
        let length = self.varint()?;
        let content = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((content, rest)) = content else { return Err(self.error("length beyond the end")) };
        self.rest = rest;
        Ok(content)
    }

    #[inline]
    fn check(&self, field: Field, wire: Wire) -> Result<(), DecodeError> {
        if field.wire == wire { Ok(()) } else { Err(self.error("unexpected wire type")) }
    }
}
