//! Looks through the eyes of the global node: whom it sees, and which trace crosses clusters.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use base::Clock;
use net::{Client, Request};
use serde_json::Value;

use super::{
    TICK,
    plan::{NODES, OPS, Plan},
};

/// One question to a process on this machine.
const ASK: Duration = Duration::from_secs(5);

pub struct Hub {
    client: Client,
    url: String,
    clock: Clock,
    wanted: BTreeSet<&'static str>,
}

/// What the global node saw.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// Clusters that should answer and do not.
    pub absent: BTreeSet<&'static str>,
    /// The id of a trace with spans of more than one cluster.
    pub trace: Option<String>,
}

impl Seen {
    /// What is not there yet, in words.
    pub fn missing(&self) -> Option<String> {
        if !self.absent.is_empty() {
            let names: Vec<&str> = self.absent.iter().copied().collect();
            return Some(format!("ops-01 has heard nothing of {}", names.join(" and ")));
        }
        self.trace.is_none().then(|| "ops-01 knows no trace that crosses the clusters".to_owned())
    }
}

impl Hub {
    pub fn new(plan: &Plan, clock: Clock) -> Result<Self> {
        let stored = NODES.iter().filter(|n| n.shown != OPS.shown);
        Ok(Hub {
            client: Client::new()?,
            url: plan.url(&OPS),
            clock,
            wanted: stored.map(|n| n.cluster).collect(),
        })
    }

    /// Whether an address answers with success.
    pub async fn answers(&self, url: &str) -> bool {
        let request = Request { timeout: ASK, ..Request::get(url) };
        self.client.send(request).await.is_ok_and(|a| a.status.is_success())
    }

    /// Waits until everything is seen, at most `within`.
    pub async fn wait_for_everybody(&self, within: Duration) -> Seen {
        let deadline = self.clock.monotonic() + within;
        loop {
            let seen = self.look().await;
            if seen.missing().is_none() || self.clock.monotonic() >= deadline {
                return seen;
            }
            self.clock.sleep(TICK * 2).await;
        }
    }

    async fn look(&self) -> Seen {
        let up = self.json("/api/v1/query?query=count%20by%20(cluster)%20(up)").await;
        let there = up.map(|v| clusters_of_result(&v)).unwrap_or_default();
        let absent: BTreeSet<&'static str> =
            self.wanted.iter().filter(|c| !there.contains(**c)).copied().collect();
        // Spans of one trace come from several services, some later than others.
        let path = "/jaeger/api/traces?service=frontend&operation=POST%20%2Forders&lookback=1h&limit=20";
        let trace = match self.json(path).await {
            Some(v) if absent.is_empty() => crossing(&v, &self.wanted),
            _ => None,
        };
        Seen { absent, trace }
    }

    async fn json(&self, path: &str) -> Option<Value> {
        let request = Request { timeout: ASK, ..Request::get(format!("{}{path}", self.url)) };
        let answer = self.client.send(request).await.ok()?;
        serde_json::from_slice(&answer.body).ok().filter(|_| answer.status.is_success())
    }
}

/// The values of `cluster` in the result of an instant query.
fn clusters_of_result(v: &Value) -> BTreeSet<String> {
    let result = v["data"]["result"].as_array().into_iter().flatten();
    result.filter_map(|r| r["metric"]["cluster"].as_str()).map(str::to_owned).collect()
}

/// The first trace of a Jaeger answer that has processes of all clusters.
fn crossing(v: &Value, clusters: &BTreeSet<&'static str>) -> Option<String> {
    let of = |trace: &Value| -> BTreeSet<String> {
        let processes = trace["processes"].as_object().into_iter().flat_map(|p| p.values());
        let tags = processes.flat_map(|p| p["tags"].as_array().into_iter().flatten());
        tags.filter(|t| t["key"] == "k8s.cluster.name")
            .filter_map(|t| t["value"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let crosses = |t: &&Value| {
        let found = of(t);
        clusters.iter().all(|c| found.contains(*c))
    };
    let found = v["data"].as_array()?.iter().find(crosses)?;
    found["traceID"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trace_crosses_when_it_has_spans_of_all_clusters() {
        let process =
            |c: &str| json!({"serviceName": "x", "tags": [{"key": "k8s.cluster.name", "value": c}]});
        let v = json!({"data": [
            {"traceID": "1", "processes": {"p1": process("dev-01")}},
            {"traceID": "2", "processes": {"p1": process("dev-01"), "p2": process("prod-01")}},
        ]});
        let both = BTreeSet::from(["dev-01", "prod-01"]);
        assert_eq!(crossing(&v, &both).as_deref(), Some("2"));
        for strange in [json!(null), json!({"data": 1}), json!({"data": [{"processes": []}]})] {
            assert_eq!(crossing(&strange, &both), None);
        }
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        let seen = Seen { absent: BTreeSet::from(["dev-01", "prod-01"]), trace: None };
        assert_eq!(seen.missing().as_deref(), Some("ops-01 has heard nothing of dev-01 and prod-01"));
        let all = Seen { trace: Some("1".to_owned()), ..Seen::default() };
        assert_eq!(all.missing(), None);
    }
}
