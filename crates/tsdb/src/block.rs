//! A block: the samples of many series over some hours.

use std::path::{Path, PathBuf};

use crate::{Error, Index, Meta, Points, Result, Series, meta, segments::Segments, tombstones::Tombstones};

/// An open block. Files stay open as long as it lives, so a block that Prometheus deletes meanwhile stays
/// readable.
pub struct Block {
    dir: PathBuf,
    meta: Meta,
    index: Index,
    segments: Segments,
    tombstones: Tombstones,
}

/// What lies in a data directory.
#[derive(Debug, Default)]
pub struct Found {
    /// Blocks to read, by time.
    pub blocks: Vec<(PathBuf, Meta)>,
    /// Blocks left out because another one holds what they held.
    pub superseded: usize,
    /// Directories named like blocks that lack their description: Prometheus does not read them either.
    pub undescribed: Vec<PathBuf>,
    /// There is a write-ahead log: its newest samples are in no block yet.
    pub has_log: bool,
}

/// Finds the blocks in `dir`, which is a data directory of Prometheus, a snapshot, or a block itself.
pub fn blocks(dir: &Path) -> Result<Found> {
    let mut found = Found { has_log: dir.join("wal").is_dir(), ..Found::default() };
    if meta::path(dir).is_file() {
        found.blocks.push((dir.to_owned(), meta::read(dir)?));
        return Ok(found);
    }
    for entry in std::fs::read_dir(dir).map_err(Error::io("listing", dir))? {
        let path = entry.map_err(Error::io("listing", dir))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        match is_ulid(name) && path.is_dir() {
            true if meta::path(&path).is_file() => found.blocks.push((path.clone(), meta::read(&path)?)),
            true => found.undescribed.push(path),
            false => {}
        }
    }
    found.undescribed.sort();
    let parents: Vec<String> =
        found.blocks.iter().flat_map(|(_, m)| m.compaction.parents.iter().map(|p| p.ulid.clone())).collect();
    let before = found.blocks.len();
    found.blocks.retain(|(_, m)| !m.compaction.deletable && !parents.contains(&m.ulid));
    found.superseded = before - found.blocks.len();
    found
        .blocks
        .sort_by(|(_, a), (_, b)| (a.min_time, a.max_time, &a.ulid).cmp(&(b.min_time, b.max_time, &b.ulid)));
    Ok(found)
}

/// 26 characters of Crockford's base 32; blocks being written have a suffix.
fn is_ulid(name: &str) -> bool {
    name.len() == 26 && name.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

impl Block {
    pub fn open(dir: &Path) -> Result<Block> {
        Ok(Block {
            meta: meta::read(dir)?,
            index: Index::open(dir)?,
            segments: Segments::open(dir)?,
            tombstones: Tombstones::open(dir)?,
            dir: dir.to_owned(),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    pub fn series_count(&self) -> usize {
        self.index.len()
    }

    /// The `n`th series in the order of labels; `None` past the last.
    pub fn series(&mut self, n: usize) -> Result<Option<Series>> {
        self.index.series(n)
    }

    /// The samples of a series from `first_ms` to `last_ms`, both included, ascending, without those that were
    /// deleted.
    pub fn read(&mut self, series: &Series, first_ms: i64, last_ms: i64) -> Result<Points> {
        let mut out = Points::default();
        let deleted = self.tombstones.of(series.reference);
        for c in series.chunks.iter().filter(|c| c.min_ms <= last_ms && c.max_ms >= first_ms) {
            out.append(self.segments.read(c.reference)?);
        }
        out.retain(|t| {
            (first_ms..=last_ms).contains(&t) && !deleted.iter().any(|(a, b)| (*a..=*b).contains(&t))
        });
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
