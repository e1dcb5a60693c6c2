//! The receiving end of the ledger: what other nodes sent here, by source, and what became of it.
//!
//! A node that forwards numbers its requests: (source, epoch, sequence), where a source is one node, destination and class.
//! Each number is counted here once, however often it comes: as taken and refused the first time, as repeated from then on,
//! and what was answered the first time is answered again.
//!
//! ```text
//! <dir>/     a log (disklog) of frames in JSON
//!   1 line   what became of one request, durable before it is answered      (Line)
//!   2 state  everything so far; what is before it is cut off                (State)
//! ```
//! It is in step with the store because the store knows numbers too. A crash between the store's log and this one leaves
//! a unit that is stored, not counted, and not acknowledged: it comes again, the store says that it knows it, and it is
//! counted then. Version rule: a state of a version that is not known is refused; fields may be added.

mod book;
mod lag;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use base::{Clock, Metrics};
use contract::{Receipt, Refusal, RefusalReason};
use disklog::{Disk, Log, Position};
use model::{BatchId, Signal};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, RwLock};

use self::{
    book::{Book, Counters},
    lag::newest,
};
pub use self::{
    book::{Outcome, SourceAccount},
    lag::{Lag, PipelineLag},
};
use crate::{Error, Result, Sender};

const LINE: u8 = 1;
const STATE: u8 = 2;
const VERSION: u32 = 1;
/// The state is written anew when the log has grown to this size, and to twice the last state. Smaller: more is written;
/// larger: more is read at a start.
const STATE_EVERY_BYTES: u64 = 4 << 20;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) source: u64,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) signal: String,
    /// The cluster that its items name, the first of several.
    pub(crate) cluster: String,
    /// The sender's address.
    pub(crate) from: String,
    pub(crate) at_ns: i64,
    /// It was counted before: only that it came again is.
    pub(crate) again: bool,
    pub(crate) items: u64,
    pub(crate) outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    book: Book,
}

/// Counts of what other nodes sent.
pub struct Received {
    log: Log,
    book: Mutex<Book>,
    /// Held for reading while a line is on its way into the log, for writing while a state is.
    writing: RwLock<()>,
    state_bytes: Mutex<u64>,
    /// One request of a source at a time.
    alone: Mutex<HashMap<u64, Arc<AsyncMutex<()>>>>,
    counters: Counters,
    pub(crate) lag: PipelineLag,
    clock: Clock,
}

/// What of a request is needed to count it, taken down before it is appended.
pub(crate) struct Noted {
    id: (u64, u64, u64),
    signal: Signal,
    from: String,
    items: u64,
    /// By cluster: the time of its newest item, nanoseconds since 1970.
    newest: Vec<(String, i64)>,
    received_ns: i64,
}

impl Noted {
    /// None for ids that are not numbers.
    pub(crate) fn new(
        id: BatchId,
        batch: &model::Batch,
        refused: u64,
        from: &Sender,
        received_ns: i64,
    ) -> Option<Self> {
        let BatchId::Numbered { source, epoch, sequence } = id else { return None };
        Some(Noted {
            id: (source, epoch, sequence),
            signal: batch.signal(),
            from: from.addr.clone(),
            // Where it makes more of one item (the buckets of a histogram), this node counts as the sender does.
            items: from.items.unwrap_or(u64::MAX).min(batch.item_count() as u64 + refused),
            newest: newest(batch),
            received_ns,
        })
    }
}

impl Received {
    /// Opens the ledger in `dir`, which is made where it is absent. Blocks.
    ///
    /// # Errors
    /// The disk, files that are damaged, a state of a later version.
    pub fn open(
        dir: impl Into<PathBuf>,
        disk: Arc<dyn Disk>,
        metrics: &Metrics,
        lag: PipelineLag,
        clock: Clock,
    ) -> Result<Self> {
        let options =
            disklog::Options { name: "ledger", segment_bytes: 1 << 20, ..disklog::Options::new(dir) };
        let (log, _) = Log::open(options, disk, metrics).map_err(broken)?;
        let mut book = Book::default();
        for entry in log.read_from(Position::default()).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            match entry.kind {
                STATE => {
                    let state: State = serde_json::from_slice(&entry.payload).map_err(unreadable)?;
                    if state.version != VERSION {
                        let found = state.version;
                        return Err(unreadable(format!(
                            "it has version {found}, this program reads {VERSION}"
                        )));
                    }
                    book = state.book;
                }
                LINE => book.apply(serde_json::from_slice(&entry.payload).map_err(unreadable)?),
                _ => {}
            }
        }
        let counters = Counters::new(metrics, lag.clusters.clone());
        counters.resume(&book);
        Ok(Received {
            log,
            book: Mutex::new(book),
            writing: RwLock::default(),
            state_bytes: Mutex::new(0),
            alone: Mutex::default(),
            counters,
            lag,
            clock,
        })
    }

    /// All sources, those heard of last first.
    pub fn sources(&self) -> Vec<SourceAccount> {
        self.book.lock().accounts()
    }

    pub async fn close(&self) {
        self.log.close().await;
    }

    /// Waits until no other request of the source is under way.
    pub(crate) async fn enter(&self, noted: &Noted) -> OwnedMutexGuard<()> {
        let (source, _, _) = noted.id;
        let own = {
            let mut alone = self.alone.lock();
            if alone.len() > book::MAX_SOURCES {
                alone.retain(|_, m| Arc::strong_count(m) > 1);
            }
            alone.entry(source).or_default().clone()
        };
        own.lock_owned().await
    }

    /// What became of the request when it came for the first time.
    pub(crate) fn known(&self, noted: &Noted) -> Option<Outcome> {
        let (source, epoch, sequence) = noted.id;
        self.book.lock().known(source, epoch, sequence)
    }

    /// Counts a request that was known. Durable on return.
    pub(crate) async fn again(&self, noted: &Noted) -> Result<()> {
        self.write(noted, true, Outcome::default()).await
    }

    /// Counts what became of a request that was not known here. Durable on return.
    pub(crate) async fn note(&self, noted: &Noted, receipt: &Receipt) -> Result<()> {
        let left = noted.items.saturating_sub(receipt.refused_items());
        let taken = match receipt.duplicate {
            // The store knows it: it was taken whole, and the answer never went out.
            true => left,
            false => receipt.accepted_items().min(left),
        };
        let outcome = Outcome { taken, ..Outcome::of(receipt) };
        let (source, epoch, sequence) = noted.id;
        let again = receipt.duplicate && self.book.lock().is_past(source, epoch, sequence);
        self.write(noted, again, outcome).await?;
        let stored_ns = self.clock.now_ns();
        for (cluster, at) in &noted.newest {
            self.lag.observe(cluster, noted.signal.as_str(), Lag::Received, noted.received_ns - at);
            self.lag.observe(cluster, noted.signal.as_str(), Lag::Stored, stored_ns - at);
        }
        Ok(())
    }

    async fn write(&self, noted: &Noted, again: bool, outcome: Outcome) -> Result<()> {
        let (source, epoch, sequence) = noted.id;
        let line = Line {
            source,
            epoch,
            sequence,
            signal: noted.signal.to_string(),
            cluster: noted.newest.first().map(|(c, _)| c.clone()).unwrap_or_default(),
            from: noted.from.clone(),
            at_ns: noted.received_ns,
            again,
            items: noted.items,
            outcome,
        };
        let bytes = serde_json::to_vec(&line).map_err(unreadable)?;
        {
            let _writing = self.writing.read().await;
            self.log.append(LINE, bytes).await.map_err(broken)?;
            self.counters.count(&line);
            self.book.lock().apply(line);
        }
        let due = STATE_EVERY_BYTES.max(2 * *self.state_bytes.lock());
        if self.log.bytes() > due
            && let Err(e) = self.shorten().await
        {
            tracing::warn!(error = %e, "the ledger of what was received could not be shortened; it is tried again");
        }
        Ok(())
    }

    /// Writes the state and cuts off what is before it.
    async fn shorten(&self) -> Result<()> {
        let Ok(_alone) = self.writing.try_write() else { return Ok(()) };
        let bytes = {
            let book = self.book.lock().clone();
            serde_json::to_vec(&State { version: VERSION, book }).map_err(unreadable)?
        };
        *self.state_bytes.lock() = bytes.len() as u64;
        let start = self.log.rotate().await.map_err(broken)?;
        self.log.append(STATE, bytes).await.map_err(broken)?;
        self.log.truncate_before(start).await.map_err(broken)?;
        Ok(())
    }
}

/// Told to the sender as a reason to come again: it must not believe that the request was counted.
fn broken(e: disklog::Error) -> Error {
    Error::from(contract::Error::new(e.kind(), format!("the ledger of what was received: {e}")))
}

fn unreadable(e: impl std::fmt::Display) -> Error {
    let message = format!("the ledger of what was received cannot be read: {e}");
    Error::from(contract::Error::new(base::Kind::Corrupt, message))
}

impl Outcome {
    fn of(receipt: &Receipt) -> Self {
        Outcome {
            taken: receipt.accepted_items(),
            histograms: receipt.histograms,
            exemplars: receipt.exemplars,
            refused: receipt
                .refused
                .iter()
                .map(|r| (r.reason.as_str().to_owned(), r.count, r.positions.clone()))
                .collect(),
        }
    }

    /// The answer of the first time.
    pub(crate) fn receipt(&self, signal: &Signal) -> Receipt {
        let refusal = |(reason, count, positions): &(String, u64, Vec<u32>)| Refusal {
            signal: signal.clone(),
            reason: RefusalReason::parse(reason).unwrap_or(RefusalReason::InvalidItem),
            count: *count,
            detail: "as answered when it came for the first time".to_owned(),
            positions: positions.clone(),
        };
        let mut receipt = Receipt {
            refused: self.refused.iter().map(refusal).collect(),
            histograms: self.histograms,
            exemplars: self.exemplars,
            duplicate: true,
            ..Receipt::default()
        };
        receipt.accept(signal.clone(), self.taken);
        receipt
    }
}

#[cfg(test)]
mod tests;
