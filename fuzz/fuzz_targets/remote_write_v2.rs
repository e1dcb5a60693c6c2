//! Fuzzes remote write 2.0 after snappy; what is read must be written and read the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = wire::Limits::default();
    if let Ok(first) = wire::remote_write::v2::decode(data, &limits) {
        let again = wire::remote_write::v2::decode(&wire::remote_write::v2::encode(&first.batch), &limits);
        let again = again.expect("what we write is readable");
        assert!(again.batch.item_count() as u64 + again.refused.total() >= first.batch.item_count() as u64);
    }
});
