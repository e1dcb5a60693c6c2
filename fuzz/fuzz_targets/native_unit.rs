//! Fuzzes our own encoding of an append unit; what is read must be written and read the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok((tenant, id, received_ns, batches)) = wire::native::decode(data)
        && let Ok(bytes) = wire::native::encode(&tenant, id, received_ns, &batches)
    {
        let again = wire::native::decode(&bytes).expect("what we write is readable");
        assert_eq!(again.3.len(), batches.len());
    }
});
