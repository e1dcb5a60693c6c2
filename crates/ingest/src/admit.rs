//! The way in, one function per protocol. Each hands its decoder to [`Ingest::admit`], which holds the order
//! of the steps:
//!
//! 1. reserve memory for the body and its unpacked form, or shed;
//! 2. unpack under the cap;
//! 3. decode, collecting refusals of single items;
//! 4. name the batch by content where every item has its own time;
//! 5. stamp the cluster;
//! 6. append, which returns once everything is durable.

use std::{borrow::Cow, sync::Arc};

use base::{
    Clock, MemoryBudget, Metrics,
    cap::{self, Encoding},
    memory::{Reservation, Use},
};
use bytes::Bytes;
use contract::{Append, AppendUnit, Receipt, Refusal, RefusalReason};
use model::{Batch, BatchId, TenantId};
use parking_lot::RwLock;
use prost::Message;
use proto::otlp::collector::{
    logs::ExportLogsServiceRequest, metrics::ExportMetricsServiceRequest, trace::ExportTraceServiceRequest,
};
use wire::{Decoded, Reason};

use crate::{Error, LokiFormat, Options, OtlpFormat, OtlpSignal, Result, Sender, stamp, stats::Stats};

/// Bodies larger than this are decoded on the blocking pool, so that a few of them do not hold every worker.
const INLINE_BYTES: usize = 256 << 10;
/// What decoding needs at most, as a multiple of the unpacked body: the decoded form, beside the body itself.
const DECODED_FACTOR: u64 = 4;
/// What a packed body is expected to grow by before it is known; growing past it is asked for separately.
const UNPACKED_FACTOR: u64 = 8;

/// Admission of one node. Cheap to share behind an `Arc`.
pub struct Ingest {
    append: Arc<dyn Append>,
    budget: MemoryBudget,
    stats: Stats,
    clock: Clock,
    options: RwLock<Arc<Resolved>>,
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

/// One request on its way, as far as all protocols have it in common.
struct Request<'a> {
    /// Metric label and part of the batch id: `remote_write`, `loki`, `otlp_http`, `otlp_grpc`.
    protocol: &'static str,
    endpoint: &'static str,
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
        Ingest { append, budget, stats: Stats::new(metrics), clock, options }
    }

    /// Replaces the options; requests under way keep the old ones.
    pub fn set_options(&self, options: Options) {
        *self.options.write() = Resolved::new(options);
    }

    /// The largest body to read from a connection.
    pub fn max_body_bytes(&self) -> usize {
        self.options.read().options.limits.max_body_bytes
    }

    /// Prometheus remote write 1.0. `encoding` is snappy for every known sender.
    pub async fn remote_write_v1(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let request = Request { protocol: "remote_write", endpoint: "remote_write_v1", tenant, sender };
        self.admit(request, encoding, body, |body, at| {
            Ok(wire::remote_write::decode_v1(body, &at.otlp.limits)?.map(Batch::Metrics))
        })
        .await
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
        let request = Request { protocol: "loki", endpoint: "loki_push", tenant, sender };
        match format {
            LokiFormat::Json => {
                self.admit(request, encoding, body, |body, at| {
                    Ok(wire::loki::decode_json(body, &at.otlp.limits)?.map(Batch::Logs))
                })
                .await
            }
            LokiFormat::Protobuf => {
                let encoding = if encoding == Encoding::Identity { Encoding::Snappy } else { encoding };
                self.admit(request, encoding, body, |body, at| {
                    Ok(wire::loki::decode_protobuf(body, &at.otlp.limits)?.map(Batch::Logs))
                })
                .await
            }
        }
    }

    /// OTLP over HTTP, one signal per request.
    pub async fn otlp(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        signal: OtlpSignal,
        format: OtlpFormat,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let endpoint = endpoint(signal);
        let request = Request { protocol: "otlp_http", endpoint, tenant, sender };
        let received_ns = self.clock.now_ns();
        self.admit(request, encoding, body, move |body, at| {
            use wire::otlp::{logs, metrics, traces};
            let o = &at.otlp;
            Ok(match (signal, format) {
                (OtlpSignal::Metrics, OtlpFormat::Protobuf) => {
                    metrics::decode_protobuf(body, received_ns, o)?.map(Batch::Metrics)
                }
                (OtlpSignal::Metrics, OtlpFormat::Json) => {
                    metrics::decode_json(body, received_ns, o)?.map(Batch::Metrics)
                }
                (OtlpSignal::Logs, OtlpFormat::Protobuf) => {
                    logs::decode_protobuf(body, received_ns, o)?.map(Batch::Logs)
                }
                (OtlpSignal::Logs, OtlpFormat::Json) => {
                    logs::decode_json(body, received_ns, o)?.map(Batch::Logs)
                }
                (OtlpSignal::Traces, OtlpFormat::Protobuf) => {
                    traces::decode_protobuf(body, o)?.map(Batch::Spans)
                }
                (OtlpSignal::Traces, OtlpFormat::Json) => traces::decode_json(body, o)?.map(Batch::Spans),
            })
        })
        .await
    }

    /// OTLP over gRPC: metrics, already decoded by the transport under its own message limit.
    pub async fn otlp_message_metrics(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        message: ExportMetricsServiceRequest,
    ) -> Result<Receipt> {
        let received_ns = self.clock.now_ns();
        self.admit_message(OtlpSignal::Metrics, tenant, sender, message, move |m, o| {
            wire::otlp::metrics::from_message(m, received_ns, o).map(Batch::Metrics)
        })
        .await
    }

    /// OTLP over gRPC: logs.
    pub async fn otlp_message_logs(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        message: ExportLogsServiceRequest,
    ) -> Result<Receipt> {
        let received_ns = self.clock.now_ns();
        self.admit_message(OtlpSignal::Logs, tenant, sender, message, move |m, o| {
            wire::otlp::logs::from_message(m, received_ns, o).map(Batch::Logs)
        })
        .await
    }

    /// OTLP over gRPC: traces.
    pub async fn otlp_message_traces(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        message: ExportTraceServiceRequest,
    ) -> Result<Receipt> {
        self.admit_message(OtlpSignal::Traces, tenant, sender, message, |m, o| {
            wire::otlp::traces::from_message(m, o).map(Batch::Spans)
        })
        .await
    }

    /// All steps for a body.
    async fn admit(
        &self,
        request: Request<'_>,
        encoding: Encoding,
        body: Bytes,
        decode: impl FnOnce(&[u8], &Resolved) -> Result<Decoded<Batch>> + Send + 'static,
    ) -> Result<Receipt> {
        let started = self.clock.monotonic();
        self.stats.received(request.protocol, body.len());
        let outcome = self.admit_body(&request, encoding, body, decode).await;
        self.stats.done(request.protocol, request.tenant, &outcome, started.elapsed(), &self.clock);
        outcome
    }

    async fn admit_body(
        &self,
        request: &Request<'_>,
        encoding: Encoding,
        body: Bytes,
        decode: impl FnOnce(&[u8], &Resolved) -> Result<Decoded<Batch>> + Send + 'static,
    ) -> Result<Receipt> {
        let at = self.options.read().clone();
        let max = at.options.limits.max_body_bytes;
        if body.len() > max {
            let message = format!("a body of {} bytes, ingest.max_body is {max}", body.len());
            return Err(Error::too_large("ingest.max_body", message));
        }
        let received_ns = self.clock.now_ns();
        let mut held = self.budget.reserve(Use::Ingest, expected_bytes(encoding, &body, &at))?;
        let salt = Salt::of(request);
        let inline = body.len() <= INLINE_BYTES;
        let work = move || -> Result<_> {
            let plain = unpack(encoding, &body, &at)?;
            fit(&mut held, body.len(), plain.len())?;
            let decoded = decode(&plain, &at)?;
            let id = decoded.all_timed.then(|| salt.batch_id(&plain, decoded.refused.total()));
            let unpacked = plain.len();
            Ok((decoded, id, unpacked, at, held))
        };
        let (decoded, id, unpacked, at, held) =
            if inline { work()? } else { tokio::task::spawn_blocking(work).await?? };
        self.stats.unpacked(request.protocol, unpacked);
        self.append(request.tenant, decoded, id, received_ns, &at, held).await
    }

    /// All steps for a message that the transport has decoded.
    async fn admit_message<M: Message + 'static>(
        &self,
        signal: OtlpSignal,
        tenant: &TenantId,
        sender: &Sender,
        message: M,
        convert: impl FnOnce(M, &wire::otlp::Options) -> Decoded<Batch> + Send,
    ) -> Result<Receipt> {
        let started = self.clock.monotonic();
        let request = Request { protocol: "otlp_grpc", endpoint: endpoint(signal), tenant, sender };
        let bytes = message.encoded_len();
        self.stats.received(request.protocol, bytes);
        let at = self.options.read().clone();
        let outcome = match self.budget.reserve(Use::Ingest, bytes as u64 * DECODED_FACTOR) {
            Err(e) => Err(e.into()),
            Ok(held) => {
                // The transport keeps no bytes, so the content is what the message encodes to.
                let plain = message.encode_to_vec();
                let decoded = convert(message, &at.otlp);
                let salt = Salt::of(&request);
                let id = decoded.all_timed.then(|| salt.batch_id(&plain, decoded.refused.total()));
                drop(plain);
                self.append(tenant, decoded, id, self.clock.now_ns(), &at, held).await
            }
        };
        self.stats.done(request.protocol, tenant, &outcome, started.elapsed(), &self.clock);
        outcome
    }

    /// The last steps: stamp, append, and one receipt for what both sides refused.
    async fn append(
        &self,
        tenant: &TenantId,
        decoded: Decoded<Batch>,
        batch_id: Option<BatchId>,
        received_ns: i64,
        at: &Resolved,
        mut held: Reservation,
    ) -> Result<Receipt> {
        let Decoded { mut batch, refused, .. } = decoded;
        let signal = batch.signal();
        let mut receipt = Receipt::default();
        for r in refused {
            let detail = format!("{} (item {} of the request)", r.detail, r.first);
            receipt.refused.push(Refusal {
                signal: signal.clone(),
                reason: reason(r.reason),
                count: r.count,
                detail,
            });
        }
        if is_empty(&batch) {
            return Ok(receipt);
        }
        if let Some(cluster) = &at.options.cluster {
            stamp::cluster(&mut batch, cluster);
        }
        held.shrink_to(batch.heap_bytes() as u64);
        let unit = AppendUnit { batch_id, received_ns, batches: vec![batch] };
        receipt.merge(self.append.append(tenant, unit).await?);
        Ok(receipt)
    }
}

fn endpoint(signal: OtlpSignal) -> &'static str {
    match signal {
        OtlpSignal::Metrics => "otlp_metrics",
        OtlpSignal::Logs => "otlp_logs",
        OtlpSignal::Traces => "otlp_traces",
    }
}

/// Metadata and exemplars alone are worth appending, although they are no items.
fn is_empty(batch: &Batch) -> bool {
    match batch {
        Batch::Metrics(m) => m.is_empty(),
        other => other.item_count() == 0,
    }
}

/// What the request will need, known before anything is unpacked.
fn expected_bytes(encoding: Encoding, body: &[u8], at: &Resolved) -> u64 {
    let packed = body.len() as u64;
    let cap = at.options.limits.max_decompressed_bytes as u64;
    let plain = match encoding {
        Encoding::Identity => packed,
        _ => packed.saturating_mul(UNPACKED_FACTOR).min(cap),
    };
    packed + plain
}

/// Makes the reservation fit what unpacking showed; sheds where there is no room for the decoded form.
fn fit(held: &mut Reservation, packed: usize, plain: usize) -> Result<()> {
    let wanted = packed as u64 + plain as u64 * (1 + DECODED_FACTOR);
    if wanted > held.bytes() {
        held.grow(wanted - held.bytes())?;
    }
    held.shrink_to(wanted);
    Ok(())
}

fn unpack<'a>(encoding: Encoding, body: &'a Bytes, at: &Resolved) -> Result<Cow<'a, [u8]>> {
    let max = at.options.limits.max_decompressed_bytes;
    match encoding {
        Encoding::Identity if body.len() <= max => Ok(Cow::Borrowed(body)),
        packed => Ok(Cow::Owned(cap::unpack(packed, body, max)?)),
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

/// Everything but the body that makes two requests different.
struct Salt(xxhash_rust::xxh3::Xxh3);

impl Salt {
    fn of(request: &Request<'_>) -> Self {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        let Sender { addr, user_agent } = request.sender;
        for part in [request.tenant.as_str(), request.endpoint, addr, user_agent] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Salt(hash)
    }

    /// The number of items refused here is part of the id: once a limit is raised, the same body is another
    /// batch, or its newly allowed items would be taken for known.
    fn batch_id(mut self, body: &[u8], refused: u64) -> BatchId {
        self.0.update(&refused.to_le_bytes());
        self.0.update(body);
        BatchId::Content(self.0.digest128())
    }
}

#[cfg(test)]
mod tests;
