//! One window of a frozen head as segments. Synchronous and without I/O; runs on a blocking thread.

use std::collections::BTreeSet;

use model::{
    MetricMetadata, TimeRange, TimestampNs,
    merge::{LogMerger, SpanMerger},
};
use segment::{Result, Written, logs, metrics, spans};

use crate::{
    head::{FrozenMetrics, LogsHead, SpansHead},
    shelf::FrozenData,
};

/// One segment and whether the window has more.
pub(crate) struct Built {
    pub(crate) written: Option<Written>,
    pub(crate) more: bool,
    /// What to pass as `from` for the next one.
    pub(crate) next: usize,
    /// Exemplars it holds.
    pub(crate) exemplars: u64,
}

/// What a build goes by beside the head itself.
pub(crate) struct Plan {
    /// Positions of series in the order of their labels; empty for other signals.
    pub(crate) order: Vec<u32>,
    pub(crate) metadata: Vec<MetricMetadata>,
    /// Records or spans of one segment, as held in memory.
    pub(crate) heap_bytes: usize,
}

/// Writes the window's items from the `from`th on.
pub(crate) fn window(data: &FrozenData, plan: &Plan, window: TimeRange, from: usize) -> Result<Built> {
    match data {
        FrozenData::Metrics(m) => metrics_window(m, &plan.order, &plan.metadata, window),
        FrozenData::Logs(l) => logs_window(l, window, from, plan.heap_bytes),
        FrozenData::Spans(s) => spans_window(s, window, from, plan.heap_bytes),
    }
}

/// Positions of series in ascending order of labels, the order that segments have.
pub(crate) fn sorted(m: &FrozenMetrics) -> Vec<u32> {
    let mut order: Vec<u32> = (0..m.series.len() as u32).collect();
    order.sort_by(|a, b| {
        let labels = |i: u32| m.series.get(i as usize).map(|s| &s.labels);
        labels(*a).cmp(&labels(*b))
    });
    order
}

fn metrics_window(
    m: &FrozenMetrics,
    order: &[u32],
    metadata: &[MetricMetadata],
    window: TimeRange,
) -> Result<Built> {
    let (first, last) = window.to_ms_inclusive();
    let inside: Vec<_> = order
        .iter()
        .filter_map(|i| m.series.get(*i as usize))
        .filter(|s| s.store.overlaps(first, last))
        .collect();
    let nothing = Built { written: None, more: false, next: 0, exemplars: 0 };
    if inside.is_empty() {
        return Ok(nothing);
    }
    let columns = metrics::LabelColumns::of(inside.iter().map(|s| &s.labels));
    let names: BTreeSet<&str> = inside.iter().map(|s| family_of(s.labels.metric_name())).collect();
    let known =
        |m: &&MetricMetadata| names.contains(m.family.as_str()) || names.contains(family_of(&m.family));
    let options = metrics::WriteOptions {
        metadata: metadata.iter().filter(known).cloned().collect(),
        ..metrics::WriteOptions::default()
    };
    let mut writer = metrics::Writer::new(&columns, &options)?;
    let (mut wrote, mut exemplars) = (false, 0);
    for s in inside {
        let rows = s.store.rows(&s.labels, window, true);
        if !rows.values.is_empty() || !rows.histograms.is_empty() {
            writer.push(&rows)?;
            wrote = true;
            exemplars += rows.exemplars.len() as u64;
        }
    }
    if !wrote {
        return Ok(nothing);
    }
    Ok(Built { written: Some(writer.finish()?), more: false, next: 0, exemplars })
}

/// The family a sample name may belong to: OpenMetrics' suffixes are not part of it.
fn family_of(name: &str) -> &str {
    ["_bucket", "_sum", "_count", "_total", "_created", "_info", "_gsum", "_gcount"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

fn logs_window(head: &LogsHead, window: TimeRange, from: usize, heap_bytes: usize) -> Result<Built> {
    let mut merger = LogMerger::default();
    let mut records = Vec::new();
    let (mut seen, mut bytes, mut more) = (0, 0, false);
    'parts: for part in head.parts.iter().filter(|p| p.range.overlaps(window)) {
        let mut streams = vec![None; part.batch.streams.len()];
        for r in part.batch.records.iter().filter(|r| window.contains(TimestampNs(r.timestamp_ns))) {
            seen += 1;
            if seen <= from {
                continue;
            }
            let (Some(at), Some(stream)) =
                (streams.get_mut(r.stream as usize), part.batch.streams.get(r.stream as usize))
            else {
                continue;
            };
            records.push((*at.get_or_insert_with(|| merger.stream(stream)), r));
            bytes += r.heap_bytes();
            if bytes >= heap_bytes {
                more = true;
                break 'parts;
            }
        }
    }
    let streams = merger.take().streams;
    let options = logs::WriteOptions { level: 0 };
    let written = (!records.is_empty()).then(|| logs::write_of(&streams, &records, &options)).transpose()?;
    Ok(Built { written, more, next: if more { seen } else { 0 }, exemplars: 0 })
}

fn spans_window(head: &SpansHead, window: TimeRange, from: usize, heap_bytes: usize) -> Result<Built> {
    let mut merger = SpanMerger::default();
    let mut found = Vec::new();
    let (mut seen, mut bytes, mut more) = (0, 0, false);
    'parts: for part in head.parts.iter().filter(|p| p.range.overlaps(window)) {
        let mut origins = vec![None; part.batch.origins.len()];
        let span_bytes = part.span_bytes();
        for s in part.batch.spans.iter().filter(|s| window.contains(TimestampNs(s.start_ns))) {
            seen += 1;
            if seen <= from {
                continue;
            }
            let (Some(at), Some(origin)) =
                (origins.get_mut(s.origin as usize), part.batch.origins.get(s.origin as usize))
            else {
                continue;
            };
            found.push((*at.get_or_insert_with(|| merger.origin(origin)), s));
            bytes += span_bytes;
            if bytes >= heap_bytes {
                more = true;
                break 'parts;
            }
        }
    }
    let origins = merger.take().origins;
    let options = spans::WriteOptions { level: 0 };
    let written = (!found.is_empty()).then(|| spans::write_of(&origins, &found, &options)).transpose()?;
    Ok(Built { written, more, next: if more { seen } else { 0 }, exemplars: 0 })
}
