//! Reading trace segments.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, LazyLock},
};

use arrow::{array::RecordBatch, datatypes::TimestampNanosecondType};
use contract::SpanParts;
use futures::{
    FutureExt, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use model::{Signal, Span, SpanBatch, TimeRange, TimestampNs, span::SpanOrigin};
use object_store::{ObjectStore, path::Path};
use parquet::{arrow::async_reader::ParquetRecordBatchStream, file::statistics::Statistics};
use tokio::sync::OnceCell;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Layout, Selection,
    blocks::Blocks,
    columns::span_columns,
    conditions::{self, Looked, Shape},
    decode,
    directory::Directory,
    tables::{self, Keys},
};
use crate::{
    Error, Result, SegmentInfo,
    arrays::{at, primitive},
    file::{File, source::Source},
    rows::Rows,
    terms::{
        Need,
        index::{self, Index},
    },
};

/// Rows of one piece of a selection.
const PIECE_ROWS: usize = 2048;
/// Rows whose conditions are looked at together.
pub(super) const FILTER_ROWS: usize = 8192;

/// Row groups whose conditions are looked at side by side. Finding out reads files.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// An open trace segment. Cheap to clone; holds the footer and, once asked for, the table of origins, what blocks have
/// in common, keys, and the fences of trace directory and terms; reads everything else by range.
#[derive(Clone)]
pub struct Reader(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) file: File,
    pub(super) layout: Layout,
    directory: Directory,
    origins: OnceCell<Arc<Vec<SpanOrigin>>>,
    blocks: OnceCell<Option<Blocks>>,
    terms: OnceCell<Index>,
    keys: OnceCell<Option<Keys>>,
}

/// Where the rows of some traces lie.
#[derive(Debug, Clone, Default)]
pub struct Located(Rows);

impl Located {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many spans there are.
    pub fn spans(&self) -> usize {
        self.0.ranges().map(|r| r.len()).sum()
    }
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
        Ok(Reader(Arc::new(Inner {
            file,
            layout,
            directory: Directory::default(),
            origins: OnceCell::new(),
            blocks: OnceCell::new(),
            terms: OnceCell::new(),
            keys: OnceCell::new(),
        })))
    }

    pub fn info(&self) -> &SegmentInfo {
        &self.0.file.info
    }

    /// Bytes held by the reader, for caches. Grows once, by origins, blocks, fences and keys.
    pub fn heap_bytes(&self) -> usize {
        let of = |o: &SpanOrigin| {
            o.resource.attributes.heap_bytes()
                + o.scope.attributes.heap_bytes()
                + std::mem::size_of::<SpanOrigin>()
        };
        let inner = &self.0;
        let origins = inner.origins.get().map_or(0, |o| o.iter().map(of).sum());
        let blocks = inner.blocks.get().and_then(Option::as_ref).map_or(0, Blocks::heap_bytes);
        let terms = inner.terms.get().map_or(0, Index::heap_bytes);
        let keys = inner.keys.get().and_then(Option::as_ref);
        let keys: usize = keys.into_iter().flatten().map(|(_, key)| key.len() + 64).sum();
        inner.file.heap_bytes() + inner.directory.heap_bytes() + origins + blocks + terms + keys
    }

    /// Looks traces up: one directory page for each that may be here, once the fence is held.
    pub async fn locate(&self, ids: &[[u8; 16]]) -> Result<Located> {
        let found = self.0.directory.find(&self.0.file, ids).await?;
        Ok(Located(Rows::from_ranges(found)))
    }

    /// When the located spans that begin in the range do, in no order. Reads that one column.
    pub async fn starts(&self, located: &Located, range: TimeRange) -> Result<Vec<i64>> {
        let inner = &self.0;
        let mut out = Vec::with_capacity(located.spans());
        for (group, rows) in inner.candidates(Some(&located.0), &Selection::new(range)).await? {
            let (total, columns) = (inner.file.rows_in(group), inner.indexes(["start"])?);
            let mut batches =
                inner.file.stream(vec![group], columns, Some(rows.selection(total)), FILTER_ROWS)?;
            while let Some(batch) = inner.next(&mut batches).await? {
                let starts = primitive::<TimestampNanosecondType>(&inner.file, &batch, "start")?;
                let inside = |t: &i64| range.contains(TimestampNs(*t));
                out.extend((0..batch.num_rows()).filter_map(|row| at(starts, row)).filter(inside));
            }
        }
        Ok(out)
    }

    /// Matching spans, traces that began last first, spans of one trace together where a piece allows. Lazy:
    /// each poll reads a bounded number of rows.
    pub fn select(&self, selection: Selection) -> BoxStream<'static, Result<SpanBatch>> {
        self.select_in(None, selection)
    }

    /// The same of spans that were located.
    pub fn select_located(
        &self,
        located: Located,
        selection: Selection,
    ) -> BoxStream<'static, Result<SpanBatch>> {
        self.select_in(Some(located.0), selection)
    }

    fn select_in(&self, within: Option<Rows>, selection: Selection) -> BoxStream<'static, Result<SpanBatch>> {
        let (inner, selection) = (self.0.clone(), Arc::new(selection));
        let find = async move {
            let candidates = inner.candidates(within.as_ref(), &selection).await?;
            Ok::<_, Error>(inner.select_from(candidates, selection))
        };
        stream::once(find).try_flatten().try_filter(|b| futures::future::ready(!b.spans.is_empty())).boxed()
    }
}

type Batches = ParquetRecordBatchStream<Source>;

impl Inner {
    pub(super) async fn origins(&self) -> Result<Arc<Vec<SpanOrigin>>> {
        let read = || async { tables::read_origins(&self.file).await.map(Arc::new) };
        Ok(self.origins.get_or_try_init(read).await?.clone())
    }

    async fn blocks(&self) -> Result<Option<&Blocks>> {
        let rows = (0..self.file.row_groups().len()).map(|g| self.file.rows_in(g)).sum();
        Ok(self.blocks.get_or_try_init(|| Blocks::read(&self.file, rows)).await?.as_ref())
    }

    /// Where the segment has what.
    pub(super) async fn shape(&self) -> Result<Shape<'_>> {
        let keys = self.keys.get_or_try_init(|| tables::read_scoped_keys(&self.file)).await?;
        Ok(Shape { layout: &self.layout, keys: keys.as_ref() })
    }

    /// Blocks of rows that may have what is needed; `None` where all may.
    async fn having(&self, need: &Need) -> Result<Option<index::Blocks>> {
        let Some(head) = self.layout.terms.filter(|_| *need != Need::Any) else { return Ok(None) };
        let rows = (0..self.file.row_groups().len()).map(|g| self.file.rows_in(g)).sum();
        let index = self.terms.get_or_try_init(|| Index::open(&self.file, head, rows)).await?;
        index.blocks(&self.file, need).await
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

    /// The columns of the wanted parts of a span.
    pub(super) fn span_indexes(&self, wanted: &SpanParts) -> Result<Vec<usize>> {
        self.indexes(span_columns(&self.layout.attributes, wanted))
    }

    /// Row groups: number, first row, rows.
    pub(super) fn groups(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        (0..self.file.row_groups().len()).scan(0, |next, g| {
            let (first, rows) = (*next, self.file.rows_in(g));
            *next += rows;
            Some((g, first, rows))
        })
    }

    pub(super) async fn next(&self, batches: &mut Batches) -> Result<Option<RecordBatch>> {
        batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))
    }

    /// Rows that may match, by row group, counted from its first. `within`: of these only.
    pub(super) async fn candidates(
        &self,
        within: Option<&Rows>,
        s: &Selection,
    ) -> Result<Vec<(usize, Rows)>> {
        let looks_up =
            !s.any_of.is_empty() || !s.attributes.is_empty() || s.service.is_some() || s.name.is_some();
        let need = if looks_up { conditions::need(s, &self.origins().await?) } else { Need::Any };
        let found = self.having(&need).await?;
        if found.as_ref().is_some_and(index::Blocks::is_empty) {
            return Ok(Vec::new());
        }
        let blocks = self.blocks().await?;
        let mut out = Vec::new();
        for (group, first, total) in self.groups().filter(|(g, ..)| self.may_match(*g, s)) {
            let mut ranges: Vec<Range<usize>> = match within {
                Some(rows) => rows.clipped(first..first + total).collect(),
                None => std::iter::once(first..first + total).collect(),
            };
            if let Some(found) = &found {
                ranges = ranges.into_iter().flat_map(|r| found.within(r)).collect();
            }
            if let Some(blocks) = blocks {
                ranges = ranges.into_iter().flat_map(|r| blocks.within(r, s)).collect();
            }
            let rows = Rows::from_ranges(ranges.into_iter().map(|r| r.start - first..r.end - first));
            if !rows.is_empty() {
                out.push((group, rows));
            }
        }
        Ok(out)
    }

    /// Whether the statistics of a row group leave any row possible.
    fn may_match(&self, group: usize, s: &Selection) -> bool {
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

    /// The matching spans among rows of row groups, last rows first, a piece at a time. Where many rows are to be
    /// looked at, that is done for several row groups at once, each in a task of its own.
    fn select_from(
        self: Arc<Self>,
        candidates: Vec<(usize, Rows)>,
        selection: Arc<Selection>,
    ) -> BoxStream<'static, Result<SpanBatch>> {
        let rows: usize = candidates.iter().flat_map(|(_, rows)| rows.ranges()).map(|r| r.len()).sum();
        let at_once = match rows {
            0..=FILTER_ROWS => 1,
            _ => *CORES,
        };
        let (of, by) = (self.clone(), selection.clone());
        let look = move |(group, rows): (usize, Rows)| {
            let (inner, selection, of) = (of.clone(), by.clone(), of.clone());
            let matching = async move {
                let rows = inner.matching_rows(group, &rows, &selection).await?;
                Ok((group, rows))
            };
            if at_once == 1 {
                return matching.left_future();
            }
            let task = AbortOnDropHandle::new(tokio::spawn(matching));
            task.map(move |done| done.unwrap_or_else(|e| Err(of.file.source.task_error(e)))).right_future()
        };
        let matching = stream::iter(candidates.into_iter().rev()).map(look).buffered(at_once);
        matching
            .and_then(move |(group, rows)| {
                futures::future::ready(Ok(self.clone().pieces(group, rows, selection.clone())))
            })
            .try_flatten()
            .boxed()
    }

    /// Spans of a row group, last rows first, a piece at a time.
    fn pieces(
        self: Arc<Self>,
        group: usize,
        rows: Vec<usize>,
        selection: Arc<Selection>,
    ) -> BoxStream<'static, Result<SpanBatch>> {
        let pieces: Vec<Rows> = rows
            .rchunks(PIECE_ROWS)
            .map(|piece| Rows::from_ranges(piece.iter().map(|row| *row..*row + 1)))
            .collect();
        let read = move |rows: Rows| {
            let (inner, selection) = (self.clone(), selection.clone());
            async move {
                let origins = inner.origins().await?;
                let spans = inner.spans(group, &rows, &selection.wanted).await?;
                inner.batch(&origins, spans)
            }
        };
        stream::iter(pieces).then(read).boxed()
    }

    /// Those of some rows that satisfy the conditions; reads the columns that these look at.
    pub(super) async fn matching_rows(
        &self,
        group: usize,
        rows: &Rows,
        selection: &Selection,
    ) -> Result<Vec<usize>> {
        let mut names = conditions::columns(self.shape().await?, selection);
        names.extend(decode::filter_columns(selection).into_iter().map(str::to_owned));
        let (total, columns) = (self.file.rows_in(group), self.indexes(names)?);
        let mut batches = self.file.stream(vec![group], columns, Some(rows.selection(total)), FILTER_ROWS)?;
        let (mut found, mut numbers) = (Vec::new(), rows.iter());
        while let Some(batch) = self.next(&mut batches).await? {
            let mask = self.mask(&batch, selection).await?;
            found.extend(mask.into_iter().zip(&mut numbers).filter(|(m, _)| *m).map(|(_, row)| row));
        }
        Ok(found)
    }

    /// Which rows of a batch satisfy the conditions.
    pub(super) async fn mask(&self, batch: &RecordBatch, selection: &Selection) -> Result<Vec<bool>> {
        let mut mask = decode::mask(&self.file, batch, selection)?;
        if selection.any_of.is_empty() && selection.attributes.is_empty() {
            return Ok(mask);
        }
        let origins = self.origins().await?;
        let looked = Looked { file: &self.file, shape: self.shape().await?, origins: &origins, batch };
        looked.sift(selection, &mut mask)?;
        Ok(mask)
    }

    /// Some rows of a row group, in file order.
    async fn spans(&self, group: usize, rows: &Rows, wanted: &SpanParts) -> Result<Vec<Span>> {
        let columns = self.span_indexes(wanted)?;
        let selection = rows.selection(self.file.rows_in(group));
        let mut batches = self.file.stream(vec![group], columns, Some(selection), PIECE_ROWS)?;
        let mut spans = Vec::new();
        while let Some(batch) = self.next(&mut batches).await? {
            spans.extend(decode::spans(&self.file, &self.layout, &batch, wanted)?);
        }
        Ok(spans)
    }

    /// Spans with the origins they name, renumbered in order of appearance.
    pub(super) fn batch(&self, origins: &[SpanOrigin], mut spans: Vec<Span>) -> Result<SpanBatch> {
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
