//! Any OTLP body, protobuf or JSON: no panic, and what was accepted is the same after encoding and decoding again;
//! protobuf also in pieces.

use bytes::Bytes;
use proto::Batch;
use proto::otlp::{Capacities, DecodeError, DecodeLimits, PieceDecoder, decode, decode_json, encode, to_json};

/// Runs one input; panics when something does not hold.
pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let read = match first & 1 {
        0 => decode(Bytes::copy_from_slice(body), &DecodeLimits::default()),
        _ => decode_json(body),
    };
    if first & 1 == 0 {
        in_pieces(body, usize::from(first >> 1) + 1, &read);
    }
    let Ok(batch) = read else { return };
    let mut bytes = Vec::new();
    encode(&batch, &mut bytes);
    let again = decode(Bytes::from(bytes.clone()), &DecodeLimits::default()).expect("own encoding is accepted");
    assert_eq!(batch.points(), again.points());
    let mut twice = Vec::new();
    encode(&again, &mut twice);
    assert!(bytes == twice, "encoding is stable");
    let json = printed(&batch);
    assert!(json == printed(&again), "the same JSON");
    // JSON leaves out what protobuf cannot tell from absent, so only its own round trip is stable. It is nested
    // three times as deep as the message, which its reader may refuse.
    if let Ok(read) = decode_json(&json) {
        assert!(printed(&read) == json, "JSON reads back");
    }
}

/// A body in pieces of this length is read as the whole is.
fn in_pieces(body: &[u8], length: usize, whole: &Result<Batch, DecodeError>) {
    let limits = DecodeLimits::default();
    let mut decoder = PieceDecoder::new(body.len(), &limits, &Capacities::default()).expect("inputs are small");
    let read = body.chunks(length).try_for_each(|piece| decoder.read(piece)).and_then(|()| decoder.finish());
    match (&read, whole) {
        (Ok(read), Ok(whole)) => assert!(printed(read) == printed(whole), "the same content"),
        (Err(read), Err(whole)) => assert_eq!(read, whole),
        _ => panic!("in pieces {:?}, as a whole {:?}", read.as_ref().err(), whole.as_ref().err()),
    }
}

fn printed(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    to_json(batch, &mut out);
    out
}
