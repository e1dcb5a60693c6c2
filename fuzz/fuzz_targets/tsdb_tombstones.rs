//! Fuzzes tombstones and descriptions of Prometheus blocks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = tsdb::tombstones::Tombstones::parse(data);
    let _ = tsdb::meta::parse(data);
});
