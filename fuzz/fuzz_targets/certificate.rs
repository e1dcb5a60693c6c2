//! Fuzzes certificates and deny lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(facts) = net::certs::Facts::read(data) {
        let _ = facts.cluster();
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = net::certs::Denied::parse(text);
    }
});
