//! OTLP, one signal per request.

use base::cap::Encoding;
use bytes::Bytes;
use contract::Receipt;
use model::{Batch, BatchId, TenantId};
use wire::otlp::{
    logs,
    metrics::{self, Deltas},
    traces,
};

use super::{Ingest, Plain, Request, Resolved};
use crate::{Otlp, OtlpFormat, OtlpSignal, OtlpTransport, Result, Sender};

impl Ingest {
    /// OTLP over HTTP or gRPC; over gRPC `body` is the message without its frame.
    pub async fn otlp(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        what: Otlp,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        self.otlp_known(tenant, sender, what, None, encoding, body).await
    }

    /// OTLP that is known by where it stands, such as a record of a topic: equal ids have equal bodies, whenever they come.
    pub async fn otlp_record(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        what: Otlp,
        id: BatchId,
        body: Bytes,
    ) -> Result<Receipt> {
        self.otlp_known(tenant, sender, what, Some(id), Encoding::Identity, body).await
    }

    async fn otlp_known(
        &self,
        tenant: &TenantId,
        sender: &Sender,
        Otlp { transport, signal, format }: Otlp,
        id: Option<BatchId>,
        encoding: Encoding,
        body: Bytes,
    ) -> Result<Receipt> {
        let protocol = match transport {
            OtlpTransport::Http => "otlp_http",
            OtlpTransport::Grpc => "otlp_grpc",
            OtlpTransport::Kafka => "otlp_kafka",
        };
        let request = Request { protocol, endpoint: endpoint(signal), within: "", tenant, sender };
        let received_ns = self.clock.now_ns();
        let admitted = self.admit(request, encoding, body, move |body, at| {
            Ok(Plain { id, ..decode(body, (signal, format), received_ns, at)? })
        });
        Ok(admitted.await?.receipt)
    }
}

fn decode(body: &[u8], what: (OtlpSignal, OtlpFormat), received_ns: i64, at: &Resolved) -> Result<Plain> {
    let o = &at.otlp;
    let mut deltas = Deltas::default();
    let marks = at.options.deltas.is_some().then_some(&mut deltas);
    let decoded = match what {
        (OtlpSignal::Metrics, OtlpFormat::Protobuf) => {
            metrics::decode_protobuf(body, received_ns, o, marks)?.map(Batch::Metrics)
        }
        (OtlpSignal::Metrics, OtlpFormat::Json) => {
            metrics::decode_json(body, received_ns, o, marks)?.map(Batch::Metrics)
        }
        (OtlpSignal::Logs, OtlpFormat::Protobuf) => {
            logs::decode_protobuf(body, received_ns, o)?.map(Batch::Logs)
        }
        (OtlpSignal::Logs, OtlpFormat::Json) => logs::decode_json(body, received_ns, o)?.map(Batch::Logs),
        (OtlpSignal::Traces, OtlpFormat::Protobuf) => traces::decode_protobuf(body, o)?.map(Batch::Spans),
        (OtlpSignal::Traces, OtlpFormat::Json) => traces::decode_json(body, o)?.map(Batch::Spans),
    };
    Ok(Plain { decoded, deltas, bulk: None, identity: None, id: None })
}

fn endpoint(signal: OtlpSignal) -> &'static str {
    match signal {
        OtlpSignal::Metrics => "otlp_metrics",
        OtlpSignal::Logs => "otlp_logs",
        OtlpSignal::Traces => "otlp_traces",
    }
}
