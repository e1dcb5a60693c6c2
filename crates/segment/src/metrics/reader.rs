//! Reading metrics segments.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use arrow::array::RecordBatch;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use model::{Exemplar, Labels, Matcher, MetricKind, MetricMetadata, Signal, TimeRange};
use object_store::{ObjectStore, path::Path};
use parquet::arrow::async_reader::ParquetRecordBatchStream;

use super::{
    Layout, MAX_CHUNKS, SeriesRows,
    cache::ColumnCache,
    columns::{EXEMPLARS, REST, label_column},
    decode,
    matching::{Query, matching_rows, may_match, value_in_rest},
    packed::Column,
    stamps::{Groups, StampsReader},
    table::{Columns, Table},
};
use crate::{
    Result, SegmentInfo,
    file::{File, source::Source},
    rows::Rows,
};

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
    columns: Columns,
    /// For what is read once.
    unkept: Columns,
}

impl Reader {
    /// Reads and checks the footer. Nothing is kept between reads.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Result<Self> {
        Self::with_columns(store, path, size, Columns::default()).await
    }

    /// The same with columns of labels and counts kept in a cache, until the reader goes.
    pub async fn open_with(
        store: Arc<dyn ObjectStore>,
        path: Path,
        size: u64,
        cache: &Arc<ColumnCache>,
    ) -> Result<Self> {
        Self::with_columns(store, path, size, Columns::kept_in(cache.clone())).await
    }

    async fn with_columns(
        store: Arc<dyn ObjectStore>,
        path: Path,
        size: u64,
        columns: Columns,
    ) -> Result<Self> {
        let file = File::open(store, path, size).await?;
        if file.info.signal != Signal::METRICS {
            return Err(file.corrupt(format!("metrics, it holds {}", file.info.signal)));
        }
        let layout: Layout = serde_json::from_str(&file.layout)
            .map_err(|e| file.corrupt(format!("orrery.layout of a metrics segment: {e}")))?;
        if layout.chunks.count == 0 || layout.chunks.count > MAX_CHUNKS || !layout.labels.is_sorted() {
            return Err(file.corrupt("an orrery.layout with sorted labels and 1 to 24 chunks"));
        }
        let (stamps, unkept) = (StampsReader::default(), Columns::default());
        Ok(Reader(Arc::new(Inner { file, layout, stamps, columns, unkept })))
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
            .each_group(&Query::new(selectors.to_vec(), range), &columns, |inner, table, rows| {
                out.extend(decode::labels(&inner.file, &inner.layout, table, rows)?);
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
            .each_group(&Query::new(selectors.to_vec(), range), &columns, |inner, table, rows| {
                for l in &inner.layout.labels {
                    let column = table.column(&inner.file, &label_column(l))?;
                    if !names.contains(l) && rows.iter().any(|row| column.text(*row as usize).is_some()) {
                        names.insert(l.clone());
                    }
                }
                distinct(table.column(&inner.file, REST)?, rows, |json| {
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
        let wanted = std::slice::from_ref(&column);
        self.0
            .each_group(&Query::new(selectors.to_vec(), range), wanted, |inner, table, rows| {
                distinct(table.column(&inner.file, &column)?, rows, |text| {
                    if with_column {
                        values.insert(text.to_owned());
                    } else {
                        values.extend(value_in_rest(text, name));
                    }
                });
                Ok(())
            })
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
        let inner = &self.0;
        let mut out = Vec::new();
        for group in inner.candidates(&query) {
            let rows = inner.rows(group, &query).await?;
            if rows.is_empty() {
                continue;
            }
            let names = decode::label_columns(&inner.layout);
            let table = inner.columns.load(&inner.file, group, &names).await?;
            let columns = inner.indexes(&[EXEMPLARS.to_owned()])?;
            let mut batches = inner.batches(group, columns, &rows, LABEL_ROWS)?;
            let mut left = rows.as_slice();
            while let Some(batch) =
                batches.try_next().await.map_err(|e| inner.file.source.parquet_error(e))?
            {
                let rows = take_front(&mut left, batch.num_rows());
                let labels = decode::labels(&inner.file, &inner.layout, &table, rows)?;
                let mut series: Vec<SeriesRows> =
                    labels.into_iter().map(|labels| SeriesRows { labels, ..SeriesRows::default() }).collect();
                decode::add_exemplars(&inner.file, &batch, times, &mut series)?;
                out.extend(
                    series.into_iter().filter(|s| !s.exemplars.is_empty()).map(|s| (s.labels, s.exemplars)),
                );
            }
        }
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

/// Calls `f` with each distinct text of some rows.
fn distinct(column: &Column, rows: &[u32], mut f: impl FnMut(&str)) {
    let first: BTreeMap<i64, u32> =
        rows.iter().filter_map(|row| Some((column.numbers.get(*row as usize)?, *row))).collect();
    first.into_values().filter_map(|row| column.text(row as usize)).for_each(&mut f);
}

/// The first `n` rows, which are then no longer at the front.
fn take_front<'a>(rows: &mut &'a [u32], n: usize) -> &'a [u32] {
    let (front, rest) = rows.split_at(n.min(rows.len()));
    *rows = rest;
    front
}

/// What a stream of one row group's series goes by.
struct Group {
    query: Arc<Query>,
    exemplars: bool,
    table: Table,
    /// Rows that match, and how many were read.
    rows: Vec<u32>,
    read: usize,
    held: Groups,
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

    async fn rows(&self, group: usize, query: &Query) -> Result<Vec<u32>> {
        matching_rows(self.columns_of(query), &self.file, &self.layout, group, query).await
    }

    /// Where columns for a query are kept: who reads everything reads it once.
    fn columns_of(&self, query: &Query) -> &Columns {
        if query.is_everything() { &self.unkept } else { &self.columns }
    }

    fn batches(
        &self,
        group: usize,
        columns: Vec<usize>,
        rows: &[u32],
        at_once: usize,
    ) -> Result<ParquetRecordBatchStream<Source>> {
        let rows = Rows::from_ranges(rows.iter().map(|row| *row as usize..*row as usize + 1));
        let selection = rows.selection(self.file.rows_in(group));
        self.file.stream(vec![group], columns, Some(selection), at_once)
    }

    /// Calls `f` with some columns and the matching rows of each row group.
    async fn each_group(
        &self,
        query: &Query,
        columns: &[String],
        mut f: impl FnMut(&Inner, &Table, &[u32]) -> Result<()>,
    ) -> Result<()> {
        for group in self.candidates(query) {
            let rows = self.rows(group, query).await?;
            if !rows.is_empty() {
                f(self, &self.columns.load(&self.file, group, columns).await?, &rows)?;
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
        let rows = self.rows(group, &query).await?;
        if rows.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let (columns, chunks) = (self.columns_of(&query), query.chunks(&self.layout));
        let names = decode::table_columns(&self.layout, chunks.clone(), columns.are_kept());
        let table = columns.load(&self.file, group, &names).await?;
        let mut names = decode::data_columns(&table, &rows, chunks);
        if exemplars {
            names.push(EXEMPLARS.to_owned());
        }
        if names.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let batches = self.batches(group, self.indexes(&names)?, &rows, BATCH_ROWS)?;
        let of_group = Group { query, exemplars, table, rows, read: 0, held: HashMap::new() };
        let state = (self, of_group, batches);
        let decoded = stream::try_unfold(state, move |(inner, mut group, mut batches)| async move {
            let next = batches.try_next().await.map_err(|e| inner.file.source.parquet_error(e))?;
            let Some(batch) = next else { return Ok::<_, crate::Error>(None) };
            let series = inner.decode(&batch, &mut group).await?;
            Ok(Some((stream::iter(series.into_iter().map(Ok)), (inner, group, batches))))
        });
        Ok(decoded.try_flatten().boxed())
    }

    async fn decode(&self, batch: &RecordBatch, group: &mut Group) -> Result<Vec<SeriesRows>> {
        let chunks = group.query.chunks(&self.layout);
        if group.held.len() > MAX_HELD_GROUPS {
            group.held.clear();
        }
        let mut left = group.rows.get(group.read..).unwrap_or_default();
        let rows = take_front(&mut left, batch.num_rows());
        group.read += rows.len();
        let wanted = decode::groups(&self.file, &group.table, rows, chunks.clone())?;
        self.stamps.load(&self.file, self.columns_of(&group.query), &wanted, &mut group.held).await?;
        let place = decode::Place { file: &self.file, layout: &self.layout, table: &group.table, rows };
        let mut series = decode::series(&place, batch, chunks, group.query.times, &group.held)?;
        if group.exemplars {
            decode::add_exemplars(&self.file, batch, group.query.times, &mut series)?;
        }
        Ok(series)
    }
}
