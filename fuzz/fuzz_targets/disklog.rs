//! Fuzzes opening and reading a log whose one segment holds arbitrary bytes behind a valid header, or, where the
//! first byte is odd, arbitrary bytes from the start.
#![no_main]

use std::{path::Path, sync::Arc};

use disklog::{Disk, Log, Options, Position, fault::FaultDisk, segment};

fn write(disk: &FaultDisk, dir: &Path, data: &[u8]) -> Option<()> {
    let (first, body) = data.split_first()?;
    disk.create_dir(dir).ok()?;
    let file = disk.create(&segment::path(dir, 1)).ok()?;
    let header = segment::encode(&segment::Header { number: 1, previous_end: 0, salt: 7 });
    let head: &[u8] = if first % 2 == 0 { &header } else { &[] };
    file.write_at(&[head, body].concat(), 0).ok()?;
    file.sync().ok()?;
    disk.sync_dir(dir).ok()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (disk, dir) = (FaultDisk::new(), Path::new("/log"));
    if write(&disk, dir, data).is_none() {
        return;
    }
    if let Ok((log, _)) = Log::open(Options::new(dir), Arc::new(disk), &base::Metrics::default())
        && let Ok(frames) = log.read_from(Position::default())
    {
        for frame in frames.take(10_000) {
            if frame.is_err() {
                break;
            }
        }
    }
});
