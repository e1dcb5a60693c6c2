//! Fuzzes Loki push in protobuf after snappy.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::loki::decode_protobuf(data, &wire::Limits::default());
});
