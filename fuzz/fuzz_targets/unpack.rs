//! Fuzzes decompression under a cap: the encoding is the first byte.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    use base::cap::{Encoding, unpack};
    let Some((first, body)) = data.split_first() else { return };
    let encoding = match first % 4 {
        0 => Encoding::Gzip,
        1 => Encoding::Deflate,
        2 => Encoding::Zstd,
        _ => Encoding::Snappy,
    };
    const LIMIT: usize = 1 << 20;
    if let Ok(plain) = unpack(encoding, body, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
});
