//! What the store says about itself, for the fleet page and readiness.

use model::{Signal, TenantId};

/// A snapshot over all tenants.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub signals: Vec<SignalStatus>,
    /// Bytes of the write-ahead log on disk.
    pub wal_bytes: u64,
    /// Bytes of all live segments.
    pub segment_bytes: u64,
    pub free_disk_bytes: u64,
    pub total_disk_bytes: u64,
    /// Free bytes below which appends are refused.
    pub disk_reserve_bytes: u64,
    /// Why appends are refused at the moment, if they are.
    pub refusing: Option<String>,
    pub tenants: Vec<TenantId>,
}

/// One signal over all tenants.
#[derive(Debug, Clone)]
pub struct SignalStatus {
    pub signal: Signal,
    /// Items accepted since the process started; two readings give a rate.
    pub items_accepted: u64,
    /// Items held, in heads and segments.
    pub items: u64,
    /// Newest item's time, nanoseconds since 1970: the watermark.
    pub newest_ns: Option<i64>,
    pub oldest_ns: Option<i64>,
    /// Active series (metrics) or streams (logs); 0 for traces.
    pub series: u64,
    pub head_bytes: u64,
    pub segments: u64,
    pub segment_bytes: u64,
}

/// What opening found, for the log line at start.
#[derive(Debug, Clone, Default)]
pub struct RecoveryReport {
    /// Units replayed from the write-ahead log, and their items.
    pub units: u64,
    pub items: u64,
    /// Units whose every signal had been flushed already.
    pub skipped: u64,
    /// A tail that was cut, with the file and bytes; empty when there was none.
    pub torn_tail: Option<String>,
    /// Objects that no catalog named and that were deleted.
    pub orphans: u64,
    /// Segments named by the catalogs.
    pub segments: u64,
    pub elapsed: std::time::Duration,
}
