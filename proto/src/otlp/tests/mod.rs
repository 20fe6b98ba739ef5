//! The codecs against prost on random messages.

mod density;
mod dice;
mod json;
mod merge;
mod pieces;
mod protobuf;
mod reference;

use dice::Dice;
