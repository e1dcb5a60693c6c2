//! Fuzzes DNS answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    net::dns::decode_anything(data);
});
