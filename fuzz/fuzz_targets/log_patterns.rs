//! Fuzzes what is learnt of log lines: their patterns, and the fields they are seen to have.
#![no_main]

use logql::{Entry, StreamEntries, detect};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for pattern in ingest::patterns::mined(text.lines()) {
        assert!(!pattern.contains("<_><_>"), "{pattern}");
    }
    let entry = |line: &str| Entry { line: line.to_owned(), ..Entry::default() };
    let streams = [StreamEntries { entries: text.lines().map(entry).collect(), ..StreamEntries::default() }];
    assert!(detect::fields(&streams, 10).len() <= 10);
});
