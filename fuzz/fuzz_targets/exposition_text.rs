//! Fuzzes the Prometheus text format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = wire::Limits::default();
    let options = wire::exposition::ScrapeOptions::new(1, &limits);
    let _ = wire::exposition::parse_text(data, &options);
});
