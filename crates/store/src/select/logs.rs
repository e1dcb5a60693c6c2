//! Log records in order of time: a merge of sources that are opened only when the answer gets to their time,
//! so that a query for the newest hundred lines reads the newest segments only.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc};

use base::memory::Reservation;
use contract::{Direction, Error, LineFilter, LogsRequest, Result, Selection};
use futures::{StreamExt, stream, stream::BoxStream};
use model::{
    Labels, LogBatch, LogRecord, LogStream, Matcher, Signal, TenantId, TimeRange, TimestampNs,
    matcher::all_match, merge::LogMerger,
};
use segment::{
    lines::LineCondition,
    logs::{Order, Selection as SegmentSelection},
    terms::Need,
};

use super::{Answer, TENANT_LABEL, of_this};
use crate::{
    catalog::SegmentRef, core::Core, deletions::Deleted, head::LogPart, readers::Reader, shelf::FrozenData,
};

/// Records of one piece of the answer.
const PIECE: usize = 1024;

pub(crate) fn logs(core: &Arc<Core>, r: LogsRequest) -> Result<Selection<LogBatch>> {
    let answer = Answer::new(core, &r.scope, Signal::LOGS);
    let many = !r.scope.tenants.is_single();
    // What is left without the tenant's label is the same for all tenants.
    let mut matchers = r.matchers.clone();
    matchers.retain(|m| !many || m.name != TENANT_LABEL);
    let wanted = Wanted {
        matchers: matchers.into(),
        line: compile(&r.line_filters)?,
        need: Need::all(r.line_filters.iter().map(need)),
        fields: r.fields.into(),
        range: r.scope.range,
        direction: r.direction,
        limit: r.limit,
    };
    let mut waiting = Vec::new();
    for tenant in r.scope.tenants.iter() {
        if many && of_this(tenant, &r.matchers).is_none() {
            continue;
        }
        let Some(shelf) = answer.shelf(tenant) else { continue };
        let view = shelf.view(&[], wanted.range, u64::MAX);
        let tenant = many.then(|| tenant.clone());
        let mut add = |range: TimeRange, what: Unopened| {
            waiting.push(Waiting {
                key: wanted.first_key(range),
                seq: waiting.len() as i64,
                tenant: tenant.clone(),
                what,
            });
        };
        for s in view.segments(wanted.range) {
            if s.info.may_match(&wanted.matchers) {
                let deleted = Deleted::of(&view.live, &s)?;
                add(s.range(), Unopened::Segment(s, deleted));
            }
        }
        for data in view.heads() {
            let FrozenData::Logs(l) = data else { continue };
            for p in l.parts.iter().filter(|p| p.range.overlaps(wanted.range)) {
                add(p.range, Unopened::Part(p.clone()));
            }
        }
    }
    // The one to open next is last.
    waiting.sort_by_key(|w| (w.key, wanted.tie(w.seq)));
    let held = answer.reserve(0)?;
    let coverage = answer.coverage.clone();
    let left = wanted.limit.unwrap_or(usize::MAX);
    let sweep =
        Sweep { answer, wanted, waiting, open: Vec::new(), heap: BinaryHeap::new(), held, left, bytes: 0 };
    let items = stream::try_unfold(sweep, |mut s| async move { Ok(s.piece().await?.map(|p| (p, s))) });
    Ok(Selection::new(items.boxed(), coverage))
}

/// What the query asks of a record.
struct Wanted {
    matchers: Arc<[Matcher]>,
    line: Option<Arc<LineCondition>>,
    need: Need,
    fields: Arc<[(String, String)]>,
    range: TimeRange,
    direction: Direction,
    limit: Option<usize>,
}

impl Wanted {
    /// Larger keys come first in the answer.
    fn key(&self, at_ns: i64) -> i64 {
        match self.direction {
            Direction::NewestFirst => at_ns,
            Direction::OldestFirst => !at_ns,
        }
    }

    /// Of equal keys: newest first shows what came last, oldest first what came first.
    fn tie(&self, seq: i64) -> i64 {
        match self.direction {
            Direction::NewestFirst => seq,
            Direction::OldestFirst => -seq,
        }
    }

    /// The best key an item of a range can have.
    fn first_key(&self, range: TimeRange) -> i64 {
        match self.direction {
            Direction::NewestFirst => self.key(range.end.0.saturating_sub(1)),
            Direction::OldestFirst => self.key(range.start.0),
        }
    }
}

struct Waiting {
    key: i64,
    seq: i64,
    tenant: Option<TenantId>,
    what: Unopened,
}

enum Unopened {
    Segment(Arc<SegmentRef>, Deleted),
    Part(Arc<LogPart>),
}

/// A source whose next record is known.
struct Open {
    seq: i64,
    tenant: Option<TenantId>,
    rest: BoxStream<'static, Result<LogBatch>>,
    streams: Vec<LogStream>,
    /// Number of each stream in the piece being made.
    numbers: Vec<Option<u32>>,
    records: std::vec::IntoIter<LogRecord>,
    next: Option<LogRecord>,
    /// Bytes of the batch at hand.
    bytes: u64,
}

#[derive(PartialEq, Eq)]
struct Next {
    key: i64,
    tie: i64,
    source: usize,
}

impl Ord for Next {
    fn cmp(&self, o: &Self) -> Ordering {
        (self.key, self.tie).cmp(&(o.key, o.tie))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, o: &Self) -> Option<Ordering> {
        Some(self.cmp(o))
    }
}

struct Sweep {
    answer: Answer,
    wanted: Wanted,
    waiting: Vec<Waiting>,
    open: Vec<Open>,
    heap: BinaryHeap<Next>,
    held: Reservation,
    left: usize,
    bytes: u64,
}

impl Sweep {
    async fn piece(&mut self) -> Result<Option<LogBatch>> {
        let mut out = LogMerger::default();
        for o in &mut self.open {
            o.numbers.fill(None);
        }
        while self.left > 0 && out.records() < PIECE {
            self.answer.limits.check_deadline()?;
            let best = self.heap.peek().map(|n| n.key);
            if self.waiting.last().is_some_and(|w| best.is_none_or(|b| w.key >= b)) {
                if let Some(w) = self.waiting.pop() {
                    self.open_source(w).await?;
                }
                continue;
            }
            let Some(next) = self.heap.pop() else { break };
            let Some(open) = self.open.get_mut(next.source) else { continue };
            if let Some(record) = open.next.take()
                && let Some(stream) = open.streams.get(record.stream as usize)
                && let Some(number) = open.numbers.get_mut(record.stream as usize)
            {
                let number = *number.get_or_insert_with(|| out.stream(stream));
                out.push(number, record);
                self.left -= 1;
            }
            self.advance(next.source).await?;
        }
        let batch = out.take();
        Ok((!batch.records.is_empty()).then_some(batch))
    }

    async fn open_source(&mut self, w: Waiting) -> Result<()> {
        let rest = match w.what {
            Unopened::Part(part) => {
                let found = select_part(&part, &self.wanted);
                stream::iter([Ok(found)]).boxed()
            }
            Unopened::Segment(segment, deleted) => match self.answer.open(&segment).await {
                Some(Reader::Logs(reader)) => self.select_segment(reader, segment, deleted),
                _ => return Ok(()),
            },
        };
        self.open.push(Open {
            seq: w.seq,
            tenant: w.tenant,
            rest,
            streams: Vec::new(),
            numbers: Vec::new(),
            records: Vec::new().into_iter(),
            next: None,
            bytes: 0,
        });
        self.advance(self.open.len() - 1).await
    }

    fn select_segment(
        &self,
        reader: segment::logs::Reader,
        segment: Arc<SegmentRef>,
        deleted: Deleted,
    ) -> BoxStream<'static, Result<LogBatch>> {
        let order = match self.wanted.direction {
            Direction::NewestFirst => Order::NewestFirst,
            Direction::OldestFirst => Order::OldestFirst,
        };
        let mut selection = SegmentSelection::new(self.wanted.matchers.to_vec(), self.wanted.range, order);
        // Of the first so many some may be deleted.
        selection.limit_hint = self.wanted.limit.map(|_| self.left).filter(|_| deleted.is_nothing());
        selection.line = self.wanted.line.clone();
        selection.need = self.wanted.need.clone();
        selection.fields = self.wanted.fields.clone();
        let answer = self.answer.clone();
        let found = reader.select(selection).scan((), move |(), item| {
            futures::future::ready(match item {
                Ok(mut batch) => {
                    deleted.take_from_logs(&mut batch);
                    Some(Ok(batch))
                }
                Err(e) => {
                    answer.missing(&segment, &e);
                    None
                }
            })
        });
        found.boxed()
    }

    /// Makes a source's next record known, reading on where its batch has ended.
    async fn advance(&mut self, source: usize) -> Result<()> {
        let Some(open) = self.open.get_mut(source) else { return Ok(()) };
        loop {
            if let Some(record) = open.records.next() {
                let key = self.wanted.key(record.timestamp_ns);
                open.next = Some(record);
                self.heap.push(Next { key, tie: self.wanted.tie(open.seq), source });
                return Ok(());
            }
            self.held.shrink_to(self.held.bytes().saturating_sub(open.bytes));
            open.bytes = 0;
            self.answer.limits.check_deadline()?;
            let Some(batch) = open.rest.next().await.transpose()? else {
                open.rest = stream::empty().boxed();
                return Ok(());
            };
            let bytes = batch.records.iter().map(|r| r.heap_bytes() as u64).sum();
            self.held.grow(bytes)?;
            open.bytes = bytes;
            self.bytes += bytes;
            if self.bytes > self.answer.limits.max_bytes {
                let max = self.answer.limits.max_bytes;
                return Err(Error::limited(
                    "query.max_bytes",
                    format!("the query reads more than query.max_bytes ({max}) of log records"),
                ));
            }
            open.numbers = vec![None; batch.streams.len()];
            open.streams = batch.streams;
            if let Some(t) = &open.tenant {
                for s in &mut open.streams {
                    s.labels = s.labels.with(TENANT_LABEL, t.as_str());
                }
            }
            open.records = batch.records.into_iter();
        }
    }
}

/// Matching records of a part, in the asked order.
fn select_part(part: &LogPart, wanted: &Wanted) -> LogBatch {
    let matches: Vec<bool> =
        part.batch.streams.iter().map(|s| all_match(&wanted.matchers, &s.labels)).collect();
    let mut records: Vec<LogRecord> = part
        .batch
        .records
        .iter()
        .filter(|r| {
            matches.get(r.stream as usize) == Some(&true)
                && wanted.range.contains(TimestampNs(r.timestamp_ns))
                && wanted.line.as_ref().is_none_or(|line| match r.body.as_str() {
                    Some(text) => line.matches(text),
                    None => line.matches(&r.body.to_string()),
                })
        })
        .cloned()
        .collect();
    records.sort_by_key(|r| r.timestamp_ns);
    if wanted.direction == Direction::NewestFirst {
        records.reverse();
    }
    LogBatch { streams: part.batch.streams.clone(), records }
}

pub(super) fn need(f: &LineFilter) -> Need {
    match f {
        LineFilter::Contains(text) => Need::contains(text),
        LineFilter::Regex(pattern) => Need::matches(pattern),
        LineFilter::NotContains(_) | LineFilter::NotRegex(_) => Need::Any,
    }
}

/// All filters as one condition; `None` where there is nothing to ask.
pub(super) fn compile(filters: &[LineFilter]) -> Result<Option<Arc<LineCondition>>> {
    let condition = LineCondition::compile(filters).map_err(|e| Error::invalid(e.to_string()))?;
    Ok(condition.map(Arc::new))
}

/// Stream labels with an item in range, for label requests.
pub(crate) async fn label_sets(
    answer: &Answer,
    tenant: &TenantId,
    selectors: &[Vec<Matcher>],
) -> Result<std::collections::BTreeSet<Labels>> {
    let mut found = std::collections::BTreeSet::new();
    let Some(shelf) = answer.shelf(tenant) else { return Ok(found) };
    let view = shelf.view(&[], answer.range, u64::MAX);
    for s in view.segments(answer.range) {
        answer.limits.check_deadline()?;
        if let Some(Reader::Logs(reader)) = answer.open(&s).await {
            match reader.streams(selectors, answer.range).await {
                Ok(labels) => {
                    let deleted = Deleted::of(&view.live, &s)?;
                    let inside = s.range().intersect(answer.range);
                    found.extend(labels.into_iter().filter(|l| !deleted.hides(l, inside)));
                }
                Err(e) => answer.missing(&s, &e),
            }
        }
    }
    for data in view.heads() {
        if let FrozenData::Logs(l) = data {
            found.extend(l.label_sets(selectors, answer.range));
        }
    }
    Ok(found)
}
