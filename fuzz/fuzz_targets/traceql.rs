//! Fuzzes the TraceQL parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| {
    let _ = traceql::parse(data);
    let _ = traceql::lenient(data);
});
