//! Fuzzes Zipkin's spans in protobuf.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::zipkin::decode_protobuf(data, 0, &wire::Limits::default());
});
