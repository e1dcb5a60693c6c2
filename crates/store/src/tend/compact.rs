//! Merging small segments of one window, so that files do not pile up and queries open few.
//!
//! Only segments that follow each other in the order of commits are merged: of two values at one time the
//! later commit's counts, and a merge must not move one past a third.

use std::{sync::Arc, time::Duration};

use base::memory::Use;
use futures::{StreamExt, TryStreamExt};
use model::{TimeRange, TimestampNs};
use segment::{Written, metrics};

use crate::{
    Error, Result,
    catalog::{Change, Commit, SegmentRef},
    core::Core,
    flush::{self, build},
    merge::{LogMerger, SpanMerger},
    readers::Reader,
    select::merge_rows,
    shelf::Shelf,
};

/// So many neighbours are merged at once. Fewer: more bytes rewritten; more: more files per query.
const FAN_IN: usize = 6;
/// Segments one merge reads side by side at most.
const MAX_INPUTS: usize = 64;
/// Segments from this part of a merge's input on are left alone. Smaller: fewer files in the end, and more
/// bytes rewritten.
const LARGE_PART: u64 = 3;
/// Decoded items are this many times larger than their segment, as a rule; what a merge reserves.
const EXPANSION: u64 = 8;

/// Merges what is worth merging on one shelf. Returns how many segments went into merges, or the first error;
/// a run that cannot be merged does not keep the others from it.
pub(crate) async fn compact(core: &Arc<Core>, shelf: &Arc<Shelf>) -> Result<usize> {
    let _one = shelf.tending.lock().await;
    let mut merged = 0;
    let mut failed = None;
    for run in choose(shelf, core.merge_input_bytes()) {
        if core.is_closing() {
            break;
        }
        let input: u64 = run.iter().map(|s| s.info.bytes).sum();
        // Merging is work for quiet times: without memory to spare it waits.
        let Ok(_memory) = core.budget.reserve(Use::Ingest, input * EXPANSION) else { break };
        let done = merge(core, shelf, &run).await;
        core.counts.compaction(&shelf.signal, done.is_ok());
        match done {
            Ok(()) => merged += run.len(),
            Err(Error::Conflict(_)) => {}
            Err(e) => {
                failed.get_or_insert(e);
            }
        }
    }
    failed.map_or(Ok(merged), Err)
}

/// Runs of neighbouring small segments, window by window.
fn choose(shelf: &Shelf, max_input: u64) -> Vec<Vec<Arc<SegmentRef>>> {
    let mut all: Vec<_> = shelf.live().segments.values().cloned().collect();
    all.sort_by(|a, b| (a.window, a.sequence, &a.path).cmp(&(b.window, b.sequence, &b.path)));
    let mut runs = Vec::new();
    let mut run: Vec<Arc<SegmentRef>> = Vec::new();
    let mut bytes = 0;
    let mut close = |run: &mut Vec<Arc<SegmentRef>>| {
        let done = std::mem::take(run);
        if done.len() >= FAN_IN {
            runs.push(done);
        }
    };
    for s in all {
        let follows = run.last().is_some_and(|l| l.window == s.window);
        let small = s.info.bytes < max_input / LARGE_PART;
        if !follows || !small || run.len() >= MAX_INPUTS || bytes + s.info.bytes > max_input {
            close(&mut run);
            bytes = 0;
        }
        if small {
            bytes += s.info.bytes;
            run.push(s);
        }
    }
    close(&mut run);
    runs
}

async fn merge(core: &Arc<Core>, shelf: &Arc<Shelf>, run: &[Arc<SegmentRef>]) -> Result<()> {
    let mut readers = Vec::with_capacity(run.len());
    for s in run {
        readers.push(core.readers.open(&core.objects, s).await?);
    }
    let level = run.iter().map(|s| s.info.level).max().unwrap_or(0).saturating_add(1);
    let outputs = match readers.first() {
        Some(Reader::Metrics(_)) => merge_metrics(&readers, level).await,
        Some(Reader::Logs(_)) => merge_logs(&readers, level, core.segment_heap_bytes()).await,
        Some(Reader::Spans(_)) => merge_spans(&readers, level, core.segment_heap_bytes()).await,
        None => return Ok(()),
    };
    let at =
        |source| Error::Segment { path: run.first().map(|s| s.path.clone()).unwrap_or_default(), source };
    let outputs = outputs.map_err(at)?;
    let Some(first) = run.first() else { return Ok(()) };
    let window = TimeRange::new(TimestampNs(first.window.0), TimestampNs(first.window.1));
    let sequence = run.iter().map(|s| s.sequence).max().unwrap_or(0);
    let mut change = Change { removed: run.iter().map(|s| s.path.clone()).collect(), ..Change::default() };
    for written in outputs {
        match flush::put_segment(core, shelf, window, written).await {
            Ok(added) => change.added.push(SegmentRef { sequence, ..added }),
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
    Ok(())
}

type Outputs = std::result::Result<Vec<Written>, segment::Error>;

async fn merge_metrics(readers: &[Reader], level: u8) -> Outputs {
    let readers: Vec<_> =
        readers.iter().filter_map(|r| if let Reader::Metrics(m) = r { Some(m) } else { None }).collect();
    let mut labels = Vec::new();
    let mut metadata = std::collections::BTreeMap::new();
    for r in &readers {
        labels.extend(r.label_sets(&[], TimeRange::ALL).await?);
        metadata.extend(r.metadata().await?.into_iter().map(|m| (m.family.clone(), m)));
    }
    let columns = metrics::LabelColumns::of(labels.iter());
    drop(labels);
    let options = metrics::WriteOptions {
        level,
        metadata: metadata.into_values().collect(),
        ..metrics::WriteOptions::default()
    };
    let mut writer = metrics::Writer::new(&columns, &options)?;
    let mut merged = merge_rows(readers.iter().map(|r| r.scan()).collect());
    let mut any = false;
    while let Some(rows) = merged.try_next().await? {
        writer.push(&rows)?;
        any = true;
        // Encoding is work; others on this thread get their turn between two series.
        tokio::task::yield_now().await;
    }
    Ok(if any { vec![writer.finish()?] } else { Vec::new() })
}

async fn merge_logs(readers: &[Reader], level: u8, heap_bytes: usize) -> Outputs {
    let mut merger = LogMerger::default();
    let (mut outputs, mut bytes) = (Vec::new(), 0);
    for r in readers {
        let Reader::Logs(r) = r else { continue };
        let mut scan = r.scan();
        while let Some(batch) = scan.next().await {
            let batch = batch?;
            bytes += batch.records.iter().map(|r| r.heap_bytes()).sum::<usize>();
            merger.extend(batch);
            if bytes >= heap_bytes {
                outputs.push(written(move |m| build::write_logs(m, level), &mut merger).await?);
                bytes = 0;
            }
        }
    }
    if merger.records() > 0 {
        outputs.push(written(move |m| build::write_logs(m, level), &mut merger).await?);
    }
    Ok(outputs)
}

async fn merge_spans(readers: &[Reader], level: u8, heap_bytes: usize) -> Outputs {
    let mut merger = SpanMerger::default();
    let (mut outputs, mut bytes) = (Vec::new(), 0);
    for r in readers {
        let Reader::Spans(r) = r else { continue };
        let mut scan = r.scan();
        while let Some(batch) = scan.next().await {
            let batch = batch?;
            bytes += batch.spans.iter().map(|s| s.heap_bytes()).sum::<usize>();
            merger.extend(batch);
            if bytes >= heap_bytes {
                outputs.push(written(move |m| build::write_spans(m, level), &mut merger).await?);
                bytes = 0;
            }
        }
    }
    if bytes > 0 {
        outputs.push(written(move |m| build::write_spans(m, level), &mut merger).await?);
    }
    Ok(outputs)
}

/// Encodes on a blocking thread what a merger holds; the merger is empty afterwards.
async fn written<M: Default + Send + 'static>(
    write: impl FnOnce(&mut M) -> std::result::Result<Written, segment::Error> + Send + 'static,
    merger: &mut M,
) -> std::result::Result<Written, segment::Error> {
    let mut taken = std::mem::take(merger);
    tokio::task::spawn_blocking(move || write(&mut taken))
        .await
        .unwrap_or_else(|e| Err(segment::Error::Encode(e.to_string())))
}

/// How long between two looks at what could be merged.
pub(crate) const EVERY: Duration = Duration::from_secs(30);
