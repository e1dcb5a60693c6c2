//! Deleted series and log streams. A deletion is a line in the catalog: which of them, which time, and the version up to which
//! segments were published when it was made. Reads leave out what it names, merges write segments without it,
//! and it is forgotten once no live segment holds anything of it.
//!
//! ```text
//! delete = flush ─► catalog version N says {matchers, range}       applies to segments of sequence ≤ N
//! read   = segment rows ─► Deleted::take_from ─► merged view
//! merge  = segment rows ─► Deleted::take_from ─► segment with cleaned = newest deletion known
//! ```
//! What is appended after a deletion is in no segment it applies to, so it stays, whatever its time.

use std::sync::Arc;

use model::{Labels, LogBatch, MatchOp, Matcher, TimeRange, matcher::all_match};
use segment::metrics::SeriesRows;

use crate::{
    Error, Result,
    catalog::{DeletionRef, SegmentRef, State},
};

/// Deletions that wait for a merge, per tenant. More make every read slower; cleaning up makes room.
pub(crate) const MAX_PENDING: usize = 1000;

/// One deletion, ready to be applied.
#[derive(Debug)]
struct Deletion {
    matchers: Vec<Matcher>,
    first_ms: i64,
    last_ms: i64,
}

/// What is deleted of one segment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deleted(Arc<[Deletion]>);

impl DeletionRef {
    pub(crate) fn new(matchers: &[Matcher], range: TimeRange, made_ms: i64) -> Self {
        let (first_ms, last_ms) = range.to_ms_inclusive();
        let text = |m: &Matcher| (m.name.clone(), m.op.as_str().to_owned(), m.value.clone());
        DeletionRef { matchers: matchers.iter().map(text).collect(), first_ms, last_ms, sequence: 0, made_ms }
    }

    pub(crate) fn matchers(&self) -> Result<Vec<Matcher>> {
        let parsed = self.matchers.iter().map(|(name, op, value)| {
            let op = match op.as_str() {
                "=" => MatchOp::Equal,
                "!=" => MatchOp::NotEqual,
                "=~" => MatchOp::Regex,
                "!~" => MatchOp::NotRegex,
                other => return Err(format!("operator {other:?} is not known")),
            };
            Matcher::new(name, op, value).map_err(|e| e.to_string())
        });
        parsed
            .collect::<Result<_, _>>()
            .map_err(|e| Error::Corrupt(format!("a deletion in the catalog: {e}")))
    }

    /// Whether something of the segment may be deleted by it, as far as the catalog tells.
    fn applies(&self, matchers: &[Matcher], segment: &SegmentRef) -> bool {
        segment.sequence <= self.sequence
            && segment.cleaned < self.sequence
            && segment.info.overlaps(TimeRange::from_ms_inclusive(self.first_ms, self.last_ms))
            && segment.info.may_match(matchers)
    }
}

impl Deleted {
    pub(crate) fn of(state: &State, segment: &SegmentRef) -> Result<Deleted> {
        let mut list = Vec::new();
        for d in &state.deletions {
            let matchers = d.matchers()?;
            if d.applies(&matchers, segment) {
                list.push(Deletion { matchers, first_ms: d.first_ms, last_ms: d.last_ms });
            }
        }
        Ok(Deleted(list.into()))
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether everything of a series between two times is deleted by one of them.
    pub(crate) fn hides(&self, labels: &Labels, range: TimeRange) -> bool {
        let (first, last) = range.to_ms_inclusive();
        let whole = |d: &&Deletion| d.first_ms <= first && last <= d.last_ms;
        self.0.iter().filter(whole).any(|d| all_match(&d.matchers, labels))
    }

    /// Whether a series is deleted at a time.
    pub(crate) fn covers(&self, labels: &Labels, at_ms: i64) -> bool {
        let then = |d: &&Deletion| d.first_ms <= at_ms && at_ms <= d.last_ms;
        self.0.iter().filter(then).any(|d| all_match(&d.matchers, labels))
    }

    /// Whether a record with these labels and at this time (ns) stays.
    pub(crate) fn keeps(&self, labels: &Labels, at_ns: i64) -> bool {
        let at = at_ns.div_euclid(1_000_000);
        let mut then = self.0.iter().filter(|d| d.first_ms <= at && at <= d.last_ms);
        !then.any(|d| all_match(&d.matchers, labels))
    }

    /// Removes the records that are deleted. Deletions are to the millisecond.
    pub(crate) fn take_from_logs(&self, batch: &mut LogBatch) {
        if self.is_nothing() {
            return;
        }
        let of_stream = |labels: &Labels| -> Vec<(i64, i64)> {
            let matching = self.0.iter().filter(|d| all_match(&d.matchers, labels));
            matching.map(|d| (d.first_ms, d.last_ms)).collect()
        };
        let ranges: Vec<_> = batch.streams.iter().map(|s| of_stream(&s.labels)).collect();
        batch.records.retain(|r| {
            let at = r.timestamp_ns.div_euclid(1_000_000);
            let gone = |(first, last): &(i64, i64)| *first <= at && at <= *last;
            !ranges.get(r.stream as usize).is_some_and(|all| all.iter().any(gone))
        });
    }

    /// Removes what is deleted.
    pub(crate) fn take_from(&self, rows: &mut SeriesRows) {
        let ranges: Vec<(i64, i64)> = self
            .0
            .iter()
            .filter(|d| all_match(&d.matchers, &rows.labels))
            .map(|d| (d.first_ms, d.last_ms))
            .collect();
        if ranges.is_empty() {
            return;
        }
        let gone = |t: i64| ranges.iter().any(|(first, last)| *first <= t && t <= *last);
        let kept: Vec<bool> = rows.timestamps_ms.iter().map(|t| !gone(*t)).collect();
        retain(&mut rows.timestamps_ms, &kept);
        retain(&mut rows.values, &kept);
        // Empty where no sample has a start.
        retain(&mut rows.starts_ms, &kept);
        rows.histograms.retain(|(t, ..)| !gone(*t));
        rows.exemplars.retain(|e| !gone(e.timestamp_ms));
    }
}

fn retain<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next().copied().unwrap_or(true));
}

/// Sequences of deletions that no live segment holds anything of any more.
pub(crate) fn done(state: &State) -> Result<Vec<u64>> {
    let mut out = Vec::new();
    for d in &state.deletions {
        let matchers = d.matchers()?;
        if !state.segments.values().any(|s| d.applies(&matchers, s)) {
            out.push(d.sequence);
        }
    }
    // Several of one version go together, or not at all.
    let pending = |sequence: &u64| {
        let of_it = state.deletions.iter().filter(|d| d.sequence == *sequence).count();
        out.iter().filter(|s| *s == sequence).count() == of_it
    };
    let mut whole: Vec<u64> = out.iter().copied().filter(pending).collect();
    whole.dedup();
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deleted(list: &[(&str, i64, i64)]) -> Deleted {
        let one = |(name, first_ms, last_ms): &(&str, i64, i64)| Deletion {
            matchers: vec![Matcher::equal("__name__", *name)],
            first_ms: *first_ms,
            last_ms: *last_ms,
        };
        Deleted(list.iter().map(one).collect())
    }

    #[test]
    fn samples_in_a_deleted_range_go_with_their_starts_and_others_stay() {
        let mut rows = SeriesRows {
            labels: Labels::from_pairs([("__name__", "a")]),
            timestamps_ms: vec![1, 2, 3, 4],
            values: vec![1.0, 2.0, 3.0, 4.0],
            starts_ms: vec![10, 20, 30, 40],
            histograms: vec![(2, 0, Default::default()), (9, 0, Default::default())],
            ..SeriesRows::default()
        };
        let before = rows.clone();
        deleted(&[("b", 0, 9)]).take_from(&mut rows);
        assert_eq!(rows, before);
        deleted(&[("a", 2, 2), ("a", 4, 9)]).take_from(&mut rows);
        assert_eq!(
            (rows.timestamps_ms, rows.values, rows.starts_ms),
            (vec![1, 3], vec![1.0, 3.0], vec![10, 30])
        );
        assert!(rows.histograms.is_empty());
    }

    #[test]
    fn a_series_is_hidden_only_where_one_deletion_covers_the_whole_range() {
        let a = Labels::from_pairs([("__name__", "a")]);
        let d = deleted(&[("a", 0, 5)]);
        assert!(d.hides(&a, TimeRange::from_ms_inclusive(1, 5)));
        assert!(!d.hides(&a, TimeRange::from_ms_inclusive(1, 6)));
        assert!(!d.hides(&Labels::from_pairs([("__name__", "b")]), TimeRange::from_ms_inclusive(1, 5)));
        assert!(d.covers(&a, 5) && !d.covers(&a, 6));
    }
}
