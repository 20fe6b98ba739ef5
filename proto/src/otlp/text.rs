//! JSON strings as Go's `encoding/json` writes them, appended to a byte buffer.

/// Appends `text` quoted, with HTML characters left alone (`SetEscapeHTML(false)`).
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text, false);
    out.push(b'"');
}

/// Appends `text` quoted, with `<`, `>` and `&` escaped as `json.Marshal` does.
pub fn push_json_string_escaped(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text, true);
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, text: &str, html: bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..0x20 => 0,
            b'<' | b'>' | b'&' if html => 0,
            // U+2028 and U+2029 are E2 80 A8 and E2 80 A9; the last byte is enough to look back from.
            0xa8 | 0xa9 if i >= 2 && bytes[i - 2..i] == [0xe2, 0x80] => {
                out.extend_from_slice(&bytes[copied..i - 2]);
                out.extend_from_slice(if byte == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                copied = i + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..i]);
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        copied = i + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        for (text, plain, html) in [
            ("", r#""""#, r#""""#),
            ("a/b\u{7f}ü", "\"a/b\u{7f}ü\"", "\"a/b\u{7f}ü\""),
            ("\"\\\n\r\t\u{8}\u{c}", r#""\"\\\n\r\t\b\f""#, r#""\"\\\n\r\t\b\f""#),
            ("\u{0}\u{1f}", r#""\u0000\u001f""#, r#""\u0000\u001f""#),
            ("<a>&", "\"<a>&\"", r#""\u003ca\u003e\u0026""#),
            ("x\u{2028}y\u{2029}\u{2027}", "\"x\\u2028y\\u2029\u{2027}\"", "\"x\\u2028y\\u2029\u{2027}\""),
        ] {
            let mut out = Vec::new();
            push_json_string(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), plain);
            let mut out = Vec::new();
            push_json_string_escaped(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), html);
        }
    }
}
