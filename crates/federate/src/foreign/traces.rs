//! What Jaeger and Tempo have in common: spans under our labels, filtered by the whole request, newest first.

use std::collections::HashSet;

use contract::{Coverage, Error, Result, Selection, SpanFilter, SpansRequest};
use futures::{StreamExt, stream};
use model::{AnyValue, Labels, SpanBatch, TimestampNs};

/// Traces of a search that sets no limit of its own. More: as many requests.
pub(super) const MOST_TRACES: usize = 500;
/// Where a search without a beginning begins: a year ago. Both refuse or ignore what they do not keep.
pub(super) const OLDEST_NS: i64 = 366 * 86_400_000_000_000;

/// The filters that are left to ask: those on our labels are met by everything.
pub(super) fn sent(filters: &[SpanFilter], labels: &Labels) -> Vec<SpanFilter> {
    let ours = |f: &SpanFilter| match f {
        SpanFilter::Attribute(key, value) => labels.get(key).is_some_and(|v| v == value.to_string()),
        _ => false,
    };
    filters.iter().filter(|f| !ours(f)).cloned().collect()
}

/// Our labels as attributes of the resource, in place of its own of the same name.
fn dress(batch: &mut SpanBatch, labels: &Labels) {
    for origin in &mut batch.origins {
        let attributes = &mut origin.resource.attributes;
        attributes.0.retain(|(k, _)| labels.get(k).is_none());
        labels.iter().for_each(|(n, v)| attributes.push(n, AnyValue::String(v.to_owned())));
    }
}

/// The answer from what came: whole traces, of which only some spans may be asked for.
pub(super) fn answer(
    found: Vec<SpanBatch>,
    request: &SpansRequest,
    labels: &Labels,
    coverage: Coverage,
) -> Result<Selection<SpanBatch>> {
    let limits = &request.scope.limits;
    let (mut out, mut bytes, mut once) = (SpanBatch::default(), 0u64, HashSet::new());
    for mut batch in found {
        dress(&mut batch, labels);
        let first = out.origins.len() as u32;
        for mut span in batch.spans {
            let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
            let wanted = request.scope.range.contains(TimestampNs(span.start_ns))
                && (request.trace_ids.is_empty() || request.trace_ids.contains(&span.trace_id))
                && request.passes(&span, origin);
            if !wanted || !once.insert((span.trace_id, span.span_id)) {
                continue;
            }
            bytes = bytes.saturating_add(span.heap_bytes() as u64);
            if bytes > limits.max_bytes {
                let message =
                    format!("the query reads more than query.max_bytes ({}) of spans", limits.max_bytes);
                return Err(Error::limited("query.max_bytes", message));
            }
            span.origin = span.origin.saturating_add(first);
            out.spans.push(span);
        }
        out.origins.append(&mut batch.origins);
    }
    out.spans.sort_by_key(|s| std::cmp::Reverse(s.start_ns));
    let (mut seen, most) = (HashSet::new(), request.max_traces.unwrap_or(usize::MAX));
    out.spans.retain(|s| {
        let known = seen.contains(&s.trace_id) || seen.len() < most;
        if known {
            seen.insert(s.trace_id);
        }
        known
    });
    let items = if out.spans.is_empty() { Vec::new() } else { vec![Ok(out)] };
    Ok(Selection::with_coverage(stream::iter(items).boxed(), coverage))
}

pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}
