//! Fuzzes both forms of remote read answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = wire::remote_read::answer::decode_answer(data);
    let mut frames = wire::remote_read::answer::Frames::default();
    frames.push(data);
    while let Ok(Some(message)) = frames.pull() {
        let _ = wire::remote_read::answer::decode_frame(&message);
    }
});
