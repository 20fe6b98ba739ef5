//! Bodies in pieces against the same bodies as a whole.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::protobuf::{field, metric_request, point_request};
use super::{Dice, damaged_requests};
use crate::otlp::{Capacities, DecodeError, DecodeLimits, PieceDecoder, decode, encode};

/// What becomes of a body: the request that the batch stands for, or the error.
type Outcome = Result<Vec<u8>, DecodeError>;

fn whole(body: &[u8], limits: &DecodeLimits) -> Outcome {
    let batch = decode(Bytes::copy_from_slice(body), limits)?;
    let mut out = Vec::new();
    encode(&batch, &mut out);
    Ok(out)
}

/// The body in pieces of these lengths in turn.
fn in_pieces(body: &[u8], lengths: &[usize], limits: &DecodeLimits) -> Outcome {
    let mut decoder = PieceDecoder::new(body.len(), limits, &Capacities::default())?;
    let mut rest = body;
    for length in lengths.iter().cycle() {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        decoder.read(piece)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let batch = decoder.finish()?;
    assert_eq!(batch.meta.raw, None, "nobody can forward a body that is not kept");
    let mut out = Vec::new();
    encode(&batch, &mut out);
    Ok(out)
}

fn check(body: &[u8], lengths: &[usize], limits: &DecodeLimits) -> Result<(), TestCaseError> {
    for keeps_buckets in [true, false] {
        let limits = DecodeLimits { keeps_buckets, ..limits.clone() };
        let expected = whole(body, &limits);
        for lengths in [lengths, &[1], &[body.len().max(1)]] {
            prop_assert_eq!(&in_pieces(body, lengths, &limits), &expected, "{:?}", lengths);
        }
    }
    Ok(())
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![prop::collection::vec(1..20usize, 1..6), prop::collection::vec(1..400usize, 1..6)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pieces_of_a_request_are_decoded_as_the_whole(
        dice in prop::collection::vec(any::<u8>(), 0..2000),
        lengths in lengths(),
    ) {
        check(&Dice::new(&dice).request().encode_to_vec(), &lengths, &DecodeLimits::default())?;
    }

    #[test]
    fn pieces_of_a_damaged_request_are_decoded_or_refused_as_the_whole(
        bytes in damaged_requests(),
        lengths in lengths(),
    ) {
        check(&bytes, &lengths, &DecodeLimits::default())?;
    }

    #[test]
    fn pieces_of_random_bytes_are_decoded_or_refused_as_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        lengths in lengths(),
        nesting in 0..8u32,
    ) {
        let limits = DecodeLimits { nesting, ..DecodeLimits::default() };
        for body in [
            bytes.clone(),
            field(1, &bytes),
            field(1, &field(2, &bytes)),
            metric_request(&bytes),
            point_request(9, &bytes),
        ] {
            check(&body, &lengths, &limits)?;
            check(&[body.clone(), body].concat(), &lengths, &limits)?;
        }
    }
}

#[test]
fn envelopes_in_any_order_groups_and_limits_are_the_same_in_pieces() {
    let resource = field(1, &field(1, &[field(1, b"service.name"), field(2, &field(1, b"api"))].concat()));
    let scope = |name: &str| field(1, &field(1, name.as_bytes()));
    let metric = |name: &str| field(2, &[field(1, name.as_bytes()), field(5, &field(1, &[8 << 3, 1]))].concat());
    let group = |content: &[u8]| [&[13 << 3 | 3], content, &[13 << 3 | 4]].concat();
    let long = field(15, &[7; 300]);
    let metrics = field(2, &[metric("a"), scope("one"), metric("b"), scope("two"), field(3, b"schema")].concat());
    let dense = field(1, &field(2, b"").repeat(1 << 16));
    let none = DecodeLimits { spare_bytes: 100, ..DecodeLimits::default() };
    let usual = DecodeLimits::default();
    for (body, limits) in [
        (field(1, &[&metrics[..], &resource, &metrics, &field(3, b"url"), &resource].concat()), &usual),
        (field(1, &[&group(&long), &metrics[..], &group(&group(&long)), &group(b"")].concat()), &usual),
        ([group(&long), field(1, &[metrics.clone(), long.clone()].concat()), long].concat(), &usual),
        (field(1, &[&metrics[..], &[13 << 3 | 3], &[8; 200]].concat()), &usual),
        (field(1, &metrics).repeat(200), &none),
        (dense, &usual),
        (vec![0; 10], &usual),
        (Vec::new(), &usual),
    ] {
        check(&body, &[5, 40, 3], limits).unwrap();
    }
}

#[test]
fn a_body_of_another_length_than_announced_is_an_error() {
    let body = point_request(5, &[8 << 3, 1]);
    let decoder = |length| PieceDecoder::new(length, &DecodeLimits::default(), &Capacities::default()).unwrap();
    let told = |error: DecodeError| error.to_string();
    let mut short = decoder(body.len() - 1);
    assert_eq!(
        short.read(&body).map_err(told).unwrap_err(),
        "invalid OTLP request: more bytes than announced at byte 0"
    );
    let mut long = decoder(body.len() + 1);
    long.read(&body).unwrap();
    assert_eq!(
        long.finish().map(drop).map_err(told).unwrap_err(),
        format!("invalid OTLP request: cut off request at byte {}", body.len())
    );
    let limits = DecodeLimits { body_bytes: 10, ..DecodeLimits::default() };
    let refused = PieceDecoder::new(11, &limits, &Capacities::default()).map(drop).map_err(told);
    assert_eq!(refused.unwrap_err(), "OTLP request has more than 10 bytes");
}
