//! The committer: one task, on a thread of its own, through which every append passes, in groups.
//!
//! ```text
//! callers ──admit, encode──► queue ──► stage each ──► one frame, one sync ──► insert each ──► answers
//!                                      (known id? conflict? limit? memory?)
//! ```
//! While a group is being synced the next one gathers in the queue. Because one task does it all, heads are
//! filled in the order of the log, what a head holds is a prefix of it, and freezing is one more step between
//! two groups. Nothing is visible before it is durable, and nothing has to be undone when the log refuses.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use base::memory::Reservation;
use bytes::Bytes;
use contract::Receipt;
use disklog::Position;
use model::{Batch, BatchId, MetricBatch, Signal, TenantId};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Result,
    append::MAX_UNIT_BYTES,
    core::Core,
    frame,
    head::metrics::{Rules, Staged},
    shelf::{MAX_FROZEN, Shelf},
};

/// Units and bytes of one group. Larger groups: fewer syncs, and more work lost on callers' time-outs.
const GROUP_UNITS: usize = 1024;
const GROUP_BYTES: usize = 8 << 20;

/// What the committer is asked to do.
pub(crate) enum Work {
    Append(Box<Pending>),
    /// Freeze all heads behind everything that was queued before.
    Freeze(oneshot::Sender<()>),
    #[cfg(test)]
    Panic,
}

/// A unit on its way.
pub(crate) struct Pending {
    pub(crate) tenant: TenantId,
    pub(crate) id: Option<BatchId>,
    pub(crate) received_ns: i64,
    pub(crate) batches: Vec<Batch>,
    pub(crate) shelves: Vec<Arc<Shelf>>,
    /// The unit as it goes into the log, if staging refuses nothing more.
    pub(crate) payload: Bytes,
    pub(crate) receipt: Receipt,
    pub(crate) reply: oneshot::Sender<Result<Receipt>>,
    /// Bytes of each signal before anything of it was refused.
    pub(crate) held: Vec<(Signal, u64)>,
    /// Memory of the unit while it is under way.
    pub(crate) _memory: Reservation,
    /// Slots of the metrics batch once staged.
    pub(crate) slots: Option<Vec<u32>>,
}

enum Verdict {
    Staged,
    NextGroup,
    Answer(Result<Receipt>),
}

pub(crate) struct Committer {
    core: Arc<Core>,
    queue: mpsc::Receiver<Work>,
    carried: VecDeque<Work>,
    group: u64,
    epoch: Epoch,
}

/// The series that are defined in the log: see [`crate::epochs`].
struct Epoch {
    number: u64,
    /// Nothing of it is in the log yet.
    new: bool,
}

impl Epoch {
    /// What was defined is no longer, or perhaps never was.
    fn end(&mut self) {
        self.number += 1;
        self.new = true;
    }
}

impl Committer {
    pub(crate) fn new(core: Arc<Core>, queue: mpsc::Receiver<Work>) -> Self {
        let epoch = Epoch { number: 1, new: true };
        Committer { core, queue, carried: VecDeque::new(), group: 0, epoch }
    }

    /// Runs until it is asked to end, or every sender is gone, and the queue is empty.
    pub(crate) async fn run(mut self) {
        loop {
            let first = match self.carried.pop_front() {
                Some(work) => work,
                None => tokio::select! {
                    biased;
                    () = self.core.stop_commits.notified() => {
                        self.queue.close();
                        continue;
                    }
                    work = self.queue.recv() => match work {
                        Some(work) => work,
                        None => return,
                    },
                },
            };
            match first {
                Work::Freeze(reply) => {
                    self.freeze().await;
                    let _ = reply.send(());
                }
                Work::Append(pending) => self.commit_group(pending).await,
                #[cfg(test)]
                Work::Panic => panic!("as the test wants it"),
            }
        }
    }

    async fn commit_group(&mut self, first: Box<Pending>) {
        self.group += 1;
        let mut ids = HashSet::new();
        let mut staged: Vec<Pending> = Vec::new();
        let mut payload = frame::begin(self.epoch.new);
        let mut next = Some(first);
        while let Some(mut pending) = next.take() {
            match self.stage(&mut pending, &mut ids, staged.len() as u32) {
                Verdict::Answer(answer) => {
                    let refused_whole = answer.is_err();
                    if let Ok(receipt) = &answer {
                        self.core.counts.receipt(receipt, &self.core.clock);
                    }
                    let _ = pending.reply.send(answer);
                    if refused_whole {
                        // It has left marks in heads that only hold while it is part of the group.
                        if staged.is_empty() {
                            pending.shelves.iter().for_each(|s| s.settle());
                        }
                        break;
                    }
                }
                Verdict::NextGroup => {
                    self.carried.push_front(Work::Append(pending));
                    break;
                }
                Verdict::Staged => {
                    frame::push(&mut payload, &self.table(&pending), &pending.payload);
                    staged.push(*pending);
                }
            }
            if staged.len() >= GROUP_UNITS || payload.len() >= GROUP_BYTES {
                break;
            }
            next = match self.carried.pop_front().or_else(|| self.queue.try_recv().ok()) {
                Some(Work::Append(p)) => Some(p),
                Some(freeze) => {
                    self.carried.push_front(freeze);
                    None
                }
                None => None,
            };
        }
        if staged.is_empty() {
            return;
        }
        let before = *self.core.end.lock();
        let touched: Vec<Arc<Shelf>> = staged.iter().flat_map(|p| p.shelves.iter().cloned()).collect();
        match self.core.log.append(frame::UNITS, payload).await {
            Ok(end) => {
                if std::mem::take(&mut self.epoch.new) {
                    self.core.epochs.begun(before);
                }
                self.insert(staged, before, end);
            }
            Err(e) => {
                // Its definitions are not in the log, or nobody can say.
                self.epoch.end();
                self.turn_away(staged, e);
            }
        }
        for shelf in touched {
            shelf.settle();
        }
        let held = self.core.head_bytes();
        self.core.room.holds(held);
        if held > self.core.max_head_bytes() || self.core.log.bytes() > self.core.max_wal_bytes() {
            self.core.flush_now.notify_one();
        }
    }

    fn stage(&self, p: &mut Pending, ids: &mut HashSet<(TenantId, BatchId)>, unit: u32) -> Verdict {
        let core = &self.core;
        if let Some(id) = p.id {
            if core.known.lock().contains(&p.tenant, id, core.clock.now_ns()) {
                return Verdict::Answer(Ok(Receipt { duplicate: true, ..Receipt::default() }));
            }
            if ids.contains(&(p.tenant.clone(), id)) {
                return Verdict::NextGroup;
            }
        }
        let refused_before = p.receipt.refused_items();
        if let Some(verdict) = self.stage_metrics(p, unit) {
            return verdict;
        }
        p.batches.retain(|b| !matches!(b, Batch::Metrics(m) if m.is_empty()));
        if p.batches.is_empty() {
            return Verdict::Answer(Ok(std::mem::take(&mut p.receipt)));
        }
        if p.payload.is_empty() || p.receipt.refused_items() != refused_before {
            // Only whole units are remembered: what was refused may be sent again. What was derived never is, and
            // its place in the log must be known.
            let whole = p.receipt.refused_items() == refused_before;
            p.id = p.id.filter(|id| whole || id.as_derived().is_some());
            match wire::native::encode_apart(&p.tenant, p.id, p.received_ns, &p.batches) {
                Ok(bytes) => p.payload = bytes.into(),
                Err(e) => {
                    return Verdict::Answer(Err(Error::Internal(format!("encoding an admitted unit: {e}"))));
                }
            }
        }
        for batch in &p.batches {
            let Some(shelf) = p.shelves.iter().find(|s| s.signal == batch.signal()) else { continue };
            let held = p.held.iter().filter(|(signal, _)| *signal == shelf.signal);
            if let Err(over) = shelf.reserve(&core.budget, held.map(|(_, bytes)| bytes).sum()) {
                core.press();
                return Verdict::Answer(Err(Error::Refused {
                    limit: Some("memory.limit"),
                    message: over.to_string(),
                }));
            }
        }
        if let Some(bytes) = self.too_large(p) {
            let limit = MAX_UNIT_BYTES;
            return Verdict::Answer(Err(Error::Log(disklog::Error::TooLarge { bytes, limit })));
        }
        ids.extend(p.id.map(|id| (p.tenant.clone(), id)));
        Verdict::Staged
    }

    /// How large the unit may become together with its table, if that is too large for the log.
    fn too_large(&self, p: &Pending) -> Option<usize> {
        let (batch, shelf) = metrics_of(p)?;
        let most: usize = p.batches.iter().map(Batch::heap_bytes).sum();
        if p.payload.len() + most <= MAX_UNIT_BYTES {
            return None;
        }
        let epoch = self.epoch.number;
        let slots = p.slots.as_deref()?;
        let new = shelf.with_metrics(|head| head.table_bytes(&batch.series, slots, epoch))?;
        Some(p.payload.len() + new).filter(|bytes| *bytes > MAX_UNIT_BYTES)
    }

    /// The series of a staged unit's metrics as the log has them. Whatever is defined here goes into the log, or
    /// the epoch ends.
    fn table(&self, p: &Pending) -> Vec<u8> {
        let (Some((batch, shelf)), Some(slots)) = (metrics_of(p), &p.slots) else { return Vec::new() };
        let epoch = self.epoch.number;
        shelf.with_metrics(|head| head.table(&batch.series, slots, epoch)).unwrap_or_default()
    }

    fn stage_metrics(&self, p: &mut Pending, unit: u32) -> Option<Verdict> {
        let policy = self.core.policy.load();
        let shelf = p.shelves.iter().find(|s| s.signal == Signal::METRICS)?;
        let batch =
            p.batches.iter_mut().find_map(|b| if let Batch::Metrics(m) = b { Some(m) } else { None })?;
        let rules = Rules {
            limits: &policy.limits,
            out_of_order_ms: i64::try_from(policy.out_of_order_window.as_millis()).unwrap_or(i64::MAX),
            group: self.group,
            unit,
        };
        let mut receipt = p.receipt.clone();
        let staged = shelf.with_metrics(|head| {
            let families = batch.metadata.len();
            if head.metadata_count().saturating_add(families) > policy.limits.max_metadata {
                batch.metadata.retain(|m| head.knows_family(&m.family));
            }
            (head.stage(batch, &rules, &mut receipt), batch.metadata.len() != families)
        });
        let (outcome, dropped_families) = staged?;
        let Staged::Taken { slots, changed } = outcome else { return Some(Verdict::NextGroup) };
        receipt.accept(Signal::METRICS, batch.item_count() as u64);
        receipt.histograms += batch.histograms.len() as u64;
        receipt.exemplars += batch.exemplars.len() as u64;
        p.receipt = receipt;
        p.slots = Some(slots);
        if changed || dropped_families {
            p.payload = Bytes::new();
        }
        None
    }

    /// Makes visible what the log has, in its order, and answers.
    fn insert(&mut self, staged: Vec<Pending>, before: Position, end: Position) {
        let now = self.core.clock.now_ns();
        let mut answers = Vec::with_capacity(staged.len());
        for p in staged {
            self.core.uncounted.note(&p.tenant, p.id, &p.batches, (before, now));
            insert_unit(
                &p.shelves,
                p.batches,
                p.slots.as_deref(),
                before,
                (p.id.map(|id| (id, p.received_ns)), p.received_ns),
            );
            if let Some(id) = p.id {
                self.core.known.lock().insert(&p.tenant, id, p.received_ns, now);
            }
            self.core.counts.receipt(&p.receipt, &self.core.clock);
            answers.push((p.reply, p.receipt));
        }
        *self.core.end.lock() = end;
        for (reply, receipt) in answers {
            let _ = reply.send(Ok(receipt));
        }
    }

    /// Nothing of the group was kept. A full disk is a limit with a name, counted where the caller is told.
    fn turn_away(&self, staged: Vec<Pending>, e: disklog::Error) {
        for p in staged {
            let answer = if e.is_disk_full() {
                Error::Refused { limit: Some("disk.reserve"), message: format!("the disk is full: {e}") }
            } else {
                self.core.counts.shed("wal", &e.to_string(), &self.core.clock);
                Error::Log(e.clone())
            };
            let _ = p.reply.send(Err(answer));
        }
    }

    async fn freeze(&mut self) {
        // A new log segment, so that the ones before can be removed once the heads are flushed.
        match self.core.log.rotate().await {
            Ok(start) => *self.core.end.lock() = start,
            Err(e) => tracing::warn!(error = %e, "could not begin a new log segment before a flush"),
        }
        self.core.frozen_at_ns.store(self.core.clock.now_ns(), Relaxed);
        let upto = *self.core.end.lock();
        // Slots may be given anew, and the log before is to go.
        self.epoch.end();
        self.core.epochs.begun(upto);
        for shelf in self.core.shelves() {
            if shelf.frozen_count() < MAX_FROZEN {
                shelf.freeze(upto);
                shelf.reserve_registry(&self.core.budget);
            }
        }
    }
}

fn metrics_of(p: &Pending) -> Option<(&MetricBatch, &Shelf)> {
    let batch = p.batches.iter().find_map(|b| if let Batch::Metrics(m) = b { Some(m) } else { None })?;
    Some((batch, p.shelves.iter().find(|s| s.signal == Signal::METRICS)?))
}

/// Makes a unit visible, shelf by shelf; on each it appears as a whole.
pub(crate) fn insert_unit(
    shelves: &[Arc<Shelf>],
    batches: Vec<Batch>,
    slots: Option<&[u32]>,
    before: Position,
    seen: (Option<(BatchId, i64)>, i64),
) {
    let mut batches = batches;
    for shelf in shelves {
        let (mine, rest): (Vec<_>, Vec<_>) = batches.into_iter().partition(|b| b.signal() == shelf.signal);
        batches = rest;
        if !mine.is_empty() {
            shelf.insert(mine, slots, before, seen);
        }
    }
}
