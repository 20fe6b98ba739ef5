//! In which form documents are written: as they are, or as the inside of a JSON string, which is how a request carries
//! them. What is cached is brought into the form once, so that no pass over finished documents is needed.

use crate::escape::escape_into;

/// The form of the documents of a translator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The document itself.
    Plain,
    /// The document with `"` and `\` escaped. It has nothing else to escape: JSON text holds no control characters
    /// when it is compact.
    Escaped,
}

impl Form {
    /// Compact JSON text, or a part of it, in this form.
    pub fn seal(self, json: Vec<u8>) -> Box<[u8]> {
        match self {
            Form::Plain => json.into_boxed_slice(),
            Form::Escaped => {
                let mut escaped = Vec::with_capacity(json.len() * 2);
                escape_into(&mut escaped, &json);
                // A copy, because an allocator seldom takes back the rest of a vector.
                Box::from(&*escaped)
            }
        }
    }

    /// Characters of this text that the document itself has not.
    pub(crate) fn escapes(self, text: &[u8]) -> usize {
        match self {
            Form::Plain => 0,
            // Each escape is two of these characters where the document has one.
            Form::Escaped => quotes_and_backslashes(text) / 2,
        }
    }
}

fn quotes_and_backslashes(text: &[u8]) -> usize {
    // Counted in bytes first, which the compiler makes into vector instructions.
    let of_chunk = |chunk: &[u8]| chunk.iter().map(|b| u8::from(matches!(b, b'"' | b'\\'))).sum::<u8>();
    text.chunks(usize::from(u8::MAX)).map(|chunk| usize::from(of_chunk(chunk))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_json_is_the_inside_of_a_string_and_its_length_is_known() {
        let long = format!("{{\"k\":\"{}\"}}", "\\\"x".repeat(500));
        for json in ["{}", r#"{"a":"b\\\"c","\u0001":[1,"\\"]}"#, "", &long] {
            let sealed = Form::Escaped.seal(json.as_bytes().to_vec());
            let quoted = format!("\"{}\"", std::str::from_utf8(&sealed).unwrap());
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), json);
            assert_eq!(sealed.len() - Form::Escaped.escapes(&sealed), json.len());
            assert_eq!(&*Form::Plain.seal(json.as_bytes().to_vec()), json.as_bytes());
            assert_eq!(Form::Plain.escapes(json.as_bytes()), 0);
        }
    }
}
