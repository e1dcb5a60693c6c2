//! Which rows of a row group satisfy matchers and time: statistics first, then label columns.

use std::collections::BTreeSet;

use model::{MatchOp, Matcher, TimeRange};
use parquet::file::statistics::Statistics;

use super::{
    Layout,
    columns::{REST, label_column},
    packed::{Column, Packed},
    table::{Columns, Table},
};
use crate::{Result, file::File, text};

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

    pub fn is_everything(&self) -> bool {
        self.selectors.is_empty() && self.times.is_none()
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

/// The rows of a row group that match; looks into the label columns the matchers name, and times.
pub(super) async fn matching_rows(
    columns: &Columns,
    file: &File,
    layout: &Layout,
    group: usize,
    query: &Query,
) -> Result<Vec<u32>> {
    let total = file.rows_in(group);
    if !may_match(file, layout, group, query) {
        return Ok(Vec::new());
    }
    let table = columns.load(file, group, &columns_of(layout, query)).await?;
    let mut rows = match query.selectors.as_slice() {
        [] => (0..total as u32).collect(),
        [one] => selected(file, layout, &table, one, total)?,
        several => {
            let mut all = Vec::new();
            for selector in several {
                all.extend(selected(file, layout, &table, selector, total)?);
            }
            all.sort_unstable();
            all.dedup();
            all
        }
    };
    if let Some((first, last)) = query.times {
        let mut bounds = Vec::new();
        for i in query.chunks(layout) {
            let from = &table.column(file, &format!("tmin_{i}"))?.numbers;
            bounds.push((from, &table.column(file, &format!("tmax_{i}"))?.numbers));
        }
        let overlaps = |(from, to): &(&Packed, &Packed), row: usize| {
            from.get(row).is_some_and(|t| t <= last) && to.get(row).is_some_and(|t| t >= first)
        };
        rows.retain(|row| bounds.iter().any(|b| overlaps(b, *row as usize)));
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

/// The rows one selector accepts, ascending. Each matcher looks only at what those before it left, and what
/// matches one value goes first.
fn selected(
    file: &File,
    layout: &Layout,
    table: &Table,
    selector: &[Matcher],
    total: usize,
) -> Result<Vec<u32>> {
    let mut rows: Option<Vec<u32>> = None;
    let mut matchers: Vec<&Matcher> = selector.iter().collect();
    matchers.sort_by_key(|m| m.op != MatchOp::Equal);
    for m in matchers {
        let empty = m.matches_empty();
        let mut narrow = |column: &Column, accept: &dyn Fn(Option<i64>) -> bool| {
            let numbers = &column.numbers;
            rows = Some(match rows.take() {
                None => numbers.rows(accept),
                Some(mut some) => {
                    some.retain(|row| accept(numbers.get(*row as usize)));
                    some
                }
            });
        };
        if layout.has_column(&m.name) {
            let column = table.column(file, &label_column(&m.name))?;
            narrow(column, &column.accepts(empty, |v| m.matches(v)));
        } else if layout.may_be_in_rest(&m.name) {
            let column = table.column(file, REST)?;
            let of_rest = |json: &str| value_in_rest(json, &m.name).map_or(empty, |v| m.matches(&v));
            narrow(column, &column.accepts(empty, of_rest));
        } else if !empty {
            return Ok(Vec::new());
        }
    }
    Ok(rows.unwrap_or_else(|| (0..total as u32).collect()))
}

/// The value of one label in a `l_rest` object.
pub(super) fn value_in_rest(json: &str, label: &str) -> Option<String> {
    text::decode_pairs(json).ok()?.get_str(label).map(str::to_owned)
}
