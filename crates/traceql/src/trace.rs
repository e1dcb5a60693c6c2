//! A whole trace: its spans and how they hang together.

use std::sync::{Arc, OnceLock};

use model::{Span, StatusCode, span::SpanOrigin};

use crate::answer::ServiceStats;

mod tree;

pub(crate) use tree::Tree;

/// Spans of one trace in order of time, each once.
pub(crate) struct Trace {
    pub id: [u8; 16],
    spans: Vec<(Span, Arc<SpanOrigin>)>,
    tree: OnceLock<Tree>,
}

impl Trace {
    pub fn new(id: [u8; 16], mut spans: Vec<(Span, Arc<SpanOrigin>)>) -> Self {
        // Both halves of a call may share one id (as Zipkin's do), so the kind tells them apart.
        spans.sort_by(|(a, _), (b, _)| {
            (a.span_id, a.kind as u8, a.start_ns).cmp(&(b.span_id, b.kind as u8, b.start_ns))
        });
        spans.dedup_by(|(a, _), (b, _)| a.span_id == b.span_id && a.kind == b.kind);
        spans.sort_by(|(a, _), (b, _)| {
            (a.start_ns, a.span_id, a.kind as u8).cmp(&(b.start_ns, b.span_id, b.kind as u8))
        });
        Trace { id, spans, tree: OnceLock::new() }
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn span(&self, at: u32) -> Option<&Span> {
        self.spans.get(at as usize).map(|(s, _)| s)
    }

    pub fn origin(&self, at: u32) -> Option<&SpanOrigin> {
        self.spans.get(at as usize).map(|(_, o)| &**o)
    }

    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().map(|(s, _)| s)
    }

    pub fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| Tree::of(&self.spans.iter().map(|(s, _)| s).collect::<Vec<_>>()))
    }

    /// The first span without a parent.
    pub fn root(&self) -> Option<(&Span, &SpanOrigin)> {
        self.spans.iter().find(|(s, _)| s.parent_span_id == [0; 8]).map(|(s, o)| (s, &**o))
    }

    pub fn start_ns(&self) -> i64 {
        self.spans.first().map_or(0, |(s, _)| s.start_ns)
    }

    pub fn duration_ns(&self) -> i64 {
        let end = self.spans().map(|s| s.end_ns.max(s.start_ns)).max().unwrap_or_default();
        end.saturating_sub(self.start_ns())
    }

    /// Spans and errors of each service, by name.
    pub fn services(&self) -> Vec<ServiceStats> {
        let mut all = std::collections::BTreeMap::<&str, (u32, u32)>::new();
        for (span, origin) in &self.spans {
            let (spans, errors) = all.entry(origin.service_name()).or_default();
            *spans += 1;
            *errors += u32::from(span.status.code == StatusCode::Error);
        }
        let stats = |(service, (spans, errors)): (&str, _)| ServiceStats {
            service: service.to_owned(),
            spans,
            errors,
        };
        all.into_iter().map(stats).collect()
    }
}
