//! The handle to a store: opening, background work, closing, and both seams.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use base::{Clock, MemoryBudget, Metrics, Shutdown, metrics::pair};
use contract::{
    Append, AppendUnit, Capabilities, Coverage, LabelNamesRequest, LabelValuesRequest, LogsRequest,
    MetadataRequest, Receipt, Select, Selection, SeriesData, SeriesRequest, SpansRequest,
};
use futures::FutureExt;
use model::{Labels, LogBatch, MetricMetadata, Signal, SpanBatch, TenantId, TimeRange};
use object_store::ObjectStore;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    Options, Policy, RecoveryReport, Result, SignalStatus, Status, append,
    commit::{Committer, Work},
    core::Core,
    disk, flush, recover, select, tend,
};

/// Units that may wait for the committer. Full: callers wait, holding their own memory reservation.
const QUEUE: usize = 512;
/// How often background work looks whether something is due.
const TICK: Duration = Duration::from_millis(500);
/// Every so many ticks retention by age, every so many catalogs and orphans are looked at.
const EXPIRE_TICKS: u64 = 4;
const ORPHAN_TICKS: u64 = 3600;

/// See [`crate`]. Shared by reference count; dropping the last one ends the store as a crash would, without
/// flushing, and loses nothing that was acknowledged.
pub struct Store {
    core: Arc<Core>,
    /// Gone once the store is closed.
    queue: Mutex<Option<mpsc::Sender<Work>>>,
}

impl Store {
    /// Opens what `options.data_dir` and `objects` hold and replays the log.
    ///
    /// Refuses, with a message that says what to do, when data is damaged or of a newer version. Must be
    /// called inside a Tokio runtime.
    pub async fn open(
        options: Options,
        objects: Arc<dyn ObjectStore>,
        disk: Arc<dyn disklog::Disk>,
        clock: Clock,
        budget: MemoryBudget,
        metrics: &Metrics,
    ) -> Result<(Arc<Store>, RecoveryReport)> {
        let (core, mut report) = recover::open(options, objects, disk, clock, budget, metrics).await?;
        report.orphans = tend::delete_orphans(&core).await?;
        let (queue, receiver) = mpsc::channel(QUEUE);
        let committer = Committer::new(core.clone(), receiver).run();
        tokio::spawn(watched(core.clone(), "committer", committer));
        Ok((Arc::new(Store { core, queue: Mutex::new(Some(queue)) }), report))
    }

    fn queue(&self) -> contract::Result<mpsc::Sender<Work>> {
        self.queue.lock().clone().ok_or_else(|| contract::Error::unavailable("the store is closed"))
    }

    /// Spawns the background work, which ends with `shutdown`: flush, retention, merging, cleaning up.
    pub fn run(self: &Arc<Self>, shutdown: &Shutdown) {
        let (flusher, tender) = (self.clone(), self.clone());
        let (stop_one, stop_two) = (shutdown.clone(), shutdown.clone());
        let flushing = async move {
            loop {
                tokio::select! {
                    () = stop_one.started() => return,
                    () = flusher.core.flush_now.notified() => {}
                    () = flusher.core.clock.sleep(TICK) => {}
                }
                if flusher.flush_due().await.is_err() {
                    // The error is logged and counted where it happened; the disk or the bucket gets time.
                    tokio::select! {
                        () = stop_one.started() => return,
                        () = flusher.core.clock.sleep(10 * TICK) => {}
                    }
                }
            }
        };
        let tending = async move {
            for turn in 1u64.. {
                tokio::select! {
                    () = stop_two.started() => return,
                    () = tender.core.clock.sleep(TICK) => {}
                }
                tender.tend(turn).await;
            }
        };
        shutdown.spawn(watched(self.core.clone(), "flusher", flushing));
        shutdown.spawn(watched(self.core.clone(), "retention and merging", tending));
    }

    /// One turn of looking after what is published.
    async fn tend(&self, turn: u64) {
        let core = &self.core;
        let merge_ticks = (tend::COMPACT_EVERY.as_millis() / TICK.as_millis()) as u64;
        let mut outcome = Ok(());
        if turn.is_multiple_of(EXPIRE_TICKS) {
            outcome = tend::expire(core).await.and(tend::collect(core, false).await);
        }
        if turn.is_multiple_of(merge_ticks) {
            outcome = outcome.and(self.compact_all().await.map(drop));
        }
        if turn.is_multiple_of(ORPHAN_TICKS) {
            outcome = outcome.and(self.clean_up().await);
        }
        if let Err(e) = outcome {
            tracing::warn!(error = %e, "background work did not succeed");
        }
        self.publish_gauges();
    }

    /// Everything background work would do by now, once. For tests and simulations.
    pub async fn maintain(&self) -> Result<()> {
        self.flush_due().await?;
        tend::expire(&self.core).await?;
        self.compact_all().await?;
        tend::collect(&self.core, false).await?;
        self.clean_up().await
    }

    async fn compact_all(&self) -> Result<usize> {
        let mut outcome = Ok(0);
        for shelf in self.core.shelves() {
            let merged = tend::compact(&self.core, &shelf).await;
            outcome = outcome.and_then(|n| Ok(n + merged?));
        }
        outcome
    }

    async fn clean_up(&self) -> Result<()> {
        let mut outcome = Ok(());
        for shelf in self.core.shelves() {
            outcome = outcome.and(shelf.catalog.delete_old().await.map(drop));
        }
        outcome.and(tend::delete_orphans(&self.core).await.map(drop))
    }

    fn publish_gauges(&self) {
        let gauge = |place: &str, bytes: u64| {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.core.counts.bytes.get_or_create(&pair("place", place)).set(bytes);
        };
        gauge("head", self.core.head_bytes());
        gauge("wal", self.core.log.bytes());
        gauge("segments", self.core.segment_bytes());
        gauge("garbage", self.core.garbage_bytes());
    }

    /// Makes segments of everything appended before the call and cuts the log. On error nothing is lost:
    /// heads stay readable and the log stays.
    pub async fn flush_all(&self) -> Result<()> {
        let _one = self.core.flushing.lock().await;
        let queue = self.queue.lock().clone();
        if let Some(queue) = queue {
            append::freeze(&queue).await?;
        }
        flush::flush_frozen(&self.core).await
    }

    async fn flush_due(&self) -> Result<()> {
        match flush::due(&self.core) {
            flush::Due::Nothing => Ok(()),
            flush::Due::Frozen => {
                let _one = self.core.flushing.lock().await;
                flush::flush_frozen(&self.core).await
            }
            flush::Due::Heads => self.flush_all().await,
        }
    }

    /// Takes nothing more, flushes as far as `grace` allows and closes the log. What was not flushed is
    /// replayed at the next open. Answers whether everything was flushed.
    pub async fn close(&self, grace: Duration) -> Result<bool> {
        self.core.closing.store(true, Relaxed);
        let flushed = tokio::time::timeout(grace, self.flush_all()).await;
        self.halt().await;
        match flushed {
            Ok(done) => done.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Closes the log and flushes nothing: what a crash leaves behind, but with the files released.
    pub async fn halt(&self) {
        self.core.closing.store(true, Relaxed);
        drop(self.queue.lock().take());
        self.core.log.close().await;
    }

    /// Replaces what may change at run time.
    pub fn set_policy(&self, policy: Policy) {
        self.core.policy.store(Arc::new(policy));
    }

    pub fn status(&self) -> Status {
        let core = &self.core;
        let mut signals = Vec::new();
        for signal in Signal::KNOWN {
            let mut s = SignalStatus {
                items_accepted: core.counts.accepted_of(&signal),
                items: 0,
                newest_ns: None,
                oldest_ns: None,
                series: 0,
                head_bytes: 0,
                segments: 0,
                segment_bytes: 0,
                signal: signal.clone(),
            };
            let mut range: Option<TimeRange> = None;
            for shelf in core.shelves().iter().filter(|s| s.signal == signal) {
                let n = shelf.numbers();
                s.items += n.items;
                s.series += n.series;
                s.head_bytes += n.head_bytes;
                s.segments += n.segments;
                s.segment_bytes += n.segment_bytes;
                range = match (range, n.range) {
                    (Some(a), Some(b)) => Some(a.hull(b)),
                    (a, b) => a.or(b),
                };
            }
            s.newest_ns = range.map(|r| r.end.0.saturating_sub(1));
            s.oldest_ns = range.map(|r| r.start.0);
            signals.push(s);
        }
        let space = disk::space(core);
        Status {
            signals,
            wal_bytes: core.log.bytes(),
            segment_bytes: core.segment_bytes(),
            free_disk_bytes: space.as_ref().map_or(0, |s| s.free),
            total_disk_bytes: space.as_ref().map_or(0, |s| s.total),
            disk_reserve_bytes: space.as_ref().map_or(0, |s| s.reserve),
            refusing: core.broken.lock().clone().or(disk::check_reserve(core).err().map(|e| e.message)),
            tenants: core.tenants(),
        }
    }
}

/// Runs a background task; when it ends by a panic that is logged and shown in [`Status::refusing`].
async fn watched(core: Arc<Core>, task: &'static str, work: impl Future<Output = ()>) {
    let Err(panic) = AssertUnwindSafe(work).catch_unwind().await else { return };
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(task, panic = said, "a task of the store ended by a panic");
    *core.broken.lock() =
        Some(format!("the store's {task} task ended by a panic ({said}): restart the process"));
}

#[async_trait]
impl Append for Store {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        append::append(&self.core, &self.queue()?, tenant, unit).await
    }
}

#[async_trait]
impl Select for Store {
    async fn series(&self, request: SeriesRequest) -> contract::Result<Selection<SeriesData>> {
        select::series::series(&self.core, request).await
    }

    async fn logs(&self, request: LogsRequest) -> contract::Result<Selection<LogBatch>> {
        select::logs::logs(&self.core, request)
    }

    async fn spans(&self, request: SpansRequest) -> contract::Result<Selection<SpanBatch>> {
        select::spans::spans(&self.core, request)
    }

    async fn label_names(&self, request: LabelNamesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        select::names::label_names(&self.core, request).await
    }

    async fn label_values(&self, request: LabelValuesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        select::names::label_values(&self.core, request).await
    }

    async fn label_sets(&self, request: LabelNamesRequest) -> contract::Result<(Vec<Labels>, Coverage)> {
        select::names::label_sets(&self.core, request).await
    }

    async fn metadata(&self, request: MetadataRequest) -> contract::Result<(Vec<MetricMetadata>, Coverage)> {
        Ok(select::names::metadata(&self.core, request))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { signals: Signal::KNOWN.to_vec(), filters_lines: true }
    }
}
