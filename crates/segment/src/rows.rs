//! Sets of rows of one row group, as ranges in ascending order.

use std::ops::Range;

use parquet::arrow::arrow_reader::RowSelection;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rows(Vec<Range<usize>>);

impl Rows {
    /// From ranges that ascend and do not overlap.
    pub fn from_ranges(ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut rows = Rows::default();
        ranges.into_iter().for_each(|r| rows.push_range(r));
        rows
    }

    fn push_range(&mut self, r: Range<usize>) {
        match self.0.last_mut() {
            _ if r.is_empty() => {}
            Some(last) if last.end == r.start => last.end = r.end,
            _ => self.0.push(r),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().cloned().flatten()
    }

    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().cloned()
    }

    /// The parts of the ranges that lie inside of one.
    pub fn clipped(&self, within: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        let from = self.0.partition_point(|r| r.end <= within.start);
        let inside = self.0.iter().skip(from).take_while(move |r| r.start < within.end);
        inside.map(move |r| r.start.max(within.start)..r.end.min(within.end))
    }

    pub fn selection(&self, total: usize) -> RowSelection {
        RowSelection::from_consecutive_ranges(self.0.iter().cloned(), total)
    }
}
