//! Fuzzes units of the log whose series stand apart: two of them, the second may refer to the first.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (&[u8], &[u8], &[u8], &[u8])| {
    let (first_table, first, table, unit) = input;
    let mut known = wire::native::apart::SeriesByNumber::default();
    let _ = wire::native::decode_apart(first, first_table, &mut known);
    let _ = wire::native::decode_apart(unit, table, &mut known);
});
