//! Batches as a protocol carries them. Encoded once, so that a request sent again is the same to the byte.

use bytes::Bytes;
use model::Batch;
use prost::Message;
use proto::otlp::collector::{
    logs::ExportLogsServiceRequest, metrics::ExportMetricsServiceRequest, trace::ExportTraceServiceRequest,
};

use crate::Protocol;

#[derive(Clone)]
pub(crate) enum Payload {
    Http(Bytes),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
    Traces(ExportTraceServiceRequest),
}

impl Payload {
    /// `None` where the protocol does not carry such a batch.
    pub(crate) fn encode(protocol: Protocol, batch: &Batch) -> Option<Self> {
        Some(match (protocol, batch) {
            (Protocol::RemoteWrite, Batch::Metrics(m)) => {
                Payload::Http(snappy(&wire::remote_write::encode(m))?)
            }
            (Protocol::Loki, Batch::Logs(l)) => {
                Payload::Http(snappy(&wire::loki::encode(l).encode_to_vec())?)
            }
            (Protocol::OtlpHttp, batch) => Payload::Http(match otlp(batch)? {
                Payload::Metrics(m) => m.encode_to_vec().into(),
                Payload::Logs(m) => m.encode_to_vec().into(),
                Payload::Traces(m) => m.encode_to_vec().into(),
                Payload::Http(b) => b,
            }),
            (Protocol::OtlpGrpc, batch) => otlp(batch)?,
            _ => return None,
        })
    }

    /// Bytes on the wire, before framing.
    pub(crate) fn len(&self) -> usize {
        match self {
            Payload::Http(b) => b.len(),
            Payload::Metrics(m) => m.encoded_len(),
            Payload::Logs(m) => m.encoded_len(),
            Payload::Traces(m) => m.encoded_len(),
        }
    }
}

fn otlp(batch: &Batch) -> Option<Payload> {
    Some(match batch {
        Batch::Metrics(m) => Payload::Metrics(wire::otlp::metrics::encode(m)),
        Batch::Logs(l) => Payload::Logs(wire::otlp::logs::encode(l)),
        Batch::Spans(s) => Payload::Traces(wire::otlp::traces::encode(s)),
        _ => return None,
    })
}

/// Fails only for bodies of 4 GiB and more.
fn snappy(bytes: &[u8]) -> Option<Bytes> {
    snap::raw::Encoder::new().compress_vec(bytes).ok().map(Bytes::from)
}
