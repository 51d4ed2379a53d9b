#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| highwayapi::fuzz::mp4_boxes(bytes));
