//! Fuzzes batches for Jaeger's collector in protobuf.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::jaeger::decode_protobuf(data, &wire::Limits::default());
});
