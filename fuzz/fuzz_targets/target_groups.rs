//! Fuzzes the target groups of file and http discovery.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &str| {
    let _ = agent::discovery::parse_json(data);
    let _ = agent::discovery::parse_yaml(data);
});
