//! What admission counts, and the one log line that says why items were refused.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use base::{
    Clock, Metrics,
    metrics::{Counters, Latencies, Pairs, Single, pair},
};
use contract::Receipt;
use model::TenantId;

use crate::Error;

/// At most one line about refusals in this time; the counters tell the rest.
const LOG_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Stats {
    items: Counters,
    refused_items: Counters,
    repeated_items: Counters,
    malformed_items: Counters,
    requests: Counters,
    received_bytes: Counters,
    unpacked_bytes: Counters,
    latency: Latencies,
    logged_ns: AtomicI64,
}

impl Stats {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Stats {
            items: metrics.counters("ingest_items", "Samples, records and spans accepted and durable."),
            refused_items: metrics.counters("ingest_refused_items", "Items refused, by reason."),
            repeated_items: metrics.counters(
                "ingest_repeated_items",
                "Items accepted that were stored already with the same value.",
            ),
            malformed_items: metrics.counters(
                "ingest_malformed_items",
                "Items kept as they came since they are not what their protocol says.",
            ),
            requests: metrics.counters("ingest_requests", "Requests by how they ended."),
            received_bytes: metrics.counters("ingest_received_bytes", "Bytes of bodies as received."),
            unpacked_bytes: metrics.counters("ingest_unpacked_bytes", "Bytes of bodies after unpacking."),
            latency: metrics.latencies("ingest_duration", "From body to durable acknowledgement."),
            logged_ns: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn received(&self, protocol: &'static str, bytes: usize) {
        self.received_bytes.get_or_create(&pair("protocol", protocol)).inc_by(bytes as u64);
    }

    pub(crate) fn unpacked(&self, protocol: &'static str, bytes: usize) {
        self.unpacked_bytes.get_or_create(&pair("protocol", protocol)).inc_by(bytes as u64);
    }

    /// Counts items that are kept though they could not be read.
    pub(crate) fn malformed(&self, protocol: &'static str) -> Single {
        self.malformed_items.get_or_create(&pair("protocol", protocol)).clone()
    }

    pub(crate) fn done(
        &self,
        protocol: &'static str,
        tenant: &TenantId,
        outcome: Result<&Receipt, &Error>,
        took: Duration,
        clock: &Clock,
    ) {
        self.latency.get_or_create(&pair("protocol", protocol)).observe(took.as_secs_f64());
        let code = match outcome {
            Ok(r) if r.duplicate => "duplicate",
            Ok(r) if r.refused.is_empty() => "ok",
            Ok(_) => "partial",
            Err(e) => e.kind.as_str(),
        };
        self.requests.get_or_create(&pairs(protocol, [("code", code)])).inc();
        match outcome {
            Ok(receipt) => self.count_items(protocol, tenant, receipt, clock),
            Err(e) => self.log_error(protocol, tenant, e, clock),
        }
    }

    fn count_items(&self, protocol: &'static str, tenant: &TenantId, receipt: &Receipt, clock: &Clock) {
        // What came again was counted when it came first.
        for (signal, n) in receipt.accepted.iter().filter(|_| !receipt.duplicate) {
            self.items.get_or_create(&pairs(protocol, [("signal", signal.as_str())])).inc_by(*n);
        }
        for r in &receipt.refused {
            let labels = [("signal", r.signal.as_str()), ("reason", r.reason.as_str())];
            self.refused_items.get_or_create(&pairs(protocol, labels)).inc_by(r.count);
        }
        if receipt.repeated > 0 {
            self.repeated_items.get_or_create(&pair("protocol", protocol)).inc_by(receipt.repeated);
        }
        if let Some(r) = receipt.refused.first()
            && self.may_log(clock)
        {
            tracing::warn!(
                protocol,
                tenant = tenant.as_str(),
                reason = r.reason.as_str(),
                refused = receipt.refused_items(),
                accepted = receipt.accepted_items(),
                "refused items, first one: {}",
                r.detail
            );
        }
    }

    fn log_error(&self, protocol: &'static str, tenant: &TenantId, e: &Error, clock: &Clock) {
        if self.may_log(clock) {
            let (tenant, kind) = (tenant.as_str(), e.kind.as_str());
            tracing::warn!(protocol, tenant, kind, limit = e.limit, "refused a request: {}", e.message);
        }
    }

    fn may_log(&self, clock: &Clock) -> bool {
        let now = clock.now_ns();
        let last = self.logged_ns.load(Relaxed);
        let due = last == i64::MIN || now.saturating_sub(last) >= LOG_EVERY.as_nanos() as i64;
        due && self.logged_ns.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }
}

fn pairs<const N: usize>(protocol: &'static str, rest: [(&'static str, &str); N]) -> Pairs {
    let mut out = pair("protocol", protocol);
    out.extend(rest.map(|(k, v)| (k, v.to_owned())));
    out
}
