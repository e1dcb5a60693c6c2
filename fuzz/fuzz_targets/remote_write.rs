//! Fuzzes remote write 1.0 after snappy; what is read must be written and read the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = wire::Limits::default();
    if let Ok(first) = wire::remote_write::decode_v1(data, &limits) {
        let again = wire::remote_write::decode_v1(&wire::remote_write::encode(&first.batch), &limits);
        let again = again.expect("what we write is readable");
        assert!(again.refused.is_empty(), "{:?}", again.refused);
        assert_eq!(again.batch.item_count(), first.batch.item_count());
        let mut known = wire::remote_write::KnownSeries::new(1 << 16);
        for _ in 0..2 {
            let quick = wire::remote_write::decode_v1_known(data, &limits, &mut known).expect("as without");
            assert_eq!(quick.batch.series, first.batch.series);
            assert_eq!(quick.batch.samples.timestamp_ms, first.batch.samples.timestamp_ms);
            assert_eq!(quick.refused, first.refused);
        }
    }
});
