//! What the Fleet page shows of this node, and the rates it needs two readings for.

use std::collections::BTreeMap;

use base::{Clock, MemoryBudget};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::Status;

pub struct Fleet {
    started_ns: i64,
    clock: Clock,
    budget: MemoryBudget,
    cluster: String,
    replica: Option<String>,
    /// Per signal: (time, items accepted) of an earlier reading and the rate since.
    last: Mutex<BTreeMap<String, Reading>>,
}

#[derive(Clone, Copy)]
struct Reading {
    at_ns: i64,
    accepted: u64,
    per_second: f64,
}

/// Readings closer together than this show the rate of the one before.
const MIN_INTERVAL_NS: i64 = 2_000_000_000;

impl Fleet {
    pub fn new(clock: Clock, budget: MemoryBudget, cluster: String, replica: Option<String>) -> Self {
        Fleet { started_ns: clock.now_ns(), clock, budget, cluster, replica, last: Mutex::default() }
    }

    /// One object with this node in `nodes`. Times are Unix seconds, sizes bytes.
    pub fn describe(&self, status: &Status) -> Value {
        let now = self.clock.now_ns();
        let seconds = |ns: i64| ns as f64 / 1e9;
        let signals: Vec<Value> = status
            .signals
            .iter()
            .map(|s| {
                json!({
                    "signal": s.signal.as_str(),
                    "items_total": s.items,
                    "items_accepted": s.items_accepted,
                    "items_per_second": self.rate(s.signal.as_str(), s.items_accepted, now),
                    "series": s.series,
                    "bytes_stored": s.segment_bytes,
                    "segments": s.segments,
                    "head_bytes": s.head_bytes,
                    "oldest": s.oldest_ns.map(seconds),
                    "newest": s.newest_ns.map(seconds),
                })
            })
            .collect();
        json!({
            "nodes": [{
                "cluster": self.cluster,
                "replica": self.replica,
                "version": env!("CARGO_PKG_VERSION"),
                "started_at": seconds(self.started_ns),
                "uptime_seconds": seconds(now - self.started_ns),
                "memory": {
                    "limit_bytes": self.budget.limit_bytes(),
                    "used_bytes": self.budget.used(),
                },
                "disk": {
                    "free_bytes": status.free_disk_bytes,
                    "total_bytes": status.total_disk_bytes,
                    "used_bytes": status.segment_bytes + status.wal_bytes,
                    "reserve_bytes": status.disk_reserve_bytes,
                },
                "refusing": status.refusing,
                "tenants": status.tenants.iter().map(|t| t.as_str()).collect::<Vec<_>>(),
                "signals": signals,
            }]
        })
    }

    fn rate(&self, signal: &str, accepted: u64, now: i64) -> f64 {
        let mut last = self.last.lock();
        let r = last.entry(signal.to_owned()).or_insert(Reading {
            at_ns: self.started_ns,
            accepted: 0,
            per_second: 0.0,
        });
        if now - r.at_ns >= MIN_INTERVAL_NS {
            let items = accepted.saturating_sub(r.accepted) as f64;
            *r = Reading { at_ns: now, accepted, per_second: items / ((now - r.at_ns) as f64 / 1e9) };
        }
        r.per_second
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_is_taken_between_readings_that_lie_apart() {
        let clock = Clock::manual(1_000_000_000);
        let f = Fleet::new(clock.clone(), MemoryBudget::new(1), "local".to_owned(), None);
        clock.advance(Duration::from_secs(10));
        assert_eq!(f.rate("logs", 100, clock.now_ns()), 10.0);
        clock.advance(Duration::from_millis(100));
        assert_eq!(f.rate("logs", 500, clock.now_ns()), 10.0);
        clock.advance(Duration::from_secs(4));
        assert!((f.rate("logs", 141, clock.now_ns()) - 10.0).abs() < 0.01);
    }
}
