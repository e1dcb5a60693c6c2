//! What every source is given: where to append, what time it is, when to stop, and how losses are counted.

use std::{sync::Arc, time::Duration};

use base::{
    Clock, Kind, Metrics, Shutdown,
    backoff::Backoff,
    metrics::{Counters, Gauges, pair},
};
use contract::{Append, AppendUnit, Receipt};
use model::TenantId;

/// Cheap to clone. The tenant is whose data everything collected here is.
#[derive(Clone)]
pub struct Context {
    pub append: Arc<dyn Append>,
    pub tenant: TenantId,
    pub clock: Clock,
    pub shutdown: Shutdown,
    /// Name of this machine, for `host_name` and `host.name`.
    pub host_name: String,
    pub(crate) counts: Counts,
}

/// What the sources count. Shared by all of them, so it is registered once.
#[derive(Clone)]
pub(crate) struct Counts {
    pub(crate) appended: Counters,
    pub(crate) refused: Counters,
    pub(crate) dropped: Counters,
    pub(crate) retries: Counters,
    pub(crate) problems: Counters,
    pub(crate) files: Gauges,
}

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Durable; the receipt names items refused one by one.
    Stored(Receipt),
    /// Given up, with the reason it was counted under.
    Dropped(Kind),
    /// The node is shutting down; whether the unit was stored is open.
    Stopped,
}

impl Context {
    /// Registers the sources' counters; call once per registry and clone the result.
    pub fn new(
        append: Arc<dyn Append>,
        tenant: TenantId,
        clock: Clock,
        shutdown: Shutdown,
        metrics: &Metrics,
        host_name: impl Into<String>,
    ) -> Self {
        let counts = Counts {
            appended: metrics.counters("agent_appended_items", "Items collected and durable, by source."),
            refused: metrics
                .counters("agent_refused_items", "Items refused one by one, by source and reason."),
            dropped: metrics.counters("agent_dropped_items", "Items given up, by source and reason."),
            retries: metrics.counters("agent_append_retries", "Appends tried again, by source."),
            problems: metrics
                .counters("agent_problems", "Things a source could not read, by source and reason."),
            files: metrics.gauges("agent_followed_files", "Files being followed, by tail."),
        };
        Context { append, tenant, clock, shutdown, host_name: host_name.into(), counts }
    }

    /// The same under a shutdown of its own, for a part that can be stopped alone.
    pub fn with_shutdown(&self, shutdown: Shutdown) -> Self {
        Context { shutdown, ..self.clone() }
    }

    /// Appends `unit`, trying again with backoff while the node says that it may work later. `patience`
    /// bounds the time spent; `None` waits as long as the node runs, which is how backpressure reaches a
    /// source that can wait. What is given up is counted by reason.
    pub(crate) async fn deliver(
        &self,
        source: &'static str,
        unit: AppendUnit,
        patience: Option<Duration>,
    ) -> Delivery {
        let items: u64 = unit.batches.iter().map(|b| b.item_count() as u64).sum();
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let began_ns = self.clock.now_ns();
        loop {
            let error = match self.append.append(&self.tenant, unit.clone()).await {
                Ok(receipt) => {
                    self.count_receipt(source, &receipt);
                    return Delivery::Stored(receipt);
                }
                Err(e) => e,
            };
            let wait = backoff.next_wait(&mut rand::rng());
            let waited = Duration::from_nanos((self.clock.now_ns() - began_ns).max(0) as u64);
            let out_of_patience = patience.is_some_and(|p| waited + wait > p);
            // A defect of ours may be as transient as a full disk; what the caller did wrong never is.
            let hopeless = matches!(
                error.kind(),
                Kind::Invalid | Kind::Denied | Kind::NotFound | Kind::Limited | Kind::Conflict
            );
            if hopeless || out_of_patience {
                self.drop_items(source, error.kind().as_str(), items);
                tracing::warn!(source, items, error = %error, "gave up what was collected");
                return Delivery::Dropped(error.kind());
            }
            self.counts.retries.get_or_create(&vec![("source", source.to_owned())]).inc();
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.shutdown.started() => return Delivery::Stopped,
            }
        }
    }

    fn count_receipt(&self, source: &'static str, receipt: &Receipt) {
        let pair = ("source", source.to_owned());
        self.counts.appended.get_or_create(&vec![pair.clone()]).inc_by(receipt.accepted_items());
        for r in &receipt.refused {
            let pairs = vec![pair.clone(), ("reason", r.reason.as_str().to_owned())];
            self.counts.refused.get_or_create(&pairs).inc_by(r.count);
        }
    }

    pub(crate) fn drop_items(&self, source: &'static str, reason: &str, count: u64) {
        let pairs = vec![("source", source.to_owned()), ("reason", reason.to_owned())];
        self.counts.dropped.get_or_create(&pairs).inc_by(count);
    }

    /// Counts something that could not be read or understood.
    pub(crate) fn problem(&self, source: &'static str, reason: &str) {
        let pairs = vec![("source", source.to_owned()), ("reason", reason.to_owned())];
        self.counts.problems.get_or_create(&pairs).inc();
    }

    pub(crate) fn following(&self, tail: &str, files: usize) {
        self.counts.files.get_or_create(&pair("tail", tail)).set(files as i64);
    }

    /// Sleeps; `false` when the node began to shut down meanwhile.
    pub(crate) async fn sleep(&self, d: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.shutdown.started() => false,
            () = self.clock.sleep(d) => true,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
