//! `index`: which series a block has and where their chunks lie.
//!
//! ```text
//! | magic 0xBAAAD700 | version: 8 | symbols | series ... | label indexes | postings ... | tables | contents |
//! symbols   | length: 32 | count: 32 | (length: uvarint, text) ... | CRC-32C |
//! series    | length: uvarint | labels: uvarint | (name, value: uvarint symbol) ...
//!           | chunks: uvarint | first: varint, last - first: uvarint, reference: uvarint
//!           | then first - last before: uvarint, last - first: uvarint, reference - before: varint ... | CRC-32C |
//! postings  | length: 32 | count: 32 | series: 32 ... | CRC-32C |
//! contents  | symbols | series | label indexes | their table | postings | their table: 64 each | CRC-32C |
//! ```
//! Versions: 1 names symbols and series by their offset in the file, 2 and 3 symbols by their number and series by
//! a sixteenth of their offset. The list of all series stands in the postings of the pair ("", "").

mod symbols;

use std::path::{Path, PathBuf};

use model::Labels;

use self::symbols::Symbols;
use crate::{
    Error, Fault, Result, Source,
    cursor::{Cursor, SHORT, uvarint},
};

const MAGIC: u32 = 0xBAAA_D700;
const CONTENTS: u64 = 6 * 8 + 4;
/// A series entry larger than this is damaged: it would name a million chunks.
const MAX_SERIES: usize = 64 << 20;
/// How much is read at once while going through neighbouring entries.
const WINDOW: usize = 256 << 10;

/// One series of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What tombstones call it.
    pub reference: u64,
    pub labels: Labels,
    pub chunks: Vec<ChunkRef>,
}

/// Where a chunk lies, and its first and last sample's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    pub reference: u64,
    pub min_ms: i64,
    pub max_ms: i64,
}

/// An open index. Holds the symbols and four bytes a series in memory.
pub struct Index<S = std::fs::File> {
    path: PathBuf,
    source: S,
    len: u64,
    version: u8,
    symbols: Symbols,
    /// References of all series, in the order of their labels.
    all: Vec<u32>,
    window: (u64, Vec<u8>),
}

struct Contents {
    symbols: u64,
    postings_table: u64,
}

impl Index<std::fs::File> {
    pub fn open(block: &Path) -> Result<Self> {
        let path = block.join("index");
        let file = std::fs::File::open(&path).map_err(Error::io("opening", &path))?;
        Index::new(path, file)
    }
}

impl<S: Source> Index<S> {
    /// Reads the contents, the symbols and the list of series. `path` is for messages.
    pub fn new(path: PathBuf, source: S) -> Result<Self> {
        let len = source.len().map_err(Error::io("reading the length of", &path))?;
        let bad = |offset, what: &str| Error::corrupt(&path, offset, what);
        if len < 5 + CONTENTS {
            return Err(bad(len, "an index cannot be so short"));
        }
        let mut head = [0u8; 5];
        source.read_at(&mut head, 0).map_err(Error::io("reading", &path))?;
        let mut c = Cursor(&head);
        if c.u32().map_err(|f| bad(0, f))? != MAGIC {
            return Err(bad(0, "it does not begin with the magic number of an index"));
        }
        let version = c.u8().map_err(|f| bad(4, f))?;
        if !(1..=3).contains(&version) {
            let what = format!("index version {version} is not known, only 1 to 3 are");
            return Err(Error::Unsupported { path, what });
        }
        let mut index = Index {
            symbols: Symbols::default(),
            all: Vec::new(),
            window: (0, Vec::new()),
            path,
            source,
            len,
            version,
        };
        let contents = index.contents()?;
        if contents.symbols > 0 {
            let section = index.section(contents.symbols)?;
            let base = if version == 1 { Some(contents.symbols + 4) } else { None };
            index.symbols =
                Symbols::parse(section, base).map_err(|what| index.bad(contents.symbols, what))?;
        }
        if contents.postings_table > 0 {
            index.all = index.all_series(contents.postings_table)?;
        }
        Ok(index)
    }

    pub fn version(&self) -> u8 {
        self.version
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn bad(&self, offset: u64, what: impl Into<String>) -> Error {
        Error::corrupt(&self.path, offset, what)
    }

    fn exact(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.source.read_at(buf, offset).map_err(Error::io("reading", &self.path))
    }

    fn contents(&self) -> Result<Contents> {
        let at = self.len - CONTENTS;
        let mut buf = [0u8; CONTENTS as usize];
        self.exact(&mut buf, at)?;
        let read = || -> Result<Contents, Fault> {
            let (body, sum) = buf.split_last_chunk::<4>().ok_or(SHORT)?;
            if crc32c::crc32c(body) != u32::from_be_bytes(*sum) {
                return Err("the checksum of the table of contents does not match");
            }
            let mut c = Cursor(body);
            let symbols = c.u64()?;
            c.take(4 * 8)?;
            Ok(Contents { symbols, postings_table: c.u64()? })
        };
        read().map_err(|what| self.bad(at, what))
    }

    /// The bytes of a section that begins with its length, checked.
    fn section(&self, offset: u64) -> Result<Vec<u8>> {
        let room = self.len.checked_sub(offset).and_then(|r| r.checked_sub(8));
        let room = room.ok_or_else(|| self.bad(offset, "a section lies beyond the end of the file"))?;
        let mut head = [0u8; 4];
        self.exact(&mut head, offset)?;
        let len = u64::from(u32::from_be_bytes(head));
        if len > room {
            return Err(
                self.bad(offset, format!("a section of {len} bytes reaches beyond the end of the file"))
            );
        }
        let mut buf = vec![0u8; len as usize + 4];
        self.exact(&mut buf, offset + 4)?;
        let sum = buf.split_off(len as usize);
        if crc32c::crc32c(&buf) != Cursor(&sum).u32().unwrap_or_default() {
            return Err(self.bad(offset, "the checksum of a section does not match"));
        }
        Ok(buf)
    }

    /// The series of the pair ("", ""). Only version 1 may have it elsewhere than first.
    fn all_series(&mut self, table: u64) -> Result<Vec<u32>> {
        let entries = self.section(table)?;
        let find = || -> Result<Option<u64>, Fault> {
            let mut c = Cursor(&entries);
            for _ in 0..c.u32()? {
                if c.uvarint()? != 2 {
                    return Err("an entry of the postings table is not about a pair");
                }
                let (name, value, offset) = (c.text()?, c.text()?, c.uvarint()?);
                if name.is_empty() && value.is_empty() {
                    return Ok(Some(offset));
                }
            }
            Ok(None)
        };
        let Some(offset) = find().map_err(|what| self.bad(table, what))? else {
            return Err(self.bad(table, "the list of all series is missing"));
        };
        let list = self.section(offset)?;
        let read = || -> Result<Vec<u32>, Fault> {
            let mut c = Cursor(&list);
            let n = c.u32()? as usize;
            if n.checked_mul(4) != Some(c.0.len()) {
                return Err("a list of series is not as long as it says");
            }
            Ok(c.0.chunks_exact(4).map(|b| b.iter().fold(0u32, |n, b| n << 8 | u32::from(*b))).collect())
        };
        read().map_err(|what| self.bad(offset, what))
    }

    /// The `n`th series; `None` past the last. Going through them in order reads the file once.
    pub fn series(&mut self, n: usize) -> Result<Option<Series>> {
        let Some(&reference) = self.all.get(n) else { return Ok(None) };
        let reference = u64::from(reference);
        let offset = if self.version == 1 { reference } else { reference * 16 };
        let place = self.path.clone();
        let bad = |what: Fault| Error::corrupt(&place, offset, format!("series: {what}"));
        let room = self.len.saturating_sub(offset);
        let head = self.window_at(offset, room.min(10) as usize)?;
        let mut used = 0;
        let mut bytes = head.iter();
        let len = uvarint(|| {
            used += 1;
            bytes.next().copied().ok_or(SHORT)
        })
        .map_err(bad)?;
        let len =
            usize::try_from(len).ok().filter(|l| *l <= MAX_SERIES).ok_or_else(|| bad("it is too long"))?;
        let whole = used + len + 4;
        if whole as u64 > room {
            return Err(bad("it reaches beyond the end of the file"));
        }
        let entry = self.window_at(offset, whole)?.get(used..).unwrap_or_default().to_vec();
        let mut c = Cursor(&entry);
        let body = c.take(len).map_err(bad)?;
        if crc32c::crc32c(body) != c.u32().map_err(bad)? {
            return Err(bad("the checksum does not match"));
        }
        let (labels, chunks) = parse_series(body, &self.symbols).map_err(bad)?;
        Ok(Some(Series { reference, labels, chunks }))
    }

    fn window_at(&mut self, offset: u64, n: usize) -> Result<&[u8]> {
        let (start, held) = (self.window.0, self.window.1.len() as u64);
        if offset < start || offset + n as u64 > start + held {
            let wanted = (n.max(WINDOW) as u64).min(self.len.saturating_sub(offset)) as usize;
            let mut buf = vec![0u8; wanted];
            self.exact(&mut buf, offset)?;
            self.window = (offset, buf);
        }
        let from = (offset - self.window.0) as usize;
        self.window.1.get(from..from + n).ok_or_else(|| Error::corrupt(&self.path, offset, SHORT))
    }
}

fn parse_series(body: &[u8], symbols: &Symbols) -> Result<(Labels, Vec<ChunkRef>), Fault> {
    let mut c = Cursor(body);
    let n = c.uvarint()?;
    let mut pairs = Vec::with_capacity(n.min(c.0.len() as u64) as usize);
    for _ in 0..n {
        pairs.push((symbols.get(c.uvarint()?)?, symbols.get(c.uvarint()?)?));
    }
    let labels = match Labels::from_sorted(pairs.iter().copied()) {
        Some(l) => l,
        // Prometheus sorts; what does not is read all the same.
        None => Labels::from_pairs(pairs),
    };
    let n = c.uvarint()?;
    let mut chunks: Vec<ChunkRef> = Vec::with_capacity(n.min(c.0.len() as u64 / 3) as usize);
    for _ in 0..n {
        let (min_ms, reference_base) = match chunks.last() {
            None => (c.varint()?, None),
            Some(last) => (last.max_ms.wrapping_add(c.uvarint()? as i64), Some(last.reference)),
        };
        let max_ms = min_ms.wrapping_add(c.uvarint()? as i64);
        let reference = match reference_base {
            None => c.uvarint()?,
            Some(before) => before.wrapping_add(c.varint()? as u64),
        };
        if max_ms < min_ms {
            return Err("a chunk ends before it begins");
        }
        chunks.push(ChunkRef { reference, min_ms, max_ms });
    }
    Ok((labels, chunks))
}

/// Parses the same bytes as symbols and as a series, which their checksums keep a fuzzer from reaching.
pub fn fuzz(data: &[u8]) {
    let (split, data) = data.split_first().map_or((0, data), |(s, d)| (usize::from(*s), d));
    let (symbols, series) = data.split_at(split.min(data.len()));
    for base in [None, Some(0)] {
        if let Ok(symbols) = Symbols::parse(symbols.to_vec(), base) {
            let _ = parse_series(series, &symbols);
        }
    }
}

#[cfg(test)]
mod tests;
