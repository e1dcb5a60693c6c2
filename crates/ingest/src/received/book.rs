//! Counts by source, and which numbers were counted.

use std::collections::{BTreeMap, VecDeque};

use base::{
    Metrics,
    metrics::{Counters as Family, Pairs},
};
use serde::{Deserialize, Serialize};

use super::{Line, lag::Clusters};

/// Sources that are remembered; beyond, the one that was silent longest is forgotten.
pub(super) const MAX_SOURCES: usize = 1024;
/// Numbers remembered of each source. A sender that was killed sends the last run again, which is a few requests.
const MAX_RECENT: usize = 512;

/// What became of one request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    #[serde(rename = "t")]
    pub taken: u64,
    #[serde(rename = "h", default, skip_serializing_if = "is_zero")]
    pub histograms: u64,
    #[serde(rename = "e", default, skip_serializing_if = "is_zero")]
    pub exemplars: u64,
    /// Reason, items, and where they stood.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(String, u64, Vec<u32>)>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One source at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceAccount {
    /// As the sender has it: of one node, destination and class.
    pub source: u64,
    pub signal: String,
    /// Of what came last.
    pub cluster: String,
    /// Address of the sender of what came last.
    pub from: String,
    /// Different requests.
    pub requests: u64,
    /// Items that are stored.
    pub taken: u64,
    /// Items that are not, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Requests and items that came again and were counted before.
    pub repeated_requests: u64,
    pub repeated_items: u64,
    /// When the last request came, nanoseconds since 1970.
    pub last_ns: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Held {
    account: SourceAccount,
    /// Epoch, sequence, and what became of it; oldest first.
    recent: VecDeque<(u64, u64, Outcome)>,
    /// The epoch of the last request, without the way to a half, and the highest sequence of it.
    #[serde(default)]
    highest: (u64, u64),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    sources: BTreeMap<u64, Held>,
}

impl Book {
    pub(super) fn known(&self, source: u64, epoch: u64, sequence: u64) -> Option<Outcome> {
        let recent = &self.sources.get(&source)?.recent;
        let found = recent.iter().rev().find(|(e, s, _)| (*e, *s) == (epoch, sequence));
        found.map(|(_, _, outcome)| outcome.clone())
    }

    /// Whether the number lies so far back that it is no longer remembered: a sender goes on only when it has been told
    /// what became of a request, so one that the store knows was counted.
    pub(super) fn is_past(&self, source: u64, epoch: u64, sequence: u64) -> bool {
        let highest = self.sources.get(&source).map(|h| h.highest);
        highest.is_some_and(|(e, s)| e == epoch >> 16 && sequence.saturating_add(MAX_RECENT as u64) <= s)
    }

    /// Counts a line, unless its number was counted: a request whose sender hung up while its line was written has another
    /// line when it comes again.
    pub(super) fn apply(&mut self, line: Line) {
        if !line.again && self.known(line.source, line.epoch, line.sequence).is_some() {
            return;
        }
        if !self.sources.contains_key(&line.source) && self.sources.len() >= MAX_SOURCES {
            let silent =
                self.sources.iter().min_by_key(|(_, h)| h.account.last_ns).map(|(source, _)| *source);
            silent.and_then(|s| self.sources.remove(&s));
        }
        let held = self.sources.entry(line.source).or_default();
        let a = &mut held.account;
        (a.source, a.signal, a.from) = (line.source, line.signal, line.from);
        if !line.cluster.is_empty() {
            a.cluster = line.cluster;
        }
        a.last_ns = a.last_ns.max(line.at_ns);
        if line.again {
            a.repeated_requests += 1;
            a.repeated_items += line.items;
            return;
        }
        a.requests += 1;
        a.taken += line.outcome.taken;
        for (reason, n, _) in &line.outcome.refused {
            *a.refused.entry(reason.clone()).or_default() += n;
        }
        let epoch = line.epoch >> 16;
        let before = if held.highest.0 == epoch { held.highest.1 } else { 0 };
        held.highest = (epoch, before.max(line.sequence));
        held.recent.push_back((line.epoch, line.sequence, line.outcome));
        if held.recent.len() > MAX_RECENT {
            held.recent.pop_front();
        }
    }

    pub(super) fn accounts(&self) -> Vec<SourceAccount> {
        let mut all: Vec<SourceAccount> = self.sources.values().map(|h| h.account.clone()).collect();
        all.sort_by_key(|a| std::cmp::Reverse(a.last_ns));
        all
    }
}

/// The same as metrics, by cluster and signal.
pub(super) struct Counters {
    requests: Family,
    items: Family,
    clusters: Clusters,
}

impl Counters {
    pub(super) fn new(m: &Metrics, clusters: Clusters) -> Self {
        Counters {
            clusters,
            requests: m.counters(
                "ledger_received_requests",
                "Numbered requests of other nodes, by cluster, signal and outcome: new, repeated.",
            ),
            items: m.counters(
                "ledger_received_items",
                "Items of numbered requests, by cluster, signal and outcome: taken, repeated, or the reason of a refusal.",
            ),
        }
    }

    /// Goes on counting where an earlier life ended.
    pub(super) fn resume(&self, book: &Book) {
        for a in book.accounts() {
            let own = |outcome: &str| pairs(self.clusters.name(&a.cluster), &a.signal, outcome);
            self.requests.get_or_create(&own("new")).inc_by(a.requests);
            self.requests.get_or_create(&own("repeated")).inc_by(a.repeated_requests);
            self.items.get_or_create(&own("taken")).inc_by(a.taken);
            self.items.get_or_create(&own("repeated")).inc_by(a.repeated_items);
            a.refused.iter().for_each(|(reason, n)| {
                self.items.get_or_create(&own(reason)).inc_by(*n);
            });
        }
    }

    pub(super) fn count(&self, line: &Line) {
        let own = |outcome: &str| pairs(self.clusters.name(&line.cluster), &line.signal, outcome);
        if line.again {
            self.requests.get_or_create(&own("repeated")).inc();
            self.items.get_or_create(&own("repeated")).inc_by(line.items);
            return;
        }
        self.requests.get_or_create(&own("new")).inc();
        self.items.get_or_create(&own("taken")).inc_by(line.outcome.taken);
        for (reason, n, _) in &line.outcome.refused {
            self.items.get_or_create(&own(reason)).inc_by(*n);
        }
    }
}

fn pairs(cluster: &str, signal: &str, outcome: &str) -> Pairs {
    vec![("cluster", cluster.to_owned()), ("signal", signal.to_owned()), ("outcome", outcome.to_owned())]
}
