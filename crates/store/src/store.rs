//! The handle to a store: opening, background work, closing, and both seams.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use base::{Clock, MemoryBudget, Metrics, Shutdown, metrics::pair};
use contract::{
    Append, AppendUnit, Capabilities, Coverage, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest,
    LogCounts, LogCountsRequest, LogsRequest, MetadataRequest, Receipt, Select, Selection, SeriesData,
    SeriesRequest, SpanKeysRequest, SpanScope, SpanValue, SpanValuesRequest, SpansRequest,
};
use model::{Exemplar, Labels, LogBatch, Matcher, MetricMetadata, Signal, SpanBatch, TenantId, TimeRange};
use object_store::ObjectStore;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    Error, Options, Policy, RecoveryReport, Result, SignalStatus, Status, append,
    catalog::{Change, Commit, DeletionRef},
    commit::{Committer, Work},
    core::Core,
    deletions::MAX_PENDING,
    disk, flush, recover, select, tend,
    workers::{self, Ended},
};

/// Units that may wait for the committer. Full: callers wait, holding their own memory reservation.
const QUEUE: usize = 512;
/// How often background work looks whether something is due.
const TICK: Duration = Duration::from_millis(500);
/// Every so many ticks retention, every so many catalogs and orphans are looked at.
const EXPIRE_TICKS: u32 = 4;
const ORPHAN_TICKS: u64 = 3600;

/// See [`crate`]. Shared by reference count; dropping the last one ends the store as a crash would, without
/// flushing, and loses nothing that was acknowledged.
pub struct Store {
    pub(crate) core: Arc<Core>,
    /// Gone once the store is closed.
    queue: Mutex<Option<mpsc::Sender<Work>>>,
    /// The committer's thread, until somebody waited for it.
    committer: Mutex<Option<Ended>>,
}

/// A deletion as its maker is told of it.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// Its number among all versions of the tenant's catalog; those made at once share it.
    pub sequence: u64,
    pub matchers: Vec<Matcher>,
    /// Both ends included.
    pub first_ms: i64,
    pub last_ms: i64,
    /// 0 where that is not known.
    pub made_ms: i64,
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
        let commits = Committer::new(core.clone(), receiver);
        let watched = core.clone();
        let committer =
            workers::spawn("store-commit", move || workers::once(watched, "committer", commits.run()))?;
        let store = Store { core, queue: Mutex::new(Some(queue)), committer: Mutex::new(Some(committer)) };
        Ok((Arc::new(store), report))
    }

    fn queue(&self) -> contract::Result<mpsc::Sender<Work>> {
        self.queue.lock().clone().ok_or_else(|| contract::Error::unavailable("the store is closed"))
    }

    /// Starts the background work, which ends with `shutdown`: flush, retention, merging, cleaning up. Each
    /// has a thread of its own; an error says that one could not be started.
    pub fn run(self: &Arc<Self>, shutdown: &Shutdown) -> Result<()> {
        self.work("flusher", "store-flush", shutdown, Store::keep_flushing)?;
        self.work("retention", "store-retain", shutdown, Store::keep_expiring)?;
        self.work("merging", "store-merge", shutdown, Store::keep_merging)
    }

    fn work<F: Future<Output = ()> + 'static>(
        self: &Arc<Self>,
        task: &'static str,
        thread: &'static str,
        shutdown: &Shutdown,
        keep: fn(Arc<Self>, Shutdown) -> F,
    ) -> Result<()> {
        let (store, stop) = (self.clone(), shutdown.clone());
        let ended = workers::spawn(thread, move || {
            let (core, stopped) = (store.core.clone(), stop.clone());
            workers::again(core, task, stopped, move || keep(store.clone(), stop.clone()))
        })?;
        shutdown.spawn(ended);
        Ok(())
    }

    async fn keep_flushing(self: Arc<Self>, stop: Shutdown) {
        self.core.room.flushes(true);
        loop {
            tokio::select! {
                () = stop.started() => return self.core.room.flushes(false),
                () = self.core.flush_now.notified() => {}
                () = self.core.clock.sleep(TICK) => {}
            }
            let flushed = self.flush_due().await;
            self.core.room.flushes(flushed.is_ok());
            if flushed.is_err() {
                // The error is logged and counted where it happened; the disk or the bucket gets time.
                tokio::select! {
                    () = stop.started() => return,
                    () = self.core.clock.sleep(10 * TICK) => {}
                }
            }
        }
    }

    async fn keep_expiring(self: Arc<Self>, stop: Shutdown) {
        loop {
            let outcome = tokio::select! {
                () = stop.started() => return,
                () = self.core.expire_now.notified() => tend::expire_large(&self.core).await,
                () = self.core.clock.sleep(EXPIRE_TICKS * TICK) => {
                    let expired = tend::expire(&self.core).await;
                    expired.and(tend::collect(&self.core, false).await)
                }
            };
            complain(outcome);
        }
    }

    async fn keep_merging(self: Arc<Self>, stop: Shutdown) {
        let merge_ticks = (tend::COMPACT_EVERY.as_millis() / TICK.as_millis()) as u64;
        for turn in 1u64.. {
            tokio::select! {
                () = stop.started() => return,
                () = self.core.clock.sleep(TICK) => {}
            }
            if turn.is_multiple_of(merge_ticks) {
                complain(self.compact_all().await.map(drop));
            }
            if turn.is_multiple_of(ORPHAN_TICKS) {
                complain(self.clean_up().await);
            }
            self.publish_gauges();
        }
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
        gauge("series", self.core.series_bytes());
        gauge("wal", self.core.log.bytes());
        gauge("segments", self.core.segment_bytes());
        gauge("garbage", self.core.garbage_bytes());
        gauge("footers", self.core.readers.bytes());
        gauge("columns", self.core.readers.columns.stats().bytes);
    }

    /// Makes segments of everything appended before the call and cuts the log. On error nothing is lost:
    /// heads stay readable and the log stays.
    pub async fn flush_all(&self) -> Result<()> {
        let _one = self.core.flushing.lock().await;
        let queue = self.queue.lock().clone();
        if let Some(queue) = queue {
            append::freeze(&self.core, &queue).await?;
        }
        flush::flush_frozen(&self.core).await
    }

    /// Deletes what the series matching one of the selectors have in the range, of each tenant. On return no
    /// read finds it; what is appended from then on stays, whatever its time. The bytes go with the next
    /// merge, or with [`Store::clean_deleted`].
    pub async fn delete_series(
        &self,
        tenants: &[TenantId],
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<()> {
        self.delete(&Signal::METRICS, tenants, selectors, range).await
    }

    /// The same of log streams: all their records in the range, to the millisecond.
    pub async fn delete_logs(
        &self,
        tenants: &[TenantId],
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<()> {
        self.delete(&Signal::LOGS, tenants, selectors, range).await
    }

    /// Deletions of a tenant's logs whose bytes are still there, in the order they were made.
    pub fn log_deletions(&self, tenant: &TenantId) -> Result<Vec<Deletion>> {
        let Some(shelf) = self.core.shelf(tenant, &Signal::LOGS) else { return Ok(Vec::new()) };
        let live = shelf.live();
        let told = live.deletions.iter().map(|d| {
            Ok(Deletion {
                sequence: d.sequence,
                matchers: d.matchers()?,
                first_ms: d.first_ms,
                last_ms: d.last_ms,
                made_ms: d.made_ms,
            })
        });
        told.collect()
    }

    async fn delete(
        &self,
        signal: &Signal,
        tenants: &[TenantId],
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<()> {
        // Deletions apply to segments, so heads become some first.
        self.flush_all().await?;
        for tenant in tenants {
            let Some(shelf) = self.core.shelf(tenant, signal) else { continue };
            let pending = shelf.live().deletions.len();
            if pending + selectors.len() > MAX_PENDING {
                let message = format!(
                    "{pending} deletions of tenant {tenant} wait to be applied, at most {MAX_PENDING} may: clean up first"
                );
                return Err(Error::Refused { limit: None, message });
            }
            let made_ms = self.core.clock.now_ms();
            let deleted = selectors.iter().map(|m| DeletionRef::new(m, range, made_ms)).collect();
            let change = Change { deleted, ..Change::default() };
            shelf.publish(&Commit { id: self.core.unique(), change }).await?;
            self.core.known.lock().forget(tenant);
        }
        Ok(())
    }

    /// Writes the segments of which something was deleted once more, without it.
    pub async fn clean_deleted(&self) -> Result<()> {
        let mut outcome = Ok(());
        for shelf in self.core.shelves().iter().filter(|s| s.signal != Signal::TRACES) {
            outcome = outcome.and(tend::clean(&self.core, shelf).await);
        }
        outcome
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

    /// Answers what is queued, closes the log and flushes nothing: what a crash leaves behind, but with the
    /// files released.
    pub async fn halt(&self) {
        self.core.closing.store(true, Relaxed);
        drop(self.queue.lock().take());
        self.core.stop_commits.notify_one();
        let committer = self.committer.lock().take();
        if let Some(ended) = committer {
            ended.await;
        }
        self.core.log.close().await;
    }

    /// Replaces what may change at run time.
    pub fn set_policy(&self, policy: Policy) {
        self.core.policy.store(Arc::new(policy));
    }

    /// Why the store takes nothing until the process is started again; `None` while it works. Never waits.
    pub fn broken(&self) -> Option<String> {
        self.core.broken.lock().clone()
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
            refusing: self.broken().or(disk::check_reserve(core).err().map(|e| e.message)),
            tenants: core.tenants(),
        }
    }
}

fn complain(outcome: Result<()>) {
    if let Err(e) = outcome {
        tracing::warn!(error = %e, "background work did not succeed");
    }
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

    async fn log_counts(&self, request: LogCountsRequest) -> contract::Result<Option<Selection<LogCounts>>> {
        select::counts::counts(&self.core, request)
    }

    async fn spans(&self, request: SpansRequest) -> contract::Result<Selection<SpanBatch>> {
        select::spans::spans(&self.core, request)
    }

    async fn span_keys(
        &self,
        request: SpanKeysRequest,
    ) -> contract::Result<(Vec<(SpanScope, String)>, Coverage)> {
        select::spans::names::keys(&self.core, request).await
    }

    async fn span_values(&self, request: SpanValuesRequest) -> contract::Result<(Vec<SpanValue>, Coverage)> {
        select::spans::names::values(&self.core, request).await
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

    async fn exemplars(
        &self,
        request: ExemplarsRequest,
    ) -> contract::Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        select::exemplars::exemplars(&self.core, request).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            signals: Signal::KNOWN.to_vec(),
            filters_lines: true,
            filters_spans: true,
            ..Capabilities::default()
        }
    }
}

#[cfg(test)]
mod tests;
