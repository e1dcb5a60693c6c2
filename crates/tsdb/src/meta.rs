//! `meta.json`: what a block says about itself.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Result};

/// Larger ones are not read: thousands of parents fit into this.
const MAX_BYTES: u64 = 16 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    pub ulid: String,
    /// First millisecond of the block, and the one behind its last.
    pub min_time: i64,
    pub max_time: i64,
    #[serde(default)]
    pub stats: Stats,
    #[serde(default)]
    pub compaction: Compaction,
    pub version: u32,
    /// What Thanos adds.
    #[serde(default)]
    pub thanos: Option<Thanos>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    pub num_samples: u64,
    pub num_series: u64,
    pub num_chunks: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Compaction {
    pub level: u32,
    /// Blocks this one was made of; they are superseded by it even where they still exist.
    pub parents: Vec<Parent>,
    /// The blocks of scraped samples it goes back to; itself where it was never compacted.
    pub sources: Vec<String>,
    /// Nothing of the block is left.
    pub deletable: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Parent {
    pub ulid: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Thanos {
    /// Labels of the Prometheus the block came from; they are not in the index.
    pub labels: std::collections::BTreeMap<String, String>,
    pub downsample: Downsample,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Downsample {
    /// 0 for what was scraped, else milliseconds.
    pub resolution: i64,
}

pub fn path(block: &Path) -> PathBuf {
    block.join("meta.json")
}

/// Reads and checks the file. Downsampled blocks hold aggregates, not samples, and are refused.
pub fn read(block: &Path) -> Result<Meta> {
    let path = path(block);
    let bytes = std::fs::metadata(&path).map_err(Error::io("reading", &path))?.len();
    if bytes > MAX_BYTES {
        return Err(Error::corrupt(&path, MAX_BYTES, format!("it has {bytes} bytes")));
    }
    let text = std::fs::read(&path).map_err(Error::io("reading", &path))?;
    let meta = parse(&text).map_err(|what| Error::corrupt(&path, 0, what))?;
    let unsupported = |what: String| Err(Error::Unsupported { path: path.clone(), what });
    if meta.version != 1 {
        return unsupported(format!("meta version {} is not known, only 1 is", meta.version));
    }
    match meta.thanos.as_ref().map_or(0, |t| t.downsample.resolution) {
        0 => Ok(meta),
        ms => unsupported(format!("the block is downsampled to {ms} ms and holds no samples")),
    }
}

pub fn parse(text: &[u8]) -> Result<Meta, String> {
    serde_json::from_slice(text).map_err(|e| format!("it is not the description of a block: {e}"))
}
