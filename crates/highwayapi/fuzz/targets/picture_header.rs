#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| highwayapi::fuzz::picture_header(bytes));
