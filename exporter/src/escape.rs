//! Text into a JSON string.

/// Bytes escaped at a time.
const CHUNK: usize = 512;
/// The longest escape, `\u001f`, for every byte, and room for a word written past the end.
const BUFFER: usize = 6 * CHUNK + 8;

/// Appends `text` (UTF-8) as the inside of a JSON string, without the quotes around it.
pub(crate) fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    let mut buffer = [0u8; BUFFER];
    for chunk in text.chunks(CHUNK) {
        let n = escape_chunk(&mut buffer, chunk);
        out.extend_from_slice(&buffer[..n]);
    }
}

/// Eight bytes at a time: documents are short runs between quotes, so the word is copied whole and the end corrected.
fn escape_chunk(buffer: &mut [u8; BUFFER], chunk: &[u8]) -> usize {
    let (mut i, mut o) = (0, 0);
    while let Some(bytes) = chunk.get(i..i + 8).and_then(|b| <&[u8; 8]>::try_from(b).ok()) {
        buffer[o..o + 8].copy_from_slice(bytes);
        let special = special_bytes(u64::from_le_bytes(*bytes));
        if special == 0 {
            i += 8;
            o += 8;
            continue;
        }
        let clean = special.trailing_zeros() as usize / 8;
        o = escape_byte(buffer, o + clean, chunk[i + clean]);
        i += clean + 1;
    }
    for &byte in &chunk[i..] {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            o = escape_byte(buffer, o, byte);
        } else {
            buffer[o] = byte;
            o += 1;
        }
    }
    o
}

fn escape_byte(buffer: &mut [u8; BUFFER], o: usize, byte: u8) -> usize {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            buffer[o..o + 6].copy_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
            return o + 6;
        }
    };
    buffer[o..o + 2].copy_from_slice(&[b'\\', short]);
    o + 2
}

/// The top bit of every byte that has to be escaped. Exact up to and including the lowest such byte; borrows may set
/// bits above it.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let zero = |w: u64| w.wrapping_sub(ONES) & !w;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) {
        let mut out = b"\"".to_vec();
        escape_into(&mut out, text.as_bytes());
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        assert!(out.iter().all(|b| *b >= 0x20));
    }

    #[test]
    fn every_byte_at_every_offset_comes_back() {
        for offset in 0..9 {
            for c in (0..=0x7fu8).map(char::from).chain(['é', '€', '😀', '\u{80}', '\u{a0}']) {
                check(&format!("{}{c}{}", "x".repeat(offset), "y".repeat(10)));
                check(&format!("{}{c}{c}!{c}", "\"".repeat(offset)));
            }
        }
    }

    #[test]
    fn only_what_must_be_escaped_is_escaped() {
        let mut out = Vec::new();
        escape_into(&mut out, "{\"a/b\":\"\u{7f}é\u{1}\n\"}".as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), "{\\\"a/b\\\":\\\"\u{7f}é\\u0001\\n\\\"}");
    }

    proptest! {
        #[test]
        fn any_text_of_any_length_comes_back(text in "[\\x00-\\x7f\"\\\\é😀]{0,1500}") {
            check(&text);
        }
    }
}
