//! From head to segments: freeze all heads behind one place in the log, write each as segments by window,
//! put them, and publish them with one catalog commit per (tenant, signal) that also says which part of the
//! log they cover. Only then may the log lose that part.
//!
//! Whatever fails leaves the frozen head readable where it is; the next flush goes on from there. Objects
//! put by a flush that was not published are garbage and found by `tend`.

pub(crate) mod build;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use model::TimeRange;
use object_store::{ObjectStoreExt, path::Path};
use segment::Written;

use crate::{
    Error, Result,
    catalog::{Change, Commit, Covered, IdsRef, SegmentRef, tenant_dir},
    core::{Core, Garbage},
    dedup,
    head::metrics::ExemplarCount,
    shelf::{Frozen, FrozenData, Load, Shelf},
    tend, windows,
};

/// Flushes every frozen head, oldest first, and cuts the log. The first error is returned, but one shelf's
/// error does not keep the others from being flushed.
pub(crate) async fn flush_frozen(core: &Arc<Core>) -> Result<()> {
    let mut first_error = None;
    for shelf in core.shelves() {
        let _one = shelf.flushing.lock().await;
        while let Some(frozen) = shelf.oldest_frozen() {
            let done = flush_one(core, &shelf, &frozen).await;
            core.counts.flush(&shelf.signal, done.is_ok());
            core.room.made(core.head_bytes());
            if let Err(e) = done {
                tracing::warn!(tenant = %shelf.tenant, signal = %shelf.signal, error = %e, "flush did not succeed");
                first_error.get_or_insert(e);
                break;
            }
        }
    }
    let cut = cut_log(core).await;
    match first_error {
        Some(e) => Err(e),
        None => cut,
    }
}

/// Removes what no head needs any more from the log.
pub(crate) async fn cut_log(core: &Core) -> Result<()> {
    // Read before the heads: what is appended meanwhile lies behind it.
    let end = *core.end.lock();
    let needed = core.shelves().iter().filter_map(|s| s.needs_from()).min();
    let needed = needed.into_iter().chain(core.uncounted.from(core.clock.now_ns())).min();
    let upto = core.epochs.floor(needed.map_or(end, |n| n.min(end)));
    core.log.truncate_before(upto).await?;
    Ok(())
}

async fn flush_one(core: &Arc<Core>, shelf: &Arc<Shelf>, frozen: &Arc<Frozen>) -> Result<()> {
    let made = frozen.commit.lock().clone();
    let commit = match made {
        Some(c) => c,
        None => {
            let mut change = Change::default();
            if let Err(e) = prepare(core, shelf, frozen, &mut change).await {
                abandon(core, &change);
                return Err(e);
            }
            let c = Commit { id: core.unique(), change };
            *frozen.commit.lock() = Some(c.clone());
            c
        }
    };
    shelf.publish(&commit).await?;
    published(core, &commit.change);
    Ok(())
}

/// The objects of a change are the catalog's from now on.
pub(crate) fn published(core: &Core, change: &Change) {
    let mut unpublished = core.unpublished.lock();
    for path in change.added.iter().map(|a| &a.path).chain(change.ids.iter().map(|i| &i.path)) {
        unpublished.remove(path);
    }
}

/// Gives up a change that was never offered to the catalog: what it put is garbage at once.
pub(crate) fn abandon(core: &Core, change: &Change) {
    let segments = change.added.iter().map(|a| (a.path.clone(), a.info.bytes));
    let ids = change.ids.iter().map(|i| (i.path.clone(), 0));
    let due_ns = core.clock.now_ns();
    let garbage = segments.chain(ids).map(|(path, bytes)| Garbage { path, bytes, due_ns });
    core.garbage.lock().extend(garbage);
    published(core, change);
}

/// Writes and puts everything and notes it in `change`, which is not published yet.
async fn prepare(
    core: &Arc<Core>,
    shelf: &Arc<Shelf>,
    frozen: &Arc<Frozen>,
    change: &mut Change,
) -> Result<()> {
    change.covered = Some(Covered::new(&core.log_id, frozen.upto));
    let (metadata, heap_bytes) = (shelf.metadata().into_values().collect(), core.segment_heap_bytes());
    let data = frozen.clone();
    let plan = move || build::Plan {
        order: match &data.data {
            FrozenData::Metrics(m) => build::sorted(m),
            _ => Vec::new(),
        },
        metadata,
        heap_bytes,
    };
    let plan = tokio::task::spawn_blocking(plan).await;
    let plan = Arc::new(plan.map_err(|e| Error::Internal(format!("ordering a head: {e}")))?);
    let mut exemplars = 0;
    let range = frozen.data.range().unwrap_or(TimeRange::new(Default::default(), Default::default()));
    for window in windows::cut(range, core.options.window) {
        let mut part = 0;
        loop {
            let (frozen, plan) = (frozen.clone(), plan.clone());
            let build = move || build::window(&frozen.data, &plan, window, part);
            let built = tokio::task::spawn_blocking(build)
                .await
                .map_err(|e| Error::Internal(format!("writing a segment: {e}")))?
                .map_err(|source| Error::Segment { path: segment_dir(shelf, window), source })?;
            exemplars += built.exemplars;
            if let Some(written) = built.written {
                change.added.push(put_segment(core, shelf, window, written).await?);
            }
            if !built.more {
                break;
            }
            part = built.next;
        }
    }
    change.ids = put_ids(core, shelf, frozen).await?;
    if let FrozenData::Metrics(m) = &frozen.data {
        let ExemplarCount { taken, replaced } = m.exemplars;
        core.counts.exemplars_dropped("too_many", replaced);
        core.counts.exemplars_dropped("no_sample", taken.saturating_sub(replaced + exemplars));
        change.metadata = m.metadata.iter().map(Into::into).collect();
    }
    Ok(())
}

fn segment_dir(shelf: &Shelf, window: TimeRange) -> String {
    let start_s = window.start.0.div_euclid(1_000_000_000);
    format!("segments/{}/{}/{start_s}", tenant_dir(&shelf.tenant), shelf.signal)
}

/// Puts a segment under a name of its own; equal contents of two flushes are two segments.
pub(crate) async fn put_segment(
    core: &Core,
    shelf: &Shelf,
    window: TimeRange,
    written: Written,
) -> Result<SegmentRef> {
    let path = format!("{}/{}-{}.parquet", segment_dir(shelf, window), written.hash, core.unique());
    put(core, &path, written.bytes).await?;
    let window = (window.start.0, window.end.0);
    Ok(SegmentRef { path, window, sequence: 0, cleaned: 0, info: written.info })
}

async fn put_ids(core: &Core, shelf: &Shelf, frozen: &Frozen) -> Result<Option<IdsRef>> {
    let since = core.clock.now_ns().saturating_sub(crate::core::ns(core.options.dedup_horizon));
    let ids: Vec<_> = frozen.ids.iter().filter(|(_, received)| *received >= since).copied().collect();
    let Some(newest_ns) = ids.iter().map(|(_, received)| *received).max() else { return Ok(None) };
    let path = format!("segments/{}/{}/ids/{}.ids", tenant_dir(&shelf.tenant), shelf.signal, core.unique());
    put(core, &path, dedup::encode(&ids).into()).await?;
    Ok(Some(IdsRef { path, newest_ns }))
}

async fn put(core: &Core, path: &str, bytes: bytes::Bytes) -> Result<()> {
    let size = bytes.len() as u64;
    // Named before it exists, so that the search for orphans never sees it as one.
    core.unpublished.lock().insert(path.to_owned(), size);
    let location = Path::from(path);
    match core.objects.put(&location, bytes.into()).await {
        Ok(_) => {
            tend::note_put(core, size);
            Ok(())
        }
        Err(e) => {
            core.unpublished.lock().remove(path);
            Err(Error::object(&location, e))
        }
    }
}

/// Under memory pressure heads from this size on are flushed.
const WORTH_FLUSHING: u64 = 1 << 20;

/// And registries of so long idle series are worth a freeze, in nanoseconds.
const IDLE_NS: i64 = 60_000_000_000;

/// What waits to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// Frozen heads whose flush did not succeed. The active heads are left alone: one shelf that cannot be
    /// flushed must not cut the others into small segments.
    Frozen,
    /// Active heads, by size, age, length of the log or need of memory, and with them the frozen ones.
    Heads,
}

pub(crate) fn due(core: &Core) -> Due {
    let policy = core.policy.load();
    let now = core.clock.now_ns();
    let pressed = core.pressed.swap(false, Relaxed);
    let loads: Vec<Load> = core.shelves().iter().map(|s| s.load()).collect();
    let open = || loads.iter().filter(|l| l.can_freeze);
    let active: u64 = open().map(|l| l.active).sum();
    let idle: u64 = open().map(|l| l.idle).sum();
    let oldest = open().filter_map(|l| l.received_ns).min();
    let first = open().filter_map(|l| l.first).min();
    let stuck = loads.iter().filter_map(|l| l.first_frozen).min();
    // Behind a head that cannot be flushed, and what is not counted yet, the log is not cut whatever else is.
    let kept = stuck.into_iter().chain(core.uncounted.from(now)).min();
    let would_cut = first.is_some_and(|f| kept.is_none_or(|k| f < k));
    let idle_for = now.saturating_sub(core.frozen_at_ns.load(Relaxed));
    let heads = active > core.max_head_bytes()
        || pressed && active > WORTH_FLUSHING
        || pressed && idle > WORTH_FLUSHING && idle_for >= IDLE_NS
        || core.log.bytes() > core.max_wal_bytes() && would_cut
        || oldest.is_some_and(|o| now.saturating_sub(o) >= crate::core::ns(policy.flush.max_age));
    match (heads, stuck) {
        (true, _) => Due::Heads,
        (false, Some(_)) => Due::Frozen,
        (false, None) => Due::Nothing,
    }
}
