//! Fuzzes the configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| {
    let _ = config::parse(data, std::path::Path::new("fuzz.yaml"));
});
