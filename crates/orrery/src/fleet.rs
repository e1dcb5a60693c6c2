//! What the Fleet page shows of this node, and the rates it needs two readings for.

use std::collections::BTreeMap;

use base::{Clock, MemoryBudget};
use federate::{
    Replication,
    peers::{LinkState, PeerStatus},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::Status;

use crate::peering::Peering;

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

    /// One object with this node in `nodes`, and what its peers have said of themselves. Times are Unix seconds, sizes
    /// bytes. A node without a store has no signals and no disk.
    pub fn describe(&self, status: Option<&Status>, peers: Vec<PeerStatus>) -> Value {
        let mut nodes = vec![self.own(status)];
        nodes.extend(peers.iter().map(peer_node));
        json!({"nodes": nodes})
    }

    fn own(&self, status: Option<&Status>) -> Value {
        let now = self.clock.now_ns();
        let mut node = json!({
            "cluster": self.cluster,
            "replica": self.replica,
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": seconds(self.started_ns),
            "uptime_seconds": seconds(now - self.started_ns),
            "memory": {
                "limit_bytes": self.budget.limit_bytes(),
                "used_bytes": self.budget.used(),
            },
            "reached": true,
            "link": null,
            "tenants": [],
            "signals": [],
        });
        let Some(status) = status else { return node };
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
        let kept = json!({
            "disk": {
                "free_bytes": status.free_disk_bytes,
                "total_bytes": status.total_disk_bytes,
                "used_bytes": status.segment_bytes + status.wal_bytes,
                "reserve_bytes": status.disk_reserve_bytes,
            },
            "refusing": status.refusing,
            "tenants": status.tenants.iter().map(|t| t.as_str()).collect::<Vec<_>>(),
            "signals": signals,
        });
        if let (Some(node), Value::Object(kept)) = (node.as_object_mut(), kept) {
            node.extend(kept);
        }
        node
    }

    /// This node's peers, the links to them, and what was missing from answers lately. Times are Unix seconds.
    pub fn federation(&self, peering: Option<&Peering>) -> Value {
        let (peers, recent) = peering.map(|p| (p.status(), p.recent())).unwrap_or_default();
        json!({
            "cluster": self.cluster,
            "replica": self.replica,
            "certificate_expires_at": peering.and_then(Peering::certificate_expires_s),
            "peers": peers.iter().map(peer_link).collect::<Vec<_>>(),
            "recent": recent.iter().map(|r| json!({
                "at": seconds(r.at.0),
                "signal": r.signal.as_str(),
                "cluster": r.cluster,
                "replica": r.replica,
                "state": r.state.as_str(),
                "reason": r.reason,
            })).collect::<Vec<_>>(),
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

fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

/// What a peer has announced, as far as it goes.
fn peer_node(p: &PeerStatus) -> Value {
    json!({
        "cluster": p.name,
        "replica": p.replica,
        "version": p.version,
        "reached": p.state == LinkState::Up,
        "link": {"peer": title(p), "state": p.state.as_str(), "kind": p.kind},
        "signals": held(p),
    })
}

fn held(p: &PeerStatus) -> Vec<Value> {
    let one = |h: &federate::peer::Held| {
        json!({
            "signal": h.signal.as_str(),
            "oldest": h.oldest.map(|t| seconds(t.0)),
            "newest": h.watermark.map(|t| seconds(t.0)),
            "watermark": h.watermark.map(|t| seconds(t.0)),
        })
    };
    p.held.iter().map(one).collect()
}

fn title(p: &PeerStatus) -> String {
    match &p.replica {
        Some(replica) => format!("{}/{replica}", p.name),
        None => p.name.clone(),
    }
}

fn peer_link(p: &PeerStatus) -> Value {
    let latency = |d: Option<std::time::Duration>| d.map(|d| d.as_secs_f64());
    let shared = |r: &Replication| match r {
        Replication::Mirrored => "mirrored",
        Replication::Sharded => "sharded",
    };
    let replication: serde_json::Map<String, Value> =
        p.replication.iter().map(|(s, r)| (s.as_str().to_owned(), json!(shared(r)))).collect();
    json!({
        "name": p.name,
        "replica": p.replica,
        "address": p.address,
        "kind": p.kind,
        "direction": if p.address.is_some() { "out" } else { "in" },
        "state": p.state.as_str(),
        "since": seconds(p.since.0),
        "last_error": p.last_error,
        "version": p.version,
        "labels": p.labels.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "signals": held(p),
        "beyond": p.beyond,
        "certificate_expires_at": p.certificate_expires.map(|t| seconds(t.0)),
        "asked_total": p.asked,
        "partial_total": p.partial,
        "missing_total": p.missing,
        "latency_seconds": {"p50": latency(p.latency_p50), "p99": latency(p.latency_p99)},
        "replication": replication,
    })
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
