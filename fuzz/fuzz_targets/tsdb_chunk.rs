//! Fuzzes chunks of Prometheus blocks, the first byte being the encoding.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((encoding, data)) = data.split_first() {
        let _ = tsdb::chunk::decode(encoding % 8, data);
    }
});
