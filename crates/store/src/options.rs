//! What the store is told: where it keeps things, what it keeps, and how much it may use.

use std::{path::PathBuf, sync::Arc, time::Duration};

use contract::Witness;
use model::{ClusterName, ReplicaName, Signal};

/// Everything [`crate::Store::open`] needs to know. [`Policy`] may change while the store runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The write-ahead log lies in `<data_dir>/wal`; free space is measured here.
    pub data_dir: PathBuf,
    /// Named in coverage; `local` where absent.
    pub cluster: Option<ClusterName>,
    pub replica: Option<ReplicaName>,
    /// How long batch ids are remembered. Longer costs memory, shorter lets a late retry double.
    pub dedup_horizon: Duration,
    /// Ids held at most; the oldest go first. One costs about 100 bytes.
    pub dedup_max_ids: usize,
    /// Width of the aligned windows segments are cut by. Wider means fewer files and coarser retention.
    pub window: Duration,
    pub policy: Policy,
    /// Is told what the log holds, and has what it did not count yet kept there.
    pub witness: Option<Arc<dyn Witness>>,
}

impl Options {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Options {
            data_dir: data_dir.into(),
            cluster: None,
            replica: None,
            dedup_horizon: Duration::from_secs(3600),
            dedup_max_ids: 500_000,
            window: Duration::from_secs(2 * 3600),
            policy: Policy::default(),
            witness: None,
        }
    }
}

/// The part of the options that [`crate::Store::set_policy`] replaces at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub retention: Retention,
    /// A sample older than its series' newest is taken when it lies within this of the tenant's newest.
    pub out_of_order_window: Duration,
    /// How far ahead of this node's clock an item's time may be.
    pub max_future: Duration,
    /// Free bytes of the file system below which appends are refused. `None`: 5 % of it, at least 64 MiB,
    /// at most 20 GiB.
    pub disk_reserve_bytes: Option<u64>,
    pub flush: FlushPolicy,
    pub limits: Limits,
    /// How long an object that no catalog version names any more stays for queries that still read it.
    pub delete_grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            retention: Retention::default(),
            out_of_order_window: Duration::from_secs(24 * 3600),
            max_future: Duration::from_secs(600),
            disk_reserve_bytes: None,
            flush: FlushPolicy::default(),
            limits: Limits::default(),
            delete_grace: Duration::from_secs(300),
        }
    }
}

/// How long each signal is kept (`None`: for ever) and how many bytes segments and WAL may take together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    pub metrics: Option<Duration>,
    pub logs: Option<Duration>,
    pub traces: Option<Duration>,
    pub max_bytes: Option<u64>,
}

impl Retention {
    pub fn of(&self, signal: &Signal) -> Option<Duration> {
        match signal.as_str() {
            "metrics" => self.metrics,
            "logs" => self.logs,
            "traces" => self.traces,
            _ => None,
        }
    }
}

/// When a head becomes segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushPolicy {
    /// All heads together. Larger means fewer, better packed segments and a longer replay.
    pub max_head_bytes: u64,
    /// Oldest unflushed item, by the time it was received. Longer means a longer replay after a crash.
    pub max_age: Duration,
    /// The log on disk. A flush starts when it is larger, so that it can be cut.
    pub max_wal_bytes: u64,
}

impl Default for FlushPolicy {
    fn default() -> Self {
        FlushPolicy {
            max_head_bytes: 256 << 20,
            max_age: Duration::from_secs(15 * 60),
            max_wal_bytes: 512 << 20,
        }
    }
}

/// What one tenant may bring. Refusals name the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Active series of one tenant.
    pub max_series: usize,
    /// Active series of one metric name.
    pub max_series_per_metric: usize,
    pub max_labels: usize,
    pub max_label_name_bytes: usize,
    pub max_label_value_bytes: usize,
    /// One log record or span, as held in memory.
    pub max_item_bytes: usize,
    /// Metric families whose metadata is kept.
    pub max_metadata: usize,
    /// Tenants this store holds at most.
    pub max_tenants: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_series: 2_000_000,
            max_series_per_metric: 500_000,
            max_labels: 128,
            max_label_name_bytes: 1024,
            max_label_value_bytes: 8192,
            max_item_bytes: 1 << 20,
            max_metadata: 20_000,
            max_tenants: 1_000,
        }
    }
}
