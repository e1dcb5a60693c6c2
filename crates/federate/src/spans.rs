//! Spans of many members, newest first, each once.
//!
//! Without a number of traces the members' answers are merged as they come. With one, every member is asked for that
//! many of its newest traces: those that are the newest of all are among them, since a trace is as new as its newest
//! span and some member has that one. But a member may hold older spans of a trace that others made new, beyond what
//! it was asked for; these are asked for by trace id in a second round, of members that were cut off only.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use base::memory::{Reservation, Use};
use contract::{Coverage, Result, Selection, SpansRequest};
use futures::{FutureExt, StreamExt, future::try_join_all, stream};
use model::{Signal, Span, SpanBatch, SpanKind, merge::SpanMerger, span::SpanOrigin};
use parking_lot::Mutex;

use crate::{
    Error, Federation, Member,
    feed::{Feed, Next, Patience},
    query::{Query, Tally},
    rules::{Rule, SpanRule},
};

/// Spans of one piece of the answer.
const PIECE: usize = 1024;

type TraceId = [u8; 16];
type Found = (Span, Arc<SpanOrigin>);

pub(crate) fn spans(federation: &Federation, r: SpansRequest) -> Result<Selection<SpanBatch>> {
    // No filter excludes a member: an attribute that all its resources carry may have another value in a span of it.
    let mut query = federation.ask(&r.scope, &Signal::TRACES, |_| true)?;
    let coverage = query.coverage();
    let feeds: Vec<_> =
        query.members().map(|(i, m)| open(&query, (i, &m), &r, query.patience(i, &m))).collect();
    query.watch(feeds.iter().map(|f| Some(f.ended())));
    if let Some(max_traces) = r.max_traces {
        let items = stream::once(newest(query, feeds, r, max_traces)).filter_map(|batch| {
            futures::future::ready(batch.map(|b| (!b.spans.is_empty()).then_some(b)).transpose())
        });
        return Ok(Selection::new(items.boxed(), coverage));
    }
    let sources = feeds.into_iter().map(|feed| Source { feed: Some(feed), piece: Vec::new().into_iter() });
    let sweep = Sweep {
        sources: sources.collect(),
        once: Once::new(&query)?,
        tally: Tally::new(query.limits(), "spans"),
        query,
    };
    let items = stream::try_unfold(sweep, |mut s| async move { Ok(s.piece().await?.map(|p| (p, s))) });
    Ok(Selection::new(items.boxed(), coverage))
}

fn open(
    query: &Query,
    (i, member): (usize, &Arc<Member>),
    r: &SpansRequest,
    patience: Patience,
) -> Feed<SpanBatch> {
    let request = SpansRequest { scope: query.told(i), ..r.clone() };
    let member = member.clone();
    let call = async move { member.select.spans(request).await }.boxed();
    Feed::start(call, SpanRule::new(query.range()), patience, query.limits().memory.clone())
}

/// Lets every span through once: of several members that have it the first to say so counts. Both halves of a call
/// may share one id (as Zipkin's do), so the kind tells them apart.
struct Once {
    by_id: HashMap<SpanKey, usize>,
    held: Reservation,
}

type SpanKey = (TraceId, [u8; 8], SpanKind);

/// What a span takes in [`Once`], room that the map has to spare included.
const KEY_BYTES: u64 = 2 * size_of::<(SpanKey, usize)>() as u64;

impl Once {
    fn new(query: &Query) -> Result<Self> {
        Ok(Once { by_id: HashMap::new(), held: query.limits().memory.reserve(Use::Query, 0)? })
    }

    fn is_first(&mut self, member: usize, span: &Span) -> Result<bool> {
        let known = self.by_id.len();
        let first = *self.by_id.entry((span.trace_id, span.span_id, span.kind)).or_insert(member);
        if self.by_id.len() > known {
            self.held.grow(KEY_BYTES)?;
        }
        Ok(first == member)
    }
}

/// A piece's spans, newest first.
fn sorted(piece: SpanBatch) -> Vec<Found> {
    let origins: Vec<Arc<SpanOrigin>> = piece.origins.into_iter().map(Arc::new).collect();
    let with_origin = |s: Span| origins.get(s.origin as usize).cloned().map(|o| (s, o));
    let mut spans: Vec<Found> = piece.spans.into_iter().filter_map(with_origin).collect();
    spans.sort_by_key(|(s, _)| Reverse(s.start_ns));
    spans
}

struct Source {
    feed: Option<Feed<SpanBatch>>,
    piece: std::vec::IntoIter<Found>,
}

/// The merge of members as they come.
struct Sweep {
    query: Query,
    sources: Vec<Source>,
    once: Once,
    tally: Tally,
}

impl Sweep {
    async fn piece(&mut self) -> Result<Option<SpanBatch>> {
        let mut out = SpanMerger::default();
        while out.spans() < PIECE {
            self.query.check_deadline()?;
            self.refill().await?;
            let newest =
                |(i, s): (usize, &Source)| s.piece.as_slice().first().map(|(s, _)| (s.start_ns, Reverse(i)));
            let Some((_, Reverse(i))) = self.sources.iter().enumerate().filter_map(newest).max() else {
                break;
            };
            let Some((span, origin)) = self.sources.get_mut(i).and_then(|s| s.piece.next()) else { break };
            self.query.used(i);
            if self.once.is_first(i, &span)? {
                let at = out.origin(&origin);
                out.push(at, span);
            }
        }
        if out.spans() == 0 {
            self.query.finish()?;
            return Ok(None);
        }
        Ok(Some(out.take()))
    }

    async fn refill(&mut self) -> Result<()> {
        let rule = SpanRule::new(self.query.range());
        for (i, source) in self.sources.iter_mut().enumerate() {
            while source.piece.as_slice().is_empty() {
                let Some(batch) = self.query.next(i, &mut source.feed, Vec::new).await? else { break };
                self.tally.take(rule.bytes(&batch))?;
                source.piece = sorted(batch).into_iter();
            }
        }
        Ok(())
    }
}

/// What all members gave so far, counted together.
struct Room {
    tally: Tally,
    held: Reservation,
}

/// What became of one member in one round.
struct Drained {
    spans: Vec<Found>,
    outcome: Result<(), Error>,
    said: Coverage,
    patience: Option<Patience>,
}

impl Drained {
    fn traces(&self) -> HashSet<TraceId> {
        self.spans.iter().map(|(s, _)| s.trace_id).collect()
    }
}

/// The newest traces of all, each whole.
async fn newest(
    mut query: Query,
    feeds: Vec<Feed<SpanBatch>>,
    r: SpansRequest,
    max_traces: usize,
) -> Result<SpanBatch> {
    let held = query.limits().memory.reserve(Use::Query, 0)?;
    let room = Mutex::new(Room { tally: Tally::new(query.limits(), "spans"), held });
    let mut drained = try_join_all(feeds.into_iter().map(|f| drain(f, &room))).await?;
    let chosen = choose(&drained, max_traces);
    let mut second = Vec::new();
    for (i, member) in query.members() {
        let Some(first) = drained.get(i) else { continue };
        let has = first.traces();
        // One that gave fewer than it was asked for has no more.
        let missing: Vec<TraceId> = chosen.difference(&has).copied().collect();
        if first.outcome.is_ok() && has.len() >= max_traces && !missing.is_empty() {
            let by_id = SpansRequest { trace_ids: missing, max_traces: None, ..r.clone() };
            let patience = first.patience.clone().unwrap_or_else(|| query.patience(i, &member));
            let feed = open(&query, (i, &member), &by_id, patience);
            second.push(drain(feed, &room).map(move |d| d.map(|d| (i, d))));
        }
    }
    for (i, more) in try_join_all(second).await? {
        if let Some(first) = drained.get_mut(i) {
            first.spans.extend(more.spans);
            first.outcome = more.outcome;
            first.said.merge(more.said);
        }
    }
    let (mut once, mut all) = (Once::new(&query)?, Vec::new());
    for (i, member) in drained.into_iter().enumerate() {
        if !member.spans.is_empty() {
            query.used(i);
        }
        let wanted = member.spans.into_iter().filter(|(s, _)| chosen.contains(&s.trace_id));
        for found in wanted {
            if once.is_first(i, &found.0)? {
                all.push(found);
            }
        }
        match member.outcome {
            Ok(()) => query.answered(i, member.said),
            Err(e) => query.failed(i, e, member.said, Vec::new())?,
        }
    }
    query.finish()?;
    query.check_deadline()?;
    all.sort_by_key(|(s, _)| Reverse(s.start_ns));
    let mut out = SpanMerger::default();
    for (span, origin) in all {
        let at = out.origin(&origin);
        out.push(at, span);
    }
    Ok(out.take())
}

/// Reads a member to its end. An error only where the whole query has to fail.
async fn drain(mut feed: Feed<SpanBatch>, room: &Mutex<Room>) -> Result<Drained> {
    let mut spans = Vec::new();
    let outcome = loop {
        match feed.next().await {
            Next::Item(batch) => {
                let found = sorted(batch);
                let bytes = found.iter().map(|(s, _)| s.heap_bytes() as u64).sum();
                let mut room = room.lock();
                room.tally.take(bytes)?;
                room.held.grow(bytes)?;
                spans.extend(found);
            }
            Next::End => break Ok(()),
            Next::Failed(e) if e.is_of_query() => return Err(e.into()),
            Next::Failed(e) => break Err(e),
        }
    };
    Ok(Drained { spans, outcome, said: feed.said(), patience: feed.patience() })
}

/// The newest traces of all members; a trace is as new as its newest span.
fn choose(drained: &[Drained], max_traces: usize) -> HashSet<TraceId> {
    let mut newest: HashMap<TraceId, i64> = HashMap::new();
    for (span, _) in drained.iter().flat_map(|d| &d.spans) {
        let at = newest.entry(span.trace_id).or_insert(span.start_ns);
        *at = (*at).max(span.start_ns);
    }
    let mut all: Vec<(i64, TraceId)> = newest.into_iter().map(|(id, at)| (at, id)).collect();
    all.sort_unstable_by_key(|(at, id)| (Reverse(*at), *id));
    all.into_iter().take(max_traces).map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests;
