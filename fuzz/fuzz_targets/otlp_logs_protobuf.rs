//! Fuzzes OTLP logs in protobuf.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::otlp::logs::decode_protobuf(data, 1, &wire::otlp::Options::default());
});
