//! The way in, one function per protocol. Each hands its decoder to [`Ingest::admit`], which holds the order
//! of the steps:
//!
//! 1. reserve memory for the body and its unpacked form, or shed;
//! 2. unpack under the cap;
//! 3. decode, collecting refusals of single items;
//! 4. name the batch by content where every item has its own time;
//! 5. take out what a sender may not speak for;
//! 6. add up what came as differences;
//! 7. stamp the cluster, and find out what senders of logs left to be found out;
//! 8. append, which returns once everything is durable.

mod body;
mod bulk;
mod jaeger_json;
mod numbered;
mod otlp;
mod spans;
mod syslog;

use std::{collections::HashSet, sync::Arc};

use base::{
    Clock, MemoryBudget, Metrics,
    cap::Encoding,
    memory::{Reservation, Use},
};
use bytes::Bytes;
use contract::{Append, AppendUnit, Receipt, Refusal, RefusalReason};
use model::{Batch, BatchId, Signal, TenantId};
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use wire::{Decoded, Reason, otlp::metrics::Deltas};

use self::{
    body::{Salt, expected_bytes, fit, unpack},
    bulk::Bulked,
};
use crate::{
    Error, LokiFormat, Options, Result, Sender, claim, delta::Accumulator, discover, identities::Identities,
    known::Known, received::Received, stamp, stats::Stats,
};

pub use syslog::SyslogPiece;

/// Bodies larger than this are decoded on the blocking pool, so that a few of them do not hold every worker.
/// Larger: health checks wait behind them. Smaller: a change of threads costs more than the decoding.
const INLINE_BYTES: usize = 32 << 10;

/// Admission of one node. Cheap to share behind an `Arc`.
pub struct Ingest {
    append: Arc<dyn Append>,
    budget: MemoryBudget,
    stats: Stats,
    clock: Clock,
    options: RwLock<Arc<Resolved>>,
    deltas: Accumulator,
    known: Known,
    identities: Identities,
    /// What other nodes sent, if this one counts it.
    received: Option<Arc<Received>>,
    /// A place for each core: more decoders at once finish no sooner, hold more memory, and leave everything
    /// else on the machine waiting in line.
    decoders: Arc<Semaphore>,
}

/// Options with what is derived from them.
struct Resolved {
    options: Options,
    otlp: wire::otlp::Options,
}

impl Resolved {
    fn new(options: Options) -> Arc<Self> {
        Arc::new(Resolved { otlp: options.otlp(), options })
    }
}

/// What of a remote write was stored, by the kinds its sender counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
}

impl Written {
    fn of(batch: &Batch) -> Self {
        match batch {
            Batch::Metrics(m) => Written {
                samples: m.samples.len() as u64,
                histograms: m.histograms.len() as u64,
                exemplars: m.exemplars.len() as u64,
            },
            _ => Written::default(),
        }
    }

    /// What the append took of `sent`. Of a unit it knew already, all of that was stored the first time.
    fn after(sent: Written, receipt: &Receipt) -> Self {
        if receipt.duplicate {
            return sent;
        }
        let metrics =
            receipt.accepted.iter().filter(|(s, _)| *s == Signal::METRICS).map(|(_, n)| n).sum::<u64>();
        Written {
            samples: metrics.saturating_sub(receipt.histograms),
            histograms: receipt.histograms,
            exemplars: receipt.exemplars,
        }
    }
}

/// A decoded body: the batch, and which of its points are differences.
struct Plain {
    decoded: Decoded<Batch>,
    deltas: Deltas,
    /// What its protocol answers item by item.
    bulk: Option<Bulked>,
    /// What tells it from others where its bytes do not: the same body may be written in several ways.
    identity: Option<u128>,
    /// Its id, where that is known by where it came from.
    id: Option<BatchId>,
}

/// What became of a request.
struct Admitted {
    receipt: Receipt,
    written: Written,
    bulk: Option<Bulked>,
}

impl From<Decoded<Batch>> for Plain {
    fn from(decoded: Decoded<Batch>) -> Self {
        Plain { decoded, deltas: Deltas::default(), bulk: None, identity: None, id: None }
    }
}

/// One request on its way, as far as all protocols have it in common.
struct Request<'a> {
    /// Metric label: `remote_write`, `remote_write_v2`, `loki`, `otlp_http`, `otlp_grpc`, `zipkin`, `jaeger_http` and so on.
    protocol: &'static str,
    endpoint: &'static str,
    /// What else of the request says where it belongs: the index that the path of a bulk names.
    within: &'a str,
    tenant: &'a TenantId,
    sender: &'a Sender,
}

impl Ingest {
    pub fn new(
        append: Arc<dyn Append>,
        budget: MemoryBudget,
        metrics: &Metrics,
        clock: Clock,
        options: Options,
    ) -> Self {
        let options = RwLock::new(Resolved::new(options));
        let deltas = Accumulator::new(metrics, budget.clone());
        let known = Known::default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let decoders = Arc::new(Semaphore::new(cores));
        let (stats, identities) = (Stats::new(metrics), Identities::default());
        Ingest { append, budget, stats, clock, options, deltas, known, identities, received: None, decoders }
    }

    /// Counts what other nodes send by the numbers they give to it.
    pub fn with_received(self, received: Arc<Received>) -> Self {
        Ingest { received: Some(received), ..self }
    }

    /// Replaces the options; requests under way keep the old ones.
    pub fn set_options(&self, options: Options) {
        *self.options.write() = Resolved::new(options);
    }

    /// The largest body to read from a connection.
    pub fn max_body_bytes(&self) -> usize {
        self.options.read().options.limits.max_body_bytes
    }

    /// The longest body of a log record.
    pub fn max_line_bytes(&self) -> usize {
        self.options.read().options.limits.items.max_line_bytes
    }

    /// Prometheus remote write 1.0. `encoding` is snappy for every known sender.
    pub async fn remote_write_v1(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let request =
            Request { protocol: "remote_write", endpoint: "remote_write_v1", within: "", tenant, sender };
        let known = self.known.of(tenant, &self.budget);
        let admitted = self.admit(request, encoding, body, move |body, at| {
            Ok(known.decode_v1(body, &at.otlp.limits)?.map(Batch::Metrics).into())
        });
        Ok(admitted.await?.receipt)
    }

    /// Prometheus remote write 2.0, with what was written as its answer has to say it.
    pub async fn remote_write_v2(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<(Receipt, Written)> {
        let request =
            Request { protocol: "remote_write_v2", endpoint: "remote_write_v2", within: "", tenant, sender };
        let admitted = self.admit(request, encoding, body, |body, at| {
            Ok(wire::remote_write::v2::decode(body, &at.otlp.limits)?.map(Batch::Metrics).into())
        });
        let Admitted { receipt, written, .. } = admitted.await?;
        Ok((receipt, written))
    }

    /// `/loki/api/v1/push`. Protobuf without an encoding is snappy, as Loki's clients send it.
    pub async fn loki_push(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        format: LokiFormat,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let request = Request { protocol: "loki", endpoint: "loki_push", within: "", tenant, sender };
        let packed = format == LokiFormat::Protobuf && encoding == Encoding::Identity;
        let encoding = if packed { Encoding::Snappy } else { encoding };
        let admitted = self.admit(request, encoding, body, move |body, at| {
            let decode = match format {
                LokiFormat::Json => wire::loki::decode_json,
                LokiFormat::Protobuf => wire::loki::decode_protobuf,
            };
            Ok(decode(body, &at.otlp.limits)?.map(Batch::Logs).into())
        });
        Ok(admitted.await?.receipt)
    }

    /// All steps for a body.
    async fn admit(
        &self,
        request: Request<'_>,
        encoding: Encoding,
        body: Bytes,
        decode: impl FnOnce(&[u8], &Resolved) -> Result<Plain> + Send + 'static,
    ) -> Result<Admitted> {
        let started = self.clock.monotonic();
        self.stats.received(request.protocol, body.len());
        let outcome = self.admit_body(&request, encoding, body, decode).await;
        let receipt = outcome.as_ref().map(|admitted| &admitted.receipt);
        self.stats.done(request.protocol, request.tenant, receipt, started.elapsed(), &self.clock);
        outcome
    }

    async fn admit_body(
        &self,
        request: &Request<'_>,
        encoding: Encoding,
        body: Bytes,
        decode: impl FnOnce(&[u8], &Resolved) -> Result<Plain> + Send + 'static,
    ) -> Result<Admitted> {
        let at = self.options.read().clone();
        let max = at.options.limits.max_body_bytes;
        if body.len() > max {
            let message = format!("a body of {} bytes, ingest.max_body is {max}", body.len());
            return Err(Error::too_large("ingest.max_body", message));
        }
        let received_ns = self.clock.now_ns();
        let inline = body.len() <= INLINE_BYTES;
        // Before the memory: who waits holds the body as it came and nothing more.
        let place = if inline { None } else { self.decoders.clone().acquire_owned().await.ok() };
        let mut held = self.budget.reserve(Use::Ingest, expected_bytes(encoding, &body, &at))?;
        let salt = Salt::of(request);
        let work = move || -> Result<_> {
            let _place = place;
            let plain = unpack(encoding, &body, &at)?;
            fit(&mut held, body.len(), plain.len())?;
            let unit = decode(&plain, &at)?;
            let decoded = &unit.decoded;
            let made = unit.identity.map(u128::to_le_bytes);
            let content = made.as_ref().map_or(&plain[..], |made| &made[..]);
            let of_content = || decoded.all_timed.then(|| salt.batch_id(content, decoded.refused.total()));
            let id = unit.id.or_else(of_content);
            let unpacked = plain.len();
            drop(plain);
            // Labels that a body only refers to may take more than was expected of it.
            let bytes = decoded.batch.heap_bytes() as u64;
            if bytes > held.bytes() {
                held.grow(bytes - held.bytes())?;
            }
            held.shrink_to(bytes);
            Ok((unit, id, unpacked, at, held))
        };
        let (unit, id, unpacked, at, held) =
            if inline { work()? } else { tokio::task::spawn_blocking(work).await?? };
        self.stats.unpacked(request.protocol, unpacked);
        self.append_numbered(request, unit, id, (received_ns, &at), held).await
    }

    /// The last steps: add up, stamp, append, and one receipt for what both sides refused.
    async fn append(
        &self,
        request: &Request<'_>,
        unit: Plain,
        batch_id: Option<BatchId>,
        (received_ns, at): (i64, &Resolved),
        held: Reservation,
    ) -> Result<Admitted> {
        let Plain { decoded: Decoded { mut batch, refused, .. }, mut deltas, bulk, .. } = unit;
        let (tenant, proved) = (request.tenant, request.sender.cluster.as_ref());
        let signal = batch.signal();
        let mut receipt = Receipt::default();
        for r in refused {
            let detail = format!("{} (item {} of the request)", r.detail, r.first);
            receipt.refused.push(Refusal {
                signal: signal.clone(),
                reason: reason(r.reason),
                count: r.count,
                detail,
                positions: Vec::new(),
            });
        }
        if let Some(own) = proved {
            let foreign = claim::keep_own(&mut batch, &mut deltas, own);
            if foreign.items > 0 {
                receipt.refused.push(Refusal {
                    signal,
                    reason: RefusalReason::OtherCluster,
                    count: foreign.items,
                    detail: format!("of cluster {:?}, but the certificate is for {own}", foreign.named),
                    positions: foreign.positions.clone(),
                });
            }
        }
        let mut running = None;
        if let (Batch::Metrics(m), Some(limits), false) =
            (&mut batch, at.options.deltas.as_ref(), deltas.is_empty())
        {
            let mut totals = self.deltas.of(tenant).await;
            if batch_id.is_some_and(|id| totals.knows(id)) {
                receipt.duplicate = true;
                return Ok(Admitted { receipt, written: Written::of(&batch), bulk });
            }
            totals.add_up(m, &deltas, limits, received_ns, &mut receipt)?;
            running = Some(totals);
        }
        if is_empty(&batch) {
            return Ok(Admitted { receipt, written: Written::default(), bulk });
        }
        if let Some(cluster) = proved.or(at.options.cluster.as_ref()) {
            stamp::cluster(&mut batch, cluster);
        }
        if let Batch::Logs(logs) = &mut batch {
            discover::apply(logs, at.options.discover);
        }
        let sent = Written::of(&batch);
        let unit = AppendUnit { batch_id, received_ns, batches: vec![batch] };
        let outcome = self.append.append(tenant, unit).await;
        drop(held);
        if let Some(totals) = running {
            match &outcome {
                Ok(r) if !r.duplicate => totals.keep(batch_id),
                _ => totals.undo(),
            }
        }
        let mut stored = outcome?;
        let written = Written::after(sent, &stored);
        as_sent(&mut stored, &receipt);
        receipt.merge(stored);
        Ok(Admitted { receipt, written, bulk })
    }
}

/// Makes the positions of what the append refused those of the batch as it was decoded, before admission took out
/// what it refused itself.
fn as_sent(stored: &mut Receipt, taken_out: &Receipt) {
    let gone: HashSet<u32> = taken_out.refused.iter().flat_map(|r| r.positions.iter().copied()).collect();
    let last = stored.refused.iter().flat_map(|r| r.positions.iter().copied()).max();
    let (Some(last), false) = (last, gone.is_empty()) else { return };
    let most = last as usize + gone.len() + 1;
    let left: Vec<u32> = (0..most as u32).filter(|at| !gone.contains(at)).collect();
    for position in stored.refused.iter_mut().flat_map(|r| &mut r.positions) {
        *position = left.get(*position as usize).copied().unwrap_or(*position);
    }
}

/// Metadata and exemplars alone are worth appending, although they are no items.
fn is_empty(batch: &Batch) -> bool {
    match batch {
        Batch::Metrics(m) => m.is_empty(),
        other => other.item_count() == 0,
    }
}

fn reason(r: Reason) -> RefusalReason {
    match r {
        Reason::InvalidLabels => RefusalReason::InvalidLabels,
        Reason::InvalidItem => RefusalReason::InvalidItem,
        Reason::TooLarge => RefusalReason::TooLarge,
        Reason::Unsupported => RefusalReason::Unsupported,
    }
}

#[cfg(test)]
mod tests;
