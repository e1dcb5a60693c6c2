//! Zipkin's clients and servers give their two spans of one call the same id. The server's gets one of its own, below
//! the client's, and what it is the parent of follows.

use std::collections::{HashMap, HashSet};

use model::{SpanBatch, SpanKind};

use crate::jaeger::tags::warn;

pub(super) fn make_unique(batch: &mut SpanBatch) {
    let of_clients: HashSet<[u8; 8]> =
        batch.spans.iter().filter(|s| s.kind == SpanKind::Client).map(|s| s.span_id).collect();
    let shares = |kind, id: &[u8; 8]| kind == SpanKind::Server && of_clients.contains(id);
    if !batch.spans.iter().any(|s| shares(s.kind, &s.span_id)) {
        return;
    }
    let mut used: HashSet<[u8; 8]> = batch.spans.iter().map(|s| s.span_id).collect();
    let (mut next, mut renamed) = (1u64, HashMap::new());
    for span in batch.spans.iter_mut().filter(|s| shares(s.kind, &s.span_id)) {
        // There are more ids than spans.
        while used.contains(&next.to_be_bytes()) {
            next += 1;
        }
        let new = next.to_be_bytes();
        used.insert(new);
        renamed.insert(span.span_id, new);
        let shared = std::mem::replace(&mut span.span_id, new);
        span.parent_span_id = shared;
        warn(span, "span id was shared with the client's span; the server's was given a new one".to_owned());
    }
    for span in &mut batch.spans {
        if let Some(new) = renamed.get(&span.parent_span_id)
            && span.span_id != *new
        {
            span.parent_span_id = *new;
        }
    }
}
