//! Metrics segments.

use std::sync::Arc;

use futures::stream::BoxStream;
use model::{Exemplar, Histogram, Labels, Matcher, MetricMetadata, TimeRange};
use object_store::{ObjectStore, path::Path};

use crate::{Error, Result, SegmentInfo, Written};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    pub origin_ms: i64,
    pub width_ms: i64,
    pub count: u32,
}

impl Default for Chunks {
    fn default() -> Self {
        Chunks { origin_ms: 0, width_ms: i64::MAX, count: 1 }
    }
}

/// Writes a segment of series in strictly ascending order of labels.
///
/// `Invalid` names the series that is out of order, or whose samples are.
pub fn write(series: Vec<SeriesRows>, options: &WriteOptions) -> Result<Written> {
    let mut w = Writer::new(&LabelColumns::of(series.iter().map(|s| &s.labels)), options)?;
    for s in &series {
        w.push(s)?;
    }
    w.finish()
}

/// Which labels get a column of their own; made from the labels of all series to come.
#[derive(Debug, Clone, Default)]
pub struct LabelColumns {}

impl LabelColumns {
    pub fn of<'a>(labels: impl IntoIterator<Item = &'a Labels>) -> Self {
        let _ = labels;
        LabelColumns {}
    }
}

/// Streaming form of [`write`]: holds the encoded file, not the samples. For compaction.
pub struct Writer {}

impl Writer {
    pub fn new(columns: &LabelColumns, options: &WriteOptions) -> Result<Self> {
        let _ = (columns, options);
        Err(Error::Encode("not there yet".into()))
    }

    pub fn push(&mut self, series: &SeriesRows) -> Result<()> {
        let _ = series;
        Ok(())
    }

    /// Bytes of the file so far, for splitting outputs.
    pub fn bytes(&self) -> usize {
        0
    }

    pub fn finish(self) -> Result<Written> {
        Err(Error::Encode("not there yet".into()))
    }
}

/// An open metrics segment. Cheap to clone; holds the footer, reads everything else by range when asked.
#[derive(Clone)]
pub struct Reader {}

impl Reader {
    /// Reads and checks the footer.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Result<Self> {
        let _ = (store, size);
        Err(Error::corrupt(path, "not there yet"))
    }

    pub fn info(&self) -> &SegmentInfo {
        unreachable!()
    }

    /// Bytes held by the reader, for caches.
    pub fn heap_bytes(&self) -> usize {
        0
    }

    /// Series that satisfy all matchers, cut to the range, in ascending order of labels; series without a
    /// sample in the range are left out, exemplars are not read. Lazy: each poll reads a bounded number of rows.
    pub fn select(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxStream<'static, Result<SeriesRows>> {
        let _ = (matchers, range);
        unreachable!()
    }

    /// Everything, exemplars included, in ascending order of labels: the input of compaction.
    pub fn scan(&self) -> BoxStream<'static, Result<SeriesRows>> {
        unreachable!()
    }

    /// Label sets of series with a chunk that overlaps the range and that satisfy one of the selectors (all
    /// series where there is none). Sorted.
    pub async fn label_sets(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<Labels>> {
        let _ = (selectors, range);
        unreachable!()
    }

    /// Names of labels on those series, sorted.
    pub async fn label_names(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<String>> {
        let _ = (selectors, range);
        unreachable!()
    }

    /// Values of one label on those series, sorted.
    pub async fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>> {
        let _ = (name, selectors, range);
        unreachable!()
    }

    /// Exemplars in the range of series that satisfy one of the selectors, by series in order of labels.
    pub async fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>> {
        let _ = (selectors, range);
        unreachable!()
    }

    pub async fn metadata(&self) -> Result<Vec<MetricMetadata>> {
        unreachable!()
    }
}
