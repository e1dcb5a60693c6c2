//! What of the log is kept for the witness: spans that are in no unit of derived metrics yet.
//!
//! ```text
//! spans  spans  derived  spans  spans      after a crash what follows the last derived unit is counted again
//!                        └── kept from here on, whatever of it is in segments already
//! ```

use std::{collections::HashMap, time::Duration};

use disklog::Position;
use model::{Batch, BatchId, TenantId};
use parking_lot::Mutex;

/// How long is waited for spans to be counted. They should be within seconds; whoever does not count them for so long
/// must not fill the disk.
const PATIENCE: Duration = Duration::from_secs(600);

/// By tenant, the first spans that are not counted yet and since when they wait.
pub(crate) struct Uncounted {
    witnessed: bool,
    first: Mutex<HashMap<TenantId, (Position, i64)>>,
}

impl Uncounted {
    /// Without a witness nothing is kept.
    pub(crate) fn new(witnessed: bool) -> Self {
        Uncounted { witnessed, first: Mutex::default() }
    }

    /// Notes a unit of the frame that begins at `at`, in the order of the log.
    pub(crate) fn note(
        &self,
        tenant: &TenantId,
        id: Option<BatchId>,
        batches: &[Batch],
        (at, now_ns): (Position, i64),
    ) {
        if !self.witnessed {
            return;
        }
        if let Some((part, parts)) = id.and_then(|id| id.as_derived()) {
            if part + 1 >= parts {
                self.first.lock().remove(tenant);
            }
        } else if batches.iter().any(|b| matches!(b, Batch::Spans(_))) {
            self.first.lock().entry(tenant.clone()).or_insert((at, now_ns));
        }
    }

    /// From where on the log is kept.
    pub(crate) fn from(&self, now_ns: i64) -> Option<Position> {
        let waits = |since_ns: i64| now_ns.saturating_sub(since_ns) < crate::core::ns(PATIENCE);
        self.first.lock().values().filter(|(_, since)| waits(*since)).map(|(at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use model::SpanBatch;

    use super::*;

    fn at(segment: u64) -> Position {
        Position { segment, offset: 0 }
    }

    #[test]
    fn spans_are_kept_until_the_last_part_of_what_is_derived_follows() {
        let (tenant, other) = (TenantId::default(), TenantId::new("other").unwrap());
        let spans = [Batch::Spans(SpanBatch::default())];
        let kept = Uncounted::new(true);
        let note = |tenant: &TenantId, id, at| kept.note(tenant, id, &spans, (at, 0));
        note(&tenant, None, at(2));
        note(&tenant, None, at(3));
        note(&other, None, at(4));
        assert_eq!(kept.from(0), Some(at(2)));
        note(&tenant, Some(BatchId::derived(1, 1, 0, 2)), at(5));
        assert_eq!(kept.from(0), Some(at(2)));
        note(&tenant, Some(BatchId::derived(1, 1, 1, 2)), at(6));
        assert_eq!(kept.from(0), Some(at(4)));
        note(&tenant, None, at(7));
        note(&other, Some(BatchId::derived(1, 1, 0, 1)), at(8));
        assert_eq!(kept.from(0), Some(at(7)));
        assert_eq!(kept.from(PATIENCE.as_nanos() as i64), None, "a log is not kept for ever");
    }

    #[test]
    fn without_a_witness_nothing_is_kept() {
        let kept = Uncounted::new(false);
        kept.note(&TenantId::default(), None, &[Batch::Spans(SpanBatch::default())], (at(1), 0));
        assert_eq!(kept.from(0), None);
    }
}
