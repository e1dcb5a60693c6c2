//! Fuzzes Loki push in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::loki::decode_json(data, &wire::Limits::default());
});
