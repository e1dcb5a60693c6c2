//! Fuzzes the LogQL parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| {
    let _ = logql::parse(data);
    let _ = logql::parse_selector(data);
});
