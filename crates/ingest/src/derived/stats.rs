//! What is counted about counting.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use base::{
    Clock, Metrics,
    metrics::{Counters, Gauges, Pairs, Single, pair},
};
use contract::Receipt;
use derive::Tally;
use model::TenantId;

/// At most one line in this time; the counters tell the rest.
const LOG_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Stats {
    spans: Outcomes<4>,
    edges: Outcomes<3>,
    halves: Outcomes<2>,
    collections: Outcomes<2>,
    refused: Counters,
    series: Gauges,
    waiting: Gauges,
    logged_ns: AtomicI64,
}

/// One counter for each outcome, looked up once.
struct Outcomes<const N: usize>([Single; N]);

impl<const N: usize> Outcomes<N> {
    fn new(metrics: &Metrics, name: &str, help: &str, outcomes: [&'static str; N]) -> Self {
        let all = metrics.counters(name, help);
        Outcomes(outcomes.map(|o| all.get_or_create(&pair("outcome", o)).clone()))
    }

    fn add(&self, numbers: [u64; N]) {
        for (counter, n) in self.0.iter().zip(numbers) {
            counter.inc_by(n);
        }
    }
}

impl Stats {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Stats {
            spans: Outcomes::new(
                metrics,
                "derive_spans",
                "Spans by how they were counted for RED: under their labels, together since a limit was reached, not since they are too old, not since nobody said which were stored.",
                ["counted", "overflow", "too_old", "unknown"],
            ),
            edges: Outcomes::new(
                metrics,
                "derive_edges",
                "Requests of the service graph by how they were found: both sides came, one side can never come, counted together since a limit was reached.",
                ["paired", "one_sided", "overflow"],
            ),
            halves: Outcomes::new(
                metrics,
                "derive_halves",
                "Sides of requests that became none: the other side did not come, or there was no room to wait.",
                ["unpaired", "dropped"],
            ),
            collections: Outcomes::new(
                metrics,
                "derive_collections",
                "Collections of derived metrics by how they ended; one that failed is made up for by the next.",
                ["stored", "failed"],
            ),
            refused: metrics
                .counters("derive_refused_samples", "Samples of derived metrics refused, by reason."),
            series: metrics.gauges("derive_series", "Series of derived metrics."),
            waiting: metrics
                .gauges("derive_waiting_halves", "Sides of requests that wait for the other side."),
            logged_ns: AtomicI64::new(i64::MIN),
        }
    }

    pub(super) fn add(&self, t: &Tally) {
        self.spans.add([t.spans, t.overflow, t.too_old, 0]);
        self.edges.add([t.paired, t.one_sided, t.edges_overflow]);
        self.halves.add([t.unpaired, t.dropped]);
    }

    /// Spans of a unit of which some were refused, and nobody said which.
    pub(super) fn unknown(&self, spans: u64) {
        self.spans.add([0, 0, 0, spans]);
    }

    pub(super) fn held(&self, series: usize, waiting: usize) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.series.get_or_create(&Pairs::new()).set(number(series));
        self.waiting.get_or_create(&Pairs::new()).set(number(waiting));
    }

    pub(super) fn stored(&self, tenant: &TenantId, receipt: &Receipt, clock: &Clock) {
        self.collections.add([1, 0]);
        for r in &receipt.refused {
            self.refused.get_or_create(&pair("reason", r.reason.as_str())).inc_by(r.count);
        }
        if let Some(r) = receipt.refused.first()
            && self.may_log(clock)
        {
            let refused = receipt.refused_items();
            tracing::warn!(%tenant, refused, reason = r.reason.as_str(), "derived metrics were refused, first one: {}", r.detail);
        }
    }

    pub(super) fn failed(&self, tenant: &TenantId, e: &contract::Error, clock: &Clock) {
        self.collections.add([0, 1]);
        if self.may_log(clock) {
            tracing::warn!(%tenant, kind = e.kind.as_str(), "derived metrics were not stored, the next collection has them too: {e}");
        }
    }

    fn may_log(&self, clock: &Clock) -> bool {
        let now = clock.now_ns();
        let last = self.logged_ns.load(Relaxed);
        let due = last == i64::MIN || now.saturating_sub(last) >= LOG_EVERY.as_nanos() as i64;
        due && self.logged_ns.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }
}
