//! What a destination is: it sends one batch once and says what became of it. Everything else (the queue, numbers, trying
//! again, which address, what is counted) is the engine's, so that a destination is little more than a protocol.

pub mod datadog;
pub mod elastic;
pub mod file;
mod flat;
pub mod hec;
pub mod http;
mod json;
pub mod kafka;
pub mod loki;
pub mod otlp;
pub mod otlp_grpc;
pub mod remote_write;

use std::time::Duration;

use async_trait::async_trait;
use model::{Batch, BatchId, Signal, TenantId};

use crate::{
    Class,
    budget::Meter,
    ledger::Reasons,
    selection::{retain_logs, retain_metrics, retain_spans},
};

/// The header that carries a batch's id: source, epoch and sequence in hexadecimal digits, with dashes between them.
pub const BATCH_HEADER: &str = "x-orrery-batch";

/// The header that carries how many items a request has, as the sender counts them.
pub const ITEMS_HEADER: &str = "x-orrery-items";

/// The header in which another node says how many items of a request it refused in part are stored.
pub const STORED_HEADER: &str = "x-orrery-stored";

/// The id as [`BATCH_HEADER`] has it.
pub fn batch_text(id: BatchId) -> String {
    match id {
        BatchId::Numbered { source, epoch, sequence } => format!("{source:016x}-{epoch:x}-{sequence:x}"),
        BatchId::Content(hash) => format!("{hash:032x}"),
    }
}

/// Reads [`BATCH_HEADER`]; none where it is not one.
pub fn parse_batch(text: &str) -> Option<BatchId> {
    let hex = |s: &str| u64::from_str_radix(s, 16).ok();
    let mut parts = text.split('-');
    let id = match (parts.next()?, parts.next(), parts.next()) {
        (source, Some(epoch), Some(sequence)) => {
            BatchId::Numbered { source: hex(source)?, epoch: hex(epoch)?, sequence: hex(sequence)? }
        }
        (hash, None, None) => BatchId::Content(u128::from_str_radix(hash, 16).ok()?),
        _ => return None,
    };
    parts.next().is_none().then_some(id)
}

/// One request's worth of items of one tenant and class.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Equal ids have equal items, however often and from whichever life of this node they come.
    pub id: BatchId,
    pub tenant: TenantId,
    pub class: Class,
    pub batch: Batch,
    /// Of items that are sent again without those that went through: where each stood at first. Empty where all are there.
    pub positions: Vec<u32>,
    /// Counts what is put on the wire for it.
    pub meter: Meter,
}

impl Delivery {
    pub fn items(&self) -> u64 {
        self.batch.item_count() as u64
    }

    /// Where item `i` stood when the batch was whole.
    pub fn position(&self, i: usize) -> u32 {
        self.positions.get(i).copied().unwrap_or(i as u32)
    }

    /// Only the items at these indexes, which ascend.
    pub(crate) fn only(&self, indexes: &[u32]) -> Self {
        let keep = |i: usize, _: u32| indexes.binary_search(&(i as u32)).is_ok();
        let batch = match &self.batch {
            Batch::Metrics(m) => Batch::Metrics(retain_metrics(m, |i| keep(i, 0))),
            Batch::Logs(l) => Batch::Logs(retain_logs(l, keep)),
            Batch::Spans(s) => Batch::Spans(retain_spans(s, keep)),
            whole => return Delivery { batch: whole.clone(), ..self.clone() },
        };
        let positions = indexes.iter().map(|i| self.position(*i as usize)).collect();
        Delivery { batch, positions, ..self.clone() }
    }
}

/// What an attempt led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Answered item by item: those refused by reason, and the indexes, ascending, of those to be sent again. The others
    /// are acknowledged.
    Answered { refused: Reasons, again: Vec<u32>, detail: String },
    /// Refused as a whole, and it will be next time.
    Refused { reason: String, detail: String },
    /// Refused for its size.
    TooLarge { detail: String },
    /// Not taken, or nobody knows; to be sent again, not before `after` has passed. `down` speaks against the address
    /// rather than against the pace.
    Later { after: Option<Duration>, down: bool, detail: String },
}

impl Outcome {
    pub fn acknowledged() -> Self {
        Outcome::Answered { refused: Reasons::new(), again: Vec::new(), detail: String::new() }
    }

    pub fn refused(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Outcome::Refused { reason: reason.into(), detail: detail.into() }
    }

    pub fn down(detail: impl Into<String>) -> Self {
        Outcome::Later { after: None, down: true, detail: detail.into() }
    }

    /// Acknowledged but for some items, refused for one reason.
    pub fn partly(reason: &str, refused: u64, detail: impl Into<String>) -> Self {
        let refused =
            if refused > 0 { Reasons::from([(reason.to_owned(), refused)]) } else { Reasons::new() };
        Outcome::Answered { refused, again: Vec::new(), detail: detail.into() }
    }
}

/// Somewhere telemetry is sent to.
///
/// Implementations MUST:
/// - answer with acknowledged items only where the other side said that it has them;
/// - send the same bytes for the same delivery;
/// - return within their time-out, and bear being dropped at any time before;
/// - tell the delivery's meter what they put on the wire, where links have budgets; without that, items count as they are
///   held in memory.
///
/// They MUST NOT try again by themselves, but for another form of the same request (an older version of a protocol).
#[async_trait]
pub trait Destination: Send + Sync {
    /// Whether items of this signal can be sent at all; others are not queued.
    fn takes(&self, signal: &Signal) -> bool;

    /// How many addresses there are, at least one; the first is preferred.
    fn addresses(&self) -> usize;

    /// Sends once, to one address.
    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_read_as_they_are_written(source: u64, epoch: u64, sequence: u64, hash: u128) {
            for id in [BatchId::Numbered { source, epoch, sequence }, BatchId::Content(hash)] {
                prop_assert_eq!(parse_batch(&batch_text(id)), Some(id));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse_batch(&text);
        }
    }
}
