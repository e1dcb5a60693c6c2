//! What a list of traces shows of each: root, time, and spans, errors and gaps by service.

use std::collections::{BTreeMap, HashSet};

use model::{SpanBatch, StatusCode};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub id: [u8; 16],
    /// Of the span without a parent that began first; empty where there is none.
    pub root_service: String,
    pub root_operation: String,
    pub start_ns: i64,
    pub end_ns: i64,
    pub spans: usize,
    pub errors: usize,
    /// Spans whose parent is not in the trace.
    pub orphans: usize,
    /// Spans and errors by service.
    pub services: BTreeMap<String, (usize, usize)>,
}

/// Sums a trace up.
pub(super) fn summarize(id: [u8; 16], batch: &SpanBatch) -> Summary {
    let ids: HashSet<&[u8; 8]> = batch.spans.iter().map(|s| &s.span_id).collect();
    let mut out = Summary {
        id,
        start_ns: batch.spans.iter().map(|s| s.start_ns).min().unwrap_or(0),
        end_ns: batch.spans.iter().map(|s| s.end_ns).max().unwrap_or(0),
        spans: batch.spans.len(),
        ..Summary::default()
    };
    let mut root = None;
    for span in &batch.spans {
        let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
        let service = origin.service_name();
        let is_error = usize::from(span.status.code == StatusCode::Error);
        let of_service = out.services.entry(service.to_owned()).or_default();
        of_service.0 += 1;
        of_service.1 += is_error;
        out.errors += is_error;
        if span.parent_span_id == [0; 8] {
            if root.is_none_or(|(start, _, _)| span.start_ns < start) {
                root = Some((span.start_ns, service, &span.name));
            }
        } else if !ids.contains(&span.parent_span_id) {
            out.orphans += 1;
        }
    }
    if let Some((_, service, name)) = root {
        (out.root_service, out.root_operation) = (service.to_owned(), name.clone());
    }
    out
}

#[cfg(test)]
mod tests {
    use model::{Attributes, Span, SpanStatus, span::SpanOrigin};

    use super::*;

    #[test]
    fn a_trace_is_summed_up_by_service() {
        let origin = |name: &str| {
            let mut o = SpanOrigin::default();
            o.resource.attributes = Attributes::from_iter([("service.name", name)]);
            o
        };
        let span = |id: u8, parent: u8, origin: u32, start: i64, code: StatusCode| Span {
            span_id: [id; 8],
            parent_span_id: [parent; 8],
            origin,
            name: format!("op{id}"),
            start_ns: start,
            end_ns: start + 10,
            status: SpanStatus { code, ..SpanStatus::default() },
            ..Span::default()
        };
        let batch = SpanBatch {
            origins: vec![origin("b"), origin("a")],
            spans: vec![
                span(1, 0, 0, 50, StatusCode::Unset),
                span(2, 0, 1, 40, StatusCode::Error),
                span(3, 1, 1, 60, StatusCode::Ok),
                span(4, 9, 0, 70, StatusCode::Error),
            ],
        };
        let s = summarize([1; 16], &batch);
        assert_eq!((s.root_service.as_str(), s.root_operation.as_str()), ("a", "op2"));
        assert_eq!((s.start_ns, s.end_ns, s.spans, s.errors, s.orphans), (40, 80, 4, 2, 1));
        assert_eq!(s.services, [("a".to_owned(), (2, 1)), ("b".to_owned(), (2, 1))].into());
    }
}
