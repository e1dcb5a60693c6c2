//! What the store counts of itself.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use base::{
    Clock, Metrics,
    metrics::{Counters, Gauges, Latencies, pair},
};
use contract::Receipt;
use model::Signal;

/// At most one log line about refused items in this long.
const LOG_EVERY_NS: i64 = 10_000_000_000;

pub(crate) struct Counts {
    accepted: Counters,
    refused: Counters,
    duplicates: Counters,
    /// Units turned away whole, by the limit that said so.
    shed: Counters,
    waits: Latencies,
    flushes: Counters,
    compactions: Counters,
    expired: Counters,
    unreadable: Counters,
    panics: Counters,
    exemplars: Counters,
    pub(crate) bytes: Gauges,
    last_logged_ns: AtomicI64,
}

impl Counts {
    pub(crate) fn new(m: &Metrics) -> Self {
        Counts {
            accepted: m.counters("store_items_accepted", "Items made durable, by signal."),
            refused: m.counters("store_items_refused", "Items refused, by signal and reason."),
            duplicates: m.counters(
                "store_units_duplicate",
                "Units recognised by their batch id and not stored again.",
            ),
            shed: m.counters("store_units_shed", "Units turned away whole, by limit."),
            waits: m.latencies("store_append_wait", "How long appends waited for a flush, since heads were full."),
            flushes: m.counters("store_flushes", "Heads made into segments, by signal and outcome."),
            compactions: m.counters(
                "store_compactions",
                "Merges of segments, by signal and outcome: ok, error, or put off for want of memory.",
            ),
            expired: m
                .counters("store_segments_expired", "Segments dropped by retention, by signal and cause."),
            unreadable: m
                .counters("store_segments_unreadable", "Reads of a segment that did not succeed, by signal."),
            panics: m.counters("store_task_panics", "Background tasks that ended by a panic, by task."),
            exemplars: m.counters(
                "store_exemplars_dropped",
                "Exemplars that were taken and not kept, by reason: no sample of their series beside them, too many of one series, not valid.",
            ),
            bytes: m.gauges("store_bytes", "Bytes held, by place: head, wal, segments, garbage, and of segments in memory: footers, columns."),
            last_logged_ns: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn receipt(&self, receipt: &Receipt, clock: &Clock) {
        for (signal, n) in &receipt.accepted {
            self.accepted.get_or_create(&pair("signal", signal.as_str())).inc_by(*n);
        }
        for r in &receipt.refused {
            let mut labels = pair("signal", r.signal.as_str());
            labels.extend(pair("reason", r.reason.as_str()));
            self.refused.get_or_create(&labels).inc_by(r.count);
        }
        if receipt.duplicate {
            self.duplicates.get_or_create(&Vec::new()).inc();
        }
        if let Some(first) = receipt.refused.first()
            && self.may_log(clock)
        {
            tracing::warn!(
                count = receipt.refused_items(),
                reason = first.reason.as_str(),
                first = first.detail,
                "refused items"
            );
        }
    }

    pub(crate) fn shed(&self, limit: &'static str, message: &str, clock: &Clock) {
        self.shed.get_or_create(&pair("limit", limit)).inc();
        if self.may_log(clock) {
            tracing::warn!(limit, message, "turned a unit away");
        }
    }

    pub(crate) fn waited(&self, ns: i64) {
        self.waits.get_or_create(&Vec::new()).observe(ns as f64 / 1e9);
    }

    fn may_log(&self, clock: &Clock) -> bool {
        let now = clock.now_ns();
        let last = self.last_logged_ns.load(Relaxed);
        now.saturating_sub(last) >= LOG_EVERY_NS
            && self.last_logged_ns.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }

    pub(crate) fn flush(&self, signal: &Signal, ok: bool) {
        self.flushes.get_or_create(&outcome(signal, ok)).inc();
    }

    pub(crate) fn compaction(&self, signal: &Signal, ok: bool) {
        self.compactions.get_or_create(&outcome(signal, ok)).inc();
    }

    pub(crate) fn compaction_put_off(&self, signal: &Signal) {
        let mut labels = pair("signal", signal.as_str());
        labels.extend(pair("outcome", "put_off"));
        self.compactions.get_or_create(&labels).inc();
    }

    pub(crate) fn expired(&self, signal: &Signal, cause: &'static str, count: u64) {
        let mut labels = pair("signal", signal.as_str());
        labels.extend(pair("cause", cause));
        self.expired.get_or_create(&labels).inc_by(count);
    }

    pub(crate) fn unreadable(&self, signal: &Signal) {
        self.unreadable.get_or_create(&pair("signal", signal.as_str())).inc();
    }

    pub(crate) fn panicked(&self, task: &'static str) {
        self.panics.get_or_create(&pair("task", task)).inc();
    }

    pub(crate) fn exemplars_dropped(&self, reason: &'static str, count: u64) {
        if count > 0 {
            self.exemplars.get_or_create(&pair("reason", reason)).inc_by(count);
        }
    }

    pub(crate) fn accepted_of(&self, signal: &Signal) -> u64 {
        self.accepted.get_or_create(&pair("signal", signal.as_str())).get()
    }
}

fn outcome(signal: &Signal, ok: bool) -> base::metrics::Pairs {
    let mut labels = pair("signal", signal.as_str());
    labels.extend(pair("outcome", if ok { "ok" } else { "error" }));
    labels
}
