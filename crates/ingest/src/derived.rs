//! Metrics derived from spans, whichever way these come in: RED and the edges of the service graph. What is computed
//! stands in the crate `derive`; here stands when it is counted and when it is stored.
//!
//! ```text
//! append ─► Deriving ─► take down ─► the real append ─► count what it accepted
//!                                          ▲
//! every interval: nobody appends ─► samples of all counts, one unit, id "derived" ─► they may append again
//! ```
//! In the order of the log, a unit of derived metrics therefore has exactly the spans before it. After a crash the
//! store reads its log to us ([`Witness`]), and what follows the last such unit is counted again: spans and what is
//! derived from them live or die together, though not one sample is written for most pushes.

mod stats;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use base::{Clock, MemoryBudget, Metrics, Shutdown};
use contract::{Append, AppendUnit, Receipt, Witness};
use derive::{Collection, Derived, Observed};
use model::{Batch, BatchId, Signal, SpanBatch, TenantId};
use parking_lot::Mutex;
use stats::Stats;
use tokio::sync::RwLock;

/// Units of more spans are taken down on the blocking pool, so that a few of them do not hold every worker. One span
/// takes less than a microsecond.
const INLINE_SPANS: usize = 1024;

/// What is derived on this node, by tenant.
pub struct Derive {
    options: derive::Options,
    budget: MemoryBudget,
    clock: Clock,
    stats: Stats,
    tenants: Mutex<HashMap<TenantId, Arc<Tenant>>>,
    /// Tells the collections of this process from those of others.
    epoch: u64,
    collections: AtomicU32,
}

struct Tenant {
    derived: Derived,
    /// Read while spans are under way, written while their counts are stored.
    gate: RwLock<()>,
}

/// Passes units on, and counts the spans of those that were stored.
pub struct Deriving {
    pub append: Arc<dyn Append>,
    pub derive: Arc<Derive>,
}

impl Derive {
    pub fn new(options: derive::Options, budget: MemoryBudget, metrics: &Metrics, clock: Clock) -> Arc<Self> {
        Arc::new(Derive {
            options,
            budget,
            stats: Stats::new(metrics),
            tenants: Mutex::default(),
            epoch: clock.now_ns() as u64,
            collections: AtomicU32::new(0),
            clock,
        })
    }

    /// Collects every interval, and once more when the node ends. `append` is what stores the samples.
    pub fn start(self: &Arc<Self>, append: Arc<dyn Append>, shutdown: &Shutdown) {
        let (derive, stop) = (self.clone(), shutdown.clone());
        shutdown.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.started() => break,
                    () = derive.clock.sleep(derive.options.interval) => {}
                }
                derive.collect(&*append).await;
            }
            derive.collect(&*append).await;
        });
    }

    /// Stores the counts of all tenants as samples of now.
    pub async fn collect(&self, append: &dyn Append) {
        let tenants: Vec<(TenantId, Arc<Tenant>)> =
            self.tenants.lock().iter().map(|(id, of)| (id.clone(), of.clone())).collect();
        let (mut series, mut waiting) = (0, 0);
        for (tenant, of) in tenants {
            if let Err(e) = self.collect_one(append, &tenant, &of).await {
                self.stats.failed(&tenant, &e, &self.clock);
            }
            series += of.derived.series();
            waiting += of.derived.waiting();
        }
        self.stats.held(series, waiting);
        // Whoever is about to count has a hold on it.
        self.tenants.lock().retain(|_, of| Arc::strong_count(of) > 1 || !of.derived.is_empty());
    }

    async fn collect_one(&self, append: &dyn Append, tenant: &TenantId, of: &Tenant) -> contract::Result<()> {
        let _alone = of.gate.write().await;
        let collection = of.derived.begin(self.clock.now_ms());
        self.stats.add(&collection.tally);
        let number = self.collections.fetch_add(1, Relaxed);
        for part in 0..collection.parts {
            let metrics = of.derived.write(&collection, part);
            if !metrics.is_empty() {
                let unit = AppendUnit {
                    batch_id: Some(self.id(number, part, &collection)),
                    received_ns: self.clock.now_ns(),
                    batches: vec![Batch::Metrics(metrics)],
                };
                let receipt = append.append(tenant, unit).await?;
                self.stats.stored(tenant, &receipt, &self.clock);
            }
            of.derived.settle(&collection, part);
        }
        Ok(())
    }

    fn id(&self, number: u32, part: u32, collection: &Collection) -> BatchId {
        let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        BatchId::derived(self.epoch, number, short(part), short(collection.parts))
    }

    fn of(&self, tenant: &TenantId) -> Arc<Tenant> {
        let mut tenants = self.tenants.lock();
        if let Some(known) = tenants.get(tenant) {
            return known.clone();
        }
        let derived = Derived::new(self.options.clone(), self.budget.clone(), self.clock.now_ns());
        let new = Arc::new(Tenant { derived, gate: RwLock::new(()) });
        tenants.insert(tenant.clone(), new.clone());
        new
    }

    /// Appends a unit with spans and counts what of them was stored.
    async fn append(
        &self,
        append: &dyn Append,
        tenant: &TenantId,
        unit: AppendUnit,
    ) -> contract::Result<Receipt> {
        let of = self.of(tenant);
        let _pass = of.gate.read().await;
        let (unit, observed) = take_down(&of, unit).await?;
        let receipt = append.append(tenant, unit).await?;
        if receipt.duplicate {
            return Ok(receipt);
        }
        match refused(&receipt) {
            Some(refused) => self.stats.add(&of.derived.apply(observed, &refused)),
            None => self.stats.unknown(observed.len() as u64),
        }
        Ok(receipt)
    }
}

/// Takes the spans of a unit down, in its own time where there are many.
async fn take_down(of: &Arc<Tenant>, unit: AppendUnit) -> contract::Result<(AppendUnit, Observed)> {
    let count: usize = spans(&unit.batches).map(|b| b.spans.len()).sum();
    let of = of.clone();
    let work = move || {
        let observed = of.derived.observe(spans(&unit.batches), unit.received_ns);
        (unit, observed)
    };
    if count <= INLINE_SPANS {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| contract::Error::internal(format!("deriving metrics from {count} spans: {e}")))
}

fn spans(batches: &[Batch]) -> impl Iterator<Item = &SpanBatch> {
    batches.iter().filter_map(|b| if let Batch::Spans(s) = b { Some(s) } else { None })
}

/// Where refused spans stood; `None` where nobody says.
fn refused(receipt: &Receipt) -> Option<Vec<u32>> {
    let mut positions = Vec::new();
    for r in receipt.refused.iter().filter(|r| r.signal == Signal::TRACES) {
        if r.positions.len() as u64 != r.count {
            return None;
        }
        positions.extend_from_slice(&r.positions);
    }
    positions.sort_unstable();
    Some(positions)
}

#[async_trait]
impl Append for Deriving {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        if spans(&unit.batches).all(|b| b.spans.is_empty()) {
            return self.append.append(tenant, unit).await;
        }
        // A task of its own: a sender that goes away must not leave spans stored and not counted.
        let (append, derive, tenant) = (self.append.clone(), self.derive.clone(), tenant.clone());
        let task = tokio::spawn(async move { derive.append(&*append, &tenant, unit).await });
        task.await.unwrap_or_else(|e| Err(contract::Error::internal(format!("appending spans: {e}"))))
    }
}

impl Witness for Derive {
    fn replayed(&self, tenant: &TenantId, batch_id: Option<BatchId>, received_ns: i64, batches: &[Batch]) {
        if let Some((part, parts)) = batch_id.and_then(|id| id.as_derived()) {
            let times = batches.iter().filter_map(|b| match b {
                Batch::Metrics(m) => m.samples.timestamp_ms.iter().copied().max(),
                _ => None,
            });
            let at_ms = times.max().unwrap_or(received_ns.div_euclid(1_000_000));
            let known = self.tenants.lock().get(tenant).cloned();
            if let Some(of) = known {
                of.derived.collected(part.into(), parts.into(), at_ms);
            }
        } else if spans(batches).any(|b| !b.spans.is_empty()) {
            let of = self.of(tenant);
            let observed = of.derived.observe(spans(batches), received_ns);
            of.derived.apply(observed, &[]);
        }
    }
}

impl fmt::Debug for Derive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derive").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
