//! libFuzzer's entry to `fuzz::otlp_http`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::otlp_http::run(data));
