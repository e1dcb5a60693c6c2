//! `tombstones`: ranges of time deleted from series and not yet removed from the chunks.
//!
//! ```text
//! | magic 0x0130BA30 | version 1: 8 | series: uvarint, first: varint, last: varint | ... | CRC-32C: 32 |
//! ```
//! The checksum covers the entries only.

use std::{collections::BTreeMap, path::Path};

use crate::{
    Error, Fault, Result,
    cursor::{Cursor, SHORT},
};

const MAGIC: u32 = 0x0130_BA30;
/// An entry takes three bytes at least; millions fit.
const MAX_BYTES: u64 = 1 << 30;

/// Deleted ranges by series reference, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<u64, Vec<(i64, i64)>>);

impl Tombstones {
    /// Reads the file of a block; none means that nothing is deleted.
    pub fn open(block: &Path) -> Result<Self> {
        let path = block.join("tombstones");
        let bytes = match std::fs::metadata(&path) {
            Ok(m) if m.len() > MAX_BYTES => {
                return Err(Error::corrupt(&path, MAX_BYTES, format!("it has {} bytes", m.len())));
            }
            Ok(_) => std::fs::read(&path).map_err(Error::io("reading", &path))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Tombstones::default()),
            Err(e) => return Err(Error::io("reading", &path)(e)),
        };
        Self::parse(&bytes).map_err(|what| Error::corrupt(&path, 0, what))
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(SHORT)?;
        let mut c = Cursor(body);
        if c.u32()? != MAGIC {
            return Err("it does not begin with the magic number of tombstones");
        }
        if c.u8()? != 1 {
            return Err("its version is not known, only 1 is");
        }
        if crc32c::crc32c(c.0) != u32::from_be_bytes(*sum) {
            return Err("the checksum does not match");
        }
        let mut found: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
        while !c.is_empty() {
            let (series, first, last) = (c.uvarint()?, c.varint()?, c.varint()?);
            found.entry(series).or_default().push((first, last));
        }
        Ok(Tombstones(found))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The deleted ranges of a series.
    pub fn of(&self, series: u64) -> &[(i64, i64)] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }
}
