//! Log records of many members as one stream in order of time.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use base::memory::{Reservation, Use};
use contract::{Direction, LogsRequest, Result, Selection};
use futures::{FutureExt, StreamExt, stream};
use model::{Labels, LogBatch, LogRecord, LogStream, Signal, TimeRange, TimestampNs, merge::LogMerger};

use crate::{
    Federation, Member,
    feed::Feed,
    query::{Query, Tally},
    replicas::Mark,
    rules::{LogRule, Rule},
};

/// Records of one piece of the answer.
const PIECE: usize = 1024;

pub(crate) fn logs(federation: &Federation, r: LogsRequest) -> Result<Selection<LogBatch>> {
    let mut query = federation.ask(&r.scope, &Signal::LOGS, |m| m.may_match(&r.matchers))?;
    let coverage = query.coverage();
    let open = |i: usize, member: Arc<Member>| {
        // Each may have all of the first records.
        let mut request = LogsRequest { scope: query.told(i), ..r.clone() };
        let patience = query.patience(i, &member);
        let mark = query.mark(&member);
        if let (Some(passing), Some(mark)) = (&mut request.passing, &mark) {
            // Whoever looks at the records again sees them without it.
            passing.unmarked.push((mark.label.clone(), mark.replica.clone()));
        }
        let select = member.select.clone();
        let call = async move { select.logs(request).await }.boxed();
        let rule = LogRule::new(query.range(), r.direction);
        let feed = Feed::start(call, rule, patience, query.limits().memory.clone());
        Source::new(feed, mark)
    };
    let sources: Vec<Source> = query.members().map(|(i, m)| open(i, m)).collect();
    query.watch(sources.iter().map(|s| s.feed.as_ref().map(Feed::ended)));
    let sweep = Sweep {
        sources,
        once: Once::new(&query)?,
        direction: r.direction,
        left: r.limit.unwrap_or(usize::MAX),
        tally: Tally::new(query.limits(), "log records"),
        query,
    };
    let items = stream::try_unfold(sweep, |mut s| async move { Ok(s.piece().await?.map(|p| (p, s))) });
    Ok(Selection::new(items.boxed(), coverage))
}

/// A member whose next record is known unless it has ended.
struct Source {
    feed: Option<Feed<LogBatch>>,
    streams: Vec<LogStream>,
    /// Number of each stream in the piece being made.
    numbers: Vec<Option<u32>>,
    records: std::vec::IntoIter<LogRecord>,
    next: Option<LogRecord>,
    /// Time of the last record taken.
    last_ns: Option<i64>,
    /// Where it is a replica.
    mark: Option<Mark>,
}

impl Source {
    fn new(feed: Feed<LogBatch>, mark: Option<Mark>) -> Self {
        Source {
            feed: Some(feed),
            streams: Vec::new(),
            numbers: Vec::new(),
            records: Vec::new().into_iter(),
            next: None,
            last_ns: None,
            mark,
        }
    }
}

struct Sweep {
    query: Query,
    sources: Vec<Source>,
    once: Once,
    direction: Direction,
    left: usize,
    tally: Tally,
}

impl Sweep {
    async fn piece(&mut self) -> Result<Option<LogBatch>> {
        let mut out = LogMerger::default();
        self.sources.iter_mut().for_each(|s| s.numbers.fill(None));
        while self.left > 0 && out.records() < PIECE {
            self.query.check_deadline()?;
            self.refill().await?;
            let Some(i) = self.first() else { break };
            let Some(source) = self.sources.get_mut(i) else { break };
            if let Some(record) = source.next.take()
                && let Some(stream) = source.streams.get(record.stream as usize)
                && let Some(number) = source.numbers.get_mut(record.stream as usize)
            {
                source.last_ns = Some(record.timestamp_ns);
                self.query.used(i);
                if !self.once.is_first(i, stream, &record)? {
                    continue;
                }
                let number = *number.get_or_insert_with(|| out.stream(stream));
                out.push(number, record);
                self.left -= 1;
            }
        }
        if out.records() == 0 {
            // Of those that were not needed to the end counts what they have said so far.
            for (i, source) in self.sources.iter_mut().enumerate() {
                if let Some(feed) = source.feed.take() {
                    self.query.answered(i, feed.said());
                }
            }
            self.query.finish()?;
            return Ok(None);
        }
        // A reader that needs no more does not come back.
        self.query.publish();
        Ok(Some(out.take()))
    }

    /// Makes the next record of every member known.
    async fn refill(&mut self) -> Result<()> {
        let (direction, range) = (self.direction, self.query.range());
        for (i, source) in self.sources.iter_mut().enumerate() {
            while source.next.is_none() {
                source.next = source.records.next();
                if source.next.is_some() {
                    break;
                }
                let last_ns = source.last_ns;
                let covered = || answered_for(last_ns, direction, range);
                let Some(batch) = self.query.next(i, &mut source.feed, covered).await? else { break };
                self.tally.take(LogRule::new(range, direction).bytes(&batch))?;
                source.numbers = vec![None; batch.streams.len()];
                source.streams = batch.streams;
                if let Some(mark) = &source.mark {
                    source.streams.iter_mut().for_each(|s| s.labels = mark.off(&s.labels));
                }
                source.records = batch.records.into_iter();
            }
        }
        Ok(())
    }

    /// The member that has the next record of the answer; of several at one time the first.
    fn first(&self) -> Option<usize> {
        let mut best: Option<(i64, usize)> = None;
        for (i, source) in self.sources.iter().enumerate() {
            let Some(record) = &source.next else { continue };
            let at = record.timestamp_ns;
            let better = best.is_none_or(|(b, _)| match self.direction {
                Direction::NewestFirst => at > b,
                Direction::OldestFirst => at < b,
            });
            if better {
                best = Some((at, i));
            }
        }
        best.map(|(_, i)| i)
    }
}

/// Lets every record of replicas through once. A replica may have a line several times at one time, and then all of
/// them are shown: of each line as many as the replica has that has most of it. What a collector adds of its own (when
/// it saw the line, what it runs on) is no difference.
struct Once {
    /// Of each member the number of its group.
    groups: Vec<Option<usize>>,
    at_ns: i64,
    /// Records of that time.
    seen: HashMap<u64, Vec<Seen>>,
    /// What they take.
    held: Reservation,
}

struct Seen {
    group: usize,
    labels: Labels,
    record: LogRecord,
    /// How often each member had it.
    by_member: Vec<(usize, usize)>,
    shown: usize,
}

impl Once {
    fn new(query: &Query) -> Result<Self> {
        let held = query.limits().memory.reserve(Use::Query, 0)?;
        Ok(Once { groups: query.groups(), at_ns: i64::MIN, seen: HashMap::new(), held })
    }

    fn is_first(&mut self, member: usize, stream: &LogStream, record: &LogRecord) -> Result<bool> {
        let Some(group) = self.groups.get(member).copied().flatten() else { return Ok(true) };
        if self.at_ns != record.timestamp_ns {
            self.at_ns = record.timestamp_ns;
            self.seen.clear();
            self.held.shrink_to(0);
        }
        let mut h = DefaultHasher::new();
        (stream.labels.stable_hash(), record.body.as_str(), record.span_id).hash(&mut h);
        let equal = self.seen.entry(h.finish()).or_default();
        let found = equal.iter_mut().find(|s| s.group == group && s.labels == stream.labels && s.is(record));
        let Some(seen) = found else {
            self.held.grow((size_of::<Seen>() + record.heap_bytes()) as u64)?;
            let (labels, record) = (stream.labels.clone(), record.clone());
            equal.push(Seen { group, labels, record, by_member: vec![(member, 1)], shown: 1 });
            return Ok(true);
        };
        let times = match seen.by_member.iter_mut().find(|(m, _)| *m == member) {
            Some((_, times)) => {
                *times += 1;
                *times
            }
            None => {
                seen.by_member.push((member, 1));
                1
            }
        };
        let is_new = times > seen.shown;
        seen.shown = seen.shown.max(times);
        Ok(is_new)
    }
}

impl Seen {
    fn is(&self, other: &LogRecord) -> bool {
        let one = |r: &LogRecord| (r.trace_id, r.span_id, r.severity_number);
        one(&self.record) == one(other)
            && self.record.body == other.body
            && self.record.event_name == other.event_name
            && self.record.attributes == other.attributes
    }
}

/// Where a member broke off after a record of that time: what lies before it in the asked direction is whole.
fn answered_for(last_ns: Option<i64>, direction: Direction, range: TimeRange) -> Vec<TimeRange> {
    let Some(last) = last_ns else { return Vec::new() };
    let (start, end) = (range.start, range.end);
    let whole = match direction {
        Direction::NewestFirst => TimeRange::new(TimestampNs(last.saturating_add(1)), end),
        Direction::OldestFirst => TimeRange::new(start, TimestampNs(last)),
    };
    if whole.is_empty() { Vec::new() } else { vec![whole] }
}

#[cfg(test)]
mod tests;
