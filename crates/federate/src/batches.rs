//! Putting records or spans of several members into one batch, so that equal streams and origins are there once.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use model::{LogBatch, LogRecord, LogStream, Span, SpanBatch, span::SpanOrigin};

/// Collects records.
#[derive(Default)]
pub(crate) struct LogMerger {
    batch: LogBatch,
    by_hash: HashMap<u64, Vec<u32>>,
}

impl LogMerger {
    /// The number of a stream in the merged batch.
    pub(crate) fn stream(&mut self, stream: &LogStream) -> u32 {
        // Resources differ where labels do, nearly always; the rest is found by comparing.
        let known = self.by_hash.entry(stream.labels.stable_hash()).or_default();
        place(&mut self.batch.streams, known, stream)
    }

    pub(crate) fn push(&mut self, stream: u32, mut record: LogRecord) {
        record.stream = stream;
        self.batch.records.push(record);
    }

    pub(crate) fn records(&self) -> usize {
        self.batch.records.len()
    }

    pub(crate) fn take(&mut self) -> LogBatch {
        self.by_hash.clear();
        std::mem::take(&mut self.batch)
    }
}

/// Collects spans.
#[derive(Default)]
pub(crate) struct SpanMerger {
    batch: SpanBatch,
    by_hash: HashMap<u64, Vec<u32>>,
}

impl SpanMerger {
    /// The number of an origin in the merged batch.
    pub(crate) fn origin(&mut self, origin: &SpanOrigin) -> u32 {
        let mut h = DefaultHasher::new();
        origin.scope.name.hash(&mut h);
        for (k, v) in origin.resource.attributes.iter() {
            (k, v.as_str()).hash(&mut h);
        }
        let known = self.by_hash.entry(h.finish()).or_default();
        place(&mut self.batch.origins, known, origin)
    }

    pub(crate) fn push(&mut self, origin: u32, mut span: Span) {
        span.origin = origin;
        self.batch.spans.push(span);
    }

    pub(crate) fn spans(&self) -> usize {
        self.batch.spans.len()
    }

    pub(crate) fn take(&mut self) -> SpanBatch {
        self.by_hash.clear();
        std::mem::take(&mut self.batch)
    }
}

fn place<T: Clone + PartialEq>(all: &mut Vec<T>, known: &mut Vec<u32>, item: &T) -> u32 {
    if let Some(at) = known.iter().find(|i| all.get(**i as usize) == Some(item)) {
        return *at;
    }
    let at = all.len() as u32;
    all.push(item.clone());
    known.push(at);
    at
}
