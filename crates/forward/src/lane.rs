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
    Error, Result,
    destination::Delivery,
    ledger::{LOST_ON_DISK, Lane, Plan, QUEUE_FULL, Settled, UNREADABLE},
    link::{Halt, Link},
    pieces::pieces,
    queue::{self, Chunk, Until},
};

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
    while !core.closing.is_started() {
        queued.borrow_and_update();
        match step(&link, lane, &mut unsaved).await {
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
async fn step(link: &Arc<Link>, index: usize, unsaved: &mut bool) -> Result<Step> {
    let core = &link.core;
    if core.book.skip_if_idle(index) {
        if *unsaved {
            core.book.save(&core.log).await?;
            *unsaved = false;
        }
        return Ok(Step::Idle);
    }
    let Some(lane) = core.book.lane(index) else { return Ok(Step::Closing) };
    let end = core.book.end();
    let (chunk, plan) = match lane.plan.clone() {
        Some(plan) => (read(link, &lane, plan.base, Until::Place(plan.to)).await?, plan),
        None => {
            let limits = &link.limits;
            let (items, bytes) = (limits.max_batch_items, limits.max_batch_bytes);
            let base = lane.settled();
            let chunk = read(link, &lane, base, Until::Limits { end, items, bytes }).await?;
            if chunk.to == lane.cursor {
                return Ok(Step::Idle);
            }
            let plan = Plan { to: chunk.to, base, done: 0, max_items: items, max_bytes: bytes };
            core.book.plan(index, plan.clone());
            if chunk.items == 0 || link.is_overfull(index) {
                // Nothing of it was sent, so nothing need be durable before.
                core.book.finish(index, chunk.items, 0, QUEUE_FULL);
                return Ok(Step::Done);
            }
            (chunk, plan)
        }
    };
    // Before the first byte leaves, and again where it did not succeed the last time.
    core.book.save(&core.log).await?;
    core.book.oldest(index, chunk.oldest_ns);
    send(link, index, &lane, chunk, plan).await
}

/// Sends what is planned and finishes the plan.
async fn send(link: &Link, index: usize, lane: &Lane, chunk: Chunk, plan: Plan) -> Result<Step> {
    let book = &link.core.book;
    let (total, lost) = (chunk.items, chunk.lost);
    let (pieces, unreadable) = pieces(&chunk.parts, plan.max_items, plan.max_bytes);
    drop(chunk);
    let requests = pieces.len() as u64;
    for (i, piece) in pieces.into_iter().enumerate().skip(plan.done as usize) {
        let delivery = Delivery {
            id: link.id(lane, lane.sequence + i as u64),
            tenant: piece.tenant,
            class: lane.class,
            batch: piece.batch,
            positions: Vec::new(),
        };
        let (settled, halt) = link.deliver(index, delivery).await;
        match halt {
            // What of the request was settled is sent again under the same number, and counted then.
            Some(Halt::Closing) => return Ok(Step::Closing),
            Some(Halt::Overflow) => {
                book.settle(index, &settled);
                book.finish(index, total, requests, QUEUE_FULL);
                return Ok(Step::Done);
            }
            None => book.settle(index, &settled),
        }
    }
    if unreadable > 0 {
        book.settle(index, &Settled::dropped(UNREADABLE, unreadable));
    }
    if lost > 0 {
        tracing::error!(destination = link.name, items = lost, "the files of the queue have lost items");
    }
    book.finish(index, total, requests, LOST_ON_DISK);
    Ok(Step::Done)
}

/// Reads on a thread that may wait for the disk.
async fn read(link: &Arc<Link>, lane: &Lane, base: u64, until: Until) -> Result<Chunk> {
    let (link, lane) = (link.clone(), lane.clone());
    let reading = tokio::task::spawn_blocking(move || queue::read(&link.core.log, &lane, base, until));
    reading.await.map_err(|e| Error::Internal(format!("reading the queue: {e}")))?
}
