//! Merging small segments of one window, so that files do not pile up and queries open few.
//!
//! ```text
//! level 0   a flush, minutes      ─┐ six of a window at once, or what is left when the window is over
//! level 1   a window, 2 h          ├─► all of a day, when it is over and is kept for long
//! level 2   a day, chunks of 4 h  ─┘
//! ```
//! Only segments that follow each other in the order of commits are merged: of two values at one time the
//! later commit's counts, and a merge must not move one past a third.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use base::memory::{MemoryBudget, Reservation, Use};
use futures::{StreamExt, TryStreamExt};
use model::{TimeRange, TimestampNs};
use segment::{Written, logs, metrics, spans};

use crate::{
    Error, Result,
    catalog::{Change, Commit, SegmentRef},
    core::Core,
    deletions::{self, Deleted},
    flush,
    readers::Reader,
    select::merge_rows,
    shelf::Shelf,
};

/// So many neighbours are merged at once. Fewer: more bytes rewritten; more: more files per query.
const FAN_IN: usize = 6;
/// Of a window that is over, neighbours are merged that are together at least this part of the largest among
/// them. Smaller: fewer files; larger: one late sample does not rewrite a window.
const WORTH_PART: u64 = 4;
/// A window is over when it ended so many times [`crate::FlushPolicy::max_age`] ago.
const OVER_AFTER: u32 = 2;
/// A signal's days are merged where it is kept for at least so long: a segment goes as a whole.
const DAYS_FROM: Duration = Duration::from_secs(7 * 24 * 3600);
/// And where the limit on size is at least so many times the input of a merge.
const DAYS_FROM_INPUTS: u64 = 32;
const DAY_NS: i64 = 24 * 3_600_000_000_000;
/// Chunks of the series of a day: what a query of an hour decodes.
const CHUNK_MS: i64 = 4 * 3_600_000;
/// Segments one merge reads side by side at most.
const MAX_INPUTS: usize = 64;
/// Segments from this part of a merge's input on are left alone. Smaller: fewer files in the end, and more
/// bytes rewritten.
const LARGE_PART: u64 = 3;
/// What a merge reserves, in sizes of its input. Of records and spans some thousands are decoded, beside row groups as they
/// are read and written, and the terms of all.
const RECORDS_EXPANSION: u64 = 5;
/// One of metrics holds encoded chunks and decodes a few series at a time.
const SERIES_EXPANSION: u64 = 4;

/// Merges what is worth merging on one shelf. Returns how many segments went into merges, or the first error;
/// a run that cannot be merged does not keep the others from it.
pub(crate) async fn compact(core: &Arc<Core>, shelf: &Arc<Shelf>) -> Result<usize> {
    let mut settled = shelf.tending.lock().await;
    settled.retain(|path| shelf.live().segments.contains_key(path));
    let mut merged = 0;
    let mut failed = None;
    let mut more = true;
    while std::mem::take(&mut more) {
        for mut run in choose(shelf, &Rules::new(core, shelf), &settled) {
            if core.is_closing() {
                break;
            }
            let whole = run.segments.len();
            let Some(_memory) = run.fit_into(&core.budget, shelf) else {
                core.counts.compaction_put_off(&shelf.signal);
                more = false;
                break;
            };
            let done = merge(core, shelf, &run).await;
            core.counts.compaction(&shelf.signal, done.is_ok());
            match done {
                Ok(made) => {
                    let inputs = run.segments.len();
                    merged += inputs;
                    // Only while there are fewer afterwards: this has to come to an end.
                    more |= inputs < whole && made.len() < inputs;
                    if made.len() >= inputs {
                        settled.extend(made);
                    }
                }
                Err(Error::Conflict(_)) => {}
                Err(e) => {
                    failed.get_or_insert(e);
                }
            }
        }
    }
    match forget_done(shelf, core).await {
        Ok(()) | Err(Error::Conflict(_)) => {}
        Err(e) => {
            failed.get_or_insert(e);
        }
    }
    failed.map_or(Ok(merged), Err)
}

/// Writes every segment of which something is deleted once more, without it, and forgets the deletions.
pub(crate) async fn clean(core: &Arc<Core>, shelf: &Arc<Shelf>) -> Result<()> {
    let _one = shelf.tending.lock().await;
    let live = shelf.live();
    for segment in live.segments.values() {
        if Deleted::of(&live, segment)?.is_nothing() {
            continue;
        }
        let run = Run { segments: vec![segment.clone()], window: segment.window };
        match merge(core, shelf, &run).await {
            // Somebody else has replaced it; the deletion stays until the next time.
            Ok(_) | Err(Error::Conflict(_)) => {}
            Err(e) => return Err(e),
        }
    }
    forget_done(shelf, core).await
}

async fn forget_done(shelf: &Arc<Shelf>, core: &Core) -> Result<()> {
    let forgotten = deletions::done(&shelf.live())?;
    if forgotten.is_empty() {
        return Ok(());
    }
    shelf.publish(&Commit { id: core.unique(), change: Change { forgotten, ..Change::default() } }).await
}

/// Neighbours to be merged, and the span of time that the outcome is kept for.
struct Run {
    segments: Vec<Arc<SegmentRef>>,
    window: (i64, i64),
}

impl Run {
    /// Sets aside the memory that merging takes. A node that is short of it merges fewer segments at a time, down to
    /// two: were it to wait for quiet times, files would pile up, and reading them take the memory that is missing.
    fn fit_into(&mut self, budget: &MemoryBudget, shelf: &Shelf) -> Option<Reservation> {
        let expansion = match shelf.signal.as_str() {
            "metrics" => SERIES_EXPANSION,
            _ => RECORDS_EXPANSION,
        };
        loop {
            let input: u64 = self.segments.iter().map(|s| s.info.bytes).sum();
            match budget.reserve(Use::Upkeep, input.saturating_mul(expansion)) {
                Ok(memory) => return Some(memory),
                Err(_) if self.segments.len() > 2 => self.segments.truncate((self.segments.len() / 2).max(2)),
                Err(_) => return None,
            }
        }
    }
}

struct Rules {
    max_input: u64,
    /// Windows that ended before are over.
    over_before_ns: i64,
    days: bool,
}

impl Rules {
    fn new(core: &Core, shelf: &Shelf) -> Self {
        let policy = core.policy.load();
        let max_input = core.merge_input_bytes();
        let kept_long = policy.retention.of(&shelf.signal).is_none_or(|keep| keep >= DAYS_FROM);
        let much_room = policy.retention.max_bytes.is_none_or(|max| max / DAYS_FROM_INPUTS >= max_input);
        let grace_ns = crate::core::ns(policy.flush.max_age.saturating_mul(OVER_AFTER));
        let over_before_ns = core.clock.now_ns().saturating_sub(grace_ns);
        Rules { max_input, over_before_ns, days: kept_long && much_room }
    }

    /// The span that a segment is merged within, and whether it is over.
    fn group(&self, s: &SegmentRef) -> ((i64, i64), bool) {
        let (start, end) = s.window;
        let day = start.div_euclid(DAY_NS).saturating_mul(DAY_NS);
        let day = (day, day.saturating_add(DAY_NS));
        if self.days && end <= day.1 && day.1 < self.over_before_ns {
            return (day, true);
        }
        (s.window, end < self.over_before_ns)
    }

    fn is_worth(&self, run: &[Arc<SegmentRef>], over: bool) -> bool {
        let bytes = || run.iter().map(|s| s.info.bytes);
        let largest = bytes().max().unwrap_or(0);
        let rest = bytes().sum::<u64>() - largest;
        run.len() >= FAN_IN || over && run.len() > 1 && rest >= largest / WORTH_PART
    }
}

/// The segments of one window, by whether the window is over.
type Groups = BTreeMap<((i64, i64), bool), Vec<Arc<SegmentRef>>>;

/// Runs of neighbouring small segments, window by window, or day by day.
fn choose(shelf: &Shelf, rules: &Rules, settled: &HashSet<String>) -> Vec<Run> {
    let mut groups = Groups::new();
    for s in shelf.live().segments.values() {
        groups.entry(rules.group(s)).or_default().push(s.clone());
    }
    let mut runs = Vec::new();
    for ((window, over), mut all) in groups {
        all.sort_by(|a, b| (a.sequence, &a.path).cmp(&(b.sequence, &b.path)));
        let mut run: Vec<Arc<SegmentRef>> = Vec::new();
        let mut bytes = 0;
        let mut close = |run: &mut Vec<Arc<SegmentRef>>| {
            let segments = std::mem::take(run);
            // Spans fill segments up to what memory allows: full ones would be written anew for ever.
            let are_full = segments.iter().all(|s| settled.contains(&s.path));
            if !are_full && rules.is_worth(&segments, over) {
                runs.push(Run { segments, window });
            }
        };
        for s in all {
            let small = s.info.bytes < rules.max_input / LARGE_PART;
            if !small || run.len() >= MAX_INPUTS || bytes + s.info.bytes > rules.max_input {
                close(&mut run);
                bytes = 0;
            }
            if small {
                bytes += s.info.bytes;
                run.push(s);
            }
        }
        close(&mut run);
    }
    runs
}

/// How a span's series are cut into chunks.
fn chunks_of((start, end): (i64, i64)) -> metrics::Chunks {
    if end.saturating_sub(start) != DAY_NS {
        return metrics::Chunks::default();
    }
    let count = DAY_NS / (CHUNK_MS * 1_000_000);
    metrics::Chunks { origin_ms: start / 1_000_000, width_ms: CHUNK_MS, count: count as u32 }
}

/// Replaces the run's segments by one, or by several where records are many. Returns their paths.
async fn merge(core: &Arc<Core>, shelf: &Arc<Shelf>, run: &Run) -> Result<Vec<String>> {
    let (run, window) = (run.segments.as_slice(), run.window);
    let mut readers = Vec::with_capacity(run.len());
    for s in run {
        let opened = core.readers.open(&core.objects, s).await;
        readers.push(opened.map_err(|e| lost(shelf, run, e))?);
    }
    let live = shelf.live();
    let deleted = run.iter().map(|s| Deleted::of(&live, s)).collect::<Result<Vec<_>>>()?;
    let cleaned = live.newest_deletion();
    let level = run.iter().map(|s| s.info.level).max().unwrap_or(0).saturating_add(1);
    let outputs = match readers.first() {
        Some(Reader::Metrics(_)) => merge_metrics(&readers, deleted, level, chunks_of(window)).await,
        Some(Reader::Logs(_)) => merge_logs(&readers, deleted, level).await,
        Some(Reader::Spans(_)) => merge_spans(&readers, level).await,
        None => return Ok(Vec::new()),
    };
    let at =
        |source| Error::Segment { path: run.first().map(|s| s.path.clone()).unwrap_or_default(), source };
    let outputs = outputs.map_err(at).map_err(|e| lost(shelf, run, e))?;
    let window = TimeRange::new(TimestampNs(window.0), TimestampNs(window.1));
    let sequence = run.iter().map(|s| s.sequence).max().unwrap_or(0);
    let mut change = Change { removed: run.iter().map(|s| s.path.clone()).collect(), ..Change::default() };
    for written in outputs {
        match flush::put_segment(core, shelf, window, written).await {
            Ok(added) => change.added.push(SegmentRef { sequence, cleaned, ..added }),
            Err(e) => {
                flush::abandon(core, &change);
                return Err(e);
            }
        }
    }
    let commit = Commit { id: core.unique(), change };
    let published = shelf.publish(&commit).await;
    match &published {
        Ok(()) => flush::published(core, &commit.change),
        Err(Error::Conflict(_)) => flush::abandon(core, &commit.change),
        // The catalog may name these objects without our knowing yet: they stay protected from the search
        // for orphans until the catalog is read afresh.
        Err(_) => {}
    }
    published?;
    super::discard(core, run);
    Ok(commit.change.added.iter().map(|a| a.path.clone()).collect())
}

/// An error of reading inputs that retention has dropped meanwhile is none: there is nothing left to merge.
fn lost(shelf: &Shelf, run: &[Arc<SegmentRef>], e: Error) -> Error {
    let live = shelf.live();
    match run.iter().find(|s| !live.segments.contains_key(&s.path)) {
        Some(gone) => Error::Conflict(format!("{} was dropped while it was merged", gone.path)),
        None => e,
    }
}

type Outputs = std::result::Result<Vec<Written>, segment::Error>;

async fn merge_metrics(
    readers: &[Reader],
    deleted: Vec<Deleted>,
    level: u8,
    chunks: metrics::Chunks,
) -> Outputs {
    let readers: Vec<_> =
        readers.iter().filter_map(|r| if let Reader::Metrics(m) = r { Some(m) } else { None }).collect();
    let whole = |(r, deleted): (&&metrics::Reader, Deleted)| {
        let without = move |mut rows| {
            deleted.take_from(&mut rows);
            rows
        };
        r.scan().map_ok(without).boxed()
    };
    let mut labels = Vec::new();
    let mut metadata = BTreeMap::new();
    for r in &readers {
        labels.extend(r.label_sets(&[], TimeRange::ALL).await?);
        metadata.extend(r.metadata().await?.into_iter().map(|m| (m.family.clone(), m)));
    }
    let columns = metrics::LabelColumns::of(labels.iter());
    drop(labels);
    let options = metrics::WriteOptions { level, chunks, metadata: metadata.into_values().collect() };
    let mut writer = metrics::Writer::new(&columns, &options)?;
    let mut merged = merge_rows(readers.iter().zip(deleted).map(whole).collect());
    let mut any = false;
    while let Some(rows) = merged.try_next().await? {
        if rows.timestamps_ms.is_empty() && rows.histograms.is_empty() {
            continue;
        }
        writer.push(&rows)?;
        any = true;
        // Encoding is work; others on this thread get their turn between two series.
        tokio::task::yield_now().await;
    }
    Ok(if any { vec![writer.finish()?] } else { Vec::new() })
}

async fn merge_logs(readers: &[Reader], deleted: Vec<Deleted>, level: u8) -> Outputs {
    let input = |(r, deleted): (&Reader, Deleted)| match r {
        Reader::Logs(r) => {
            let keep: logs::Keep = Box::new(move |labels, at_ns| deleted.keeps(labels, at_ns));
            Some((r.clone(), keep))
        }
        _ => None,
    };
    let inputs = readers.iter().zip(deleted).filter_map(input).collect();
    Ok(logs::merge(inputs, &logs::WriteOptions { level }).await?.into_iter().collect())
}

async fn merge_spans(readers: &[Reader], level: u8) -> Outputs {
    let input = |r: &Reader| if let Reader::Spans(r) = r { Some(r.clone()) } else { None };
    let inputs = readers.iter().filter_map(input).collect();
    Ok(spans::merge(inputs, &spans::WriteOptions { level }).await?.into_iter().collect())
}

/// How long between two looks at what could be merged.
pub(crate) const EVERY: Duration = Duration::from_secs(30);
