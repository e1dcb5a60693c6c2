//! Fuzzes traces in Jaeger's JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::jaeger_json::decode(data, &wire::otlp::Options::default());
});
