//! Putting logs or spans of several batches into one, so that equal streams and origins are there once.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use crate::{
    AnyValue, Attributes, LogBatch, LogRecord, LogStream, Span, SpanBatch,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};

/// Collects records; a stream is kept once however often it comes.
#[derive(Default)]
pub struct LogMerger {
    batch: LogBatch,
    by_hash: HashMap<u64, Vec<u32>>,
}

impl LogMerger {
    /// The number of a stream in the merged batch.
    pub fn stream(&mut self, stream: &LogStream) -> u32 {
        let hash = hash_of(&stream.resource, &stream.scope, stream.labels.stable_hash());
        place(&mut self.batch.streams, self.by_hash.entry(hash).or_default(), stream)
    }

    pub fn push(&mut self, stream: u32, mut record: LogRecord) {
        record.stream = stream;
        self.batch.records.push(record);
    }

    /// Adds a batch whole.
    pub fn extend(&mut self, batch: LogBatch) {
        let streams: Vec<u32> = batch.streams.iter().map(|s| self.stream(s)).collect();
        for record in batch.records {
            if let Some(at) = streams.get(record.stream as usize) {
                self.push(*at, record);
            }
        }
    }

    pub fn records(&self) -> usize {
        self.batch.records.len()
    }

    /// What was collected; from here on nothing is.
    pub fn take(&mut self) -> LogBatch {
        self.by_hash.clear();
        std::mem::take(&mut self.batch)
    }
}

/// Collects spans; an origin is kept once.
#[derive(Default)]
pub struct SpanMerger {
    batch: SpanBatch,
    by_hash: HashMap<u64, Vec<u32>>,
}

impl SpanMerger {
    /// Goes on from a batch, whose spans stay where they are.
    pub fn of(batch: SpanBatch) -> Self {
        let mut by_hash: HashMap<u64, Vec<u32>> = HashMap::new();
        for (at, o) in batch.origins.iter().enumerate() {
            by_hash.entry(hash_of(&o.resource, &o.scope, 0)).or_default().push(at as u32);
        }
        SpanMerger { batch, by_hash }
    }

    /// The number of an origin in the merged batch.
    pub fn origin(&mut self, origin: &SpanOrigin) -> u32 {
        let hash = hash_of(&origin.resource, &origin.scope, 0);
        place(&mut self.batch.origins, self.by_hash.entry(hash).or_default(), origin)
    }

    pub fn push(&mut self, origin: u32, mut span: Span) {
        span.origin = origin;
        self.batch.spans.push(span);
    }

    /// Adds a batch whole.
    pub fn extend(&mut self, batch: SpanBatch) {
        let origins: Vec<u32> = batch.origins.iter().map(|o| self.origin(o)).collect();
        self.batch.spans.reserve(batch.spans.len());
        for span in batch.spans {
            if let Some(at) = origins.get(span.origin as usize) {
                self.push(*at, span);
            }
        }
    }

    pub fn spans(&self) -> usize {
        self.batch.spans.len()
    }

    /// What was collected; from here on nothing is.
    pub fn take(&mut self) -> SpanBatch {
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

fn hash_of(resource: &Resource, scope: &Scope, seed: u64) -> u64 {
    let mut h = Xxh3::with_seed(seed);
    hash_attributes(&mut h, &resource.attributes);
    h.update(scope.name.as_bytes());
    h.update(scope.version.as_bytes());
    hash_attributes(&mut h, &scope.attributes);
    h.digest()
}

fn hash_attributes(h: &mut Xxh3, attributes: &Attributes) {
    for (k, v) in attributes.iter() {
        h.update(k.as_bytes());
        match v {
            AnyValue::String(s) => h.update(s.as_bytes()),
            AnyValue::Int(i) => h.update(&i.to_le_bytes()),
            AnyValue::Double(d) => h.update(&d.to_bits().to_le_bytes()),
            AnyValue::Bool(b) => h.update(&[u8::from(*b)]),
            AnyValue::Bytes(b) => h.update(b),
            // Nested values are compared, not hashed: they are rare and may be deep.
            AnyValue::Empty | AnyValue::Array(_) | AnyValue::Map(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    #[test]
    fn equal_streams_of_two_batches_become_one() {
        let stream = |v: &str| LogStream { labels: Labels::from_pairs([("a", v)]), ..LogStream::default() };
        let batch = |streams: &[&str]| LogBatch {
            streams: streams.iter().map(|v| stream(v)).collect(),
            records: (0..streams.len())
                .map(|i| LogRecord { stream: i as u32, timestamp_ns: i as i64, ..LogRecord::default() })
                .collect(),
        };
        let mut m = LogMerger::default();
        m.extend(batch(&["x", "y"]));
        m.extend(batch(&["y", "z"]));
        let out = m.take();
        assert_eq!(out.streams.len(), 3);
        assert_eq!(out.records.iter().map(|r| r.stream).collect::<Vec<_>>(), [0, 1, 1, 2]);
    }
}
