//! A store on a disk and an object store that fail on command, under a clock that stands still.

use std::{sync::Arc, time::Duration};

use base::{Clock, MemoryBudget, Metrics};
use disklog::fault::FaultDisk;
use object_store::memory::InMemory;
use store::{Options, RecoveryReport, Store};
use testkit::{conformance::NOW_NS, objects::FaultObjects};

pub struct Rig {
    pub disk: FaultDisk,
    pub objects: FaultObjects,
    pub clock: Clock,
    pub budget: MemoryBudget,
    pub metrics: Metrics,
    pub options: Options,
    store: Option<Arc<Store>>,
    pub report: RecoveryReport,
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Rig)) -> Self {
        let mut options = Options::new("/simulated/data");
        options.policy.delete_grace = Duration::from_secs(60);
        let mut rig = Rig {
            disk: FaultDisk::new(),
            objects: FaultObjects::new(Arc::new(InMemory::new())),
            clock: Clock::manual(NOW_NS),
            budget: MemoryBudget::unlimited(),
            metrics: Metrics::default(),
            options,
            store: None,
            report: RecoveryReport::default(),
        };
        change(&mut rig);
        rig.open().await.expect("an empty store opens");
        rig
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    pub fn shared(&self) -> Arc<Store> {
        self.store.clone().expect("open")
    }

    pub async fn open(&mut self) -> store::Result<()> {
        // Every life of a node has a registry of its own.
        self.metrics = Metrics::default();
        let (store, report) = Store::open(
            self.options.clone(),
            Arc::new(self.objects.clone()),
            Arc::new(self.disk.clone()),
            self.clock.clone(),
            self.budget.clone(),
            &self.metrics,
        )
        .await?;
        self.store = Some(store);
        self.report = report;
        Ok(())
    }

    /// The process is killed and started again: nothing is flushed, unsynced writes survive at random.
    pub async fn crash(&mut self, seed: u64) {
        self.crash_only(seed);
        self.open().await.expect("a store opens after a crash");
    }

    pub fn crash_only(&mut self, seed: u64) {
        self.store = None;
        self.disk.crash(seed);
        self.objects.heal();
    }

    /// An orderly stop and start.
    pub async fn restart(&mut self) {
        assert!(self.store().close(Duration::from_secs(10)).await.expect("flushes"));
        self.store = None;
        self.open().await.expect("opens again");
    }

    pub fn text(&self) -> String {
        self.metrics.encode()
    }
}
