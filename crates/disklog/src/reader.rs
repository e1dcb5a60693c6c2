//! Reading frames back, one at a time, with bounded memory.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use bytes::Bytes;

use crate::{Disk, DiskFile, Error, Position, Result, frame, segment};

/// Bytes read at once; one frame may need more.
const CHUNK: usize = 256 << 10;

/// One frame as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub start: Position,
    /// Behind the frame: where to go on reading.
    pub end: Position,
    pub kind: u8,
    pub payload: Bytes,
}

/// Frames in order up to what was durable when the reader was made. Ends after the first error.
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segments: VecDeque<(u64, u64)>,
    from: Position,
    current: Option<(u64, Frames)>,
    failed: bool,
}

impl Reader {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        mut segments: VecDeque<(u64, u64)>,
        from: Position,
    ) -> Self {
        segments.retain(|(number, _)| *number >= from.segment);
        Reader { disk, dir, segments, from, current: None, failed: false }
    }

    fn step(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some((number, frames)) = &mut self.current {
                let start = Position { segment: *number, offset: frames.offset };
                match frames.next() {
                    Ok(Some((kind, payload))) => {
                        let end = Position { segment: *number, offset: frames.offset };
                        return Ok(Some(Entry { start, end, kind, payload }));
                    }
                    Ok(None) => self.current = None,
                    Err(Broken::Io(e)) => return Err(e),
                    Err(Broken::Bad(reason)) => {
                        let path = segment::path(&self.dir, *number);
                        return Err(Error::corrupt(&path, start.offset, reason));
                    }
                }
            }
            let Some((number, len)) = self.segments.pop_front() else { return Ok(None) };
            self.current = Some((number, self.open(number, len)?));
        }
    }

    fn open(&self, number: u64, len: u64) -> Result<Frames> {
        let path = segment::path(&self.dir, number);
        let file = self.disk.open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::Gone {
                position: Position { segment: number, offset: segment::HEADER },
                first: Position { segment: number + 1, offset: segment::HEADER },
            },
            _ => Error::io("open", &path)(e),
        })?;
        let Some(header) = segment::read_header(&*file, &path, number)? else {
            return Err(Error::corrupt(&path, 0, "segment header is cut short"));
        };
        let offset = if number == self.from.segment { self.from.offset } else { 0 };
        Ok(Frames::new(file, path, header.salt, offset.max(segment::HEADER), len))
    }
}

impl Iterator for Reader {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.step();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// Why there is no frame where one should be.
pub(crate) enum Broken {
    Io(Error),
    Bad(&'static str),
}

/// The frames of one segment file between two offsets.
pub(crate) struct Frames {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    salt: u64,
    /// The start of the next frame.
    pub(crate) offset: u64,
    /// Where the commit group of the last frame read begins; the first offset while none was read.
    pub(crate) group: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Frames {
    pub(crate) fn new(file: Box<dyn DiskFile>, path: PathBuf, salt: u64, offset: u64, end: u64) -> Self {
        Frames { file, path, salt, offset, group: offset, end, buffer: Vec::new(), buffer_at: offset }
    }

    pub(crate) fn into_file(self) -> Box<dyn DiskFile> {
        self.file
    }

    /// The next frame; `None` exactly at the end. After an error the offset is that of the bad frame.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Bytes)>, Broken> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let head: [u8; frame::HEADER] = match self.bytes(self.offset, frame::HEADER)?.try_into() {
            Ok(head) => head,
            Err(_) => return Err(Broken::Bad("the file ends inside a frame header")),
        };
        let header = frame::decode(&head, self.salt, self.offset).map_err(Broken::Bad)?;
        let start = self.offset + frame::HEADER as u64;
        if u64::from(header.length) > self.end - start {
            return Err(Broken::Bad("the file ends inside a frame"));
        }
        let payload = self.bytes(start, header.length as usize)?;
        if payload.len() != header.length as usize {
            return Err(Broken::Bad("the file ends inside a frame"));
        }
        if crc32c::crc32c(payload) != header.payload_crc {
            return Err(Broken::Bad("payload checksum does not match"));
        }
        let payload = Bytes::copy_from_slice(payload);
        self.group = self.offset.saturating_sub(u64::from(header.group_back));
        self.offset = start + u64::from(header.length);
        Ok(Some((header.kind, payload)))
    }

    /// Looks for a sound frame whose commit group began behind `broken`: proof that what lies at `broken`
    /// had been synced and acknowledged. Returns where that frame lies.
    pub(crate) fn find_later_group(&mut self, broken: u64) -> Result<Option<u64>> {
        let mut at = broken + 1;
        while at + frame::HEADER as u64 <= self.end {
            let salt = self.salt;
            let window = match self.bytes(at, CHUNK.min((self.end - at) as usize)) {
                Ok(w) => w,
                Err(Broken::Io(e)) => return Err(e),
                Err(Broken::Bad(_)) => return Ok(None),
            };
            if window.len() < frame::HEADER {
                return Ok(None);
            }
            for (i, candidate) in window.windows(frame::HEADER).enumerate() {
                let Ok(head) = <&[u8; frame::HEADER]>::try_from(candidate) else { continue };
                let offset = at + i as u64;
                if frame::could_begin(head)
                    && let Ok(h) = frame::decode(head, salt, offset)
                    && offset.saturating_sub(u64::from(h.group_back)) > broken
                {
                    return Ok(Some(offset));
                }
            }
            at += (window.len() - frame::HEADER + 1) as u64;
        }
        Ok(None)
    }

    /// `len` bytes at `at`, fewer where the readable part ends.
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8], Broken> {
        let held = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if at < held.start || at + len as u64 > held.end {
            let want = len.max(CHUNK).min((self.end - at) as usize);
            // One huge frame must not hold its memory for the rest of the segment.
            if self.buffer.capacity() > 4 * CHUNK.max(want) {
                self.buffer = Vec::new();
            }
            self.buffer.resize(want, 0);
            self.buffer_at = at;
            let n = self
                .file
                .read_at(&mut self.buffer, at)
                .map_err(|e| Broken::Io(Error::io("read", &self.path)(e)))?;
            self.buffer.truncate(n);
        }
        let from = (at - self.buffer_at) as usize;
        let to = (from + len).min(self.buffer.len());
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }
}
