//! Fuzzes what a peer may send as a part of an answer: any bytes are items or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    federate::peer::unpacked(data);
});
