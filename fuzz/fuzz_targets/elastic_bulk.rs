//! Fuzzes Elasticsearch's bulk.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = wire::Limits::default();
    let _ = wire::bulk::decode(data, Some("a"), 0, &limits, &mut |_, _| wire::bulk::Identity::New);
});
