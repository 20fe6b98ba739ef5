//! libFuzzer's entry to `fuzz::text_parser`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::text_parser::run(data));
