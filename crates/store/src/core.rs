//! What the parts of a store share. The handle is [`crate::Store`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use base::{Clock, MemoryBudget};
use disklog::{Log, Position};
use model::{Signal, TenantId};
use object_store::ObjectStore;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::{
    Error, Options, Policy, Result, catalog::Catalog, counts::Counts, dedup::KnownIds, epochs::Epochs,
    readers::Readers, room::Room, shelf::Shelf, uncounted::Uncounted,
};

pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) policy: ArcSwap<Policy>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) clock: Clock,
    pub(crate) budget: MemoryBudget,
    pub(crate) log: Log,
    /// Identity of the log: positions mean something only together with it.
    pub(crate) log_id: String,
    pub(crate) counts: Counts,
    pub(crate) readers: Readers,
    pub(crate) known: Mutex<KnownIds>,
    /// Everything of the log before it is in a head or in segments. Written by the committer alone.
    pub(crate) end: Mutex<Position>,
    pub(crate) epochs: Epochs,
    /// What of the log is kept for the witness.
    pub(crate) uncounted: Uncounted,
    /// What heads hold, for appends that wait until it is less.
    pub(crate) room: Room,
    /// Rung when a flush should not wait for its next turn.
    pub(crate) flush_now: Notify,
    /// Rung when retention by size should not wait for its next turn.
    pub(crate) expire_now: Notify,
    /// Bytes of objects put since retention by size last looked.
    pub(crate) put_bytes: AtomicU64,
    /// Rung when the committer should end once it has answered what is queued.
    pub(crate) stop_commits: Notify,
    /// Memory refused an append since the last flush: even small heads are worth flushing.
    pub(crate) pressed: AtomicBool,
    /// When heads were frozen last.
    pub(crate) frozen_at_ns: AtomicI64,
    /// Why the store takes nothing more until the process is started again: the committer panicked.
    pub(crate) broken: Mutex<Option<String>>,
    /// One flush of the store at a time.
    pub(crate) flushing: tokio::sync::Mutex<()>,
    pub(crate) closing: AtomicBool,
    /// Objects that no catalog names any more, and when they may go.
    pub(crate) garbage: Mutex<Vec<Garbage>>,
    /// Objects put by this process that no catalog names yet, with their bytes.
    pub(crate) unpublished: Mutex<HashMap<String, u64>>,
    shelves: RwLock<BTreeMap<(TenantId, Signal), Arc<Shelf>>>,
    opening: tokio::sync::Mutex<()>,
    numbers: AtomicU64,
}

pub(crate) struct Garbage {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) due_ns: i64,
}

impl Core {
    pub(crate) fn new(
        options: Options,
        objects: Arc<dyn ObjectStore>,
        clock: Clock,
        budget: MemoryBudget,
        log: Log,
        log_id: String,
        counts: Counts,
    ) -> Self {
        // An id takes some 120 bytes: never more than about 6 % of the memory limit.
        let max_ids = options.dedup_max_ids.min((budget.limit_bytes() / 2048) as usize);
        let known = KnownIds::new(ns(options.dedup_horizon), max_ids);
        let frozen_at_ns = AtomicI64::new(clock.now_ns());
        let readers = Readers::new(budget.limit_bytes());
        let uncounted = Uncounted::new(options.witness.is_some());
        Core {
            policy: ArcSwap::from_pointee(options.policy.clone()),
            options,
            objects,
            clock,
            budget,
            end: Mutex::new(log.first()),
            epochs: Epochs::default(),
            uncounted,
            log,
            log_id,
            counts,
            readers,
            known: Mutex::new(known),
            room: Room::default(),
            flush_now: Notify::new(),
            expire_now: Notify::new(),
            put_bytes: AtomicU64::new(0),
            stop_commits: Notify::new(),
            pressed: AtomicBool::new(false),
            frozen_at_ns,
            broken: Mutex::default(),
            flushing: Default::default(),
            closing: AtomicBool::new(false),
            garbage: Mutex::default(),
            unpublished: Mutex::default(),
            shelves: RwLock::default(),
            opening: Default::default(),
            numbers: AtomicU64::new(0),
        }
    }

    pub(crate) fn shelf(&self, tenant: &TenantId, signal: &Signal) -> Option<Arc<Shelf>> {
        self.shelves.read().get(&(tenant.clone(), signal.clone())).cloned()
    }

    pub(crate) fn shelves(&self) -> Vec<Arc<Shelf>> {
        self.shelves.read().values().cloned().collect()
    }

    /// Sorted and distinct.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        let shelves = self.shelves.read();
        let mut tenants: Vec<_> = shelves.keys().map(|(t, _)| t.clone()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }

    /// The shelf, opened or made. `limit`: whether a new tenant may be refused.
    pub(crate) async fn shelf_or_new(
        &self,
        tenant: &TenantId,
        signal: &Signal,
        limit: bool,
    ) -> Result<Arc<Shelf>> {
        if let Some(found) = self.shelf(tenant, signal) {
            return Ok(found);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(found) = self.shelf(tenant, signal) {
            return Ok(found);
        }
        let max = self.policy.load().limits.max_tenants;
        if limit && self.tenants().len() >= max && !self.shelves.read().keys().any(|(t, _)| t == tenant) {
            return Err(Error::Refused {
                limit: Some("ingest.max_tenants"),
                message: format!("tenant {tenant} is new and ingest.max_tenants ({max}) is reached"),
            });
        }
        let horizon = ns(self.options.dedup_horizon);
        let (catalog, live) =
            Catalog::open(self.objects.clone(), self.clock.clone(), tenant, signal, horizon).await?;
        let shelf = Shelf::new(tenant.clone(), signal.clone(), catalog, live, self.log_id.clone());
        let shelf = Arc::new(shelf);
        self.shelves.write().insert((tenant.clone(), signal.clone()), shelf.clone());
        Ok(shelf)
    }

    /// A name that no other object or commit of any process has.
    pub(crate) fn unique(&self) -> String {
        format!("{}-{:x}-{:x}", self.log_id, self.clock.now_ns(), self.numbers.fetch_add(1, Relaxed))
    }

    /// Notes that memory was refused and asks for a flush.
    pub(crate) fn press(&self) {
        self.pressed.store(true, Relaxed);
        self.flush_now.notify_one();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Why nothing is taken any more.
    pub(crate) fn closed(&self) -> String {
        self.broken.lock().clone().unwrap_or_else(|| "the store is shutting down".to_owned())
    }

    /// Bytes of all heads that a flush would free.
    pub(crate) fn head_bytes(&self) -> u64 {
        self.shelves().iter().map(|s| s.load()).map(|l| l.active + l.frozen).sum()
    }

    /// Bytes of what heads know of series, which stay when they are flushed.
    pub(crate) fn series_bytes(&self) -> u64 {
        self.shelves().iter().map(|s| s.load().registry).sum()
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.shelves().iter().map(|s| s.live().bytes()).sum()
    }

    pub(crate) fn garbage_bytes(&self) -> u64 {
        self.garbage.lock().iter().map(|g| g.bytes).sum()
    }

    pub(crate) fn unpublished_bytes(&self) -> u64 {
        self.unpublished.lock().values().sum()
    }

    /// How much heads may hold before a flush: as configured, but never so much that flushing it would not fit
    /// into the memory limit.
    pub(crate) fn max_head_bytes(&self) -> u64 {
        let share = head_share(self.budget.limit_bytes(), self.series_bytes());
        self.policy.load().flush.max_head_bytes.min(share)
    }

    /// What one segment is written of, as held in memory. Larger: fewer files, and more memory while flushing and
    /// merging. Records and spans are written where they lie.
    pub(crate) fn segment_heap_bytes(&self) -> usize {
        (self.budget.limit_bytes() / 4).clamp(1 << 20, 256 << 20) as usize
    }

    /// Compressed bytes that one merge of segments takes at most.
    pub(crate) fn merge_input_bytes(&self) -> u64 {
        (self.budget.limit_bytes() / 64).clamp(1 << 20, 48 << 20)
    }

    /// How large the log may get before a flush: a small part of what the disk may hold.
    pub(crate) fn max_wal_bytes(&self) -> u64 {
        let policy = self.policy.load();
        policy.flush.max_wal_bytes.min(policy.retention.max_bytes.map_or(u64::MAX, |b| b / 8)).max(1 << 20)
    }
}

pub(crate) fn ns(d: std::time::Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}

/// The program itself: its code, as far as it is resident, and what it holds before the first item comes and while one
/// question is answered.
const PROGRAM_BYTES: u64 = 96 << 20;

/// What samples, records and spans may take of a memory limit before they are flushed: a sixth of what the program leaves
/// of it, since a segment that is written takes about as much again beside them, and what comes in meanwhile as well. What
/// is known of series stays after a flush, so with many of them less is left for samples, down to a twentieth of the
/// limit: below that flushes would follow each other.
fn head_share(limit: u64, series: u64) -> u64 {
    let left = limit.saturating_sub(PROGRAM_BYTES);
    (left / 4).saturating_sub(series).min(left / 6).max(limit / 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_series_leave_less_of_the_memory_limit_for_their_samples() {
        const MIB: u64 = 1 << 20;
        assert_eq!(head_share(1024 * MIB, 0), 928 * MIB / 6);
        assert_eq!(head_share(1024 * MIB, 156 * MIB), 76 * MIB);
        assert_eq!(head_share(1024 * MIB, 900 * MIB), 1024 * MIB / 20);
        assert_eq!(head_share(512 * MIB, 10 * MIB), 416 * MIB / 6);
        // Where the program leaves next to nothing.
        assert_eq!(head_share(100 * MIB, 0), 5 * MIB);
        assert_eq!(head_share(40 * MIB, 10 * MIB), 2 * MIB);
    }
}
