//! Protobuf decode and encode against prost, limits, and the text forms of values.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use proptest::prelude::*;
use prost::Message;

use super::reference::{comparable, content};
use super::{Dice, damaged_requests};
use crate::otlp::wire::Reader;
use crate::otlp::{Capacities, DecodeError, DecodeLimits, decode, decode_like, encode};
use crate::{Batch, NumberValue, Range32, ValueKind};

fn ours(bytes: &[u8]) -> Result<Batch, DecodeError> {
    decode(Bytes::copy_from_slice(bytes), &DecodeLimits::default())
}

/// Both accept with the same content (also after encoding again), or both refuse.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match (ours(bytes), ExportMetricsServiceRequest::decode(bytes)) {
        (Ok(batch), Ok(message)) => {
            let expected = comparable(message);
            prop_assert_eq!(comparable(content(&batch)), &expected[..]);
            let mut again = Vec::new();
            encode(&batch, &mut again);
            let again = ExportMetricsServiceRequest::decode(&again[..]).unwrap();
            prop_assert_eq!(comparable(again), &expected[..]);
        }
        // The one deliberate difference: ids of a wrong length.
        (Err(DecodeError::Malformed { problem, .. }), Ok(_)) if problem.contains(" id that is not ") => {}
        (Err(_), Err(_)) => {}
        (ours, theirs) => prop_assert!(false, "prost: {:?}, here: {:?}", theirs.map(drop), ours.map(drop)),
    }
    Ok(())
}

/// The fields of a message, each with its key.
fn fields_of(message: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(message, 100);
    let mut fields = Vec::new();
    let mut start = 0;
    while let Some(field) = reader.next().unwrap() {
        reader.skip(field).unwrap();
        fields.push(message[start..reader.pos()].to_vec());
        start = reader.pos();
    }
    fields
}

/// A length-delimited field around some bytes.
pub(super) fn field(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

/// A request whose only point has these bytes, in the data field of the metric with this tag.
pub(super) fn point_request(data_tag: u32, point: &[u8]) -> Vec<u8> {
    metric_request(&field(data_tag, &field(1, point)))
}

pub(super) fn metric_request(metric: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, metric)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_messages_decode_and_encode_as_with_prost(dice in prop::collection::vec(any::<u8>(), 0..2000)) {
        let request = Dice::new(&dice).request();
        let bytes = request.encode_to_vec();
        check(&bytes)?;
        prop_assert!(ours(&bytes).is_ok());
    }

    #[test]
    fn damaged_messages_are_refused_or_read_as_by_prost(
        bytes in damaged_requests(),
    ) {
        check(&bytes)?;
    }

    #[test]
    fn random_bytes_are_refused_or_read_as_by_prost(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        for tag in [1, 5, 7, 9, 10, 11] {
            check(&point_request(tag, &bytes))?;
        }
        check(&metric_request(&bytes))?;
        check(&bytes)?;
    }

    #[test]
    fn without_buckets_everything_else_is_the_same(
        dice in prop::collection::vec(any::<u8>(), 0..2000),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        seed: u64,
    ) {
        let mut dice = Dice::new(&dice);
        let mut fields = fields_of(&dice.histogram().encode_to_vec());
        fields.extend_from_within(..fields.len() / 2);
        fields.sort_by_key(|field| crate::symbols::hash_bytes(field) ^ seed);
        let mut bytes = [dice.request().encode_to_vec(), point_request(9, &fields.concat())].concat();
        if let Some((at, to)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let limits = DecodeLimits { keeps_buckets: false, ..DecodeLimits::default() };
        let read = decode(bytes.clone().into(), &limits).map(|batch| {
            assert!(batch.bounds.is_empty(), "{:?}", batch.bounds);
            comparable(content(&batch))
        });
        let expected = ours(&bytes).map(|mut batch| {
            for point in &mut batch.histograms {
                (point.bounds, point.counts) = (Range32::default(), Range32::default());
            }
            comparable(content(&batch))
        });
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn repeated_singular_fields_merge_as_with_prost(dice in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut dice = Dice::new(&dice);
        let mut twice = |make: &mut dyn FnMut(&mut Dice) -> Vec<u8>| [make(&mut dice), make(&mut dice), make(&mut dice)].concat();
        check(&field(1, &twice(&mut |d| d.resource_metrics().encode_to_vec())))?;
        check(&field(1, &field(2, &twice(&mut |d| d.scope_metrics().encode_to_vec()))))?;
        check(&metric_request(&twice(&mut |d| d.metric().encode_to_vec())))?;
        check(&point_request(5, &twice(&mut |d| d.number().encode_to_vec())))?;
        check(&point_request(9, &twice(&mut |d| d.histogram().encode_to_vec())))?;
        check(&point_request(10, &twice(&mut |d| d.exponential().encode_to_vec())))?;
        check(&point_request(11, &twice(&mut |d| d.summary().encode_to_vec())))?;
        check(&point_request(7, &field(5, &twice(&mut |d| d.exemplar().encode_to_vec()))))?;
        check(&point_request(7, &field(7, &twice(&mut |d| d.pair(2).encode_to_vec()))))?;
        check(&point_request(7, &field(7, &field(2, &twice(&mut |d| d.value(2).encode_to_vec())))))?;
    }

    #[test]
    fn fields_of_points_in_any_order_are_read_as_by_prost(
        dice in prop::collection::vec(any::<u8>(), 0..2000),
        seed: u64,
    ) {
        let mut dice = Dice::new(&dice);
        let points = [
            (5, dice.number().encode_to_vec()),
            (7, dice.number().encode_to_vec()),
            (9, dice.histogram().encode_to_vec()),
            (10, dice.exponential().encode_to_vec()),
            (11, dice.summary().encode_to_vec()),
        ];
        for (data, point) in points {
            let mut fields = fields_of(&point);
            // Ordered, with one out of its place, and all mixed.
            check(&point_request(data, &fields.concat()))?;
            let moved = fields.len().min(1) * (seed as usize % fields.len().max(1));
            fields.rotate_left(moved);
            check(&point_request(data, &fields.concat()))?;
            fields.sort_by_key(|field| crate::symbols::hash_bytes(field) ^ seed);
            check(&point_request(data, &fields.concat()))?;
            fields.extend_from_within(..fields.len() / 2);
            check(&point_request(data, &fields.concat()))?;
        }
    }

    #[test]
    fn points_in_any_order_are_encoded_under_their_metric(
        dice in prop::collection::vec(any::<u8>(), 0..2000),
        seed: u64,
    ) {
        let request = Dice::new(&dice).request();
        let mut batch = ours(&request.encode_to_vec()).unwrap();
        let expected = comparable(content(&batch));
        // A stable order of whole metrics: a metric's own points keep theirs.
        let mixed = |metric: u32| u64::from(metric).wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        batch.numbers.sort_by_key(|p| mixed(p.metric));
        batch.histograms.sort_by_key(|p| mixed(p.metric));
        batch.exponentials.sort_by_key(|p| mixed(p.metric));
        batch.summaries.sort_by_key(|p| mixed(p.metric));
        let mut again = Vec::new();
        encode(&batch, &mut again);
        prop_assert_eq!(comparable(ExportMetricsServiceRequest::decode(&again[..]).unwrap()), expected);
    }
}

#[test]
fn room_for_a_request_like_an_earlier_one_is_made_at_once_and_changes_nothing() {
    let dice: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut dice = Dice::new(&dice);
    let points: Vec<u8> = (0..70).flat_map(|_| field(1, &dice.histogram().encode_to_vec())).collect();
    let bytes = Bytes::from(metric_request(&field(9, &points)));
    let limits = DecodeLimits::default();
    let first = decode(bytes.clone(), &limits).unwrap();
    let expected = comparable(content(&first));
    for (body_bytes, exact) in [(bytes.len(), true), (bytes.len() + bytes.len() / 9, true), (bytes.len() / 2, false)] {
        let again = decode_like(bytes.clone(), &limits, &Capacities::of(&first, body_bytes)).unwrap();
        assert_eq!(comparable(content(&again)), expected);
        assert_eq!(again.histograms.len(), 70);
        assert_eq!(again.histograms.capacity() == 70, exact, "{body_bytes}: {}", again.histograms.capacity());
    }
}

#[test]
fn packed_and_single_numbers_unknown_fields_and_groups_are_read() {
    let mut point = Vec::new();
    for count in [3u64, 4] {
        point.push(6 << 3 | 1);
        point.extend_from_slice(&count.to_le_bytes());
    }
    point.extend(field(6, &5u64.to_le_bytes()));
    point.extend(field(99, b"unknown"));
    point.extend([20 << 3 | 3, 1, 8, 7, 20 << 3 | 4, 1].iter().copied().flat_map(|b: u32| {
        let mut out = Vec::new();
        prost::encoding::encode_varint(u64::from(b), &mut out);
        out
    }));
    let bytes = point_request(9, &point);
    check(&bytes).unwrap();
    assert_eq!(ours(&point_request(9, &point[..18])).unwrap().counts, [3, 4]);
}

#[test]
fn the_same_attributes_share_one_set_and_the_body_is_kept() {
    let request = Dice::new(&[]).request();
    assert_eq!(ours(&request.encode_to_vec()).unwrap().points(), 0);
    let pair = field(7, &[field(1, b"k"), field(2, &field(1, b"v"))].concat());
    let point = |value: i64| field(1, &[&pair[..], &pair, &[6 << 3 | 1], &value.to_le_bytes()].concat());
    let bytes = metric_request(&field(5, &[point(1), point(2), point(3)].concat()));
    let batch = ours(&bytes).unwrap();
    assert_eq!(batch.meta.raw.as_deref(), Some(&bytes[..]));
    assert_eq!(batch.numbers.len(), 3);
    assert!(batch.numbers.iter().all(|p| p.attrs == batch.numbers[0].attrs));
    assert_eq!(batch.tables.attrs.pairs(batch.numbers[0].attrs).len(), 2);
    assert_eq!(batch.numbers[2].value, NumberValue::Int(3));
    assert_eq!(batch.tables.attrs.len(), 2, "the empty set and one more");
}

#[test]
fn values_have_the_text_of_go_as_string() {
    use opentelemetry_proto::tonic::common::v1::any_value::Value::{self, *};
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    let arrays = |values: Vec<AnyValue>| ArrayValue { values };
    let any = |value: Value| AnyValue { value: Some(value) };
    let pair = |key: &str, value: Option<Value>| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value }),
        key_strindex: 0,
    };
    let map = KvlistValue(KeyValueList {
        values: vec![
            pair("b", Some(IntValue(-1))),
            pair("a", Some(StringValue("<&>\"\u{2028}".into()))),
            pair("b", Some(DoubleValue(1e21))),
            pair("B", None),
            pair("c", Some(BytesValue(vec![1, 2]))),
        ],
    });
    let nan = ArrayValue(arrays(vec![any(DoubleValue(f64::NAN))]));
    for (value, kind, text) in [
        (StringValue("x".into()), ValueKind::Str, "x"),
        (BoolValue(true), ValueKind::Bool, "true"),
        (BoolValue(false), ValueKind::Bool, "false"),
        (IntValue(i64::MIN), ValueKind::Int, "-9223372036854775808"),
        (DoubleValue(1e-7), ValueKind::Double, "1e-7"),
        (DoubleValue(1.0), ValueKind::Double, "1"),
        (DoubleValue(f64::NAN), ValueKind::Double, "NaN"),
        (DoubleValue(f64::NEG_INFINITY), ValueKind::Double, "-Infinity"),
        (BytesValue(vec![0xff, 0xee]), ValueKind::Bytes, "/+4="),
        (
            ArrayValue(arrays(vec![any(BoolValue(true)), AnyValue::default(), any(map.clone())])),
            ValueKind::Array,
            "[true,null,{\"B\":null,\"a\":\"<&>\\\"\\u2028\",\"b\":1e+21,\"c\":\"AQI=\"}]",
        ),
        (ArrayValue(arrays(vec![])), ValueKind::Array, "[]"),
        (KvlistValue(KeyValueList { values: vec![pair("a", Some(nan.clone()))] }), ValueKind::Map, ""),
        (nan, ValueKind::Array, ""),
    ] {
        let bytes = point_request(5, &field(7, &field(2, &any(value).encode_to_vec())));
        let batch = ours(&bytes).unwrap();
        let (_, id) = batch.tables.attrs.pairs(batch.numbers[0].attrs)[0];
        assert_eq!(batch.tables.attrs.kind(id), kind);
        assert_eq!(batch.tables.value_str(id), text);
    }
    let empty = ours(&point_request(5, &field(7, &field(2, b"")))).unwrap();
    let (_, id) = empty.tables.attrs.pairs(empty.numbers[0].attrs)[0];
    assert_eq!((empty.tables.attrs.kind(id), empty.tables.value_str(id)), (ValueKind::Empty, ""));
}

#[test]
fn each_limit_refuses_the_request() {
    let small = DecodeLimits {
        body_bytes: 200,
        nesting: 20,
        attributes_per_set: 2,
        values_per_attribute: 12,
        ..DecodeLimits::default()
    };
    let limited = |bytes: &[u8]| decode(Bytes::copy_from_slice(bytes), &small).err().map(|e| e.to_string());
    let pair = field(7, b"");
    let array = |n: usize| field(7, &field(2, &field(5, &field(1, b"").repeat(n))));
    let nested = |n: usize| field(7, &field(2, &(0..n).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)))));
    for (bytes, expected) in [
        (vec![0; 201], Some("OTLP request has more than 200 bytes")),
        (point_request(5, &pair.repeat(2)), None),
        (point_request(5, &pair.repeat(3)), Some("OTLP request has more than 2 attributes in one set")),
        (
            point_request(5, &[&pair[..], &[8 << 3, 1], &pair, &pair].concat()),
            Some("OTLP request has more than 2 attributes in one set"),
        ),
        (point_request(5, &array(12)), None),
        (point_request(5, &array(13)), Some("OTLP request has more than 12 elements in one attribute value")),
        (point_request(5, &nested(3)), None),
        (point_request(5, &nested(9)), Some("invalid OTLP request: messages nested too deeply at byte 41")),
    ] {
        assert_eq!(limited(&bytes).as_deref(), expected, "{bytes:?}");
    }
}

#[test]
fn nesting_is_limited_as_in_prost() {
    for n in 40..60 {
        let value = (0..n).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)));
        check(&point_request(5, &field(7, &field(2, &value)))).unwrap();
        let group: Vec<u8> = [vec![11u8; n * 2], vec![12; n * 2]].concat();
        check(&group).unwrap();
    }
}

#[test]
fn the_depth_of_points_in_order_is_limited_as_that_of_others() {
    let quantile = field(6, &[1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f]);
    let buckets = field(8, &field(2, &[1, 2, 3]));
    for (data, point) in [(10, buckets), (11, quantile)] {
        // A field that is not known comes first in a point that is read the general way.
        let other = [&field(99, b"x"), &point[..]].concat();
        let deepest = |point: &[u8]| {
            let limits = |nesting| DecodeLimits { nesting, ..DecodeLimits::default() };
            let body = Bytes::from(point_request(data, point));
            (0..10).find(|nesting| decode(body.clone(), &limits(*nesting)).is_ok())
        };
        assert_eq!(deepest(&point), Some(6));
        assert_eq!(deepest(&other), Some(6));
    }
}

#[test]
fn ids_of_a_wrong_length_and_text_that_is_not_utf8_are_refused_with_their_place() {
    let exemplar = |id: &[u8]| point_request(5, &field(5, &field(5, id)));
    assert!(ours(&exemplar(&[1; 16])).is_ok());
    assert_eq!(
        ours(&exemplar(&[1; 8])).err().map(|e| e.to_string()).as_deref(),
        Some("invalid OTLP request: trace id that is not 16 bytes long at byte 22")
    );
    assert_eq!(
        ours(&metric_request(&field(1, &[0xff]))).err().map(|e| e.to_string()).as_deref(),
        Some("invalid OTLP request: text that is not UTF-8 at byte 9")
    );
}

#[test]
fn shared_tables_leave_out_metrics_without_points() {
    let metric = |name: &str, points: usize| {
        field(2, &[field(1, name.as_bytes()), field(5, &field(1, &[8 << 3, 1]).repeat(points))].concat())
    };
    let scope = |metrics: &[Vec<u8>]| field(2, &metrics.concat());
    let bytes = [
        field(1, &[scope(&[metric("a", 1), metric("b", 0)]), scope(&[metric("c", 0)])].concat()),
        field(1, &scope(&[metric("d", 0)])),
    ]
    .concat();
    let names = |batch: &Batch| {
        let mut out = Vec::new();
        encode(batch, &mut out);
        let request = ExportMetricsServiceRequest::decode(&out[..]).unwrap();
        let scopes = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
        let metrics = scopes.map(|s| s.metrics.iter().map(|m| m.name.clone()).collect::<String>()).collect::<Vec<_>>();
        (request.resource_metrics.len(), metrics.join("|"))
    };
    let mut batch = ours(&bytes).unwrap();
    assert_eq!(names(&batch), (2, "ab|c|d".to_owned()));
    batch.meta.shared_tables = true;
    assert_eq!(names(&batch), (1, "a".to_owned()));
}
