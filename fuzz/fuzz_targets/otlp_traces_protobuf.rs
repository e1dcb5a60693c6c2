//! Fuzzes OTLP traces in protobuf, and the envelope that Tempo puts around one.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::otlp::traces::by_id(data);
    let _ = wire::otlp::traces::decode_protobuf(data, &wire::otlp::Options::default());
});
