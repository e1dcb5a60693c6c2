//! Fuzzes OTLP logs in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::otlp::logs::decode_json(data, 1, &wire::otlp::Options::default());
});
