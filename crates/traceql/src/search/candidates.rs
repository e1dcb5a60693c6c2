//! Which traces to look at: those with a span in the range that alone could be found, newest first.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use base::memory::Use;
use contract::{SpanParts, SpansRequest};
use futures::StreamExt;
use model::{Span, TimeRange, TimestampNs};

use super::fetch::Reads;
use crate::{Result, conditions::Need};

/// Candidates held at a time. More are asked for again when these have been looked at.
const HELD: usize = 4096;
/// What one takes, room that the map has to spare included.
const CANDIDATE_BYTES: u64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub trace_id: [u8; 16],
    /// Start of the newest span that could be found.
    pub newest_ns: i64,
}

/// Which candidates are asked for.
pub(super) struct Ask<'a, 'q> {
    pub need: &'a Need<'q>,
    pub range: TimeRange,
    /// Traces, at most, that a `Select` is asked for.
    pub most: Option<usize>,
    /// What is read of each span.
    pub wanted: &'a SpanParts,
}

/// The newest candidates of a range that have not been looked at, newest first. Where there are more, the end of what
/// is left to ask for: before it everything else lies.
pub(super) async fn candidates(
    reads: &mut Reads,
    ask: Ask<'_, '_>,
    seen: &HashSet<[u8; 16]>,
) -> Result<(Vec<Candidate>, Option<TimestampNs>)> {
    let _held = reads.scope.limits.memory.reserve(Use::Query, 2 * HELD as u64 * CANDIDATE_BYTES)?;
    let mut newest: HashMap<[u8; 16], i64> = HashMap::new();
    // Spans before this are of no use: that many candidates are newer.
    let mut floor = i64::MIN;
    let ids = ask.need.trace_ids();
    if ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok((Vec::new(), None));
    }
    let mut came = ask.most.map(Came::new);
    let mut selection = reads
        .spans(SpansRequest {
            trace_ids: ids.unwrap_or_default(),
            any_of: ask.need.any_of(),
            max_traces: ask.most,
            ..reads.request(ask.range, ask.wanted)
        })
        .await?;
    while let Some(batch) = selection.items.next().await {
        let batch = batch?;
        reads.count(&batch)?;
        for span in &batch.spans {
            if let Some(came) = &mut came {
                came.add(span);
            }
            if span.start_ns < floor || seen.contains(&span.trace_id) {
                continue;
            }
            let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
            if newest.get(&span.trace_id).is_some_and(|at| *at >= span.start_ns)
                || !ask.need.admits(span, origin)
            {
                continue;
            }
            newest.insert(span.trace_id, span.start_ns);
            if newest.len() >= 2 * HELD {
                floor = cut(&mut newest);
            }
        }
    }
    reads.coverage.merge(selection.coverage());
    if newest.len() > HELD {
        floor = cut(&mut newest);
    }
    let candidate = |(trace_id, newest_ns)| Candidate { trace_id, newest_ns };
    let mut all: Vec<Candidate> = newest.into_iter().map(candidate).collect();
    all.sort_by_key(|c| (Reverse(c.newest_ns), c.trace_id));
    let floor = came.and_then(|c| c.floor()).unwrap_or(i64::MIN).max(floor);
    Ok((all, (floor != i64::MIN).then(|| TimestampNs(floor.saturating_add(1)))))
}

/// What a `Select` gave that was asked for so many traces.
struct Came {
    asked: usize,
    newest: HashMap<[u8; 16], i64>,
}

impl Came {
    fn new(asked: usize) -> Self {
        Came { asked, newest: HashMap::new() }
    }

    fn add(&mut self, span: &Span) {
        let at = self.newest.entry(span.trace_id).or_insert(span.start_ns);
        *at = (*at).max(span.start_ns);
    }

    /// Where there may be more traces, none of them is newer than this.
    fn floor(&self) -> Option<i64> {
        if self.newest.len() < self.asked { None } else { self.newest.values().copied().min() }
    }
}

/// Keeps the newest [`HELD`]; the start of the oldest of them.
fn cut(newest: &mut HashMap<[u8; 16], i64>) -> i64 {
    let mut all: Vec<(Reverse<i64>, [u8; 16])> = newest.iter().map(|(id, at)| (Reverse(*at), *id)).collect();
    all.sort_unstable();
    for (_, id) in all.iter().skip(HELD) {
        newest.remove(id);
    }
    all.get(HELD - 1).map_or(i64::MIN, |(Reverse(at), _)| *at)
}
