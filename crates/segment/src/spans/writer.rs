//! Spans in, segment out.

use std::collections::HashMap;

use model::{Signal, SpanBatch, TimeRange, TimestampNs};

use super::{
    Layout, WriteOptions,
    columns::{Builders, schema, write_properties},
    directory::{self, TraceId},
    tables::{self, Tables},
};
use crate::{
    Error, FORMAT_VERSION, Result, SegmentInfo, Written, attrs, file::writer::FileWriter, info::MAX_SERVICES,
};

/// Rows after which a row group ends with the trace. Larger compresses a little better and reads more where few
/// rows are wanted.
const GROUP_ROWS: usize = 32 << 10;
const GROUP_BYTES: usize = 32 << 20;
/// A row group ends inside a trace after this many rows.
const MAX_GROUP_ROWS: usize = 4 * GROUP_ROWS;
/// Spans handed to the Parquet writer at once.
const BATCH_ROWS: usize = 1024;

/// Writes a segment of spans in any order; equal origins are merged, equal spans are kept.
///
/// `Invalid` where a span names no origin of the batch, or a value is nested deeper than 128 levels.
pub fn write(batch: &SpanBatch, options: &WriteOptions) -> Result<Written> {
    let (origins, numbers) = tables::merge(batch)?;
    let order = file_order(batch);
    let plan = attrs::Plan::of(batch.spans.iter().map(|s| &s.attributes));
    let schema = schema(&plan);
    let mut file = FileWriter::new(schema.clone(), write_properties(), 0)?;
    let mut rows = Builders::new(schema, &plan);
    let mut tables = Tables::default();
    origins.iter().for_each(|o| tables.add_keys(&o.resource.attributes));
    let mut traces: Vec<(TraceId, u32, u32)> = Vec::new();
    let mut in_group = 0usize;
    for (row, i) in order.into_iter().enumerate() {
        let Some(span) = batch.spans.get(i) else { continue };
        let number = numbers.get(span.origin as usize).copied().flatten().unwrap_or(0);
        let Some(origin) = origins.get(number) else { continue };
        let begins = traces.last().is_none_or(|(id, ..)| *id != span.trace_id);
        let full = in_group >= GROUP_ROWS || file.in_progress_bytes() >= GROUP_BYTES;
        let group_ends = (begins && full) || in_group >= MAX_GROUP_ROWS;
        if rows.len() > 0 && (rows.len() >= BATCH_ROWS || group_ends) {
            file.write(&rows.take()?)?;
        }
        if group_ends {
            file.flush()?;
            in_group = 0;
        }
        match traces.last_mut().filter(|_| !begins) {
            Some(trace) => trace.2 += 1,
            None => traces.push((span.trace_id, row as u32, 1)),
        }
        let service = origin.service_name();
        rows.push(span, number as u32, service)?;
        tables.add(span, service);
        in_group += 1;
    }
    if rows.len() > 0 {
        file.write(&rows.take()?)?;
    }
    traces.sort_unstable();
    let mut blobs = vec![directory::encode(&traces)];
    blobs.extend(tables.blobs(&origins)?);
    let layout =
        serde_json::to_string(&Layout { attributes: plan }).map_err(|e| Error::Encode(e.to_string()))?;
    file.finish(blobs, layout, describe(batch, &tables, options))
}

/// Spans by the first start of their trace, trace, start, span id.
fn file_order(batch: &SpanBatch) -> Vec<usize> {
    let mut began: HashMap<TraceId, i64> = HashMap::new();
    for s in &batch.spans {
        began.entry(s.trace_id).and_modify(|t| *t = (*t).min(s.start_ns)).or_insert(s.start_ns);
    }
    let mut order: Vec<(i64, TraceId, i64, [u8; 8], usize)> = batch
        .spans
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let began = began.get(&s.trace_id).copied().unwrap_or(s.start_ns);
            (began, s.trace_id, s.start_ns, s.span_id, i)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|o| o.4).collect()
}

fn describe(batch: &SpanBatch, tables: &Tables, options: &WriteOptions) -> SegmentInfo {
    let first = batch.spans.iter().map(|s| s.start_ns).min();
    let last = batch.spans.iter().map(|s| s.start_ns).max();
    let (start, end) = first.zip(last).map_or((0, 0), |(a, b)| (a, b.saturating_add(1)));
    let services = tables.services();
    SegmentInfo {
        signal: Signal::TRACES,
        format_version: FORMAT_VERSION,
        level: options.level,
        rows: batch.spans.len() as u64,
        items: batch.spans.len() as u64,
        bytes: 0,
        range: TimeRange::new(TimestampNs(start), TimestampNs(end)),
        names: None,
        services: (services.len() <= MAX_SERVICES).then(|| services.cloned().collect()),
    }
}
