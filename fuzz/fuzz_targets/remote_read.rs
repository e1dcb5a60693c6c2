//! Fuzzes remote read requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::remote_read::decode(data);
});
