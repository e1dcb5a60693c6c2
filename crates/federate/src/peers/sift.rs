//! Conditions on spans for a peer that does not know them: asked without, and what it sends is looked at here.

use std::{cmp::Reverse, collections::HashSet, sync::Arc};

use contract::{Result, Select, Selection, SpansRequest};
use futures::{StreamExt, stream};
use model::SpanBatch;

/// Exactly what [`Select::spans`] says, from one that ignores [`SpansRequest::any_of`].
pub(super) async fn spans(select: &Arc<dyn Select>, r: SpansRequest) -> Result<Selection<SpanBatch>> {
    if r.any_of.is_empty() {
        return select.spans(r).await;
    }
    // Its number would count traces of which no span passes.
    let whole = SpansRequest { any_of: Vec::new(), max_traces: None, ..r.clone() };
    let mut found = select.spans(whole).await?;
    let items = std::mem::replace(&mut found.items, stream::empty().boxed());
    let mut sieve = Sieve { request: r, seen: HashSet::new() };
    let sifted = items.map(move |batch| batch.map(|b| sieve.sift(b)));
    let some = |b: &Result<SpanBatch>| b.as_ref().map_or(true, |b| !b.spans.is_empty());
    Ok(found.with_items(sifted.filter(move |b| futures::future::ready(some(b))).boxed()))
}

struct Sieve {
    request: SpansRequest,
    seen: HashSet<[u8; 16]>,
}

impl Sieve {
    /// Pieces come newest first.
    fn sift(&mut self, mut batch: SpanBatch) -> SpanBatch {
        let SpanBatch { origins, spans } = &mut batch;
        spans.retain(|s| origins.get(s.origin as usize).is_some_and(|o| self.request.passes(s, o)));
        if let Some(most) = self.request.max_traces {
            spans.sort_by_key(|s| Reverse(s.start_ns));
            spans.retain(|s| {
                let chosen = self.seen.contains(&s.trace_id) || self.seen.len() < most;
                if chosen {
                    self.seen.insert(s.trace_id);
                }
                chosen
            });
        }
        batch
    }
}

#[cfg(test)]
mod tests;
