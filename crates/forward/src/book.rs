//! Cursors and counts in memory, and how they become durable: the whole state as one frame of a small log of its own, so
//! that no count is ever newer or older than the cursor it belongs to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base::{Clock, Kind};
use disklog::{Log, Position};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Account, Error, Result,
    frame::Part,
    ledger::{Lane, Place, Plan, STATE_VERSION, Settled, State, source},
    stats::Stats,
};

const STATE: u8 = 1;

pub(crate) struct Book {
    held: Mutex<Held>,
    stats: Stats,
    /// The log of states.
    states: Log,
    /// The version last made durable.
    saved: tokio::sync::Mutex<u64>,
    /// First segment of the queue that is not cut off.
    cut: AtomicU64,
    /// Counts what was queued; whoever waits for more watches it.
    queued: watch::Sender<u64>,
}

struct Held {
    state: State,
    end: Place,
    /// Grows with every change that must be saved.
    version: u64,
    /// By lane: when the oldest item of its plan was received.
    oldest_ns: Vec<i64>,
    /// By lane: how far it is thinned.
    steps: Vec<u8>,
}

impl Book {
    pub(crate) fn new(state: State, end: Place, states: Log, stats: Stats) -> Self {
        state.lanes.iter().chain(&state.removed).for_each(|l| stats.resume(l));
        let (oldest_ns, steps) = (vec![i64::MAX; state.lanes.len()], vec![0; state.lanes.len()]);
        let held = Held { state, end, version: 1, oldest_ns, steps };
        Book {
            held: Mutex::new(held),
            stats,
            states,
            saved: tokio::sync::Mutex::new(0),
            cut: AtomicU64::new(0),
            queued: watch::Sender::new(0),
        }
    }

    pub(crate) fn node(&self) -> u64 {
        self.held.lock().state.node
    }

    pub(crate) fn lane(&self, lane: usize) -> Option<Lane> {
        self.held.lock().state.lanes.get(lane).cloned()
    }

    pub(crate) fn end(&self) -> Place {
        self.held.lock().end
    }

    pub(crate) fn ids_at(&self) -> Place {
        self.held.lock().state.ids_at
    }

    /// A watch that changes whenever something was queued.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.queued.subscribe()
    }

    /// Items queued so far for a destination and class.
    pub(crate) fn produced(&self, part: &Part, destination: &str) -> u64 {
        let held = self.held.lock();
        let of = held.state.lanes.iter().find(|l| l.class == part.class && l.destination == destination);
        of.map_or(0, |l| l.produced)
    }

    /// Parts became durable; the queue ends at `end` now.
    pub(crate) fn queued(&self, parts: &[Part], end: Place) {
        let mut held = self.held.lock();
        held.end = end;
        for p in parts {
            for lane in held.state.lanes.iter_mut().filter(|l| l.class == p.class) {
                if p.before(&lane.destination).is_some() {
                    lane.produced += u64::from(p.items);
                    self.stats.produced(lane, u64::from(p.items));
                }
            }
        }
        held.version += 1;
        drop(held);
        self.queued.send_modify(|n| *n += 1);
    }

    /// The ids of units were written again, behind `place`.
    pub(crate) fn ids_written(&self, place: Place, end: Place) {
        let mut held = self.held.lock();
        held.state.ids_at = place;
        held.end = end;
        held.version += 1;
    }

    /// How far a lane is behind, in bytes of the queue.
    pub(crate) fn backlog(&self, lane: usize) -> u64 {
        let held = self.held.lock();
        held.state.lanes.get(lane).map_or(0, |l| backlog(l, held.end))
    }

    /// A lane without pending items follows the end without reading. True where it did.
    pub(crate) fn skip_if_idle(&self, lane: usize) -> bool {
        let mut held = self.held.lock();
        let end = held.end;
        let Some(l) = held.state.lanes.get_mut(lane) else { return true };
        if l.pending() > 0 || l.plan.is_some() {
            return false;
        }
        // Saved with whatever is saved next: without it, the same is found again.
        l.cursor = end;
        true
    }

    pub(crate) fn plan(&self, lane: usize, plan: Plan) {
        self.change(lane, |l| l.plan = Some(plan));
    }

    pub(crate) fn oldest(&self, lane: usize, received_ns: i64) {
        if let Some(oldest) = self.held.lock().oldest_ns.get_mut(lane) {
            *oldest = received_ns;
        }
    }

    /// A lane is thinned so far from now on.
    pub(crate) fn thinned(&self, lane: usize, step: u8) {
        let mut held = self.held.lock();
        let Held { steps, state, .. } = &mut *held;
        if let (Some(is), Some(l)) = (steps.get_mut(lane), state.lanes.get(lane))
            && *is != step
        {
            *is = step;
            self.stats.thinned(l, step);
        }
    }

    /// Items that have to wait for the link.
    pub(crate) fn deferred(&self, lane: usize, items: u64) {
        self.change(lane, |l| {
            l.deferred += items;
            self.stats.deferred(l, items);
        });
    }

    /// One request of the plan came to its end.
    pub(crate) fn settle(&self, lane: usize, settled: &Settled) {
        self.change(lane, |l| {
            l.settle(settled);
            self.stats.settled(l, settled);
            if let Some(plan) = &mut l.plan {
                plan.done += 1;
            }
        });
    }

    /// The plan is at its end: `left` of its `total` items were part of no request, whatever else is not settled is dropped
    /// for `reason`, and the cursor moves behind it. All in one, so that no state is saved that has half of it.
    pub(crate) fn finish(&self, lane: usize, total: u64, requests: u64, left: &Settled, reason: &str) {
        self.change(lane, |l| {
            let Some(plan) = l.plan.take() else { return };
            l.settle(left);
            self.stats.settled(l, left);
            let rest = Settled::dropped(reason, (plan.base + total).saturating_sub(l.settled()));
            l.settle(&rest);
            self.stats.settled(l, &rest);
            l.cursor = plan.to;
            l.sequence += requests;
        });
        self.oldest(lane, i64::MAX);
    }

    fn change(&self, lane: usize, change: impl FnOnce(&mut Lane)) {
        let mut held = self.held.lock();
        if let Some(l) = held.state.lanes.get_mut(lane) {
            change(l);
            held.version += 1;
        }
    }

    /// Makes everything that was changed before this call durable, and cuts off what no cursor needs any more.
    pub(crate) async fn save(&self, log: &Log) -> Result<()> {
        let wanted = self.held.lock().version;
        // Whoever waited here while another saved a newer state is done.
        let mut saved = self.saved.lock().await;
        if *saved >= wanted {
            return Ok(());
        }
        let (version, bytes, keep) = {
            let held = self.held.lock();
            let bytes = serde_json::to_vec(&held.state)
                .map_err(|e| Error::Internal(format!("writing the state of the queue: {e}")))?;
            (held.version, bytes, keep(&held.state, held.end))
        };
        let end = self.states.append(STATE, bytes).await?;
        *saved = version;
        if self.states.first().segment < end.segment {
            self.states.truncate_before(Position { segment: end.segment, offset: 0 }).await?;
        }
        if self.cut.load(Relaxed) < keep.segment {
            log.truncate_before(keep).await?;
            self.cut.store(keep.segment, Relaxed);
        }
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.states.close().await;
    }

    /// Every account as of now.
    pub(crate) fn accounts(&self, clock: &Clock) -> Vec<Account> {
        let now_ns = clock.now_ns();
        let held = self.held.lock();
        let now = held.oldest_ns.iter().zip(&held.steps);
        let lanes = held.state.lanes.iter().zip(now).map(|(l, (oldest, step))| (l, *oldest, *step, false));
        let removed = held.state.removed.iter().map(|l| (l, i64::MAX, 0, true));
        let all = lanes.chain(removed).filter(|(l, ..)| l.produced > 0);
        let accounts: Vec<Account> = all
            .map(|(l, oldest, thinned, removed)| {
                let pending = l.pending();
                let waits = pending > 0 && oldest < i64::MAX;
                Account {
                    destination: l.destination.clone(),
                    source: source(held.state.node, &l.destination, l.class),
                    signal: l.class.signal().to_string(),
                    class: l.class,
                    produced: l.produced,
                    acknowledged: l.acknowledged,
                    refused: l.refused.clone(),
                    dropped: l.dropped.clone(),
                    pending,
                    deferred: l.deferred,
                    thinned,
                    backlog_bytes: if pending > 0 { backlog(l, held.end) } else { 0 },
                    lag_seconds: if waits { (now_ns - oldest).max(0) as f64 / 1e9 } else { 0.0 },
                    removed,
                }
            })
            .collect();
        drop(held);
        accounts.iter().for_each(|a| self.stats.waits(a));
        accounts
    }
}

fn backlog(lane: &Lane, end: Place) -> u64 {
    end.at.saturating_sub(lane.cursor.at)
}

/// The position before which nothing of the queue is needed.
fn keep(state: &State, end: Place) -> Position {
    // Who has nothing to send needs nothing, wherever its cursor is.
    let busy = state.lanes.iter().filter(|l| l.pending() > 0 || l.plan.is_some());
    let cursors = busy.map(|l| l.cursor.position());
    cursors.chain([state.ids_at.position(), end.position()]).min().unwrap_or_default()
}

/// The last state in its log, none where there never was one.
pub(crate) fn last_state(states: &Log) -> Result<Option<State>> {
    let mut last = None;
    for entry in states.read_from(Position::default())? {
        last = Some(entry?.payload);
    }
    let Some(bytes) = last else { return Ok(None) };
    let corrupt = |e: serde_json::Error| Error::State { reason: e.to_string(), kind: Kind::Corrupt };
    let state: serde_json::Value = serde_json::from_slice(&bytes).map_err(corrupt)?;
    let version = state.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != u64::from(STATE_VERSION) {
        let reason = format!("it has version {version}, this program reads version {STATE_VERSION}");
        return Err(Error::State { reason, kind: Kind::Invalid });
    }
    Ok(Some(serde_json::from_value(state).map_err(corrupt)?))
}
