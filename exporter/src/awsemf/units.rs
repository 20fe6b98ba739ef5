//! Units: how OTLP units translate to CloudWatch's, and `metric_descriptors`.

use std::collections::HashMap;

/// Units by metric name from `metric_descriptors`, with their `overwrite`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Descriptors(pub(crate) HashMap<String, (String, bool)>);

impl Descriptors {
    /// The `Unit` of a metric. Units that CloudWatch does not know pass through, as in the reference.
    pub(crate) fn unit<'a>(&'a self, metric: &str, unit: &'a str) -> &'a str {
        match self.0.get(metric) {
            Some((described, overwrite)) if unit.is_empty() || *overwrite => described,
            _ => translate(unit),
        }
    }
}

fn translate(unit: &str) -> &str {
    match unit {
        "1" | "ns" => "",
        "ms" => "Milliseconds",
        "s" => "Seconds",
        "us" => "Microseconds",
        "By" => "Bytes",
        "bit" => "Bits",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_applies_to_an_empty_unit_or_overwrites() {
        let entry = |overwrite| ("Count".to_owned(), overwrite);
        let d = Descriptors(HashMap::from([("soft".to_owned(), entry(false)), ("hard".to_owned(), entry(true))]));
        let cases = [
            ("soft", "", "Count"),
            ("soft", "1", ""),
            ("soft", "ms", "Milliseconds"),
            ("hard", "ms", "Count"),
            ("hard", "", "Count"),
            ("other", "ns", ""),
            ("other", "s", "Seconds"),
            ("other", "us", "Microseconds"),
            ("other", "By", "Bytes"),
            ("other", "bit", "Bits"),
            ("other", "furlong", "furlong"),
            ("other", "%", "%"),
            ("other", "", ""),
        ];
        for (metric, unit, expected) in cases {
            assert_eq!(d.unit(metric, unit), expected, "{metric} {unit}");
        }
    }
}
