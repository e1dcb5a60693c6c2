//! Spans in, segment out.

use std::sync::Arc;

use contract::spans::Seen;
use model::{AnyValue, Signal, Span, SpanBatch, TimeRange, TimestampNs, span::SpanOrigin};

use super::{
    Layout, WriteOptions, blocks,
    columns::{Builders, PAGE_ROWS, schema, write_properties},
    conditions::{EVENT, NAME, ORIGIN},
    directory::{self, TraceId},
    tables::{self, Tables},
};
use crate::{
    Error, FORMAT_VERSION, Result, SegmentInfo, Written, attrs,
    file::writer::{FileWriter, plain},
    info::MAX_SERVICES,
    terms,
};

/// Rows after which a row group ends with the trace. Larger compresses a little better and reads more where few
/// rows are wanted.
const GROUP_ROWS: usize = 32 << 10;
const GROUP_BYTES: usize = 32 << 20;
/// A row group ends inside a trace after this many rows.
const MAX_GROUP_ROWS: usize = 4 * GROUP_ROWS;
/// Spans handed to the Parquet writer at once.
const BATCH_ROWS: usize = 1024;
/// More than a span usually takes in a file.
const EXPECTED_BYTES: usize = 128;

/// Writes a segment of spans in any order; equal origins are merged, equal spans are kept.
///
/// `Invalid` where a span names no origin of the batch, or a value is nested deeper than 128 levels.
pub fn write(batch: &SpanBatch, options: &WriteOptions) -> Result<Written> {
    let spans: Vec<(u32, &Span)> = batch.spans.iter().map(|s| (s.origin, s)).collect();
    write_of(&batch.origins, &spans, options)
}

/// [`write`] of spans that stay where they are, each with the number of its origin, which counts instead of its own.
pub fn write_of(origins: &[SpanOrigin], spans: &[(u32, &Span)], options: &WriteOptions) -> Result<Written> {
    let mut used = vec![false; origins.len()];
    for (origin, _) in spans {
        match used.get_mut(*origin as usize) {
            Some(u) => *u = true,
            None => return Err(Error::Invalid(format!("a span names origin {origin} of {}", origins.len()))),
        }
    }
    let (origins, numbers) = tables::merge(&[origins], |_, i| used.get(i) == Some(&true))?;
    let numbers = numbers.into_iter().next().unwrap_or_default();
    let plan = attrs::Plan::of(spans.iter().map(|(_, s)| &s.attributes));
    let mut writer = Writer::new(plan, origins.into(), spans.len() * EXPECTED_BYTES)?;
    for i in file_order(spans) {
        let Some((origin, span)) = spans.get(i) else { continue };
        writer.push(numbers.get(*origin as usize).copied().flatten().unwrap_or(0), span)?;
    }
    writer.finish(options)
}

/// Spans by the first start of their trace, trace, start, span id.
fn file_order(spans: &[(u32, &Span)]) -> Vec<usize> {
    let of_span = |(i, (_, s)): (usize, &(u32, &Span))| (s.trace_id, s.start_ns, s.span_id, i);
    let mut by_trace: Vec<(TraceId, i64, [u8; 8], usize)> = spans.iter().enumerate().map(of_span).collect();
    by_trace.sort_unstable();
    let mut traces: Vec<(i64, &[_])> = by_trace
        .chunk_by(|a, b| a.0 == b.0)
        .map(|trace| (trace.first().map_or(0, |first| first.1), trace))
        .collect();
    // Those that began together stay in the order of their ids.
    traces.sort_by_key(|(began, _)| *began);
    traces.iter().flat_map(|(_, trace)| trace.iter().map(|s| s.3)).collect()
}

/// Takes spans trace by trace.
pub(super) struct Writer {
    plan: attrs::Plan,
    file: FileWriter,
    rows: Builders,
    tables: Tables,
    origins: Arc<[SpanOrigin]>,
    /// Trace, first row, rows.
    traces: Vec<(TraceId, u32, u32)>,
    blocks: blocks::Builder,
    found_by: terms::index::Builder,
    in_group: usize,
    /// Whether the row group has as many bytes as one should have.
    large: bool,
    written: usize,
}

impl Writer {
    /// `expected_bytes` as of [`FileWriter::new`].
    pub fn new(plan: attrs::Plan, origins: Arc<[SpanOrigin]>, expected_bytes: usize) -> Result<Self> {
        let schema = schema(&plan);
        let rows = plain(&schema, &[]);
        Ok(Writer {
            file: FileWriter::new((&schema, rows.clone()), write_properties(&plan), expected_bytes)?,
            rows: Builders::new(rows, &plan),
            plan,
            tables: Tables::default(),
            origins,
            traces: Vec::new(),
            blocks: blocks::Builder::new(PAGE_ROWS),
            found_by: terms::index::Builder::new(PAGE_ROWS),
            in_group: 0,
            large: false,
            written: 0,
        })
    }

    /// Adds a span of an origin. All spans of a trace come one after the other.
    pub fn push(&mut self, origin: u32, span: &Span) -> Result<()> {
        let Some(service) = self.origins.get(origin as usize).map(SpanOrigin::service_name) else {
            return Err(Error::Invalid(format!("a span names origin {origin} of {}", self.origins.len())));
        };
        let begins = self.traces.last().is_none_or(|(id, ..)| *id != span.trace_id);
        let full = self.in_group >= GROUP_ROWS || self.large;
        let group_ends = (begins && full) || self.in_group >= MAX_GROUP_ROWS;
        if self.rows.len() > 0 && (self.rows.len() >= BATCH_ROWS || group_ends) {
            self.file.write(&self.rows.take()?)?;
            // Every column is asked, so not for every span.
            self.large = self.file.in_progress_bytes() >= GROUP_BYTES;
        }
        if group_ends {
            self.file.flush()?;
            (self.in_group, self.large) = (0, false);
        }
        match self.traces.last_mut().filter(|_| !begins) {
            Some(trace) => trace.2 += 1,
            None => self.traces.push((span.trace_id, self.written as u32, 1)),
        }
        self.rows.push(span, origin, service)?;
        self.tables.add(span, service);
        self.blocks.add(span);
        index(&mut self.found_by, origin, span);
        self.in_group += 1;
        self.written += 1;
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    pub fn finish(mut self, options: &WriteOptions) -> Result<Written> {
        if self.rows.len() > 0 {
            self.file.write(&self.rows.take()?)?;
        }
        self.traces.sort_unstable();
        let info = self.describe(options);
        let (found_by, head) = self.found_by.finish().unzip();
        let mut blobs = vec![directory::encode(&self.traces), self.blocks.finish()];
        blobs.extend(self.tables.blobs(&self.rows.keys(), &self.origins)?);
        blobs.extend(found_by);
        let layout = serde_json::to_string(&Layout { attributes: self.plan, terms: head })
            .map_err(|e| Error::Encode(e.to_string()))?;
        self.file.finish(blobs, layout, info)
    }

    fn describe(&self, options: &WriteOptions) -> SegmentInfo {
        let bounds = self.blocks.bounds();
        let (start, end) = bounds.map_or((0, 0), |(a, b)| (a, b.saturating_add(1)));
        let services = self.tables.services();
        SegmentInfo {
            signal: Signal::TRACES,
            format_version: FORMAT_VERSION,
            level: options.level,
            rows: self.written as u64,
            items: self.written as u64,
            bytes: 0,
            range: TimeRange::new(TimestampNs(start), TimestampNs(end)),
            names: None,
            services: (services.len() <= MAX_SERVICES).then(|| services.cloned().collect()),
        }
    }
}

/// What [`super::conditions::need`] looks up.
fn index(terms: &mut terms::index::Builder, origin: u32, s: &Span) {
    terms.number(ORIGIN, i64::from(origin));
    terms.value(NAME, &s.name);
    let events = s.events.iter().map(|e| &e.attributes);
    let links = s.links.iter().map(|l| &l.attributes);
    for attributes in std::iter::once(&s.attributes).chain(events).chain(links) {
        for (key, value) in attributes.iter() {
            index_value(terms, key, value);
        }
    }
    s.events.iter().for_each(|e| terms.value(EVENT, &e.name));
    terms.end_row();
}

fn index_value(terms: &mut terms::index::Builder, key: &str, value: &AnyValue) {
    match value {
        AnyValue::String(s) => terms.value(key, s),
        AnyValue::Int(i) => terms.number(key, *i),
        other => terms.value(key, &other.to_string()),
    }
    if let AnyValue::Array(_) = value {
        Seen::any_of(value, &mut |seen| {
            match seen.to_value() {
                Some(contract::SpanValue::Text(s)) => terms.value(key, &s),
                Some(contract::SpanValue::Int(i)) => terms.number(key, i),
                Some(contract::SpanValue::Float(f)) => terms.value(key, &AnyValue::Double(f).to_string()),
                Some(contract::SpanValue::Bool(b)) => terms.value(key, if b { "true" } else { "false" }),
                _ => {}
            }
            false
        });
    }
}
