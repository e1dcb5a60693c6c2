//! Which records a pipeline lets through, decided where they are kept.
//!
//! Whoever asks sends the stages as text and runs them again over what comes, so leaving out what does not pass only
//! saves moving it; a limit on what passes goes with the stages and is lost with them. Stages see a record as whoever
//! asked would: without labels that are taken off on the way.

use base::Clock;
use contract::{LogsRequest, Passing, QueryLimits, Result, Selection};
use futures::{StreamExt, stream};
use model::{Labels, LogBatch, LogStream, Matcher};

use crate::{
    Expr,
    ast::{LogExpr, Stage},
    evaluating::DIALECT,
    parse::parse,
    pipeline::{Pipeline, compile, reads_clock, record::StreamView},
};

/// The deadline is looked at once in so many records.
const RECORDS_PER_CHECK: usize = 1024;

/// Stages for whoever holds the records; `None` where there are none, or where no text says the same anywhere.
pub(crate) fn passing(matchers: &[Matcher], stages: &[Stage], limit: Option<usize>) -> Option<Passing> {
    if stages.is_empty() || reads_clock(stages) {
        return None;
    }
    let log = Expr::Log(LogExpr { matchers: matchers.to_vec(), stages: stages.to_vec() });
    let query = log.to_string();
    let same = parse(&query).is_ok_and(|again| again == log);
    same.then(|| Passing { dialect: DIALECT, query, limit, unmarked: Vec::new() })
}

/// What a request lets through.
pub(crate) struct Sieve {
    pipeline: Pipeline,
    unmarked: Vec<(String, String)>,
    left: usize,
    limits: QueryLimits,
}

impl Sieve {
    /// `None` where the request lets everything through, or says what does in a way that is not known here.
    pub fn of(r: &LogsRequest, clock: &Clock) -> Option<Self> {
        let passing = r.passing.as_ref()?;
        if passing.dialect.language != DIALECT.language || passing.dialect.version > DIALECT.version {
            return None;
        }
        let Ok(Expr::Log(log)) = parse(&passing.query) else { return None };
        if reads_clock(&log.stages) {
            return None;
        }
        Some(Sieve {
            pipeline: compile(&log.stages, clock).ok()?,
            unmarked: passing.unmarked.clone(),
            left: passing.limit.unwrap_or(usize::MAX),
            limits: r.scope.limits.clone(),
        })
    }

    /// Leaves out what does not pass, and ends once enough did.
    pub fn over(self, mut found: Selection<LogBatch>) -> Selection<LogBatch> {
        let items = std::mem::replace(&mut found.items, stream::empty().boxed());
        let through = stream::try_unfold((self, items), |(mut sieve, mut items)| async move {
            while sieve.left > 0 {
                let Some(batch) = items.next().await.transpose()? else { break };
                let batch = sieve.sift(batch)?;
                if !batch.records.is_empty() {
                    return Ok(Some((batch, (sieve, items))));
                }
            }
            Ok(None)
        });
        found.with_items(through.boxed())
    }

    fn sift(&mut self, batch: LogBatch) -> Result<LogBatch> {
        let seen: Vec<LogStream> = batch.streams.iter().map(|s| self.seen(s)).collect();
        let views: Vec<StreamView> = seen.iter().map(StreamView::new).collect();
        let mut streams = Streams { all: batch.streams, numbers: Vec::new(), kept: Vec::new() };
        let mut records = Vec::new();
        for (i, mut record) in batch.records.into_iter().enumerate() {
            if i % RECORDS_PER_CHECK == 0 {
                self.limits.check_deadline()?;
            }
            if self.left == 0 {
                break;
            }
            // A record of no stream is for whoever merges to refuse.
            if let Some(view) = views.get(record.stream as usize) {
                if !self.pipeline.run(&mut view.row(&record)) {
                    continue;
                }
                record.stream = streams.number(record.stream as usize);
            }
            self.left -= 1;
            records.push(record);
        }
        Ok(LogBatch { streams: streams.kept, records })
    }

    /// A stream as whoever asked sees it.
    fn seen(&self, stream: &LogStream) -> LogStream {
        let mut seen = stream.clone();
        for (name, value) in &self.unmarked {
            if seen.labels.get(name) == Some(value) && seen.labels.len() > 1 {
                seen.labels = Labels::without(&seen.labels, &[name]);
            }
        }
        seen
    }
}

/// The streams that are still needed, in the order they are met.
struct Streams {
    all: Vec<LogStream>,
    numbers: Vec<Option<u32>>,
    kept: Vec<LogStream>,
}

impl Streams {
    fn number(&mut self, stream: usize) -> u32 {
        if self.numbers.len() < self.all.len() {
            self.numbers.resize(self.all.len(), None);
        }
        match (self.numbers.get_mut(stream), self.all.get(stream)) {
            (Some(number), Some(stream)) => *number.get_or_insert_with(|| {
                self.kept.push(stream.clone());
                self.kept.len() as u32 - 1
            }),
            _ => u32::MAX,
        }
    }
}

#[cfg(test)]
mod tests;
