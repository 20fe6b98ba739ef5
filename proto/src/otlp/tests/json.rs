//! OTLP/JSON: what is read, what is refused, and what is written.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::Dice;
use super::reference::{comparable, content};
use crate::otlp::{DecodeLimits, decode, decode_json, encode, json_to_proto, to_json};

fn printed(bytes: Vec<u8>) -> String {
    let batch = decode(Bytes::from(bytes), &DecodeLimits::default()).unwrap();
    let mut out = Vec::new();
    to_json(&batch, &mut out);
    String::from_utf8(out).unwrap()
}

/// One gauge point with these members.
fn point(members: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{{{members}}}]}}}}]}}]}}]}}"#
    )
}

proptest! {
    #[test]
    fn printed_json_reads_back_as_the_same_content(dice in prop::collection::vec(any::<u8>(), 0..2000)) {
        let json = printed(Dice::new(&dice).request().encode_to_vec());
        let read = json_to_proto(json.as_bytes(), &DecodeLimits::default()).unwrap();
        prop_assert_eq!(printed(read.encode_to_vec()), json);
    }

    #[test]
    fn json_of_another_writer_is_read_whole(dice in prop::collection::vec(any::<u8>(), 0..2000)) {
        let request = Dice::finite(&dice).request();
        let json = serde_json::to_vec(&request).unwrap();
        let batch = decode_json(&json).unwrap();
        prop_assert_eq!(comparable(content(&batch)), comparable(request));
    }

    #[test]
    fn broken_json_never_panics(dice in prop::collection::vec(any::<u8>(), 0..500), cut: prop::sample::Index, to: u8) {
        let mut json = printed(Dice::new(&dice).request().encode_to_vec()).into_bytes();
        let at = cut.index(json.len());
        json[at] = to;
        let _ = decode_json(&json);
        prop_assert!(decode_json(&json[..at]).is_err());
    }
}

#[test]
fn json_is_read_as_the_collector_reads_it() {
    let same = [
        point(r#""timeUnixNano":"5","asInt":"7","flags":1,"attributes":[{"key":"k","value":{"intValue":"3"}}]"#),
        point(r#""time_unix_nano":5,"as_int":7,"flags":"1","attributes":[{"key":"k","value":{"int_value":3}}]"#),
        point(
            r#""new":{"a":[1,{}]},"timeUnixNano":5,"asInt":7,"flags":1,"attributes":[{"key":"k","value":{"intValue":3,"x":1}}]"#,
        ),
        point(
            r#""timeUnixNano":5,"startTimeUnixNano":null,"asDouble":1.5,"asInt":7,"exemplars":null,"flags":1,"attributes":[{"key":"k","value":{"intValue":3}}]"#,
        ),
        point(r#""timeUnixNano":5,"asInt":7,"flags":1,"attributes":[{"key":"\u006b","value":{"intValue":3}}]"#)
            .replace("resourceMetrics", "resource_metrics")
            .replace("scopeMetrics", "scope_metrics")
            .replace("dataPoints", "data_points"),
    ];
    let content = |json: &String| comparable(content(&decode_json(json.as_bytes()).unwrap()));
    for json in &same {
        assert_eq!(content(json), content(&same[0]), "{json}");
    }
}

#[test]
fn doubles_are_numbers_or_strings_and_enums_are_numbers_or_names() {
    let double = |text: &str| {
        let batch = decode_json(point(&format!(r#""asDouble":{text}"#)).as_bytes()).unwrap();
        match batch.numbers[0].value {
            crate::NumberValue::Double(value) => value,
            other => panic!("{other:?}"),
        }
    };
    for (text, value) in [
        ("1", 1.0),
        ("-2", -2.0),
        ("1e3", 1000.0),
        ("\"0.25\"", 0.25),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
    ] {
        assert_eq!(double(text), value);
    }
    assert!(double("\"NaN\"").is_nan());
    for (text, value) in [("2", Some(2)), ("\"AGGREGATION_TEMPORALITY_DELTA\"", Some(1)), ("\"DELTA\"", None)] {
        let json = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"sum":{{"aggregationTemporality":{text}}}}}]}}]}}]}}"#
        );
        let temporality = decode_json(json.as_bytes()).ok().map(|b| b.tables.metrics[0].temporality as i32);
        assert_eq!(temporality, value);
    }
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    for (json, expected) in [
        (String::new(), "EOF while parsing a value at line 1 column 0"),
        ("[]".into(), "invalid type: sequence, expected an object at line 1 column 2"),
        ("{} x".into(), "trailing characters at line 1 column 4"),
        (point(r#""asInt":"1.5""#), r#"invalid value: string "1.5", expected a 64-bit integer at line 1 column 87"#),
        (
            point(r#""asInt":1e3"#),
            "invalid value: floating point `1000.0`, expected a 64-bit integer at line 1 column 85",
        ),
        (point(r#""flags":-1"#), "invalid value: integer `-1`, expected a 32-bit count at line 1 column 84"),
        (point(r#""attributes":{}"#), "invalid type: map, expected an array of objects at line 1 column 89"),
        (point(r#""exemplars":[{"traceId":"0g"}]"#), "text that is not hex at line 1 column 103"),
    ] {
        let error = decode_json(json.as_bytes()).err().unwrap().to_string();
        assert_eq!(error, format!("invalid OTLP/JSON request: {expected}"), "{json}");
    }
    let exemplar = point(r#""exemplars":[{"traceId":"0102"}]"#);
    assert!(decode_json(exemplar.as_bytes()).err().unwrap().to_string().contains("trace id that is not 16 bytes"));
}

#[test]
fn deep_json_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(decode_json(format!(r#"{{"x":{deep}"#).as_bytes()).is_err());
}

#[test]
fn a_batch_is_printed_as_the_file_exporter_does() {
    let json = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"x"}},{"key":"b","value":{"boolValue":false}},{"key":"i","value":{"intValue":"-5"}},{"key":"d","value":{"doubleValue":0.5}},{"key":"n","value":{}},{"key":"y","value":{"bytesValue":"AQI="}},{"key":"l","value":{"arrayValue":{"values":[{"intValue":"1"},{}]}}},{"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":""}}]}}}],"entityRefs":[{"type":"service","idKeys":["a"]}]},"scopeMetrics":[{"scope":{"name":"s","version":"1"},"metrics":[{"name":"g","description":"what","unit":"By","gauge":{"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"2","asDouble":0},{"asInt":"0","exemplars":[{"filteredAttributes":[{"key":"e","value":{"stringValue":"f"}}],"timeUnixNano":"9","asDouble":1e+21,"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"0102030405060708"}],"flags":1},{"asDouble":"NaN"}]},"metadata":[{"key":"prometheus.type","value":{"stringValue":"gauge"}}]},{"name":"s","sum":{"dataPoints":[{"timeUnixNano":"18446744073709551615","asInt":"-9223372036854775808"}],"aggregationTemporality":2,"isMonotonic":true}},{"name":"h","histogram":{"dataPoints":[{"timeUnixNano":"2","count":"3","sum":0,"bucketCounts":["0","3"],"explicitBounds":[1.5],"min":-1,"max":2}],"aggregationTemporality":1}},{"name":"e","exponentialHistogram":{"dataPoints":[{"count":"3","scale":-2,"zeroCount":"1","positive":{"offset":-3,"bucketCounts":["1"]},"negative":{},"zeroThreshold":0.1}],"aggregationTemporality":1}},{"name":"q","summary":{"dataPoints":[{"count":"3","sum":6,"quantileValues":[{"value":1},{"quantile":0.5}]}]}},{"name":"none"}],"schemaUrl":"u"},{"scope":{}}],"schemaUrl":"v"}]}"#;
    let batch = decode_json(json.as_bytes()).unwrap();
    let mut out = Vec::new();
    to_json(&batch, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), json);
    let mut empty = Vec::new();
    to_json(&crate::Batch::default(), &mut empty);
    assert_eq!(empty, b"{}");
}

#[test]
fn negative_zeros_of_json_are_kept_also_when_it_is_encoded_again() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"summary":{"dataPoints":[{"sum":-0.0,"quantileValues":[{"quantile":-0.0,"value":"-0.0"}]}]}},
        {"exponentialHistogram":{"dataPoints":[{"zeroThreshold":-0.0}]}}]}]}]}"#;
    let batch = decode_json(json.as_bytes()).unwrap();
    // Protobuf that was made on the way is not the client's and is not forwarded.
    assert_eq!(batch.meta.raw, None);
    let mut bytes = Vec::new();
    encode(&batch, &mut bytes);
    for batch in [batch, decode(Bytes::from(bytes), &DecodeLimits::default()).unwrap()] {
        let numbers = [
            batch.summaries[0].sum,
            batch.quantiles[0].quantile,
            batch.quantiles[0].value,
            batch.exponentials[0].zero_threshold,
        ];
        assert_eq!(numbers.map(f64::to_bits), [(-0.0f64).to_bits(); 4], "{numbers:?}");
    }
}
