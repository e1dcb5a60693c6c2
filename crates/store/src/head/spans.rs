//! The span head of one tenant: parts in the order of the log, each with its time bounds and trace ids.

use std::sync::Arc;

use model::{Span, SpanBatch, TimeRange, TimestampNs, merge::SpanMerger, span::SpanOrigin};

/// Spans of a part that is merged of several. Larger: fewer parts to look through, and spans that move more often.
const PART_SPANS: usize = 1024;

/// Spans that never change once they are visible.
#[derive(Debug, Clone)]
pub(crate) struct SpanPart {
    pub(crate) batch: SpanBatch,
    /// By start, half-open, never empty.
    pub(crate) range: TimeRange,
    pub(crate) bytes: usize,
    /// (trace id, index of the span), sorted: a trace is found without looking at every span.
    by_trace: Vec<([u8; 16], u32)>,
}

/// See the module. Cloning shares the parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpansHead {
    pub(crate) parts: Vec<Arc<SpanPart>>,
    pub(crate) spans: u64,
    pub(crate) bytes: usize,
}

impl SpansHead {
    /// Takes a batch in; parts are merged like the digits of a binary counter.
    pub(crate) fn insert(&mut self, batch: SpanBatch) {
        let Some(part) = SpanPart::new(batch) else { return };
        self.spans += part.batch.spans.len() as u64;
        self.bytes += part.bytes;
        self.parts.push(Arc::new(part));
        while let [.., a, b] = self.parts.as_slice()
            && a.batch.spans.len() <= 2 * b.batch.spans.len()
            && a.batch.spans.len() + b.batch.spans.len() <= PART_SPANS
        {
            let (Some(b), Some(a)) = (self.parts.pop(), self.parts.pop()) else { break };
            // Origins that both have are counted twice.
            let bytes = a.bytes + b.bytes;
            let mut merger = SpanMerger::of(Arc::unwrap_or_clone(a).batch);
            merger.extend(Arc::unwrap_or_clone(b).batch);
            self.parts.extend(SpanPart::of(merger.take(), bytes).map(Arc::new));
        }
    }

    pub(crate) fn freeze(&mut self) -> Option<SpansHead> {
        (!self.parts.is_empty()).then(|| std::mem::take(self))
    }

    pub(crate) fn range(&self) -> Option<TimeRange> {
        self.parts.iter().map(|p| p.range).reduce(TimeRange::hull)
    }
}

impl SpanPart {
    fn new(batch: SpanBatch) -> Option<Self> {
        let origins: usize = batch.origins.iter().map(|o| o.resource.attributes.heap_bytes() + 256).sum();
        let bytes = origins + batch.spans.iter().map(|s| s.heap_bytes() + 20).sum::<usize>() + 128;
        SpanPart::of(batch, bytes)
    }

    /// Of spans that hold so many bytes.
    fn of(batch: SpanBatch, bytes: usize) -> Option<Self> {
        let starts = || batch.spans.iter().map(|s| s.start_ns);
        let (first, last) = (starts().min()?, starts().max()?);
        let mut by_trace: Vec<_> =
            batch.spans.iter().enumerate().map(|(i, s)| (s.trace_id, i as u32)).collect();
        by_trace.sort_unstable();
        let range = TimeRange::new(TimestampNs(first), TimestampNs(last.saturating_add(1)));
        Some(SpanPart { batch, range, bytes, by_trace })
    }

    /// About what one of its spans holds.
    pub(crate) fn span_bytes(&self) -> usize {
        self.bytes / self.batch.spans.len().max(1)
    }

    /// Spans with their origins; of the traces named only, where any are.
    pub(crate) fn spans<'a>(
        &'a self,
        trace_ids: &'a [[u8; 16]],
    ) -> Box<dyn Iterator<Item = (&'a Span, &'a SpanOrigin)> + Send + 'a> {
        let with_origin = |s: &'a Span| Some((s, self.batch.origins.get(s.origin as usize)?));
        if trace_ids.is_empty() {
            return Box::new(self.batch.spans.iter().filter_map(with_origin));
        }
        let of_trace = |id: &'a [u8; 16]| {
            let from = self.by_trace.partition_point(|(t, _)| t < id);
            let found = self.by_trace.iter().skip(from).take_while(move |(t, _)| t == id);
            found.filter_map(|(_, i)| self.batch.spans.get(*i as usize))
        };
        Box::new(trace_ids.iter().flat_map(of_trace).filter_map(with_origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace: u8, start_ns: i64) -> SpanBatch {
        SpanBatch {
            origins: vec![SpanOrigin::default()],
            spans: vec![Span { trace_id: [trace; 16], start_ns, ..Span::default() }],
        }
    }

    #[test]
    fn a_trace_is_found_in_merged_parts() {
        let mut head = SpansHead::default();
        for i in 0..100 {
            head.insert(span((i % 7) as u8, i));
        }
        assert!(head.parts.len() < 10);
        let ids = [[3; 16]];
        let found: usize = head.parts.iter().map(|p| p.spans(&ids).count()).sum();
        assert_eq!(found, 14);
        assert_eq!(head.parts.iter().map(|p| p.spans(&[]).count()).sum::<usize>(), 100);
        assert_eq!(head.range().unwrap(), TimeRange::new(TimestampNs(0), TimestampNs(100)));
    }
}
