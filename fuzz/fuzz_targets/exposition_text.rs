//! Fuzzes the Prometheus text format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = wire::Limits::default();
    let options = wire::exposition::ScrapeOptions {
        default_ms: 1,
        honor_timestamps: true,
        strict: false,
        limits: &limits,
    };
    let _ = wire::exposition::parse_text(data, &options);
});
