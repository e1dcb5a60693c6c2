//! Spans of the range, in pieces of time from its end, to whoever observes them.

use std::collections::HashSet;

use base::memory::Use;
use contract::{SpanParts, SpansRequest};
use futures::StreamExt;
use model::{TimeRange, TimestampNs};

use super::{asks_span_alone, grid::Grid, observe::Observer};
use crate::{
    Result,
    ast::{Function, Pipeline},
    conditions::{Need, is_local},
    eval::{self, field::Subject},
    search::fetch::Reads,
    trace::Trace,
};

/// Spans that a piece should have: whoever answers may hold those of one piece at a time.
const SPANS_PER_PIECE: u64 = 100_000;
/// Share of the range of the first piece.
const FIRST_SHARE: i64 = 16;
/// Traces whose ids are held; a piece with more is divided.
const HELD: usize = 100_000;
const ID_BYTES: u64 = 48;
/// Traces fetched at a time.
const FETCHED: usize = 16;

pub(super) async fn scan(
    reads: &mut Reads,
    pipeline: &Pipeline,
    function: &Function,
    grid: &Grid,
    observer: &mut Observer<'_>,
) -> Result<()> {
    let need = Need::of(pipeline);
    let ids = need.trace_ids();
    if ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let mut scan =
        Scan { reads, pipeline, need, ids: ids.unwrap_or_default(), wanted: observer.wanted(), observer };
    let local = is_local(pipeline) && asks_span_alone(function);
    let range = grid.range();
    let mut end = range.end.0;
    let mut width = (end.saturating_sub(range.start.0) / FIRST_SHARE).max(1);
    while end > range.start.0 {
        let piece =
            TimeRange::new(TimestampNs(range.start.0.max(end.saturating_sub(width))), TimestampNs(end));
        let before = scan.reads.inspected.spans;
        let done = if local { scan.spans(piece).await? } else { scan.traces(piece).await? };
        if !done {
            width = (width / 4).max(1);
            continue;
        }
        end = piece.start.0;
        let seen = scan.reads.inspected.spans - before;
        if seen > 2 * SPANS_PER_PIECE {
            width = (width / 2).max(1);
        } else if seen < SPANS_PER_PIECE / 4 {
            width = width.saturating_mul(4);
        }
    }
    Ok(())
}

struct Scan<'s, 'q, 'o> {
    reads: &'s mut Reads,
    pipeline: &'q Pipeline,
    need: Need<'q>,
    /// The only traces that can be found, where the query names them.
    ids: Vec<[u8; 16]>,
    /// What is read of each span.
    wanted: SpanParts,
    observer: &'s mut Observer<'o>,
}

impl Scan<'_, '_, '_> {
    fn request(&self, piece: TimeRange) -> SpansRequest {
        let trace_ids = self.ids.clone();
        SpansRequest { trace_ids, any_of: self.need.any_of(), ..self.reads.request(piece, &self.wanted) }
    }

    /// Every span that the pipeline finds in a piece, where spans alone decide.
    async fn spans(&mut self, piece: TimeRange) -> Result<bool> {
        let mut selection = self.reads.spans(self.request(piece)).await?;
        while let Some(batch) = selection.items.next().await {
            let batch = batch?;
            self.reads.count(&batch)?;
            for span in &batch.spans {
                let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
                if piece.contains(TimestampNs(span.start_ns)) && self.need.admits(span, origin) {
                    let subject = Subject::alone(span, origin);
                    self.observer.observe(&subject, &self.reads.scope.limits, &mut self.reads.memory)?;
                }
            }
        }
        self.reads.coverage.merge(selection.coverage());
        Ok(true)
    }

    /// Every span that the pipeline finds in a piece, where it takes whole traces to say. `false` where the piece has
    /// too many of them.
    async fn traces(&mut self, piece: TimeRange) -> Result<bool> {
        let mut held = self.reads.scope.limits.memory.reserve(Use::Query, 0)?;
        let mut ids: HashSet<[u8; 16]> = HashSet::new();
        let mut selection = self.reads.spans(self.request(piece)).await?;
        while let Some(batch) = selection.items.next().await {
            let batch = batch?;
            self.reads.count(&batch)?;
            let known = ids.len();
            for span in &batch.spans {
                let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
                if !ids.contains(&span.trace_id) && self.need.admits(span, origin) {
                    ids.insert(span.trace_id);
                }
            }
            if ids.len() > HELD && piece.end.0 - piece.start.0 > 1 {
                return Ok(false);
            }
            held.grow(ID_BYTES * (ids.len() - known) as u64)?;
        }
        self.reads.coverage.merge(selection.coverage());
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        for some in ids.chunks(FETCHED) {
            let fetched = self.reads.traces(some.to_vec(), &self.wanted).await?;
            for trace in &fetched.traces {
                self.reads.check_deadline()?;
                self.observe(trace, piece)?;
            }
        }
        Ok(true)
    }

    fn observe(&mut self, trace: &Trace, piece: TimeRange) -> Result<()> {
        let sets = eval::run(self.pipeline, trace)?;
        let mut spans: Vec<u32> = sets.into_iter().flat_map(|s| s.spans).collect();
        spans.sort_unstable();
        spans.dedup();
        for at in spans {
            let Some(subject) = Subject::in_trace(trace, at) else { continue };
            if piece.contains(TimestampNs(subject.span.start_ns)) {
                self.observer.observe(&subject, &self.reads.scope.limits, &mut self.reads.memory)?;
            }
        }
        Ok(())
    }
}
