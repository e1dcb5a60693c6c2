//! Fuzzes syslog: how a connection is cut into messages, and the messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let cut = wire::syslog::frame::cut(data, 1 << 10, true);
    let messages = cut.messages.iter().filter_map(|(from, to)| data.get(*from..*to));
    let _ = wire::syslog::decode(messages, 0, &wire::Limits::default());
});
