//! libFuzzer's entry to `fuzz::otlp_grpc`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::otlp_grpc::run(data));
