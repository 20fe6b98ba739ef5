//! libFuzzer's entry to `fuzz::go_regex`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::go_regex::run(data));
