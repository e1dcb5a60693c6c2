//! What a member's stream must hold to be merged with others. Checked item by item as it comes in, so that a member
//! that is wrong costs its own part of the answer and never makes the whole wrong.

use contract::{Direction, SeriesData};
use model::{Labels, LogBatch, SpanBatch, TimeRange, TimestampNs};

use crate::{Error, Result};

/// Checks the items of one stream, in their order.
pub(crate) trait Rule: Send + 'static {
    type Item: Send + 'static;

    fn check(&mut self, item: &Self::Item) -> Result<()>;

    /// Bytes an item holds, for read-ahead and memory.
    fn bytes(&self, item: &Self::Item) -> u64;
}

/// Series ascend strictly by labels, samples strictly by time, all of them in the range.
pub(crate) struct SeriesRule {
    range: TimeRange,
    last: Option<Labels>,
}

impl SeriesRule {
    pub(crate) fn new(range: TimeRange) -> Self {
        SeriesRule { range, last: None }
    }
}

impl Rule for SeriesRule {
    type Item = SeriesData;

    fn check(&mut self, s: &SeriesData) -> Result<()> {
        let order = |detail| Error::Order { what: "series", detail };
        if let Some(last) = self.last.as_ref().filter(|last| **last >= s.labels) {
            return Err(order(format!("{} after {last}", s.labels)));
        }
        self.last = Some(s.labels.clone());
        let samples = s.timestamps_ms.len();
        if s.values.len() != samples || (!s.starts_ms.is_empty() && s.starts_ms.len() != samples) {
            let (values, starts) = (s.values.len(), s.starts_ms.len());
            let detail = format!("{samples} times, {values} values and {starts} starts in {}", s.labels);
            return Err(Error::Malformed { what: "series", detail });
        }
        if !s.timestamps_ms.is_sorted_by(|a, b| a < b) || !s.histograms.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(order(format!("samples of {} do not ascend in time", s.labels)));
        }
        let (first, last) = self.range.to_ms_inclusive();
        let ends = [s.timestamps_ms.first(), s.timestamps_ms.last()].into_iter().flatten().copied();
        let mut times =
            ends.chain([s.histograms.first(), s.histograms.last()].into_iter().flatten().map(|h| h.0));
        match times.find(|t| *t < first || last < *t) {
            Some(t) => Err(outside("a sample", t, &s.labels)),
            None => Ok(()),
        }
    }

    fn bytes(&self, s: &SeriesData) -> u64 {
        series_bytes(s)
    }
}

pub(crate) fn series_bytes(s: &SeriesData) -> u64 {
    let floats = s.values.len() * 16 + s.starts_ms.len() * 8;
    let histograms: usize = s.histograms.iter().map(|h| h.2.heap_bytes() + 16).sum();
    (std::mem::size_of::<SeriesData>() + s.labels.packed_len() + floats + histograms) as u64
}

fn outside(what: &'static str, at: i64, of: &Labels) -> Error {
    Error::Malformed { what, detail: format!("{at} of {of} lies outside the asked range") }
}

/// Records go one way in time, within pieces and from piece to piece.
pub(crate) struct LogRule {
    range: TimeRange,
    direction: Direction,
    last_ns: Option<i64>,
}

impl LogRule {
    pub(crate) fn new(range: TimeRange, direction: Direction) -> Self {
        LogRule { range, direction, last_ns: None }
    }
}

impl Rule for LogRule {
    type Item = LogBatch;

    fn check(&mut self, piece: &LogBatch) -> Result<()> {
        for r in &piece.records {
            let at = r.timestamp_ns;
            let Some(stream) = piece.streams.get(r.stream as usize) else {
                let detail = format!("stream {} of {}", r.stream, piece.streams.len());
                return Err(Error::Malformed { what: "a log record", detail });
            };
            if !self.range.contains(TimestampNs(at)) {
                return Err(outside("a log record", at, &stream.labels));
            }
            let wrong = self.last_ns.filter(|last| match self.direction {
                Direction::NewestFirst => at > *last,
                Direction::OldestFirst => at < *last,
            });
            if let Some(last) = wrong {
                return Err(Error::Order { what: "log records", detail: format!("{at} after {last}") });
            }
            self.last_ns = Some(at);
        }
        Ok(())
    }

    fn bytes(&self, piece: &LogBatch) -> u64 {
        let streams = piece.streams.iter().map(|s| s.labels.packed_len() + 256);
        (streams.sum::<usize>() + piece.records.iter().map(|r| r.heap_bytes()).sum::<usize>()) as u64
    }
}

/// No piece has a span that is newer than one of an earlier piece.
pub(crate) struct SpanRule {
    range: TimeRange,
    oldest_ns: Option<i64>,
}

impl SpanRule {
    pub(crate) fn new(range: TimeRange) -> Self {
        SpanRule { range, oldest_ns: None }
    }
}

impl Rule for SpanRule {
    type Item = SpanBatch;

    fn check(&mut self, piece: &SpanBatch) -> Result<()> {
        let before = self.oldest_ns;
        for s in &piece.spans {
            let at = s.start_ns;
            if s.origin as usize >= piece.origins.len() {
                let detail = format!("origin {} of {}", s.origin, piece.origins.len());
                return Err(Error::Malformed { what: "a span", detail });
            }
            if !self.range.contains(TimestampNs(at)) {
                return Err(outside("a span", at, &Labels::default()));
            }
            if let Some(last) = before.filter(|last| at > *last) {
                return Err(Error::Order { what: "spans", detail: format!("{at} in a piece after {last}") });
            }
            self.oldest_ns = Some(self.oldest_ns.map_or(at, |o| o.min(at)));
        }
        Ok(())
    }

    fn bytes(&self, piece: &SpanBatch) -> u64 {
        let origins = piece.origins.iter().map(|o| o.resource.attributes.heap_bytes() + 256);
        (origins.sum::<usize>() + piece.spans.iter().map(|s| s.heap_bytes()).sum::<usize>()) as u64
    }
}
