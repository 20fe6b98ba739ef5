//! libFuzzer's entry to `fuzz::yaml_loader`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::yaml_loader::run(data));
