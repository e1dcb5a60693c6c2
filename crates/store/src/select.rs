//! The way out: one merged view over segments, frozen heads and the active head, tenant by tenant.
//!
//! A query takes one consistent [`crate::shelf::View`] per tenant at its beginning; whatever is flushed,
//! merged or expired meanwhile does not change its answer. A segment that cannot be read makes the answer
//! partial and is named in the coverage; the rest is still answered.

pub(crate) mod counts;
pub(crate) mod exemplars;
pub(crate) mod logs;
pub(crate) mod names;
mod rows;
pub(crate) mod series;
pub(crate) mod spans;

use std::sync::Arc;

use base::memory::{Reservation, Use};
use contract::{Coverage, CoverageState, QueryLimits, Result, Scope, SourceCoverage};
use model::{Matcher, Signal, TenantId, TimeRange, TimestampNs};
use parking_lot::Mutex;

pub(crate) use rows::merge_rows;

use crate::{catalog::SegmentRef, core::Core, readers::Reader, shelf::Shelf};

/// The label under which answers over several tenants say whose an item is.
pub(crate) const TENANT_LABEL: &str = "__tenant_id__";

/// What one query knows of its own answer.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) core: Arc<Core>,
    pub(crate) signal: Signal,
    pub(crate) range: TimeRange,
    pub(crate) limits: QueryLimits,
    pub(crate) coverage: Arc<Mutex<Coverage>>,
}

impl Answer {
    pub(crate) fn new(core: &Arc<Core>, scope: &Scope, signal: Signal) -> Self {
        let shelves = scope.tenants.iter().filter_map(|t| core.shelf(t, &signal));
        let watermark = shelves.filter_map(|s| s.newest_ns()).max().map(TimestampNs);
        let whole = SourceCoverage {
            replica: core.options.replica.as_ref().map(|r| r.as_str().to_owned()),
            watermark,
            ..SourceCoverage::complete(cluster(core), signal.clone(), scope.range)
        };
        Answer {
            core: core.clone(),
            signal,
            range: scope.range,
            limits: scope.limits.clone(),
            coverage: Arc::new(Mutex::new(Coverage::one(whole))),
        }
    }

    /// Notes that a segment could not be read: what it covers is missing from the answer.
    pub(crate) fn missing(&self, segment: &SegmentRef, error: &dyn std::fmt::Display) {
        self.core.counts.unreadable(&self.signal);
        tracing::warn!(segment = segment.path, error = %error, "left an unreadable segment out of an answer");
        let mut coverage = self.coverage.lock();
        let Some(source) = coverage.sources().first() else { return };
        let mut now = source.clone();
        now.state = CoverageState::Partial;
        now.covered = now.covered.iter().flat_map(|r| without(*r, segment.range())).collect();
        // A comma separates reasons.
        let error = error.to_string().replace(',', ";");
        let name = segment.path.rsplit('/').next().unwrap_or_default();
        if !now.reason.contains(name) {
            let sep = if now.reason.is_empty() { "" } else { ", " };
            now.reason = format!("{}{sep}segment {name} is unreadable: {error}", now.reason);
        }
        *coverage = Coverage::one(now);
    }

    pub(crate) fn final_coverage(&self) -> Coverage {
        self.coverage.lock().clone()
    }

    /// Opens a segment; `None` once noted as missing.
    pub(crate) async fn open(&self, segment: &SegmentRef) -> Option<Reader> {
        match self.core.readers.open(&self.core.objects, segment).await {
            Ok(reader) => Some(reader),
            Err(e) => {
                self.missing(segment, &e);
                None
            }
        }
    }

    pub(crate) fn shelf(&self, tenant: &TenantId) -> Option<Arc<Shelf>> {
        self.core.shelf(tenant, &self.signal)
    }

    pub(crate) fn reserve(&self, bytes: u64) -> Result<Reservation> {
        Ok(self.limits.memory.reserve(Use::Query, bytes)?)
    }
}

fn cluster(core: &Core) -> String {
    core.options.cluster.as_ref().map_or_else(|| "local".to_owned(), |c| c.as_str().to_owned())
}

/// The matchers that remain for one of several tenants: those of the tenant's own label are decided here.
/// `None`: they exclude the tenant.
pub(crate) fn of_this(tenant: &TenantId, matchers: &[Matcher]) -> Option<Vec<Matcher>> {
    let (whose, rest): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.name == TENANT_LABEL);
    whose.iter().all(|m| m.matches(tenant.as_str())).then(|| rest.into_iter().cloned().collect())
}

/// The same of selectors of which one must match where there is any.
pub(crate) fn any_of_this(tenant: &TenantId, selectors: &[Vec<Matcher>]) -> Option<Vec<Vec<Matcher>>> {
    let left: Vec<_> = selectors.iter().filter_map(|m| of_this(tenant, m)).collect();
    (selectors.is_empty() || !left.is_empty()).then_some(left)
}

/// What is left of a range without another.
fn without(r: TimeRange, hole: TimeRange) -> Vec<TimeRange> {
    if !r.overlaps(hole) {
        return vec![r];
    }
    let parts =
        [TimeRange::new(r.start, hole.start.max(r.start)), TimeRange::new(hole.end.min(r.end), r.end)];
    parts.into_iter().filter(|p| !p.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_leaves_what_lies_before_and_after_it() {
        let r = |a, b| TimeRange::new(TimestampNs(a), TimestampNs(b));
        assert_eq!(without(r(0, 10), r(3, 5)), [r(0, 3), r(5, 10)]);
        assert_eq!(without(r(0, 10), r(-5, 5)), [r(5, 10)]);
        assert_eq!(without(r(0, 10), r(10, 12)), [r(0, 10)]);
        assert!(without(r(0, 10), r(-1, 11)).is_empty());
    }
}
