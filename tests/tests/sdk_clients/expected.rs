//! What the measurements of `tests/clients/README.md` have to become in EMF events, worked out by hand from what the
//! exporter promises: gauges and deltas as they are, cumulative counters and histograms as differences whose first one
//! has no predecessor, up-down counters as they are, too.

use crate::client::Temporality;
use crate::observed::{Id, Series};
use serde_json::{Value, json};

/// Every series of a run; `first_is_kept` tells of `retain_initial_value_of_delta_metric`.
pub(crate) fn expected(temporality: Temporality, first_is_kept: bool) -> Series {
    let cumulative = temporality == Temporality::Cumulative;
    let all_delta = temporality == Temporality::EverythingDelta;
    let mut series = Series::new();
    let mut put = |name: &str, unit: &str, labels: &[(&str, &str)], values: Value| {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let id: Id = (name.to_owned(), unit.to_owned(), labels);
        let Value::Array(values) = values else { panic!("an array of values") };
        assert!(series.insert(id, values).is_none());
    };

    // Differences: of a cumulative series the first is the total so far, which only one exporter writes.
    let differences = |values: Value| {
        let Value::Array(mut values) = values else { panic!("an array of values") };
        if cumulative && !first_is_kept {
            values.remove(0);
        }
        Value::Array(values)
    };
    let mixed = [("region", "eu"), ("status", "200"), ("cached", "true"), ("ratio", "0.5"), ("zones", r#"["a","b"]"#)];
    put("orders", "", &[("region", "eu")], differences(json!([5, 7, 1])));
    put("orders", "", &[("region", "us")], differences(json!([2, 4, 3])));
    put("revenue", "EUR", &mixed, differences(json!([1.5, 2.25, 0.25])));
    put("cpu.time", "Seconds", &[("cpu", "0")], differences(json!([10.5, 2.25, 7.25])));
    // Counted once: a cumulative series goes on at rest, a delta one has nothing more to say.
    put("refunds", "{refund}", &[], differences(if cumulative { json!([1, 0, 0]) } else { json!([1]) }));

    // A cumulative histogram knows the extremes since its start only.
    let statistics =
        |max: f64, min: f64, count: u64, sum: f64| json!({"Max": max, "Min": min, "Count": count, "Sum": sum});
    put(
        "latency",
        "Milliseconds",
        &[("region", "eu")],
        differences(match cumulative {
            false => json!([
                statistics(250.0, 3.0, 3, 261.0),
                statistics(40.0, 1.0, 2, 41.0),
                statistics(500.0, 500.0, 1, 500.0)
            ]),
            true => json!([
                statistics(250.0, 3.0, 3, 261.0),
                statistics(250.0, 1.0, 2, 41.0),
                statistics(500.0, 1.0, 1, 500.0)
            ]),
        }),
    );
    // Four buckets hold 1 to 8 at scale 0: (0.5, 1], (1, 2], (2, 4] and (4, 8]; their middles are the values.
    let distribution = |values: &[f64], counts: &[u64], [max, min, sum]: [f64; 3]| {
        let count: u64 = counts.iter().sum();
        json!({"Values": values, "Counts": counts, "Max": max, "Min": min, "Count": count, "Sum": sum})
    };
    let least = if cumulative { 0.0 } else { 1.0 };
    put(
        "payload",
        "Bytes",
        &[("region", "eu")],
        differences(json!([
            distribution(&[6.0, 3.0, 0.75, 0.0], &[1, 1, 1, 1], [8.0, 0.0, 12.0]),
            distribution(&[6.0, 1.5, 0.75], &[1, 2, 1], [8.0, least, 13.0]),
            distribution(&[6.0, 0.75], &[2, 1], [8.0, least, 17.0]),
        ])),
    );
    // 160 buckets hold 1 to 4 at scale 6: 1 is the upper bound of bucket -1, 2 of bucket 63, 4 of bucket 127, and 1.5
    // is 2^0.585, in bucket 37 of 64 that double.
    let middle = |bucket: i32| (2f64.powf(f64::from(bucket) / 64.0) + 2f64.powf(f64::from(bucket + 1) / 64.0)) / 2.0;
    put(
        "price",
        "EUR",
        &[("region", "us")],
        differences(json!([
            distribution(&[middle(127), middle(63), middle(-1)], &[1, 1, 1], [4.0, 1.0, 7.0]),
            distribution(&[middle(127), middle(37), middle(-1)], &[1, 1, 1], [4.0, 1.0, 6.5]),
            distribution(&[middle(127), middle(-1)], &[1, 1], [4.0, 1.0, 5.0]),
        ])),
    );

    // Up-down counters: totals, or changes when the client was told to send these.
    let up_down = |totals: Value, changes: Value| if all_delta { changes } else { totals };
    put("queue.depth", "", &[], up_down(json!([10, 6, -1]), json!([10, -4, -7])));
    put("balance", "USD", &[], up_down(json!([0.5, -0.75, -0.5]), json!([0.5, -1.25, 0.25])));
    put("connections", "", &[("pool", "db")], up_down(json!([7, 3, 5]), json!([7, -4, 2])));

    // Gauges.
    put("temperature", "Cel", &[("room", "a")], json!([21.5, -3.25, 0]));
    put("workers", "", &[("room", "a")], json!([4, 9, 2]));
    put("memory", "Bytes", &[], json!([1048576, 2097152, 524288]));
    put("load", "", &[], json!([0.25, 0.5, 0.75]));
    series
}

/// Compares series by series and value by value.
///
/// # Panics
/// Naming the first difference.
pub(crate) fn compare(expected: &Series, found: &Series, what: &str) {
    for (id, values) in found {
        assert!(expected.contains_key(id), "{what}: {id:?} is unexpected, with {values:?}");
    }
    for (id, values) in expected {
        let got = found.get(id).unwrap_or_else(|| panic!("{what}: {id:?} is missing"));
        let all_alike = values.len() == got.len() && values.iter().zip(got).all(|(value, got)| alike(value, got));
        assert!(all_alike, "{what}: {id:?}\nexpected {values:?}\nfound    {got:?}");
    }
}

/// Equal, with numbers to 12 digits: the bounds of exponential buckets are powers with rounding errors.
fn alike(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(expected), Value::Number(found)) => {
            let (expected, found) = (expected.as_f64().unwrap(), found.as_f64().unwrap());
            (expected - found).abs() <= 1e-12 * expected.abs()
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(expected, found)| alike(expected, found))
        }
        (Value::Object(expected), Value::Object(found)) => {
            let same_keys = expected.keys().eq(found.keys());
            same_keys && expected.iter().all(|(name, expected)| alike(expected, &found[name]))
        }
        _ => expected == found,
    }
}
