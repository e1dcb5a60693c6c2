//! One segment file: a header, then frames without gaps. Integers are little-endian.
//!
//! ```text
//!  0                          8            12                          20
//! +--------------------------+------------+---------------------------+
//! | magic "ORRERYLG"         | version(1) | segment number (u64)      |
//! +--------------------------+------------+---------------------------+
//! | end of the previous segment (u64)     | salt (u64)                |
//! +---------------------------------------+---------------------------+
//! | crc32c of bytes 0..36 (u32) |  frames ...
//! +-----------------------------+ 40
//! ```
//! File name: the number in 20 digits, `.log`. Numbers are consecutive; the oldest files go away.
//!
//! The header names where the previous segment ends. Bytes there beyond that end are the rest of a write
//! that was answered with an error; fewer bytes are damage. So a segment can be closed for good even when
//! the disk refuses to truncate it.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path, PathBuf},
};

use crate::{DiskFile, Error, Result};

/// Length of a segment header; the first frame lies here.
pub const HEADER: u64 = 40;

const MAGIC: &[u8; 8] = b"ORRERYLG";
const VERSION: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub number: u64,
    pub previous_end: u64,
    pub salt: u64,
}

pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}

/// The number in a file name; `None` for files that are not segments.
pub fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// A salt nobody outside can know. It decides nothing but checksums, so it need not be reproducible.
pub fn new_salt() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub fn encode(h: &Header) -> [u8; HEADER as usize] {
    let mut out = [0u8; HEADER as usize];
    out[0..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..20].copy_from_slice(&h.number.to_le_bytes());
    out[20..28].copy_from_slice(&h.previous_end.to_le_bytes());
    out[28..36].copy_from_slice(&h.salt.to_le_bytes());
    let crc = crc32c::crc32c(&out[..36]);
    out[36..40].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Reads and checks the header of segment `number`. `Ok(None)`: the file ends inside the header or holds
/// nothing but a broken one, as after a crash while it was created; no frame was ever in it.
pub fn read_header(file: &dyn DiskFile, path: &Path, number: u64) -> Result<Option<Header>> {
    let len = file.len().map_err(Error::io("read the length of", path))?;
    let mut b = [0u8; HEADER as usize];
    let n = file.read_at(&mut b, 0).map_err(Error::io("read", path))?;
    if n < b.len() {
        return Ok(None);
    }
    let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| b[at + i]));
    let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| b[at + i]));
    if u32_at(36) != crc32c::crc32c(&b[..36]) {
        return match len {
            HEADER => Ok(None),
            _ => Err(Error::corrupt(path, 0, "segment header checksum does not match")),
        };
    }
    if b[0..8] != *MAGIC {
        return Err(Error::corrupt(path, 0, "not a log segment"));
    }
    if u32_at(8) != VERSION {
        return Err(Error::NewerFormat { path: path.to_owned(), found: u32_at(8), known: VERSION });
    }
    if u64_at(12) != number {
        return Err(Error::corrupt(path, 12, format!("it says that it is segment {}", u64_at(12))));
    }
    Ok(Some(Header { number, previous_end: u64_at(20), salt: u64_at(28) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_these_bytes() {
        let h = Header { number: 3, previous_end: 4096, salt: 0x0102_0304_0506_0708 };
        let hex: String = encode(&h).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, FIXTURE_V1);
    }

    #[test]
    fn only_segment_names_have_a_number() {
        assert_eq!(number("00000000000000000012.log"), Some(12));
        for other in ["lock", "12.log", "00000000000000000012.tmp", "99999999999999999999.log"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    const FIXTURE_V1: &str =
        "4f52524552594c4701000000030000000000000000100000000000000807060504030201062dae4e";
}
