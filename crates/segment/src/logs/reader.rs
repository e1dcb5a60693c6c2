//! Reading log segments.

use std::{collections::BTreeSet, sync::Arc};

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use model::{Labels, LogBatch, LogRecord, Matcher, Signal, TimeRange, matcher::all_match};
use object_store::{ObjectStore, path::Path};
use tokio::sync::OnceCell;

use super::{
    Layout, Selection,
    cut::{cutter::Cut, template::Table},
    decode::{self, record_columns},
    select::Cursor,
    streams::{self, Entry},
};
use crate::{
    Result, SegmentInfo,
    file::File,
    terms::{
        Need,
        index::{Blocks, Index},
    },
};

/// Records, some thousand at a time, each with its body beside it where that is cut.
pub(super) type Scan = BoxStream<'static, Result<Vec<(LogRecord, Option<Cut>)>>>;

/// Rows of one piece of a scan.
const SCAN_ROWS: usize = 4096;

/// An open log segment. Cheap to clone; holds the footer and, once asked for, the table of streams; reads
/// everything else by range.
#[derive(Clone)]
pub struct Reader(Arc<Inner>);

pub(super) struct Inner {
    pub file: File,
    pub layout: Layout,
    entries: OnceCell<Arc<Vec<Entry>>>,
    terms: OnceCell<Index>,
    templates: OnceCell<Arc<Table>>,
}

impl Reader {
    /// Reads and checks the footer.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Result<Self> {
        let file = File::open(store, path, size).await?;
        if file.info.signal != Signal::LOGS {
            return Err(file.corrupt(format!("logs, it holds {}", file.info.signal)));
        }
        let layout = serde_json::from_str(&file.layout)
            .map_err(|e| file.corrupt(format!("orrery.layout of a log segment: {e}")))?;
        let (entries, terms, templates) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Ok(Reader(Arc::new(Inner { file, layout, entries, terms, templates })))
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub fn info(&self) -> &SegmentInfo {
        &self.0.file.info
    }

    /// Bytes held by the reader, for caches. Grows by the tables of streams and templates and the fence of the terms, once
    /// each.
    pub fn heap_bytes(&self) -> usize {
        let table = self.0.entries.get().map_or(0, |entries| {
            let of = |e: &Entry| {
                e.stream.labels.packed_len()
                    + e.stream.resource.attributes.heap_bytes()
                    + e.stream.scope.attributes.heap_bytes()
                    + std::mem::size_of::<Entry>()
            };
            entries.iter().map(of).sum()
        });
        let templates = self.0.templates.get().map_or(0, |t| t.heap_bytes());
        self.0.file.heap_bytes() + table + templates + self.0.terms.get().map_or(0, Index::heap_bytes)
    }

    /// Matching records ordered by time in the asked direction over the whole stream of batches (ties keep
    /// the order of the file, reversed for newest first). A batch names only streams it uses. Lazy; holds 16
    /// bytes per record in range while it runs.
    pub fn select(&self, selection: Selection) -> BoxStream<'static, Result<LogBatch>> {
        let inner = self.0.clone();
        stream::once(Cursor::start(inner, selection))
            .map_ok(|cursor| {
                stream::try_unfold(cursor, |mut cursor| async move {
                    Ok(cursor.advance().await?.map(|batch| (batch, cursor)))
                })
            })
            .try_flatten()
            .boxed()
    }

    /// Everything in file order.
    #[cfg(test)]
    pub(super) fn scan(&self) -> BoxStream<'static, Result<LogBatch>> {
        let inner = self.0.clone();
        let read = async move {
            let (entries, records) = (inner.entries().await?, inner.records().await?);
            let templates = inner.templates().await?;
            let whole = move |(mut r, cut): (LogRecord, Option<Cut>)| {
                if let Some(cut) = cut {
                    let mut line = Vec::new();
                    let template = templates.get(cut.template);
                    template.and_then(|t| t.assemble(&cut.values, &mut line)).unwrap();
                    r.body = String::from_utf8(line).unwrap().into();
                }
                r
            };
            let batches = records.map(move |r| inner.batch(&entries, r?.into_iter().map(&whole).collect()));
            Ok::<_, crate::Error>(batches)
        };
        stream::once(read).try_flatten().boxed()
    }

    /// Label sets of streams that overlap the range and satisfy one of the selectors (all streams where there
    /// is none). Sorted, distinct.
    pub async fn streams(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<Labels>> {
        let entries = self.0.entries().await?;
        let found: BTreeSet<&Labels> = entries
            .iter()
            .filter(|e| e.from < range.end.0 && e.to >= range.start.0)
            .map(|e| &e.stream.labels)
            .filter(|l| selectors.is_empty() || selectors.iter().any(|s| all_match(s, l)))
            .collect();
        Ok(found.into_iter().cloned().collect())
    }
}

impl Inner {
    /// Everything in file order (stream, time), streams numbered as in the table.
    pub async fn records(self: &Arc<Self>) -> Result<Scan> {
        let templates = self.templates().await?;
        let columns = self.indexes(record_columns(&self.layout))?;
        let groups = (0..self.file.row_groups().len()).collect();
        let batches = self.file.stream(groups, columns, None, SCAN_ROWS)?;
        let inner = self.clone();
        let records = batches.map(move |batch| {
            let batch = batch.map_err(|e| inner.file.source.parquet_error(e))?;
            decode::carried(&inner.file, &inner.layout, &templates, &batch)
        });
        Ok(records.boxed())
    }

    /// The table of streams, read once.
    pub async fn entries(&self) -> Result<Arc<Vec<Entry>>> {
        let entries =
            self.entries.get_or_try_init(|| async { streams::read(&self.file).await.map(Arc::new) }).await?;
        Ok(entries.clone())
    }

    /// What bodies are cut by, read once.
    pub async fn templates(&self) -> Result<Arc<Table>> {
        let read = || async {
            match self.layout.cut {
                true => Table::read(&self.file).await.map(Arc::new),
                false => Ok(Arc::default()),
            }
        };
        Ok(self.templates.get_or_try_init(read).await?.clone())
    }

    /// Blocks of rows that may have what is needed; `None` where all may.
    pub async fn blocks(&self, need: &Need) -> Result<Option<Blocks>> {
        let Some(head) = self.layout.terms.filter(|_| *need != Need::Any) else { return Ok(None) };
        let rows = (0..self.file.row_groups().len()).map(|g| self.file.rows_in(g)).sum();
        let index = self.terms.get_or_try_init(|| Index::open(&self.file, head, rows)).await?;
        index.blocks(&self.file, need).await
    }

    /// Row groups: number, first row, rows.
    pub fn groups(&self) -> Vec<(usize, usize, usize)> {
        let mut first = 0;
        (0..self.file.row_groups().len())
            .map(|g| {
                let rows = self.file.rows_in(g);
                first += rows;
                (g, first - rows, rows)
            })
            .collect()
    }

    pub fn indexes(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<usize>> {
        names
            .into_iter()
            .map(|n| {
                let n = n.as_ref();
                self.file.column(n).ok_or_else(|| self.file.corrupt(format!("a column {n}")))
            })
            .collect()
    }
}
