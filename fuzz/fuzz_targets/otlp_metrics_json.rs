//! Fuzzes OTLP metrics in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut deltas = wire::otlp::metrics::Deltas::default();
    let options = wire::otlp::Options::default();
    if let Ok(d) = wire::otlp::metrics::decode_json(data, 1, &options, Some(&mut deltas)) {
        assert!(deltas.samples.iter().all(|i| (*i as usize) < d.batch.samples.len()));
        assert!(deltas.histograms.iter().all(|i| (*i as usize) < d.batch.histograms.len()));
    }
});
