//! Spans gathered by trace, until all of them are there.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::{SpanBatch, merge::SpanMerger, span::SpanOrigin};

/// What tells a span from others of its trace. One that came twice, from two replicas or sent again, counts once;
/// spans that share an id, as those of Zipkin's clients and servers do, both count.
pub(super) type SpanKey = ([u8; 8], i64, i32);

pub(super) fn key(span: &model::Span) -> SpanKey {
    (span.span_id, span.start_ns, span.kind.number())
}

/// Traces by id.
#[derive(Default)]
pub(super) struct Traces(BTreeMap<[u8; 16], Gathered>);

#[derive(Default)]
struct Gathered {
    spans: SpanMerger,
    seen: HashSet<SpanKey>,
}

impl Traces {
    /// Adds a batch and returns the bytes it holds more.
    pub fn add(&mut self, batch: SpanBatch) -> usize {
        let mut bytes = 0;
        // Where each origin of the batch went, per trace.
        let mut placed: HashMap<([u8; 16], u32), u32> = HashMap::new();
        for span in batch.spans {
            let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
            let trace = self.0.entry(span.trace_id).or_default();
            if !trace.seen.insert(key(&span)) {
                continue;
            }
            let all = &mut trace.spans;
            let at = *placed.entry((span.trace_id, span.origin)).or_insert_with(|| {
                bytes += origin.resource.attributes.heap_bytes() + std::mem::size_of::<SpanOrigin>();
                all.origin(origin)
            });
            bytes += span.heap_bytes() + 2 * std::mem::size_of::<SpanKey>();
            trace.spans.push(at, span);
        }
        bytes
    }

    pub fn has(&self, id: &[u8; 16]) -> bool {
        self.0.contains_key(id)
    }

    /// Every trace with its spans in the order they began, the trace that began last first.
    pub fn newest_first(self) -> Vec<([u8; 16], SpanBatch)> {
        let mut all: Vec<_> = self.0.into_iter().map(|(id, mut t)| (id, t.spans.take())).collect();
        for (_, batch) in &mut all {
            batch.spans.sort_by(|a, b| a.start_ns.cmp(&b.start_ns).then(a.span_id.cmp(&b.span_id)));
        }
        let start = |b: &SpanBatch| b.spans.first().map_or(i64::MAX, |s| s.start_ns);
        all.sort_by(|a, b| start(&b.1).cmp(&start(&a.1)).then(a.0.cmp(&b.0)));
        all
    }
}
