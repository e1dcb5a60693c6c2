//! Fuzzes the PromQL parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| {
    let _ = promql::parse(data, &promql::ParserOptions::default());
    let _ = promql::parse_selector(data);
});
