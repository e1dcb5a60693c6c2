//! Log records counted where they lie: segments by their columns, several at once, heads record by record.

use std::sync::Arc;

use contract::{Error, LogCounts, LogCountsRequest, LogGroup, Result, Selection};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use model::{LogRecord, Signal, TenantId, TimestampNs, matcher::all_match};
use segment::{
    logs::{Counter, Folding, Group, Order, Selection as SegmentSelection, TooMany},
    terms::Need,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Answer, TENANT_LABEL, logs, of_this};
use crate::{
    catalog::SegmentRef, core::Core, deletions::Deleted, head::LogPart, readers::Reader, shelf::FrozenData,
};

/// Sources that are counted at once.
const AT_ONCE: usize = 4;

/// `None` where something of what would be counted is deleted: only reading records tells what.
pub(crate) fn counts(core: &Arc<Core>, r: LogCountsRequest) -> Result<Option<Selection<LogCounts>>> {
    let answer = Answer::new(core, &r.scope, Signal::LOGS);
    let coverage = answer.coverage.clone();
    let many = !r.scope.tenants.is_single();
    let mut matchers = r.matchers.clone();
    matchers.retain(|m| !many || m.name != TENANT_LABEL);
    let mut selection = SegmentSelection::new(matchers, r.scope.range, Order::OldestFirst);
    selection.line = logs::compile(&r.line_filters)?;
    selection.need = Need::all(r.line_filters.iter().map(logs::need));
    let max_groups = usize::try_from(answer.limits.max_series).unwrap_or(usize::MAX);
    let folding = Folding { edges: r.edges, fields: r.fields, bytes: r.bytes, max_groups };
    let wanted = Arc::new(Wanted { answer, selection, folding });
    let mut work: Vec<BoxFuture<'static, Result<LogCounts>>> = Vec::new();
    for tenant in r.scope.tenants.iter() {
        if many && of_this(tenant, &r.matchers).is_none() {
            continue;
        }
        let Some(shelf) = wanted.answer.shelf(tenant) else { continue };
        let tenant = many.then(|| tenant.clone());
        let view = shelf.view(&[], r.scope.range, u64::MAX);
        for s in view.segments(r.scope.range) {
            if s.info.may_match(&wanted.selection.matchers) {
                if !Deleted::of(&view.live, &s)?.is_nothing() {
                    return Ok(None);
                }
                work.push(wanted.clone().segment(s, tenant.clone()).boxed());
            }
        }
        for data in view.heads() {
            let FrozenData::Logs(l) = data else { continue };
            for p in l.parts.iter().filter(|p| p.range.overlaps(r.scope.range)) {
                let (wanted, part, tenant) = (wanted.clone(), p.clone(), tenant.clone());
                work.push(async move { wanted.part(&part, tenant.as_ref()) }.boxed());
            }
        }
    }
    // Each in a task of its own: counting is work, and there is more than one core.
    let ended = |e| Err(Error::internal(format!("counting log records: {e}")));
    let task = move |w| AbortOnDropHandle::new(tokio::spawn(w)).map(move |done| done.unwrap_or_else(ended));
    let counted = stream::iter(work).map(task).buffered(AT_ONCE);
    let held = wanted.answer.reserve(0)?;
    let items = counted.scan(held, |held, counts| {
        let grown = counts.and_then(|c| {
            held.grow((c.groups.len() * std::mem::size_of::<LogGroup>()) as u64)?;
            Ok(c)
        });
        futures::future::ready(Some(grown))
    });
    let counted = items.try_filter(|c| futures::future::ready(!c.groups.is_empty())).boxed();
    Ok(Some(Selection::new(counted, coverage)))
}

struct Wanted {
    answer: Answer,
    selection: SegmentSelection,
    folding: Folding,
}

impl Wanted {
    async fn segment(self: Arc<Self>, s: Arc<SegmentRef>, tenant: Option<TenantId>) -> Result<LogCounts> {
        self.answer.limits.check_deadline()?;
        let Some(Reader::Logs(reader)) = self.answer.open(&s).await else { return Ok(LogCounts::default()) };
        match reader.count(self.selection.clone(), &self.folding).await {
            Ok(Some((streams, groups))) => Ok(counted(streams, groups, tenant.as_ref())),
            Ok(None) => Err(self.too_many()),
            Err(e) => {
                self.answer.missing(&s, &e);
                Ok(LogCounts::default())
            }
        }
    }

    fn part(&self, part: &LogPart, tenant: Option<&TenantId>) -> Result<LogCounts> {
        self.answer.limits.check_deadline()?;
        let streams = &part.batch.streams;
        let matches: Vec<bool> =
            streams.iter().map(|s| all_match(&self.selection.matchers, &s.labels)).collect();
        let passes = |r: &LogRecord| match (&self.selection.line, r.body.as_str()) {
            (None, _) => true,
            (Some(line), Some(text)) => line.matches(text),
            (Some(line), None) => line.matches(&r.body.to_string()),
        };
        let mut counter = Counter::new(self.folding.clone(), streams.iter());
        for r in &part.batch.records {
            let inside = self.selection.range.contains(TimestampNs(r.timestamp_ns));
            if inside && matches.get(r.stream as usize) == Some(&true) && passes(r) {
                counter.add(r).map_err(|TooMany| self.too_many())?;
            }
        }
        Ok(counted(streams.clone(), counter.finish(), tenant))
    }

    fn too_many(&self) -> Error {
        let max = self.folding.max_groups;
        Error::limited(
            "query.max_series",
            format!("the log records fall into more than query.max_series ({max}) groups"),
        )
    }
}

fn counted(mut streams: Vec<model::LogStream>, groups: Vec<Group>, tenant: Option<&TenantId>) -> LogCounts {
    if let Some(t) = tenant {
        streams.iter_mut().for_each(|s| s.labels = s.labels.with(TENANT_LABEL, t.as_str()));
    }
    let group = |g: Group| LogGroup { record: g.record, count: g.count, bytes: g.bytes };
    LogCounts { streams, groups: groups.into_iter().map(group).collect() }
}
