//! One statement's question: whose data, what bounds it, and what came of its scans.

use std::{fmt, sync::Arc};

use base::Kind;
use contract::{Coverage, Direction, LabelNamesRequest, QueryLimits, Scope, Select, SqlRead, Tenants};
use model::{Matcher, Signal, TimeRange, TimestampNs};
use parking_lot::Mutex;

/// How far back a table is read where neither the statement nor the request says it, as Loki's API has it.
pub(crate) const DEFAULT_REACH_NS: i64 = 3_600_000_000_000;

pub(crate) struct Asked {
    pub select: Arc<dyn Select>,
    pub tenants: Tenants,
    pub limits: QueryLimits,
    /// What `now()` is in the statement.
    pub now_ns: i64,
    /// What the request says beside the statement.
    pub within: TimeRange,
    noted: Mutex<Noted>,
}

struct Noted {
    direction: Direction,
    reads: Vec<SqlRead>,
    coverage: Coverage,
    /// Scans that ended before their sources had said what they cover.
    unfinished: Vec<LabelNamesRequest>,
}

impl Asked {
    pub(crate) fn new(
        select: Arc<dyn Select>,
        tenants: Tenants,
        limits: QueryLimits,
        now_ns: i64,
        within: TimeRange,
    ) -> Self {
        let noted = Noted {
            direction: Direction::NewestFirst,
            reads: Vec::new(),
            coverage: Coverage::default(),
            unfinished: Vec::new(),
        };
        Asked { select, tenants, limits, now_ns, within, noted: Mutex::new(noted) }
    }

    /// In which order log records come.
    pub(crate) fn direction(&self) -> Direction {
        self.noted.lock().direction
    }

    pub(crate) fn set_direction(&self, direction: Direction) {
        self.noted.lock().direction = direction;
    }

    /// The time that a table is read for, given what the statement says about it.
    pub(crate) fn range(&self, table: &str, said: TimeRange) -> TimeRange {
        let mut range = said.intersect(self.within);
        if range.end.0 == i64::MAX {
            range.end = TimestampNs(self.now_ns.saturating_add(1)).max(range.start);
        }
        let is_assumed = range.start.0 == i64::MIN;
        if is_assumed {
            range.start = TimestampNs(range.end.0.min(self.now_ns).saturating_sub(DEFAULT_REACH_NS));
        }
        if range.is_empty() {
            range.end = range.start;
        }
        self.noted.lock().reads.push(SqlRead { table: table.to_owned(), range, is_assumed });
        range
    }

    pub(crate) fn scope(&self, range: TimeRange) -> Scope {
        Scope { tenants: self.tenants.clone(), range, limits: self.limits.clone() }
    }

    pub(crate) fn reads(&self) -> Vec<SqlRead> {
        self.noted.lock().reads.clone()
    }

    pub(crate) fn covered(&self, coverage: Coverage) {
        self.noted.lock().coverage.merge(coverage);
    }

    /// A scan was given up before its end, by a limit as a rule. What it covers is asked for later.
    pub(crate) fn left(&self, signal: Signal, range: TimeRange, matchers: Vec<Matcher>) {
        let selectors = if matchers.is_empty() { Vec::new() } else { vec![matchers] };
        let request = LabelNamesRequest { scope: self.scope(range), signal, selectors, limit: Some(1) };
        self.noted.lock().unfinished.push(request);
    }

    /// The coverage of the answer. Sources of scans that were given up are asked for a name, which costs them next to
    /// nothing: who does not answer that did not answer the scan either.
    pub(crate) async fn coverage(&self) -> contract::Result<Coverage> {
        let unfinished = std::mem::take(&mut self.noted.lock().unfinished);
        for request in unfinished {
            match self.select.label_names(request).await {
                Ok((_, coverage)) => self.covered(coverage),
                // What it holds is bounded by the same limits; the rows stand.
                Err(e) if e.kind() == Kind::Limited => {}
                Err(e) => return Err(e),
            }
        }
        Ok(self.noted.lock().coverage.clone())
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({:?})", self.within)
    }
}
