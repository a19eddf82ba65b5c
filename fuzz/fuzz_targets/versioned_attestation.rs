#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dstack_fuzz::versioned_attestation::run(data));
