//! Series in, segment out.

use model::{AnyValue, Attributes, Exemplar, Histogram, MetricMetadata, Signal, TimeRange, TimestampMs};

use super::{
    Chunks, LabelColumns, Layout, MAX_CHUNKS, SeriesRows, WriteOptions,
    columns::{ChunkRow, RowBuilders, SUMMARY_SAMPLES, schema, write_properties},
    stamps::StampsWriter,
    summary::Summary,
};
use crate::{
    Error, FORMAT_VERSION, Result, SegmentInfo, Written,
    codec::{MAX_SAMPLES, floats, histograms, ints},
    file::{blob::Blob, writer::FileWriter},
    text,
};

/// Rows of a row group at most. A reader looks at label columns one row group at a time; larger means fewer
/// round trips and more memory per read.
const GROUP_ROWS: usize = 32 << 10;
/// A row group also ends after this many encoded bytes, which bounds what a scan holds.
const GROUP_BYTES: usize = 32 << 20;
/// Rows handed to the Parquet writer at once.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 4 << 20;

/// Streaming form of [`super::write`]: holds the encoded file, not the samples. For compaction.
pub struct Writer {
    file: FileWriter,
    rows: RowBuilders,
    group_rows: usize,
    stamps: StampsWriter,
    labels: Vec<String>,
    layout: Layout,
    metadata: Vec<MetricMetadata>,
    info: SegmentInfo,
    last: Option<model::Labels>,
    times: Option<(i64, i64)>,
}

impl Writer {
    pub fn new(columns: &LabelColumns, options: &WriteOptions) -> Result<Self> {
        let chunks = options.chunks;
        if chunks.count == 0 || chunks.count > MAX_CHUNKS || chunks.width_ms <= 0 {
            return Err(Error::Invalid(format!(
                "{} chunks of {} ms: 1 to {MAX_CHUNKS} of a positive width are possible",
                chunks.count, chunks.width_ms
            )));
        }
        let schema = schema(&columns.names, chunks.count);
        Ok(Writer {
            file: FileWriter::new((&schema, schema.clone()), write_properties(chunks.count), 0)?,
            rows: RowBuilders::new(schema, columns.names.len(), chunks.count),
            group_rows: 0,
            stamps: StampsWriter::default(),
            labels: columns.names.clone(),
            layout: Layout { labels: columns.names.clone(), rest: columns.rest.clone(), chunks },
            metadata: options.metadata.clone(),
            info: SegmentInfo {
                signal: Signal::METRICS,
                format_version: FORMAT_VERSION,
                level: options.level,
                rows: 0,
                items: 0,
                bytes: 0,
                range: TimeRange::new(Default::default(), Default::default()),
                names: None,
                services: None,
            },
            last: None,
            times: None,
        })
    }

    /// Adds a series; labels must be greater than those before, times strictly ascending.
    pub fn push(&mut self, series: &SeriesRows) -> Result<()> {
        check(series, self.last.as_ref())?;
        let chunks = (0..self.layout.chunks.count)
            .map(|i| self.chunk(series, i))
            .collect::<Result<Vec<ChunkRow>>>()?;
        let rest = self.rest_of(series)?;
        let exemplars = encode_exemplars(&series.exemplars)?;
        for (lo, hi) in chunks.iter().filter_map(|c| c.times) {
            self.times = Some(self.times.map_or((lo, hi), |(a, b)| (a.min(lo), b.max(hi))));
        }
        self.rows.push(self.labels.iter().map(|l| series.labels.get(l)), rest, &chunks, exemplars);
        self.info.rows += 1;
        self.info.items += (series.values.len() + series.histograms.len()) as u64;
        let name = series.labels.metric_name();
        let (lo, hi) = self.info.names.get_or_insert_with(|| (name.to_owned(), name.to_owned()));
        if name < lo.as_str() {
            *lo = name.to_owned();
        }
        if name > hi.as_str() {
            *hi = name.to_owned();
        }
        self.last = Some(series.labels.clone());
        self.group_rows += 1;
        if self.rows.rows() >= BATCH_ROWS || self.rows.bytes() >= BATCH_BYTES {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Bytes of the file so far, for splitting outputs.
    pub fn bytes(&self) -> usize {
        self.file.bytes() + self.stamps.bytes() + self.rows.bytes()
    }

    pub fn finish(mut self) -> Result<Written> {
        self.write_batch()?;
        if let Some((first, last)) = self.times {
            self.info.range =
                TimeRange::new(TimestampMs(first).to_ns(), TimestampMs(last.saturating_add(1)).to_ns());
        }
        let mut blobs = vec![self.stamps.finish()?];
        if !self.metadata.is_empty() {
            blobs.push(Blob::whole("metadata", encode_metadata(&self.metadata)));
        }
        let layout = serde_json::to_string(&self.layout).map_err(|e| Error::Encode(e.to_string()))?;
        self.file.finish(blobs, layout, self.info)
    }

    fn write_batch(&mut self) -> Result<()> {
        if self.rows.rows() > 0 {
            let batch = self.rows.take()?;
            self.file.write(&batch)?;
        }
        if self.group_rows >= GROUP_ROWS || self.file.in_progress_bytes() >= GROUP_BYTES {
            self.file.flush()?;
            self.group_rows = 0;
        }
        Ok(())
    }

    /// Labels without a column as a JSON object.
    fn rest_of(&mut self, series: &SeriesRows) -> Result<Option<String>> {
        let mut rest = Attributes::default();
        for (n, v) in series.labels.iter() {
            if self.labels.binary_search_by(|l| l.as_str().cmp(n)).is_err() {
                rest.push(n, v);
                // A label the column plan was not shown: the list in the footer is no longer complete.
                if let Some(listed) = &self.layout.rest
                    && listed.binary_search_by(|l| l.as_str().cmp(n)).is_err()
                {
                    self.layout.rest = None;
                }
            }
        }
        if rest.is_empty() { Ok(None) } else { text::encode_pairs(rest.iter()).map(Some) }
    }

    fn chunk(&mut self, series: &SeriesRows, i: u32) -> Result<ChunkRow> {
        let chunks = self.layout.chunks;
        let mut row = ChunkRow::default();
        let floats = part(&chunks, i, &series.timestamps_ms, |t| *t);
        if !floats.is_empty() {
            let times = series.timestamps_ms.get(floats.clone()).unwrap_or_default();
            let values = series.values.get(floats.clone()).unwrap_or_default();
            let starts = series.starts_ms.get(floats).unwrap_or_default();
            row.n = times.len() as u32;
            row.ts_ref = Some(self.stamps.group(times)?);
            row.summary = (values.len() >= SUMMARY_SAMPLES).then(|| Summary::of(values));
            row.starts = encode_starts(starts)?;
            row.data = Some(encoded(|out| floats::encode(values, out)));
            widen(&mut row.times, times.first(), times.last());
        }
        let histograms = part(&chunks, i, &series.histograms, |h| h.0);
        if !histograms.is_empty() {
            let samples = series.histograms.get(histograms).unwrap_or_default();
            let times: Vec<i64> = samples.iter().map(|h| h.0).collect();
            let starts: Vec<i64> = samples.iter().map(|h| h.1).collect();
            let values: Vec<&Histogram> = samples.iter().map(|h| &h.2).collect();
            row.h_n = times.len() as u32;
            row.h_ts_ref = Some(self.stamps.group(&times)?);
            row.h_starts = encode_starts(&starts)?;
            row.h_data = Some(encode_histograms(&values)?);
            widen(&mut row.times, times.first(), times.last());
        }
        Ok(row)
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn widen(times: &mut Option<(i64, i64)>, first: Option<&i64>, last: Option<&i64>) {
    if let (Some(first), Some(last)) = (first, last) {
        *times = Some(times.map_or((*first, *last), |(a, b)| (a.min(*first), b.max(*last))));
    }
}

/// The items of chunk `i`; items ascend in time, so a chunk is a range.
fn part<T>(chunks: &Chunks, i: u32, items: &[T], time: impl Fn(&T) -> i64) -> std::ops::Range<usize> {
    let from = items.partition_point(|x| chunks.of(time(x)) < i);
    let to = items.partition_point(|x| chunks.of(time(x)) <= i);
    from..to
}

fn encode_starts(starts: &[i64]) -> Result<Option<Vec<u8>>> {
    if starts.iter().all(|s| *s == 0) {
        return Ok(None);
    }
    let chunk = encoded(|out| ints::encode(starts, out));
    if ints::decode(&chunk, starts.len()).as_deref() != Some(starts) {
        return Err(Error::Encode("start times do not come back from their own encoding".to_owned()));
    }
    Ok(Some(chunk))
}

fn encode_histograms(values: &[&Histogram]) -> Result<Vec<u8>> {
    let chunk = encoded(|out| histograms::encode(values, out));
    let back = histograms::decode(&chunk, values.len());
    if back.is_none_or(|b| b.iter().collect::<Vec<_>>() != values) {
        return Err(Error::Invalid(
            "a native histogram does not come back from its encoding: it has more than 65536 buckets or spans"
                .to_owned(),
        ));
    }
    Ok(chunk)
}

fn encode_exemplars(exemplars: &[Exemplar]) -> Result<Option<String>> {
    if exemplars.is_empty() {
        return Ok(None);
    }
    let items = exemplars
        .iter()
        .map(|e| {
            let labels: Attributes = e.labels.iter().collect();
            AnyValue::Array(vec![e.timestamp_ms.into(), e.value.into(), AnyValue::Map(labels)])
        })
        .collect();
    text::encode(&AnyValue::Array(items)).map(Some)
}

/// `[["family", "kind", "unit", "help"], …]`
fn encode_metadata(metadata: &[MetricMetadata]) -> Vec<u8> {
    let rows: Vec<[&str; 4]> = metadata
        .iter()
        .map(|m| [m.family.as_str(), m.kind.as_str(), m.unit.as_str(), m.help.as_str()])
        .collect();
    serde_json::to_vec(&rows).unwrap_or_default()
}

fn check(series: &SeriesRows, last: Option<&model::Labels>) -> Result<()> {
    let fail = |what: &str| Err(Error::Invalid(format!("series {}: {what}", series.labels)));
    if last.is_some_and(|l| *l >= series.labels) {
        return fail("it does not come after the series before it");
    }
    if series.values.len() != series.timestamps_ms.len() {
        return fail("it has not as many values as times");
    }
    if !series.starts_ms.is_empty() && series.starts_ms.len() != series.values.len() {
        return fail("it has start times, but not one per value");
    }
    if series.timestamps_ms.windows(2).any(|w| w[0] >= w[1]) {
        return fail("its float samples do not ascend in time");
    }
    if series.histograms.windows(2).any(|w| w[0].0 >= w[1].0) {
        return fail("its histogram samples do not ascend in time");
    }
    if series.values.len().max(series.histograms.len()) > MAX_SAMPLES {
        return fail("it has more than 16777216 samples");
    }
    Ok(())
}
