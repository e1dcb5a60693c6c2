//! Records in order of time out of rows in order of (stream, time).
//!
//! The times of the matching streams are read first, which is a few bytes per record, and sorted. Records are
//! then read in slices of that order: the first slice is as large as the caller's hint, each following one
//! four times larger up to a budget of bytes. A small limit therefore reads few pages, and a whole scan of a
//! segment below the budget unpacks each page once. Where lines are filtered, the rest of the segment is filtered after
//! the first slice, in the order of the file.

use std::{ops::Range, sync::Arc};

use arrow::datatypes::TimestampNanosecondType;
use futures::TryStreamExt;
use model::{Attributes, LogBatch, LogRecord, TimestampNs, matcher::all_match};

use super::{
    Order, Selection,
    cut::{bodies, sieve::Sieve},
    decode::{self, record_columns},
    reader::Inner,
    streams::{Entry, Renumber},
};
use crate::{
    Result,
    arrays::{at, primitive},
    lines::LineCondition,
    rows::Rows,
    terms::{self, Need, index::Blocks},
};

/// Uncompressed bytes of one slice. Larger costs memory per query, smaller unpacks pages more often.
const SLICE_BYTES: u64 = 32 << 20;
const MIN_SLICE: usize = 512;
const MAX_SLICE: usize = 128 << 10;
/// What LogQL finds under a name though no attribute, and no id with terms, has it.
const NO_TERMS: [&str; 6] =
    ["severity_number", "severity_text", "detected_level", "flags", "scope_name", "scope_version"];
/// Rows decoded together.
const BATCH_ROWS: usize = 4096;

/// A selection under way.
pub(super) struct Cursor {
    inner: Arc<Inner>,
    entries: Arc<Vec<Entry>>,
    selection: Selection,
    /// Rows in the order asked for.
    order: Vec<u32>,
    next: usize,
    slice: usize,
    max_slice: usize,
}

impl Cursor {
    pub async fn start(inner: Arc<Inner>, selection: Selection) -> Result<Self> {
        let entries = inner.entries().await?;
        // Most segments do not have a rare text: they cost no look at their streams.
        let mut blocks = inner.blocks(&selection.need).await?;
        if blocks.as_ref().is_some_and(Blocks::is_empty) {
            return Ok(Cursor {
                inner,
                entries,
                selection,
                order: Vec::new(),
                next: 0,
                slice: 0,
                max_slice: 0,
            });
        }
        let wanted: Vec<&Entry> = entries
            .iter()
            .filter(|e| e.from < selection.range.end.0 && e.to >= selection.range.start.0)
            .filter(|e| all_match(&selection.matchers, &e.stream.labels))
            .collect();
        let by_terms = selection.fields.iter().filter(|(name, _)| of_records(name, &wanted));
        let fields: Vec<Need> = by_terms.map(|(name, value)| Need::field(name, value)).collect();
        if let Some(more) = inner.blocks(&Need::all(fields)).await? {
            blocks = Some(blocks.map_or(more.clone(), |b| b.and(&more)));
        }
        let order = inner.times(wanted, &selection, blocks.as_ref()).await?;
        let uncompressed: i64 = inner.file.row_groups().iter().map(|g| g.total_byte_size().max(0)).sum();
        let per_row = (uncompressed as u64 / inner.file.info.rows.max(1)).max(1);
        let max_slice = ((SLICE_BYTES / per_row) as usize).clamp(MIN_SLICE, MAX_SLICE);
        // With a line filter more than the limit is needed to find it.
        let wanted =
            selection.limit_hint.map(|n| if selection.line.is_some() { n.saturating_mul(8) } else { n });
        let slice = wanted.unwrap_or(max_slice).clamp(MIN_SLICE, max_slice);
        Ok(Cursor { inner, entries, selection, order, next: 0, slice, max_slice })
    }

    /// The next records, `None` after the last.
    pub async fn advance(&mut self) -> Result<Option<LogBatch>> {
        while self.next < self.order.len() {
            if self.next > 0
                && let Some(line) = self.selection.line.take()
            {
                // Neighbours in time lie all over the file: another slice would unpack what the one before did.
                let rest = self.order.get(self.next..).unwrap_or_default();
                self.order = self.inner.filtered(rest, line).await?;
                self.next = 0;
                continue;
            }
            let end = (self.next + self.slice).min(self.order.len());
            let rows = self.order.get(self.next..end).unwrap_or_default().to_vec();
            self.next = end;
            self.slice = self.slice.saturating_mul(4).min(self.max_slice);
            let records = self.inner.slice(&rows, &self.selection).await?;
            if !records.is_empty() {
                return self.inner.batch(&self.entries, records).map(Some);
            }
        }
        Ok(None)
    }
}

/// Whether only records of these streams themselves say what they have under a name, so that its terms are all there is.
fn of_records(name: &str, wanted: &[&Entry]) -> bool {
    let beside = |e: &&Entry| {
        let has = |a: &Attributes| a.iter().any(|(key, _)| terms::name(key) == name);
        let s = &e.stream;
        s.labels.get(name).is_some() || has(&s.resource.attributes) || has(&s.scope.attributes)
    };
    !NO_TERMS.contains(&name) && !wanted.iter().any(beside)
}

impl Inner {
    /// Rows of streams inside the range and the blocks, in the order asked for.
    async fn times(
        &self,
        wanted: Vec<&Entry>,
        selection: &Selection,
        blocks: Option<&Blocks>,
    ) -> Result<Vec<u32>> {
        let range = selection.range;
        let mut found: Vec<(i64, u32)> = Vec::new();
        for (group, first, total) in self.groups() {
            let rows = self.rows_of(wanted.iter().copied(), (first, total), blocks);
            if rows.is_empty() {
                continue;
            }
            let column = self.indexes(["ts"])?;
            let mut batches =
                self.file.stream(vec![group], column, Some(rows.selection(total)), BATCH_ROWS * 4)?;
            let mut row = rows.iter();
            while let Some(batch) = batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))? {
                let ts = primitive::<TimestampNanosecondType>(&self.file, &batch, "ts")?;
                for (i, row) in (0..batch.num_rows()).zip(&mut row) {
                    let t = at(ts, i).ok_or_else(|| self.file.corrupt("a time for each record"))?;
                    if range.contains(TimestampNs(t)) {
                        found.push((t, (first + row) as u32));
                    }
                }
            }
        }
        found.sort_unstable();
        if selection.order == Order::NewestFirst {
            found.reverse();
        }
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }

    /// The rows of some streams that lie in a row group (first row, rows) and in the blocks, counted from its first.
    pub(super) fn rows_of<'e>(
        &self,
        entries: impl Iterator<Item = &'e Entry>,
        (first, total): (usize, usize),
        blocks: Option<&Blocks>,
    ) -> Rows {
        let inside =
            |r: &Range<usize>| r.start.clamp(first, first + total)..r.end.clamp(first, first + total);
        let own = |r: Range<usize>| r.start - first..r.end - first;
        let rows = entries.map(|e| inside(&e.rows));
        match blocks {
            None => Rows::from_ranges(rows.map(own)),
            Some(b) => Rows::from_ranges(rows.flat_map(|r| b.within(r)).map(own)),
        }
    }

    /// The records of some rows that pass the line condition, in the order of `rows`.
    async fn slice(&self, rows: &[u32], selection: &Selection) -> Result<Vec<LogRecord>> {
        let mut wanted: Vec<(u32, usize)> = rows.iter().enumerate().map(|(rank, row)| (*row, rank)).collect();
        wanted.sort_unstable();
        if let Some(line) = &selection.line {
            wanted = self.passing(wanted, line.clone()).await?;
        }
        let templates = self.templates().await?;
        let columns = self.indexes(record_columns(&self.layout))?;
        let mut out: Vec<(usize, LogRecord)> = Vec::with_capacity(wanted.len());
        for (group, rows, ranks) in self.by_group(&wanted) {
            let selection = rows.selection(self.file.rows_in(group));
            let mut batches =
                self.file.stream(vec![group], columns.iter().copied(), Some(selection), BATCH_ROWS)?;
            let mut ranks = ranks.into_iter();
            while let Some(batch) = batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))? {
                let records = decode::records(&self.file, &self.layout, &templates, &batch)?;
                out.extend(ranks.by_ref().zip(records));
            }
        }
        if out.len() != wanted.len() {
            return Err(self.file.corrupt(format!("{} rows, read {}", wanted.len(), out.len())));
        }
        out.sort_unstable_by_key(|(rank, _)| *rank);
        Ok(out.into_iter().map(|(_, r)| r).collect())
    }

    /// Those of the rows whose body passes, in the same order.
    async fn filtered(&self, rows: &[u32], line: Arc<LineCondition>) -> Result<Vec<u32>> {
        let mut wanted: Vec<(u32, usize)> = rows.iter().enumerate().map(|(rank, row)| (*row, rank)).collect();
        wanted.sort_unstable();
        let mut passing = self.passing(wanted, line).await?;
        passing.sort_unstable_by_key(|(_, rank)| *rank);
        Ok(passing.into_iter().map(|(row, _)| row).collect())
    }

    /// Those of the rows whose body passes; reads the body columns only.
    async fn passing(
        &self,
        wanted: Vec<(u32, usize)>,
        line: Arc<LineCondition>,
    ) -> Result<Vec<(u32, usize)>> {
        let columns = self.indexes(bodies::columns(self.layout.cut))?;
        let templates = self.templates().await?;
        let mut line = Sieve::new(line, &templates);
        let mut mask: Vec<bool> = Vec::with_capacity(wanted.len());
        for (group, rows, _) in self.by_group(&wanted) {
            let selection = rows.selection(self.file.rows_in(group));
            let mut batches =
                self.file.stream(vec![group], columns.iter().copied(), Some(selection), BATCH_ROWS)?;
            while let Some(batch) = batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))? {
                mask.extend(decode::passing(&self.file, &templates, &batch, &mut line)?);
            }
        }
        Ok(wanted.into_iter().zip(mask).filter(|(_, pass)| *pass).map(|(w, _)| w).collect())
    }

    /// Rows in ascending order, cut by row group: rows inside the group, and what came with each.
    fn by_group(&self, wanted: &[(u32, usize)]) -> Vec<(usize, Rows, Vec<usize>)> {
        let mut out = Vec::new();
        for (group, first, total) in self.groups() {
            let from = wanted.partition_point(|w| (w.0 as usize) < first);
            let to = wanted.partition_point(|w| (w.0 as usize) < first + total);
            let part = wanted.get(from..to).unwrap_or_default();
            if !part.is_empty() {
                let rows =
                    Rows::from_ranges(part.iter().map(|w| w.0 as usize - first..w.0 as usize - first + 1));
                out.push((group, rows, part.iter().map(|w| w.1).collect()));
            }
        }
        out
    }

    /// Records with the streams they name.
    pub(super) fn batch(&self, entries: &[Entry], records: Vec<LogRecord>) -> Result<LogBatch> {
        let mut batch = LogBatch::default();
        let mut numbers = Renumber::default();
        batch.records.reserve(records.len());
        for mut r in records {
            r.stream = numbers
                .add(entries, r.stream, &mut batch)
                .ok_or_else(|| self.file.corrupt(format!("stream {} in the table of streams", r.stream)))?;
            batch.records.push(r);
        }
        Ok(batch)
    }
}
