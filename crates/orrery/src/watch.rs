//! Watches the process: tells the memory budget the resident set, and exposes both.

use std::time::Duration;

use base::{Clock, MemoryBudget, Metrics, Shutdown, memory};

/// Often enough that a burst is noticed before it fills the fifth of the limit that ingest leaves free:
/// 50 ms at 1 GB/s are 50 MB.
const EVERY: Duration = Duration::from_millis(50);

pub fn start(budget: MemoryBudget, metrics: &Metrics, clock: Clock, shutdown: &Shutdown) {
    let resident = metrics.gauge("memory_resident_bytes", "Resident set of the process.");
    let reserved = metrics.gauge("memory_reserved_bytes", "Memory set aside for ingest and queries.");
    let limit = metrics.gauge("memory_limit_bytes", "memory.limit of the configuration.");
    let token = shutdown.token();
    shutdown.spawn(async move {
        loop {
            if let Some(rss) = memory::resident_bytes() {
                budget.observe_rss(rss);
                resident.set(rss as i64);
            }
            reserved.set(budget.reserved() as i64);
            limit.set(budget.limit_bytes() as i64);
            tokio::select! {
                () = token.cancelled() => return,
                () = clock.sleep(EVERY) => {}
            }
        }
    });
}
