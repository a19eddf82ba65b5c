#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dstack_fuzz::policy_toml::run(data));
