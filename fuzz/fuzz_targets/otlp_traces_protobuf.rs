//! Fuzzes OTLP traces in protobuf.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::otlp::traces::decode_protobuf(data, &wire::otlp::Options::default());
});
