//! Reading metrics segments.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use arrow::array::RecordBatch;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use model::{Exemplar, Labels, Matcher, MetricKind, MetricMetadata, Signal, TimeRange};
use object_store::{ObjectStore, path::Path};

use super::{
    Layout, MAX_CHUNKS, SeriesRows,
    columns::{EXEMPLARS, REST, label_column},
    decode,
    matching::{Query, matching_rows, may_match, value_in_rest},
    stamps::{Groups, StampsReader},
};
use crate::{Result, SegmentInfo, arrays::Dictionary, file::File};

/// Series decoded together. Larger means fewer reads of sample times, smaller less memory per stream: a day of
/// 15 s samples is 92 KB per series.
const BATCH_ROWS: usize = 256;
/// Rows of labels decoded together.
const LABEL_ROWS: usize = 8192;
/// Groups of times a stream keeps decoded.
const MAX_HELD_GROUPS: usize = 4096;

/// An open metrics segment. Cheap to clone; holds the footer, reads everything else by range when asked.
#[derive(Clone)]
pub struct Reader(Arc<Inner>);

struct Inner {
    file: File,
    layout: Layout,
    stamps: StampsReader,
}

impl Reader {
    /// Reads and checks the footer.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Result<Self> {
        let file = File::open(store, path, size).await?;
        if file.info.signal != Signal::METRICS {
            return Err(file.corrupt(format!("metrics, it holds {}", file.info.signal)));
        }
        let layout: Layout = serde_json::from_str(&file.layout)
            .map_err(|e| file.corrupt(format!("orrery.layout of a metrics segment: {e}")))?;
        if layout.chunks.count == 0 || layout.chunks.count > MAX_CHUNKS || !layout.labels.is_sorted() {
            return Err(file.corrupt("an orrery.layout with sorted labels and 1 to 24 chunks"));
        }
        Ok(Reader(Arc::new(Inner { file, layout, stamps: StampsReader::default() })))
    }

    pub fn info(&self) -> &SegmentInfo {
        &self.0.file.info
    }

    /// Bytes held by the reader, for caches.
    pub fn heap_bytes(&self) -> usize {
        self.0.file.heap_bytes() + self.0.stamps.heap_bytes()
    }

    /// Series that satisfy all matchers, cut to the range, in ascending order of labels; series without a
    /// sample in the range are left out, exemplars are not read. Lazy: each poll reads a bounded number of rows.
    pub fn select(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxStream<'static, Result<SeriesRows>> {
        let query = Query::new(vec![matchers], range);
        self.stream(query, false)
            .try_filter(|s| {
                let some = !s.values.is_empty() || !s.histograms.is_empty();
                async move { some }
            })
            .boxed()
    }

    /// Everything, exemplars included, in ascending order of labels: the input of compaction.
    pub fn scan(&self) -> BoxStream<'static, Result<SeriesRows>> {
        self.stream(Query::everything(), true)
    }

    /// Label sets of series with a chunk that overlaps the range and that satisfy one of the selectors (all
    /// series where there is none). Sorted. A series may have no sample in a range that falls into a gap.
    pub async fn label_sets(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<Labels>> {
        let mut out = Vec::new();
        let columns = decode::label_columns(&self.0.layout);
        self.0
            .each_batch(&Query::new(selectors.to_vec(), range), &columns, |inner, batch| {
                out.extend(decode::labels(&inner.file, &inner.layout, batch)?);
                Ok(())
            })
            .await?;
        Ok(out)
    }

    /// Names of labels on those series, sorted.
    pub async fn label_names(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        let columns = decode::label_columns(&self.0.layout);
        self.0
            .each_batch(&Query::new(selectors.to_vec(), range), &columns, |inner, batch| {
                for l in &inner.layout.labels {
                    let column = Dictionary::of(&inner.file, batch, &label_column(l))?;
                    if !names.contains(l) && (0..batch.num_rows()).any(|row| column.key(row).is_some()) {
                        names.insert(l.clone());
                    }
                }
                distinct(&Dictionary::of(&inner.file, batch, REST)?, batch.num_rows(), |json| {
                    if let Ok(pairs) = crate::text::decode_pairs(json) {
                        names.extend(pairs.iter().map(|(k, _)| k.to_owned()));
                    }
                });
                Ok(())
            })
            .await?;
        Ok(names.into_iter().collect())
    }

    /// Values of one label on those series, sorted.
    pub async fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>> {
        let mut values = BTreeSet::new();
        let with_column = self.0.layout.labels.iter().any(|l| l == name);
        let column = if with_column { label_column(name) } else { REST.to_owned() };
        self.0
            .each_batch(
                &Query::new(selectors.to_vec(), range),
                std::slice::from_ref(&column),
                |inner, batch| {
                    distinct(&Dictionary::of(&inner.file, batch, &column)?, batch.num_rows(), |text| {
                        if with_column {
                            values.insert(text.to_owned());
                        } else {
                            values.extend(value_in_rest(text, name));
                        }
                    });
                    Ok(())
                },
            )
            .await?;
        Ok(values.into_iter().collect())
    }

    /// Exemplars in the range of series that satisfy one of the selectors, by series in order of labels.
    pub async fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>> {
        let mut query = Query::new(selectors.to_vec(), range);
        // Exemplars may lie outside the times of the samples they came with.
        let times = query.times.take();
        let mut columns = decode::label_columns(&self.0.layout);
        columns.push(EXEMPLARS.to_owned());
        let mut out = Vec::new();
        self.0
            .each_batch(&query, &columns, |inner, batch| {
                let labels = decode::labels(&inner.file, &inner.layout, batch)?;
                let mut series: Vec<SeriesRows> =
                    labels.into_iter().map(|labels| SeriesRows { labels, ..SeriesRows::default() }).collect();
                decode::add_exemplars(&inner.file, batch, times, &mut series)?;
                out.extend(
                    series.into_iter().filter(|s| !s.exemplars.is_empty()).map(|s| (s.labels, s.exemplars)),
                );
                Ok(())
            })
            .await?;
        Ok(out)
    }

    /// Metadata of the families inside, as it was given to the writer.
    pub async fn metadata(&self) -> Result<Vec<MetricMetadata>> {
        let Some(bytes) = self.0.file.blob("metadata").await? else { return Ok(Vec::new()) };
        let rows: Vec<[String; 4]> = serde_json::from_slice(&bytes)
            .map_err(|e| self.0.file.corrupt(format!("the blob metadata as JSON: {e}")))?;
        Ok(rows
            .into_iter()
            .map(|[family, kind, unit, help]| MetricMetadata {
                family,
                kind: MetricKind::ALL.into_iter().find(|k| k.as_str() == kind).unwrap_or_default(),
                unit,
                help,
            })
            .collect())
    }

    fn stream(&self, query: Query, exemplars: bool) -> BoxStream<'static, Result<SeriesRows>> {
        let inner = self.0.clone();
        let groups = inner.candidates(&query);
        let query = Arc::new(query);
        stream::iter(groups)
            .then(move |group| inner.clone().group(group, query.clone(), exemplars))
            .try_flatten()
            .boxed()
    }
}

/// Calls `f` with each distinct text of the first `rows` rows.
fn distinct(column: &Dictionary<'_>, rows: usize, mut f: impl FnMut(&str)) {
    let keys: BTreeSet<usize> = (0..rows).filter_map(|row| column.key(row)).collect();
    keys.into_iter().filter_map(|k| column.value(k)).for_each(&mut f);
}

impl Inner {
    /// Row groups whose statistics leave a match possible.
    fn candidates(&self, query: &Query) -> Vec<usize> {
        (0..self.file.row_groups().len()).filter(|g| may_match(&self.file, &self.layout, *g, query)).collect()
    }

    fn indexes(&self, names: &[String]) -> Result<Vec<usize>> {
        names
            .iter()
            .map(|n| self.file.column(n).ok_or_else(|| self.file.corrupt(format!("a column {n}"))))
            .collect()
    }

    /// Reads some columns of all matching rows, row group by row group.
    async fn each_batch(
        &self,
        query: &Query,
        columns: &[String],
        mut f: impl FnMut(&Inner, &RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let columns = self.indexes(columns)?;
        for group in self.candidates(query) {
            let rows = matching_rows(&self.file, &self.layout, group, query).await?;
            if rows.is_empty() {
                continue;
            }
            let selection = rows.selection(self.file.rows_in(group));
            let mut batches =
                self.file.stream(vec![group], columns.iter().copied(), Some(selection), LABEL_ROWS)?;
            while let Some(batch) = batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))? {
                f(self, &batch)?;
            }
        }
        Ok(())
    }

    /// The series of one row group.
    async fn group(
        self: Arc<Self>,
        group: usize,
        query: Arc<Query>,
        exemplars: bool,
    ) -> Result<BoxStream<'static, Result<SeriesRows>>> {
        let rows = matching_rows(&self.file, &self.layout, group, &query).await?;
        if rows.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let columns =
            self.indexes(&decode::data_columns(&self.layout, query.chunks(&self.layout), exemplars))?;
        let selection = rows.selection(self.file.rows_in(group));
        let batches = self.file.stream(vec![group], columns, Some(selection), BATCH_ROWS)?;
        let state = (self, query, batches, HashMap::new());
        let decoded = stream::try_unfold(state, move |(inner, query, mut batches, mut held)| async move {
            let next = batches.try_next().await.map_err(|e| inner.file.source.parquet_error(e))?;
            let Some(batch) = next else { return Ok::<_, crate::Error>(None) };
            let series = inner.decode(&batch, &query, exemplars, &mut held).await?;
            Ok(Some((stream::iter(series.into_iter().map(Ok)), (inner, query, batches, held))))
        });
        Ok(decoded.try_flatten().boxed())
    }

    async fn decode(
        &self,
        batch: &RecordBatch,
        query: &Query,
        exemplars: bool,
        held: &mut Groups,
    ) -> Result<Vec<SeriesRows>> {
        let chunks = query.chunks(&self.layout);
        if held.len() > MAX_HELD_GROUPS {
            held.clear();
        }
        self.stamps.load(&self.file, &decode::groups(&self.file, batch, chunks.clone())?, held).await?;
        let mut series = decode::series(&self.file, &self.layout, batch, chunks, query.times, held)?;
        if exemplars {
            decode::add_exemplars(&self.file, batch, query.times, &mut series)?;
        }
        Ok(series)
    }
}
