//! Search and traces by id.
//!
//! A search has two steps: which traces have a span that fits, then all spans of those traces. The second looks
//! [`AROUND_NS`] beyond the spans found, so that a trace is whole where it reaches out of the asked range.

use std::collections::HashMap;

use axum::extract::Path;
use base::{Kind, memory::Use};
use contract::{Coverage, QueryLimits, Scope, Select, SpansRequest, Tenants};
use futures::StreamExt;
use model::{TimeRange, TimestampNs};

use super::{
    Answered, Ask, JaegerError, UiError,
    search::{Search, Wanted, time_ns, trace_id},
    tags, to_json,
    trace::{Traces, trace_text},
};
use crate::{Error, params::bad};

/// How far beyond the spans found by a search the rest of their traces is looked for.
const AROUND_NS: i64 = 24 * 3_600_000_000_000;

/// JSON is larger than what it is made of: keys, quotes, hexadecimal ids.
const JSON_FACTOR: usize = 3;

/// Reads of one request.
struct Reads {
    tenants: Tenants,
    limits: QueryLimits,
    coverage: Coverage,
}

pub async fn traces(ask: Ask) -> Result<Answered, JaegerError> {
    let wanted = Wanted::read(&ask.params, ask.state.clock.now_ns())?;
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads { tenants, limits, coverage: Coverage::default() };
        match wanted {
            Wanted::Traces(ids) => reads.answer(&*select, ids, TimeRange::ALL, true).await,
            Wanted::Search(search) => {
                let (ids, range) = reads.matching(&*select, &search).await?;
                reads.answer(&*select, ids, range, false).await
            }
        }
    };
    Ok(ask.run(run).await?)
}

#[derive(serde::Deserialize)]
pub struct TracePath {
    id: String,
}

/// One trace, of all time unless `start` and `end` narrow it.
pub async fn trace(Path(TracePath { id }): Path<TracePath>, ask: Ask) -> Result<Answered, JaegerError> {
    let wanted = trace_id(&id).ok_or_else(|| bad("traceID", &id, "it must be 1 to 32 hexadecimal digits"))?;
    let start = time_ns(&ask.params, "start")?.unwrap_or(TimeRange::ALL.start.0);
    let end = time_ns(&ask.params, "end")?.map_or(TimeRange::ALL.end.0, |t| t.saturating_add(1000));
    let range = TimeRange::new(TimestampNs(start), TimestampNs(end));
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads { tenants, limits, coverage: Coverage::default() };
        let answer = reads.answer(&*select, vec![wanted], range, true).await?;
        // Whoever did not answer may have it, so an incomplete answer is no "not found".
        match answer.errors.is_empty() || !answer.coverage.is_complete() {
            true => Ok(answer),
            false => Err(Error::new(Kind::NotFound, "trace not found")),
        }
    };
    Ok(ask.run(run).await?)
}

impl Reads {
    fn scope(&self, range: TimeRange) -> Scope {
        Scope { tenants: self.tenants.clone(), range, limits: self.limits.clone() }
    }

    /// The traces that fit, newest first, and the time their other spans are looked for in.
    async fn matching(
        &mut self,
        select: &dyn Select,
        s: &Search,
    ) -> Result<(Vec<[u8; 16]>, TimeRange), Error> {
        let (alternatives, translated) = s.filters();
        let mut newest: HashMap<[u8; 16], i64> = HashMap::new();
        let mut hull: Option<TimeRange> = None;
        let mut memory = self.limits.memory.reserve(Use::Query, 0)?;
        for filters in alternatives {
            let request = SpansRequest {
                scope: self.scope(s.range),
                trace_ids: Vec::new(),
                filters,
                // Where spans are looked at once more here, any of them may fall through.
                max_traces: translated.is_empty().then_some(s.limit),
            };
            let mut found = select.spans(request).await?;
            while let Some(batch) = found.items.next().await {
                let batch = batch?;
                for span in &batch.spans {
                    let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
                    if !tags::has_all(span, origin, &translated) {
                        continue;
                    }
                    let at = newest.entry(span.trace_id).or_insert(span.start_ns);
                    *at = (*at).max(span.start_ns);
                    let end = TimestampNs(span.end_ns.max(span.start_ns).saturating_add(1));
                    let here = TimeRange::new(TimestampNs(span.start_ns), end);
                    hull = Some(hull.map_or(here, |h| h.hull(here)));
                }
                let held = newest.len() as u64 * 64;
                if held > memory.bytes() {
                    memory.grow(held - memory.bytes())?;
                }
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
        Ok((ids.into_iter().map(|(id, _)| id).collect(), around))
    }

    /// All spans of the traces. With `name_missing`, a trace that is not there becomes an error of the answer.
    async fn answer(
        &mut self,
        select: &dyn Select,
        ids: Vec<[u8; 16]>,
        range: TimeRange,
        name_missing: bool,
    ) -> Result<Answered, Error> {
        let mut memory = self.limits.memory.reserve(Use::Query, 0)?;
        let mut traces = Traces::default();
        if !ids.is_empty() {
            let request = SpansRequest {
                scope: self.scope(range),
                trace_ids: ids.clone(),
                filters: Vec::new(),
                max_traces: None,
            };
            let mut found = select.spans(request).await?;
            while let Some(batch) = found.items.next().await {
                let bytes = traces.add(batch?);
                memory.grow((bytes * JSON_FACTOR) as u64)?;
            }
            self.coverage.merge(found.coverage());
        }
        let missing = ids.iter().filter(|id| name_missing && !traces.has(id));
        let errors = missing
            .map(|id| UiError {
                code: 404,
                msg: "trace not found".to_owned(),
                trace_id: Some(trace_text(id)),
            })
            .collect();
        let data = to_json(&traces.into_ui())?;
        memory.shrink_to(data.len() as u64);
        let coverage = std::mem::take(&mut self.coverage);
        Ok(Answered { data, total: 0, errors, coverage, memory: Some(memory) })
    }
}
