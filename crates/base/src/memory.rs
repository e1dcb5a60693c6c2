//! The node's memory budget. Two questions are asked of it: may this work start ([`MemoryBudget::reserve`]),
//! and how much is held by whom ([`MemoryBudget::used`]).
//!
//! Reservations alone are not trusted, since allocations of libraries escape them: the resident set of the
//! process, read by [`MemoryBudget::observe_rss`], counts too, and what was set aside since then on top of it: that is
//! about to become resident. Whichever is larger decides.
//!
//! ```text
//! 0 %                                  80 %            90 %          100 % of memory.limit
//! |  everything is admitted            | ingest sheds  | the rest waits or is refused | the kernel would kill
//! ```
//! Queries may go further than ingest because they end by themselves, while what is ingested stays. So may upkeep,
//! such as merging: without it, what is stored takes ever more memory to read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use thiserror::Error;

/// Who asks for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Ingest,
    Query,
    /// Work of the node's own that makes later work cheaper.
    Upkeep,
}

#[derive(Debug, Clone, Error)]
#[error(
    "memory.limit of {limit_bytes} bytes is reached: {used_bytes} in use, {wanted_bytes} more asked for by {who}"
)]
pub struct OverLimit {
    pub limit_bytes: u64,
    pub used_bytes: u64,
    pub wanted_bytes: u64,
    pub who: &'static str,
}

#[derive(Clone)]
pub struct MemoryBudget(Arc<Inner>);

struct Inner {
    limit: AtomicU64,
    reserved: AtomicU64,
    rss: AtomicU64,
    /// What was set aside when the resident set was observed.
    reserved_then: AtomicU64,
}

impl MemoryBudget {
    pub fn new(limit_bytes: u64) -> Self {
        MemoryBudget(Arc::new(Inner {
            limit: AtomicU64::new(limit_bytes),
            reserved: AtomicU64::new(0),
            rss: AtomicU64::new(0),
            reserved_then: AtomicU64::new(0),
        }))
    }

    pub fn unlimited() -> Self {
        Self::new(u64::MAX / 2)
    }

    pub fn limit_bytes(&self) -> u64 {
        self.0.limit.load(Relaxed)
    }

    pub fn set_limit(&self, bytes: u64) {
        self.0.limit.store(bytes, Relaxed);
    }

    /// What is in use: the larger of the reservations, and of the resident set last observed with what was set aside
    /// since.
    pub fn used(&self) -> u64 {
        self.used_with(self.reserved())
    }

    fn used_with(&self, reserved: u64) -> u64 {
        let since = reserved.saturating_sub(self.0.reserved_then.load(Relaxed));
        reserved.max(self.0.rss.load(Relaxed).saturating_add(since))
    }

    pub fn reserved(&self) -> u64 {
        self.0.reserved.load(Relaxed)
    }

    /// Tells the budget the process' resident set; called a few times a second by the node.
    pub fn observe_rss(&self, bytes: u64) {
        self.0.rss.store(bytes, Relaxed);
        self.0.reserved_then.store(self.reserved(), Relaxed);
    }

    /// Sets `bytes` aside until the reservation is dropped, or says that the limit is reached.
    pub fn reserve(&self, who: Use, bytes: u64) -> Result<Reservation, OverLimit> {
        let limit = self.limit_bytes();
        let (share, name) = match who {
            Use::Ingest => (limit / 10 * 8, "ingest"),
            Use::Query => (limit / 10 * 9, "query"),
            Use::Upkeep => (limit / 10 * 9, "upkeep"),
        };
        let before = self.0.reserved.fetch_add(bytes, Relaxed);
        let used = self.used_with(before);
        if used.saturating_add(bytes) > share {
            self.0.reserved.fetch_sub(bytes, Relaxed);
            return Err(OverLimit { limit_bytes: limit, used_bytes: used, wanted_bytes: bytes, who: name });
        }
        Ok(Reservation { budget: self.clone(), bytes, who })
    }
}

/// Bytes set aside; given back on drop.
pub struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
    who: Use,
}

impl Reservation {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Asks for `more` on top. On refusal the reservation stays as it was.
    pub fn grow(&mut self, more: u64) -> Result<(), OverLimit> {
        let mut extra = self.budget.reserve(self.who, more)?;
        self.bytes += std::mem::take(&mut extra.bytes);
        Ok(())
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        if bytes < self.bytes {
            self.budget.0.reserved.fetch_sub(self.bytes - bytes, Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.reserved.fetch_sub(self.bytes, Relaxed);
    }
}

/// The resident set of this process in bytes, from `/proc/self/statm` (proc(5)).
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The memory this process may use at most: the cgroup's `memory.max` (v2) or `limit_in_bytes` (v1) where
/// one is set and smaller, else the machine's memory.
pub fn machine_bytes() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok().and_then(|s| s.trim().parse::<u64>().ok());
    let total = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|s| {
            let line = s.lines().find(|l| l.starts_with("MemTotal:"))?.to_owned();
            line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(u64::MAX / 2, |kib| kib * 1024);
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let v2 =
        group.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or("/").trim_end_matches('/').to_owned();
    [
        format!("/sys/fs/cgroup{v2}/memory.max"),
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ]
    .iter()
    .filter_map(|p| read(p))
    .fold(total, u64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingest_is_shed_before_queries_are_refused() {
        let budget = MemoryBudget::new(1000);
        let held = budget.reserve(Use::Ingest, 800).unwrap();
        let err = budget.reserve(Use::Ingest, 1).err().unwrap();
        assert!(err.to_string().starts_with("memory.limit of 1000 bytes is reached"));
        let query = budget.reserve(Use::Query, 100).unwrap();
        assert!(budget.reserve(Use::Query, 1).is_err());
        drop((held, query));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_resident_set_counts_even_when_nobody_reserved_it() {
        let budget = MemoryBudget::new(1000);
        budget.observe_rss(950);
        assert!(budget.reserve(Use::Query, 1).is_err());
        budget.observe_rss(10);
        assert!(budget.reserve(Use::Ingest, 1).is_ok());
    }

    #[test]
    fn what_was_set_aside_since_the_resident_set_was_observed_comes_on_top_of_it() {
        let budget = MemoryBudget::new(1000);
        let before = budget.reserve(Use::Ingest, 300).unwrap();
        // Three hundred of it are known.
        budget.observe_rss(500);
        assert_eq!(budget.used(), 500);
        let since = budget.reserve(Use::Ingest, 300).unwrap();
        assert_eq!(budget.used(), 800);
        let err = budget.reserve(Use::Ingest, 1).err().unwrap();
        assert_eq!((err.used_bytes, err.wanted_bytes), (800, 1));
        drop(before);
        assert_eq!(budget.used(), 500);
        budget.observe_rss(790);
        assert_eq!(budget.used(), 790);
        drop(since);
    }
}
