//! Several nodes in one process: a clock that stands still until told, a disk and an object store per node that
//! fail on command. What a kill -9 does to a node happens here in microseconds and from a seed.
//!
//! ```text
//! Cluster ── clock (shared, manual)
//!   └─ Member ── FaultDisk   (the log; forgets unsynced writes in a crash)
//!             ├─ object store (segments and catalog; survives a crash)
//!             └─ Store        (rebuilt from the two above at restart)
//! ```

use std::{sync::Arc, time::Duration};

use base::{Clock, MemoryBudget, Metrics};
use contract::{Append, AppendUnit, Receipt};
use disklog::fault::FaultDisk;
use model::{Batch, BatchId, ClusterName, TenantId};
use object_store::{ObjectStore, memory::InMemory};
use store::{Options, RecoveryReport, Store};

/// Nodes that share a clock and nothing else.
pub struct Cluster {
    pub clock: Clock,
    pub members: Vec<Member>,
}

/// One node's parts.
pub struct Member {
    pub name: String,
    pub disk: FaultDisk,
    pub objects: Arc<dyn ObjectStore>,
    pub budget: MemoryBudget,
    options: Options,
    clock: Clock,
    store: Option<Arc<Store>>,
}

/// 2026-01-01T00:00:00Z, when every harness begins.
pub const BEGINNING_NS: i64 = 1_767_225_600_000_000_000;

impl Cluster {
    /// Starts a node for each name, each with disks and objects of its own.
    pub async fn start(names: &[&str]) -> store::Result<Self> {
        let clock = Clock::manual(BEGINNING_NS);
        let mut members = Vec::new();
        for name in names {
            let options =
                Options { cluster: ClusterName::new(name).ok(), ..Options::new(format!("/{name}")) };
            let mut member = Member::new(name, options, clock.clone(), Arc::new(InMemory::new()));
            member.restart().await?;
            members.push(member);
        }
        Ok(Cluster { clock, members })
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

impl Member {
    /// A node that is not started yet.
    pub fn new(name: &str, options: Options, clock: Clock, objects: Arc<dyn ObjectStore>) -> Self {
        let disk = FaultDisk::new();
        // Room enough that only a test that says so meets the reserve.
        disk.set_free_bytes(1 << 40);
        let budget = MemoryBudget::unlimited();
        Member { name: name.to_owned(), disk, objects, budget, options, clock, store: None }
    }

    /// The running store; a test that asks a crashed node has a mistake.
    ///
    /// # Panics
    /// Where the node is down.
    pub fn store(&self) -> &Arc<Store> {
        self.store.as_ref().unwrap_or_else(|| panic!("node {} is down", self.name))
    }

    /// Opens the store again from what survived.
    pub async fn restart(&mut self) -> store::Result<RecoveryReport> {
        self.store = None;
        let disk: Arc<dyn disklog::Disk> = Arc::new(self.disk.clone());
        let (store, report) = Store::open(
            self.options.clone(),
            self.objects.clone(),
            disk,
            self.clock.clone(),
            self.budget.clone(),
            &Metrics::default(),
        )
        .await?;
        self.store = Some(store);
        Ok(report)
    }

    /// Power loss: the store is gone, and of what was not synced the seed decides what the disk shows.
    pub fn crash(&mut self, seed: u64) {
        self.store = None;
        self.disk.crash(seed);
    }

    /// Appends batches received now, under an id of the given number.
    pub async fn append(&self, number: u64, batches: Vec<Batch>) -> contract::Result<Receipt> {
        let unit = AppendUnit {
            batch_id: Some(BatchId::Numbered { source: 7, epoch: 1, sequence: number }),
            received_ns: self.clock.now_ns(),
            batches,
        };
        self.store().append(&TenantId::default(), unit).await
    }
}
