//! Reading trace segments.

use std::{collections::HashMap, sync::Arc};

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use model::{Signal, Span, SpanBatch, TimeRange, TimestampNs, span::SpanOrigin};
use object_store::{ObjectStore, path::Path};
use parquet::file::statistics::Statistics;
use tokio::sync::OnceCell;

use super::{Layout, Selection, columns::span_columns, decode, directory::Directory, tables};
use crate::{Result, SegmentInfo, file::File, rows::Rows};

/// Rows of one piece of a selection or scan.
const PIECE_ROWS: usize = 2048;
/// Rows whose conditions are looked at together.
pub(super) const FILTER_ROWS: usize = 8192;

/// An open trace segment. Cheap to clone; holds the footer and, once asked for, the table of origins and the
/// fence of the trace directory; reads everything else by range.
#[derive(Clone)]
pub struct Reader(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) file: File,
    pub(super) layout: Layout,
    directory: Directory,
    origins: OnceCell<Arc<Vec<SpanOrigin>>>,
}

impl Reader {
    /// Reads and checks the footer.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Result<Self> {
        let file = File::open(store, path, size).await?;
        if file.info.signal != Signal::TRACES {
            return Err(file.corrupt(format!("traces, it holds {}", file.info.signal)));
        }
        let layout = serde_json::from_str(&file.layout)
            .map_err(|e| file.corrupt(format!("orrery.layout of a trace segment: {e}")))?;
        let inner = Inner { file, layout, directory: Directory::default(), origins: OnceCell::new() };
        Ok(Reader(Arc::new(inner)))
    }

    pub fn info(&self) -> &SegmentInfo {
        &self.0.file.info
    }

    /// Bytes held by the reader, for caches. Grows once, by origins and fence.
    pub fn heap_bytes(&self) -> usize {
        let of = |o: &SpanOrigin| {
            o.resource.attributes.heap_bytes()
                + o.scope.attributes.heap_bytes()
                + std::mem::size_of::<SpanOrigin>()
        };
        let origins = self.0.origins.get().map_or(0, |o| o.iter().map(of).sum());
        self.0.file.heap_bytes() + self.0.directory.heap_bytes() + origins
    }

    /// Spans of the traces whose start lies in the range. Reads the directory pages of the ids and the data
    /// pages of their rows.
    pub async fn by_trace_ids(&self, ids: &[[u8; 16]], range: TimeRange) -> Result<SpanBatch> {
        let inner = &self.0;
        let found = inner.directory.find(&inner.file, ids).await?;
        if found.is_empty() {
            return Ok(SpanBatch::default());
        }
        let origins = inner.origins().await?;
        let mut spans = Vec::new();
        let mut first = 0usize;
        for group in 0..inner.file.row_groups().len() {
            let total = inner.file.rows_in(group);
            let cut = |row: usize| row.clamp(first, first + total) - first;
            let rows = Rows::from_ranges(found.iter().map(|r| cut(r.start)..cut(r.end)));
            if !rows.is_empty() {
                spans.extend(inner.spans(group, &rows).await?);
            }
            first += total;
        }
        spans.retain(|s| range.contains(TimestampNs(s.start_ns)));
        inner.batch(&origins, spans)
    }

    /// Matching spans, traces that began last first, spans of one trace together where a piece allows. Lazy:
    /// each poll reads a bounded number of rows.
    pub fn select(&self, selection: Selection) -> BoxStream<'static, Result<SpanBatch>> {
        let inner = self.0.clone();
        let groups: Vec<usize> =
            (0..inner.file.row_groups().len()).rev().filter(|g| inner.may_match(*g, &selection)).collect();
        let selection = Arc::new(selection);
        stream::iter(groups)
            .then(move |group| inner.clone().pieces(group, selection.clone()))
            .try_flatten()
            .try_filter(|b| {
                let some = !b.spans.is_empty();
                async move { some }
            })
            .boxed()
    }

    /// Everything in file order: the input of compaction.
    pub fn scan(&self) -> BoxStream<'static, Result<SpanBatch>> {
        let inner = self.0.clone();
        stream::once(async move {
            let origins = inner.origins().await?;
            let columns = inner.indexes(span_columns(&inner.layout.attributes))?;
            let groups = (0..inner.file.row_groups().len()).collect();
            let batches = inner.file.stream(groups, columns, None, PIECE_ROWS)?;
            Ok::<_, crate::Error>((inner, origins, batches))
        })
        .map_ok(|state| {
            stream::try_unfold(state, |(inner, origins, mut batches)| async move {
                let next = batches.try_next().await.map_err(|e| inner.file.source.parquet_error(e))?;
                let Some(batch) = next else { return Ok::<_, crate::Error>(None) };
                let spans = decode::spans(&inner.file, &inner.layout, &batch)?;
                let piece = inner.batch(&origins, spans)?;
                Ok(Some((piece, (inner, origins, batches))))
            })
        })
        .try_flatten()
        .boxed()
    }
}

impl Inner {
    pub(super) async fn origins(&self) -> Result<Arc<Vec<SpanOrigin>>> {
        let read = || async { tables::read_origins(&self.file).await.map(Arc::new) };
        Ok(self.origins.get_or_try_init(read).await?.clone())
    }

    pub(super) fn indexes(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<usize>> {
        names
            .into_iter()
            .map(|n| {
                let n = n.as_ref();
                self.file.column(n).ok_or_else(|| self.file.corrupt(format!("a column {n}")))
            })
            .collect()
    }

    /// Whether the statistics of a row group leave any row possible.
    pub(super) fn may_match(&self, group: usize, s: &Selection) -> bool {
        let statistics = |name: &str| {
            let column = self.file.column(name)?;
            self.file.row_groups().get(group)?.columns().get(column)?.statistics()
        };
        let in_time = match statistics("start") {
            Some(Statistics::Int64(t)) => {
                t.min_opt().is_none_or(|t| *t < s.range.end.0)
                    && t.max_opt().is_none_or(|t| *t >= s.range.start.0)
            }
            _ => true,
        };
        let inside = |name: &str, wanted: &Option<String>| {
            let (Some(wanted), Some(stats)) = (wanted, statistics(name)) else { return true };
            stats.min_bytes_opt().is_none_or(|lo| lo <= wanted.as_bytes())
                && stats.max_bytes_opt().is_none_or(|hi| wanted.as_bytes() <= hi)
        };
        in_time && inside("service", &s.service) && inside("name", &s.name)
    }

    /// The matching spans of one row group, last rows first, a piece at a time.
    async fn pieces(
        self: Arc<Self>,
        group: usize,
        selection: Arc<Selection>,
    ) -> Result<BoxStream<'static, Result<SpanBatch>>> {
        let rows: Vec<usize> = self.matching_rows(group, &selection).await?;
        let origins = self.origins().await?;
        let pieces: Vec<Rows> = rows
            .rchunks(PIECE_ROWS)
            .map(|piece| Rows::from_ranges(piece.iter().map(|row| *row..*row + 1)))
            .collect();
        let read = move |rows: Rows| {
            let (inner, selection, origins) = (self.clone(), selection.clone(), origins.clone());
            async move {
                let mut spans = inner.spans(group, &rows).await?;
                if let Some(passes) = &selection.predicate {
                    spans.retain(|s| origins.get(s.origin as usize).is_some_and(|o| passes(s, o)));
                }
                inner.batch(&origins, spans)
            }
        };
        Ok(stream::iter(pieces).then(read).boxed())
    }

    /// Rows that satisfy the conditions on columns; reads those columns only.
    async fn matching_rows(&self, group: usize, selection: &Selection) -> Result<Vec<usize>> {
        let columns = self.indexes(decode::filter_columns(selection))?;
        let mut batches = self.file.stream(vec![group], columns, None, FILTER_ROWS)?;
        let mut rows = Vec::new();
        let mut first = 0usize;
        while let Some(batch) = batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))? {
            let mask = decode::mask(&self.file, &batch, selection)?;
            rows.extend(mask.iter().enumerate().filter(|(_, m)| **m).map(|(i, _)| first + i));
            first += batch.num_rows();
        }
        Ok(rows)
    }

    /// Some rows of a row group, in file order.
    async fn spans(&self, group: usize, rows: &Rows) -> Result<Vec<Span>> {
        let columns = self.indexes(span_columns(&self.layout.attributes))?;
        let selection = rows.selection(self.file.rows_in(group));
        let mut batches = self.file.stream(vec![group], columns, Some(selection), PIECE_ROWS)?;
        let mut spans = Vec::new();
        while let Some(batch) = batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))? {
            spans.extend(decode::spans(&self.file, &self.layout, &batch)?);
        }
        Ok(spans)
    }

    /// Spans with the origins they name, renumbered in order of appearance.
    fn batch(&self, origins: &[SpanOrigin], mut spans: Vec<Span>) -> Result<SpanBatch> {
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut used: Vec<SpanOrigin> = Vec::new();
        for s in &mut spans {
            s.origin = match numbers.get(&s.origin) {
                Some(n) => *n,
                None => {
                    let origin = origins.get(s.origin as usize);
                    let origin = origin
                        .ok_or_else(|| self.file.corrupt(format!("origin {} in the table", s.origin)))?;
                    used.push(origin.clone());
                    let n = used.len() as u32 - 1;
                    numbers.insert(s.origin, n);
                    n
                }
            };
        }
        Ok(SpanBatch { origins: used, spans })
    }
}
