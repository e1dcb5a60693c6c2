//! Fuzzes Zipkin's spans in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::zipkin::decode_json(data, 0, &wire::Limits::default());
});
