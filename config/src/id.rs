//! Names of components: `type` or `type/name`. Knows no component.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};

/// A component's id, as `prometheus` or `awsemf/application`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    kind: String,
    name: String,
}

/// Longest name after the slash, in characters.
const MAX_NAME_CHARS: usize = 1024;

/// What to do about an id that is none.
pub(crate) const HELP: &str = "write type or type/name, as otlp or otlp/2";

impl ComponentId {
    /// Reads `type` or `type/name`; spaces around both parts do not count. The error is the reason alone.
    pub fn parse(text: &str) -> Result<ComponentId, String> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        if kind.is_empty() {
            return Err(match name {
                Some(_) => format!("in {text:?} id: the part before / should not be empty"),
                None => "id must not be empty".to_owned(),
            });
        }
        if !is_type(kind) {
            return Err(format!(
                "in {text:?} id: invalid type {kind:?}: it starts with a letter, then letters, digits and underscores, at most 63"
            ));
        }
        match name {
            Some("") => return Err(format!("in {text:?} id: the part after / should not be empty")),
            Some(name) if name.chars().count() > MAX_NAME_CHARS => {
                return Err(format!("in id of type {kind:?}: the name is longer than {MAX_NAME_CHARS} characters"));
            }
            Some(name) if name.chars().any(|c| c.is_whitespace() || c.is_control() || is_symbol(c)) => {
                return Err(format!("in {text:?} id: the name has a space, a control character or a symbol"));
            }
            _ => {}
        }
        Ok(ComponentId { kind: kind.to_owned(), name: name.unwrap_or("").to_owned() })
    }

    /// The type: `awsemf`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The part after the slash; empty when there is none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn is_type(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The ASCII members of the Unicode classes of symbols; the others are too rare in names to carry a table for.
fn is_symbol(c: char) -> bool {
    matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(&self.kind),
            name => write!(f, "{}/{name}", self.kind),
        }
    }
}

impl fmt::Debug for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl<'de> Deserialize<'de> for ComponentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ComponentId, D::Error> {
        let text = String::deserialize(deserializer)?;
        ComponentId::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_collectors_rules() {
        for (text, want) in [("otlp", "otlp"), (" otlp / 2 ", "otlp/2"), ("awsemf/application", "awsemf/application")] {
            assert_eq!(ComponentId::parse(text).unwrap().to_string(), want);
        }
        assert_eq!(ComponentId::parse("a/b/c").unwrap().name(), "b/c");
        for bad in ["", "/", "otlp/", "/x", "9a", "a b", "a/b c", "a-b", "a/$x"] {
            assert!(ComponentId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
