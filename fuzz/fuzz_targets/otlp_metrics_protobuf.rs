//! Fuzzes OTLP metrics in protobuf.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::otlp::metrics::decode_protobuf(data, 1, &wire::otlp::Options::default());
});
