//! Fuzzes OTLP traces in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::otlp::traces::decode_json(data, &wire::otlp::Options::default());
});
