//! What a search reads. It has two steps: which traces have a span that fits, then all spans of those traces. The
//! second looks [`AROUND_NS`] beyond the spans found, so that a trace is whole where it reaches out of the asked range.

use std::{collections::HashMap, sync::Arc};

use base::memory::{Reservation, Use};
use contract::{Coverage, QueryLimits, Scope, Select, Selection, SpanParts, SpansRequest, Tenants};
use futures::StreamExt;
use model::{SpanBatch, TimeRange, TimestampNs};

use super::{gathered::Traces, search::Search};
use crate::Error;

/// How far beyond the spans found by a search the rest of their traces is looked for.
const AROUND_NS: i64 = 24 * 3_600_000_000_000;

/// Reads of one request, and what they cover together.
pub(super) struct Reads {
    pub select: Arc<dyn Select>,
    pub promql: Arc<promql::Engine>,
    pub tenants: Tenants,
    pub limits: QueryLimits,
    pub coverage: Coverage,
}

/// Traces that a search found, newest first, and the time their other spans are looked for in.
pub(super) struct Found {
    pub ids: Vec<[u8; 16]>,
    pub around: TimeRange,
}

impl Reads {
    pub fn new(reads: &crate::Reads, tenants: Tenants, limits: QueryLimits) -> Self {
        let (select, promql) = (reads.select.clone(), reads.promql.clone());
        Reads { select, promql, tenants, limits, coverage: Coverage::default() }
    }

    pub fn scope(&self, range: TimeRange) -> Scope {
        Scope { tenants: self.tenants.clone(), range, limits: self.limits.clone() }
    }

    pub fn reserve(&self) -> Result<Reservation, Error> {
        Ok(self.limits.memory.reserve(Use::Query, 0)?)
    }

    /// The traces that fit.
    pub async fn matching(&mut self, s: &Search) -> Result<Found, Error> {
        let plan = s.plan();
        let mut newest: HashMap<[u8; 16], i64> = HashMap::new();
        let mut hull: Option<TimeRange> = None;
        let mut memory = self.reserve()?;
        for filters in plan.alternatives.clone() {
            let request = SpansRequest {
                filters,
                // Where spans are looked at once more here, any of them may fall through.
                max_traces: plan.is_exact().then_some(s.limit),
                wanted: if plan.is_exact() { SpanParts::least() } else { SpanParts::everything() },
                ..SpansRequest::new(self.scope(s.range))
            };
            let mut found = self.select.spans(request).await?;
            while let Some(batch) = found.items.next().await {
                let batch = batch?;
                for span in &batch.spans {
                    let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
                    if !plan.passes(span, origin) {
                        continue;
                    }
                    let at = newest.entry(span.trace_id).or_insert(span.start_ns);
                    *at = (*at).max(span.start_ns);
                    let end = TimestampNs(span.end_ns.max(span.start_ns).saturating_add(1));
                    let here = TimeRange::new(TimestampNs(span.start_ns), end);
                    hull = Some(hull.map_or(here, |h| h.hull(here)));
                }
                grow_to(&mut memory, newest.len() as u64 * 64)?;
            }
            self.coverage.merge(found.coverage());
        }
        let mut ids: Vec<([u8; 16], i64)> = newest.into_iter().collect();
        ids.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        ids.truncate(s.limit);
        let hull = hull.unwrap_or(s.range);
        let around = TimeRange::new(
            TimestampNs(hull.start.0.saturating_sub(AROUND_NS)),
            TimestampNs(hull.end.0.saturating_add(AROUND_NS)),
        );
        Ok(Found { ids: ids.into_iter().map(|(id, _)| id).collect(), around })
    }

    /// All spans of some traces, as they come. Their coverage is the caller's to merge.
    pub async fn spans(&self, ids: &[[u8; 16]], range: TimeRange) -> Result<Selection<SpanBatch>, Error> {
        let request = SpansRequest { trace_ids: ids.to_vec(), ..SpansRequest::new(self.scope(range)) };
        Ok(self.select.spans(request).await?)
    }

    /// The same gathered by trace; `memory` grows by `factor` times what they hold.
    pub async fn traces(
        &mut self,
        ids: &[[u8; 16]],
        range: TimeRange,
        memory: &mut Reservation,
        factor: usize,
    ) -> Result<Traces, Error> {
        let mut traces = Traces::default();
        if ids.is_empty() {
            return Ok(traces);
        }
        let mut found = self.spans(ids, range).await?;
        while let Some(batch) = found.items.next().await {
            let bytes = traces.add(batch?);
            memory.grow((bytes * factor) as u64)?;
        }
        self.coverage.merge(found.coverage());
        Ok(traces)
    }
}

pub(super) fn grow_to(memory: &mut Reservation, bytes: u64) -> Result<(), Error> {
    if bytes > memory.bytes() {
        memory.grow(bytes - memory.bytes())?;
    }
    Ok(())
}
