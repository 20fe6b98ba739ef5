//! libFuzzer's entry to `fuzz::wire_reader`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::wire_reader::run(data));
