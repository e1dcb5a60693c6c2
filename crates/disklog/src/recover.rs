//! Opening a log after whatever happened to the process or the machine.
//!
//! What is cut, and why that is safe:
//! - a last segment without a sound header: it was being created, no frame was ever acknowledged in it;
//! - bytes of an older segment behind the end that its successor names: a write answered with an error;
//! - the end of the last segment from the first unsound frame on, unless a frame of a later commit group
//!   follows: then what is unsound had been acknowledged, and that is damage, not a torn tail.
//!
//! A flipped bit inside the very last group cannot be told from a torn write; it is reported as torn.

use std::path::{Path, PathBuf};

use crate::{
    Disk, DiskFile, Error, Result,
    log::Held,
    reader::{Broken, Frames},
    segment,
    writer::{self, Active},
};

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    pub torn: Option<TornTail>,
    /// Bytes cut off older segments: remains of writes that had been answered with an error.
    pub discarded_bytes: u64,
    pub segments: usize,
    /// Bytes held after recovery.
    pub bytes: u64,
    /// Frames in the last segment.
    pub last_segment_frames: u64,
}

/// The end of the last segment that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    pub segment: u64,
    pub offset: u64,
    pub lost_bytes: u64,
    pub reason: String,
}

pub(crate) struct Opened {
    pub(crate) held: Held,
    pub(crate) active: Active,
    pub(crate) recovery: Recovery,
    pub(crate) lock: Box<dyn Send + Sync>,
}

struct Found {
    number: u64,
    path: PathBuf,
    header: segment::Header,
    len: u64,
}

pub(crate) fn open(dir: &Path, disk: &dyn Disk) -> Result<Opened> {
    disk.create_dir(dir).map_err(Error::io("create", dir))?;
    let lock = disk.lock(dir).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked { dir: dir.to_owned() },
        _ => Error::io("lock", dir)(e),
    })?;
    let mut recovery = Recovery::default();
    let mut found = find_segments(dir, disk)?;
    recovery.discarded_bytes = cut_to_named_ends(disk, &found)?;
    let mut held = Held::default();
    let last = found.pop();
    for pair in found.windows(2) {
        held.segments.push_back((pair[0].number, pair[1].header.previous_end));
    }
    if let (Some(before), Some(last)) = (found.last(), &last) {
        held.segments.push_back((before.number, last.header.previous_end));
    }
    let active = match last {
        None => writer::create(disk, dir, 1, 0)?,
        Some(last) => open_last(disk, last, &mut recovery)?,
    };
    // A name that is seen may not be durable yet.
    disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
    held.segments.push_back((active.number, active.durable));
    recovery.segments = held.segments.len();
    recovery.bytes = held.bytes();
    Ok(Opened { held, active, recovery, lock })
}

/// All segments with their headers, ascending, without gaps. Removes a last one that never came to be.
fn find_segments(dir: &Path, disk: &dyn Disk) -> Result<Vec<Found>> {
    let names = disk.list(dir).map_err(Error::io("list", dir))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|n| segment::number(n)).collect();
    numbers.sort_unstable();
    let mut found = Vec::with_capacity(numbers.len());
    for (i, &number) in numbers.iter().enumerate() {
        let path = segment::path(dir, number);
        if i > 0 && numbers[i - 1] + 1 != number {
            let missing = segment::path(dir, numbers[i - 1] + 1);
            return Err(Error::corrupt(
                &missing,
                0,
                format!("the segment is missing while {} exists", path.display()),
            ));
        }
        let file = disk.open(&path).map_err(Error::io("open", &path))?;
        let len = file.len().map_err(Error::io("read the length of", &path))?;
        match segment::read_header(&*file, &path, number)? {
            Some(header) => found.push(Found { number, path, header, len }),
            None if i + 1 == numbers.len() => {
                tracing::warn!(path = %path.display(), bytes = len, "removed a log segment whose creation was cut short");
                disk.remove(&path).map_err(Error::io("remove", &path))?;
                disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
            }
            None => return Err(Error::corrupt(&path, 0, "segment header is cut short")),
        }
    }
    Ok(found)
}

/// Compares every segment but the last with the end its successor names; returns the bytes cut.
fn cut_to_named_ends(disk: &dyn Disk, found: &[Found]) -> Result<u64> {
    let mut cut = 0;
    for pair in found.windows(2) {
        let (segment, end) = (&pair[0], pair[1].header.previous_end);
        if segment.len < end {
            let reason = format!("the file ends here, its successor says that it has {end} bytes");
            return Err(Error::corrupt(&segment.path, segment.len, reason));
        }
        if segment.len > end {
            let file = disk.open(&segment.path).map_err(Error::io("open", &segment.path))?;
            file.truncate(end).map_err(Error::io("truncate", &segment.path))?;
            file.sync().map_err(Error::io("sync", &segment.path))?;
            cut += segment.len - end;
            tracing::warn!(path = %segment.path.display(), offset = end, bytes = segment.len - end,
                "cut the remains of a failed write off a log segment");
        }
    }
    Ok(cut)
}

/// Reads the last segment whole and cuts a torn tail.
fn open_last(disk: &dyn Disk, last: Found, recovery: &mut Recovery) -> Result<Active> {
    let Found { number, path, header, len } = last;
    let file = disk.open(&path).map_err(Error::io("open", &path))?;
    let mut frames = Frames::new(file, path.clone(), header.salt, segment::HEADER, len);
    let reason = loop {
        match frames.next() {
            Ok(Some(_)) => recovery.last_segment_frames += 1,
            Ok(None) => break None,
            Err(Broken::Io(e)) => return Err(e),
            Err(Broken::Bad(reason)) => break Some(reason),
        }
    };
    let end = frames.offset;
    if let Some(reason) = reason {
        if let Some(sound) = frames.find_later_group(end)? {
            let reason = format!("{reason}, while acknowledged frames follow at byte {sound}");
            return Err(Error::corrupt(&path, end, reason));
        }
        let torn =
            TornTail { segment: number, offset: end, lost_bytes: len - end, reason: reason.to_owned() };
        tracing::warn!(path = %path.display(), offset = end, bytes = torn.lost_bytes, reason,
            "cut the torn tail of the log; nothing in it had been acknowledged");
        recovery.torn = Some(torn);
    }
    let group = frames.group;
    let file = frames.into_file();
    if end < len {
        file.truncate(end).map_err(Error::io("truncate", &path))?;
    }
    write_again(&*file, &path, if end == segment::HEADER { 0 } else { group }, end)?;
    Ok(Active { number, salt: header.salt, file, durable: end, sealed: false })
}

/// Makes bytes durable that were read but perhaps never reached the disk.
///
/// The last group may be in the page cache only: the process was killed before the sync, or the sync failed
/// and a further one would succeed without writing anything. Bytes that are written again must be synced
/// again. Earlier groups need no such care, since a group is begun only after a successful sync.
fn write_again(file: &dyn DiskFile, path: &Path, from: u64, to: u64) -> Result<()> {
    let mut chunk = vec![0u8; 256 << 10];
    let mut at = from;
    while at < to {
        let want = chunk.len().min((to - at) as usize);
        let n = file.read_at(&mut chunk[..want], at).map_err(Error::io("read", path))?;
        if n == 0 {
            return Err(Error::corrupt(path, at, "the file became shorter while it was opened"));
        }
        file.write_at(&chunk[..n], at).map_err(Error::io("write to", path))?;
        at += n as u64;
    }
    file.sync().map_err(Error::io("sync", path))
}
