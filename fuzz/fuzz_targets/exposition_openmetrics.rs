//! Fuzzes OpenMetrics text; whatever the strict reader takes, the lenient one takes too.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = wire::Limits::default();
    let read = |strict| {
        let options =
            wire::exposition::ScrapeOptions { strict, ..wire::exposition::ScrapeOptions::new(1, &limits) };
        wire::exposition::parse_openmetrics(data, &options)
    };
    assert!(read(true).is_err() || read(false).is_ok());
});
