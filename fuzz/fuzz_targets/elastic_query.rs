//! Fuzzes queries of Elasticsearch: the DSL, and Lucene's syntax within it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let context = elastic::query::Context { now_ns: 1_700_000_000_000_000_000 };
    if let Ok(value) = serde_json::from_slice(data) {
        let _ = elastic::query::parse(&value, &context);
    }
    let _ = elastic::query::parse_lucene(&String::from_utf8_lossy(data), None, false, &context);
});
