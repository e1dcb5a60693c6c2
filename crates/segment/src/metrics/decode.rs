//! Columns and batches of samples to series.

use std::ops::RangeInclusive;

use arrow::array::{BinaryArray, RecordBatch};
use model::{AnyValue, Exemplar, Labels};

use super::{
    Layout, SeriesRows,
    columns::{EXEMPLARS, REST, label_column},
    packed::Packed,
    stamps::Groups,
    table::Table,
};
use crate::{
    Result,
    arrays::{binary, bytes_at, str_at, strings},
    codec::{floats, histograms, ints},
    file::File,
    text,
};

/// Columns beside the samples that a series is put together from, for the chunks named. `starts`: also which rows
/// have starts.
pub(super) fn table_columns(layout: &Layout, chunks: RangeInclusive<u32>, starts: bool) -> Vec<String> {
    let mut names = label_columns(layout);
    let of_chunk: &[&str] = match starts {
        true => &["n", "ts_ref", "h_n", "h_ts_ref", "starts", "h_starts"],
        false => &["n", "ts_ref", "h_n", "h_ts_ref"],
    };
    for i in chunks {
        names.extend(of_chunk.iter().map(|n| format!("{n}_{i}")));
    }
    names
}

/// Columns of samples of which the rows have any, for the chunks named.
pub(super) fn data_columns(table: &Table, rows: &[u32], chunks: RangeInclusive<u32>) -> Vec<String> {
    let mut names = Vec::new();
    let any = |name: &str| {
        let some =
            |row: &u32| table.get(name).and_then(|c| c.numbers.get(*row as usize)).is_some_and(|n| n > 0);
        rows.iter().any(some)
    };
    for i in chunks {
        for (prefix, data) in [("", "s_data"), ("h_", "h_data")] {
            if any(&format!("{prefix}n_{i}")) {
                names.push(format!("{data}_{i}"));
                let starts = format!("{prefix}starts_{i}");
                if table.get(&starts).is_none() || any(&starts) {
                    names.push(starts);
                }
            }
        }
    }
    names
}

pub(super) fn label_columns(layout: &Layout) -> Vec<String> {
    layout.labels.iter().map(|l| label_column(l)).chain([REST.to_owned()]).collect()
}

/// The label sets of some rows.
pub(super) fn labels(file: &File, layout: &Layout, table: &Table, rows: &[u32]) -> Result<Vec<Labels>> {
    let columns = layout
        .labels
        .iter()
        .map(|l| Ok((l.as_str(), table.column(file, &label_column(l))?)))
        .collect::<Result<Vec<_>>>()?;
    let rest = table.column(file, REST)?;
    rows.iter()
        .map(|row| {
            let row = *row as usize;
            let with_column = columns.iter().filter_map(|(l, d)| d.text(row).map(|v| (*l, v)));
            let made = match rest.text(row) {
                None => Labels::from_sorted(with_column),
                Some(json) => {
                    let others =
                        text::decode_pairs(json).map_err(|e| file.corrupt(format!("l_rest: {e}")))?;
                    let others = others.iter().filter_map(|(k, v)| v.as_str().map(|v| (k, v)));
                    let mut pairs: Vec<(&str, &str)> = with_column.chain(others).collect();
                    pairs.sort_unstable();
                    Labels::from_sorted(pairs)
                }
            };
            made.ok_or_else(|| file.corrupt("each label of a series once"))
        })
        .collect()
}

/// Groups of times that some rows refer to.
pub(super) fn groups(
    file: &File,
    table: &Table,
    rows: &[u32],
    chunks: RangeInclusive<u32>,
) -> Result<Vec<u32>> {
    let mut out = Vec::new();
    for i in chunks {
        for name in ["ts_ref", "h_ts_ref"] {
            let refs = &table.column(file, &format!("{name}_{i}"))?.numbers;
            let mut last = None;
            for group in rows.iter().filter_map(|row| refs.get(*row as usize)) {
                // Neighbours often share their times.
                if last.replace(group) != Some(group) {
                    out.extend(u32::try_from(group));
                }
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// One chunk's columns: what lies in the table, by row of the group, and samples, by row of the batch.
struct ChunkColumns<'a> {
    n: &'a Packed,
    refs: &'a Packed,
    starts: Option<&'a BinaryArray>,
    data: &'a BinaryArray,
    name: String,
}

impl<'a> ChunkColumns<'a> {
    /// `None` where no row of the query has samples.
    fn of(
        file: &File,
        table: &'a Table,
        batch: &'a RecordBatch,
        i: u32,
        prefix: &str,
        data: &str,
    ) -> Result<Option<Self>> {
        let name = format!("{data}_{i}");
        if batch.column_by_name(&name).is_none() {
            return Ok(None);
        }
        let starts = format!("{prefix}starts_{i}");
        Ok(Some(ChunkColumns {
            n: &table.column(file, &format!("{prefix}n_{i}"))?.numbers,
            refs: &table.column(file, &format!("{prefix}ts_ref_{i}"))?.numbers,
            starts: batch.column_by_name(&starts).map(|_| binary(file, batch, &starts)).transpose()?,
            data: binary(file, batch, &name)?,
            name,
        }))
    }

    /// Times, starts (empty where unknown) and chunk bytes of a row, which is number `at` of the batch; `None`
    /// without samples.
    fn row<'g>(&self, file: &File, row: u32, at: usize, groups: &'g Groups) -> Result<Option<Cell<'a, 'g>>> {
        let n = self.n.get(row as usize).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if n == 0 {
            return Ok(None);
        }
        let bad = |what: &str| file.corrupt(format!("row {row} of {} to have {what}", self.name));
        let group = self.refs.get(row as usize).and_then(|g| u32::try_from(g).ok());
        let times = group.and_then(|g| groups.get(&g)).filter(|t| t.len() == n);
        let times = times.ok_or_else(|| bad(&format!("{n} times")))?;
        let starts = match self.starts.and_then(|s| bytes_at(s, at)) {
            Some(chunk) => ints::decode(chunk, n).ok_or_else(|| bad(&format!("{n} start times")))?,
            None => Vec::new(),
        };
        let data = bytes_at(self.data, at).ok_or_else(|| bad("a chunk"))?;
        Ok(Some(Cell { times, starts, data }))
    }
}

struct Cell<'a, 'g> {
    times: &'g [i64],
    starts: Vec<i64>,
    data: &'a [u8],
}

/// Where a batch of samples belongs: its rows in their row group, and the columns of that.
pub(super) struct Place<'a> {
    pub file: &'a File,
    pub layout: &'a Layout,
    pub table: &'a Table,
    pub rows: &'a [u32],
}

/// Puts the series of a batch together, cut to `times`.
pub(super) fn series(
    place: &Place<'_>,
    batch: &RecordBatch,
    chunks: RangeInclusive<u32>,
    times: Option<(i64, i64)>,
    groups: &Groups,
) -> Result<Vec<SeriesRows>> {
    let Place { file, layout, table, rows } = *place;
    let mut out: Vec<SeriesRows> = labels(file, layout, table, rows)?
        .into_iter()
        .map(|labels| SeriesRows { labels, ..SeriesRows::default() })
        .collect();
    for i in chunks {
        let floats = ChunkColumns::of(file, table, batch, i, "", "s_data")?;
        let native = ChunkColumns::of(file, table, batch, i, "h_", "h_data")?;
        for (at, (row, s)) in rows.iter().zip(&mut out).enumerate() {
            if let Some(floats) = &floats
                && let Some(cell) = floats.row(file, *row, at, groups)?
            {
                push_floats(s, &cell, times).ok_or_else(|| undecodable(file, s, &floats.name))?;
            }
            if let Some(native) = &native
                && let Some(cell) = native.row(file, *row, at, groups)?
            {
                push_histograms(s, cell, times).ok_or_else(|| undecodable(file, s, &native.name))?;
            }
        }
    }
    for s in &mut out {
        if s.starts_ms.iter().all(|t| *t == 0) {
            s.starts_ms.clear();
        }
    }
    Ok(out)
}

fn undecodable(file: &File, s: &SeriesRows, column: &str) -> crate::Error {
    file.corrupt(format!("a chunk in {column} of series {} that decodes", s.labels))
}

/// The part of ascending times inside the bounds.
fn inside(stamps: &[i64], times: Option<(i64, i64)>) -> std::ops::Range<usize> {
    match times {
        Some((first, last)) => stamps.partition_point(|t| *t < first)..stamps.partition_point(|t| *t <= last),
        None => 0..stamps.len(),
    }
}

fn push_floats(s: &mut SeriesRows, cell: &Cell<'_, '_>, times: Option<(i64, i64)>) -> Option<()> {
    let keep = inside(cell.times, times);
    if keep.is_empty() {
        return Some(());
    }
    let values = floats::decode(cell.data, cell.times.len())?;
    let known = s.values.len();
    s.timestamps_ms.extend_from_slice(cell.times.get(keep.clone())?);
    s.values.extend_from_slice(values.get(keep.clone())?);
    if !cell.starts.is_empty() || !s.starts_ms.is_empty() {
        s.starts_ms.resize(known, 0);
        match cell.starts.get(keep) {
            Some(starts) => s.starts_ms.extend_from_slice(starts),
            None => s.starts_ms.resize(s.values.len(), 0),
        }
    }
    Some(())
}

fn push_histograms(s: &mut SeriesRows, cell: Cell<'_, '_>, times: Option<(i64, i64)>) -> Option<()> {
    let keep = inside(cell.times, times);
    if keep.is_empty() {
        return Some(());
    }
    let values = histograms::decode(cell.data, cell.times.len())?;
    for (i, h) in values.into_iter().enumerate().skip(keep.start).take(keep.len()) {
        s.histograms.push((*cell.times.get(i)?, cell.starts.get(i).copied().unwrap_or(0), h));
    }
    Some(())
}

/// Fills in exemplars of a batch that has their column.
pub(super) fn add_exemplars(
    file: &File,
    batch: &RecordBatch,
    times: Option<(i64, i64)>,
    out: &mut [SeriesRows],
) -> Result<()> {
    let column = strings(file, batch, EXEMPLARS)?;
    for (row, s) in out.iter_mut().enumerate() {
        if let Some(json) = str_at(column, row) {
            let all =
                exemplars(json).ok_or_else(|| file.corrupt("exemplars as [[time, value, labels], …]"))?;
            let inside = |e: &Exemplar| times.is_none_or(|(a, b)| a <= e.timestamp_ms && e.timestamp_ms <= b);
            s.exemplars.extend(all.into_iter().filter(inside));
        }
    }
    Ok(())
}

fn exemplars(json: &str) -> Option<Vec<Exemplar>> {
    let AnyValue::Array(items) = text::decode(json).ok()? else { return None };
    items
        .into_iter()
        .map(|item| {
            let AnyValue::Array(parts) = item else { return None };
            match parts.as_slice() {
                [AnyValue::Int(timestamp_ms), AnyValue::Double(value), AnyValue::Map(labels)] => {
                    Some(Exemplar {
                        labels: Labels::from_pairs(labels.iter().filter_map(|(k, v)| Some((k, v.as_str()?)))),
                        value: *value,
                        timestamp_ms: *timestamp_ms,
                    })
                }
                _ => None,
            }
        })
        .collect()
}
