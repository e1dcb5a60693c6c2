//! A search over a [`Select`].
//!
//! ```text
//! candidates   spans in the range that alone could be found    search/candidates.rs
//!      |       newest first, by trace, up to a number
//! traces       fetched whole by id, a few at a time            search/fetch.rs
//!      |       through the pipeline                            eval.rs
//! found        those whose found spans are the newest          search/found.rs
//! ```
//! A trace is found where the pipeline leaves spans of it of which one starts in the range; as new as the newest of
//! these is the trace. Spans of a trace may lie with several sources and in several pieces of a stream, so nothing is
//! decided before a trace has been asked for by id.

use std::{collections::HashSet, sync::Arc};

use contract::{Scope, Select, SpanParts};
use model::{TimeRange, TimestampNs};

use crate::{
    Error, Progress, Query, Result, SearchAnswer,
    ast::{Expr, Pipeline},
    conditions::{Need, parts},
    eval,
    trace::Trace,
};

mod candidates;
pub(crate) mod fetch;
mod found;

use candidates::{Ask, Candidate, candidates};
use fetch::Reads;
use found::Found;

/// Traces fetched at a time.
const FETCHED: usize = 16;
/// Candidates asked for first, for each trace of the answer, and at least: most searches need no more.
const FIRST_FACTOR: usize = 4;
const FIRST_LEAST: usize = 64;
/// What a trace costs that has been looked at and is remembered.
const SEEN_BYTES: u64 = 48;

#[derive(Clone)]
pub struct SearchRequest {
    /// Traces are found by spans that start in the range.
    pub scope: Scope,
    /// Traces of the answer: those whose found spans are the newest.
    pub limit: usize,
    /// Spans listed of each spanset.
    pub spans_per_spanset: usize,
}

/// Searches traces. A metrics query is `Kind::Invalid`.
///
/// `progress` is told of traces as they are found. The search ends with an error at the deadline, and where it reads
/// more bytes or holds more memory than the limits of the scope allow.
pub async fn search(
    select: &Arc<dyn Select>,
    query: &Query,
    request: SearchRequest,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<SearchAnswer> {
    let Expr::Spans(pipeline) = &query.expr else {
        return Err(Error::invalid(
            "a metrics query finds no traces: it is asked as a range or an instant query",
        ));
    };
    let mut search = Search {
        reads: Reads::new(select, &request.scope)?,
        pipeline,
        need: Need::of(pipeline),
        range: request.scope.range,
        wanted: parts(query.fields()),
        found: Found::new(query, request.limit, request.spans_per_spanset),
        seen: HashSet::new(),
    };
    if request.limit > 0 && !request.scope.range.is_empty() {
        search.run(request.limit, &mut progress).await?;
    }
    let Search { reads, found, .. } = search;
    Ok(SearchAnswer { traces: found.into_traces(), inspected: reads.inspected, coverage: reads.coverage })
}

struct Search<'q> {
    reads: Reads,
    pipeline: &'q Pipeline,
    need: Need<'q>,
    range: TimeRange,
    /// What is read of each span.
    wanted: SpanParts,
    found: Found<'q>,
    /// Traces that were looked at.
    seen: HashSet<[u8; 16]>,
}

impl Search<'_> {
    /// Looks at candidates from the newest on until older ones can change nothing.
    async fn run(&mut self, limit: usize, progress: &mut (impl FnMut(Progress) + Send)) -> Result<()> {
        let mut most = Some(limit.saturating_mul(FIRST_FACTOR).max(FIRST_LEAST));
        let mut range = self.range;
        loop {
            let ask = Ask { need: &self.need, range, most, wanted: &self.wanted };
            let (batch, more) = candidates(&mut self.reads, ask, &self.seen).await?;
            for some in batch.chunks(FETCHED) {
                if some.first().is_some_and(|c| self.found.is_settled(c.newest_ns)) {
                    return Ok(());
                }
                self.look_at(some).await?;
                let traces = self.found.take_new();
                progress(Progress { traces, inspected: self.reads.inspected });
            }
            // From here on all are asked for: those that are left are of use only where the first were not.
            most = None;
            match more {
                Some(end) => range.end = end,
                None => return Ok(()),
            }
        }
    }

    async fn look_at(&mut self, some: &[Candidate]) -> Result<()> {
        let ids: Vec<_> = some.iter().map(|c| c.trace_id).collect();
        self.reads.memory.grow(SEEN_BYTES * ids.len() as u64)?;
        self.seen.extend(ids.iter().copied());
        let fetched = self.reads.traces(ids, &self.wanted).await?;
        for trace in &fetched.traces {
            self.reads.check_deadline()?;
            self.evaluate(trace)?;
        }
        Ok(())
    }

    fn evaluate(&mut self, trace: &Trace) -> Result<()> {
        let sets = eval::run(self.pipeline, trace)?;
        let starts = sets.iter().flat_map(|s| &s.spans).filter_map(|i| Some(trace.span(*i)?.start_ns));
        let newest = starts.filter(|t| self.range.contains(TimestampNs(*t))).max();
        if let Some(newest_ns) = newest {
            self.found.add(newest_ns, trace, &sets, &mut self.reads.memory)?;
        }
        Ok(())
    }
}
