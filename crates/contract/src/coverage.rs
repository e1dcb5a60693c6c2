//! How complete an answer is: who answered, for which time, and what is missing.
//!
//! Complete means: covers the asked range as far as retention and the cluster's first day reach. Merging is
//! associative, commutative and idempotent, so an answer may pass any number of hops.

use model::{Signal, TimeRange, TimestampNs};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoverageState {
    Complete,
    /// It answered, but less than was asked for.
    Partial,
    /// It answers, but its watermark lies before the end of the asked range by more than is usual.
    Late,
    /// It did not answer.
    Missing,
}

impl CoverageState {
    pub fn as_str(self) -> &'static str {
        match self {
            CoverageState::Complete => "complete",
            CoverageState::Partial => "partial",
            CoverageState::Late => "late",
            CoverageState::Missing => "missing",
        }
    }
}

/// What one source contributed to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCoverage {
    /// The cluster's name; `local` for a node without one.
    pub cluster: String,
    pub replica: Option<String>,
    pub signal: Signal,
    pub state: CoverageState,
    /// Disjoint, ascending, non-empty ranges.
    pub covered: Vec<TimeRange>,
    /// Everything up to here has arrived, as far as the source knows.
    pub watermark: Option<TimestampNs>,
    /// Why it is not complete; empty when it is. Of replicas that mirror each other it also says which was not there
    /// though another made up for it.
    pub reason: String,
}

impl SourceCoverage {
    /// One that answers for all that is asked.
    pub fn complete(cluster: impl Into<String>, signal: Signal, range: TimeRange) -> Self {
        SourceCoverage {
            cluster: cluster.into(),
            replica: None,
            signal,
            state: CoverageState::Complete,
            covered: vec![range],
            watermark: None,
            reason: String::new(),
        }
    }
}

/// One entry per (cluster, replica, signal), sorted by them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(Vec<SourceCoverage>);

impl Coverage {
    pub fn one(mut source: SourceCoverage) -> Self {
        source.covered = union(&source.covered, &[]);
        source.reason = join_reasons(&source.reason, "");
        Coverage(vec![source])
    }

    pub fn sources(&self) -> &[SourceCoverage] {
        &self.0
    }

    /// True when every source that was asked is complete.
    pub fn is_complete(&self) -> bool {
        self.0.iter().all(|s| s.state == CoverageState::Complete)
    }

    /// The worst state of all.
    pub fn state(&self) -> CoverageState {
        self.0.iter().map(|s| s.state).max().unwrap_or(CoverageState::Complete)
    }

    /// Adds what another part of the same answer covers. Of one source, a sub-query that saw less makes the
    /// whole see less: states take the worse, ranges are joined, the watermark is the earlier.
    pub fn merge(&mut self, other: Coverage) {
        for o in other.0 {
            let key = |s: &SourceCoverage| (s.cluster.clone(), s.replica.clone(), s.signal.clone());
            match self.0.binary_search_by_key(&key(&o), key) {
                Err(at) => self.0.insert(at, o),
                Ok(at) => {
                    let mine = &mut self.0[at];
                    // Reasons of the worse state win; of two equal states both are kept, in order.
                    match o.state.cmp(&mine.state) {
                        std::cmp::Ordering::Greater => mine.reason = o.reason,
                        std::cmp::Ordering::Equal => mine.reason = join_reasons(&mine.reason, &o.reason),
                        std::cmp::Ordering::Less => {}
                    }
                    mine.state = mine.state.max(o.state);
                    mine.covered = union(&mine.covered, &o.covered);
                    mine.watermark = match (mine.watermark, o.watermark) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                }
            }
        }
    }

    /// A line for people and for the header: `local metrics complete; prod-01 metrics missing (timeout)`.
    /// Never longer than `max_bytes`.
    pub fn summary(&self, max_bytes: usize) -> String {
        let mut out = String::new();
        for (i, s) in self.0.iter().enumerate() {
            let mut part = format!("{} {} {}", s.cluster, s.signal, s.state.as_str());
            if let Some(r) = &s.replica {
                part = format!("{}/{r} {} {}", s.cluster, s.signal, s.state.as_str());
            }
            if !s.reason.is_empty() {
                part.push_str(&format!(" ({})", s.reason));
            }
            let tail = format!("; and {} more, {}", self.0.len() - i, self.state().as_str());
            if out.len() + part.len() + tail.len() + 2 > max_bytes {
                out.push_str(&tail);
                break;
            }
            if i > 0 {
                out.push_str("; ");
            }
            out.push_str(&part);
        }
        out.retain(|c| c == ' ' || c.is_ascii_graphic());
        out.truncate(max_bytes);
        out
    }
}

fn join_reasons(a: &str, b: &str) -> String {
    let mut all: Vec<&str> = a.split(", ").chain(b.split(", ")).filter(|s| !s.is_empty()).collect();
    all.sort_unstable();
    all.dedup();
    all.join(", ")
}

/// The union of two sorted lists of disjoint ranges; ranges that touch become one.
fn union(a: &[TimeRange], b: &[TimeRange]) -> Vec<TimeRange> {
    let mut all: Vec<TimeRange> = a.iter().chain(b).copied().filter(|r| !r.is_empty()).collect();
    all.sort_unstable();
    let mut out: Vec<TimeRange> = Vec::with_capacity(all.len());
    for r in all {
        match out.last_mut() {
            Some(last) if r.start <= last.end => last.end = last.end.max(r.end),
            _ => out.push(r),
        }
    }
    out
}

#[cfg(test)]
mod tests;
