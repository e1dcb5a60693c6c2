//! The loop of one destination and class:
//!
//! ```text
//! plan a run of frames ─► make the plan durable ─► cut it into requests ─► deliver each ─► move the cursor
//!        ▲                                                                                      │
//!        └── further behind than allowed: drop the run, counted ◄───────────────────────────────┘
//! ```
//! A plan found at the start is one that a crash or a stop interrupted: it is sent as it was planned, from the first
//! request that was not settled.

use std::{sync::Arc, time::Duration};

use base::backoff::Backoff;

use crate::{
    Class, Error, Result,
    budget::Meter,
    destination::Delivery,
    ladder::{Pressure, Thin, interval_ms},
    ledger::{AGGREGATED, LOST_ON_DISK, Lane, OVER_BUDGET, Plan, QUEUE_FULL, SAMPLED, Settled, UNREADABLE},
    link::{Halt, Link},
    pieces::{self, Read},
    queue::{self, Chunk, RunLimits, Until},
};

/// Most that is read at once for a class that is thinned, so that its requests are full all the same.
const MAX_RUN_ITEMS: usize = 1 << 18;
const MAX_RUN_BYTES: usize = 8 << 20;

enum Step {
    /// Something was done; there may be more.
    Done,
    /// Nothing to do before something is queued.
    Idle,
    Closing,
}

/// Runs until the forwarder is closed.
pub(crate) async fn run(link: Arc<Link>, lane: usize) {
    let core = link.core.clone();
    let mut queued = core.book.watch();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let mut unsaved = false;
    let mut pressure = Pressure::default();
    while !core.closing.is_started() {
        queued.borrow_and_update();
        match step(&link, lane, &mut unsaved, &mut pressure).await {
            Ok(Step::Done) => {
                unsaved = true;
                backoff.reset();
            }
            Ok(Step::Closing) => return,
            Ok(Step::Idle) => tokio::select! {
                _ = queued.changed() => {}
                () = core.closing.started() => return,
            },
            Err(e) => {
                tracing::warn!(destination = link.name, error = %e, "forwarding cannot go on; it is tried again");
                tokio::select! {
                    () = core.clock.sleep(backoff.next_wait(&mut rand::rng())) => {}
                    () = core.closing.started() => return,
                }
            }
        }
    }
}

/// What was done before is saved together with the next plan, or here where there is none.
async fn step(link: &Arc<Link>, index: usize, unsaved: &mut bool, pressure: &mut Pressure) -> Result<Step> {
    let core = &link.core;
    if core.book.skip_if_idle(index) {
        if *unsaved {
            core.book.save(&core.log).await?;
            *unsaved = false;
        }
        return Ok(Step::Idle);
    }
    let Some(lane) = core.book.lane(index) else { return Ok(Step::Closing) };
    if let Some(plan) = lane.plan.clone() {
        let chunk = fetch(link, &lane, plan.base, Until::Place(plan.to)).await?;
        let read = pieces::read(&chunk.parts);
        return send(link, index, &lane, Run { chunk, read, plan }).await;
    }
    let (items, bytes) = (link.limits.max_batch_items, link.request_bytes(lane.class));
    let limits = run_limits(link, lane.class, pressure.step(), (items, bytes));
    let until = Until::Limits { end: core.book.end(), limits };
    let base = lane.settled();
    let chunk = fetch(link, &lane, base, until).await?;
    if chunk.to == lane.cursor {
        return Ok(Step::Idle);
    }
    let read = pieces::read(&chunk.parts);
    let (thin, is_over) = judge(link, index, &lane, &chunk, &read, pressure);
    let plan = Plan { to: chunk.to, base, done: 0, max_items: items, max_bytes: bytes, thin };
    core.book.plan(index, plan.clone());
    let drop = match () {
        () if chunk.items == 0 || link.is_overfull(index) => Some(QUEUE_FULL),
        () if is_over => Some(OVER_BUDGET),
        () => None,
    };
    if let Some(reason) = drop {
        // Nothing of it was sent, so nothing need be durable before.
        core.book.finish(index, chunk.items, 0, &Settled::default(), reason);
        return Ok(Step::Done);
    }
    send(link, index, &lane, Run { chunk, read, plan }).await
}

/// A run of the queue on its way.
struct Run {
    chunk: Chunk,
    read: Read,
    plan: Plan,
}

/// So much that after thinning about a request is left; of metrics, what is to become one sample of each series.
fn run_limits(link: &Link, class: Class, step: u8, (items, bytes): (usize, usize)) -> RunLimits {
    let ladder = link.governor.as_ref().map(|g| &g.budget.ladder);
    let interval_ms = ladder.map_or(0, |l| interval_ms(l, step));
    if interval_ms > 0 && class == Class::Metrics {
        let interval_ns = Some(interval_ms.saturating_mul(1_000_000));
        return RunLimits { items: MAX_RUN_ITEMS, bytes: MAX_RUN_BYTES, interval_ns };
    }
    let more = |limit: usize, most: usize| limit.saturating_mul(1 << step.min(16)).min(most).max(limit);
    RunLimits { items: more(items, MAX_RUN_ITEMS), bytes: more(bytes, MAX_RUN_BYTES), interval_ns: None }
}

/// How a new run is thinned, and whether it is to be dropped.
fn judge(
    link: &Link,
    index: usize,
    lane: &Lane,
    chunk: &Chunk,
    read: &Read,
    pressure: &mut Pressure,
) -> (Thin, bool) {
    let Some(governor) = &link.governor else { return (Thin::default(), false) };
    let ladder = &governor.budget.ladder;
    let behind_ns = link.core.clock.now_ns().saturating_sub(chunk.oldest_ns.min(link.core.clock.now_ns()));
    let step = pressure.next_step(ladder, lane.class, behind_ns);
    link.core.book.thinned(index, step);
    (pressure.thin(ladder, read.batches()), pressure.must_drop(ladder, lane.class, behind_ns))
}

/// Sends what is planned and finishes the plan.
async fn send(link: &Link, index: usize, lane: &Lane, run: Run) -> Result<Step> {
    let Run { chunk, read, plan } = run;
    let (core, book) = (&link.core, &link.core.book);
    // Before the first byte leaves, and again where it did not succeed the last time.
    book.save(&core.log).await?;
    book.oldest(index, chunk.oldest_ns);
    let (total, lost) = (chunk.items, chunk.lost);
    drop(chunk);
    let mut left = Settled::dropped(UNREADABLE, read.unreadable);
    let (requests, thinned) = read.requests(&plan.thin, plan.max_items, plan.max_bytes);
    let reason = if lane.class.signal() == Class::Metrics.signal() { AGGREGATED } else { SAMPLED };
    left.dropped.insert(reason.to_owned(), thinned);
    let count = requests.len() as u64;
    for (i, piece) in requests.into_iter().enumerate().skip(plan.done as usize) {
        let delivery = Delivery {
            id: link.id(lane, lane.sequence + i as u64),
            tenant: piece.tenant,
            class: lane.class,
            batch: piece.batch,
            positions: Vec::new(),
            meter: Meter::default(),
        };
        let (settled, halt) = link.deliver(index, delivery).await;
        match halt {
            // What of the request was settled is sent again under the same number, and counted then.
            Some(Halt::Closing) => return Ok(Step::Closing),
            Some(Halt::Overflow) => {
                book.settle(index, &settled);
                book.finish(index, total, count, &Settled::default(), QUEUE_FULL);
                return Ok(Step::Done);
            }
            None => book.settle(index, &settled),
        }
    }
    if lost > 0 {
        tracing::error!(destination = link.name, items = lost, "the files of the queue have lost items");
    }
    book.finish(index, total, count, &left, LOST_ON_DISK);
    Ok(Step::Done)
}

/// Reads on a thread that may wait for the disk.
async fn fetch(link: &Arc<Link>, lane: &Lane, base: u64, until: Until) -> Result<Chunk> {
    let (link, lane) = (link.clone(), lane.clone());
    let reading = tokio::task::spawn_blocking(move || queue::read(&link.core.log, &lane, base, until));
    reading.await.map_err(|e| Error::Internal(format!("reading the queue: {e}")))?
}
