//! What the API shows of the ways telemetry takes between nodes: sources, the queue, destinations.

use config::forward::Destination;
use forward::Seen;
use serde_json::{Value, json};

use crate::{
    ledger::{Compared, Verdict, shown},
    node::Shared,
};

/// A destination that was not sent to for so long is idle, not up.
const IDLE_NS: i64 = 300_000_000_000;

impl Shared {
    /// For `/api/v1/orrery/ledger`.
    pub async fn show_ledger(&self) -> Value {
        let lanes = self.ends.ledger.compare(true).await;
        let mismatches = lanes.iter().filter(|l| l.state == Verdict::Mismatch).count();
        let sources: Vec<Value> = self.ends.ledger.sources().iter().map(shown).collect();
        self.named(json!({"destinations": lanes, "sources": sources, "mismatches": mismatches}))
    }

    /// For `/api/v1/orrery/ledger/received`: of the sources that are asked for.
    pub fn show_received(&self, asked: &[u64]) -> Value {
        let all = self.ends.ledger.sources();
        let sources: Vec<Value> = all.iter().filter(|a| asked.contains(&a.source)).map(shown).collect();
        json!({"sources": sources})
    }

    /// For the Pipelines page.
    pub async fn show_pipelines(&self) -> Value {
        let lanes = self.ends.ledger.compare(false).await;
        let sources: Vec<Value> = self.ends.ledger.sources().iter().map(shown).collect();
        let (queue_bytes, seen) = self.ends.onward.seen().await;
        let now_ns = self.now_ns();
        let destinations: Vec<Value> = self
            .ends
            .onward
            .destinations()
            .await
            .iter()
            .map(|d| {
                let seen = seen.iter().find(|(name, _)| *name == d.name).map(|(_, s)| s.clone());
                destination(d, &lanes, &seen.unwrap_or_default(), now_ns)
            })
            .collect();
        let removed: Vec<&Compared> = lanes.iter().filter(|l| l.account.removed).collect();
        self.named(json!({
            "sources": sources,
            "queue": {"held_bytes": queue_bytes},
            "destinations": destinations,
            "removed": removed,
        }))
    }

    fn named(&self, mut value: Value) -> Value {
        let config = self.config.load();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("cluster".to_owned(), json!(config.cluster.as_ref().map(|c| c.as_str())));
            fields.insert("replica".to_owned(), json!(config.replica.as_ref().map(|r| r.as_str())));
            fields.insert("time_ms".to_owned(), json!(self.now_ns() / 1_000_000));
        }
        value
    }
}

/// Where something is sent to: URLs without what may be secret in them, brokers and directories as they are.
pub fn address(url: &str) -> String {
    if url.contains("://") { net::shown(url) } else { url.to_owned() }
}

fn destination(d: &Destination, lanes: &[Compared], seen: &Seen, now_ns: i64) -> Value {
    let own: Vec<&Compared> =
        lanes.iter().filter(|l| l.account.destination == d.name && !l.account.removed).collect();
    let waits = own.iter().any(|l| l.account.pending > 0);
    let ms = |ns: i64| (ns > 0).then_some(ns / 1_000_000);
    json!({
        "name": d.name,
        "protocol": d.protocol.as_str(),
        "endpoints": d.http.urls.iter().map(|u| address(u)).collect::<Vec<_>>(),
        "health": {
            "state": state(seen, waits, now_ns),
            "endpoint": seen.address,
            "answered_ms": ms(seen.answered_ns),
            "failed_ms": ms(seen.failed_ns),
            "failure": (seen.failed_ns > 0).then_some(&seen.failure),
        },
        "selection": {
            "tenants": d.selection.tenants.iter().map(|t| t.as_str()).collect::<Vec<_>>(),
            "signals": d.selection.signals.iter().map(|s| s.as_str()).collect::<Vec<_>>(),
            "write_relabel_rules": d.selection.write_relabel.len(),
            "resource_relabel_rules": d.selection.resource_relabel.len(),
            "critical": d.selection.critical.len(),
        },
        "max_backlog_bytes": d.limits.max_backlog_bytes,
        "lanes": own,
    })
}

/// In one word: what the last request showed.
fn state(seen: &Seen, waits: bool, now_ns: i64) -> &'static str {
    if seen.failed_ns > seen.answered_ns {
        return "down";
    }
    match seen.answered_ns {
        0 if waits => "starting",
        0 => "idle",
        at if !waits && now_ns.saturating_sub(at) > IDLE_NS => "idle",
        _ => "up",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_request_says_how_a_destination_is() {
        let seen = |answered_ns, failed_ns| Seen { answered_ns, failed_ns, ..Seen::default() };
        for (answered, failed, waits, is) in [
            (0, 0, false, "idle"),
            (0, 0, true, "starting"),
            (5, 0, false, "up"),
            (5, 6, false, "down"),
            (7, 6, true, "up"),
        ] {
            assert_eq!(state(&seen(answered, failed), waits, 10), is, "{answered} {failed} {waits}");
        }
        assert_eq!(state(&seen(5, 0), false, IDLE_NS + 6), "idle");
    }
}
