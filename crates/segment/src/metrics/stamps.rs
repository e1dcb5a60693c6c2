//! The blob `ts`: sample times, once per group of chunks that share identical ones.
//!
//! ```text
//! | groups u32 | offset u32 x (groups + 1) | entry ... |       entry = | n varint | integer chunk |
//! ```
//! Little-endian; offsets count from the first entry, the last one is the end. The blob is cut for the seal
//! after the directory and then about every 16 KiB at entry boundaries, so that some groups can be read
//! without the others.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::table::Columns;
use crate::{
    Error, Result,
    codec::{
        MAX_SAMPLES,
        bits::{Cursor, put_varint},
        ints,
    },
    file::{File, blob::Blob},
};

pub(super) const BLOB: &str = "ts";
const CUT_BYTES: usize = 16 << 10;

/// Collects groups while writing.
#[derive(Debug, Default)]
pub(super) struct StampsWriter {
    by_hash: HashMap<u128, u32>,
    offsets: Vec<u32>,
    entries: Vec<u8>,
}

impl StampsWriter {
    /// The group of these times, a new one if they are new.
    pub fn group(&mut self, stamps: &[i64]) -> Result<u32> {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        stamps.iter().for_each(|t| hasher.update(&t.to_le_bytes()));
        let hash = hasher.digest128();
        if let Some(group) = self.by_hash.get(&hash)
            && self.entry(*group).is_some_and(|e| decode_entry(e).as_deref() == Some(stamps))
        {
            return Ok(*group);
        }
        let too_many = || Error::Invalid("a segment's sample times take 4 GiB or more".to_owned());
        let group = u32::try_from(self.offsets.len()).map_err(|_| too_many())?;
        self.offsets.push(u32::try_from(self.entries.len()).map_err(|_| too_many())?);
        put_varint(&mut self.entries, stamps.len() as u64);
        ints::encode(stamps, &mut self.entries);
        if self.entry(group).and_then(decode_entry).as_deref() != Some(stamps) {
            return Err(Error::Encode("sample times do not come back from their own encoding".to_owned()));
        }
        self.by_hash.insert(hash, group);
        Ok(group)
    }

    fn entry(&self, group: u32) -> Option<&[u8]> {
        let start = *self.offsets.get(group as usize)? as usize;
        let end = self.offsets.get(group as usize + 1).map_or(self.entries.len(), |e| *e as usize);
        self.entries.get(start..end)
    }

    pub fn bytes(&self) -> usize {
        self.entries.len() + self.offsets.len() * 4
    }

    pub fn finish(self) -> Result<Blob> {
        let end = u32::try_from(self.entries.len())
            .map_err(|_| Error::Invalid("a segment's sample times take 4 GiB or more".to_owned()))?;
        let mut bytes = Vec::with_capacity(8 + self.bytes());
        bytes.extend_from_slice(&(self.offsets.len() as u32).to_le_bytes());
        self.offsets.iter().chain([&end]).for_each(|o| bytes.extend_from_slice(&o.to_le_bytes()));
        let directory = bytes.len();
        let mut cuts = vec![directory as u64];
        let mut last = 0usize;
        for offset in self.offsets.iter().map(|o| *o as usize) {
            if offset - last >= CUT_BYTES {
                cuts.push((directory + offset) as u64);
                last = offset;
            }
        }
        bytes.extend_from_slice(&self.entries);
        Ok(Blob { name: BLOB, bytes, cuts })
    }
}

fn decode_entry(bytes: &[u8]) -> Option<Vec<i64>> {
    let mut c = Cursor(bytes);
    let n = c.count(MAX_SAMPLES)?;
    ints::decode(c.0, n)
}

/// Reads groups; the directory is read once.
#[derive(Debug, Default)]
pub(super) struct StampsReader {
    directory: OnceCell<Bytes>,
}

/// Decoded groups of one batch of rows.
pub(super) type Groups = HashMap<u32, Arc<Vec<i64>>>;

impl StampsReader {
    /// Adds the groups named to `held`; what is not kept among the columns is read, in one round trip.
    pub async fn load(
        &self,
        file: &File,
        columns: &Columns,
        wanted: &[u32],
        held: &mut Groups,
    ) -> Result<()> {
        let mut missing: Vec<u32> = wanted.iter().copied().filter(|g| !held.contains_key(g)).collect();
        missing.sort_unstable();
        missing.dedup();
        held.extend(columns.times(&missing));
        missing.retain(|g| !held.contains_key(g));
        if missing.is_empty() {
            return Ok(());
        }
        let blob = file.blob_ref(BLOB).ok_or_else(|| file.corrupt("a blob ts"))?;
        let directory = self.directory.get_or_try_init(|| read_directory(file)).await?;
        let ranges = missing
            .iter()
            .map(|g| {
                let r = entry_range(directory, *g).filter(|r| r.end <= blob.length);
                let r = r.ok_or_else(|| file.corrupt(format!("a group of times {g} in the blob ts")))?;
                Ok(blob.offset + r.start..blob.offset + r.end)
            })
            .collect::<Result<Vec<_>>>()?;
        let entries = file.source.read_many(ranges).await?;
        for (g, bytes) in missing.into_iter().zip(entries) {
            let stamps = decode_entry(&bytes)
                .ok_or_else(|| file.corrupt(format!("group {g} of the blob ts to decode")))?;
            let stamps = Arc::new(stamps);
            columns.keep_times(g, &stamps);
            held.insert(g, stamps);
        }
        Ok(())
    }

    pub fn heap_bytes(&self) -> usize {
        self.directory.get().map_or(0, Bytes::len)
    }
}

async fn read_directory(file: &File) -> Result<Bytes> {
    let blob = file.blob_ref(BLOB).ok_or_else(|| file.corrupt("a blob ts"))?;
    let short = || file.corrupt("a directory in the blob ts");
    let head = file.source.read(blob.offset..blob.offset + 4.min(blob.length)).await?;
    let groups = head.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)).ok_or_else(short)?;
    let length = 4 + 4 * (u64::from(groups) + 1);
    if length > blob.length {
        return Err(short());
    }
    // A copy, so that the cache does not keep a larger read alive.
    Ok(Bytes::copy_from_slice(&file.source.read(blob.offset..blob.offset + length).await?))
}

/// Where a group's entry lies in the blob.
fn entry_range(directory: &[u8], group: u32) -> Option<Range<u64>> {
    let at = 4usize.checked_add(4usize.checked_mul(group as usize)?)?;
    let word = |at: usize| directory.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (start, end) = (word(at)?, word(at + 4)?);
    let base = directory.len() as u64;
    (start < end).then_some(base + u64::from(start)..base + u64::from(end))
}
