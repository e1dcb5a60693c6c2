//! The way in.

use async_trait::async_trait;
use model::{Batch, BatchId, Signal, TenantId};

use crate::Result;

/// What is appended as one atomic unit: all of its batches become durable and queryable together, or none
/// does. Spans and the metrics derived from them travel in one unit.
#[derive(Debug, Clone)]
pub struct AppendUnit {
    /// Present where a re-sent unit is to be recognised.
    pub batch_id: Option<BatchId>,
    /// When this node received it, nanoseconds since 1970.
    pub received_ns: i64,
    pub batches: Vec<Batch>,
}

/// Is told what a log holds while a store reads it again: every unit that is still in it, in its order, before the
/// store takes anything. Whoever keeps counts of what is stored builds them anew from that.
///
/// A store with a witness MUST keep in its log every unit with spans until a unit with an id of
/// [`BatchId::derived`] follows it, the last part of one; units of such ids keep them though items were refused.
/// It MAY stop keeping units for one that does not follow for minutes.
pub trait Witness: Send + Sync + std::fmt::Debug {
    /// `batches` hold what was accepted. Metrics may lack labels of series that were defined in a part of the log that
    /// is gone.
    fn replayed(&self, tenant: &TenantId, batch_id: Option<BatchId>, received_ns: i64, batches: &[Batch]);
}

/// Takes telemetry in.
///
/// Implementations MUST:
/// - return `Ok` only after every accepted item is durable: it survives kill -9 and power loss from then on;
/// - make accepted items visible to [`crate::Select`] on the same node before returning `Ok`;
/// - treat a unit atomically: after a crash either all its accepted items exist or none;
/// - recognise a `batch_id` seen within the retry horizon whose earlier append was accepted whole, store
///   nothing and answer with [`Receipt::duplicate`];
/// - name each refused item's reason in the receipt and count it. A refusal of some items is `Ok`;
/// - leave nothing behind when they return `Err`: the caller may retry the same unit.
///
/// They MAY refuse whole units with `Kind::Unavailable` (memory, disk reserve, shutting down). Cancelling the
/// future leaves it open whether the unit was stored; a caller that retries after that uses a `batch_id`.
#[async_trait]
pub trait Append: Send + Sync {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> Result<Receipt>;
}

/// The answer to an append.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Items accepted and durable, per signal.
    pub accepted: Vec<(Signal, u64)>,
    pub refused: Vec<Refusal>,
    /// Of the accepted metric items, those that are histograms.
    pub histograms: u64,
    /// Exemplars accepted beside the items, which they are none of.
    pub exemplars: u64,
    /// Of the accepted items, those that were there already: same series, same time, same value.
    pub repeated: u64,
    /// The unit was known already; nothing was stored this time.
    pub duplicate: bool,
}

/// Items of one unit refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub signal: Signal,
    pub reason: RefusalReason,
    pub count: u64,
    /// The first such item, described for the sender: which series, which time, which limit.
    pub detail: String,
    /// Of log records: where each stood in its batch, for protocols that answer item by item. Of spans: where each
    /// stood among all spans of the unit. Others leave it empty.
    pub positions: Vec<u32>,
}

/// Why an item was refused. The name is a metric label, so the set stays small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Older than what retention or the out-of-order window still takes.
    TooOld,
    /// Further in the future than is believable.
    TooFarInFuture,
    /// Same series and time, another value.
    DuplicateConflict,
    /// A label name or value, or an attribute, breaks a rule or a limit.
    InvalidLabels,
    /// The sample, histogram, record or span itself is not valid.
    InvalidItem,
    /// A limit on the number of series is reached.
    SeriesLimit,
    /// The item is larger than allowed.
    TooLarge,
    /// A data type this version does not store.
    Unsupported,
    /// It names another cluster than the sender's certificate.
    OtherCluster,
}

impl RefusalReason {
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalReason::TooOld => "too_old",
            RefusalReason::TooFarInFuture => "too_far_in_future",
            RefusalReason::DuplicateConflict => "duplicate_conflict",
            RefusalReason::InvalidLabels => "invalid_labels",
            RefusalReason::InvalidItem => "invalid_item",
            RefusalReason::SeriesLimit => "series_limit",
            RefusalReason::TooLarge => "too_large",
            RefusalReason::Unsupported => "unsupported",
            RefusalReason::OtherCluster => "other_cluster",
        }
    }

    /// The reason of this name.
    pub fn parse(name: &str) -> Option<Self> {
        const ALL: [RefusalReason; 9] = [
            RefusalReason::TooOld,
            RefusalReason::TooFarInFuture,
            RefusalReason::DuplicateConflict,
            RefusalReason::InvalidLabels,
            RefusalReason::InvalidItem,
            RefusalReason::SeriesLimit,
            RefusalReason::TooLarge,
            RefusalReason::Unsupported,
            RefusalReason::OtherCluster,
        ];
        ALL.into_iter().find(|r| r.as_str() == name)
    }
}

impl Receipt {
    pub fn accepted_items(&self) -> u64 {
        self.accepted.iter().map(|(_, n)| n).sum()
    }

    pub fn refused_items(&self) -> u64 {
        self.refused.iter().map(|r| r.count).sum()
    }

    pub fn accept(&mut self, signal: Signal, count: u64) {
        if count > 0 {
            match self.accepted.iter_mut().find(|(s, _)| *s == signal) {
                Some((_, n)) => *n += count,
                None => self.accepted.push((signal, count)),
            }
        }
    }

    /// Counts a refused item; `detail` is called for the first one of its reason only.
    pub fn refuse(&mut self, signal: Signal, reason: RefusalReason, detail: impl FnOnce() -> String) {
        match self.refused.iter_mut().find(|r| r.signal == signal && r.reason == reason) {
            Some(r) => r.count += 1,
            None => self.refused.push(Refusal {
                signal,
                reason,
                count: 1,
                detail: detail(),
                positions: Vec::new(),
            }),
        }
    }

    /// The same for a log record that stands at `position` of its batch.
    pub fn refuse_record(&mut self, position: u32, reason: RefusalReason, detail: impl FnOnce() -> String) {
        self.refuse_at(Signal::LOGS, position, reason, detail);
    }

    /// The same for a span that stands at `position` among those of the unit.
    pub fn refuse_span(&mut self, position: u32, reason: RefusalReason, detail: impl FnOnce() -> String) {
        self.refuse_at(Signal::TRACES, position, reason, detail);
    }

    fn refuse_at(
        &mut self,
        signal: Signal,
        position: u32,
        reason: RefusalReason,
        detail: impl FnOnce() -> String,
    ) {
        self.refuse(signal.clone(), reason, detail);
        if let Some(r) = self.refused.iter_mut().find(|r| r.signal == signal && r.reason == reason) {
            r.positions.push(position);
        }
    }

    /// Adds another stage's receipt to this one.
    pub fn merge(&mut self, other: Receipt) {
        for (s, n) in other.accepted {
            self.accept(s, n);
        }
        for r in other.refused {
            match self.refused.iter_mut().find(|x| x.signal == r.signal && x.reason == r.reason) {
                Some(x) => {
                    x.count += r.count;
                    x.positions.extend(r.positions);
                }
                None => self.refused.push(r),
            }
        }
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
        self.repeated += other.repeated;
        self.duplicate |= other.duplicate;
    }
}

/// Shared implementations append through a reference count.
#[async_trait]
impl<T: Append + ?Sized> Append for std::sync::Arc<T> {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> Result<Receipt> {
        (**self).append(tenant, unit).await
    }
}
