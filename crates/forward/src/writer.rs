//! The writer: one task through which everything that is queued passes, in groups. While a group is being synced the
//! next one gathers. Because one task does it all, the order of the queue is the order of the counts.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Class, Error, Result,
    core::Core,
    frame::{GROUP, Group, IDS, Ids, Part},
    known::{Known, second},
    ledger::Place,
};

/// Bytes of one group. Larger: fewer syncs; smaller: less is read at once for a destination.
const GROUP_BYTES: usize = 1 << 20;
/// Units that wait for the writer; more wait in their senders.
const WAITING: usize = 256;
/// After the disk refused, units are turned away for this long before they reach the store.
const PAUSE_NS: i64 = 1_000_000_000;

/// Parts of one unit, to be queued together.
pub(crate) struct Pending {
    pub(crate) unit: u128,
    /// Only if no unit of this id was queued before.
    pub(crate) if_unknown: bool,
    pub(crate) parts: Vec<Part>,
    pub(crate) reply: oneshot::Sender<Result<()>>,
}

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Entrance {
    queue: mpsc::Sender<Pending>,
    refused_ns: Arc<AtomicI64>,
}

impl Entrance {
    /// Returns once everything is durable.
    pub(crate) async fn queue(&self, unit: u128, if_unknown: bool, parts: Vec<Part>) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { unit, if_unknown, parts, reply };
        self.queue.send(pending).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Whether the disk refused a moment ago, so that it is better not to store what cannot be queued.
    pub(crate) fn is_refusing(&self, now_ns: i64) -> bool {
        now_ns < self.refused_ns.load(Relaxed).saturating_add(PAUSE_NS) || self.queue.is_closed()
    }
}

pub(crate) struct Writer {
    core: Arc<Core>,
    known: Known,
    queue: mpsc::Receiver<Pending>,
    refused_ns: Arc<AtomicI64>,
}

pub(crate) fn new(core: Arc<Core>, known: Known) -> (Entrance, Writer) {
    let (sender, queue) = mpsc::channel(WAITING);
    let refused_ns = Arc::new(AtomicI64::new(i64::MIN));
    (Entrance { queue: sender, refused_ns: refused_ns.clone() }, Writer { core, known, queue, refused_ns })
}

impl Writer {
    /// Runs until the forwarder is closed and nothing waits any more.
    pub(crate) async fn run(mut self) {
        loop {
            let first = tokio::select! {
                biased;
                () = self.core.closing.started(), if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
                first = self.queue.recv() => first,
            };
            let Some(first) = first else { return };
            self.group(first).await;
        }
    }

    async fn group(&mut self, first: Pending) {
        let (mut group, mut replies, mut units) = (Vec::new(), Vec::new(), HashSet::new());
        let mut counts: HashMap<(Class, String), u64> = HashMap::new();
        let mut next = Some(first);
        let mut bytes = 0;
        while let Some(mut p) = next.take() {
            if p.if_unknown && (self.known.contains(p.unit) || units.contains(&p.unit)) {
                p.parts.clear();
            }
            units.insert(p.unit);
            for mut part in p.parts {
                self.number(&mut part, &mut counts);
                bytes += part.bytes.len();
                group.push(part);
            }
            replies.push(p.reply);
            if bytes < GROUP_BYTES {
                next = self.queue.try_recv().ok();
            }
        }
        let outcome = match group.is_empty() {
            true => Ok(()),
            false => self.append(group).await,
        };
        if let Err(e) = &outcome {
            self.refused_ns.store(self.core.clock.now_ns(), Relaxed);
            tracing::warn!(units = replies.len(), error = %e, "the queue of forwarding did not take a group");
        }
        for reply in replies {
            let _ = reply.send(outcome.clone());
        }
        if outcome.is_ok() {
            self.write_ids().await;
        }
    }

    /// Tells the part how many items were queued before it, for each of its destinations.
    fn number(&self, part: &mut Part, counts: &mut HashMap<(Class, String), u64>) {
        let mut to = std::mem::take(&mut part.to);
        for (name, before) in &mut to {
            let count = counts
                .entry((part.class, name.clone()))
                .or_insert_with(|| self.core.book.produced(part, name));
            *before = *count;
            *count += u64::from(part.items);
        }
        part.to = to;
    }

    async fn append(&mut self, parts: Vec<Part>) -> Result<()> {
        let group = Group { at: self.core.book.end().at, parts };
        let payload = group.encode();
        let at = group.at + payload.len() as u64;
        let end = self.core.log.append(GROUP, payload).await?;
        self.core.book.queued(&group.parts, Place::new(end, at));
        for p in &group.parts {
            self.known.insert(p.unit, second(p.received_ns));
        }
        Ok(())
    }

    /// Writes the known ids again once enough was queued, so that neither opening nor cutting needs what is older.
    async fn write_ids(&mut self) {
        let (from, place) = (self.core.book.ids_at(), self.core.book.end());
        if place.at.saturating_sub(from.at) < self.core.ids_every_bytes {
            return;
        }
        let payload = Ids { at: place.at, units: self.known.all() }.encode();
        let at = place.at + payload.len() as u64;
        let written = match self.core.log.append(IDS, payload).await {
            Ok(end) => {
                self.core.book.ids_written(place, Place::new(end, at));
                self.core.book.save(&self.core.log).await
            }
            Err(e) => Err(e.into()),
        };
        if let Err(e) = written {
            tracing::warn!(error = %e, "the ids of what was queued could not be written; they are tried again");
        }
    }
}
