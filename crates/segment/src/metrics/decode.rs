//! Record batches to series.

use arrow::{
    array::{BinaryArray, RecordBatch},
    datatypes::UInt32Type,
};
use model::{AnyValue, Exemplar, Labels};

use super::{
    Layout, SeriesRows,
    columns::{EXEMPLARS, REST, label_column},
    stamps::Groups,
};
use crate::{
    Result,
    arrays::{Dictionary, at, binary, bytes_at, primitive, str_at, strings},
    codec::{floats, histograms, ints},
    file::File,
    text,
};

/// Columns a series is put together from, for the chunks named.
pub(super) fn data_columns(
    layout: &Layout,
    chunks: std::ops::RangeInclusive<u32>,
    exemplars: bool,
) -> Vec<String> {
    let mut names = label_columns(layout);
    for i in chunks {
        for n in ["n", "ts_ref", "starts", "s_data", "h_n", "h_ts_ref", "h_starts", "h_data"] {
            names.push(format!("{n}_{i}"));
        }
    }
    if exemplars {
        names.push(EXEMPLARS.to_owned());
    }
    names
}

pub(super) fn label_columns(layout: &Layout) -> Vec<String> {
    layout.labels.iter().map(|l| label_column(l)).chain([REST.to_owned()]).collect()
}

/// The label sets of all rows of a batch.
pub(super) fn labels(file: &File, layout: &Layout, batch: &RecordBatch) -> Result<Vec<Labels>> {
    let columns = layout
        .labels
        .iter()
        .map(|l| Ok((l.as_str(), Dictionary::of(file, batch, &label_column(l))?)))
        .collect::<Result<Vec<_>>>()?;
    let rest = Dictionary::of(file, batch, REST)?;
    (0..batch.num_rows())
        .map(|row| {
            let with_column = columns.iter().filter_map(|(l, d)| d.get(row).map(|v| (*l, v)));
            let made = match rest.get(row) {
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

/// Groups of times the rows of a batch refer to.
pub(super) fn groups(
    file: &File,
    batch: &RecordBatch,
    chunks: std::ops::RangeInclusive<u32>,
) -> Result<Vec<u32>> {
    let mut out = Vec::new();
    for i in chunks {
        for name in ["ts_ref", "h_ts_ref"] {
            out.extend(primitive::<UInt32Type>(file, batch, &format!("{name}_{i}"))?.iter().flatten());
        }
    }
    Ok(out)
}

/// One chunk's columns.
struct ChunkColumns<'a> {
    n: &'a arrow::array::UInt32Array,
    refs: &'a arrow::array::UInt32Array,
    starts: &'a BinaryArray,
    data: &'a BinaryArray,
    name: String,
}

impl<'a> ChunkColumns<'a> {
    fn of(file: &File, batch: &'a RecordBatch, i: u32, prefix: &str, data: &str) -> Result<Self> {
        let name = format!("{data}_{i}");
        Ok(ChunkColumns {
            n: primitive::<UInt32Type>(file, batch, &format!("{prefix}n_{i}"))?,
            refs: primitive::<UInt32Type>(file, batch, &format!("{prefix}ts_ref_{i}"))?,
            starts: binary(file, batch, &format!("{prefix}starts_{i}"))?,
            data: binary(file, batch, &name)?,
            name,
        })
    }

    /// Times, starts (empty where unknown) and chunk bytes of a row; `None` without samples.
    fn row<'g>(&self, file: &File, row: usize, groups: &'g Groups) -> Result<Option<Cell<'a, 'g>>> {
        let n = at(self.n, row).unwrap_or(0) as usize;
        if n == 0 {
            return Ok(None);
        }
        let bad = |what: &str| file.corrupt(format!("row {row} of {} to have {what}", self.name));
        let times = at(self.refs, row).and_then(|g| groups.get(&g)).filter(|t| t.len() == n);
        let times = times.ok_or_else(|| bad(&format!("{n} times")))?;
        let starts = match bytes_at(self.starts, row) {
            Some(chunk) => ints::decode(chunk, n).ok_or_else(|| bad(&format!("{n} start times")))?,
            None => Vec::new(),
        };
        let data = bytes_at(self.data, row).ok_or_else(|| bad("a chunk"))?;
        Ok(Some(Cell { times, starts, data }))
    }
}

struct Cell<'a, 'g> {
    times: &'g [i64],
    starts: Vec<i64>,
    data: &'a [u8],
}

/// Puts the series of a batch together, cut to `times`.
pub(super) fn series(
    file: &File,
    layout: &Layout,
    batch: &RecordBatch,
    chunks: std::ops::RangeInclusive<u32>,
    times: Option<(i64, i64)>,
    groups: &Groups,
) -> Result<Vec<SeriesRows>> {
    let mut out: Vec<SeriesRows> = labels(file, layout, batch)?
        .into_iter()
        .map(|labels| SeriesRows { labels, ..SeriesRows::default() })
        .collect();
    for i in chunks {
        let floats = ChunkColumns::of(file, batch, i, "", "s_data")?;
        let native = ChunkColumns::of(file, batch, i, "h_", "h_data")?;
        for (row, s) in out.iter_mut().enumerate() {
            if let Some(cell) = floats.row(file, row, groups)? {
                push_floats(s, &cell, times).ok_or_else(|| undecodable(file, s, &floats.name))?;
            }
            if let Some(cell) = native.row(file, row, groups)? {
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
