//! Fuzzes batches for Jaeger's collector in Thrift; the first byte picks the protocol.
#![no_main]

use wire::jaeger::{Protocol, decode_thrift};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((first, body)) = data.split_first() {
        let protocol = if first & 1 == 0 { Protocol::Binary } else { Protocol::Compact };
        let _ = decode_thrift(body, protocol, &wire::Limits::default());
    }
});
