//! The seal: a checksum of every byte of the file, in pieces as small as readers read.
//!
//! ```text
//!            +---------------------+-----+---------+
//!   table    | length u32, crc u32 | ... | (n)     |   consecutive pieces from offset 0 to the seal
//!            +---------------------+-----+---------+
//!   trailer  | n u32 | version u32 | table crc u32 | footer crc u32 | trailer crc u32 | "ORRYSEAL" |
//!            +-------+-------------+---------------+----------------+-----------------+------------+
//! ```
//! Little-endian. Checksums are CRC-32C: table crc over the table, footer crc over the Parquet footer with
//! its length and magic, trailer crc over the trailer's 16 bytes before it. The trailer stands directly before the footer, so a reader that
//! knows the footer's length finds it; the seal is put in after the Parquet writer has finished, which moves
//! no offset because the footer names only what lies before.

use std::ops::Range;

use bytes::Bytes;

const MAGIC: &[u8; 8] = b"ORRYSEAL";

pub(crate) const TRAILER_BYTES: u64 = 28;
const ENTRY_BYTES: u64 = 8;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Trailer {
    pub pieces: u32,
    pub version: u32,
    pub table_crc: u32,
}

impl Trailer {
    /// `before` ends with the trailer, `footer` is what follows it. The error says what was expected.
    pub fn decode(before: &[u8], footer: &[u8]) -> Result<Self, String> {
        let t = before.last_chunk::<28>().ok_or("a seal before the footer")?;
        let word =
            |i: usize| t.get(i * 4..i * 4 + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        if !t.ends_with(MAGIC) {
            return Err("a seal before the footer".to_owned());
        }
        if crc32c::crc32c(t.get(..16).unwrap_or_default()) != word(4) {
            return Err("the seal's trailer to have its checksum".to_owned());
        }
        if crc32c::crc32c(footer) != word(3) {
            return Err("a footer with the checksum in the seal".to_owned());
        }
        Ok(Trailer { pieces: word(0), version: word(1), table_crc: word(2) })
    }

    pub fn table_bytes(self) -> u64 {
        u64::from(self.pieces) * ENTRY_BYTES
    }

    /// Reads the table at the start of `bytes`; its pieces must end where the seal begins.
    pub fn regions(self, bytes: &[u8], seal_start: u64) -> Result<Regions, String> {
        let table = bytes.get(..self.table_bytes() as usize).ok_or("a complete seal table")?;
        if crc32c::crc32c(table) != self.table_crc {
            return Err("a seal table with its checksum".to_owned());
        }
        let mut ends = Vec::with_capacity(self.pieces as usize);
        let mut crcs = Vec::with_capacity(self.pieces as usize);
        let mut at = 0u64;
        for entry in table.chunks_exact(8) {
            let (len, crc) = entry.split_at(4);
            at += u64::from(len.try_into().map_or(0, u32::from_le_bytes));
            ends.push(at);
            crcs.push(crc.try_into().map_or(0, u32::from_le_bytes));
        }
        if at != seal_start {
            return Err(format!("the sealed pieces to end at {seal_start}, not {at}"));
        }
        Ok(Regions { ends, crcs })
    }
}

/// The checksummed pieces of a file, in order.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    ends: Vec<u64>,
    crcs: Vec<u32>,
}

impl Regions {
    /// The smallest run of whole pieces that holds `range`; `None` where the range leaves the sealed bytes.
    pub fn cover(&self, range: &Range<u64>) -> Option<Range<u64>> {
        if range.start >= range.end {
            return None;
        }
        let first = self.ends.partition_point(|e| *e <= range.start);
        let last = self.ends.partition_point(|e| *e < range.end);
        let end = *self.ends.get(last)?;
        Some(self.start_of(first)..end)
    }

    fn start_of(&self, piece: usize) -> u64 {
        piece.checked_sub(1).and_then(|i| self.ends.get(i)).copied().unwrap_or(0)
    }

    /// Checks all pieces in `bytes`, which begin at piece boundary `start`. The error is the first bad range.
    pub fn verify(&self, start: u64, bytes: &Bytes) -> Result<(), Range<u64>> {
        let mut piece = self.ends.partition_point(|e| *e <= start);
        let mut at = 0usize;
        while at < bytes.len() {
            let from = start + at as u64;
            let bad = from..start + bytes.len() as u64;
            let (Some(end), Some(crc)) = (self.ends.get(piece), self.crcs.get(piece)) else {
                return Err(bad);
            };
            let len = (end - from) as usize;
            let Some(data) = bytes.get(at..at + len) else { return Err(bad) };
            if crc32c::crc32c(data) != *crc {
                return Err(from..*end);
            }
            at += len;
            piece += 1;
        }
        Ok(())
    }

    pub fn heap_bytes(&self) -> usize {
        self.ends.len() * 12
    }
}

/// The seal for `body` (everything before it), cut at `cuts`, in front of `footer`. `None` when a piece is
/// 4 GiB or larger.
pub(crate) fn encode(body: &[u8], mut cuts: Vec<u64>, footer: &[u8], version: u32) -> Option<Vec<u8>> {
    cuts.push(body.len() as u64);
    cuts.sort_unstable();
    cuts.dedup();
    let mut table = Vec::with_capacity(cuts.len() * 8 + TRAILER_BYTES as usize);
    let mut at = 0u64;
    for cut in cuts.into_iter().filter(|c| *c > 0 && *c <= body.len() as u64) {
        let piece = body.get(at as usize..cut as usize)?;
        table.extend_from_slice(&u32::try_from(piece.len()).ok()?.to_le_bytes());
        table.extend_from_slice(&crc32c::crc32c(piece).to_le_bytes());
        at = cut;
    }
    let (pieces, table_crc) = (u32::try_from(table.len() / 8).ok()?, crc32c::crc32c(&table));
    let mut trailer = Vec::with_capacity(TRAILER_BYTES as usize);
    for word in [pieces, version, table_crc, crc32c::crc32c(footer)] {
        trailer.extend_from_slice(&word.to_le_bytes());
    }
    let crc = crc32c::crc32c(&trailer);
    trailer.extend_from_slice(&crc.to_le_bytes());
    trailer.extend_from_slice(MAGIC);
    table.extend_from_slice(&trailer);
    Some(table)
}
