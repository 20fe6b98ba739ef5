//! What CloudWatch would make of log events in the embedded metric format: the metrics it would extract, or what it
//! would find wrong. Follows the published specification of the format (`_aws`, version 1) and the older form with
//! the metadata at the top level (version 0) that the CloudWatch agent and ADOT write.

use serde_json::{Map, Value};
use std::fmt;

/// Metric definitions of one directive.
pub const MAX_METRICS: usize = 100;
/// Names of one dimension set.
pub const MAX_DIMENSIONS: usize = 30;
/// Elements of an array of values.
pub const MAX_VALUES: usize = 100;
/// Characters of a dimension's value.
pub const MAX_DIMENSION_VALUE: usize = 1024;

const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// One value of one CloudWatch metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    /// Which metric.
    pub metric: MetricId,
    /// CloudWatch's unit; `None` when the event names none.
    pub unit: String,
    /// 60, or 1 for high resolution.
    pub storage_resolution: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// What was measured.
    pub value: Measured,
}

/// What makes a CloudWatch metric: namespace, name and dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricId {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Name and value, sorted by name.
    pub dimensions: Vec<(String, String)>,
}

impl fmt::Display for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.namespace, self.name)?;
        let dimensions: Vec<String> = self.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(f, " {{{}}}", dimensions.join(", "))
    }
}

/// The forms of a metric's value in an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A number.
    One(f64),
    /// An array of numbers.
    Many(Vec<f64>),
    /// A statistic set.
    Statistics {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
        /// Sum of all.
        sum: f64,
        /// How many.
        count: f64,
    },
    /// Values with their counts, and their statistics.
    Distribution {
        /// Distinct values.
        values: Vec<f64>,
        /// How often each was seen.
        counts: Vec<f64>,
    },
}

impl Measured {
    /// CloudWatch's `Sum` statistic of this value alone.
    pub fn sum(&self) -> f64 {
        match self {
            Self::One(value) => *value,
            Self::Many(values) => values.iter().sum(),
            Self::Statistics { sum, .. } => *sum,
            Self::Distribution { values, counts } => {
                values.iter().zip(counts).map(|(value, count)| value * count).sum()
            }
        }
    }

    /// CloudWatch's `SampleCount` of this value alone.
    pub fn count(&self) -> f64 {
        match self {
            Self::One(_) => 1.0,
            Self::Many(values) => values.len() as f64,
            Self::Statistics { count, .. } => *count,
            Self::Distribution { counts, .. } => counts.iter().sum(),
        }
    }
}

/// The metrics that CloudWatch would extract from an event. An event without metric directives has none.
///
/// # Errors
/// Everything that breaks the format; CloudWatch then keeps the event as a log and extracts nothing.
pub fn extract(message: &str) -> Result<Vec<Datum>, Vec<String>> {
    let root = match serde_json::from_str(message) {
        Ok(Value::Object(root)) => root,
        Ok(_) => return Err(vec!["the event is not an object".into()]),
        Err(error) => return Err(vec![format!("the event is not JSON: {error}")]),
    };
    let mut reader = Reader { root: &root, problems: Vec::new(), data: Vec::new() };
    reader.read();
    if reader.problems.is_empty() { Ok(reader.data) } else { Err(reader.problems) }
}

struct Reader<'a> {
    root: &'a Map<String, Value>,
    problems: Vec<String>,
    data: Vec<Datum>,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let root = self.root;
        let (directives, timestamp) = match root.get("_aws") {
            Some(Value::Object(metadata)) => (metadata.get("CloudWatchMetrics"), metadata.get("Timestamp")),
            Some(_) => return self.problem("_aws is not an object"),
            None => (root.get("CloudWatchMetrics"), root.get("Timestamp")),
        };
        let Some(directives) = directives else {
            if root.contains_key("_aws") {
                self.problem("_aws has no CloudWatchMetrics");
            }
            return;
        };
        let in_aws = root.contains_key("_aws");
        let timestamp_ms = match timestamp {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) if !in_aws => text.parse().ok(),
            _ => None,
        };
        let Some(timestamp_ms) = timestamp_ms.filter(|time| *time > 0) else {
            return self.problem("the Timestamp is missing or not milliseconds since 1970");
        };
        if !in_aws && root.get("Version").and_then(Value::as_str) != Some("0") {
            self.problem("metadata at the top level needs Version \"0\"");
        }
        match directives.as_array() {
            Some(directives) => directives.iter().for_each(|directive| self.directive(directive, timestamp_ms)),
            None => self.problem("CloudWatchMetrics is not an array"),
        }
    }

    fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    fn directive(&mut self, directive: &'a Value, timestamp_ms: i64) {
        let namespace = directive["Namespace"].as_str().unwrap_or_default();
        if namespace.is_empty() || namespace.chars().count() > 1024 {
            self.problem("a Namespace needs 1 to 1024 characters");
        }
        let Some(sets) = directive["Dimensions"].as_array() else {
            return self.problem("Dimensions is not an array");
        };
        let sets: Vec<Vec<(String, String)>> = sets.iter().filter_map(|set| self.dimensions(set)).collect();
        let Some(metrics) = directive["Metrics"].as_array() else { return self.problem("Metrics is not an array") };
        if metrics.is_empty() || metrics.len() > MAX_METRICS {
            self.problem(format!("a directive has {} metrics, 1 to {MAX_METRICS} are allowed", metrics.len()));
        }
        for metric in metrics {
            let Some((name, unit, storage_resolution, value)) = self.metric(metric) else { continue };
            for dimensions in &sets {
                let metric =
                    MetricId { namespace: namespace.into(), name: name.into(), dimensions: dimensions.clone() };
                let (unit, value) = (unit.into(), value.clone());
                self.data.push(Datum { metric, unit, storage_resolution, timestamp_ms, value });
            }
        }
    }

    fn dimensions(&mut self, set: &Value) -> Option<Vec<(String, String)>> {
        let Some(names) = set.as_array() else {
            self.problem("a dimension set is not an array");
            return None;
        };
        if names.len() > MAX_DIMENSIONS {
            self.problem(format!("a dimension set has {} names, {MAX_DIMENSIONS} are allowed", names.len()));
        }
        let mut dimensions = Vec::with_capacity(names.len());
        for name in names {
            let Some(name) = name.as_str().filter(|name| !name.is_empty() && name.len() <= 250) else {
                self.problem(format!("dimension name {name} is not a text of 1 to 250 characters"));
                continue;
            };
            match self.root.get(name).and_then(Value::as_str) {
                Some(value) if !value.is_empty() && value.chars().count() <= MAX_DIMENSION_VALUE => {
                    dimensions.push((name.to_owned(), value.to_owned()));
                }
                Some(_) => self.problem(format!("dimension {name} is empty or over {MAX_DIMENSION_VALUE} characters")),
                None => self.problem(format!("dimension {name} has no text at the top level")),
            }
        }
        dimensions.sort();
        if dimensions.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            self.problem("a dimension set names a dimension twice");
        }
        Some(dimensions)
    }

    fn metric(&mut self, metric: &'a Value) -> Option<(&'a str, &'a str, u64, Measured)> {
        let name = metric["Name"].as_str().filter(|name| !name.is_empty() && name.chars().count() <= 1024);
        let Some(name) = name else {
            self.problem(format!("metric name {} is not a text of 1 to 1024 characters", metric["Name"]));
            return None;
        };
        // An empty unit is what ADOT writes when it knows none, and CloudWatch takes it so.
        let unit = match &metric["Unit"] {
            Value::Null => "None",
            Value::String(unit) if unit.is_empty() => "None",
            Value::String(unit) if UNITS.contains(&unit.as_str()) => unit,
            other => {
                self.problem(format!("unit {other} of {name} is not one of CloudWatch's"));
                "None"
            }
        };
        let resolution = match &metric["StorageResolution"] {
            Value::Null => 60,
            other => other.as_u64().unwrap_or_default(),
        };
        if resolution != 1 && resolution != 60 {
            self.problem(format!("storage resolution {} of {name} is neither 1 nor 60", metric["StorageResolution"]));
        }
        match self.root.get(name).map(measured) {
            Some(Ok(value)) => Some((name, unit, resolution, value)),
            Some(Err(problem)) => {
                self.problem(format!("{name}: {problem}"));
                None
            }
            None => {
                self.problem(format!("metric {name} has no value at the top level"));
                None
            }
        }
    }
}

fn measured(value: &Value) -> Result<Measured, String> {
    let numbers = |value: &Value| -> Result<Vec<f64>, String> {
        let items = value.as_array().ok_or("not an array of numbers")?;
        if items.is_empty() || items.len() > MAX_VALUES {
            return Err(format!("{} values, 1 to {MAX_VALUES} are allowed", items.len()));
        }
        items.iter().map(|item| item.as_f64().ok_or_else(|| format!("{item} is not a number"))).collect()
    };
    match value {
        Value::Number(number) => Ok(Measured::One(number.as_f64().ok_or("not a number")?)),
        Value::Array(_) => numbers(value).map(Measured::Many),
        Value::Object(fields) => {
            if let Some(values) = fields.get("Values") {
                let values = numbers(values)?;
                let counts = match fields.get("Counts") {
                    Some(counts) => numbers(counts)?,
                    None => vec![1.0; values.len()],
                };
                if values.len() != counts.len() {
                    return Err(format!("{} values but {} counts", values.len(), counts.len()));
                }
                return Ok(Measured::Distribution { values, counts });
            }
            let field = |name: &str| {
                fields.get(name).and_then(Value::as_f64).ok_or_else(|| format!("a statistic set without {name}"))
            };
            let (min, max, sum, count) = (field("Min")?, field("Max")?, field("Sum")?, field("Count")?);
            Ok(Measured::Statistics { min, max, sum, count })
        }
        other => Err(format!("{other} is not a number, an array or a statistic set")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_versions_give_the_same_metrics() {
        let directive = json!([{
            "Namespace": "N", "Dimensions": [["b", "a"], []],
            "Metrics": [{"Name": "m", "Unit": "", "StorageResolution": 60}],
        }]);
        let v1 = json!({
            "_aws": {"Timestamp": 1_700_000_000_000u64, "CloudWatchMetrics": directive}, "a": "1", "b": "2", "m": 3,
        });
        let v0 = json!({
            "Version": "0", "Timestamp": "1700000000000", "CloudWatchMetrics": directive, "a": "1", "b": "2", "m": 3,
        });
        let data = extract(&v1.to_string()).unwrap();
        assert_eq!(data, extract(&v0.to_string()).unwrap());
        assert_eq!(data.len(), 2);
        assert_eq!(data[0].metric.to_string(), "N m {a=1, b=2}");
        assert_eq!(data[1].metric.to_string(), "N m {}");
        assert_eq!((data[0].value.sum(), data[0].unit.as_str()), (3.0, "None"));
        assert_eq!(extract(r#"{"a": "no metrics"}"#), Ok(vec![]));
    }

    #[test]
    fn values_come_as_numbers_arrays_statistics_and_distributions() {
        let check = |value: Value, sum: f64, count: f64| {
            let value = measured(&value).unwrap();
            assert_eq!((value.sum(), value.count()), (sum, count));
        };
        check(json!(1.5), 1.5, 1.0);
        check(json!([1, 2, 3]), 6.0, 3.0);
        check(json!({"Min": 0, "Max": 0, "Sum": 35, "Count": 18}), 35.0, 18.0);
        check(json!({"Values": [1, 10], "Counts": [2, 3], "Min": 1, "Max": 10, "Sum": 32, "Count": 5}), 32.0, 5.0);
    }

    #[test]
    fn what_breaks_the_format_is_named() {
        let check = |edit: &dyn Fn(&mut Value), expected: &str| {
            let mut event = json!({
                "_aws": {"Timestamp": 1_700_000_000_000u64, "CloudWatchMetrics": [{
                    "Namespace": "N", "Dimensions": [["a"]], "Metrics": [{"Name": "m", "Unit": "Count"}],
                }]},
                "a": "1", "m": 3,
            });
            edit(&mut event);
            let problems = extract(&event.to_string()).unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:?}");
        };
        check(&|e| e["_aws"]["Timestamp"] = json!("1700000000000"), "Timestamp is missing");
        check(&|e| e["_aws"]["CloudWatchMetrics"][0]["Namespace"] = json!(""), "Namespace");
        check(&|e| e["a"] = json!(1), "dimension a has no text");
        check(&|e| e["a"] = json!(""), "dimension a is empty");
        check(&|e| e["a"] = json!("x".repeat(1025)), "over 1024");
        check(&|e| e["m"] = json!("3"), "is not a number");
        check(&|e| e["m"] = json!(vec![1; 101]), "101 values");
        check(&|e| e["m"] = json!({"Max": 1}), "a statistic set without Min");
        check(&|e| e["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] = json!("furlong"), "furlong");
        check(&|e| e["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["StorageResolution"] = json!(5), "neither 1");
        check(&|e| e["_aws"]["CloudWatchMetrics"][0]["Metrics"] = json!(vec![json!({"Name": "m"}); 101]), "101 metr");
        check(&|e| e["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([vec!["a"; 31]]), "31 names");
        check(&|e| e["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([["gone"]]), "dimension gone");
        assert!(extract("no json").is_err());
    }
}
