//! Reads a Prometheus text page, for checking the agent's own metrics. Deliberately small and not the agent's parser.

use std::collections::BTreeMap;

/// The samples of a page.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    samples: Vec<Sample>,
}

/// One line of the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Metric name.
    pub name: String,
    /// Labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// Value; `NaN` and infinities as such.
    pub value: f64,
}

impl Exposition {
    /// Reads a page.
    ///
    /// # Errors
    /// The first line that is neither a comment nor a sample.
    pub fn parse(page: &str) -> Result<Self, String> {
        let lines = page.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| format!("not a sample: {line}")));
        Ok(Self { samples: samples.collect::<Result<_, _>>()? })
    }

    /// All samples in the order of the page.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The sum of all samples of this name that carry at least these labels; absent when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut matching = self.samples.iter().filter(|sample| {
            let has = |(key, value): &(&str, &str)| sample.labels.get(*key).map(String::as_str) == Some(*value);
            sample.name == name && labels.iter().all(has)
        });
        let first = matching.next()?.value;
        Some(matching.fold(first, |sum, sample| sum + sample.value))
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, quoted) = rest.split_once("=\"")?;
            let (value, after) = unquote(quoted)?;
            labels.insert(key.to_owned(), value);
            rest = after;
        }
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Reads up to the closing quote; gives the text and what follows.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => text.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let page = "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"q\\\"\\n\\\\\"} 3\na{x=\"2\"} 4 1700\nb +Inf\n";
        let page = Exposition::parse(page).unwrap();
        assert_eq!(page.sum("a", &[]), Some(7.0));
        assert_eq!(page.sum("a", &[("x", "2")]), Some(4.0));
        assert_eq!(page.sum("a", &[("y", "q\"\n\\")]), Some(3.0));
        assert_eq!(page.sum("b", &[]), Some(f64::INFINITY));
        assert_eq!(page.sum("c", &[]), None);
        assert!(Exposition::parse("what is this").is_err());
    }
}
