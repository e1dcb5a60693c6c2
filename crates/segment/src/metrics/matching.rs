//! Which rows of a row group satisfy matchers and time: statistics first, then label columns.

use std::collections::BTreeSet;

use arrow::datatypes::TimestampMillisecondType;
use futures::TryStreamExt;
use model::{MatchOp, Matcher, TimeRange};
use parquet::file::statistics::Statistics;

use super::{
    Layout,
    columns::{REST, label_column},
};
use crate::{
    Result,
    arrays::{Dictionary, at, primitive},
    file::File,
    rows::Rows,
    text,
};

/// Rows looked at together.
const BATCH_ROWS: usize = 8192;

/// What is asked for. A row matches when one selector accepts it; without selectors all rows do.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub selectors: Vec<Vec<Matcher>>,
    /// First and last millisecond; `None` for everything, also rows without samples.
    pub times: Option<(i64, i64)>,
}

impl Query {
    pub fn new(selectors: Vec<Vec<Matcher>>, range: TimeRange) -> Self {
        Query { selectors, times: Some(range.to_ms_inclusive()) }
    }

    pub fn everything() -> Self {
        Query { selectors: Vec::new(), times: None }
    }

    /// Chunk columns that can hold a time of the query.
    pub fn chunks(&self, layout: &Layout) -> std::ops::RangeInclusive<u32> {
        match self.times {
            Some((first, last)) => layout.chunks.of(first)..=layout.chunks.of(last),
            None => 0..=layout.chunks.count.saturating_sub(1),
        }
    }
}

impl Layout {
    fn has_column(&self, label: &str) -> bool {
        self.labels.binary_search_by(|l| l.as_str().cmp(label)).is_ok()
    }

    fn may_be_in_rest(&self, label: &str) -> bool {
        self.rest.as_ref().is_none_or(|r| r.iter().any(|l| l == label))
    }
}

/// Whether the statistics of a row group leave any row possible.
pub(super) fn may_match(file: &File, layout: &Layout, group: usize, query: &Query) -> bool {
    let times = query.times.is_none_or(|(first, last)| {
        query.chunks(layout).any(|i| {
            let smallest = bounds(file, group, &format!("tmin_{i}")).map(|(lo, _)| lo);
            let largest = bounds(file, group, &format!("tmax_{i}")).map(|(_, hi)| hi);
            smallest.is_none_or(|t| t <= last) && largest.is_none_or(|t| t >= first)
        })
    });
    times
        && (query.selectors.is_empty()
            || query.selectors.iter().any(|s| s.iter().all(|m| label_may_match(file, layout, group, m))))
}

fn label_may_match(file: &File, layout: &Layout, group: usize, m: &Matcher) -> bool {
    if m.matches_empty() {
        return true;
    }
    if !layout.has_column(&m.name) {
        return layout.may_be_in_rest(&m.name);
    }
    let Some(stats) = statistics(file, group, &label_column(&m.name)) else { return true };
    let (Some(lo), Some(hi)) = (stats.min_bytes_opt(), stats.max_bytes_opt()) else {
        // No bounds: either all rows lack the label, or nothing is known.
        return stats.null_count_opt() != Some(file.rows_in(group) as u64);
    };
    m.op != MatchOp::Equal || (lo <= m.value.as_bytes() && m.value.as_bytes() <= hi)
}

fn statistics<'a>(file: &'a File, group: usize, column: &str) -> Option<&'a Statistics> {
    file.row_groups().get(group)?.columns().get(file.column(column)?)?.statistics()
}

fn bounds(file: &File, group: usize, column: &str) -> Option<(i64, i64)> {
    match statistics(file, group, column)? {
        Statistics::Int64(s) => Some((*s.min_opt()?, *s.max_opt()?)),
        _ => None,
    }
}

/// The rows of a row group that match; reads the label columns the matchers name, and times.
pub(super) async fn matching_rows(file: &File, layout: &Layout, group: usize, query: &Query) -> Result<Rows> {
    let total = file.rows_in(group);
    if !may_match(file, layout, group, query) {
        return Ok(Rows::default());
    }
    let names = columns_of(layout, query);
    if names.is_empty() {
        return Ok(Rows::all(total));
    }
    let columns = names.iter().filter_map(|n| file.column(n)).collect::<Vec<_>>();
    if columns.len() != names.len() {
        return Err(file.corrupt(format!("columns {names:?}")));
    }
    let mut stream = file.stream(vec![group], columns, None, BATCH_ROWS)?;
    let mut rows = Rows::default();
    let mut first = 0usize;
    while let Some(batch) = stream.try_next().await.map_err(|e| file.source.parquet_error(e))? {
        let mut mask = vec![query.selectors.is_empty(); batch.num_rows()];
        for selector in &query.selectors {
            let accepted = selector_mask(file, layout, &batch, selector)?;
            mask.iter_mut().zip(accepted).for_each(|(m, a)| *m |= a);
        }
        if let Some((from, to)) = query.times {
            let in_time = time_mask(file, layout, &batch, query, (from, to))?;
            mask.iter_mut().zip(in_time).for_each(|(m, t)| *m &= t);
        }
        mask.iter().enumerate().filter(|(_, m)| **m).for_each(|(i, _)| rows.push(first + i));
        first += batch.num_rows();
    }
    Ok(rows)
}

fn columns_of(layout: &Layout, query: &Query) -> Vec<String> {
    let mut names = BTreeSet::new();
    for m in query.selectors.iter().flatten() {
        if layout.has_column(&m.name) {
            names.insert(label_column(&m.name));
        } else if layout.may_be_in_rest(&m.name) {
            names.insert(REST.to_owned());
        }
    }
    if query.times.is_some() {
        for i in query.chunks(layout) {
            names.extend([format!("tmin_{i}"), format!("tmax_{i}")]);
        }
    }
    names.into_iter().collect()
}

type Batch = arrow::array::RecordBatch;

fn selector_mask(file: &File, layout: &Layout, batch: &Batch, selector: &[Matcher]) -> Result<Vec<bool>> {
    let mut mask = vec![true; batch.num_rows()];
    for m in selector {
        let empty = m.matches_empty();
        let accepted = if layout.has_column(&m.name) {
            Dictionary::of(file, batch, &label_column(&m.name))?.map_rows(empty, |v| m.matches(v))
        } else if layout.may_be_in_rest(&m.name) {
            Dictionary::of(file, batch, REST)?
                .map_rows(empty, |json| value_in_rest(json, &m.name).map_or(empty, |v| m.matches(&v)))
        } else {
            vec![empty; batch.num_rows()]
        };
        mask.iter_mut().zip(accepted).for_each(|(x, a)| *x &= a);
    }
    Ok(mask)
}

/// The value of one label in a `l_rest` object.
pub(super) fn value_in_rest(json: &str, label: &str) -> Option<String> {
    text::decode_pairs(json).ok()?.get_str(label).map(str::to_owned)
}

fn time_mask(
    file: &File,
    layout: &Layout,
    batch: &Batch,
    query: &Query,
    (first, last): (i64, i64),
) -> Result<Vec<bool>> {
    let mut mask = vec![false; batch.num_rows()];
    for i in query.chunks(layout) {
        let from = primitive::<TimestampMillisecondType>(file, batch, &format!("tmin_{i}"))?;
        let to = primitive::<TimestampMillisecondType>(file, batch, &format!("tmax_{i}"))?;
        for (row, m) in mask.iter_mut().enumerate() {
            if let (Some(a), Some(b)) = (at(from, row), at(to, row)) {
                *m |= a <= last && b >= first;
            }
        }
    }
    Ok(mask)
}
