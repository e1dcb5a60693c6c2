//! Fuzzes the index of Prometheus blocks. Checksums would stop nearly every input, so they are not what is fuzzed:
//! the sections that they cover are.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(mut index) = tsdb::Index::new("index".into(), data.to_vec()) {
        for n in 0..index.len().min(1000) {
            let _ = index.series(n);
        }
    }
    tsdb::index::fuzz(data);
});
