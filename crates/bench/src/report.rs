//! What a bench found, for people and as JSON.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use crate::{Latencies, QuerySpec};

/// A moment of a running bench.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    pub elapsed: Duration,
    /// Items acknowledged (or queries answered) so far, and a second since the last progress.
    pub done: u64,
    pub per_second: f64,
    pub errors: u64,
    pub p99: Duration,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (t, p99) = (self.elapsed.as_secs(), self.p99.as_secs_f64() * 1e3);
        write!(
            f,
            "{t:>5}s  {} done  {:.0}/s  p99 {p99:.1}ms  {} errors",
            self.done, self.per_second, self.errors
        )
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct WriteReport {
    pub target: String,
    pub protocol: String,
    pub signal: String,
    pub seconds: f64,
    pub requests: u64,
    /// Items acknowledged.
    pub items: u64,
    pub items_per_second: f64,
    /// Items the receiver said it refused inside acknowledged requests.
    pub refused_items: u64,
    /// Bytes as sent.
    pub bytes: u64,
    /// Requests that were not acknowledged, by status or by what happened.
    pub errors: BTreeMap<String, u64>,
    /// Counting mode: requests sent again.
    pub retries: u64,
    /// Of acknowledged requests, each attempt on its own.
    pub latency: Latencies,
}

impl WriteReport {
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl fmt::Display for WriteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "wrote {} over {} to {} for {:.1} s",
            self.signal, self.protocol, self.target, self.seconds
        )?;
        let mib = self.bytes as f64 / f64::from(1 << 20);
        writeln!(
            f,
            "  acknowledged {} items in {} requests: {:.0} items/s, {:.1} MiB sent",
            self.items, self.requests, self.items_per_second, mib
        )?;
        writeln!(f, "  latency {}", self.latency.line())?;
        if self.refused_items > 0 {
            writeln!(f, "  refused {} items", self.refused_items)?;
        }
        if self.retries > 0 {
            writeln!(f, "  sent again {} times", self.retries)?;
        }
        write_errors(f, &self.errors)
    }
}

fn write_errors(f: &mut fmt::Formatter<'_>, errors: &BTreeMap<String, u64>) -> fmt::Result {
    if errors.is_empty() {
        return writeln!(f, "  no errors");
    }
    errors.iter().try_for_each(|(what, n)| writeln!(f, "  error {n} x {what}"))
}

/// One expression's results.
#[derive(Debug, Clone, Serialize)]
pub struct QueryLine {
    #[serde(flatten)]
    pub query: QuerySpec,
    pub latency: Latencies,
    pub errors: BTreeMap<String, u64>,
    /// Bytes of the last answer.
    pub answer_bytes: u64,
    /// Elements (series, streams) of the last answer.
    pub elements: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct QueryReport {
    pub target: String,
    pub seconds: f64,
    pub queries_per_second: f64,
    pub latency: Latencies,
    pub queries: Vec<QueryLine>,
}

impl fmt::Display for QueryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "asked {} for {:.1} s: {:.1} queries/s",
            self.target, self.seconds, self.queries_per_second
        )?;
        writeln!(f, "  all: {}", self.latency.line())?;
        for q in &self.queries {
            writeln!(f, "{} {}", q.query.kind, q.query.expr)?;
            writeln!(
                f,
                "  {} answers, {} elements, {} bytes: {}",
                q.latency.count(),
                q.elements,
                q.answer_bytes,
                q.latency.line()
            )?;
            if !q.errors.is_empty() {
                write_errors(f, &q.errors)?;
            }
        }
        Ok(())
    }
}

/// What a journal says against what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    pub run: String,
    /// Items acknowledged, and of those found stored.
    pub acknowledged: u64,
    pub stored: u64,
    /// Acknowledged and not stored.
    pub lost: u64,
    /// Stored more than once, counted beyond the first.
    pub doubled: u64,
    /// Sent but never acknowledged, and found all the same: allowed.
    pub unacknowledged_stored: u64,
    /// Sent but never acknowledged, and not found: allowed.
    pub unacknowledged_missing: u64,
    /// Stored under this run's name although never sent.
    pub unknown: u64,
    /// Numbers of the first few lost or doubled items, as `worker/number`.
    pub examples: Vec<String>,
}

impl VerifyReport {
    /// None lost, none doubled, nothing that was not sent.
    pub fn is_exact(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.unknown == 0
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_exact() { "exact" } else { "NOT exact" };
        writeln!(f, "run {}: {verdict}", self.run)?;
        writeln!(
            f,
            "  acknowledged {}, stored {}, lost {}, doubled {}, unknown {}",
            self.acknowledged, self.stored, self.lost, self.doubled, self.unknown
        )?;
        writeln!(
            f,
            "  never acknowledged: {} stored, {} not",
            self.unacknowledged_stored, self.unacknowledged_missing
        )?;
        if !self.examples.is_empty() {
            writeln!(f, "  for example {}", self.examples.join(", "))?;
        }
        Ok(())
    }
}
