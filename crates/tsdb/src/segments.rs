//! `chunks/000001` and following: the files that hold the chunks of a block.
//!
//! ```text
//! | magic 0x85BD40DD | version 1: 8 | zero: 24 | chunk | chunk | ...
//! chunk   | length: uvarint | encoding: 8 | data: length | CRC-32C of encoding and data: 32 |
//! ```
//! A reference is the position of the file among its siblings in the upper 32 bits and the offset in the lower.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::{
    Error, Points, Result, Source, chunk,
    cursor::{Cursor, SHORT},
};

const MAGIC: u32 = 0x85BD_40DD;
const HEADER: u64 = 8;
/// Chunks of a series lie side by side; one read usually brings several.
const WINDOW: usize = 64 << 10;
/// A chunk is a kilobyte or two; what claims to be larger than this is damaged.
const MAX_CHUNK: usize = 64 << 20;

/// The segment files of one block.
pub struct Segments<S = File> {
    files: Vec<(PathBuf, S, u64)>,
    /// File, offset and bytes of the last read.
    window: (usize, u64, Vec<u8>),
}

impl Segments<File> {
    /// Opens all files of `<block>/chunks` in the order of their names.
    pub fn open(block: &Path) -> Result<Self> {
        let dir = block.join("chunks");
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(Error::io("listing", &dir))? {
            let path = entry.map_err(Error::io("listing", &dir))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if let Ok(number) = name.parse::<u64>() {
                paths.push((number, path));
            }
        }
        paths.sort();
        let mut files = Vec::with_capacity(paths.len());
        for (_, path) in paths {
            let file = File::open(&path).map_err(Error::io("opening", &path))?;
            files.push((path, file));
        }
        Segments::new(files)
    }
}

impl<S: Source> Segments<S> {
    /// Checks the header of each file.
    pub fn new(files: Vec<(PathBuf, S)>) -> Result<Self> {
        let mut checked = Vec::with_capacity(files.len());
        for (path, file) in files {
            let len = file.len().map_err(Error::io("reading the length of", &path))?;
            let mut head = [0u8; HEADER as usize];
            file.read_at(&mut head, 0).map_err(|_| Error::corrupt(&path, len, "its header is cut short"))?;
            let mut c = Cursor(&head);
            let (magic, version) = (c.u32().unwrap_or_default(), c.u8().unwrap_or_default());
            if magic != MAGIC {
                return Err(Error::corrupt(&path, 0, "it does not begin with the magic number of chunks"));
            }
            if version != 1 {
                let what = format!("chunk file version {version} is not known, only 1 is");
                return Err(Error::Unsupported { path, what });
            }
            checked.push((path, file, len));
        }
        Ok(Segments { files: checked, window: (usize::MAX, 0, Vec::new()) })
    }

    /// Reads, checks and decodes one chunk.
    pub fn read(&mut self, reference: u64) -> Result<Points> {
        let (at, offset) = ((reference >> 32) as usize, reference & u64::from(u32::MAX));
        let Some((path, _, len)) = self.files.get(at) else {
            let place = self.files.first().map_or(Path::new("chunks"), |f| &f.0);
            let what = format!("a chunk lies in file {} of {}", at.saturating_add(1), self.files.len());
            return Err(Error::corrupt(place, 0, what));
        };
        let (path, len) = (path.clone(), *len);
        let bad = |what: &str| Error::corrupt(&path, offset, format!("chunk: {what}"));
        let mut head = Cursor(self.bytes(at, offset, (len.saturating_sub(offset)).min(10) as usize)?);
        let before = head.0.len();
        let data = head.uvarint().map_err(bad)?;
        let prefix = before - head.0.len();
        let data = usize::try_from(data).ok().filter(|d| *d <= MAX_CHUNK).ok_or_else(|| bad(SHORT))?;
        let whole = prefix + 1 + data + 4;
        if offset.saturating_add(whole as u64) > len {
            return Err(bad("it reaches beyond the end of the file"));
        }
        let mut c = Cursor(self.bytes(at, offset, whole)?);
        c.take(prefix).map_err(bad)?;
        let body = c.take(1 + data).map_err(bad)?;
        if crc32c::crc32c(body) != c.u32().map_err(bad)? {
            return Err(bad("the checksum does not match"));
        }
        let (&encoding, data) = body.split_first().ok_or_else(|| bad(SHORT))?;
        chunk::decode(encoding, data).map_err(|what| bad(&format!("{what} (encoding {encoding})")))
    }

    /// `n` bytes that are known to be inside the file.
    fn bytes(&mut self, at: usize, offset: u64, n: usize) -> Result<&[u8]> {
        let inside = |w: &(usize, u64, Vec<u8>)| {
            w.0 == at && w.1 <= offset && offset + n as u64 <= w.1 + w.2.len() as u64
        };
        if !inside(&self.window)
            && let Some((path, file, len)) = self.files.get(at)
        {
            let wanted = (n.max(WINDOW) as u64).min(len.saturating_sub(offset)) as usize;
            let mut buf = std::mem::take(&mut self.window.2);
            buf.clear();
            buf.resize(wanted, 0);
            file.read_at(&mut buf, offset).map_err(Error::io("reading", path))?;
            self.window = (at, offset, buf);
        }
        let from = (offset - self.window.1) as usize;
        let place = self.files.get(at).map_or(Path::new("chunks"), |f| &f.0);
        self.window.2.get(from..from + n).ok_or_else(|| Error::corrupt(place, offset, SHORT))
    }
}
