//! Members that hold the same cluster: how they share its signals, and how they come to be seen as one.

use std::collections::BTreeMap;

use base::memory::{Reservation, Use};
use contract::{Coverage, CoverageState, Result, SeriesData, SourceCoverage};
use model::{Labels, Signal, TimeRange};

use crate::{Member, feed::Feed, query::Query, rules::series_bytes, series::merge_two};

/// How the replicas of one cluster share a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// Each holds everything, observed by itself: two Prometheus servers with the same targets. An answer is complete
    /// while one of them is.
    Mirrored,
    /// Each holds a part: collectors that send to whoever is free. An answer without one of them is partial.
    Sharded,
}

/// What replicas are told apart by, and what each cluster's have declared.
#[derive(Debug, Clone)]
pub struct Replicas {
    label: String,
    declared: BTreeMap<(String, Signal), Replication>,
}

impl Default for Replicas {
    fn default() -> Self {
        Replicas::new("replica")
    }
}

impl Replicas {
    /// `label` is what series and streams of a replica carry its name in. It is taken off where it has the member's
    /// own name as its value; a label of that name with another value is the series' own.
    pub fn new(label: impl Into<String>) -> Self {
        Replicas { label: label.into(), declared: BTreeMap::new() }
    }

    pub fn declare(&mut self, cluster: &str, signal: Signal, replication: Replication) {
        self.declared.insert((cluster.to_owned(), signal), replication);
    }

    /// As declared; else metrics are mirrored, as replicas of Prometheus are, and everything else is sharded, so that
    /// nothing counts as complete that might not be.
    pub fn of(&self, cluster: &str, signal: &Signal) -> Replication {
        let declared = self.declared.get(&(cluster.to_owned(), signal.clone()));
        let usual = if *signal == Signal::METRICS { Replication::Mirrored } else { Replication::Sharded };
        declared.copied().unwrap_or(usual)
    }

    /// The mark that a member's items carry, if it is a replica.
    pub(crate) fn mark(&self, member: &Member) -> Option<Mark> {
        member.replica.as_ref().map(|r| Mark { label: self.label.clone(), replica: r.clone() })
    }
}

/// The label and value that tell one replica's items from another's.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) label: String,
    pub(crate) replica: String,
}

impl Mark {
    /// The labels without the mark. Where nothing else is there it stays.
    pub(crate) fn off(&self, labels: &Labels) -> Labels {
        if labels.get(&self.label) == Some(&self.replica) && labels.len() > 1 {
            labels.without(&[&self.label])
        } else {
            labels.clone()
        }
    }
}

/// Series of a replica without its mark, in order again.
///
/// Without a label in its middle a set that begins another sorts before it, where with the label it came behind:
/// `{__name__="up"}` comes after all series of that name. Sets that begin one another share their first pair, so it
/// takes one metric at a time to put them in order. From a first pair on that sorts behind the mark everything is
/// taken at once; only series without a name have one.
pub(crate) struct Unmarked {
    mark: Mark,
    held: Reservation,
    ready: std::vec::IntoIter<SeriesData>,
    /// First of the next group.
    pending: Option<SeriesData>,
}

impl Unmarked {
    pub(crate) fn new(mark: Mark, query: &Query) -> Result<Self> {
        let held = query.limits().memory.reserve(Use::Query, 0)?;
        Ok(Unmarked { mark, held, ready: Vec::new().into_iter(), pending: None })
    }

    pub(crate) async fn next(
        &mut self,
        query: &mut Query,
        i: usize,
        feed: &mut Option<Feed<SeriesData>>,
    ) -> Result<Option<SeriesData>> {
        if let Some(next) = self.ready.next() {
            return Ok(Some(next));
        }
        self.held.shrink_to(0);
        let mut group: Vec<SeriesData> = Vec::new();
        while let Some(s) = match self.pending.take() {
            Some(s) => Some(s),
            None => query.next(i, feed, Vec::new).await?,
        } {
            if group.first().is_some_and(|g| self.group(&g.labels) != self.group(&s.labels)) {
                self.pending = Some(s);
                break;
            }
            query.used(i);
            self.held.grow(series_bytes(&s))?;
            group.push(s);
        }
        self.ready = self.in_order(group).into_iter();
        Ok(self.ready.next())
    }

    /// What series have in common that may change places.
    fn group<'a>(&self, labels: &'a Labels) -> Option<(&'a str, &'a str)> {
        labels.iter().next().filter(|(name, _)| *name < self.mark.label.as_str())
    }

    fn in_order(&self, mut group: Vec<SeriesData>) -> Vec<SeriesData> {
        group.iter_mut().for_each(|s| s.labels = self.mark.off(&s.labels));
        group.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut out: Vec<SeriesData> = Vec::with_capacity(group.len());
        for s in group {
            // The same series from before and after it was given the mark.
            match out.pop_if(|last| last.labels == s.labels) {
                Some(last) => out.push(merge_two(last, s)),
                None => out.push(s),
            }
        }
        out
    }
}

/// What replicas cover together, under the name of their cluster.
pub(crate) fn together(replication: Replication, range: TimeRange, each: Vec<SourceCoverage>) -> Coverage {
    if each.len() < 2 {
        return each.into_iter().map(Coverage::one).fold(Coverage::default(), merged);
    }
    let Some(first) = each.first() else { return Coverage::default() };
    let (cluster, signal) = (first.cluster.clone(), first.signal.clone());
    let covered = match replication {
        Replication::Mirrored => each.iter().flat_map(|s| s.covered.iter().copied()).collect(),
        Replication::Sharded => {
            each.iter().map(|s| s.covered.clone()).reduce(|a, b| in_both(&a, &b)).unwrap_or_default()
        }
    };
    let marks = each.iter().filter(|s| s.state != CoverageState::Missing).filter_map(|s| s.watermark);
    let (watermark, state) = match replication {
        Replication::Mirrored => (marks.max(), best(range, &each)),
        Replication::Sharded => (marks.min(), worst(&each)),
    };
    let reason = each.iter().filter(|s| s.state != CoverageState::Complete).map(|s| {
        let replica = s.replica.as_deref().unwrap_or_default();
        format!("replica {replica}: {}", s.reason.replace(", ", "; "))
    });
    let reason = reason.collect::<Vec<_>>().join(", ");
    let one = SourceCoverage { cluster, replica: None, signal, state, covered, watermark, reason };
    Coverage::one(one)
}

fn merged(mut all: Coverage, more: Coverage) -> Coverage {
    all.merge(more);
    all
}

/// Of replicas that mirror each other the best counts; two that each miss another hour miss none together.
fn best(range: TimeRange, each: &[SourceCoverage]) -> CoverageState {
    let partial = each.iter().filter(|s| s.state == CoverageState::Partial);
    let mut ranges: Vec<TimeRange> = partial.flat_map(|s| s.covered.iter().copied()).collect();
    ranges.sort_unstable();
    let mut reached = range.start;
    for r in ranges {
        if r.start <= reached {
            reached = reached.max(r.end);
        }
    }
    if reached >= range.end && !range.is_empty() {
        return CoverageState::Complete;
    }
    each.iter().map(|s| s.state).min().unwrap_or(CoverageState::Missing)
}

/// Of replicas that hold a part each all are needed; while one answers the whole is not missing.
fn worst(each: &[SourceCoverage]) -> CoverageState {
    let worst = each.iter().map(|s| s.state).max().unwrap_or(CoverageState::Missing);
    let all_missing = each.iter().all(|s| s.state == CoverageState::Missing);
    if worst == CoverageState::Missing && !all_missing { CoverageState::Partial } else { worst }
}

/// Where two sorted lists of disjoint ranges overlap.
fn in_both(a: &[TimeRange], b: &[TimeRange]) -> Vec<TimeRange> {
    let pairs = a.iter().flat_map(|x| b.iter().map(|y| x.intersect(*y)));
    pairs.filter(|r| !r.is_empty()).collect()
}

#[cfg(test)]
mod tests;
