//! A search over a [`contract::Select`].
//!
//! ```text
//! indices::resolve -> matchers -> Select::logs -> Doc -> Query -> aggs::Collector
//!                                                              '-> page::Page -> Found
//! ```
//! Hits by time are read from the end they are wanted from, and no further than page and count need; other orders and
//! aggregations read all that the query's times leave.

use std::sync::Arc;

use base::memory::Reservation;
use contract::{Coverage, Direction, LogsRequest, Scope};
use futures::StreamExt;
use model::{LogBatch, LogStream, TimeRange, TimestampNs};
use serde_json::Value;

use crate::{
    Result,
    aggs::Collector,
    field::Doc,
    indices::{Namer, Reader, Targets},
    page::{Hit, Page, Position},
    search::{Search, Track},
};

/// What a search came to.
pub struct Found {
    pub hits: Vec<Hit>,
    /// Found in all, or more than `total` where it is not exact.
    pub total: u64,
    pub exact: bool,
    pub aggregations: Option<Value>,
    pub coverage: Coverage,
    /// Where the next page begins.
    pub next: Option<Position>,
    /// What the hits occupy.
    pub memory: Option<Reservation>,
}

/// Searches what an expression came to, from where an earlier page ended.
pub async fn search(
    search: &Search,
    targets: &Targets,
    reader: &Reader,
    from: Option<Position>,
) -> Result<Found> {
    let mut run = Run::new(search, reader, &from)?;
    let coverage = if targets.is_empty() {
        targets.coverage.clone()
    } else {
        let request = request(search, targets, reader, &from)?;
        let mut selection = reader.select.logs(request).await?;
        let mut namer = targets.namer();
        while let Some(batch) = selection.items.next().await {
            reader.limits.check_deadline()?;
            if run.batch(&mut namer, &batch?)? {
                break;
            }
        }
        let mut coverage = selection.coverage();
        if coverage.sources().is_empty() {
            coverage.merge(targets.coverage.clone());
        }
        coverage
    };
    run.finish(coverage)
}

/// What is read: in the order of the hits, where that is one of time.
fn request(
    search: &Search,
    targets: &Targets,
    reader: &Reader,
    position: &Option<Position>,
) -> Result<LogsRequest> {
    let (from, to) = search.query.times();
    let mut range = TimeRange::new(TimestampNs(from), TimestampNs(to)).intersect(targets.range());
    // What lies behind a place in the order of time begins at it.
    if let (Some(position), true) = (position, search.sort.is_empty()) {
        range.end = range.end.min(TimestampNs(position.time().saturating_add(1)));
    }
    let direction = match search.by_time() {
        Some(false) => Direction::OldestFirst,
        _ => Direction::NewestFirst,
    };
    Ok(LogsRequest {
        scope: Scope { tenants: reader.tenants.clone(), range, limits: reader.limits.clone() },
        matchers: targets.matchers()?,
        line_filters: search.query.line_filters(),
        direction,
        limit: None,
        fields: Vec::new(),
        passing: None,
    })
}

struct Run<'a> {
    search: &'a Search,
    page: Page,
    aggs: Option<Collector>,
    count: u64,
    stopped: bool,
    /// Hits are counted already.
    counted: bool,
}

impl<'a> Run<'a> {
    fn new(search: &'a Search, reader: &Reader, from: &Option<Position>) -> Result<Self> {
        let budget = &reader.limits.memory;
        let most = search.from.saturating_add(search.size);
        let page = Page::new(search.sort.clone(), most, from.clone(), search.after.clone(), budget)?;
        let counted = from.is_some();
        let aggs = match search.aggs.is_empty() || counted {
            true => None,
            false => Some(Collector::new(search.aggs.clone(), budget)?),
        };
        Ok(Run { search, page, aggs, count: 0, stopped: false, counted })
    }

    /// Takes records in; true once no more are needed.
    fn batch(&mut self, namer: &mut Namer<'_>, batch: &LogBatch) -> Result<bool> {
        let mut streams: Vec<Option<Arc<LogStream>>> = vec![None; batch.streams.len()];
        for record in &batch.records {
            let at = record.stream as usize;
            let Some(stream) = batch.streams.get(at) else { continue };
            let Some(index) = namer.index_of(stream, record) else { continue };
            let doc = Doc::new(stream, record, &index);
            if !self.search.query.matches(&doc) {
                continue;
            }
            if let Some(aggs) = &mut self.aggs {
                aggs.collect(&doc)?;
            }
            if self.search.post_filter.as_ref().is_some_and(|f| !f.matches(&doc)) {
                continue;
            }
            self.count += 1;
            self.page.offer(&doc, &index, || match streams.get_mut(at) {
                Some(slot) => slot.get_or_insert_with(|| Arc::new(stream.clone())).clone(),
                None => Arc::new(stream.clone()),
            })?;
            if self.is_done() {
                self.stopped = true;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_done(&self) -> bool {
        // Another field may order what comes at the same time the other way.
        let constant = self.search.sort.iter().skip(1).all(|k| k.field().is_none());
        let by_time = constant && self.search.by_time().is_some();
        let counted = self.counted
            || match self.search.track {
                Track::Exactly => false,
                Track::UpTo(n) => self.count > n,
                Track::Not => true,
            };
        self.aggs.is_none() && counted && self.page.is_full() && (by_time || self.search.size == 0)
    }

    fn finish(self, coverage: Coverage) -> Result<Found> {
        let aggregations = self.aggs.map(Collector::answer).transpose()?;
        let (hits, next, memory) = self.page.finish(self.search.from);
        let (total, exact) = match self.search.track {
            Track::UpTo(n) if self.count > n => (n, false),
            _ => (self.count, !self.stopped),
        };
        Ok(Found { hits, total, exact, aggregations, coverage, next, memory: Some(memory) })
    }
}
