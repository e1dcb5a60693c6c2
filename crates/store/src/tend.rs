//! Looking after what is published: retention by age and by size, merging of small segments, and deleting
//! objects that no catalog names any more.
//!
//! A segment leaves the catalog first and the bucket a grace later, so that a query which began before still
//! reads it. Only a full disk shortens the grace.

mod compact;

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, path::Path};

pub(crate) use compact::{EVERY as COMPACT_EVERY, clean, compact};

use crate::{
    Error, Result,
    catalog::{Change, Commit, SegmentRef},
    core::{Core, Garbage, ns},
    disk,
    shelf::Shelf,
};

/// Retention by size begins to drop at this share of the limit, so that what is being written still fits.
const DROP_AT_PERCENT: u64 = 90;
/// And drops to this share, so that it does not run for every segment.
const DROP_TO_PERCENT: u64 = 80;
/// It looks whenever so much of the limit was put since it last did.
const LOOK_EVERY_PERCENT: u64 = 2;
/// The log counts up to this share. A log that cannot be cut must not eat up all segments: dropping them
/// would not make it shorter.
const LOG_PERCENT: u64 = 25;

/// Drops what is older than its signal's retention, then the oldest windows while the store is too large.
/// The first error is returned, and does not keep the rest from being done.
pub(crate) async fn expire(core: &Arc<Core>) -> Result<()> {
    let policy = core.policy.load_full();
    let now = core.clock.now_ns();
    let mut outcome = Ok(());
    for shelf in core.shelves() {
        let Some(keep) = policy.retention.of(&shelf.signal) else { continue };
        let oldest = now.saturating_sub(ns(keep));
        let old: Vec<_> = shelf.live().segments.values().filter(|s| s.newest().0 < oldest).cloned().collect();
        outcome = outcome.and(drop_segments(core, &shelf, &old, "age").await);
    }
    if let Some(max) = policy.retention.max_bytes {
        outcome = outcome.and(expire_by_size(core, max).await);
    }
    outcome
}

/// Retention by size alone, as often as objects are put.
pub(crate) async fn expire_large(core: &Arc<Core>) -> Result<()> {
    match core.policy.load().retention.max_bytes {
        Some(max) => expire_by_size(core, max).await,
        None => Ok(()),
    }
}

/// Notes bytes put, and asks for a look at the size of the store where they are many.
pub(crate) fn note_put(core: &Core, bytes: u64) {
    let Some(max) = core.policy.load().retention.max_bytes else { return };
    let put = core.put_bytes.fetch_add(bytes, Relaxed).saturating_add(bytes);
    if put >= max / 100 * LOOK_EVERY_PERCENT {
        core.expire_now.notify_one();
    }
}

async fn expire_by_size(core: &Arc<Core>, max: u64) -> Result<()> {
    let percent = |p: u64| max / 100 * p;
    core.put_bytes.store(0, Relaxed);
    let garbage = core.garbage_bytes();
    let (log, counted_log) = (core.log.bytes(), percent(LOG_PERCENT));
    let total = core.segment_bytes() + core.unpublished_bytes() + log.min(counted_log) + garbage;
    if total <= percent(DROP_AT_PERCENT) {
        return Ok(());
    }
    if log > counted_log {
        tracing::warn!(
            bytes = log,
            counted = counted_log,
            "the log is larger than it should be and takes disk beside retention by size"
        );
    }
    // What waits for its grace may go now: the limit counts for more.
    let mut outcome = collect(core, true).await;
    let mut over = total.saturating_sub(garbage).saturating_sub(percent(DROP_TO_PERCENT));
    let mut all: Vec<(Arc<Shelf>, Arc<SegmentRef>)> = core
        .shelves()
        .into_iter()
        .flat_map(|s| s.live().segments.values().map(|r| (s.clone(), r.clone())).collect::<Vec<_>>())
        .collect();
    all.sort_by_key(|(_, r)| (r.newest(), r.path.clone()));
    let mut gone: Vec<(Arc<Shelf>, Vec<Arc<SegmentRef>>)> = Vec::new();
    for (shelf, segment) in all {
        if over == 0 {
            break;
        }
        over = over.saturating_sub(segment.info.bytes);
        match gone.iter_mut().find(|(s, _)| Arc::ptr_eq(s, &shelf)) {
            Some((_, list)) => list.push(segment),
            None => gone.push((shelf, vec![segment])),
        }
    }
    for (shelf, segments) in gone {
        outcome = outcome.and(drop_segments(core, &shelf, &segments, "size").await);
    }
    outcome.and(collect(core, true).await)
}

async fn drop_segments(
    core: &Arc<Core>,
    shelf: &Arc<Shelf>,
    segments: &[Arc<SegmentRef>],
    cause: &'static str,
) -> Result<()> {
    if segments.is_empty() {
        return Ok(());
    }
    // Not behind a merge of the same shelf: the merge then loses its commit, and space counts for more.
    let removed = segments.iter().map(|s| s.path.clone()).collect();
    let commit = Commit { id: core.unique(), change: Change { removed, ..Change::default() } };
    match shelf.publish(&commit).await {
        Ok(()) => {
            core.counts.expired(&shelf.signal, cause, segments.len() as u64);
            tracing::info!(tenant = %shelf.tenant, signal = %shelf.signal, cause, count = segments.len(), "retention dropped segments");
            discard(core, segments);
            Ok(())
        }
        // Somebody else changed them; the next turn sees what is left.
        Err(Error::Conflict(_)) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Notes segments that left the catalog for deletion.
pub(crate) fn discard(core: &Core, segments: &[Arc<SegmentRef>]) {
    let due_ns = core.clock.now_ns().saturating_add(ns(core.policy.load().delete_grace));
    let garbage = segments.iter().map(|s| Garbage { path: s.path.clone(), bytes: s.info.bytes, due_ns });
    core.garbage.lock().extend(garbage);
}

/// Deletes garbage whose grace is over; all of it when the disk is short.
pub(crate) async fn collect(core: &Core, at_once: bool) -> Result<()> {
    let short = at_once || disk::space(core).is_some_and(|s| s.free < s.reserve);
    let now = core.clock.now_ns();
    let due: Vec<Garbage> = {
        let mut garbage = core.garbage.lock();
        let (due, wait) = std::mem::take(&mut *garbage).into_iter().partition(|g| short || g.due_ns <= now);
        *garbage = wait;
        due
    };
    let mut failed = None;
    for g in due {
        core.readers.forget(&g.path);
        if let Err(e) = delete(core, &g.path).await {
            failed = Some(e);
            core.garbage.lock().push(g);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn delete(core: &Core, path: &str) -> Result<()> {
    use object_store::ObjectStoreExt;
    let path = Path::from(path);
    match core.objects.delete(&path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(e) => Err(Error::object(&path, e)),
    }
}

/// Deletes objects that no catalog names: remains of flushes and compactions that were cut short, batch ids
/// past their horizon. What is younger than the grace stays, it may be about to be published. Returns how
/// many.
pub(crate) async fn delete_orphans(core: &Core) -> Result<u64> {
    let root = Path::from("segments");
    let listed: Vec<_> =
        core.objects.list(Some(&root)).try_collect().await.map_err(|e| Error::object(&root, e))?;
    let mut named: HashSet<String> = core.unpublished.lock().keys().cloned().collect();
    for shelf in core.shelves() {
        let live = shelf.live();
        named.extend(live.segments.keys().cloned());
        named.extend(live.ids.iter().map(|i| i.path.clone()));
    }
    named.extend(core.garbage.lock().iter().map(|g| g.path.clone()));
    let grace_ns = ns(core.policy.load().delete_grace);
    let young = |m: &object_store::ObjectMeta| {
        let modified = m.last_modified.timestamp_nanos_opt().unwrap_or(i64::MAX);
        modified.saturating_add(grace_ns) > core.clock.now_ns()
    };
    let orphans: Vec<_> = listed
        .into_iter()
        .filter(|m| !named.contains(m.location.as_ref()) && !young(m))
        .map(|m| Ok(m.location))
        .collect();
    let count = orphans.len() as u64;
    let deleted: Vec<_> = core.objects.delete_stream(futures::stream::iter(orphans).boxed()).collect().await;
    for result in deleted {
        match result {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(Error::object(&root, e)),
        }
    }
    Ok(count)
}
