#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dstack_fuzz::document::run(data));
