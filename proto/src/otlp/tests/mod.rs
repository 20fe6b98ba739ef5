//! The codecs against prost on random messages.

mod density;
mod dice;
mod json;
mod merge;
mod pieces;
mod protobuf;
mod reference;

use dice::Dice;
use proptest::prelude::*;
use prost::Message;

/// Random requests of which some bytes are others, and some are cut off.
fn damaged_requests() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let cut = prop::option::of(any::<prop::sample::Index>());
    (prop::collection::vec(any::<u8>(), 100..2000), damage, cut).prop_map(|(dice, damage, cut)| {
        let mut bytes = Dice::new(&dice).request().encode_to_vec();
        if bytes.is_empty() {
            return bytes;
        }
        for (at, to) in damage {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}
