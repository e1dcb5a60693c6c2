//! Fuzzes protobuf exposition; every form of histograms must be read without a panic, and what is read be whole.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = wire::Limits::default();
    for (native, classic) in [(true, false), (true, true), (false, true)] {
        let histograms = wire::exposition::Histograms { native, classic };
        let options = wire::exposition::ScrapeOptions {
            histograms,
            ..wire::exposition::ScrapeOptions::new(1, &limits)
        };
        if let Ok(e) = wire::exposition::parse_protobuf(data, &options) {
            assert_eq!(e.timed.len(), e.batch.series.len());
            assert!(e.batch.histograms.iter().all(|h| h.histogram.validate().is_ok()));
        }
    }
});
