//! Metrics segments: one row per series and window.
//!
//! ```text
//! column        type              what
//! l_<label>     dictionary text   value of a label on more than 1 % of the series; null where absent
//! l_rest        dictionary text   the other labels as a JSON object
//! exemplars     text              [[time ms, value, {labels}], …] as typed JSON
//!
//! per chunk i (one, or several equal parts of the window):
//! n_i           u32               float samples;                h_n_i       u32   histogram samples
//! tmin_i tmax_i timestamp(ms)     of samples of both sorts; null without samples
//! ts_ref_i      u32               number of the group of times; h_ts_ref_i
//! s_data_i      bytes             float chunk, uncompressed;    h_data_i    histogram chunk
//! starts_i      bytes             integer chunk of counter starts, null where none is known; h_starts_i
//! first_i last_i min_i max_i sum_i increase_i f64, resets_i stale_i u32: summaries of chunks of 64 float
//!                                 samples and more, see [`summary`]
//! ```
//! Rows are in the order of [`Labels`]. Columns of labels are dictionaries, so a matcher is evaluated once
//! per distinct value; chunks are then fetched for the matching rows only.
//!
//! Blobs: `ts` holds the times, once per group of chunks that share identical ones ([`stamps`]);
//! `metadata` the metadata of metric families. Chunk bytes are laid out in [`crate::codec`].

mod cache;
mod columns;
mod decode;
mod labels;
mod matching;
mod packed;
mod reader;
mod stamps;
mod summary;
mod table;
mod writer;

use model::{Exemplar, Histogram, Labels, MetricMetadata};
use serde::{Deserialize, Serialize};

pub use cache::{ColumnCache, ColumnCacheStats};
pub use labels::LabelColumns;
pub use reader::Reader;
pub use writer::Writer;

use crate::{Result, Written};

/// One series' items inside a segment's window. Fields as in the read seam, so converting is moving.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesRows {
    pub labels: Labels,
    /// Float samples: parallel arrays, strictly ascending in time.
    pub timestamps_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// Start of each float sample's counter, 0 where unknown; empty means unknown for all.
    pub starts_ms: Vec<i64>,
    /// Native histogram samples, strictly ascending in time: (timestamp, start or 0, histogram).
    pub histograms: Vec<(i64, i64, Histogram)>,
    pub exemplars: Vec<Exemplar>,
}

#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    pub level: u8,
    /// How a series' samples are cut into chunk columns; one chunk by default.
    pub chunks: Chunks,
    /// Metadata of the families inside, kept in the segment.
    pub metadata: Vec<MetricMetadata>,
}

/// `count` chunk columns of `width_ms` each from `origin_ms`; samples outside fall into the first or last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    pub origin_ms: i64,
    pub width_ms: i64,
    pub count: u32,
}

/// Chunk columns a segment may have; each costs 18 Parquet columns.
pub const MAX_CHUNKS: u32 = 24;

impl Default for Chunks {
    fn default() -> Self {
        Chunks { origin_ms: 0, width_ms: i64::MAX, count: 1 }
    }
}

impl Chunks {
    /// The chunk a time falls into.
    pub fn of(&self, at_ms: i64) -> u32 {
        let offset = i128::from(at_ms) - i128::from(self.origin_ms);
        let chunk = offset.div_euclid(i128::from(self.width_ms.max(1)));
        chunk.clamp(0, i128::from(self.count.max(1)) - 1) as u32
    }
}

/// What the reader must know of the columns; the footer entry `orrery.layout`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Layout {
    /// Labels with a column.
    labels: Vec<String>,
    /// Labels that stand in `l_rest` somewhere; `None` where there are too many to list.
    rest: Option<Vec<String>>,
    chunks: Chunks,
}

/// Writes a segment of series in strictly ascending order of labels.
///
/// An `Invalid` error names the series that is out of order, or whose samples are.
pub fn write(series: Vec<SeriesRows>, options: &WriteOptions) -> Result<Written> {
    let columns = LabelColumns::of(series.iter().map(|s| &s.labels));
    let mut w = Writer::new(&columns, options)?;
    for s in series {
        w.push(&s)?;
    }
    w.finish()
}

#[cfg(test)]
mod tests;
