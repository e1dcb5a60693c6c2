//! The way in, up to the commit queue: what one caller's task does for its own unit.

use std::sync::Arc;

use base::{Kind, memory::Use};
use contract::{AppendUnit, Receipt};
use model::{Batch, Signal, TenantId};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Result,
    admit::admit,
    commit::{Pending, Work},
    core::Core,
    room,
};

/// Largest encoded unit, its new series included; a frame of the log takes a whole group.
pub(crate) const MAX_UNIT_BYTES: usize = 48 << 20;

pub(crate) async fn append(
    core: &Arc<Core>,
    queue: &mpsc::Sender<Work>,
    tenant: &TenantId,
    unit: AppendUnit,
) -> contract::Result<Receipt> {
    let done = append_inner(core, queue, tenant, unit).await;
    if let Err(e) = &done
        && e.kind.is_retryable()
        && let Some(limit) = e.limit
    {
        core.counts.shed(limit, &e.message, &core.clock);
    }
    done
}

async fn append_inner(
    core: &Arc<Core>,
    queue: &mpsc::Sender<Work>,
    tenant: &TenantId,
    unit: AppendUnit,
) -> contract::Result<Receipt> {
    if core.is_closing() || core.broken.lock().is_some() {
        return Err(contract::Error::unavailable(core.closed()));
    }
    crate::disk::check_reserve(core)?;
    room::wait(core).await;
    // Ids are remembered by this node's time of receipt; a caller's clock must not shorten the horizon.
    let received_ns = core.clock.now_ns();
    if let Some(id) = unit.batch_id
        && core.known.lock().contains(tenant, id, received_ns)
    {
        let receipt = Receipt { duplicate: true, ..Receipt::default() };
        core.counts.receipt(&receipt, &core.clock);
        return Ok(receipt);
    }
    let held: Vec<(Signal, u64)> = unit.batches.iter().map(|b| (b.signal(), b.heap_bytes() as u64)).collect();
    let bytes: u64 = held.iter().map(|(_, bytes)| bytes).sum();
    let memory = core.budget.reserve(Use::Ingest, 2 * bytes).map_err(|over| {
        core.press();
        contract::Error::from(over)
    })?;
    let mut receipt = Receipt::default();
    let exemplars = exemplars_in(&unit.batches);
    let batches = admit(unit.batches, bytes, &core.policy.load(), received_ns, &mut receipt);
    core.counts.exemplars_dropped("invalid", exemplars.saturating_sub(exemplars_in(&batches)));
    if batches.is_empty() {
        core.counts.receipt(&receipt, &core.clock);
        return Ok(receipt);
    }
    let id = unit.batch_id.filter(|id| receipt.refused.is_empty() || id.as_derived().is_some());
    let payload = wire::native::encode_apart(tenant, id, received_ns, &batches)
        .map_err(|e| contract::Error::new(e.kind(), format!("unit of tenant {tenant}: {e}")))?;
    if payload.len() > MAX_UNIT_BYTES {
        let message = format!("one unit of {} bytes, at most {MAX_UNIT_BYTES} are taken", payload.len());
        return Err(contract::Error::new(Kind::Limited, message));
    }
    let mut shelves = Vec::new();
    for batch in &batches {
        if !shelves.iter().any(|s: &Arc<crate::shelf::Shelf>| s.signal == batch.signal()) {
            shelves.push(core.shelf_or_new(tenant, &batch.signal(), true).await.map_err(refused_tenant)?);
        }
    }
    let (reply, answer) = oneshot::channel();
    let pending = Pending {
        tenant: tenant.clone(),
        id,
        received_ns,
        batches,
        shelves,
        payload: payload.into(),
        receipt,
        reply,
        held,
        _memory: memory,
        slots: None,
    };
    let closed = || contract::Error::unavailable(core.closed());
    queue.send(Work::Append(Box::new(pending))).await.map_err(|_| closed())?;
    Ok(answer.await.map_err(|_| closed())??)
}

fn exemplars_in(batches: &[Batch]) -> u64 {
    let of = |b: &Batch| if let Batch::Metrics(m) = b { m.exemplars.len() as u64 } else { 0 };
    batches.iter().map(of).sum()
}

/// A limit on tenants is the caller's own making, not a state of this node.
fn refused_tenant(e: Error) -> contract::Error {
    let mut e = contract::Error::from(e);
    if e.limit == Some("ingest.max_tenants") {
        e.kind = Kind::Limited;
    }
    e
}

/// Freezes all heads behind everything appended before.
pub(crate) async fn freeze(core: &Core, queue: &mpsc::Sender<Work>) -> Result<()> {
    let closed = || Error::Refused { limit: None, message: core.closed() };
    let (reply, done) = oneshot::channel();
    queue.send(Work::Freeze(reply)).await.map_err(|_| closed())?;
    done.await.map_err(|_| closed())
}
