//! Writer of the protobuf wire format into a `Vec<u8>`; lengths are filled in when a message is closed.

/// A message that was begun and whose length is not known yet.
#[must_use = "a message has to be closed"]
pub(super) struct Open {
    start: usize,
    reserved: usize,
}

/// Begins a nested message. `guess` is the expected length of its length, in bytes; a wrong guess costs a move.
pub(super) fn open(out: &mut Vec<u8>, tag: u32, guess: usize) -> Open {
    push_key(out, tag, 2);
    out.resize(out.len() + guess, 0);
    Open { start: out.len(), reserved: guess }
}

impl Open {
    /// Ends the message: writes its length before its content.
    pub(super) fn close(self, out: &mut Vec<u8>) {
        let length = out.len() - self.start;
        let needed = varint_len(length as u64);
        let end = out.len();
        if needed > self.reserved {
            out.resize(end + needed - self.reserved, 0);
        }
        let content = self.start - self.reserved + needed;
        if needed != self.reserved {
            out.copy_within(self.start..end, content);
        }
        let mut rest = length;
        for (i, byte) in out[content - needed..content].iter_mut().enumerate() {
            *byte = (rest & 0x7f) as u8 | if i + 1 < needed { 0x80 } else { 0 };
            rest >>= 7;
        }
        out.truncate(content + length);
    }
}

/// Appends a field key.
pub(super) fn push_key(out: &mut Vec<u8>, tag: u32, wire: u32) {
    push_varint(out, u64::from(tag << 3 | wire));
}

/// Appends a varint.
pub(super) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varint field unless it is zero.
pub(super) fn varint_field(out: &mut Vec<u8>, tag: u32, value: u64) {
    if value != 0 {
        push_key(out, tag, 0);
        push_varint(out, value);
    }
}

/// Appends a `sint32` field unless it is zero.
pub(super) fn push_sint32(out: &mut Vec<u8>, tag: u32, value: i32) {
    varint_field(out, tag, u64::from((value << 1 ^ value >> 31) as u32));
}

/// Appends a `fixed64` or `sfixed64` field.
pub(super) fn push_fixed64(out: &mut Vec<u8>, tag: u32, value: u64) {
    push_key(out, tag, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `double` field.
pub(super) fn push_double(out: &mut Vec<u8>, tag: u32, value: f64) {
    push_fixed64(out, tag, value.to_bits());
}

/// Appends a length-delimited field.
pub(super) fn push_bytes(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    push_key(out, tag, 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a string field unless it is empty.
pub(super) fn push_string(out: &mut Vec<u8>, tag: u32, text: &str) {
    if !text.is_empty() {
        push_bytes(out, tag, text.as_bytes());
    }
}

/// Appends a packed field of 8-byte words unless it is empty.
pub(super) fn push_packed(out: &mut Vec<u8>, tag: u32, words: impl ExactSizeIterator<Item = [u8; 8]>) {
    if words.len() == 0 {
        return;
    }
    push_key(out, tag, 2);
    push_varint(out, words.len() as u64 * 8);
    words.for_each(|word| out.extend_from_slice(&word));
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
