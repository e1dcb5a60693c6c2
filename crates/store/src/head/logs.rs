//! The log head of one tenant: parts in the order of the log, each with its time bounds.

use std::{collections::BTreeSet, sync::Arc};

use model::{Labels, LogBatch, Matcher, TimeRange, TimestampNs, matcher::all_match};

use model::merge::LogMerger;

/// Parts that are smaller together than this become one, so that many small pushes stay few parts.
const PART_RECORDS: usize = 4096;

/// Records that never change once they are visible.
#[derive(Debug, Clone)]
pub(crate) struct LogPart {
    pub(crate) batch: LogBatch,
    /// Half-open, never empty.
    pub(crate) range: TimeRange,
    pub(crate) bytes: usize,
}

/// See the module. Cloning shares the parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogsHead {
    pub(crate) parts: Vec<Arc<LogPart>>,
    pub(crate) records: u64,
    pub(crate) bytes: usize,
}

impl LogsHead {
    /// Takes a batch in. Parts are merged like the digits of a binary counter: each record moves a few times.
    pub(crate) fn insert(&mut self, batch: LogBatch) {
        let Some(part) = LogPart::new(batch) else { return };
        self.records += part.batch.records.len() as u64;
        self.bytes += part.bytes;
        self.parts.push(Arc::new(part));
        while let [.., a, b] = self.parts.as_slice()
            && a.batch.records.len() <= 2 * b.batch.records.len()
            && a.batch.records.len() + b.batch.records.len() <= PART_RECORDS
        {
            let (Some(b), Some(a)) = (self.parts.pop(), self.parts.pop()) else { break };
            let before = a.bytes + b.bytes;
            let mut merger = LogMerger::default();
            merger.extend(Arc::unwrap_or_clone(a).batch);
            merger.extend(Arc::unwrap_or_clone(b).batch);
            if let Some(merged) = LogPart::new(merger.take()) {
                self.bytes = (self.bytes + merged.bytes).saturating_sub(before);
                self.parts.push(Arc::new(merged));
            }
        }
    }

    pub(crate) fn freeze(&mut self) -> Option<LogsHead> {
        (!self.parts.is_empty()).then(|| std::mem::take(self))
    }

    pub(crate) fn range(&self) -> Option<TimeRange> {
        self.parts.iter().map(|p| p.range).reduce(TimeRange::hull)
    }

    /// Labels of streams with a record in the range; one of the selectors must match where there is any.
    pub(crate) fn label_sets(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> BTreeSet<Labels> {
        let mut found = BTreeSet::new();
        for part in self.parts.iter().filter(|p| p.range.overlaps(range)) {
            let mut wanted: Vec<bool> = part
                .batch
                .streams
                .iter()
                .map(|s| !found.contains(&s.labels))
                .zip(&part.batch.streams)
                .map(|(new, s)| {
                    new && (selectors.is_empty() || selectors.iter().any(|m| all_match(m, &s.labels)))
                })
                .collect();
            for r in &part.batch.records {
                if range.contains(TimestampNs(r.timestamp_ns))
                    && let Some(w) = wanted.get_mut(r.stream as usize).filter(|w| **w)
                {
                    *w = false;
                    found.extend(part.batch.streams.get(r.stream as usize).map(|s| s.labels.clone()));
                }
            }
        }
        found
    }
}

impl LogPart {
    fn new(batch: LogBatch) -> Option<Self> {
        let times = || batch.records.iter().map(|r| r.timestamp_ns);
        let (first, last) = (times().min()?, times().max()?);
        let streams: usize = batch
            .streams
            .iter()
            .map(|s| s.labels.packed_len() + s.resource.attributes.heap_bytes() + 256)
            .sum();
        let bytes = streams + batch.records.iter().map(|r| r.heap_bytes()).sum::<usize>() + 128;
        let range = TimeRange::new(TimestampNs(first), TimestampNs(last.saturating_add(1)));
        Some(LogPart { batch, range, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{LogRecord, LogStream};

    fn one(t: i64) -> LogBatch {
        LogBatch {
            streams: vec![LogStream { labels: Labels::from_pairs([("a", "b")]), ..LogStream::default() }],
            records: vec![LogRecord { timestamp_ns: t, ..LogRecord::default() }],
        }
    }

    #[test]
    fn many_small_pushes_become_few_parts_in_the_order_they_came() {
        let mut head = LogsHead::default();
        for t in 0..10_000 {
            head.insert(one(t));
        }
        assert!(head.parts.len() < 20, "{}", head.parts.len());
        let times: Vec<i64> =
            head.parts.iter().flat_map(|p| p.batch.records.iter().map(|r| r.timestamp_ns)).collect();
        assert_eq!(times, (0..10_000).collect::<Vec<_>>());
        assert_eq!(head.bytes, head.parts.iter().map(|p| p.bytes).sum::<usize>());
        assert_eq!(head.label_sets(&[], TimeRange::ALL).len(), 1);
        assert!(head.label_sets(&[], TimeRange::new(TimestampNs(20_000), TimestampNs(30_000))).is_empty());
    }
}
