//! Label sets under construction, shared by discovery, relabelling and scraping, and the rules for names.
//! Not responsible for interning: a finished set goes into a batch or a target.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use smallvec::SmallVec;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// Most series have fewer labels than this, so that building a set allocates only for changed text.
const INLINE_LABELS: usize = 12;

/// A set of labels that is being put together. Text of the body or of the target is borrowed until something changes it.
///
/// [`set`](Self::set) keeps names unique and treats an empty value as absence, as Prometheus does. [`push`](Self::push)
/// adds unchecked, for the labels of a sample line; [`finish`](Self::finish) then finds repeated names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    pairs: SmallVec<[(Cow<'a, str>, Cow<'a, str>); INLINE_LABELS]>,
}

impl<'a> Labels<'a> {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of labels, also those with an empty value.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of a label, possibly empty; `None` when it is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The value of a label; empty when it is absent, which means the same to Prometheus.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Sets a label, replacing its value; an empty value removes it.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.remove(&name);
        } else if let Some(pair) = self.pairs.iter_mut().find(|(known, _)| *known == name) {
            pair.1 = value;
        } else {
            self.pairs.push((name, value));
        }
    }

    /// Adds a label without looking for one of the same name; empty values stay until [`finish`](Self::finish).
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.pairs.push((name.into(), value.into()));
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) {
        self.retain(|known, _| known != name);
    }

    /// Keeps the labels for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.pairs.retain(|(name, value)| keep(name, value));
    }

    /// Removes all labels.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Name and value of each label, in the present order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Removes empty values and sorts by name.
    ///
    /// # Errors
    /// The first name that occurs twice (`a{x="1",x="2"} 1`); such a line fails the scrape.
    pub fn finish(&mut self) -> Result<(), DuplicateLabel> {
        self.pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(pair) = self.pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(DuplicateLabel { name: pair[0].0.clone().into_owned() });
        }
        self.pairs.retain(|(_, value)| !value.is_empty());
        Ok(())
    }

    /// The same set without borrowed text.
    pub fn into_owned(self) -> Labels<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Labels { pairs: self.pairs.into_iter().map(|(name, value)| (owned(name), owned(value))).collect() }
    }

    /// The labels for editing in place, for relabelling.
    pub(super) fn pairs(&self) -> &[(Cow<'a, str>, Cow<'a, str>)] {
        &self.pairs
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Labels<'a> {
    /// Sets each label, so that the last of a name stays.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let mut set = Self::new();
        labels.into_iter().for_each(|(name, value)| set.set(name, value));
        set
    }
}

/// Prometheus' notation: `{a="b", c="d"}`.
impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

/// A label name that occurs twice in one sample line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("non-unique label names: {name:?}")]
pub struct DuplicateLabel {
    name: String,
}

/// Which names are valid (`metric_name_validation_scheme`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationScheme {
    /// Metric names `[a-zA-Z_:][a-zA-Z0-9_:]*`, label names the same without colons.
    Legacy,
    /// Any non-empty text.
    #[default]
    Utf8,
}

impl ValidationScheme {
    /// Whether a metric name is valid.
    pub fn is_metric_name(self, name: &str) -> bool {
        self.is_name(name, |byte| byte == b':')
    }

    /// Whether a label name is valid.
    pub fn is_label_name(self, name: &str) -> bool {
        self.is_name(name, |_| false)
    }

    fn is_name(self, name: &str, also: impl Fn(u8) -> bool) -> bool {
        let legacy = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte);
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => name.bytes().all(legacy) && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_replaces_and_an_empty_value_removes() {
        let mut labels: Labels = [("b", "1"), ("a", "2"), ("b", "3"), ("c", "")].into_iter().collect();
        labels.set("a", "");
        labels.set("a", "4".to_owned());
        labels.finish().unwrap();
        assert_eq!(labels.to_string(), r#"{a="4", b="3"}"#);
        assert_eq!((labels.get("c"), labels.value("c"), labels.value("b")), (None, "", "3"));
    }

    #[test]
    fn repeated_names_are_found_at_the_end() {
        let mut labels = Labels::new();
        labels.push("x", "1");
        labels.push("y", "");
        assert_eq!(labels.get("y"), Some(""));
        assert_eq!(labels.clone().finish(), Ok(()));
        labels.push("x", "2");
        assert_eq!(labels.finish().unwrap_err().to_string(), r#"non-unique label names: "x""#);
    }

    #[test]
    fn names_are_valid_under_a_scheme() {
        use ValidationScheme::{Legacy, Utf8};
        for (name, legacy_metric, legacy_label, utf8) in [
            ("a_1", true, true, true),
            ("a:b", true, false, true),
            ("1a", false, false, true),
            ("a.b", false, false, true),
            ("é", false, false, true),
            ("", false, false, false),
        ] {
            assert_eq!(Legacy.is_metric_name(name), legacy_metric, "{name}");
            assert_eq!(Legacy.is_label_name(name), legacy_label, "{name}");
            assert_eq!((Utf8.is_metric_name(name), Utf8.is_label_name(name)), (utf8, utf8), "{name}");
        }
    }
}
