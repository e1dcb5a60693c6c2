//! What is read of the `Select`, counted and charged.

use std::{collections::HashMap, sync::Arc};

use base::memory::{Reservation, Use};
use contract::{Coverage, Scope, Select, Selection, SpanParts, SpansRequest};
use futures::StreamExt;
use model::{Span, SpanBatch, TimeRange, TimestampNs, span::SpanOrigin};

use crate::{Error, Inspected, Result, trace::Trace};

/// How far beyond the asked range the rest of a trace is looked for.
pub(crate) const AROUND_NS: i64 = 24 * 3_600_000_000_000;

/// What the steps of one query share: limits in, coverage and cost out.
pub(crate) struct Reads {
    select: Arc<dyn Select>,
    pub scope: Scope,
    pub coverage: Coverage,
    pub inspected: Inspected,
    /// Held until the query ends.
    pub memory: Reservation,
}

/// Traces, and the memory they are charged for as long as they are held.
pub(crate) struct Fetched {
    pub traces: Vec<Trace>,
    _held: Reservation,
}

impl Reads {
    pub fn new(select: &Arc<dyn Select>, scope: &Scope) -> Result<Self> {
        let memory = scope.limits.memory.reserve(Use::Query, 0)?;
        Ok(Reads {
            select: select.clone(),
            scope: scope.clone(),
            coverage: Coverage::default(),
            inspected: Inspected::default(),
            memory,
        })
    }

    pub fn check_deadline(&self) -> Result<()> {
        Ok(self.scope.limits.check_deadline()?)
    }

    /// Spans that start in the range; nothing else is asked for.
    pub fn request(&self, range: TimeRange, wanted: &SpanParts) -> SpansRequest {
        let scope = Scope { range, ..self.scope.clone() };
        SpansRequest { wanted: wanted.clone(), ..SpansRequest::new(scope) }
    }

    pub async fn spans(&self, request: SpansRequest) -> Result<Selection<SpanBatch>> {
        self.check_deadline()?;
        Ok(self.select.spans(request).await?)
    }

    /// Counts what has come; the bytes it takes.
    pub fn count(&mut self, batch: &SpanBatch) -> Result<u64> {
        self.check_deadline()?;
        let bytes: u64 = batch.spans.iter().map(|s| s.heap_bytes() as u64).sum();
        self.inspected.spans += batch.spans.len() as u64;
        self.inspected.bytes += bytes;
        let max = self.scope.limits.max_bytes;
        if self.inspected.bytes > max {
            let message = format!("the query reads more than {max} bytes of spans");
            return Err(Error::Limited { limit: "query.max_bytes", message });
        }
        Ok(bytes)
    }

    /// Whole traces, in the order of their ids given.
    pub async fn traces(&mut self, ids: Vec<[u8; 16]>, wanted: &SpanParts) -> Result<Fetched> {
        let mut held = self.scope.limits.memory.reserve(Use::Query, 0)?;
        let mut by_id: HashMap<[u8; 16], Vec<(Span, Arc<SpanOrigin>)>> = HashMap::new();
        let request = self.request(around(self.scope.range), wanted);
        let mut selection = self.spans(SpansRequest { trace_ids: ids.clone(), ..request }).await?;
        while let Some(batch) = selection.items.next().await {
            let batch = batch?;
            held.grow(self.count(&batch)?)?;
            let origins: Vec<Arc<SpanOrigin>> = batch.origins.into_iter().map(Arc::new).collect();
            for span in batch.spans {
                let Some(origin) = origins.get(span.origin as usize) else { continue };
                by_id.entry(span.trace_id).or_default().push((span, origin.clone()));
            }
        }
        self.coverage.merge(selection.coverage());
        let trace = |id: [u8; 16]| by_id.remove(&id).map(|spans| Trace::new(id, spans));
        let traces: Vec<Trace> = ids.into_iter().filter_map(trace).collect();
        self.inspected.traces += traces.len() as u64;
        Ok(Fetched { traces, _held: held })
    }
}

/// The time a trace that has a span in the range is looked for in.
fn around(range: TimeRange) -> TimeRange {
    let start = range.start.0.saturating_sub(AROUND_NS);
    TimeRange::new(TimestampNs(start), TimestampNs(range.end.0.saturating_add(AROUND_NS)))
}
